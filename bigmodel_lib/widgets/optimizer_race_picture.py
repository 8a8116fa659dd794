"""The picture of OptimizerRace: paths on the map, losses, and how far each is from a minimum."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes

from bigmodel_lib.language import _
from bigmodel_lib.models.surfaces import Surface
from bigmodel_lib.plots import BLUE, GREEN, ORANGE, PURPLE
from bigmodel_lib.widgets.canvas import Canvas
from bigmodel_lib.widgets.ticks import SmallTicks

GOLD = "#E69F00"  # Wong 2011, as the others
COLOURS = ("black", BLUE, GREEN, ORANGE, PURPLE, GOLD)
DASHED = (0, (4, 2))  # two that often run together: the one beneath shows through
STYLES = ("-", "-", DASHED, "-", "-", DASHED)
MARKERS = "oDs^vP"  # the end of a path, for those who see no colours
MAP_POINTS = 241  # of each axis of the map
FLOOR = 1e-12  # losses below count as this, so that 0 has a place on a log axis
POINTS = 500  # of a curve or path: more than its panel has pixels


@dataclass(frozen=True, eq=False)
class RacerView:
    """What the picture shows of one optimiser.

    Attributes:
        path: points (n + 1, 2), the start included.
        losses: f − its lowest value at each of them, (n + 1,).
        distance: from the last point to the nearest minimum.
        diverged: the step that led out of all bounds, or None.
    """

    path: np.ndarray
    losses: np.ndarray
    distance: float
    diverged: int | None


@dataclass(frozen=True, eq=False)
class RaceView:
    """What the picture shows.

    Attributes:
        surface: where they race.
        step: steps taken.
        racers: by name.
    """

    surface: Surface
    step: int
    racers: Mapping[str, RacerView]


class OptimizerRacePicture:
    """Keeps the figure and its artists, and brings them up to date.

    Args:
        names: all optimisers that may race; each keeps its colour.
    """

    def __init__(self, names: list[str]):
        self._names = names
        self._style = {
            name: {"color": colour, "marker": marker, "ls": style}
            for name, colour, marker, style in zip(names, COLOURS, MARKERS, STYLES, strict=True)
        }
        self._surface: Surface | None = None
        self._build()

    def draw(self, view: RaceView) -> str:
        """Update every artist; returns what the picture shows in words."""
        if view.surface != self._surface:  # another map; the condition number makes one, too
            self._take_surface(view.surface)
            self._surface = view.surface
        for name in self._names:
            self._draw_racer(name, view.racers.get(name), view)
        self._limit(view)
        self._step.set_text(_("step {step}").format(step=view.step))
        start = next(iter(view.racers.values())).path[0]
        self._start.set_data(start[:1], start[1:])
        return _summary(view)

    # --- what seldom changes ---

    def _build(self) -> None:
        self.canvas = Canvas(960, 500)
        figure = self.canvas.figure
        self._map = figure.add_axes((0.055, 0.095, 0.47, 0.84))
        self._loss = figure.add_axes((0.605, 0.495, 0.38, 0.44))
        self._legend = figure.add_axes((0.545, 0.0, 0.455, 0.39))
        self._build_map()
        self._build_loss()
        self._build_legend()
        self._paths = {name: self._line(self._map, name) for name in self._names}
        self._curves = {name: self._line(self._loss, name) for name in self._names}
        # the minima lie above the paths that end there
        self.canvas.moving(self._minima, self._start)

    def _build_map(self) -> None:
        ax = self._map
        ax.set_xlabel(_("x; ☆ minima, ○ start"), fontsize=8, labelpad=1)
        ax.set_ylabel("y", fontsize=8, labelpad=0)
        ax.tick_params(labelsize=8)
        (self._start,) = ax.plot([], [], "o", mfc="white", mec="black", ms=8, mew=1.5)
        (self._minima,) = ax.plot([], [], "*", ms=13, mfc="none", mec="black", mew=1.2)
        self._contours: list = []
        self.canvas.seldom(ax)
        self.canvas.moving(ax.xaxis, ax.yaxis)

    def _take_surface(self, surface: Surface) -> None:
        for old in self._contours:
            old.remove()
        x = np.linspace(*surface.x_range, MAP_POINTS)
        y = np.linspace(*surface.y_range, MAP_POINTS)
        points = torch.tensor(np.stack(np.meshgrid(x, y), axis=-1))
        height = np.log10(surface(points).numpy() - surface.lowest + 1e-3)
        levels = np.linspace(height.min(), height.max(), 18)
        # steep is dark, but never so dark that a path is lost on it
        darkest = levels[-1] + 2 * (levels[-1] - levels[0])
        line = {"colors": "white", "linewidths": 0.5, "linestyles": "solid"}
        self._contours = [
            self._map.contourf(x, y, height, levels, cmap="Greys", vmax=darkest),
            self._map.contour(x, y, height, levels, **line),
        ]
        title = f"{_(surface.name)}: f = {surface.formula}"
        self._map.set_title(title, fontsize=9, loc="left", y=1)  # no place to be searched
        self._minima.set_data(*np.array(surface.minima).T)
        self.canvas.limit(self._map, surface.x_range, surface.y_range)
        self.canvas.relabel(surface)

    def _build_loss(self) -> None:
        self._loss.set_yscale("log")
        self._loss.set_title(_("loss above the minimum, f − min f"), fontsize=9, loc="left")
        self._loss.set_xlabel(_("step"), fontsize=8, labelpad=1)
        self._loss.tick_params(labelsize=8)
        self._loss.spines[["top", "right"]].set_visible(False)
        self._loss.yaxis.set_label_coords(0, 0)  # it has no name
        small = SmallTicks(self._loss.yaxis)
        self.canvas.moving(self._loss.xaxis, self._loss.yaxis, small)

    def _build_legend(self) -> None:
        ax = self._legend
        ax.set_axis_off()
        ax.set(xlim=(0, 1), ylim=(0, 8))
        head = {"fontsize": 8, "color": "#333333", "va": "center"}
        ax.text(0.5, 7.2, _("f − min f"), ha="right", **head)
        ax.text(0.97, 7.2, _("distance to the nearest minimum"), ha="right", **head)
        self._step = ax.text(0.02, 7.2, "", weight="bold", **head)
        self._rows = {}
        for row, name in enumerate(self._names):
            at = 6.1 - row
            (key,) = ax.plot([0.02, 0.075], [at, at], ms=6, markevery=[1], **self._style[name])
            texts = [
                ax.text(where, at, text, ha=side, va="center", fontsize=9)
                for where, side, text in (
                    (0.11, "left", _(name)),
                    (0.5, "right", ""),
                    (0.97, "right", ""),
                )
            ]
            self._rows[name] = (key, *texts)
            self.canvas.moving(key, *texts)
        self.canvas.moving(self._step)

    def _line(self, ax: Axes, name: str):
        (line,) = ax.plot([], [], lw=1.6, ms=6, mec="white", mew=0.6, **self._style[name])
        self.canvas.moving(line)
        return line

    # --- what changes with every frame ---

    def _draw_racer(self, name: str, racer: RacerView | None, view: RaceView) -> None:
        key, label, loss, distance = self._rows[name]
        for artist in (self._paths[name], self._curves[name], key, label, loss, distance):
            artist.set_visible(racer is not None)
        if racer is None:
            return
        pick = _thin(len(racer.path))
        self._paths[name].set_data(*racer.path[pick].T)
        self._curves[name].set_data(pick, np.maximum(racer.losses[pick], FLOOR))
        for line in (self._paths[name], self._curves[name]):
            line.set_markevery([len(pick) - 1])
        if racer.diverged is not None:
            loss.set_text("")
            distance.set_text(_("diverged at step {step}").format(step=racer.diverged))
        else:
            loss.set_text(_number(racer.losses[-1]))
            off = "" if _is_on(view.surface, racer.path[-1]) else _("off the map, ")
            distance.set_text(off + _number(racer.distance))

    def _limit(self, view: RaceView) -> None:
        reach = next(reach for reach in _ROUND if view.step <= reach)
        losses = [np.maximum(racer.losses, FLOOR) for racer in view.racers.values()]
        start = losses[0][0]
        low = np.floor(np.log10(min(values.min() for values in losses)))
        high = np.ceil(np.log10(max(values.max() for values in losses)))
        high = min(high, np.ceil(np.log10(start)) + 2)  # one that explodes hides not the others
        self.canvas.limit(self._loss, (0, reach), (10.0 ** min(low, high - 2), 10.0**high))


_ROUND = [lead * 10**zeros for zeros in range(1, 9) for lead in (1, 2, 5)]


def _thin(length: int) -> np.ndarray:
    """At most POINTS of so many indices, evenly, first and last included."""
    return np.unique(np.linspace(0, length - 1, min(length, POINTS)).round().astype(int))


def _is_on(surface: Surface, point: np.ndarray) -> bool:
    (left, right), (bottom, top) = surface.x_range, surface.y_range
    return bool(left <= point[0] <= right and bottom <= point[1] <= top)


def _number(value: float) -> str:
    return f"< {FLOOR:.0e}" if value < FLOOR else f"{value:.{2 if value < 1 else 3}g}"


def _summary(view: RaceView) -> str:
    going = {name: racer for name, racer in view.racers.items() if racer.diverged is None}
    parts = []
    if view.step == 0:
        text = _("all at the start, {distance} from the nearest minimum")
        parts.append(text.format(distance=_number(next(iter(going.values())).distance)))
    elif going:
        best = min(going, key=lambda name: going[name].distance)
        text = _("{name} is nearest to a minimum, {distance} away")
        parts.append(text.format(name=_(best), distance=_number(going[best].distance)))
    for name, racer in view.racers.items():
        if racer.diverged is not None:
            parts.append(
                _("{name} diverged at step {step}").format(name=_(name), step=racer.diverged)
            )
        elif not _is_on(view.surface, racer.path[-1]):
            parts.append(_("{name} is off the map").format(name=_(name)))
    head = _("{surface}, step {step}").format(surface=_(view.surface.name), step=view.step)
    return f"{head}: {'; '.join(parts)}"
