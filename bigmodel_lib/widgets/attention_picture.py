"""The picture of AttentionExplorer: four stages of one head, all heads, and their entropies."""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from bigmodel_lib.language import _
from bigmodel_lib.models.attention_lm import Stages
from bigmodel_lib.plots import BLUE, GREY, ORANGE
from bigmodel_lib.plots.fonts import font_for
from bigmodel_lib.widgets.canvas import Canvas
from bigmodel_lib.widgets.pixels import Cells

NAMED = 20  # tokens at most that are named along the axes; the grid below names them all
ROW = 8  # heads in a row of the overview
GAP = 0.08  # of a head's size, between two heads
MASKED = "#dddddd"
SEQUENTIAL = LinearSegmentedColormap.from_list("weights", ["#ffffff", "#08306b"])
DIVERGING = colormaps["RdBu_r"]


@dataclass(frozen=True, eq=False)
class AttentionView:
    """What the picture shows.

    Attributes:
        tokens: (T,).
        left_out: tokens of the sentence that are not shown.
        head: index of the head in detail.
        stages: arrays of all heads: scores, scaled, weights (H, T, T), output (H, T, d).
        causal: whether later tokens are masked.
        entropy: mean over the rows of each head (H,), in nats.
        highest_entropy: of rows that look at all they may alike, in nats.
        saturated: share of rows that look at one key alone.
        gradient: mean norm of ∂weights/∂scores.
        parameters, flops: of the layer, for these tokens.
    """

    tokens: tuple[str, ...]
    left_out: int
    head: int
    stages: Stages
    causal: bool
    entropy: np.ndarray
    highest_entropy: float
    saturated: float
    gradient: float
    parameters: int
    flops: int

    def visible(self, table: np.ndarray) -> np.ndarray:
        """Scores or weights (…, T, T) with NaN where the mask forbids to look."""
        if not self.causal:
            return table
        return np.where(np.tri(table.shape[-1], dtype=bool), table, np.nan)


