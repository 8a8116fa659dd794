"""GANLab: train a GAN on digits, live, and turn its knobs while it learns."""

import copy
import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import ipywidgets
import numpy as np
import torch
from torch import nn

from bigmodel_lib.data.digits import SOURCES
from bigmodel_lib.language import _
from bigmodel_lib.metrics import class_shares, digit_classifier
from bigmodel_lib.models.gan import ARCHITECTURES, LOSSES, make_gan
from bigmodel_lib.training import CheckpointError, GANRun, GANSettings
from bigmodel_lib.training.checkpoint import load_tensors
from bigmodel_lib.widgets.base import SLICE, RefusedError, button, described
from bigmodel_lib.widgets.gan_lab_picture import GANLabPicture, RunView
from bigmodel_lib.widgets.images import images_for
from bigmodel_lib.widgets.player import Player

LIVE = tuple(field.name for field in dataclasses.fields(GANSettings))
RESTARTS = ("architecture", "Z", "data", "seed")
SHOWN = 36  # generated images in the picture
JUDGED = 100  # generated images behind scores and modes
JUDGE_EVERY = 0.4  # seconds: judging costs more than a frame
SLOW = 0.5  # seconds between two steps in slow motion
OWN = "own"


@dataclass(frozen=True)
class Recipe:
    """What a run is made from; a change here starts it anew."""

    architecture: str = "convolutional"
    Z: int = 100
    data: str = "digits"
    seed: int = 0


