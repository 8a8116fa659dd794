"""The picture of VAELab: images, loss parts, what each coordinate says, and the latent plane."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from bigmodel_lib.language import _
from bigmodel_lib.plots import BLUE, GREY, ORANGE, mosaic
from bigmodel_lib.widgets.canvas import Canvas
from bigmodel_lib.widgets.curves import Marks, finite, linear_limits, reach, round_up, thin

WIDTH, HEIGHT = 960, 604  # pixels
SPAN = 3.0  # the plane is walked from −SPAN to SPAN in both directions
SIDE = 11  # images along a side of the plane's map
EDGE = SPAN * SIDE / (SIDE - 1)  # of the map: the outer images are centred on ±SPAN
COLUMNS = 8  # of the image panels
RANGES = (4, 6, 10, 15, 25, 50, 100, 250, 1000)  # of the plane's axes, so that they seldom change
SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
TEN = [to_hex(f"C{index}") for index in range(10)]


@dataclass(frozen=True, eq=False)
class VAEView:
    """What the picture shows. Images are (…, 1, 28, 28) in [-1, 1].

    Attributes:
        step: steps taken.
        beta: weight of the KL term.
        history: of the run, by name, each (steps,).
        changes: of the run.
        lowest: the least reconstruction loss that the data's grey pixels allow, nats an image.
        pairs: held-out images, each row of COLUMNS followed by a row of their reconstructions.
        samples: decoded from random codes.
        codes: two coordinates of the mean codes of held-out images (N, 2).
        labels: their classes (N,).
        kl: what each coordinate tells of a held-out image, nats (Z,).
        axes: which two coordinates the plane has, counted from 0.
        place: where the reader stands in the plane (2,).
        decoded: the image there.
        sheet: images of the whole plane (SIDE², …), the first row at the top.
        class_names: what the classes are called.
    """

    step: int
    beta: float
    history: dict[str, np.ndarray]
    changes: tuple
    lowest: float
    pairs: np.ndarray
    samples: np.ndarray
    codes: np.ndarray
    labels: np.ndarray
    kl: np.ndarray
    axes: tuple[int, int]
    place: tuple[float, float]
    decoded: np.ndarray
    sheet: np.ndarray
    class_names: tuple[str, ...]


def coordinate(index: int) -> str:
    """A coordinate's name; index 0 is z₁."""
    return "z" + str(index + 1).translate(SUBSCRIPT)


