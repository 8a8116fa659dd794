"""The picture of DrawDigit: what the network sees, an attribution map, ten probabilities."""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from bigmodel_lib.attribution import METHODS
from bigmodel_lib.language import _
from bigmodel_lib.plots.attribution import map_colours
from bigmodel_lib.widgets.canvas import Canvas

BLUE, GREY = "#0072B2", "#BBBBBB"
NOTHING = 1e-6  # a map whose values are all smaller is 0, but for rounding
NINTHS = (
    *("upper left", "upper middle", "upper right"),
    *("middle left", "centre", "middle right"),
    *("lower left", "lower middle", "lower right"),
)


@dataclass(frozen=True, eq=False)
class DrawDigitView:
    """What the picture shows.

    Attributes:
        image: what the network sees (28, 28) in [-1, 1].
        probabilities: of the digits (10,).
        explained: the digit whose score the map explains.
        map: (28, 28), in the method's unit.
        method: a name in `METHODS`.
        network: its name.
        page: which test digit is below the strokes; "" for none.
        strokes: how many are drawn.
    """

    image: np.ndarray
    probabilities: np.ndarray
    explained: int
    map: np.ndarray
    method: str
    network: str
    page: str
    strokes: int


class DrawDigitPicture:
    """Keeps the figure and its artists, and brings them up to date."""

    def __init__(self):
        self.canvas = Canvas(690, 300)
        self._words: tuple[str, ...] = ()
        self._seen = self._add_picture(0.01, "gray")
        self._seen.set_clim(-1, 1)
        self._seen.axes.set_title(_("what the network sees"), fontsize=9)
        self._map = self._add_picture(0.36, "RdBu_r")
        self._map_title = self._map.axes.set_title("", fontsize=9)
        style = {"transform": self._map.axes.transAxes, "ha": "center", "va": "top", "fontsize": 8}
        self._scale = self._map.axes.text(0.5, -0.03, "", **style)
        self._build_bars()
        self.canvas.moving(self._scale)
        self.canvas.seldom(self._map_title, self._bar_title)

    def _add_picture(self, left: float, cmap: str) -> AxesImage:
        ax = self.canvas.figure.add_axes((left, 0.1, 0.32, 0.74))
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        image = ax.imshow(np.zeros((28, 28)), cmap=cmap, interpolation="nearest")
        self.canvas.moving(image)
        return image

    def _build_bars(self) -> None:
        ax = self._bar_axes()
        self._bars = ax.barh(range(10), np.zeros(10), color=GREY)
        style = {"va": "center", "fontsize": 8}
        self._shares = [ax.text(0, digit, "", **style) for digit in range(10)]
        self._bar_title = ax.set_title("", fontsize=9)
        self.canvas.moving(*self._bars, *self._shares)

    def _bar_axes(self) -> Axes:
        ax = self.canvas.figure.add_axes((0.745, 0.1, 0.235, 0.74))
        ax.set(xlim=(0, 1.3), ylim=(9.6, -0.6), xticks=[], yticks=range(10))
        ax.tick_params(labelsize=9, length=0)
        ax.spines[:].set_visible(False)
        return ax

    def draw(self, view: DrawDigitView) -> str:
        """Update every artist; returns what the picture shows in words."""
        self._seen.set_data(view.image)
        self._draw_map(view)
        self._draw_bars(view)
        self._draw_titles(view)
        return _summary(view)

    def _draw_map(self, view: DrawDigitView) -> None:
        method, most = METHODS[view.method], _most(view)
        self._map.set_data(view.map)
        self._map.set_cmap(colormaps[map_colours(method.signed)])
        limit = most or 1.0
        self._map.set_clim(-limit if method.signed else 0, limit)
        text = _("full colour: {most} ({unit})").format(most=f"{most:.2g}", unit=_(method.unit))
        self._scale.set_text(text if most else _("0 everywhere"))

    def _draw_bars(self, view: DrawDigitView) -> None:
        best = int(view.probabilities.argmax())
        for digit, (bar, text) in enumerate(zip(self._bars, self._shares, strict=True)):
            share = float(view.probabilities[digit])
            bar.set_width(share)
            bar.set_color(BLUE if digit == best else GREY)
            text.set_text(f"{share:.1%}" if share >= 0.001 else "")
            text.set_x(share + 0.02)

    def _draw_titles(self, view: DrawDigitView) -> None:
        reads = _("{network} reads {digit}")
        reads = reads.format(network=view.network, digit=int(view.probabilities.argmax()))
        words = (f"{_(view.method)}\n{_what(view)}", reads)
        if words != self._words:
            self._words = words
            self._map_title.set_text(words[0])
            self._bar_title.set_text(words[1])
            self.canvas.relabel()


def _most(view: DrawDigitView) -> float:
    """The largest size in the map."""
    most = float(np.abs(view.map).max())
    return most if most > NOTHING else 0.0


def _what(view: DrawDigitView) -> str:
    """How to read the map's colours."""
    if METHODS[view.method].signed:
        return _("red: for {digit}, blue: against").format(digit=view.explained)
    return _("dark: the score of {digit} depends on it").format(digit=view.explained)


def _summary(view: DrawDigitView) -> str:
    first, second = view.probabilities.argsort()[::-1][:2]
    text = _(
        "{page}; {network} reads {first} ({p1}), then {second} ({p2}); {method}, {what}; {where}"
    )
    return text.format(
        page=_page(view),
        network=view.network,
        first=first,
        second=second,
        p1=f"{view.probabilities[first]:.1%}",
        p2=f"{view.probabilities[second]:.1%}",
        method=_(view.method),
        what=_what(view),
        where=_where(view),
    )


def _page(view: DrawDigitView) -> str:
    strokes = _("strokes: {count}").format(count=view.strokes)
    if view.page:
        return f"{view.page}, {strokes}" if view.strokes else view.page
    return strokes if view.strokes else _("an empty page")


def _where(view: DrawDigitView) -> str:
    """Which ninth of the page holds most of the map, and the signs."""
    if not _most(view):
        return _("the map is 0 everywhere")
    size = np.abs(view.map)
    ninths = np.add.reduceat(np.add.reduceat(size, (0, 9, 19), axis=0), (0, 9, 19), axis=1)
    where = _("most of it: {place}").format(place=_(NINTHS[int(ninths.argmax())]))
    if not METHODS[view.method].signed:
        return where
    share = f"{view.map.clip(min=0).sum() / size.sum():.0%}"
    return where + ", " + _("for: {share}").format(share=share)
