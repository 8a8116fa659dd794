"""BackpropStepper: forward values and backward gradients, one node at a time."""

import math
import time

import ipywidgets
import numpy as np

from bigmodel_lib.autodiff import Formula, FormulaError, Value, ordered
from bigmodel_lib.language import _
from bigmodel_lib.plots.graph import layers, number
from bigmodel_lib.widgets.backprop_stepper_picture import BackpropStepperPicture
from bigmodel_lib.widgets.backprop_walk import Walk, walk
from bigmodel_lib.widgets.base import SLICE, RefusedError, button, described
from bigmodel_lib.widgets.player import Player

OWN = "your own"
# By name: the formula, and the first values of its inputs
EXAMPLES = {
    "a neuron and its loss": ("(tanh(w*x + b) - t)**2", (0.5, 2.0, -0.3, 1.0)),
    "a diamond: u is used twice": ("u = a*b; u*tanh(u + c)", (1.5, 0.5, -0.4)),
    "logistic loss": ("softplus(-y*(w*x + b))", (1.0, 0.8, 0.5, -1.0)),
    "softmax cross-entropy, 2 classes": ("log(exp(s1) + exp(s2)) - s1", (0.5, 1.5)),
    "softmax cross-entropy, 3 classes": (
        "log(exp(s1) + exp(s2) + exp(s3)) - s1",
        (0.5, 1.5, -1.0),
    ),
    "a dead rectifier": ("h = relu(w*x + b); (h - t)**2", (1.0, -1.5, 0.5, 1.0)),
}
SLIDERS = tuple(f"input{i}" for i in range(1, 7))
CHOICES = ("example", "text", *SLIDERS)
MOST_NODES, DEEPEST, MOST_ROWS = 24, 11, 8  # that can be read in the picture
LONGEST_NAME = 6  # letters that fit a box


class BackpropStepper(Player):
    """Walk through a formula's graph: values forward, then gradients backward.

    The formula is one of a list, or the reader's own. It is read by a parser, never executed.
    Moving an input recomputes everything, and the walk stays where it is.

    Args:
        recipe: what the controls say first, such as `example="logistic loss"`,
            `text="a*b + sin(a)"`, `input1=2.0` or `at=5`.

    Raises:
        ValueError: a recipe that names no control, or a formula that cannot be.
    """

    def __init__(self, **recipe):
        self.controls = controls = _controls()
        for name in recipe:
            if name not in (*CHOICES, "at"):
                raise ValueError(f"need choices in {(*CHOICES, 'at')}, got {name!r}")
        self._values: dict[str, float] = {}  # of all inputs so far: a name that returns keeps its
        first = OWN if "text" in recipe else next(iter(EXAMPLES))
        controls["example"].value = recipe.get("example", first)
        controls["text"].value = recipe.get("text", self._example()[0])
        self._root, self._formula = self._checked(self._read(), "text", self._example()[1])
        for name, value in (self._named_sliders() | recipe).items():
            controls[name].value = value
        self._take_inputs("input1")
        controls["at"].value = recipe.get("at", 0)
        self._picture, self._due = BackpropStepperPicture(), 0.0
        super().__init__(controls, _rows(controls), passive=("speed",))
        self.say(_("press Step or Play, or move “steps done”"))

    # --- from controls to a graph ---

    def apply(self, name: str) -> None:
        """Take over a control's value, or obey a button."""
        if name in SLIDERS:
            self._take_inputs(name)
        elif name == "example" and self.controls["example"].value != OWN:
            self.show_values({"text": self._example()[0]})
            self._take_formula(self._example()[1])
        elif name == "text":
            known = {text: name for name, (text, _values) in EXAMPLES.items()}
            self._take_formula(())
            self.show_values({"example": known.get(self.controls["text"].value, OWN)})
        elif name not in CHOICES and name != "at":
            self.obey(name)
            return
        self.accept(*CHOICES)

    def _example(self) -> tuple[str, tuple[float, ...]]:
        return EXAMPLES.get(self.controls["example"].value, (self.controls["text"].value, ()))

    def _read(self) -> Formula:
        try:
            formula = Formula(self.controls["text"].value)
        except FormulaError as error:
            raise RefusedError("text", str(error)) from error
        if len(formula.inputs) > len(SLIDERS):
            reason = _("need at most {most} inputs, got {got}")
            names = ", ".join(formula.inputs)
            raise RefusedError("text", reason.format(most=len(SLIDERS), got=names))
        return formula

    def _checked(self, formula: Formula, moved: str, first: tuple[float, ...]):
        """The formula's result with its gradients, and the formula."""
        values = dict.fromkeys(formula.inputs, 1.0) | self._values
        values |= dict(zip(formula.inputs, first, strict=False))
        with np.errstate(all="ignore"):  # what is not finite is refused below
            root = formula(values)
            root.backward()
        _check_finite(root, moved)
        if moved == "text":
            _check_size(root)
        self._values |= {name: values[name] for name in formula.inputs}
        return root, formula

    def _take_formula(self, first: tuple[float, ...]) -> None:
        self._root, self._formula = self._checked(self._read(), "text", first)
        self.stop(_("a new formula: press Step or Play"))
        self.show_values(self._named_sliders())
        self._go_to(0)

    def _take_inputs(self, moved: str) -> None:
        values = [self.controls[name].value for name in SLIDERS]
        self._root, _formula = self._checked(self._formula, moved, tuple(values))

    def _named_sliders(self) -> dict[str, float]:
        """Give each input a slider with its name, and hide the others; what the sliders say."""
        inputs = self._formula.inputs
        for i, name in enumerate(SLIDERS):
            self.controls[name].layout.display = None if i < len(inputs) else "none"
            self.controls[name].description = inputs[i] if i < len(inputs) else ""
        self.controls["at"].max = walk(self._root, 0).last
        return {s: self._values[name] for s, name in zip(SLIDERS, inputs, strict=False)}

    # --- buttons ---

    def _go_to(self, step: int) -> None:
        self.show_values({"at": min(max(step, 0), self.controls["at"].max)})

    def _on_play(self) -> None:
        if self.now() == self.controls["at"].max:
            self._go_to(0)
        self._due = time.monotonic()
        super()._on_play()

    def _on_step(self) -> None:
        self._go_to(self.now() + 1)
        self._on_pause()

    def _on_back(self) -> None:
        self._go_to(self.now() - 1)
        self._on_pause()

    def _on_start(self) -> None:
        self._go_to(0)
        self.stop(_("at the start"))

    def _on_all(self) -> None:
        self._go_to(self.controls["at"].max)
        self.stop(_("all steps done"))

    # --- work and picture ---

    def now(self) -> int:
        """Steps done."""
        return self.controls["at"].value

    def steps(self, count: int) -> None:
        """Go so many steps further, at most to the end."""
        self._go_to(self.now() + count)

    def work(self) -> bool:
        """The next step, when it is due."""
        self.breath = SLICE  # waiting must not keep a core busy
        if self.playing and time.monotonic() >= self._due:
            self.steps(1)
            self._due = time.monotonic() + 1 / self.controls["speed"].value
            if self.now() == self.controls["at"].max:
                self.stop(_("all steps done"))
        return self.playing

    def compute(self) -> Walk:
        """The graph, and how far the walk has come."""
        return walk(self._root, self.now())

    def draw(self, data: Walk) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _check_finite(root: Value, moved: str) -> None:
    nodes = ordered(root)
    for node in nodes:
        if not all(map(math.isfinite, (node.data, *node.slopes))):
            at = ", ".join(number(parent.data) for parent in node.parents)
            reason = _("{op} has no finite value or derivative at {at}")
            raise RefusedError(moved, reason.format(op=node.op, at=at))
    if not all(math.isfinite(node.grad) for node in nodes):
        raise RefusedError(moved, _("a gradient is too large for a computer's numbers"))


