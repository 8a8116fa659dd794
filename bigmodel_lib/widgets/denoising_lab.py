"""DenoisingLab: from noise to a digit, one step of diffusion at a time."""

from dataclasses import dataclass

import ipywidgets
import torch
from torch import Tensor

from bigmodel_lib.cached.vision import DigitDiffusion
from bigmodel_lib.data.digits import enlarge
from bigmodel_lib.language import _
from bigmodel_lib.models.denoiser import SIDE
from bigmodel_lib.models.diffusion import Diffusion
from bigmodel_lib.widgets.base import Explorer, described
from bigmodel_lib.widgets.denoising_lab_picture import SHOWN, DenoisingLabPicture, DenoisingView

STEPS = (1, 2, 3, 5, 10, 20, 50, 100, 200)
RUNS = 12  # pictures drawn side by side, from noises of their own


@dataclass(frozen=True, eq=False)
class _Path:
    """All stations of one drawing, noise first.

    Attributes:
        times: (steps + 1,), from T to 0.
        x: (steps + 1, RUNS, 1, SIDE, SIDE).
        shown: steps of the stations in the upper rows (SHOWN,).
        guesses: the digit that the network has in mind at each of those (SHOWN, RUNS, …); the
            last is x_0 itself.
    """

    times: tuple[int, ...]
    x: Tensor
    shown: tuple[int, ...]
    guesses: Tensor


class DenoisingLab(Explorer):
    """Choose digit, number of steps, fresh noise η and seed; walk from noise to digit.

    Above, stations of one drawing and, below each, what the network takes it for; then that
    drawing and eleven more at the step looked at.

    Args:
        model: of `digit_diffusion`, in evaluation mode; the cached one if not given.
        recipe: what the controls say first, such as `digit=7`, `steps=5` or `eta=1.0`.

    Raises:
        ValueError: a recipe that names no control.
        CheckpointError: no cached model, if none was given.
    """

    def __init__(self, model: Diffusion | None = None, **recipe):
        self.model = DigitDiffusion().load()[0] if model is None else model
        controls = _controls(self.model.T)
        for name, value in recipe.items():
            if name not in controls:
                raise ValueError(f"need settings in {tuple(controls)}, got {name!r}")
            controls[name].value = value
        self.controls = controls
        self._path = self._walk()
        self._picture = DenoisingLabPicture(RUNS)
        super().__init__(controls, _rows(controls))
        self.say(_("move “look at step”"))

    def _value(self, name: str):
        return self.controls[name].value

    def _walk(self) -> _Path:
        labels = torch.full((RUNS,), self._value("digit"))
        how = {"steps": self._value("steps"), "eta": self._value("eta")}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._value("seed"))
            start = torch.randn(RUNS, 1, SIDE, SIDE)
            times, x, noises = zip(*self.model.stations(start, labels, **how), strict=True)
        last = len(times) - 1
        shown = tuple(round(i * last / (SHOWN - 1)) for i in range(SHOWN))
        # the noise that led on from a station is what it was taken to hold
        guesses = [self.model.start(x[i], times[i], noises[i]) for i in shown]
        return _Path(times, torch.stack(x), shown, torch.stack(guesses))

    def apply(self, name: str) -> None:
        """Take over a control's value."""
        if name != "look":
            self._path = self._walk()

    def compute(self) -> DenoisingView:
        """What the picture shows."""
        path, steps = self._path, len(self._path.times) - 1
        # the slider has one range for all numbers of steps, so it counts in hundredths
        at = round(self._value("look") / 100 * steps)
        return DenoisingView(
            digit=self._value("digit"),
            steps=steps,
            eta=self._value("eta"),
            at=at,
            times=path.times,
            shown=path.shown,
            stations=enlarge(path.x[list(path.shown), 0, 0]).numpy(),
            guesses=enlarge(path.guesses[:, 0, 0]).numpy(),
            now=enlarge(path.x[at, :, 0]).numpy(),
            signal=float(self.model.alpha_bar[path.times[at]].sqrt()),
        )

    def draw(self, data: DenoisingView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _controls(T: int) -> dict[str, ipywidgets.Widget]:
    choice = ipywidgets.SelectionSlider
    steps = [step for step in STEPS if step <= T]
    return {
        "digit": described(ipywidgets.IntSlider, "digit", value=3, min=0, max=9),
        "steps": described(choice, "number of steps", options=steps, value=min(20, steps[-1])),
        "eta": described(
            ipywidgets.FloatSlider, "fresh noise η (0 DDIM, 1 DDPM)", value=0.0, min=0, max=1,
            step=0.05, layout={"width": "330px"},
        ),
        "seed": described(ipywidgets.BoundedIntText, "seed", value=0, min=0, max=2**31 - 1),
        "look": described(
            ipywidgets.IntSlider, "look at step (% of the way)", value=50, min=0, max=100,
            layout={"width": "450px"},
        ),
    }  # fmt: skip


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    rows = [("digit", "steps", "eta"), ("look", "seed")]
    wrap = {"flex_flow": "row wrap"}
    return [ipywidgets.HBox([controls[name] for name in row], layout=wrap) for row in rows]
