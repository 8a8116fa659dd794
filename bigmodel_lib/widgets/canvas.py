"""A figure that is drawn whole once, and then only where it moves."""

import math
import struct
import zlib
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

KEPT = 16  # layers of labels, of about 2 MB each; of an axis' ticks, a few kB each


class Stamp(NamedTuple):
    """What an artist painted.

    Attributes:
        pixels: RGBA (height, width, 4), uint8, the lowest row first, transparent beside it.
        left, bottom: where they belong, in pixels.
    """

    pixels: np.ndarray
    left: int
    bottom: int


class Canvas:
    """Turns a figure into PNG bytes, fast enough for live views.

    Axes, ticks and labels cost most of a drawing's time and seldom change, so they are kept as
    a background; each frame draws the moving artists on it. Between the two lie artists that
    change now and then, such as a sentence along an axis. Never pyplot: it keeps one global
    state, and widgets are called from more than one thread.

    Of the moving artists, text is the slowest to draw, so its pixels are kept while it stays as
    it is, and those of an axis (ticks, their labels, its name) for each of its limits.

    Args:
        width, height: pixels.
        dpi: pixels an inch, which scales text and lines.
    """

    def __init__(self, width: int, height: int, dpi: int = 100):
        # a hair more: 57 / 100 * 100 is 56.999…, and Agg cuts off what is behind the point
        inches = [math.nextafter(pixels / dpi, math.inf) for pixels in (width, height)]
        self.figure = Figure(figsize=inches, dpi=dpi)
        self._agg = FigureCanvasAgg(self.figure)
        self._empty = RendererAgg(width, height, dpi)  # where stamps are cut
        self._moving: list[Artist] = []
        self._seldom: list[Artist] = []
        self._background = self._labelled = self._key = None
        self._layers: dict[object, object] = {}
        self._stamps: dict[Artist, dict[object, Stamp]] = {}

    def moving(self, *artists: Artist) -> None:
        """Name artists that change from frame to frame.

        `ax.xaxis` or `ax.yaxis` among them may get other limits by `limit` without a full
        drawing, if nothing but moving artists depends on these limits. For an axis that has no
        name, `set_label_coords(0, 0)` saves a third: or all ticks are measured to place it.
        """
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
        self._stamps.clear()

    def limit(self, ax: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Set the limits of axes; only where they change does it cost a full drawing.

        Not even there, if what changes was named to `moving`.
        """
        before = (ax.xaxis, ax.get_xlim(), x), (ax.yaxis, ax.get_ylim(), y)
        changed = [axis for axis, now, wanted in before if now != wanted]
        if not changed:
            return
        ax.set(xlim=x, ylim=y)
        if _is_shared(ax) or not all(axis in self._moving for axis in changed):
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
            if self._key is not None:
                _keep(self._layers, self._key, self._labelled)
        self._agg.restore_region(self._labelled)
        for artist in self._moving:
            self._draw_moving(artist)
        return png_bytes(self._agg.buffer_rgba())

    def _draw_on(self, region, artists: list[Artist]):
        self._agg.restore_region(region)
        for artist in artists:
            self.figure.draw_artist(artist)
        return self._agg.copy_from_bbox(self.figure.bbox)

    def _draw_moving(self, artist: Artist) -> None:
        # an annotation is tied to points that do not say when they move
        if not isinstance(artist, Axis | Text) or isinstance(artist, Annotation):
            self.figure.draw_artist(artist)
            return
        stamps, state = self._stamps.setdefault(artist, {}), _state(artist)
        if artist.stale and isinstance(artist, Text):
            stamps.clear()
        if state not in stamps:
            _keep(stamps, state, self._cut(artist))
        pixels, *place = stamps[state]
        renderer = self._agg.get_renderer()
        renderer.draw_image(renderer.new_gc(), *place, pixels)

    def _cut(self, artist: Artist) -> Stamp:
        self._empty.clear()
        artist.draw(self._empty)
        artist.stale = False  # empty text stays stale otherwise
        pixels = np.asarray(self._empty.buffer_rgba())
        painted = pixels.view(np.uint32)[..., 0] != _CLEAR
        rows, columns = (np.flatnonzero(painted.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return Stamp(np.zeros((1, 1, 4), dtype=np.uint8), 0, 0)
        cut = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return Stamp(cut[::-1].copy(), int(columns[0]), len(pixels) - 1 - int(rows[-1]))


# a pixel that nobody painted: Agg's transparent white
_CLEAR = np.array([255, 255, 255, 0], dtype=np.uint8).view(np.uint32)[0]


def _state(artist: Axis | Text) -> tuple:
    """What changes how it looks without its being told: limits and name, or its place."""
    if isinstance(artist, Axis):
        return (*artist.get_view_interval(), artist.get_label_text())
    return tuple(artist.get_transform().transform(artist.get_unitless_position()))


def _keep(store: dict, key: object, value: object) -> None:
    """Keep a value, and of many the last KEPT."""
    if len(store) >= KEPT:
        del store[next(iter(store))]
    store[key] = value


def _is_shared(ax: Axes) -> bool:
    """Whether other axes follow the limits of these."""
    groups = ax.get_shared_x_axes(), ax.get_shared_y_axes()
    return any(len(group.get_siblings(ax)) > 1 for group in groups)


def update(artist: Artist, **properties) -> None:
    """Set those properties (of `Artist.set`) that differ: what is set counts as changed."""
    now = {name: getattr(artist, f"get_{name}")() for name in properties}
    artist.set(**{name: value for name, value in properties.items() if value != now[name]})


def png_bytes(rgba) -> bytes:
    """RGBA pixels (height, width, 4), uint8, as a PNG without transparency.

    PNG (third edition, W3C 2025): signature, header, zlib stream of the rows, end. Every row
    has filter 0 (none): libraries try all five filters on every row, which takes longer than
    the compression and saves a tenth of the bytes on figures.
    """
    rgb = np.asarray(rgba)[..., :3]
    height, width = rgb.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each begins with its filter, 0
    for channel in range(3):  # by far faster than all at once: three bytes of four are copied
        rows[:, 1 + channel :: 3] = rgb[..., channel]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, colour type RGB
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
