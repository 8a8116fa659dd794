"""The pictures of ScalingLab: the timeline, and the laws with the models beside them."""

import functools
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from bigmodel_lib.growth import Growth
from bigmodel_lib.language import _
from bigmodel_lib.plots import BLUE, GREY, ORANGE, short_number
from bigmodel_lib.plots.landmarks import FAMILY_STYLES, beside, growth_label, name_label
from bigmodel_lib.scaling import FLOPS_PER_PARAMETER
from bigmodel_lib.widgets.canvas import Canvas
from bigmodel_lib.widgets.ticks import SmallTicks

WIDTH, HEIGHT = 960, 520
N_RANGE, D_RANGE = (1e7, 1e15), (1e9, 1e15)
RATIO_RANGE = (0.002, 1000)
CURVE = 101  # points of the fitted line
MOST_NAMES = 4  # smallest, largest, furthest below and above the line
NEAR = 1.5  # within this factor of the best number of tokens, a model counts as well trained


@dataclass(frozen=True, eq=False)
class TimelineView:
    """What the timeline shows.

    Attributes:
        years, sizes: of each model, (n,).
        families: of each.
        growth: the fit, or None for too few models.
        names: what is written beside some of them, by index.
        title: which models these are.
        count: which parameters are counted.
    """

    years: np.ndarray
    sizes: np.ndarray
    families: tuple[str, ...]
    growth: Growth | None
    names: dict[int, str]
    title: str
    count: str


@dataclass(frozen=True)
class ModelView:
    """One language model under a law.

    Attributes:
        N, D: parameters that work on a token, tokens of training.
        ratio: its tokens, in multiples of the best number for its size.
        sparse: whether it is a mixture of experts.
    """

    name: str
    N: float
    D: float
    ratio: float
    sparse: bool


@dataclass(frozen=True, eq=False)
class LawsView:
    """What the laws' view shows.

    Attributes:
        law: its name.
        C: budget, FLOPs.
        N, D: best split.
        loss: there, nats a token, or None where the law has no loss.
        a, a_range: by which power of the budget the size grows, and its 80 % interval or None.
        embeddings: whether the law's N counts embeddings.
        frontier, iso: curves (2, n) of sizes and tokens.
        surface: sizes (n,), tokens (m,) and losses (m, n), or None.
        models: trained models.
        named: the model to point at.
    """

    law: str
    C: float
    N: float
    D: float
    loss: float | None
    a: float
    a_range: tuple[float, float] | None
    embeddings: bool
    frontier: np.ndarray
    iso: np.ndarray
    surface: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    models: tuple[ModelView, ...]
    named: str


class ScalingLabPicture:
    """Keeps both figures, and brings the one that is shown up to date.

    Args:
        families: all that there are; each keeps its colour and marker.
    """

    def __init__(self, families: tuple[str, ...]):
        self._families = families

    @functools.cached_property
    def _timeline(self) -> "_Timeline":
        return _Timeline(self._families)

    @functools.cached_property
    def _laws(self) -> "_Laws":
        return _Laws()

    def draw(self, view: TimelineView | LawsView) -> str:
        """Update every artist of the view; returns what it shows in words."""
        picture = self._timeline if isinstance(view, TimelineView) else self._laws
        self.canvas = picture.canvas
        return picture.draw(view)


