"""Cells as pixels: where imshow puts them."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bigmodel_lib.widgets.pixels import Cells


def drawn(extent, limits, cells: bool) -> np.ndarray:
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    colours[..., 3] = 255
    figure = Figure(figsize=(2.11, 1.57))
    ax = figure.add_axes((0.111, 0.123, 0.777, 0.711))
    if cells:
        Cells(ax).set_cells(colours, extent)
    else:
        ax.imshow(colours, extent=extent, origin="lower", aspect="auto", interpolation="nearest")
    ax.set(xlim=limits[:2], ylim=limits[2:])
    ax.set_axis_off()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def test_cells_lie_where_imshow_puts_them():
    extent = (-1.0, 13.0, 2.0, 7.0)
    for limits in (extent, (0.0, 9.0, 2.5, 6.5)):
        ours, theirs = (drawn(extent, limits, cells) for cells in (True, False))
        same = (ours == theirs).all(axis=2)
        inside = same[20:-20, 20:-20]
        assert inside.mean() > 0.97  # all but the pixels that lie on two cells
        assert (ours != 255).any()


def test_cells_follow_the_limits_and_the_colours():
    extent = (0.0, 7.0, 0.0, 5.0)
    assert (drawn(extent, extent, True) != drawn(extent, (0, 3, 0, 5), True)).any()
