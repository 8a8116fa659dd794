"""The picture of EfficiencyLab: misread digits against size, and against time."""

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import NullLocator

from bigmodel_lib.language import _
from bigmodel_lib.widgets.canvas import Canvas

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#777777"
STYLES = {"float32": ("o", BLUE), "bfloat16": ("s", GREEN), "int8": ("^", PURPLE)}
LOWEST = 0.14  # percent: below one digit of 360, stands for none on a log axis
TICKS = (LOWEST, 0.3, 1, 3, 10, 30, 90)


@dataclass(frozen=True, eq=False)
class EfficiencyView:
    """What the picture shows.

    Attributes:
        name: the combination in words.
        bytes, flops, wrong, micros: of it: file, operations for an image, share misread, and
            microseconds for an image.
        kept: its bytes, as a share of the float32 original's.
        is_best: no combination measured in advance is as small and better, or as good and smaller.
        tried: micros and share misread of all combinations that were tried, (n, 2).
        batch: images a pass, when time was measured.
        original: micros of the uncompressed network.
    """

    name: str
    bytes: int
    flops: int
    wrong: float
    micros: float
    kept: float
    is_best: bool
    tried: np.ndarray
    batch: int
    original: float


@dataclass(frozen=True, eq=False)
class Field:
    """All combinations that were measured in advance.

    Attributes:
        precision: of each (m,).
        bytes, wrong: file and share misread, (m,).
        front: indices of the best trade-offs, from the smallest file on.
    """

    precision: list[str]
    bytes: np.ndarray
    wrong: np.ndarray
    front: list[int]


def percent(share: np.ndarray | float) -> np.ndarray:
    """A share as a place on the log axis: percent, none of them at `LOWEST`."""
    return np.maximum(100 * np.asarray(share, dtype=float), LOWEST)


class EfficiencyPicture:
    """Keeps the figure and its artists, and brings them up to date.

    Args:
        field: drawn once.
    """

    def __init__(self, field: Field):
        self.canvas = Canvas(960, 440)
        self._build_size(field)
        self._build_time()

    def _axes(self, left: float, limits: tuple[float, float], xlabel: str):
        ax = self.canvas.figure.add_axes((left, 0.13, 0.405, 0.77))
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set(xlim=limits, ylim=(0.11, 110))
        ax.set_yticks(TICKS, ["0", *(f"{tick:g}" for tick in TICKS[1:])])
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_xlabel(xlabel, fontsize=9)
        ax.set_ylabel(_("held-out digits misread, %"), fontsize=9)
        ax.tick_params(labelsize=8)
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        return ax, ax.set_title("", fontsize=10)

    def _build_size(self, field: Field) -> None:
        label = _("file, kB")
        ax, self._title = self._axes(0.07, (0.5, 400), label)
        ax.set_xticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
        for precision, (marker, colour) in STYLES.items():
            rows = [i for i, name in enumerate(field.precision) if name == precision]
            points = field.bytes[rows] / 1000, percent(field.wrong[rows])
            ax.plot(*points, marker, color=colour, ms=4, alpha=0.75, mew=0, label=precision)
        best = field.bytes[field.front] / 1000, percent(field.wrong[field.front])
        ax.step(*best, where="post", color="black", lw=1.2, label=_("best trade-offs"))
        (self._here,) = ax.plot([], [], "o", mfc="none", mec=ORANGE, mew=3, ms=13)
        ax.legend(loc="lower left", fontsize=8, frameon=False)
        self.canvas.moving(self._here, self._title)

    def _build_time(self) -> None:
        label = _("time for an image, µs, measured here and now")
        ax, self._time_title = self._axes(0.575, (1, 30_000), label)
        ax.set_xticks([1, 10, 100, 1000, 10_000], ["1", "10", "100", "1,000", "10,000"])
        (self._tried,) = ax.plot([], [], "o", color=GREY, ms=6, label=_("tried before"))
        (self._now,) = ax.plot([], [], "o", mfc="none", mec=ORANGE, mew=3, ms=13, label=_("now"))
        (self._original,) = ax.plot(
            [], [], color="black", lw=1, ls="--", label=_("16 channels, uncompressed")
        )
        ax.legend(loc="lower right", fontsize=8, frameon=False, markerscale=0.6)
        self.canvas.moving(self._tried, self._original, self._now, self._time_title)

    def draw(self, view: EfficiencyView) -> str:
        """Update every artist; returns what the picture shows in words."""
        self._here.set_data([view.bytes / 1000], [percent(view.wrong)])
        self._now.set_data([view.micros], [percent(view.wrong)])
        self._tried.set_data(view.tried[:, 0], percent(view.tried[:, 1]))
        self._original.set_data([view.original] * 2, [0.11, 110])
        self._title.set_text(view.name)
        self._time_title.set_text(_("images a pass: {batch}").format(batch=view.batch))
        return _summary(view)


def _summary(view: EfficiencyView) -> str:
    text = _(
        "{name}: file {bytes} kB, {kept} of the original's; {flops} million operations for an "
        "image; misread {wrong} of the held-out digits; {micros} µs for an image on this machine, "
        "the original {original} µs. Of the combinations measured in advance, {best}"
    )
    best = _("none is at once smaller and better.") if view.is_best else _("some are better.")
    return text.format(
        name=view.name,
        bytes=f"{view.bytes / 1000:.1f}",
        kept=f"{view.kept:.1%}",
        flops=f"{view.flops / 1e6:.2f}",
        wrong=f"{view.wrong:.1%}",
        micros=f"{view.micros:.0f}",
        original=f"{view.original:.0f}",
        best=best,
    )
