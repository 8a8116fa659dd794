"""Cells as pixels: where imshow puts them."""

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bigmodel_lib.widgets.pixels import Cells

COLOURS = colormaps["magma"].with_extremes(bad="#00ff00")


def values() -> np.ndarray:
    """Some below the lowest colour's value, some above the highest one's, and one absent."""
    values = np.random.default_rng(0).uniform(-1.5, 1.5, (5, 7))
    values[2, 3] = np.nan
    return values


def drawn(extent, limits, cells: bool) -> np.ndarray:
    figure = Figure(figsize=(2.11, 1.57))
    ax = figure.add_axes((0.111, 0.123, 0.777, 0.711))
    if cells:
        Cells(ax, COLOURS).show(values(), -1.0, 1.0, extent)
    else:
        ax.imshow(
            values(), cmap=COLOURS, vmin=-1, vmax=1, extent=extent, origin="lower", aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
    ax.set(xlim=limits[:2], ylim=limits[2:])
    ax.set_axis_off()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def test_cells_lie_where_imshow_puts_them():
    extent = (-1.0, 13.0, 2.0, 7.0)
    for limits in (extent, (0.0, 9.0, 2.5, 6.5), (-1.0, 13.0, 7.0, 2.0)):
        ours, theirs = (drawn(extent, limits, cells) for cells in (True, False))
        same = (ours == theirs).all(axis=2)
        inside = same[20:-20, 20:-20]
        assert inside.mean() > 0.97  # all but the pixels that lie on two cells
        assert (ours == (0, 255, 0)).all(axis=2).any()  # what is absent has its own colour


def test_cells_follow_the_limits_and_the_colours():
    extent = (0.0, 7.0, 0.0, 5.0)
    assert (drawn(extent, extent, True) != drawn(extent, (0, 3, 0, 5), True)).any()
