"""A figure that is drawn whole once, and then only where it moves."""

import math
import struct
import zlib

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

KEPT = 16  # layers of labels, of about 2 MB each


class Canvas:
    """Turns a figure into PNG bytes, fast enough for live views.

    Axes, ticks and labels cost most of a drawing's time and seldom change, so they are kept as
    a background; each frame draws the moving artists on it. Between the two lie artists that
    change now and then, such as a sentence along an axis. Never pyplot: it keeps one global
    state, and widgets are called from more than one thread.

    Args:
        width, height: pixels.
        dpi: pixels an inch, which scales text and lines.
    """

    def __init__(self, width: int, height: int, dpi: int = 100):
        # a hair more: 57 / 100 * 100 is 56.999…, and Agg cuts off what is behind the point
        inches = [math.nextafter(pixels / dpi, math.inf) for pixels in (width, height)]
        self.figure = Figure(figsize=inches, dpi=dpi)
        self._agg = FigureCanvasAgg(self.figure)
        self._moving: list[Artist] = []
        self._seldom: list[Artist] = []
        self._background = self._labelled = self._key = None
        self._layers: dict[object, object] = {}

    def moving(self, *artists: Artist) -> None:
        """Name artists that change from frame to frame."""
        self._take_out(artists, self._moving)

    def seldom(self, *artists: Artist) -> None:
        """Name artists that change now and then; call `relabel` when they do."""
        self._take_out(artists, self._seldom)

    def _take_out(self, artists: tuple[Artist, ...], layer: list[Artist]) -> None:
        for artist in artists:
            artist.set_animated(True)
            layer.append(artist)
        self.redraw()  # or their first places would stay in the background

    def redraw(self) -> None:
        """Something else changed (limits, ticks): draw the background anew in the next frame."""
        self._background = self._labelled = None
        self._layers.clear()

    def limit(self, ax: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Set the limits of axes; only where they change does it cost a full drawing."""
        if ax.get_xlim() != x or ax.get_ylim() != y:
            ax.set(xlim=x, ylim=y)
            self.redraw()

    def relabel(self, key: object = None) -> None:
        """An artist named to `seldom` changed: draw that layer anew in the next frame.

        Args:
            key: what the whole layer says, where that comes again: then it is kept and not
                drawn a second time. Text is the slowest thing to draw.
        """
        self._key, self._labelled = key, self._layers.get(key)

    def png(self) -> bytes:
        """The picture as it is now."""
        if self._background is None:
            self._agg.draw()  # leaves out animated artists
            self._background = self._agg.copy_from_bbox(self.figure.bbox)
        if self._labelled is None:
            self._labelled = self._draw_on(self._background, self._seldom)
            self._keep_layer()
        self._draw_on(self._labelled, self._moving, keep=False)
        return png_bytes(self._agg.buffer_rgba())

    def _keep_layer(self) -> None:
        if self._key is None:
            return
        if len(self._layers) >= KEPT:
            del self._layers[next(iter(self._layers))]  # the oldest
        self._layers[self._key] = self._labelled

    def _draw_on(self, region, artists: list[Artist], keep: bool = True):
        self._agg.restore_region(region)
        for artist in artists:
            self.figure.draw_artist(artist)
        return self._agg.copy_from_bbox(self.figure.bbox) if keep else None


def png_bytes(rgba) -> bytes:
    """RGBA pixels (height, width, 4), uint8, as a PNG without transparency.

    PNG (third edition, W3C 2025): signature, header, zlib stream of the rows, end. Every row
    has filter 0 (none): libraries try all five filters on every row, which takes longer than
    the compression and saves a tenth of the bytes on figures.
    """
    rgb = np.asarray(rgba)[..., :3]
    height, width = rgb.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each begins with its filter, 0
    rows[:, 1:] = rgb.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, colour type RGB
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