def _check_size(root: Value) -> None:
    nodes = ordered(root)
    index = {node: i for i, node in enumerate(nodes)}
    columns = layers([[index[p] for p in node.parents] for node in nodes])
    rows = max(columns.count(column) for column in columns)
    sizes = (
        (len(nodes), MOST_NODES, _("need at most {most} boxes, got {got}")),
        (max(columns) + 1, DEEPEST, _("need at most {most} boxes in a chain, got {got}")),
        (rows, MOST_ROWS, _("need at most {most} boxes above each other, got {got}")),
        (
            max(len(node.name) for node in nodes),
            LONGEST_NAME,
            _("need names of at most {most} letters, got {got}"),
        ),
    )
    for got, most, reason in sizes:
        if got > most:
            raise RefusedError("text", reason.format(most=most, got=got))


def _controls() -> dict[str, ipywidgets.Widget]:
    examples = [(_(name), name) for name in (*EXAMPLES, OWN)]
    controls = {
        "example": described(ipywidgets.Dropdown, "formula", options=examples),
        "text": described(
            ipywidgets.Text, "in Python", continuous_update=False, layout={"width": "520px"}
        ),
        **{name: button(text) for name, text in _BUTTONS.items()},
        "at": described(ipywidgets.IntSlider, "steps done", value=0, max=MOST_NODES * 2),
        "speed": described(
            ipywidgets.SelectionSlider,
            "steps a second",
            options=[0.25, 0.5, 1, 2, 4],
            value=1,
            layout={"width": "225px"},
        ),
    }
    for name in SLIDERS:
        controls[name] = described(
            ipywidgets.FloatSlider, "", value=1.0, min=-3, max=3, step=0.05,
            layout={"width": "230px"},
        )  # fmt: skip
    return controls


_BUTTONS = {
    "start": "Start",
    "back": "Back",
    "step": "Step",
    "all": "All",
    "play": "Play",
    "pause": "Pause",
}


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    rows = [("example", "text"), SLIDERS, (*_BUTTONS, "at", "speed")]
    wrap = {"flex_flow": "row wrap"}
    return [ipywidgets.HBox([controls[name] for name in row], layout=wrap) for row in rows]
