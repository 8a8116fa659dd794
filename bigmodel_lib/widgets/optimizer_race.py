"""OptimizerRace: optimisers on one surface from one start, step by step."""

import functools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import ipywidgets
import numpy as np
import torch
from torch import Tensor

from bigmodel_lib.language import _
from bigmodel_lib.models.surfaces import SURFACES, Surface, bowl
from bigmodel_lib.training.optim import OPTIMIZERS, Optimizer
from bigmodel_lib.widgets.base import SLICE, RefusedError, button, described
from bigmodel_lib.widgets.optimizer_race_picture import OptimizerRacePicture, RacerView, RaceView
from bigmodel_lib.widgets.player import Player

F64 = torch.float64
_bowl = functools.lru_cache(bowl)  # the same surface is the same map: it need not be drawn anew
LAST = 1000  # where Play stops
GONE = 10.0  # so many map widths from the middle of the map, a racer has diverged
# What each optimiser is told beside its learning rate: the control of that name
TOLD = {
    "SGD": (),
    "momentum": ("momentum",),
    "Nesterov": ("momentum",),
    "RMSprop": ("alpha",),
    "Adam": ("beta1", "beta2"),
    "AdamW": ("beta1", "beta2", "weight_decay"),
}
# Learning rates that work on a surface, in the order of OPTIMIZERS
RATES = {
    "bowl": (0.1, 0.02, 0.02, 0.05, 0.1, 0.1),
    "Rosenbrock": (2e-3, 1e-3, 1e-3, 0.02, 0.1, 0.1),
    "Beale": (0.01, 2e-3, 2e-3, 0.02, 0.1, 0.1),
    "Himmelblau": (0.01, 2e-3, 2e-3, 0.05, 0.1, 0.1),
    "saddle": (0.1, 0.03, 0.03, 0.02, 0.05, 0.05),
}
USES = {f"use_{name}": name for name in OPTIMIZERS}
LRS = {f"lr_{name}": name for name in OPTIMIZERS}
SETTINGS = (
    *("surface", "condition", "start_x", "start_y", "noise", "seed"),
    *("rate", "momentum", "alpha", "beta1", "beta2", "weight_decay"),
    *USES,
    *LRS,
)


