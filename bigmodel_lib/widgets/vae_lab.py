"""VAELab: train a variational autoencoder on digits, live, and walk the plane of its code."""

import copy
import dataclasses
import functools
from dataclasses import dataclass

import ipywidgets
import numpy as np
import torch
from torch import Tensor

from bigmodel_lib.data.digits import SOURCES
from bigmodel_lib.language import _
from bigmodel_lib.models.vae import VAE, kl_to_standard_normal, least_reconstruction
from bigmodel_lib.training.vae import VAERun, VAESettings
from bigmodel_lib.widgets.base import RefusedError, button, described
from bigmodel_lib.widgets.images import images_for
from bigmodel_lib.widgets.player import Player
from bigmodel_lib.widgets.vae_lab_picture import (
    SIDE,
    SPAN,
    VAELabPicture,
    VAEView,
    coordinate,
    rows_of_pairs,
)

LIVE = tuple(field.name for field in dataclasses.fields(VAESettings))
RESTARTS = ("Z", "data", "seed")
PLANE = ("first", "second")
PLACE = ("x", "y")
SETTINGS = LIVE + RESTARTS + PLANE + PLACE
CHANNELS = 8  # half the model's usual number: twice as many steps a second
PAIRED = 24  # held-out images that are shown beside their reconstruction
SAMPLED = 64
PLACED = 400  # held-out images in the plane, at most
MOST = 32  # coordinates of the code


@dataclass(frozen=True)
class Recipe:
    """What a run is made from; a change here starts it anew."""

    Z: int
    data: str
    seed: int


@dataclass(frozen=True, eq=False)
class _Look:
    """What the model showed at one step; all but the place, which follows the reader's hand."""

    pairs: np.ndarray
    samples: np.ndarray
    codes: np.ndarray
    labels: np.ndarray
    kl: np.ndarray
    sheet: np.ndarray


