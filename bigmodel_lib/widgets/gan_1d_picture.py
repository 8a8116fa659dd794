"""The picture of GAN1D: densities, D's answers, the push on G's samples, and V in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from bigmodel_lib.language import _
from bigmodel_lib.plots import BLUE, GREEN, ORANGE, PURPLE
from bigmodel_lib.widgets.canvas import Canvas
from bigmodel_lib.widgets.curves import round_up

SIDE = 7.0  # the picture shows x from −SIDE to SIDE
LOWEST = -4.0  # of V's axis: below, V only runs off the bottom
POINTS = 400  # of a curve: more than its panel has pixels
GOLD = "#E69F00"  # Wong 2011, as the others
PUSHES = {"saturating": (GOLD, "o"), "non-saturating": (PURPLE, "D")}


@dataclass(frozen=True, eq=False)
class GAN1DView:
    """What the picture shows.

    Attributes:
        x: the grid (N,).
        p, q: densities of the data and of G on it, (N,).
        trained, optimal: D(x) and D*(x), (N,).
        samples: of G, (M,), sorted.
        pushes: −d loss / dx at the samples (M,), > 0 to the right, by the name of G's loss.
        curves: the same on the grid, (N,).
        history: rows of D's steps, V(D, G), V(D*, G).
        d_steps, g_steps: steps taken.
        answer: whose gradient it is, in the reader's words.
        value, best: V(D, G) and V(D*, G), in nats.
        jsd, kl: JSD(p, q) and KL(p ‖ q), in nats.
        w1: Wasserstein-1 distance, in the unit of x.
        trained_on_real, optimal_on_real: mean of D and of D* over the real data.
    """

    x: np.ndarray
    p: np.ndarray
    q: np.ndarray
    trained: np.ndarray
    optimal: np.ndarray
    samples: np.ndarray
    pushes: Mapping[str, np.ndarray]
    curves: Mapping[str, np.ndarray]
    history: np.ndarray
    d_steps: int
    g_steps: int
    answer: str
    value: float
    best: float
    jsd: float
    kl: float
    w1: float
    trained_on_real: float
    optimal_on_real: float


class GAN1DPicture:
    """Keeps the figure and its artists, and brings them up to date."""

    def __init__(self):
        self.canvas = Canvas(960, 560)
        grid = self.canvas.figure.add_gridspec(
            3, 2, width_ratios=(1.5, 1), height_ratios=(1.15, 1, 1),
            left=0.078, right=0.985, top=0.95, bottom=0.08, hspace=0.36, wspace=0.18,
        )  # fmt: skip
        add = self.canvas.figure.add_subplot
        self._densities, self._answers, self._push = (add(grid[row, 0]) for row in range(3))
        self._value, self._numbers = add(grid[0, 1]), add(grid[1:, 1])
        for ax in (self._densities, self._answers, self._push, self._value):
            ax.tick_params(labelsize=8)
            ax.spines[["top", "right"]].set_visible(False)
        for ax in (self._densities, self._answers, self._push):
            ax.set_xlim(-SIDE, SIDE)
        # their limits follow what is shown; the zero of the push stays in the middle
        self.canvas.moving(self._densities.yaxis, self._push.yaxis)
        self.canvas.moving(self._value.xaxis, self._value.yaxis)
        self._build_densities()
        self._build_answers()
        self._build_push()
        self._build_value()
        self._build_numbers()

    def draw(self, view: GAN1DView) -> str:
        """Update every artist; returns what the picture shows in words."""
        shown = np.abs(view.x) <= SIDE
        x = view.x[shown]
        for line, values in zip(
            (*self._density_lines, *self._answer_lines),
            (view.p, view.q, view.trained, view.optimal),
            strict=True,
        ):
            line.set_data(x, values[shown])
        self._rug.set_data(view.samples, np.full(len(view.samples), 0.055))
        tallest = max(view.p.max(), view.q.max())
        self.canvas.limit(self._densities, (-SIDE, SIDE), (0, round_up(tallest * 1.05)))
        self._draw_push(view, shown)
        self._draw_value(view)
        self._draw_numbers(view)
        return _summary(view)

    # --- what seldom changes ---

    def _title(self, ax: Axes, text: str, ylabel: str) -> None:
        ax.set_title(text, fontsize=9, loc="left")
        ax.set_ylabel(ylabel, fontsize=8)
        ax.yaxis.set_label_coords(-0.105, 0.5)  # clear of the longest tick labels

    def _legend(self, ax: Axes) -> None:
        ax.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", handlelength=1.8,
                  bbox_to_anchor=(1.01, 0.95), columnspacing=1.2)  # fmt: skip

    def _build_densities(self) -> None:
        ax = self._densities
        (p,) = ax.plot([], [], color=BLUE, lw=1.8, label=_("real p(x)"))
        (q,) = ax.plot([], [], "--", color=ORANGE, lw=1.8, label=_("generated q(x)"))
        (self._rug,) = ax.plot(
            [], [], "|", color=ORANGE, ms=9, mew=1.2, label=_("samples of G"),
            transform=ax.get_xaxis_transform(),
        )  # fmt: skip
        self._density_lines = (p, q)
        self._title(ax, _("densities"), _("per unit of x"))
        self._legend(ax)
        self.canvas.moving(p, q, self._rug)

    def _build_answers(self) -> None:
        ax = self._answers
        (trained,) = ax.plot([], [], color=GREEN, lw=1.8, label=_("trained D"))
        (optimal,) = ax.plot([], [], "--", color="black", lw=1.3, label="D* = p / (p + q)")
        self._answer_lines = (trained, optimal)
        ax.set_ylim(-0.04, 1.04)
        self._title(ax, _("D's belief that x is real"), "D(x)")
        self._legend(ax)
        self.canvas.moving(trained, optimal)

    def _build_push(self) -> None:
        ax = self._push
        self._push_lines, self._push_dots = {}, {}
        for name, (colour, marker) in PUSHES.items():
            (line,) = ax.plot([], [], color=colour, lw=0.8)
            (dots,) = ax.plot([], [], marker, color=colour, ms=4, label=_(name))
            self._push_lines[name], self._push_dots[name] = line, dots
            self.canvas.moving(line, dots)
        ax.axhline(0, color="black", lw=0.6)
        self._title(ax, "", _("−d loss / dx"))
        self._push_title = ax.set_title("", fontsize=9, loc="left")
        self.canvas.moving(self._push_title)
        ax.set_xlabel("x", fontsize=8, labelpad=1)
        self._legend(ax)

    def _build_value(self) -> None:
        ax = self._value
        (value,) = ax.plot([], [], marker="o", ms=4, color=GREEN, lw=1.5, label="V(D, G)")
        (best,) = ax.plot([], [], "--", color="black", lw=1.2, label="V(D*, G)")
        self._value_lines = (value, best)
        self._title(ax, _("value, nats"), "")
        ax.set_xlabel(_("D's steps"), fontsize=8, labelpad=1)
        self._legend(ax)
        self.canvas.moving(value, best)

    def _build_numbers(self) -> None:
        ax = self._numbers
        ax.set_axis_off()
        ax.set(xlim=(0, 1), ylim=(len(_ROWS), -0.5))
        self._texts = []
        for row, name in enumerate(_ROWS):
            ax.text(0.0, row, _(name), fontsize=9, va="center")
            text = ax.text(1.0, row, "", fontsize=9, va="center", ha="right")
            self._texts.append(text)
        self.canvas.moving(*self._texts)

    # --- what changes with every frame ---

    def _draw_push(self, view: GAN1DView, shown: np.ndarray) -> None:
        text = _("push on G, by the {answer}")
        self._push_title.set_text(text.format(answer=_(view.answer)))
        for name in PUSHES:
            self._push_lines[name].set_data(view.x[shown], view.curves[name][shown])
            self._push_dots[name].set_data(view.samples, view.pushes[name])
        largest = max(np.abs(values).max() for values in view.pushes.values())
        limit = round_up(1.15 * largest)
        self.canvas.limit(self._push, (-SIDE, SIDE), (-limit, limit))

    def _draw_value(self, view: GAN1DView) -> None:
        every = max(1, len(view.history) // POINTS)
        steps, value, best = np.concatenate([view.history[::every], view.history[-1:]]).T
        for line, values in zip(self._value_lines, (value, best), strict=True):
            line.set_data(steps, values)
        self._value_lines[0].set_markevery([len(steps) - 1])
        reach = next(reach for reach in _ROUND if view.d_steps <= reach)
        low = np.floor(2 * max(LOWEST, min(value.min(), best.min()))) / 2
        self.canvas.limit(self._value, (0, reach), (low, 0.1))

    def _draw_numbers(self, view: GAN1DView) -> None:
        sizes = [f"{np.abs(view.pushes[name]).mean():.2g}" for name in PUSHES]
        values = (
            f"{view.d_steps}, {view.g_steps}",
            _signed(view.value),
            _signed(view.best),
            _signed(2 * view.jsd - np.log(4)),
            f"{view.jsd:.4f}",
            f"{view.kl:.3g}",
            f"{view.w1:.3f}",
            f"{view.trained_on_real:.3g} | {view.optimal_on_real:.3g}",
            *sizes,
        )
        for text, value in zip(self._texts, values, strict=True):
            text.set_text(value)


_ROWS = (
    "steps of D, of G",
    "V(D, G), nats",
    "V(D*, G), nats",
    "2·JSD − log 4, nats",
    "JSD(p, q), nats",
    "KL(p ‖ q), nats",
    "W₁(p, q), units of x",
    "mean on real data: D | D*",
    "mean size of G's gradient: saturating",
    "… non-saturating",
)
_ROUND = [lead * 10**zeros for zeros in range(1, 9) for lead in (1, 2, 5)]


def _signed(value: float) -> str:
    text = f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"
    return text.replace("-", "−")


def _summary(view: GAN1DView) -> str:
    text = _(
        "after {d} steps of D and {g} of G: V(D, G) = {value} nats; the best D would reach "
        "2·JSD − log 4 = {best}; D gives real data {on_real} on average, D* {best_on_real}; "
        "mean size of G's gradient from the {answer}: saturating {sat}, non-saturating {non}"
    )
    sat, non = (f"{np.abs(view.pushes[name]).mean():.2g}" for name in PUSHES)
    return text.format(
        d=view.d_steps, g=view.g_steps, value=_signed(view.value), best=_signed(view.best),
        on_real=f"{view.trained_on_real:.3g}", best_on_real=f"{view.optimal_on_real:.3g}",
        answer=_(view.answer), sat=sat, non=non,
    )  # fmt: skip