class GANLab(Player):
    """Train a GAN live: play, pause, single steps, rewind, and two runs side by side.

    Learning rates, betas, loss, batch size and discriminator steps change live, and each change
    is marked on the loss curve; what is marked ↻ starts the run anew.

    Args:
        generator, discriminator: your own modules instead of the ones on offer: noise (B, Z) →
            images (B, 1, 28, 28) in [-1, 1], and images → scores (B,) or (B, 1). Each restart
            begins with their weights as they are now.
        recipe: what the controls say first, such as `architecture="article"` or `d_lr=1e-3`.

    Raises:
        ValueError: one module without the other, or a recipe that names no control.
    """

    def __init__(
        self,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        **recipe,
    ):
        if (generator is None) != (discriminator is None):
            raise ValueError("need generator and discriminator, or neither; got one of them")
        self._own = None if generator is None else copy.deepcopy((generator, discriminator))
        controls = _controls(own=self._own is not None)
        _set(controls, recipe)
        self._recipes = [self._read_recipe(controls)]
        self.runs = [self._make_run(self._recipes[0], self._read_settings(controls))]
        self._picture = GANLabPicture()
        self._judged: list[dict[str, np.ndarray]] = []
        self._judge_next = self._step_next = 0.0
        super().__init__(controls, _rows(controls), passive=("slow", "file"))
        self.say(_("paused at step 0; press Play"))

    # --- from controls to runs ---

    def _read_recipe(self, controls) -> Recipe:
        return Recipe(**{name: controls[name].value for name in RESTARTS})

    def _read_settings(self, controls) -> GANSettings:
        return GANSettings(**{name: controls[name].value for name in LIVE})

    def _make_run(self, recipe: Recipe, settings: GANSettings) -> GANRun:
        self._check_settings(recipe, settings)
        data = images_for("data", recipe.data)
        if recipe.architecture == OWN:
            networks = copy.deepcopy(self._own)
        else:
            networks = make_gan(recipe.architecture, recipe.Z, recipe.seed)
        try:
            settings = copy.copy(settings)  # each run has its own
            return GANRun(*networks, data, Z=recipe.Z, settings=settings, seed=recipe.seed, keep=16)
        except (ValueError, RuntimeError) as error:
            raise RefusedError("architecture", str(error)) from error

    def _check_settings(self, recipe: Recipe, settings: GANSettings) -> None:
        generator, discriminator = self._own if recipe.architecture == OWN else (None, None)
        if recipe.architecture == OWN:
            has_norm = _has_batch_norm(generator)
        else:
            has_norm = recipe.architecture != "article"
        if settings.batch_size < 2 and has_norm:
            raise RefusedError(
                "batch_size", _("this generator has batch norm, which needs at least 2 images")
            )
        if LOSSES[settings.loss].penalty and _has_batch_norm(discriminator):
            reason = _(
                "the gradient penalty needs each score to depend on its own image alone; "
                "your discriminator has batch norm, which mixes them"
            )
            raise RefusedError("loss", reason)

    def apply(self, name: str) -> None:
        """Take over a control's value, or obey a button."""
        if name not in LIVE + RESTARTS:
            self.obey(name)
            return
        if name in LIVE:
            self._apply_setting(name)
        else:
            self._restart(name)
        # what was refused beside the old value of this control may be possible beside the new
        self._wishes.extend(other for other in self._refused if other in LIVE + RESTARTS)

    @property
    def _edited(self) -> list[int]:
        """Which runs the controls set: all of one, or A, B or both of two."""
        wanted = {"A": [0], "B": [1], "both": [0, 1]}[self.controls["edit"].value]
        return [index for index in wanted if index < len(self.runs)] or [0]

    def _apply_setting(self, name: str) -> None:
        change = {name: self.controls[name].value}
        new = {i: dataclasses.replace(self.runs[i].settings, **change) for i in self._edited}
        for index, settings in new.items():
            self._check_settings(self._recipes[index], settings)
        for index, settings in new.items():
            self.runs[index].settings = settings

    def _restart(self, name: str) -> None:
        change = {name: self.controls[name].value}
        recipes = {i: dataclasses.replace(self._recipes[i], **change) for i in self._edited}
        new = {i: self._make_run(recipe, self.runs[i].settings) for i, recipe in recipes.items()}
        for index, run in new.items():
            self.runs[index], self._recipes[index] = run, recipes[index]
        self._judged = []
        self.say(_("started anew at step 0"))

    # --- buttons ---

    def _on_reset(self) -> None:
        for index, recipe in enumerate(self._recipes):
            self.runs[index] = self._make_run(recipe, self.runs[index].settings)
        self.stop(_("reset: all runs are at step 0"))

    def _on_step(self) -> None:
        self._single(lambda run: next(run), _("one step of D and G"))

    def _on_step_d(self) -> None:
        self._single(lambda run: run.step_discriminator(), _("one step of D alone"))

    def _on_step_g(self) -> None:
        self._single(lambda run: run.step_generator(), _("one step of G alone"))

    def _single(self, step, note: str) -> None:
        for run in self.runs:
            step(run)
        self.stop(note)

    def _on_rewind(self) -> None:
        first = [run.snapshots[0].step for run in self.runs]
        if all(run.step == step for run, step in zip(self.runs, first, strict=True)):
            self.stop(_("already at step {step}, the first one kept").format(step=first[0]))
            return
        for run, step in zip(self.runs, first, strict=True):
            run.rewind(max(run.step - 1, step))
        self.stop(_("back at step {step}").format(step=self.runs[0].step))

    def _on_compare(self) -> None:
        """Two runs from one seed, or back to run A alone."""
        if self.controls["compare"].value:
            recipe, settings = self._recipes[0], self.runs[0].settings
            self.runs = [self._make_run(recipe, settings) for _run in "AB"]
            self._recipes = [recipe, recipe]
            self.controls["edit"].value = "B"
            note = _("two runs from one seed, at step 0; what you change now changes run B")
        else:
            self.runs, self._recipes = self.runs[:1], self._recipes[:1]
            self.controls["edit"].value = "A"
            note = _("run A alone")
        self._judged = []
        self.say(note)

    def _on_edit(self) -> None:
        """The controls show the run that they set; of both, what they showed before."""
        if self.controls["edit"].value == "both":
            return
        (index,) = self._edited
        recipe, settings = self._recipes[index], self.runs[index].settings
        self._show_values(dataclasses.asdict(recipe) | dataclasses.asdict(settings))

    def _on_save(self) -> None:
        index = self._edited[0]
        path = self._path()
        try:
            self.runs[index].save(path, recipe=dataclasses.asdict(self._recipes[index]))
        except OSError as error:
            raise RefusedError("file", str(error)) from error
        self.accept("file")
        self.stop(_("saved step {step} to {path}").format(step=self.runs[index].step, path=path))

    def _on_load(self) -> None:
        index, path = self._edited[0], self._path()
        try:
            facts = load_tensors(path)[1]
            if "recipe" not in facts:
                raise CheckpointError(f"{path} was not saved by this lab")
            recipe = Recipe(**facts["recipe"])
            if recipe.architecture == OWN and self._own is None:
                raise CheckpointError(_("this run needs the modules it was trained with"))
            run = self._make_run(recipe, GANSettings(**facts["settings"]))
            run.load(path)
        except CheckpointError as error:
            raise RefusedError("file", str(error)) from error
        self.runs[index], self._recipes[index] = run, recipe
        self._show_values(dataclasses.asdict(recipe) | facts["settings"])
        self.accept("file")
        self.stop(_("loaded step {step} from {path}").format(step=run.step, path=path))

    def _path(self) -> Path:
        name = self.controls["file"].value.strip()
        if not name:
            raise RefusedError("file", _("need a file name"))
        return Path(name).expanduser()

    def _show_values(self, values) -> None:
        """Let the controls say what a run has."""
        self.show_values(values)
        self.accept(*values)

    # --- work and picture ---

    def now(self) -> int:
        """The step of run A."""
        return self.runs[0].step

    def work(self) -> bool:
        """Steps of every run in turn, for one slice of time, or one step in slow motion."""
        slow = self.playing and self.controls["slow"].value
        self.breath = SLICE if slow else 0.0  # waiting must not keep a core busy
        if not slow:
            return super().work()
        self._slow_step()
        return True

    def _slow_step(self) -> None:
        if time.monotonic() >= self._step_next:
            self.steps(1)
            self._step_next = time.monotonic() + SLOW
            self._next_frame = 0.0

    def steps(self, count: int) -> None:
        """Take so many steps of every run."""
        for _step in range(count):
            for run in self.runs:
                next(run)

    def compute(self) -> list[RunView]:
        """What the picture shows of each run."""
        if not self._judged or not self.playing or time.monotonic() >= self._judge_next:
            self._judged = [self._judge(run) for run in self.runs]
            self._judge_next = time.monotonic() + JUDGE_EVERY
        return [
            RunView(
                step=run.step,
                samples=run.sample(*run.noise(SHOWN)).cpu().numpy(),
                history={name: column.numpy() for name, column in run.history.items()},
                changes=tuple(run.changes),
                probability=LOSSES[run.settings.loss].probability,
                real=run.data.images[:SHOWN].cpu().numpy(),
                class_names=run.data.class_names,
                **judged,
            )
            for run, judged in zip(self.runs, self._judged, strict=True)
        ]

    @torch.no_grad()
    def _judge(self, run: GANRun) -> dict[str, np.ndarray]:
        noise, labels = run.noise(JUDGED, seed=1)
        fake, real = run.sample(noise, labels), run.data.images[:JUDGED]
        classifier = digit_classifier(run.data.source)
        return {
            "fake_scores": run.score(fake, labels).cpu().numpy(),
            "real_scores": run.score(real, run.data.labels[:JUDGED]).cpu().numpy(),
            "shares": class_shares(classifier(fake.cpu()).softmax(dim=1)).numpy(),
        }

    def draw(self, data: list[RunView]) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _has_batch_norm(module: nn.Module | None) -> bool:
    kinds = torch.nn.modules.batchnorm._BatchNorm  # the common base of all its dimensions
    return module is not None and any(isinstance(part, kinds) for part in module.modules())