class VAELab(Player):
    """Train a VAE live: β, learning rate and batch at once, the rest by a restart.

    Reconstructions, random samples, both parts of the loss, what each coordinate of the code
    tells; the held-out digits in a plane of the code; and the digit at any place of it.

    Args:
        recipe: what the controls say first, such as `beta=10`, `Z=8` or `x=-1.5`.

    Attributes:
        training: the run.

    Raises:
        ValueError: a recipe that names no control.
    """

    def __init__(self, **recipe):
        controls = _controls()
        for name, value in recipe.items():
            if name not in SETTINGS:
                raise ValueError(f"need settings in {SETTINGS}, got {name!r}")
            controls[name].value = value
        self.controls = controls
        self._recipe = self._read_recipe()
        self.training = self._make_run(self._recipe, VAESettings(**self._values(LIVE)))
        self._axes = self._read_axes("first", self._recipe.Z)
        self._picture = VAELabPicture()
        self._look: _Look | None = None
        super().__init__(controls, _rows(controls))
        self.say(_("paused at step 0; press Play"))

    # --- from controls to the run ---

    def _values(self, names: tuple[str, ...]) -> dict:
        return {name: self.controls[name].value for name in names}

    def _read_recipe(self) -> Recipe:
        return Recipe(**self._values(RESTARTS))

    def _make_run(self, recipe: Recipe, settings: VAESettings) -> VAERun:
        data = images_for("data", recipe.data)
        self._lowest = _lowest(recipe.data)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            model = VAE(recipe.Z, CHANNELS)
        return VAERun(model, data, settings=copy.copy(settings), seed=recipe.seed)

    def _read_axes(self, moved: str, Z: int) -> tuple[int, int]:
        first, second = axes = tuple(self.controls[name].value for name in PLANE)
        for name, axis in zip(PLANE, axes, strict=True):
            if axis > Z:
                raise RefusedError(name, _("the code has {Z} coordinates").format(Z=Z))
        if first == second:
            raise RefusedError(moved, _("the plane needs two different coordinates"))
        return first - 1, second - 1

    def apply(self, name: str) -> None:
        """Take over a control's value, or obey a button."""
        if name in LIVE:
            setattr(self.training.settings, name, self.controls[name].value)
        elif name in RESTARTS:
            self._restart()
        elif name in PLANE:
            self._turn_to(*self._read_axes(name, self._recipe.Z))
        elif name not in PLACE:
            self.obey(name)

    def _restart(self) -> None:
        recipe = self._read_recipe()
        self.training = self._make_run(recipe, self.training.settings)
        if recipe.Z != self._recipe.Z:  # another code has other coordinates
            self.show_values({"first": 1, "second": 2})
        self._recipe = recipe
        self._turn_to(*self._read_axes("first", recipe.Z))
        self.accept(*RESTARTS)
        self.say(_("started anew at step 0"))

    def _turn_to(self, first: int, second: int) -> None:
        self._axes, self._look = (first, second), None
        self.accept(*PLANE)  # they were checked together

    # --- buttons ---

    def _on_step(self) -> None:
        self.steps(1)
        self.stop(_("one step"))

    def _on_reset(self) -> None:
        self.training = self._make_run(self._recipe, self.training.settings)
        self._look = None
        self.stop(_("reset: the run is at step 0"))

    def _on_widest(self) -> None:
        """Turn the plane to the two coordinates that say most."""
        kl = self._looked().kl
        first, second = sorted(np.argsort(-kl, kind="stable")[:2].tolist())
        self.show_values({"first": first + 1, "second": second + 1})
        self._turn_to(first, second)
        text = _("{a} and {b} say most: {nats} of {all} nats")
        nats, total = f"{kl[[first, second]].sum():.2f}", f"{kl.sum():.2f}"
        self.say(text.format(a=coordinate(first), b=coordinate(second), nats=nats, all=total))

    # --- work and picture ---

    def now(self) -> int:
        """Steps taken."""
        return self.training.step

    def steps(self, count: int) -> None:
        """Train so many steps."""
        if count:
            self._look = None  # before: a step that fails takes the run back
        for _record in self.training.take(count):
            pass

    @torch.no_grad()
    def compute(self) -> VAEView:
        """What the picture shows."""
        run = self.training
        place = tuple(self.controls[name].value for name in PLACE)
        decoded = run.model.generate(self._code(torch.tensor([place])))
        return VAEView(
            step=run.step,
            beta=run.settings.beta,
            history={name: column.numpy() for name, column in run.history.items()},
            changes=tuple(run.changes),
            lowest=self._lowest,
            axes=self._axes,
            place=place,
            decoded=decoded[0].numpy(),
            class_names=run.data.class_names,
            **vars(self._looked()),
        )

    def _code(self, plane: Tensor) -> Tensor:
        """Points of the plane (B, 2) to codes (B, Z), all other coordinates at 0."""
        code = torch.zeros(len(plane), self._recipe.Z)
        code[:, list(self._axes)] = plane
        return code

    def _looked(self) -> _Look:
        if self._look is None:
            self._look = self._look_anew()
        return self._look

    @torch.no_grad()
    def _look_anew(self) -> _Look:
        model, Z = self.training.model, self._recipe.Z
        held_out = images_for("data", self._recipe.data, "test")
        real = held_out.images[:PLACED]
        mean, log_variance = model.encode(real)
        one_by_one = (x.reshape(-1, 1) for x in (mean, log_variance))
        z = torch.randn(SAMPLED, Z, generator=torch.Generator().manual_seed(0))
        ticks = torch.linspace(-SPAN, SPAN, SIDE)
        plane = torch.cartesian_prod(ticks.flip(0), ticks).flip(1)  # rows from the top: z₂ falls
        return _Look(
            pairs=rows_of_pairs(real[:PAIRED], model.generate(mean[:PAIRED])),
            samples=model.generate(z).numpy(),
            codes=mean[:, list(self._axes)].numpy(),
            labels=held_out.labels[:PLACED].numpy(),
            kl=kl_to_standard_normal(*one_by_one).view(-1, Z).mean(dim=0).numpy(),
            sheet=model.generate(self._code(plane)).numpy(),
        )

    def draw(self, data: VAEView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


@functools.cache
def _lowest(source: str) -> float:
    """Of all restarts on one data set: it takes longer than the rest of a restart."""
    return least_reconstruction(images_for("data", source).images).mean().item()


def _controls() -> dict[str, ipywidgets.Widget]:
    first = VAESettings(lr=1e-2, batch_size=32)  # for CHANNELS: a readable plane in seconds
    ints, floats, choice = ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.SelectionSlider
    betas = [0.0, *(lead * 10.0**power for power in (-2, -1, 0, 1) for lead in (1, 2, 5)), 100.0]
    walk = {"value": 0.0, "min": -SPAN, "max": SPAN, "step": 0.05}
    return {
        **{name: button(text) for name, text in _BUTTONS.items()},
        "beta": described(
            choice, "β", options=[(f"{beta:g}", beta) for beta in betas], value=first.beta
        ),
        "lr": described(
            ipywidgets.FloatLogSlider, "learning rate", value=first.lr, min=-5, max=-1, step=0.1,
            readout_format=".1e",
        ),
        "batch_size": described(
            choice, "batch size", options=[2**power for power in range(9)], value=first.batch_size
        ),
        "Z": described(ints, "↻ code width Z", value=2, min=2, max=MOST, continuous_update=False),
        "data": described(ipywidgets.Dropdown, "↻ data", options=SOURCES),
        "seed": described(ipywidgets.BoundedIntText, "↻ seed", max=2**31 - 1),
        "first": described(ints, "plane across: z number", value=1, min=1, max=MOST),
        "second": described(ints, "plane upwards: z number", value=2, min=1, max=MOST),
        "x": described(floats, "walk across", **walk),
        "y": described(floats, "walk upwards", **walk),
    }  # fmt: skip


_BUTTONS = {
    "play": "Play",
    "pause": "Pause",
    "step": "Step",
    "reset": "Reset",
    "widest": "Plane that says most",
}


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    def pick(*names: str) -> list[ipywidgets.Widget]:
        return [controls[name] for name in names]

    wrap = {"flex_flow": "row wrap"}
    columns = [pick(*LIVE), pick(*RESTARTS), pick(*PLACE, *PLANE)]
    return [
        ipywidgets.HBox(pick(*_BUTTONS), layout=wrap),
        ipywidgets.HBox([ipywidgets.VBox(column) for column in columns], layout=wrap),
    ]