class VAELabPicture:
    """Keeps the figure and its artists, and brings them up to date.

    A step too far leaves a model whose answers are not finite, until the next step notices and
    the run goes back: what is not finite is left out of the picture.
    """

    def __init__(self):
        self._built_for = self._drawn = None

    def draw(self, view: VAEView) -> str:
        """Update every artist; returns what the picture shows in words."""
        kind = (len(view.kl), view.class_names, view.lowest)
        if kind != self._built_for:
            self._build(view)
            self._built_for, self._drawn = kind, None
        if view.pairs is not self._drawn:
            self._draw_images(view)
            self._draw_curves(view)
            self._draw_coordinates(view)
            self._draw_plane(view)
            self._marks.show(view.changes)
            self.canvas.relabel()
            self._drawn = view.pairs
        self._draw_place(view)
        return _summary(view)

    # --- what seldom changes ---

    def _axes(self, left: int, top: int, width: int, height: int) -> Axes:
        place = left / WIDTH, 1 - (top + height) / HEIGHT, width / WIDTH, height / HEIGHT
        ax = self.canvas.figure.add_axes(place)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        return ax

    def _build(self, view: VAEView) -> None:
        self.canvas = Canvas(WIDTH, HEIGHT)
        self._names: list = []
        self._build_images(view)
        self._build_curves(view)
        self._build_coordinates(view)
        self._build_plane(view)
        self._build_sheet(view)

    def _build_images(self, view: VAEView) -> None:
        text = _("held-out images, reconstructions below")
        self._pairs = self._image(self._axes(8, 22, 300, 224), mosaic(view.pairs, COLUMNS), text)
        text = _("decoded from random codes")
        self._samples = self._image(
            self._axes(8, 282, 300, 300), mosaic(view.samples, COLUMNS), text
        )
        self._decoded_ax = self._axes(510, 431, 130, 130)
        self._decoded = self._image(self._decoded_ax, view.decoded[0], "")
        self.canvas.seldom(self._pairs, self._samples)
        self.canvas.moving(self._decoded, self._decoded_ax.title)

    def _image(self, ax: Axes, blank: np.ndarray, title: str):
        ax.set_axis_off()
        ax.set_title(title, fontsize=9)
        return ax.imshow(blank, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")

    def _build_curves(self, view: VAEView) -> None:
        self._reconstruction, self._kl = (
            self._axes(362, 22, 280, 150),
            self._axes(362, 205, 280, 150),
        )
        self._lines = []
        for ax, title, colour in (
            (self._reconstruction, _("reconstruction loss, nats an image"), BLUE),
            (self._kl, _("KL, nats an image"), ORANGE),
        ):
            ax.set_title(title, fontsize=9, loc="left")
            self._lines += ax.plot([], [], color=colour, lw=1)
        self._reconstruction.axhline(view.lowest, color=GREY, ls="--", lw=1)
        self._reconstruction.set_xticklabels([])
        self._kl.set_xlabel(_("step"), fontsize=8, labelpad=1)
        self.canvas.seldom(*self._lines)
        self._marks = Marks(self.canvas, self._reconstruction, self._kl)

    def _build_coordinates(self, view: VAEView) -> None:
        ax = self._coordinates = self._axes(362, 431, 130, 115)
        Z = len(view.kl)
        ax.set_title(_("KL by coordinate"), fontsize=9, loc="left")
        ax.set_xlabel(_("coordinate of the code"), fontsize=8, labelpad=1)
        self._bars = ax.bar(range(1, Z + 1), np.zeros(Z))
        ax.set_xticks(range(1, Z + 1, -(-Z // 6)))
        self.canvas.seldom(*self._bars)

    def _build_plane(self, view: VAEView) -> None:
        ax = self._plane = self._axes(690, 22, 262, 218)
        ax.set_title(_("held-out images in the plane of the code"), fontsize=9, loc="right")
        self._add_names(ax)
        self._dots = []
        for label, colour in enumerate(TEN[: len(view.class_names)]):
            (dots,) = ax.plot(
                [], [], marker=f"${label}$", color=colour, ls="none", ms=5.5, mew=0.3,
                label=view.class_names[label],
            )  # fmt: skip
            self._dots.append(dots)
        if max(map(len, view.class_names)) > 2:  # a digit is its own name
            ax.legend(fontsize=6, frameon=False, loc="upper left", borderpad=0, labelspacing=0.1)
        frame = [-SPAN, SPAN, SPAN, -SPAN, -SPAN], [-SPAN, -SPAN, SPAN, SPAN, -SPAN]
        ax.plot(*frame, color=GREY, lw=0.8, ls="--")
        (self._cross,) = ax.plot([], [], "+", color="black", ms=16, mew=2.5)
        self.canvas.seldom(*self._dots)
        self.canvas.moving(self._cross)

    def _build_sheet(self, view: VAEView) -> None:
        ax = self._sheet_ax = self._axes(690, 296, 262, 262)
        ax.set_title(_("what each place decodes to"), fontsize=9, loc="right")
        self._sheet = ax.imshow(
            mosaic(view.sheet, SIDE, gap=0), cmap="gray", vmin=-1, vmax=1,
            extent=(-EDGE, EDGE, -EDGE, EDGE), aspect="auto", interpolation="antialiased",
        )  # fmt: skip
        ax.set_xticks(range(-3, 4))
        ax.set_yticks(range(-3, 4))
        self._add_names(ax)
        (self._square,) = ax.plot([], [], color=ORANGE, lw=2)
        self.canvas.seldom(self._sheet)
        self.canvas.moving(self._square)

    def _add_names(self, ax: Axes) -> None:
        """Places for the names of both axes; an axis' own label would be in the background."""
        style = {"transform": ax.transAxes, "fontsize": 9}
        across = ax.text(0.5, -0.1, "", ha="center", va="top", **style)
        upwards = ax.text(-0.1, 0.5, "", ha="center", va="center", rotation=90, **style)
        self._names.append((across, upwards))
        self.canvas.seldom(across, upwards)

    # --- what changes with every step ---

    def _draw_images(self, view: VAEView) -> None:
        self._pairs.set_data(mosaic(view.pairs, COLUMNS))
        self._samples.set_data(mosaic(view.samples, COLUMNS))
        self._sheet.set_data(mosaic(view.sheet, SIDE, gap=0))

    def _draw_curves(self, view: VAEView) -> None:
        end = reach(view.step)
        for ax, line, name in (
            (self._reconstruction, self._lines[0], "reconstruction"),
            (self._kl, self._lines[1], "kl"),
        ):
            line.set_data(*thin(view.history, name))
            known = [line.get_ydata()]
            if name == "reconstruction":
                known.append([view.lowest] * 2)
            self.canvas.limit(ax, (0, end), linear_limits(known, zero=name == "kl"))

    def _draw_coordinates(self, view: VAEView) -> None:
        for index, (bar, nats) in enumerate(zip(self._bars, view.kl, strict=True)):
            bar.set_height(nats if np.isfinite(nats) else 0)
            bar.set_facecolor(ORANGE if index in view.axes else GREY)
        limits = 0.0, round_up(max(0.1, 1.05 * float(finite([view.kl]).max(initial=0))))
        self.canvas.limit(self._coordinates, (0.3, len(view.kl) + 0.7), limits)

    def _draw_plane(self, view: VAEView) -> None:
        for labels in self._names:
            for label, axis in zip(labels, view.axes, strict=True):
                label.set_text(coordinate(axis))
        for label, dots in enumerate(self._dots):
            dots.set_data(*view.codes[view.labels == label].T)
        size = float(np.quantile(np.append(np.abs(finite([view.codes.ravel()])), 0), 0.99))
        side = next((side for side in RANGES if size <= side), RANGES[-1])
        self.canvas.limit(self._plane, (-side, side), (-side, side))

    # --- what changes as the reader walks ---

    def _draw_place(self, view: VAEView) -> None:
        self._decoded.set_data(view.decoded[0])
        x, y = view.place
        at = [
            f"{coordinate(index)} = {value:.2f}"
            for index, value in zip(view.axes, view.place, strict=True)
        ]
        self._decoded_ax.title.set_text(", ".join(at).replace("-", "−"))
        half = EDGE / SIDE
        corners = np.array([[-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1]]) * half
        self._square.set_data(x + corners[0], y + corners[1])
        self._cross.set_data([x], [y])


def _summary(view: VAEView) -> str:
    text = _(
        "step {step}, β = {beta:g}, Z = {Z}: reconstruction {reconstruction}, KL {kl} nats an "
        "image in the last batch; {used} of {Z} coordinates say more than 0.1 nat; "
        "{a} = {x:.2f} and {b} = {y:.2f} decode to the digit shown"
    )
    last = {
        name: f"{values[-1]:.1f}" if len(values) else "–"
        for name, values in ((n, view.history.get(n, ())) for n in ("reconstruction", "kl"))
    }
    a, b = map(coordinate, view.axes)
    return text.format(
        step=view.step, beta=view.beta, Z=len(view.kl), used=int((view.kl > 0.1).sum()),
        a=a, b=b, x=view.place[0], y=view.place[1], **last,
    )  # fmt: skip


def rows_of_pairs(real: Sequence, rebuilt: Sequence) -> np.ndarray:
    """Rows of COLUMNS images, each followed by the row of their reconstructions."""
    rows = [
        array.reshape(-1, COLUMNS, *array.shape[1:]) for array in map(np.asarray, (real, rebuilt))
    ]
    return np.stack(rows, axis=1).reshape(-1, *np.shape(real)[1:])
