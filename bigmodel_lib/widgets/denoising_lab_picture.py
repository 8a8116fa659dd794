"""The picture of DenoisingLab: stations from noise to digit, and twelve drawings at one of them."""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps

from bigmodel_lib.language import _
from bigmodel_lib.plots import mosaic
from bigmodel_lib.widgets.canvas import Canvas, update
from bigmodel_lib.widgets.pixels import Cells

SHOWN = 9  # stations of one drawing
ORANGE = "#D55E00"
SPREAD = 1.0  # noise beyond it is shown as black or white
GAP = 3  # pixels of a picture, on either side of it


@dataclass(frozen=True, eq=False)
class DenoisingView:
    """What the picture shows.

    Attributes:
        digit: which was asked for.
        steps: how many.
        eta: share of fresh noise.
        at: the step looked at, 0 (noise) to steps (done).
        times: of each station (steps + 1,), T to 0.
        shown: steps of the stations in the upper rows (SHOWN,).
        stations, guesses: x_t, and the digit that is taken to be behind it (SHOWN, 1, h, w).
        now: all drawings at the step looked at (n, 1, h, w).
        signal: share of the digit in the picture there, √ᾱ.
    """

    digit: int
    steps: int
    eta: float
    at: int
    times: tuple[int, ...]
    shown: tuple[int, ...]
    stations: np.ndarray
    guesses: np.ndarray
    now: np.ndarray
    signal: float


class DenoisingLabPicture:
    """Keeps the figure and its artists, and brings them up to date.

    Args:
        drawings: how many there are side by side.
    """

    def __init__(self, drawings: int):
        self.canvas = Canvas(960, 520)
        self._kept: DenoisingView | None = None
        self._columns = drawings // 2
        self._stations, _title = self._panel((0.02, 0.745, 0.96, 0.165), _("the picture at step …"))
        self._guesses, _title = self._panel(
            (0.02, 0.505, 0.96, 0.165), _("… and the digit that the network takes to be behind it")
        )
        self._now, self._title = self._panel((0.15, 0.02, 0.7, 0.41), "")
        places = (np.arange(SHOWN) + 0.5) / SHOWN
        style = {"ha": "center", "va": "bottom", "fontsize": 9}
        ax = self._stations.axes
        self._steps = [ax.text(x, 1.02, "", transform=ax.transAxes, **style) for x in places]
        self.canvas.seldom(self._stations, self._guesses)  # they stay while one walks along
        self.canvas.moving(self._now, *self._steps, self._title)

    def _panel(self, place: tuple[float, float, float, float], title: str):
        ax = self.canvas.figure.add_axes(place)
        ax.set_axis_off()
        # the stations' own numbers stand between picture and title
        text = ax.set_title(title, fontsize=10, pad=19 if place[1] > 0.7 else 4)
        return Cells(ax, colormaps["gray"]), text

    def draw(self, view: DenoisingView) -> str:
        """Update every artist; returns what the picture shows in words."""
        self._draw_way(view)
        nearest = int(np.argmin(np.abs(np.array(view.shown) - view.at)))
        for i, (text, step) in enumerate(zip(self._steps, view.shown, strict=True)):
            again = i and view.shown[i - 1] == step  # fewer steps than places
            colour = ORANGE if view.shown[nearest] == step else "black"
            update(text, text="" if again else f"{step}", color=colour)
        _show(self._now, mosaic(view.now, self._columns))
        text = _("twelve drawings at step {at} of {steps}: t = {t}")
        self._title.set_text(text.format(at=view.at, steps=view.steps, t=view.times[view.at]))
        return _summary(view)

    def _draw_way(self, view: DenoisingView) -> None:
        kept, self._kept = self._kept, view
        if kept is not None and _same_way(kept, view):
            return
        _show(self._stations, _row(view.stations))
        _show(self._guesses, _row(view.guesses))
        self.canvas.relabel()


def _same_way(one: DenoisingView, other: DenoisingView) -> bool:
    pairs = (one.stations, other.stations), (one.guesses, other.guesses)
    return all(np.array_equal(*pair) for pair in pairs)


def _show(cells: Cells, picture: np.ndarray) -> None:
    cells.show(picture[::-1], -SPREAD, SPREAD)


def _row(pictures: np.ndarray) -> np.ndarray:
    """Pictures side by side with white between them."""
    padded = np.pad(pictures[:, 0], ((0, 0), (0, 0), (GAP, GAP)), constant_values=SPREAD)
    return np.concatenate(list(padded), axis=1)


def _summary(view: DenoisingView) -> str:
    text = _(
        "digit {digit} in {steps} steps with η = {eta:.2f}; shown is step {at}, time {t} of {T}, "
        "where the picture holds {signal} of the digit"
    )
    return text.format(
        digit=view.digit,
        steps=view.steps,
        eta=view.eta,
        at=view.at,
        t=view.times[view.at],
        T=view.times[0],
        signal=f"{view.signal:.0%}",
    )
