"""A figure that is drawn whole once, and then only where it moves."""

import io

from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image


class Canvas:
    """Turns a figure into PNG bytes, fast enough for live views.

    Axes, ticks and labels cost most of a drawing's time and seldom change, so they are kept as
    a background; each frame draws the moving artists on it. Never pyplot: it keeps one global
    state, and widgets are called from more than one thread.

    Args:
        width, height: pixels.
        dpi: pixels an inch, which scales text and lines.
    """

    def __init__(self, width: int, height: int, dpi: int = 100):
        self.figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
        self._agg = FigureCanvasAgg(self.figure)
        self._moving: list[Artist] = []
        self._background = None

    def moving(self, *artists: Artist) -> None:
        """Name artists that change from frame to frame."""
        for artist in artists:
            artist.set_animated(True)
            self._moving.append(artist)

    def redraw(self) -> None:
        """Something else changed (limits, labels): draw the background anew in the next frame."""
        self._background = None

    def png(self) -> bytes:
        """The picture as it is now."""
        if self._background is None:
            self._agg.draw()  # leaves out animated artists
            self._background = self._agg.copy_from_bbox(self.figure.bbox)
        self._agg.restore_region(self._background)
        for artist in self._moving:
            self.figure.draw_artist(artist)
        return png_bytes(self._agg.buffer_rgba())


def png_bytes(rgba) -> bytes:
    """RGBA pixels (height, width, 4) as a PNG, at the compression level that is fastest."""
    height, width = rgba.shape[:2]
    file = io.BytesIO()
    image = Image.frombuffer("RGBA", (width, height), rgba, "raw", "RGBA", 0, 1).convert("RGB")
    image.save(file, "png", compress_level=1)
    return file.getvalue()
