"""Curves of a run in a live picture: few points, axes that change seldom, marks of changes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bigmodel_lib.plots import mark_changes
from bigmodel_lib.widgets.canvas import Canvas

POINTS = 400  # of a curve: more than its panel has pixels


def thin(history: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of a run's history, at most about 2 · POINTS; NaN if never measured."""
    values = history.get(name, np.full(len(history["step"]), np.nan))
    every = max(1, len(values) // POINTS)
    return history["step"][::every], values[::every]


def reach(step: int) -> int:
    """Where the step axis ends: 100, 200, 400, …"""
    return 100 * 2 ** max(0, int(np.ceil(np.log2(max(step, 1) / 100))))


def finite(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """All values that are finite, in one array."""
    values = np.concatenate([np.asarray(array, dtype=float) for array in arrays])
    return values[np.isfinite(values)]


def linear_limits(arrays: Sequence[np.ndarray], *, zero: bool = True) -> tuple[float, float]:
    """Round limits that change seldom: a change costs a full drawing.

    Args:
        arrays: values; but for one in two hundred at either end, all are within the limits.
        zero: whether 0 is within the limits, too.
    """
    values = finite(arrays)
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, (0.5, 99.5))
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    ticks = MaxNLocator(4).tick_values(low, max(high, low + 1e-6))
    return float(ticks[0]), float(ticks[-1])


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, …, so that an axis changes seldom; at least a millionth."""
    lead = 10.0 ** np.floor(np.log10(max(value, 1e-6)))
    return float(next(lead * step for step in (1, 2, 5, 10) if value <= lead * step * (1 + 1e-9)))


class Marks:
    """Where a setting changed: dotted lines on some axes, named on the first of them.

    Args:
        canvas: of the axes.
        named: the axes that carry the names.
        others: axes with lines alone.
    """

    def __init__(self, canvas: Canvas, named: Axes, *others: Axes):
        self._canvas, self._named, self._others = canvas, named, others
        self._artists: list = []
        self._shown: tuple = ()

    def show(self, changes: Sequence) -> None:
        """Mark these changes, and no others."""
        if tuple(changes) == self._shown:
            return
        for artist in self._artists:
            artist.remove()
        self._artists = mark_changes(changes, ax=self._named)
        for ax in self._others:
            self._artists += mark_changes(changes, ax=ax, last=0)
        self._shown = tuple(changes)
        self._canvas.redraw()