class AttentionPicture:
    """Keeps the figure and its artists, and brings them up to date.

    All images span the unit square, so that a change of length or heads moves no axis.
    """

    def __init__(self):
        self.canvas = Canvas(960, 600)
        self._tokens: tuple[str, ...] | None = None
        grid = self.canvas.figure.add_gridspec(
            2, 4, height_ratios=(1.15, 1), left=0.075, right=0.99, top=0.955, bottom=0.075,
            hspace=0.46, wspace=0.12,
        )  # fmt: skip
        self._axes = [self.canvas.figure.add_subplot(grid[0, j]) for j in range(4)]
        names = (_("scores q·k"), _("scaled, masked"), _("softmax: weights"), _("output by token"))
        maps = (DIVERGING, DIVERGING, SEQUENTIAL, DIVERGING)
        for number, (ax, name) in enumerate(zip(self._axes, names, strict=True), 1):
            ax.set_title(f"{number}  {name}", fontsize=9)
        self._images = [self._image(*pair) for pair in zip(self._axes, maps, strict=True)]
        self._ranges = self.canvas.figure.text(0.075, 0.475, "", fontsize=8, va="bottom")
        self._heads_ax = self.canvas.figure.add_subplot(grid[1, :2])
        self._heads = self._image(self._heads_ax, SEQUENTIAL, absent="white")
        (self._frame,) = self._heads_ax.plot([], [], color=ORANGE, lw=2)
        entropy = grid[1, 2:].subgridspec(1, 2, width_ratios=(0.06, 1), wspace=0)
        self._build_entropy(self.canvas.figure.add_subplot(entropy[1]))
        self.canvas.moving(self._frame, self._ranges)
        self._rows = self._labels(self._axes[0], ha="right", va="center")
        self._columns = [
            self._labels(ax, ha="center", va="top", rotation=90) for ax in self._axes[:3]
        ]
        self.canvas.seldom(self._heads_ax.title, self._entropy_ax.title)

    def _labels(self, ax: Axes, **style) -> list[Text]:
        labels = [ax.text(0, 0, "", transform=ax.transAxes, **style) for _label in range(NAMED)]
        self.canvas.seldom(*labels)
        return labels

    def _image(self, ax: Axes, colours: Colormap, absent: str = MASKED) -> Cells:
        # the first token's row is the uppermost
        ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(1, 0))
        cells = Cells(ax, colours.with_extremes(bad=absent))
        self.canvas.moving(cells)
        return cells

    def _build_entropy(self, ax: Axes) -> None:
        self._entropy_ax = ax
        self._bars = ax.bar(range(1, 17), np.zeros(16), color=GREY)
        self._limit = ax.axhline(1, color=BLUE, ls="--", lw=1.5)
        ax.set_xlim(0.3, 16.7)
        ax.set_ylim(0, 1.12)
        ax.set_xticks(range(1, 17))
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel(_("head"), fontsize=8, labelpad=1)
        ax.set_ylabel(_("entropy / its maximum"), fontsize=8)
        self.canvas.moving(*self._bars)

    # --- what changes with every frame ---

    def draw(self, view: AttentionView) -> str:
        """Update every artist; returns what the picture shows in words."""
        self._draw_stages(view)
        self._draw_heads(view)
        self._draw_entropy(view)
        if view.tokens != self._tokens:
            self._name_tokens(view.tokens)
            self._tokens = view.tokens
        return _summary(view)

    def _draw_stages(self, view: AttentionView) -> None:
        s, head = view.stages, view.head
        tables = [
            s.scores[head],
            view.visible(s.scaled[head]),
            view.visible(s.weights[head]),
            s.output[head],
        ]
        ranges = []
        for image, table in zip(self._images, tables, strict=True):
            low, high = float(np.nanmin(table)), float(np.nanmax(table))
            most = max(abs(low), abs(high), 1e-9)
            image.show(table, *((0, 1) if table is tables[2] else (-most, most)))
            ranges.append(f"{low:.2g} … {high:.2g}")
        text = _("range of values:  {0}  |  {1}  |  {2}  |  {3}")
        self._ranges.set_text(text.format(*ranges))

    def _draw_heads(self, view: AttentionView) -> None:
        weights = view.visible(view.stages.weights)
        H, T = len(weights), weights.shape[-1]
        columns = min(H, ROW)
        rows = -(-H // columns)
        gap = max(1, round(GAP * T))
        sheet = np.full((rows * (T + gap) - gap, columns * (T + gap) - gap), np.nan)
        for h, table in enumerate(weights):
            y, x = (h // columns) * (T + gap), (h % columns) * (T + gap)
            sheet[y : y + T, x : x + T] = np.nan_to_num(table)
        self._heads.show(sheet, 0, 1)
        y, x = divmod(view.head, columns)
        height, width = sheet.shape
        left, right = x * (T + gap) / width, (x * (T + gap) + T) / width
        top, bottom = y * (T + gap) / height, (y * (T + gap) + T) / height
        self._frame.set_data([left, right, right, left, left], [top, top, bottom, bottom, top])
        text = _("weights of all {H} heads; head {head} in detail above")
        self._title(self._heads_ax, text.format(H=H, head=view.head + 1))

    def _draw_entropy(self, view: AttentionView) -> None:
        shares = view.entropy / max(view.highest_entropy, 1e-9)
        for h, bar in enumerate(self._bars):
            bar.set_height(shares[h] if h < len(shares) else 0)
            bar.set_facecolor(ORANGE if h == view.head else GREY)
        text = _("entropy of each head; dashed: all keys alike, {highest} nats")
        self._title(self._entropy_ax, text.format(highest=f"{view.highest_entropy:.2f}"))

    # --- what changes with the sentence or the heads ---

    def _name_tokens(self, tokens: tuple[str, ...]) -> None:
        T = len(tokens)
        font = FontProperties(family=font_for("".join(tokens)), size=7.5 if T <= 12 else 6)
        shown = tokens if T <= NAMED else ()
        names = [token.replace(" ", "␣").replace("$", r"\$")[:10] for token in shown]
        names += [""] * (NAMED - len(names))
        for labels in (self._rows, *self._columns):
            for i, (label, name) in enumerate(zip(labels, names, strict=True)):
                place = (i + 0.5) / T
                label.set_position((-0.02, 1 - place) if labels is self._rows else (place, -0.02))
                label.set_text(name)
                label.set_fontproperties(font)
        self.canvas.relabel()

    def _title(self, ax: Axes, text: str) -> None:
        if text != ax.get_title():
            ax.set_title(text, fontsize=9)
            self.canvas.relabel()


def _summary(view: AttentionView) -> str:
    text = _(
        "head {head} of {H} on {T} tokens{left_out}: entropy {entropy} of at most {highest} nats "
        "in the mean; {saturated} of the rows look at one key alone; gradient through the "
        "softmax {gradient}; {parameters} parameters, {flops} FLOPs"
    )
    left_out = _(" ({count} more not shown)").format(count=view.left_out) if view.left_out else ""
    return text.format(
        head=view.head + 1,
        H=len(view.entropy),
        T=len(view.tokens),
        left_out=left_out,
        entropy=f"{view.entropy.mean():.2f}",
        highest=f"{view.highest_entropy:.2f}",
        saturated=f"{view.saturated:.0%}",
        gradient=f"{view.gradient:.2g}",
        parameters=f"{view.parameters:,}",
        flops=f"{view.flops:,}",
    )