class _Timeline:
    """Parameters by year."""

    def __init__(self, families: tuple[str, ...]):
        self.canvas = Canvas(WIDTH, HEIGHT)
        self._ax = ax = self.canvas.figure.add_axes((0.075, 0.095, 0.66, 0.845))
        self._band = ax.fill_between([0, 1], [1, 1], [2, 2], color=GREY, alpha=0.2, lw=0)
        (self._line,) = ax.plot([], [], color=GREY, lw=1.5)
        self._marks = {family: _marks(ax, family) for family in families}
        (self._ring,) = ax.plot([], [], "o", mfc="none", mec="black", ms=13, mew=1.2, ls="none")
        self._labels = [name_label(ax) for _slot in range(MOST_NAMES)]
        self._title = ax.set_title("", fontsize=9, loc="left", y=1)
        self._drawn = None
        ax.set_yscale("log")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.tick_params(labelsize=8)
        ax.set_xlabel(_("year"), fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(
            handles=list(self._marks.values()),
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            fontsize=8,
            frameon=False,
        )
        small = SmallTicks(ax.yaxis)
        self.canvas.seldom(self._band, self._line, *self._marks.values(), self._title)
        self.canvas.moving(ax.xaxis, ax.yaxis, small, self._ring, *self._labels)

    def draw(self, view: TimelineView) -> str:
        """Names, and with other models points, line, band and limits anew."""
        shown = (view.title, view.count, *view.years, *view.sizes)
        if shown != self._drawn:
            self._take_models(view)
            self.canvas.relabel(shown)
            self._drawn = shown
        self._name(view)
        return _timeline_summary(view)

    def _take_models(self, view: TimelineView) -> None:
        for family, marks in self._marks.items():
            chosen = np.array([own == family for own in view.families])
            marks.set_data(view.years[chosen], view.sizes[chosen])
        self._draw_growth(view)
        self._limit(view)
        self._title.set_text(_title(view))
        self._ax.set_ylabel(_("parameters: {count}").format(count=view.count), fontsize=9)

    def _draw_growth(self, view: TimelineView) -> None:
        for artist in (self._line, self._band):
            artist.set_visible(view.growth is not None)
        if view.growth is not None:
            span = np.linspace(view.years.min(), view.years.max(), CURVE)
            low, high = view.growth.size_range(span)
            self._line.set_data(span, view.growth.size(span))
            there = np.concatenate([np.stack([span, low], 1), np.stack([span, high], 1)[::-1]])
            self._band.set_verts([there])

    def _limit(self, view: TimelineView) -> None:
        first, last = view.years.min(), view.years.max()
        margin = max(1.0, 0.03 * (last - first))
        low, high = np.log10(view.sizes.min()), np.log10(view.sizes.max())
        middle, reach = (low + high) / 2, max(1.0, (high - low) / 2) + 0.5  # three decades or more
        heights = 10 ** (middle - reach), 10 ** (middle + reach)
        self.canvas.limit(self._ax, (first - margin, last + margin), heights)

    def _name(self, view: TimelineView) -> None:
        where, middle = list(view.names), (view.years.min() + view.years.max()) / 2
        self._ring.set_data(view.years[where], view.sizes[where])
        for slot, label in enumerate(self._labels):
            label.set_visible(slot < len(where))
            if slot < len(where):
                at = where[slot]
                beside(label, view.names[at], view.years[at], view.sizes[at], middle)


class _Laws:
    """Size and tokens with a law's contours, and how each model was trained."""

    def __init__(self):
        self.canvas = Canvas(WIDTH, HEIGHT)
        self._law = None
        self._contours = None
        self._rows: list[str] = []
        self._map = self.canvas.figure.add_axes((0.065, 0.095, 0.515, 0.845))
        self._side = self.canvas.figure.add_axes((0.735, 0.095, 0.25, 0.845))
        self._build_map()
        self._build_side()

    def _build_map(self) -> None:
        ax = self._map
        ax.set(xscale="log", yscale="log", xlim=N_RANGE, ylim=D_RANGE)
        ax.set_xlabel(_("parameters N"), fontsize=9, labelpad=1)
        ax.set_ylabel(_("training tokens D"), fontsize=9, labelpad=0)
        ax.tick_params(labelsize=8)
        for axis in (ax.xaxis, ax.yaxis):
            SmallTicks(axis)
        (self._frontier,) = ax.plot([], [], color="black", lw=1.5, label=_("best split"))
        (self._iso,) = ax.plot([], [], color=ORANGE, lw=1.5, ls="--", label=_("6ND = C"))
        (self._dense,) = ax.plot([], [], "o", color=BLUE, mec="white", ms=6, label=_("models"))
        (self._sparse,) = ax.plot(
            *([], [], "P"), color=BLUE, mec="white", ms=7, label=_("experts, active part")
        )
        (self._best,) = ax.plot(
            *([], [], "*"), color=ORANGE, mec="black", ms=16, label=_("best for C"), zorder=5
        )
        (self._ring,) = ax.plot([], [], "o", mfc="none", mec="black", ms=13, mew=1.4)
        self._label = ax.annotate(
            *("", (1e10, 1e12)), xytext=(10, 8), textcoords="offset points", fontsize=8
        )
        ax.legend(loc="lower right", fontsize=8, framealpha=0.9)
        self.canvas.seldom(ax)  # with contours and models, which come with a law
        self.canvas.moving(ax.xaxis, ax.yaxis, self._iso, self._best, self._ring, self._label)

    def _build_side(self) -> None:
        ax = self._side
        ax.set(xscale="log", xlim=RATIO_RANGE)
        ax.axvline(1, color="black", lw=1.5)
        ax.tick_params(labelsize=8)
        ax.set_xlabel(_("tokens ÷ best for its size"), fontsize=9, labelpad=1)
        ax.set_title(_("← too few      too many →"), fontsize=9)
        ax.grid(axis="x", color="#dddddd", lw=0.6)
        ax.set_axisbelow(True)
        (self._few,) = ax.plot([], [], "o", color=ORANGE, ms=6)
        (self._near,) = ax.plot([], [], "o", color="black", ms=6)
        (self._many,) = ax.plot([], [], "o", color=BLUE, ms=6)
        (self._bar,) = ax.plot([], [], color="#bbbbbb", lw=9, alpha=0.5, zorder=0)
        self.canvas.moving(self._bar, self._few, self._near, self._many)

    def draw(self, view: LawsView) -> str:
        """What the budget moves; and with another law, contours and models anew."""
        if view.law != self._law:
            self._take_law(view)
            self.canvas.relabel(view.law)
            self._law = view.law
        self._iso.set_data(*view.iso)
        self._best.set_data([view.N], [view.D])
        chosen = [i for i, model in enumerate(view.models) if model.name == view.named]
        self._point_at(view, chosen)
        return _laws_summary(view, [view.models[i] for i in chosen])

    def _take_law(self, view: LawsView) -> None:
        self._draw_contours(view)
        self._frontier.set_data(*view.frontier)
        for line, sparse in ((self._dense, False), (self._sparse, True)):
            own = [model for model in view.models if model.sparse == sparse]
            line.set_data([model.N for model in own], [model.D for model in own])
        self._map.set_title(f"{_(view.law)}: {_exponent(view)}", fontsize=9, loc="left", y=1)
        rows, ratios = np.arange(len(view.models)), np.array([m.ratio for m in view.models])
        few, many = ratios < 1 / NEAR, ratios > NEAR
        for line, own in ((self._few, few), (self._many, many), (self._near, ~few & ~many)):
            line.set_data(ratios[own], rows[own])
        self._name_rows([model.name for model in view.models])

    def _name_rows(self, names: list[str]) -> None:
        """Models beside the ratios; every law judges the same ones."""
        if names != self._rows:
            self._side.set_yticks(range(len(names)), names)
            self._side.set_ylim(len(names) - 0.5, -0.5)
            self.canvas.redraw()
            self._rows = names

    def _draw_contours(self, view: LawsView) -> None:
        if self._contours is not None:
            self._contours.remove()  # with their labels
            self._contours = None
        if view.surface is None:
            return
        N, D, loss = view.surface
        levels = loss.min() * (1 + np.geomspace(0.01, 2, 16))
        self._contours = self._map.contour(N, D, loss, levels, cmap="viridis", linewidths=0.9)
        self._map.clabel(self._contours, levels[::2], fontsize=7, fmt="%.2f")

    def _point_at(self, view: LawsView, chosen: list[int]) -> None:
        models = [view.models[i] for i in chosen]
        self._ring.set_data([m.N for m in models], [m.D for m in models])
        self._label.set_text(models[0].name if models else "")
        if models:
            self._label.xy = (models[0].N, models[0].D)
        self._bar.set_data(RATIO_RANGE if chosen else [], [chosen[0]] * 2 if chosen else [])


def _marks(ax: Axes, family: str):
    colour, marker = FAMILY_STYLES[family]
    style = {"color": colour, "marker": marker, "mec": "white", "mew": 0.5, "ls": "none", "ms": 8}
    (marks,) = ax.plot([], [], label=_(family), **style)
    return marks


def _title(view: TimelineView) -> str:
    if view.growth is None:
        return _("{title}: too few models to fit a line").format(title=view.title)
    return f"{view.title}: {growth_label(view.growth)}"


def _timeline_summary(view: TimelineView) -> str:
    text = _("{title}; {n} models, {first} to {last}; named: {names}")
    names = [f"{name} ({short_number(view.sizes[i])})" for i, name in view.names.items()]
    return text.format(
        title=_title(view),
        n=len(view.years),
        first=view.years.min(),
        last=view.years.max(),
        names=", ".join(names) or _("none of those shown"),
    )


def _exponent(view: LawsView) -> str:
    text = _("N grows as C^{a:.2f}").format(a=view.a)
    if view.a_range is None:
        return text
    return text + _(" (80 %: {low:.3f} to {high:.3f})").format(
        low=view.a_range[0], high=view.a_range[1]
    )


def _laws_summary(view: LawsView, named: list[ModelView]) -> str:
    text = _("{law}, {C:.2g} FLOPs: best with {N} parameters{kind} on {D} tokens, {each:.3g} each")
    parts = [
        text.format(
            law=_(view.law),
            C=view.C,
            N=short_number(view.N),
            kind="" if view.embeddings else _(" (embeddings not counted)"),
            D=short_number(view.D),
            each=view.D / view.N,
        ),
        _("the paper gives no loss for it")
        if view.loss is None
        else _("loss {loss:.3f} nats a token").format(loss=view.loss),
    ]
    parts += [_verdict(model) for model in named]
    return "; ".join(parts)


def _verdict(model: ModelView) -> str:
    text = _("{name} ({N} parameters, {C:.2g} FLOPs): {D} tokens, {ratio:.2g} times the best")
    C = FLOPS_PER_PARAMETER * model.N * model.D
    numbers = {"N": short_number(model.N), "D": short_number(model.D), "C": C}
    return text.format(name=model.name, ratio=model.ratio, **numbers)