def _set(controls: dict[str, ipywidgets.Widget], values: dict) -> None:
    for name, value in values.items():
        if name not in LIVE + RESTARTS:
            raise ValueError(f"need settings in {LIVE + RESTARTS}, got {name!r}")
        controls[name].value = value


def _controls(own: bool) -> dict[str, ipywidgets.Widget]:
    architectures = [*ARCHITECTURES, *([OWN] if own else [])]
    first = GANSettings(d_lr=1e-3, g_lr=1e-3)
    lr = {"base": 10, "min": -5, "max": -1, "step": 0.1, "readout_format": ".1e"}
    decay = {"min": 0.0, "max": 0.999, "step": 0.001, "readout_format": ".3f"}
    on_release = {"continuous_update": False}
    return {
        "play": button("Play"),
        "pause": button("Pause"),
        "step": button("Step"),
        "step_d": button("Step D"),
        "step_g": button("Step G"),
        "rewind": button("Rewind"),
        "reset": button("Reset"),
        "slow": button("Slow motion", ipywidgets.ToggleButton),
        "compare": button("Compare A | B", ipywidgets.ToggleButton),
        "edit": described(
            ipywidgets.Dropdown,
            "controls set run",
            options=["A", "B", "both"],
            layout={"width": "190px"},
        ),
        "loss": described(ipywidgets.Dropdown, "loss", options=list(LOSSES), value=first.loss),
        "d_lr": described(ipywidgets.FloatLogSlider, "learning rate of D", value=first.d_lr, **lr),
        "g_lr": described(ipywidgets.FloatLogSlider, "learning rate of G", value=first.g_lr, **lr),
        "beta1": described(ipywidgets.FloatSlider, "Adam β₁", value=first.beta1, **decay),
        "beta2": described(ipywidgets.FloatSlider, "Adam β₂", value=first.beta2, **decay),
        "batch_size": described(
            ipywidgets.SelectionSlider,
            "batch size",
            options=[2**power for power in range(9)],
            value=first.batch_size,
        ),
        "d_steps": described(
            ipywidgets.IntSlider, "D steps per G step", value=first.d_steps, min=1, max=10
        ),
        "architecture": described(
            ipywidgets.Dropdown,
            "↻ architecture",
            options=architectures,
            value=OWN if own else Recipe.architecture,
        ),
        "Z": described(
            ipywidgets.IntSlider, "↻ noise width Z", value=Recipe.Z, min=1, max=256, **on_release
        ),
        "data": described(ipywidgets.Dropdown, "↻ data", options=SOURCES, value=Recipe.data),
        "seed": described(
            ipywidgets.BoundedIntText, "↻ seed", value=Recipe.seed, min=0, max=2**31 - 1
        ),
        "file": described(ipywidgets.Text, "file", value="gan_lab.safetensors"),
        "save": button("Save"),
        "load": button("Load"),
    }


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    def pick(*names: str) -> list[ipywidgets.Widget]:
        return [controls[name] for name in names]

    buttons = ("play", "pause", "step", "step_d", "step_g", "rewind", "reset", "slow")
    columns = [
        pick("loss", "d_lr", "g_lr", "batch_size"),
        pick("d_steps", "beta1", "beta2"),
        pick("architecture", "Z", "data", "seed"),
    ]
    wrap = {"flex_flow": "row wrap"}
    return [
        ipywidgets.HBox(pick(*buttons), layout=wrap),
        ipywidgets.HBox([ipywidgets.VBox(column) for column in columns], layout=wrap),
        ipywidgets.HBox(pick("compare", "edit", "file", "save", "load"), layout=wrap),
    ]
