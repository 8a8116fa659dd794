"""The picture of GANLab: samples, losses, gradients, D's scores and modes, of one run or two."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from bigmodel_lib.language import _
from bigmodel_lib.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, mosaic
from bigmodel_lib.widgets.canvas import Canvas
from bigmodel_lib.widgets.curves import Marks, finite, linear_limits, reach, thin

COLUMNS = 6  # of the sample grid
BINS = 12
STYLES = ("-", "--")  # of run A and run B


@dataclass(frozen=True, eq=False)
class RunView:
    """What the picture shows of one run.

    Attributes:
        step: steps taken.
        samples: generated images (N, 1, 28, 28) in [-1, 1].
        history: of the run, by name, each (steps,).
        changes: of the run.
        real_scores, fake_scores: D's raw scores (M,).
        probability: whether σ(score) is D's belief that an image is real.
        shares: of the generated images in each class (C,).
        real: real images, like samples.
        class_names: what the classes are called (C,).
    """

    step: int
    samples: np.ndarray
    history: dict[str, np.ndarray]
    changes: tuple
    real_scores: np.ndarray
    fake_scores: np.ndarray
    probability: bool
    shares: np.ndarray
    real: np.ndarray
    class_names: tuple[str, ...]

    @property
    def modes(self) -> int:
        """Classes that get at least a fifth of their fair share."""
        return int((self.shares >= 0.2 / len(self.shares)).sum())


class GANLabPicture:
    """Keeps the figure and its artists, and brings them up to date."""

    def __init__(self):
        self._built_for = None

    def draw(self, views: Sequence[RunView]) -> str:
        """Update every artist; returns what the picture shows in words."""
        kind = (len(views), tuple(v.probability for v in views), views[0].class_names)
        if kind != self._built_for:
            self._build(views)
            self._built_for = kind
        self._draw_samples(views)
        self._draw_curves(views)
        self._draw_scores(views)
        self._draw_modes(views)
        self._draw_changes(views)
        return _summary(views)

    # --- what seldom changes ---

    def _build(self, views: Sequence[RunView]) -> None:
        self.canvas = Canvas(960, 560)
        grid = self.canvas.figure.add_gridspec(
            2, 3, width_ratios=(1.05, 1.25, 1.25),
            left=0.01, right=0.985, top=0.945, bottom=0.09, hspace=0.36, wspace=0.24,
        )  # fmt: skip
        axes = [[self.canvas.figure.add_subplot(grid[i, j]) for j in range(3)] for i in range(2)]
        (self._tile_a, self._loss, self._grad), (self._tile_b, self._score, self._mode) = axes
        for ax in (self._loss, self._grad, self._score, self._mode):
            ax.tick_params(labelsize=8)
            ax.spines[["top", "right"]].set_visible(False)
        self._tiles = [self._build_tile(ax, views[0]) for ax in (self._tile_a, self._tile_b)]
        self.canvas.moving(self._tiles[0], self._tile_a.title)
        layer = self.canvas.moving if len(views) > 1 else self.canvas.seldom  # real images stay
        layer(self._tiles[1], self._tile_b.title)
        self._loss_lines = self._build_curves(self._loss, _("loss"), len(views))
        self._grad_lines = self._build_curves(self._grad, _("gradient norm"), len(views))
        self._grad.set_yscale("log")
        self._grad.minorticks_off()  # they cost a third of a full drawing
        self._build_scores(views)
        self._build_modes(views)
        self._real: np.ndarray | None = None
        self._marks = Marks(self.canvas, self._loss)

    def _build_tile(self, ax: Axes, view: RunView):
        ax.set_axis_off()
        blank = mosaic(np.zeros_like(view.samples), COLUMNS)
        image = ax.imshow(blank, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
        ax.title.set_fontsize(10)
        return image

    def _build_curves(self, ax: Axes, ylabel: str, runs: int) -> list:
        lines = []
        for run in range(runs):
            for who, colour in (("D", BLUE), ("G", ORANGE)):
                label = f"{who} {'AB'[run]}" if runs > 1 else who
                lines += ax.plot([], [], STYLES[run], color=colour, lw=1, label=label)
        ax.set_xlabel(_("step"), fontsize=8, labelpad=1)
        ax.set_title(ylabel, fontsize=10, loc="left")
        ax.legend(fontsize=7, ncols=len(lines), loc="lower right", bbox_to_anchor=(1.02, 0.97),
                  frameon=False, handlelength=1.6, columnspacing=0.8)  # fmt: skip
        self.canvas.moving(*lines)
        return lines

    def _build_scores(self, views: Sequence[RunView]) -> None:
        self._stairs = []
        for run in range(len(views)):
            for who, colour in ((_("real"), BLUE), (_("generated"), ORANGE)):
                label = f"{who} {'AB'[run]}" if len(views) > 1 else who
                self._stairs.append(
                    self._score.stairs(
                        np.zeros(BINS),
                        np.linspace(0, 1, BINS + 1),
                        color=colour,
                        ls=STYLES[run],
                        lw=1.5,
                        label=label,
                    )
                )
        self.canvas.moving(*self._stairs)
        belief = all(view.probability for view in views)
        title = _("D's belief that an image is real") if belief else _("D's score (unbounded)")
        self._score.set_title(title, fontsize=10, loc="left")
        self._score.set_xlabel("σ(D)" if belief else "D", fontsize=8, labelpad=1)
        self._score.set_ylabel(_("share of images"), fontsize=8)
        self._score.legend(fontsize=7, frameon=False, ncols=2, loc="upper center")
        self._belief = belief

    def _build_modes(self, views: Sequence[RunView]) -> None:
        classes, width = len(views[0].shares), 0.8 / len(views)
        self._bars = []
        for run in range(len(views)):
            at = np.arange(classes) + (run - (len(views) - 1) / 2) * width
            colour = (PURPLE, GREEN)[run] if len(views) > 1 else ORANGE
            label = f"{_('run')} {'AB'[run]}"
            bars = self._mode.bar(at, np.zeros(classes), width, color=colour, label=label)
            self._bars.append(bars)
            self.canvas.moving(*bars)
        self._mode.axhline(1 / classes, color=GREY, ls="--", lw=1)
        if len(views) > 1:
            self._mode.legend(handles=self._bars, fontsize=7, frameon=False, loc="upper right")
        long = max(map(len, views[0].class_names)) > 2
        self._mode.set_xticks(
            range(classes), views[0].class_names, rotation=25 if long else 0,
            ha="right" if long else "center", fontsize=6.5 if long else 8,
        )  # fmt: skip
        self._mode.set_ylabel(_("share of images"), fontsize=8)
        self.canvas.seldom(self._mode.title)
        self._mode.title.set_fontsize(10)

    # --- what changes with every frame ---

    def _draw_samples(self, views: Sequence[RunView]) -> None:
        pictures = [view.samples for view in views] + [views[0].real]
        names = ["A", "B"] if len(views) > 1 else [_("generated"), _("real")]
        for tile, ax, images, name in zip(
            self._tiles, (self._tile_a, self._tile_b), pictures, names, strict=False
        ):
            tile.set_data(mosaic(images, COLUMNS))
            ax.title.set_text(name)
        for ax, view in zip((self._tile_a, self._tile_b), views, strict=False):
            ax.title.set_text(f"{ax.title.get_text()}, {_('step')} {view.step}")
        if len(views) == 1 and not np.array_equal(self._real, views[0].real):
            self._real = views[0].real  # other data
            self.canvas.relabel()

    def _draw_curves(self, views: Sequence[RunView]) -> None:
        end = reach(max(view.step for view in views))
        for ax, lines, names, limits in (
            (self._loss, self._loss_lines, ("d_loss", "g_loss"), linear_limits),
            (self._grad, self._grad_lines, ("d_grad", "g_grad"), _decade_limits),
        ):
            curves = [(view.history, name) for view in views for name in names]
            for line, (history, name) in zip(lines, curves, strict=True):
                line.set_data(*thin(history, name))
            self.canvas.limit(ax, (0, end), limits([line.get_ydata() for line in lines]))

    def _draw_scores(self, views: Sequence[RunView]) -> None:
        scores = [s for view in views for s in (view.real_scores, view.fake_scores)]
        if self._belief:
            scores = [1 / (1 + np.exp(-np.clip(s, -50, 50))) for s in scores]
            low, high = 0.0, 1.0
        else:
            low, high = linear_limits(scores)
        tallest = 0.0
        for stairs, values in zip(self._stairs, scores, strict=True):
            counts, edges = np.histogram(np.clip(values, low, high), BINS, (low, high))
            stairs.set_data(counts / len(values), edges)
            tallest = max(tallest, counts.max() / len(values))
        self.canvas.limit(self._score, (low, high), (0, _share_limit(tallest)))

    def _draw_modes(self, views: Sequence[RunView]) -> None:
        for bars, view in zip(self._bars, views, strict=True):
            for bar, share in zip(bars, view.shares, strict=True):
                bar.set_height(share)
        counts = [f"{view.modes}" for view in views]
        found = " | ".join(counts)
        text = _("modes covered: {found} of {classes}")
        title = text.format(found=found, classes=len(views[0].shares))
        if title != self._mode.get_title():
            self._mode.title.set_text(title)
            self.canvas.relabel()
        tallest = max(view.shares.max() for view in views)
        self.canvas.limit(
            self._mode, (-0.6, len(views[0].shares) - 0.4), (0, _share_limit(tallest))
        )

    def _draw_changes(self, views: Sequence[RunView]) -> None:
        run_names = len(views) > 1
        changes = tuple(
            dataclasses.replace(change, name=f"{'AB'[run]}: {change.name}") if run_names else change
            for run, view in enumerate(views)
            for change in view.changes
        )
        self._marks.show(changes)


def _decade_limits(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    values = finite(arrays)
    values = values[values > 0]
    if not len(values):
        return 0.1, 10.0
    low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
    low = max(low, high - 5)  # a gradient that vanishes runs off the bottom
    return float(10**low), float(10 ** max(high, low + 1))


def _share_limit(tallest: float) -> float:
    return next(limit for limit in (0.25, 0.5, 1.05) if tallest * 1.1 <= limit or limit > 1)


def _summary(views: Sequence[RunView]) -> str:
    text = _(
        "{run}step {step}: D loss {d_loss}, G loss {g_loss}; {modes} of {classes} modes covered"
    )
    lines = []
    for index, view in enumerate(views):
        last = {
            name: f"{column[-1]:.3g}" if len(column) and np.isfinite(column[-1]) else "–"
            for name, column in ((n, view.history.get(n, ())) for n in ("d_loss", "g_loss"))
        }
        run = f"{_('run')} {'AB'[index]}, " if len(views) > 1 else ""
        lines.append(
            text.format(run=run, step=view.step, modes=view.modes, classes=len(view.shares), **last)
        )
    return "; ".join(lines)
