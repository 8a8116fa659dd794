"""The picture of AdversarialLab: a digit before and after, ten probabilities, and a curve."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from bigmodel_lib.language import _
from bigmodel_lib.plots import BLUE, GREY, ORANGE
from bigmodel_lib.widgets.canvas import Canvas


@dataclass(frozen=True, eq=False)
class AdversarialView:
    """What the picture shows.

    Attributes:
        clean, attacked: pictures (28, 28) in [-1, 1].
        label: the true digit.
        before, after: probabilities (10,) of the clean and of the attacked picture.
        sizes: of attacks (n,), as shares of black to white.
        curve: probability of the true digit at each size (n,); noise: under noise as large.
        epsilon: size of the attack that is shown.
        attack, model: their names.
    """

    clean: np.ndarray
    attacked: np.ndarray
    label: int
    before: np.ndarray
    after: np.ndarray
    sizes: np.ndarray
    curve: np.ndarray
    noise: np.ndarray
    epsilon: float
    attack: str
    model: str


class AdversarialPicture:
    """Keeps the figure and its artists, and brings them up to date."""

    def __init__(self):
        self.canvas = Canvas(960, 430)
        places = ((0.01, 0.4, 0.2, 0.48), (0.225, 0.4, 0.2, 0.48), (0.44, 0.4, 0.2, 0.48))
        maps = (("gray", 1.0), ("RdBu_r", 1.0), ("gray", 1.0))
        shown = zip(places, maps, strict=True)
        self._images, self._titles = zip(*(self._image(*both) for both in shown), strict=True)
        self._bars = self._build_bars()
        self._build_curve()

    def _image(self, place, look):
        ax = self.canvas.figure.add_axes(place)
        ax.set_axis_off()
        colours, most = look
        image = ax.imshow(np.zeros((28, 28)), cmap=colours, vmin=-most, vmax=most)
        title = ax.set_title("", fontsize=9)
        self.canvas.moving(image, title)
        return image, title

    def _build_bars(self):
        ax = self.canvas.figure.add_axes((0.06, 0.11, 0.57, 0.19))
        ax.set(xlim=(-0.6, 9.6), ylim=(0, 1.02), xticks=range(10))
        ax.set_ylabel(_("probability"), fontsize=8)
        ax.set_xlabel(_("digit; grey: before, orange: after the attack"), fontsize=8, labelpad=1)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        bars = [self._ten(ax, -0.2, GREY), self._ten(ax, 0.2, ORANGE)]
        return bars

    def _ten(self, ax: Axes, offset: float, colour: str):
        bars = ax.bar(np.arange(10) + offset, np.zeros(10), 0.38, color=colour)
        self.canvas.moving(*bars)
        return bars

    def _build_curve(self) -> None:
        ax = self.canvas.figure.add_axes((0.715, 0.14, 0.275, 0.74))
        ax.set(xlim=(0, 0.4), ylim=(-0.02, 1.05))
        ax.set_xlabel(_("ε, share of black to white"), fontsize=9)
        ax.set_title(_("probability of the true digit"), fontsize=9)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        (self._noise,) = ax.plot([], [], color=BLUE, ls="--", label=_("noise"))
        (self._curve,) = ax.plot([], [], color=ORANGE, marker="o", ms=4, label=_("the attack"))
        self._here = ax.axvline(0, color=GREY, lw=1)
        ax.legend(fontsize=8, frameon=False, loc="center right")
        self.canvas.moving(self._noise, self._curve, self._here)

    def draw(self, view: AdversarialView) -> str:
        """Update every artist; returns what the picture shows in words."""
        change = view.attacked - view.clean
        most = max(float(np.abs(change).max()), 1e-9)
        for image, pixels in zip(
            self._images, (view.clean, change / most, view.attacked), strict=True
        ):
            image.set_data(pixels)
        read, sure = int(view.after.argmax()), float(view.after.max())
        texts = (
            _("held-out digit: {label}").format(label=view.label),
            _("the change, {times:.0f} times").format(times=1 / most),
            _("read as {read}, {sure:.0%}").format(read=read, sure=sure),
        )
        for title, text in zip(self._titles, texts, strict=True):
            title.set_text(text)
        for bars, heights in zip(self._bars, (view.before, view.after), strict=True):
            for bar, height in zip(bars, heights, strict=True):
                bar.set_height(height)
        self._curve.set_data(view.sizes, view.curve)
        self._noise.set_data(view.sizes, view.noise)
        self._here.set_xdata([view.epsilon] * 2)
        return _summary(view, read, sure)


def _summary(view: AdversarialView, read: int, sure: float) -> str:
    text = _(
        "a held-out {label}, {attack} of size ε = {epsilon:.2f} on the {model} network: read as "
        "{read} with {sure:.0%}; the true digit falls from {before:.0%} to {after:.0%}"
    )
    return text.format(
        label=view.label, attack=_(view.attack), epsilon=view.epsilon, model=_(view.model),
        read=read, sure=sure, before=view.before[view.label], after=view.after[view.label],
    )  # fmt: skip
