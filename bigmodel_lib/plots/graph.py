"""Computational graphs: what was computed from what, from left to right."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from bigmodel_lib.autodiff import Node, ordered
from bigmodel_lib.language import _
from bigmodel_lib.plots.show import BLUE, GREY, ORANGE

SWEEPS = 12  # over the layers, to untangle the edges
WIDTH, HEIGHT = 0.74, 0.74  # of a box, in units of a layer's and a row's distance
FACES = {"input": "#dbe9f6", "constant": "#eeeeee", "operation": "#ffffff"}
Edge = tuple[int, int]


def layers(parents: Sequence[Sequence[int]]) -> list[int]:
    """In which column each node stands: operations one right of their last parent.

    Leaves stand directly left of the first node that uses them.

    Args:
        parents: of each node, the indices of its parents, all smaller than its own.
    """
    depth: list[int] = []
    for own in parents:
        depth.append(1 + max((depth[p] for p in own), default=-1))
    for leaf, own in enumerate(parents):
        users = [depth[node] for node, others in enumerate(parents) if leaf in others]
        if not own and users:
            depth[leaf] = min(users) - 1
    return depth


def layout(parents: Sequence[Sequence[int]]) -> tuple[np.ndarray, dict[Edge, np.ndarray]]:
    """Places for the nodes of a graph, and ways for its edges that keep clear of other nodes.

    Layered drawing (Sugiyama, Tagawa & Toda 1981, IEEE Trans. SMC 11, 109-125): an edge that
    passes a column gets a place of its own there; each column is sorted again and again by
    the mean place of its neighbours, and the order with the fewest crossings is kept.

    Args:
        parents: see `layers`.

    Returns:
        (column, row) of each node (N, 2), rows around 0; for each edge (parent, child) the
        points that it passes, (M, 2), both ends included.
    """
    depth = layers(parents)
    chains: dict[Edge, list[int]] = {}
    for child, own in enumerate(parents):
        for parent in dict.fromkeys(own):
            between = range(len(depth), len(depth) + depth[child] - depth[parent] - 1)
            depth = [*depth, *range(depth[parent] + 1, depth[child])]
            chains[parent, child] = [parent, *between, child]
    links = [link for chain in chains.values() for link in pairwise(chain)]
    columns = _untangled(depth, links)
    places = np.zeros((len(depth), 2))
    for column, nodes in enumerate(columns):
        places[nodes, 0] = column
        places[nodes, 1] = (len(nodes) - 1) / 2 - np.arange(len(nodes))
    return places[: len(parents)], {edge: places[chain] for edge, chain in chains.items()}


def _untangled(depth: list[int], links: list[Edge]) -> list[list[int]]:
    columns: list[list[int]] = [[] for _column in range(max(depth) + 1)]
    for node, at in enumerate(depth):
        columns[at].append(node)
    best, fewest = [list(c) for c in columns], _crossings(columns, links)
    for sweep in range(SWEEPS):
        _sort_by_neighbours(columns, links, to_the_right=sweep % 2 == 0)
        count = _crossings(columns, links)
        if count < fewest:
            best, fewest = [list(c) for c in columns], count
    return best


def _sort_by_neighbours(columns: list[list[int]], links: list[Edge], to_the_right: bool) -> None:
    neighbours: dict[int, list[int]] = {}
    for left, right in links:
        here, there = (right, left) if to_the_right else (left, right)
        neighbours.setdefault(here, []).append(there)
    row = {node: i - len(c) / 2 for c in columns for i, node in enumerate(c)}
    for column in columns if to_the_right else reversed(columns):
        means = {n: np.mean([row[m] for m in neighbours.get(n, [n])]) for n in column}
        column.sort(key=means.get)
        row |= {node: i - len(column) / 2 for i, node in enumerate(column)}


def _crossings(columns: list[list[int]], links: list[Edge]) -> int:
    row = {node: i for column in columns for i, node in enumerate(column)}
    column_of = {node: at for at, column in enumerate(columns) for node in column}
    count = 0
    for i, (a, b) in enumerate(links):
        for c, d in links[:i]:
            same = column_of[a] == column_of[c]
            count += same and (row[a] - row[c]) * (row[b] - row[d]) < 0
    return count


@dataclass(frozen=True)
class Box:
    """The artists of one node: a frame and three lines of text."""

    frame: FancyBboxPatch
    title: Text
    value: Text
    gradient: Text

    def __iter__(self) -> Iterator:
        return iter((self.frame, self.title, self.value, self.gradient))


class GraphDrawing:
    """A graph's boxes and edges as artists, whose texts and colours whoever keeps it may change.

    Args:
        parents: see `layers`.
        kinds: of each node, "input", "constant" or "operation".
        ax: emptied axes without frame.
        rows: room for so many rows at least: boxes grow no taller than that.

    Attributes:
        boxes: of each node.
        lines: of each edge.
        middles: of each edge, a place for a note (x, y).
    """

    def __init__(
        self, parents: Sequence[Sequence[int]], kinds: Sequence[str], ax: Axes, rows: float = 4.0
    ):
        places, ways = layout(parents)
        high = max([rows / 2, *(np.abs(way[:, 1]).max() + 0.5 for way in ways.values())])
        ax.set(xlim=(-0.5, places[:, 0].max() + 0.5), ylim=(-high, high))
        ax.set_axis_off()
        self.lines: dict[Edge, Line2D] = {}
        self.middles: dict[Edge, tuple[float, float]] = {}
        for edge, way in ways.items():
            self._draw_edge(edge, way, ax)
        size = _font_size(ax)
        self.boxes = [
            _box(x, y, FACES[k], size, ax) for (x, y), k in zip(places, kinds, strict=True)
        ]

    def _draw_edge(self, edge: Edge, way: np.ndarray, ax: Axes) -> None:
        x, y = way.T.copy()
        x[0], x[-1] = x[0] + WIDTH / 2, x[-1] - WIDTH / 2
        (self.lines[edge],) = ax.plot(x, y, color=GREY, lw=1, solid_capstyle="butt", zorder=1)
        # on the last stretch: where an edge ends, none of the others of its parent is near
        self.middles[edge] = (0.35 * x[-2] + 0.65 * x[-1], 0.35 * y[-2] + 0.65 * y[-1])


def _font_size(ax: Axes) -> float:
    """Points, so that twelve letters fit the width of a box and three lines its height."""
    box = ax.get_window_extent()
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    points = 72 / ax.figure.dpi
    width = box.width * WIDTH / (right - left) * points
    height = box.height * HEIGHT / (top - bottom) * points
    return float(np.clip(min(width / 6.4, height / 3.9), 4, 11))


def _box(x: float, y: float, face: str, size: float, ax: Axes) -> Box:
    frame = FancyBboxPatch(
        (x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, facecolor=face, edgecolor=GREY, lw=1,
        boxstyle="round,pad=0,rounding_size=0.06", zorder=2,
    )  # fmt: skip
    ax.add_patch(frame)
    look = {"ha": "center", "va": "center", "fontsize": size, "zorder": 3}
    return Box(
        frame,
        ax.text(x, y + HEIGHT * 0.29, "", weight="bold", **look),
        ax.text(x, y, "", **look),
        ax.text(x, y - HEIGHT * 0.29, "", color=ORANGE, **look),
    )


def computation_graph(root: Node, *, ax: Axes | None = None) -> Axes:
    """How a result was computed, from left to right; in each box name or operation, the value,
    and below it the gradient ∇ = d result/d node, if `root.backward()` was called.

    Of arrays, the shape stands for the value, and the largest entry's size for the gradient.

    Args:
        root: a Value or an Array; some 20 nodes can still be read.
    """
    ax = plt.gca() if ax is None else ax
    nodes = ordered(root)
    index = {node: i for i, node in enumerate(nodes)}
    parents = [[index[parent] for parent in node.parents] for node in nodes]
    drawing = GraphDrawing(parents, [kind(node) for node in nodes], ax)
    for node, box in zip(nodes, drawing.boxes, strict=True):
        box.title.set_text(" ".join(filter(None, (node.name, node.op))) or _("constant"))
        if kind(node) == "constant" and not np.ndim(node.data):
            box.title.set_text(number(node.data))
        else:
            box.value.set_text(_size(node.data))
            box.gradient.set_text("" if kind(node) == "constant" else _gradient(node.grad))
    drawing.boxes[-1].frame.set(edgecolor=BLUE, linewidth=2)
    return ax


def kind(node: Node) -> str:
    """ "operation", "input" (a leaf with a name) or "constant"."""
    return "operation" if node.parents else "input" if node.name else "constant"


def number(value: float) -> str:
    """Three digits, and a true minus."""
    return f"{value:.3g}".replace("-", "−")


def _size(data) -> str:
    return "×".join(map(str, np.shape(data))) or number(float(data))


def _gradient(grad) -> str:
    return f"∇ {number(float(grad))}" if not np.ndim(grad) else f"|∇| ≤ {np.abs(grad).max():.2g}"
