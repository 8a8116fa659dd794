"""GAN1D: two densities, D's best answer and a trained one, and what G is told by them."""

import dataclasses
import math
import time
from dataclasses import dataclass

import ipywidgets
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.language import _
from bigmodel_lib.models.densities import (
    MIXTURES,
    Mixture,
    gan_value_of_scores,
    gaussian,
    generator_gradients,
    grid,
    integral,
    jensen_shannon,
    optimal_score,
    wasserstein_1,
)
from bigmodel_lib.training.optim import SGD, Adam
from bigmodel_lib.widgets.base import RefusedError, button, described
from bigmodel_lib.widgets.gan_1d_picture import GAN1DPicture, GAN1DView
from bigmodel_lib.widgets.player import Player

F64 = torch.float64
X = grid(-20, 20, 1601)  # wide enough for every setting: no density loses mass
H = 32  # units in each of D's two hidden layers
MEAN, STD = (-5.0, 5.0), (0.1, 3.0)  # where G may be
SHOWN = 24  # of G's samples whose gradient is drawn
BOOK_EVERY = 5  # steps between two points of V's curve: each costs as much as a step
CORRECT, ARTICLE = "correct", "the article's signs"
TRAINED, OPTIMAL = "trained D", "optimal D*"
SATURATING, NON_SATURATING = "saturating", "non-saturating"


@dataclass
class DuelSettings:
    """What may change while D and G learn.

    Attributes:
        objective: what D maximises. CORRECT is V of Goodfellow et al. 2014, eq. 1; ARTICLE is
            E_x[−log D(x)] + E_z[−log D(G(z))], as the article prints it.
        answer: whose gradient G follows, TRAINED or OPTIMAL.
        g_loss: what G descends, SATURATING or NON_SATURATING.
        d_lr, g_lr: learning rates of D (Adam) and of G (plain gradient descent, so that the
            size of its gradient shows).
        batch: samples of each kind in a step.
    """

    objective: str = CORRECT
    answer: str = TRAINED
    g_loss: str = NON_SATURATING
    d_lr: float = 1e-2
    g_lr: float = 0.1
    batch: int = 128


class Duel:
    """A small D against a Gaussian G, both in one dimension.

    Args:
        real: the data's density.
        mean, std: of G(z) = mean + std · z, z standard normal.
        settings: what may change live.
        seed: of D's first weights and of all samples.

    Attributes:
        d_steps, g_steps: steps taken.
        history: (D's steps, V(D, G), V(D*, G)) every few steps.
    """

    def __init__(self, real: Mixture, mean: float, std: float, settings: DuelSettings, seed: int):
        self.real, self.settings = real, settings
        self.d_steps = self.g_steps = 0
        self.discriminator = _small_network(seed)
        self.mean = torch.tensor(float(mean), dtype=F64)
        self.log_std = torch.tensor(math.log(std), dtype=F64)
        self._d_optimizer = Adam(self.discriminator.parameters(), beta1=0.5)
        self._g_optimizer = SGD([self.mean, self.log_std])
        self._generator = torch.Generator().manual_seed(seed)
        self.history: list[tuple[int, float, float]] = []
        self.held = False  # whether G's last step ended at the edge of where it may be
        self.book()

    @property
    def fake(self) -> Mixture:
        """G's density."""
        return gaussian(self.mean.item(), self.log_std.exp().item())

    def score(self, x: Tensor) -> Tensor:
        """The trained D's scores of points (…): D(x) = σ(score)."""
        return self.discriminator(x[..., None])[..., 0]

    def optimal_score(self, x: Tensor) -> Tensor:
        """The scores of D* for G as it is now."""
        return optimal_score(self.real, self.fake, x)

    def step_d(self) -> None:
        """One step of D on a batch of real and of generated samples."""
        batch = self.settings.batch
        real = self.score(self.real.sample(batch, self._generator))
        fake = self.score(self.fake.sample(batch, self._generator))
        if self.settings.objective == CORRECT:  # −log σ(s) = softplus(−s)
            loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        else:
            loss = -F.softplus(-real).mean() - F.softplus(-fake).mean()
        self._d_optimizer.zero_grad()
        loss.backward()
        self._d_optimizer.lr = self.settings.d_lr
        self._d_optimizer.step()
        self.d_steps += 1
        if self.d_steps % BOOK_EVERY == 0:
            self.book()

    def step_g(self) -> None:
        """One step of G, against the gradient that D gives to each of its samples."""
        z = torch.randn(self.settings.batch, dtype=F64, generator=self._generator)
        std = self.log_std.exp()
        g = self.gradients(self.mean + std * z)[self.settings.g_loss]
        self.mean.grad, self.log_std.grad = g.mean(), (g * std * z).mean()  # dx/dlog σ = σ z
        self._g_optimizer.lr = self.settings.g_lr
        self._g_optimizer.step()
        free = self.mean.item(), self.log_std.item()
        self.mean.clamp_(*MEAN)
        self.log_std.clamp_(*map(math.log, STD))
        self.held = free != (self.mean.item(), self.log_std.item())
        self.g_steps += 1

    def gradients(self, x: Tensor) -> dict[str, Tensor]:
        """d loss / dx of both of G's losses, at points of any shape, by the chosen D."""
        score = self.score if self.settings.answer == TRAINED else self.optimal_score
        return dict(zip((SATURATING, NON_SATURATING), generator_gradients(score, x), strict=True))

    def values(self) -> tuple[float, float]:
        """V(D, G) of the trained D, and V(D*, G), in nats."""
        p, q = self.real.density(X), self.fake.density(X)
        with torch.no_grad():
            scores = self.score(X), self.optimal_score(X)
        trained, optimal = (gan_value_of_scores(score, p, q, X).item() for score in scores)
        return trained, optimal

    def book(self) -> None:
        """Keep V as it is now."""
        self.history.append((self.d_steps, *self.values()))


