"""The picture of PipelineLab: learning curves, the features' spread, and both runs in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.lines import Line2D

from bigmodel_lib.language import _
from bigmodel_lib.plots import BLUE, GREEN, GREY, ORANGE
from bigmodel_lib.training.table import PARTS
from bigmodel_lib.widgets.canvas import Canvas
from bigmodel_lib.widgets.curves import finite, reach
from bigmodel_lib.widgets.ticks import SmallTicks

COLOURS = dict(zip(PARTS, (BLUE, GREEN, ORANGE), strict=True))
LOWEST = 1e-5  # of the loss axis, and of the axis of spreads
RUNS = ("now", "kept")


@dataclass(frozen=True, eq=False)
class PipelineView:
    """What the picture shows of one run.

    Attributes:
        label: its settings, in words.
        step: steps taken.
        last: step at which the run ends.
        history: "step", and "train loss", "test accuracy" and so on; NaN where not measured.
        now: the same values as they are now, without "step".
        spread: standard deviation of each feature that the network sees, on its training rows.
        condition: of the training rows, see `condition_number`.
        chance: accuracy on the test rows of naming the most frequent class, whatever comes.
        diverged: the step whose loss was no number, or None.
    """

    label: str
    step: int
    last: int
    history: Mapping[str, np.ndarray]
    now: Mapping[str, float]
    spread: np.ndarray
    condition: float
    chance: float
    diverged: int | None


class PipelineLabPicture:
    """Keeps the figure and its artists, and brings them up to date."""

    def __init__(self):
        self.canvas = Canvas(960, 430)
        figure = self.canvas.figure
        self._loss = figure.add_axes((0.062, 0.33, 0.27, 0.59))
        self._accuracy = figure.add_axes((0.39, 0.33, 0.27, 0.59))
        self._spread = figure.add_axes((0.722, 0.33, 0.27, 0.59))
        self._table = figure.add_axes((0.0, 0.0, 1.0, 0.22))
        self._build_curves()
        self._build_spread()
        self._build_table()

    def draw(self, views: Mapping[str, PipelineView]) -> str:
        """Update every artist by the runs "now" and, where one is kept, "kept"."""
        for name in RUNS:
            self._draw_run(name, views.get(name))
        self._limit(list(views.values()))
        self._chance.set_ydata([views["now"].chance] * 2)
        return _summary(views)

    # --- what seldom changes ---

    def _build_curves(self) -> None:
        self._loss.set_yscale("log")
        for ax, title in (
            (self._loss, _("loss (cross-entropy, nats)")),
            (self._accuracy, _("accuracy (share of rows)")),
        ):
            ax.set_title(title, fontsize=9, loc="left")
            ax.set_xlabel(_("step"), fontsize=8, labelpad=1)
        self._accuracy.set_ylim(0, 1.02)
        (self._chance,) = self._accuracy.plot([0, 1e9], [0, 0], ":", color=GREY, lw=1.2)
        self._curves = {
            (run, part, what): ax.plot([], [], **_style(run, part))[0]
            for what, ax in (("loss", self._loss), ("accuracy", self._accuracy))
            for run in RUNS
            for part in PARTS
        }
        self.canvas.moving(self._chance, *self._curves.values())

    def _build_spread(self) -> None:
        ax = self._spread
        ax.set_yscale("log")
        ax.set_title(_("features' std. deviations: ● now, × kept"), fontsize=9, loc="left")
        ax.set_xlabel(_("share of the features, sorted"), fontsize=8, labelpad=1)
        ax.set_xlim(-0.03, 1.03)
        self._spreads = {
            "now": ax.plot([], [], "o", color="black", ms=3.5)[0],
            "kept": ax.plot([], [], "x", color=GREY, ms=4)[0],
        }
        self.canvas.moving(*self._spreads.values())
        for axes in (self._loss, self._accuracy, ax):
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
            axes.yaxis.set_label_coords(0, 0)  # it has no name
            self.canvas.moving(axes.xaxis, axes.yaxis)
        self.canvas.moving(SmallTicks(self._loss.yaxis), SmallTicks(ax.yaxis))

    def _build_table(self) -> None:
        ax = self._table
        ax.set_axis_off()
        ax.set(xlim=(0, 1), ylim=(0, 3))
        head = {"fontsize": 8, "color": "#333333", "va": "center", "ha": "right"}
        for at, text in zip(_PLACES, (*map(_, PARTS), _("condition number")), strict=True):
            ax.text(at, 2.5, text, **head)
        ax.text(_PLACES[0] - 0.065, 2.5, _("accuracy:"), **head)
        keys = [Line2D([], [], color=COLOURS[part], lw=1.8, label=_(part)) for part in PARTS]
        keys.append(Line2D([], [], ls=":", color=GREY, lw=1.2, label=_("most frequent class")))
        ax.legend(
            handles=keys, fontsize=8, frameon=False, ncols=4,
            loc="center left", bbox_to_anchor=(0.0, 2.5 / 3),
        )  # fmt: skip
        self._rows = {}
        for row, (run, style) in enumerate(zip(RUNS, ("-", "--"), strict=True)):
            at = 1.6 - row
            (key,) = ax.plot([0.01, 0.04], [at, at], style, color="black", lw=1.6)
            label = ax.text(0.05, at, "", fontsize=8, va="center")
            numbers = [ax.text(x, at, "", fontsize=9, va="center", ha="right") for x in _PLACES]
            self._rows[run] = (key, label, numbers)
            self.canvas.moving(key, label, *numbers)

    # --- what changes with every frame ---

    def _draw_run(self, run: str, view: PipelineView | None) -> None:
        key, label, numbers = self._rows[run]
        mine = [line for (name, *_rest), line in self._curves.items() if name == run]
        for artist in (key, label, *numbers, *mine, self._spreads[run]):
            artist.set_visible(view is not None)
        if view is None:
            return
        for part in PARTS:
            for what in ("loss", "accuracy"):
                self._curves[run, part, what].set_data(*_curve(view, f"{part} {what}"))
        spread = np.sort(view.spread)
        self._spreads[run].set_data(np.linspace(0, 1, len(spread)), np.maximum(spread, LOWEST))
        label.set_text(view.label)
        texts = [f"{view.now[f'{part} accuracy']:.3f}" for part in PARTS]
        if view.diverged is not None:
            texts = ["", "", _("diverged at step {step}").format(step=view.diverged)]
        for text, value in zip(numbers, (*texts, f"{view.condition:.2g}"), strict=True):
            text.set_text(value)

    def _limit(self, views: list[PipelineView]) -> None:
        x = (0, reach(max(view.last for view in views)))  # the same from the first step on
        losses = [_curve(view, f"{part} loss")[1] for view in views for part in PARTS]
        self.canvas.limit(self._loss, x, _decades(losses))
        self.canvas.limit(self._accuracy, x, (0, 1.02))
        spreads = [np.maximum(view.spread, LOWEST) for view in views]
        self.canvas.limit(self._spread, (-0.03, 1.03), _decades(spreads, room=1.5))


_PLACES = (0.72, 0.80, 0.865, 0.985)


def _style(run: str, part: str) -> dict:
    if run == "now":
        return {"color": COLOURS[part], "lw": 1.8}
    return {"color": COLOURS[part], "lw": 1.1, "ls": (0, (4, 2)), "alpha": 0.75}


def _curve(view: PipelineView, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values where one was measured, the present included; losses not below LOWEST."""
    values = view.history.get(name, np.empty(0))
    here = np.isfinite(values)
    steps = np.append(view.history["step"][here], view.step)
    values = np.append(values[here], view.now[name])
    return steps, np.maximum(values, LOWEST) if name.endswith("loss") else values


def _decades(arrays: list[np.ndarray], room: float = 1.0) -> tuple[float, float]:
    """Whole powers of ten round all values, two at least; the ends as far off as a factor."""
    values = finite(arrays)
    low, high = np.floor(np.log10(values.min() / room)), np.ceil(np.log10(values.max() * room))
    return 10.0 ** min(low, high - 2), 10.0**high


def _summary(views: Mapping[str, PipelineView]) -> str:
    texts = []
    for run, view in views.items():
        text = _(
            "{run}: {label}, step {step}: accuracy {train:.3f} on training rows, "
            "{validation:.3f} on validation rows, {test:.3f} on test rows; condition number "
            "{condition:.2g}"
        )
        values = {part: view.now[f"{part} accuracy"] for part in PARTS}
        texts.append(
            text.format(
                run=_(run), label=view.label, step=view.step, condition=view.condition, **values
            )
        )
        if view.diverged is not None:
            texts.append(_("diverged at step {step}").format(step=view.diverged))
    return "; ".join(texts)
