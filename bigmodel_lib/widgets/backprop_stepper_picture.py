"""The picture of BackpropStepper: the graph, with values and gradients as far as they are known."""

from matplotlib.text import Text

from bigmodel_lib.language import _
from bigmodel_lib.plots import BLUE, GREY, ORANGE
from bigmodel_lib.plots.graph import Edge, GraphDrawing, number
from bigmodel_lib.widgets.backprop_walk import Walk
from bigmodel_lib.widgets.canvas import Canvas


class BackpropStepperPicture:
    """Keeps the figure and its artists, and brings them up to date."""

    def __init__(self):
        self._shape: tuple | None = None

    def draw(self, walk: Walk) -> str:
        """Update every artist; returns what the picture shows in words."""
        shape = walk.parents, walk.kinds, walk.names, walk.ops
        if shape != self._shape:
            self._build(walk)
            self._shape = shape
        for node in range(len(walk.names)):
            self._draw_box(node, walk)
        self._draw_edges(walk)
        self.canvas.relabel(walk.at)  # from which frames and edges follow
        return walk.words()

    # --- what changes with the formula ---

    def _build(self, walk: Walk) -> None:
        self.canvas = Canvas(960, 400)
        ax = self.canvas.figure.add_axes((0.005, 0.0, 0.99, 0.93))
        self._drawing = GraphDrawing(walk.parents, walk.kinds, ax)
        size = self._drawing.boxes[0].title.get_fontsize() - 1
        self._notes: dict[Edge, Text] = {
            edge: ax.text(*place, "", fontsize=size, ha="center", va="center", zorder=4,
                          bbox={"facecolor": "white", "edgecolor": ORANGE, "pad": 1.5, "lw": 0.8})
            for edge, place in self._drawing.middles.items()
        }  # fmt: skip
        for node, box in enumerate(self._drawing.boxes):
            box.title.set_text(self._title(node, walk))
        legend = _(
            "in each box: name = operation, value, gradient ∇ = d{L}/dname; on an edge: local "
            "derivative ∂"
        )
        self.canvas.figure.text(
            0.008, 0.985, legend.format(L=walk.names[-1]), fontsize=8.5, va="top", color="#333333"
        )
        boxes = self._drawing.boxes
        self.canvas.seldom(*self._drawing.lines.values())
        self.canvas.seldom(*(box.frame for box in boxes))
        texts = (text for box in boxes for text in (box.title, box.value, box.gradient))
        self.canvas.moving(*texts, *self._notes.values())

    def _title(self, node: int, walk: Walk) -> str:
        operation = walk.kinds[node] == "operation"
        return f"{walk.names[node]} = {walk.ops[node]}" if operation else walk.names[node]

    # --- what changes with every step ---

    def _draw_box(self, node: int, walk: Walk) -> None:
        box, constant = self._drawing.boxes[node], walk.kinds[node] == "constant"
        value = walk.has_value(node) and not constant
        box.value.set_text(number(walk.values[node]) if value else "")
        gradient = walk.has_gradient(node)
        box.gradient.set_text(f"∇ {number(walk.gradients[node])}" if gradient else "")
        current = node == walk.current
        colour = (ORANGE if walk.goes_back else BLUE) if current else GREY
        box.frame.set(edgecolor=colour, linewidth=3 if current else 1)
        for artist in box:
            artist.set_alpha(1.0 if walk.has_value(node) else 0.35)

    def _draw_edges(self, walk: Walk) -> None:
        for (parent, child), line in self._drawing.lines.items():
            if walk.goes_back:
                used, colour = parent == walk.current, ORANGE
            else:
                used, colour = child == walk.current, BLUE
            line.set(color=colour if used else GREY, linewidth=2.5 if used else 1)
            text = number(walk.slope(child, parent)) if used and walk.goes_back else ""
            note = self._notes[parent, child]
            note.set_text(text)
            note.set_visible(bool(text))