class GAN1D(Player):
    """A GAN in one dimension, where the best discriminator is known.

    D learns while the reader plays; G stands still, or learns too, or takes single steps. The
    densities move with their sliders at any time.

    Args:
        recipe: what the controls say first, such as `real="two humps"`, `mean=-3.0`,
            `objective="the article's signs"` or `g_learns=True`.

    Raises:
        ValueError: a recipe that names no control, or a combination that cannot be.
    """

    def __init__(self, **recipe):
        controls = _controls()
        for name, value in recipe.items():
            if name not in SETTINGS:
                raise ValueError(f"need settings in {SETTINGS}, got {name!r}")
            controls[name].value = value
        self.controls, self._followed = controls, 0
        self.duel = self._make_duel("objective")
        self._home = self._where()
        self._picture = GAN1DPicture()
        super().__init__(controls, _rows(controls), passive=("g_learns",))
        self.say(_("paused; press Play"))

    # --- from controls to the duel ---

    def _value(self, name: str):
        return self.controls[name].value

    def _where(self) -> tuple[float, float]:
        return self._value("mean"), self._value("std")

    def _make_duel(self, moved: str) -> Duel:
        real = MIXTURES[self._value("real")]
        return Duel(real, *self._where(), self._read_settings(moved), self._value("seed"))

    def _read_settings(self, moved: str) -> DuelSettings:
        settings = DuelSettings(**{name: self._value(name) for name in LIVE})
        if settings.objective == ARTICLE and settings.answer == OPTIMAL:
            reason = _(
                "with the article's signs there is no optimal D: the objective grows without "
                "bound as D falls to 0 everywhere; choose the trained D, or the correct objective"
            )
            raise RefusedError(moved, reason)
        return settings

    def apply(self, name: str) -> None:
        """Take over a control's value, or obey a button."""
        self._follow(name)  # a move reads both sliders
        if name not in SETTINGS:
            self.obey(name)
        elif name == "seed":
            self._restart()
        elif name in LIVE:
            self.duel.settings = self._read_settings(name)
            self.accept("objective", "answer")  # they were checked together
        else:
            self._move()

    def _move(self) -> None:
        """The densities are where the reader put them; D stays as it is."""
        self._home = self._where()
        self.duel.real = MIXTURES[self._value("real")]
        self.duel.mean.fill_(self._home[0])
        self.duel.log_std.fill_(math.log(self._home[1]))
        self.duel.held = False

    def _restart(self) -> None:
        self.duel, self._followed = self._make_duel("seed"), 0
        self.say(_("D has forgotten all; its next step is its first"))

    def _follow(self, moved: str = "") -> None:
        """Let the sliders, but for one just moved, say where G went; that is no new wish."""
        if self.duel.g_steps == self._followed:
            return
        self._followed = self.duel.g_steps
        # a control that waits has the reader's hand on it
        at = {"mean": self.duel.mean.item(), "std": self.duel.log_std.exp().item()}
        hands = (*self._wishes, moved)
        self.show_values({name: value for name, value in at.items() if name not in hands})
        if self.duel.held:
            self.say(_("G is held at the edge of its sliders"))

    # --- buttons ---

    def _on_step(self) -> None:
        self.duel.step_d()
        self.stop(_("one step of D"))

    def _on_step_g(self) -> None:
        self.duel.step_g()
        self.stop(_("one step of G"))
        self._follow()

    def _on_reset(self) -> None:
        for name, value in zip(("mean", "std"), self._home, strict=True):
            self.controls[name].value = value
        self._restart()
        self.stop(_("reset: D forgot all, G is where you put it"))

    # --- work and picture ---

    def now(self) -> int:
        """D's steps."""
        return self.duel.d_steps

    def work(self) -> bool:
        """Steps for one slice of time."""
        busy = super().work()
        if busy and time.monotonic() >= self._next_frame:  # sliders move as pictures do
            self._follow()
        return busy

    def one_step(self) -> None:
        """A step of D, and of G if it learns too."""
        self.duel.step_d()
        if self._value("g_learns"):
            self.duel.step_g()

    def steps(self, count: int) -> None:
        """So many steps of D, and of G if it learns too."""
        for _step in range(count):
            self.one_step()
        self._follow()

    def compute(self) -> GAN1DView:
        """What the picture shows."""
        duel = self.duel
        p, q = duel.real.density(X), duel.fake.density(X)
        with torch.no_grad():
            score = duel.optimal_score(X)
            trained, optimal = torch.sigmoid(duel.score(X)), torch.sigmoid(score)
        samples = duel.fake.sample(SHOWN, torch.Generator().manual_seed(1)).sort().values
        value, best = duel.values()
        # the curve ends at the present, whatever was moved since the last step
        past = [row for row in duel.history if row[0] < duel.d_steps]
        history = torch.tensor([*past, (duel.d_steps, value, best)], dtype=F64)
        numbers = {
            "value": value,
            "best": best,
            "jsd": jensen_shannon(p, q, X).item(),
            "kl": integral(p * score, X).item(),  # from logarithms: q may underflow
            "w1": wasserstein_1(p, q, X).item(),
            "trained_on_real": integral(p * trained, X).item(),
            "optimal_on_real": integral(p * optimal, X).item(),
        }
        return GAN1DView(
            x=X.numpy(),
            p=p.numpy(),
            q=q.numpy(),
            trained=trained.numpy(),
            optimal=optimal.numpy(),
            samples=samples.numpy(),
            pushes={name: -g.numpy() for name, g in duel.gradients(samples).items()},
            curves={name: -g.numpy() for name, g in duel.gradients(X).items()},
            history=history.numpy(),
            d_steps=duel.d_steps,
            g_steps=duel.g_steps,
            answer=duel.settings.answer,
            **numbers,
        )

    def draw(self, data: GAN1DView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


LIVE = tuple(field.name for field in dataclasses.fields(DuelSettings))
SETTINGS = (*LIVE, "real", "mean", "std", "seed", "g_learns")


def _small_network(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = (nn.Linear(1, H), nn.Tanh(), nn.Linear(H, H), nn.Tanh(), nn.Linear(H, 1))
        return nn.Sequential(*layers).to(F64)


def _controls() -> dict[str, ipywidgets.Widget]:
    floats, logs, choice = ipywidgets.FloatSlider, ipywidgets.FloatLogSlider, ipywidgets.Dropdown
    first = DuelSettings()

    def choices(*names: str) -> list[tuple[str, str]]:
        return [(_(name), name) for name in names]

    lr = {"base": 10, "step": 0.1, "readout_format": ".1e"}
    return {
        **{name: button(text) for name, text in _BUTTONS.items()},
        "g_learns": button("G learns too", ipywidgets.ToggleButton),
        "real": described(choice, "real data", options=choices(*MIXTURES), value="two humps"),
        "mean": described(floats, "G: mean", value=-1.0, min=MEAN[0], max=MEAN[1], step=0.05),
        "std": described(floats, "G: width σ", value=1.0, min=STD[0], max=STD[1], step=0.05),
        "seed": described(ipywidgets.BoundedIntText, "↻ seed", max=2**31 - 1),
        "objective": described(choice, "D maximises", options=choices(CORRECT, ARTICLE)),
        "d_lr": described(logs, "learning rate of D", value=first.d_lr, min=-4, max=-1, **lr),
        "batch": described(
            ipywidgets.SelectionSlider,
            "samples a step",
            options=[2**power for power in range(11)],
            value=first.batch,
        ),
        "answer": described(choice, "G's gradient comes from", options=choices(TRAINED, OPTIMAL)),
        "g_loss": described(
            choice, "G's loss", options=choices(SATURATING, NON_SATURATING), value=first.g_loss
        ),
        "g_lr": described(logs, "learning rate of G", value=first.g_lr, min=-4, max=1, **lr),
    }


_BUTTONS = {
    "play": "Play",
    "pause": "Pause",
    "step": "Step D",
    "step_g": "Step G",
    "reset": "Reset",
}


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    def pick(*names: str) -> list[ipywidgets.Widget]:
        return [controls[name] for name in names]

    wrap = {"flex_flow": "row wrap"}
    columns = [
        pick("real", "mean", "std", "seed"),
        pick("objective", "d_lr", "batch"),
        pick("answer", "g_loss", "g_lr"),
    ]
    return [
        ipywidgets.HBox(pick(*_BUTTONS, "g_learns"), layout=wrap),
        ipywidgets.HBox([ipywidgets.VBox(column) for column in columns], layout=wrap),
    ]