@dataclass
class Racer:
    """One optimiser on its way.

    Attributes:
        point: where it is now, (2,).
        optimizer: moves the point.
        path, losses: of every step, the start included.
        diverged: the step that led out of all bounds, or None.
    """

    point: Tensor
    optimizer: Optimizer
    path: list[list[float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    diverged: int | None = None


class Race:
    """Optimisers on one surface, from one start, all with the same noise in the gradient.

    A racer has diverged once it is further than `GONE` map widths from the middle of the map,
    or not finite: it stops there, and the others go on.

    Args:
        surface: where they race.
        start: (x, y).
        makers: by name, what makes the optimiser of a list of parameters.
        noise: standard deviation added to each component of each gradient.
        seed: of the noise.
    """

    def __init__(
        self,
        surface: Surface,
        start: tuple[float, float],
        makers: dict[str, Callable[[Iterable[Tensor]], Optimizer]],
        noise: float = 0.0,
        seed: int = 0,
    ):
        self.surface, self.noise, self.step = surface, noise, 0
        self._generator = torch.Generator().manual_seed(seed)
        self.racers: dict[str, Racer] = {}
        for name, make in makers.items():
            point = torch.tensor(start, dtype=F64)
            self.racers[name] = Racer(point, make([point]))
        self._book(list(self.racers.values()))

    def advance(self) -> None:
        """One step of every racer that has not diverged."""
        self.step += 1
        noise = self.noise * torch.randn(2, dtype=F64, generator=self._generator)
        racing = [racer for racer in self.racers.values() if racer.diverged is None]
        if not racing:
            return
        gradients = self.surface.gradient(torch.stack([racer.point for racer in racing]))
        for racer, gradient in zip(racing, gradients, strict=True):
            racer.point.grad = gradient + noise
            racer.optimizer.step()
        self._book(racing)

    def _book(self, racing: list[Racer]) -> None:
        points = torch.stack([racer.point for racer in racing])
        losses = (self.surface(points) - self.surface.lowest).tolist()
        for racer, point, loss in zip(racing, points.tolist(), losses, strict=True):
            if self._is_gone(point, loss):
                racer.diverged = self.step
            else:
                racer.path.append(point)
                racer.losses.append(loss)

    def _is_gone(self, point: list[float], loss: float) -> bool:
        ranges = (self.surface.x_range, self.surface.y_range)
        return not math.isfinite(loss) or any(
            not abs(at - (low + high) / 2) <= GONE * (high - low)
            for at, (low, high) in zip(point, ranges, strict=True)
        )


class OptimizerRace(Player):
    """Race optimisers down a surface whose minima are known.

    Every setting acts on the whole race: it is run again from the start, to the step shown.
    A new surface brings its own start and learning rates.

    Args:
        recipe: what the controls say first, such as `surface="Rosenbrock"`, `lr_Adam=0.1`,
            `use_SGD=False` or `noise=1.0`.

    Raises:
        ValueError: a recipe that names no control, or a combination that cannot be.
    """

    def __init__(self, **recipe):
        controls = _controls()
        for name in recipe:
            if name not in SETTINGS:
                raise ValueError(f"need settings in {SETTINGS}, got {name!r}")
        self.controls, self.target = controls, 0
        self._due, self._last_tick = 0.0, 0.0
        controls["surface"].value = recipe.get("surface", "Himmelblau")
        for name, value in (self._suggestion() | recipe).items():
            controls[name].value = value
        self._free_condition()
        self.race = self._make_race("surface")
        self._picture = OptimizerRacePicture(list(OPTIMIZERS))
        super().__init__(controls, _rows(controls), passive=("speed",))
        self.say(_("paused; press Play, or move “steps shown”"))

    # --- from controls to a race ---

    def _value(self, name: str):
        return self.controls[name].value

    def _make_race(self, moved: str) -> Race:
        chosen = [name for use, name in USES.items() if self._value(use)]
        if not chosen:
            raise RefusedError(
                moved if moved in USES else "use_SGD", _("need at least one optimiser in the race")
            )
        surface = self._surface()
        start = self._value("start_x"), self._value("start_y")
        for name, at, reach in zip(
            ("start_x", "start_y"), start, (surface.x_range, surface.y_range), strict=True
        ):
            if not reach[0] <= at <= reach[1]:
                text = _("the map of {surface} reaches from {low:g} to {high:g}")
                reason = text.format(surface=_(surface.name), low=reach[0], high=reach[1])
                raise RefusedError(name, reason)
        makers = {name: self._maker(name) for name in chosen}
        return Race(surface, start, makers, self._value("noise"), self._value("seed"))

    def _surface(self) -> Surface:
        name = self._value("surface")
        return _bowl(self._value("condition")) if name == "bowl" else SURFACES[name]

    def _maker(self, name: str) -> Callable[[Iterable[Tensor]], Optimizer]:
        settings = {told: self._value(told) for told in TOLD[name]}
        lr = self._value(f"lr_{name}") * self._value("rate")
        return lambda params: OPTIMIZERS[name](params, lr=lr, **settings)

    def apply(self, name: str) -> None:
        """Take over a control's value, or obey a button."""
        if name not in SETTINGS:
            self.obey(name)
            return
        if name == "surface":
            self._suggest(self._suggestion())
            self._free_condition()
        self.race = self._make_race(name)
        self.accept(*SETTINGS)  # they were checked together

    def _suggestion(self) -> dict[str, float]:
        """Start and learning rates that suit the surface."""
        surface = SURFACES[self._value("surface")]
        start = dict(zip(("start_x", "start_y"), surface.start, strict=True))
        return dict(zip(LRS, RATES[surface.name], strict=True)) | start | {"rate": 1.0}

    def _suggest(self, values: dict[str, float]) -> None:
        """Take these values over, but for what was just set by hand."""
        self.show_values({name: v for name, v in values.items() if name not in self._wishes})

    def _free_condition(self) -> None:
        """Only a bowl has a condition number to choose."""
        self.controls["condition"].disabled = self._value("surface") != "bowl"

    # --- buttons ---

    def _on_play(self) -> None:
        if self.target >= LAST:
            self.stop(_("the race ends at step {step}; press Reset").format(step=self.target))
            return
        self._due, self._last_tick = 1.0, time.monotonic()
        super()._on_play()

    def _on_step(self) -> None:
        self._go_to(self.target + 1)
        self._on_pause()

    def _on_reset(self) -> None:
        self._go_to(0)
        self.stop(_("reset: all are at the start"))

    def _on_suggest(self) -> None:
        rates = self._suggestion()
        self._suggest({name: rates[name] for name in ("rate", *LRS)})
        self.race = self._make_race("suggest")
        self.accept(*SETTINGS)
        self.say(_("learning rates that suit this surface"))

    def _on_steps(self) -> None:
        self.target = self._value("steps")

    def _go_to(self, step: int) -> None:
        self.target = step
        self.show_values({"steps": min(step, LAST)})

    # --- work and picture ---

    def now(self) -> int:
        """The step shown."""
        return self.target

    def work(self) -> bool:
        """Raise the step that is due, and race to it for one slice of time at most."""
        if self.playing and self.race.step >= self.target:
            self._raise_target()
        end = time.monotonic() + self.slice
        while self.race.step < self.target and time.monotonic() < end:
            self.race.advance()
        behind = self.race.step < self.target
        self.breath = 0.0 if behind else SLICE  # waiting must not keep a core busy
        return self.playing or behind

    def _raise_target(self) -> None:
        now = time.monotonic()
        self._due += (now - self._last_tick) * self._value("speed")
        self._last_tick = now
        whole = min(int(self._due), LAST - self.target)
        self._due -= whole
        self._go_to(self.target + whole)
        if self.target >= LAST:
            self.stop(_("the race ends at step {step}").format(step=self.target))

    def steps(self, count: int) -> None:
        """Race so many steps further."""
        self._go_to(self.target + count)
        while self.race.step < self.target:
            self.race.advance()

    def compute(self) -> RaceView:
        """What the picture shows: the race up to the step shown."""
        shown = min(self.race.step, self.target)
        views = {name: self._view(racer, shown) for name, racer in self.race.racers.items()}
        return RaceView(self.race.surface, shown, views)

    def _view(self, racer: Racer, shown: int) -> RacerView:
        path = np.array(racer.path[: shown + 1])
        gone = racer.diverged is not None and racer.diverged <= shown
        return RacerView(
            path=path,
            losses=np.array(racer.losses[: shown + 1]),
            distance=float(self.race.surface.distance(torch.tensor(path[-1]))),
            diverged=racer.diverged if gone else None,
        )

    def draw(self, data: RaceView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _controls() -> dict[str, ipywidgets.Widget]:
    floats, logs = ipywidgets.FloatSlider, ipywidgets.FloatLogSlider
    rate = {"base": 10, "step": 0.1, "readout_format": ".1e", "layout": {"width": "180px"}}
    mean = {"min": 0.0, "max": 0.999, "step": 0.001, "readout_format": ".3f"}
    surfaces = [(_(name), name) for name in SURFACES]
    controls = {
        **{name: button(text) for name, text in _BUTTONS.items()},
        "steps": described(
            ipywidgets.IntSlider, "steps shown", value=0, max=LAST, layout={"width": "260px"}
        ),
        "speed": described(
            ipywidgets.SelectionSlider,
            "steps a second",
            options=[3, 10, 30, 100, 300],
            value=30,
            layout={"width": "225px"},
        ),
        "surface": described(ipywidgets.Dropdown, "surface", options=surfaces),
        "condition": described(logs, "condition number κ", value=10, base=10, min=0, max=3),
        "start_x": described(floats, "start x", value=0, min=-6, max=6, step=0.05),
        "start_y": described(floats, "start y", value=0, min=-6, max=6, step=0.05),
        "noise": described(floats, "noise in the gradient", value=0, min=0, max=20, step=0.1),
        "seed": described(ipywidgets.BoundedIntText, "seed", value=0, min=0, max=2**31 - 1),
        "rate": described(
            logs, "all learning rates ×", value=1, base=10, min=-2, max=2, readout_format=".2g"
        ),
        "momentum": described(floats, "momentum μ", value=0.9, **mean),
        "alpha": described(floats, "RMSprop α", value=0.99, **mean),
        "beta1": described(floats, "Adam β₁", value=0.9, **mean),
        "beta2": described(floats, "Adam β₂", value=0.999, **mean),
        "weight_decay": described(floats, "AdamW weight decay λ", value=0.01, max=1, step=0.01),
    }
    for use, name in USES.items():
        layout = {"width": "105px"}
        controls[use] = described(
            ipywidgets.Checkbox, name, value=True, indent=False, layout=layout
        )
    for lr in LRS:
        controls[lr] = described(logs, "η", value=0.01, min=-5, max=1, **rate)
    return controls


_BUTTONS = {
    "play": "Play",
    "pause": "Pause",
    "step": "Step",
    "reset": "Reset",
    "suggest": "Suggested rates",
}


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    def pick(*names: str) -> list[ipywidgets.Widget]:
        return [controls[name] for name in names]

    wrap = {"flex_flow": "row wrap"}
    racers = [ipywidgets.HBox(pick(*pair)) for pair in zip(USES, LRS, strict=True)]
    columns = [
        pick("surface", "condition", "start_x", "start_y", "noise", "seed"),
        racers,
        pick("rate", "momentum", "alpha", "beta1", "beta2", "weight_decay"),
    ]
    return [
        ipywidgets.HBox(pick(*_BUTTONS, "steps", "speed"), layout=wrap),
        ipywidgets.HBox([ipywidgets.VBox(column) for column in columns], layout=wrap),
    ]
