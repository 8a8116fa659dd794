"""A walk through a computational graph, forward and back, one node at a time, told in words."""

from dataclasses import dataclass

from bigmodel_lib.autodiff import Value, ordered
from bigmodel_lib.language import _
from bigmodel_lib.plots.graph import kind, number

# ∂node/∂parent as a formula, for each parent; a and b are the parents' names, n an exponent
RULES = {
    "+": ("1", "1"),
    "−": ("1", "−1"),
    "×": ("{b}", "{a}"),
    "÷": ("1/{b}", "−{a}/{b}²"),
    "^": ("{n} · {a}^({n} − 1)",),
    "neg": ("−1",),
    "exp": ("exp({a})",),
    "log": ("1/{a}",),
    "tanh": ("1 − tanh²({a})",),
    "sigmoid": ("σ({a}) · (1 − σ({a}))",),
    "softplus": ("σ({a})",),
    "relu": ("1 if {a} > 0, else 0",),
    "sin": ("cos({a})",),
    "cos": ("−sin({a})",),
}


@dataclass(frozen=True)
class Walk:
    """A graph of N nodes, and how far one has come.

    First each operation is computed (forward), then each node that is no constant gets its
    gradient, in reverse order (backward).

    Attributes:
        names: of the nodes (N,); constants are called by their number.
        ops, kinds: see `Node` and `plots.graph.kind`.
        parents: of each node, indices.
        values, gradients: of each node.
        slopes: of each node, ∂node/∂parent for each parent.
        at: steps done, 0 to `last`.
    """

    names: tuple[str, ...]
    ops: tuple[str, ...]
    kinds: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    values: tuple[float, ...]
    gradients: tuple[float, ...]
    slopes: tuple[tuple[float, ...], ...]
    at: int

    @property
    def forward(self) -> list[int]:
        """The operations, in the order in which they are computed."""
        return [i for i, kind in enumerate(self.kinds) if kind == "operation"]

    @property
    def backward(self) -> list[int]:
        """The nodes that get a gradient, in this order."""
        return [i for i, kind in reversed([*enumerate(self.kinds)]) if kind != "constant"]

    @property
    def last(self) -> int:
        """How many steps there are."""
        return len(self.forward) + len(self.backward)

    @property
    def goes_back(self) -> bool:
        """Whether the last step was one of the way back."""
        return self.at > len(self.forward)

    @property
    def current(self) -> int | None:
        """The node of the last step; None at the start."""
        return None if self.at == 0 else (self.forward + self.backward)[self.at - 1]

    def has_value(self, node: int) -> bool:
        """Whether it is known by now."""
        return node not in self.forward[self.at :]

    def has_gradient(self, node: int) -> bool:
        """Whether it is known by now."""
        return node in self.backward[: max(0, self.at - len(self.forward))]

    def uses(self, node: int) -> dict[int, list[int]]:
        """Who was computed from a node, and at which of its places the node stands there."""
        return {
            child: [place for place, parent in enumerate(own) if parent == node]
            for child, own in enumerate(self.parents)
            if node in own
        }

    def slope(self, child: int, node: int) -> float:
        """The local derivative ∂child/∂node, all places together."""
        return sum(self.slopes[child][place] for place in self.uses(node)[child])

    def words(self) -> str:
        """What the last step did."""
        forward, backward = len(self.forward), len(self.backward)
        if self.current is None:
            text = _("at the start: only the inputs are known; {forward} operations to compute, ")
            text += _("then {backward} gradients")
            return text.format(forward=forward, backward=backward)
        if not self.goes_back:
            head = _("forward {at} of {forward}").format(at=self.at, forward=forward)
            return f"{head}: {self._computed(self.current)}"
        head = _("backward {at} of {backward}").format(at=self.at - forward, backward=backward)
        return f"{head}: {self._gradient(self.current)}"

    def _computed(self, node: int) -> str:
        own = self.parents[node]
        formula = _expression(self.ops[node], *(self.names[p] for p in own))
        numbers = _expression(self.ops[node], *(_bracketed(self.values[p]) for p in own))
        parts = [self.names[node], formula, numbers, number(self.values[node])]
        return " = ".join(dict.fromkeys(parts))  # of constants, formula and numbers are the same

    def _gradient(self, node: int) -> str:
        name, L = self.names[node], self.names[-1]
        if node == len(self.names) - 1:
            return _("d{L}/d{L} = 1: here the way back begins").format(L=L)
        users = [(child, self.names[child]) for child in self.uses(node)]
        formula = " + ".join(f"d{L}/d{user} · ∂{user}/∂{name}" for _child, user in users)
        numbers = " + ".join(
            f"{_bracketed(self.gradients[child])} × {_bracketed(self.slope(child, node))}"
            for child, _user in users
        )
        rules = ", ".join(f"∂{user}/∂{name} = {self._rule(child, node)}" for child, user in users)
        text = f"d{L}/d{name} = {formula} = {numbers} = {number(self.gradients[node])}; {rules}"
        if len(users) > 1:
            note = _("{name} is used {count} times: what comes back is added up")
            text += "; " + note.format(name=name, count=len(users))
        return text

    def _rule(self, child: int, node: int) -> str:
        op, names = self.ops[child], [self.names[p] for p in self.parents[child]]
        rules = RULES["^" if op.startswith("^") else op]
        parts = [rules[place] for place in self.uses(node)[child]]
        return " + ".join(parts).format(a=names[0], b=names[-1], n=op[1:])


def walk(root: Value, at: int) -> Walk:
    """The walk through the graph of a result whose gradients are known.

    Args:
        root: after `root.backward()`.
        at: steps done; more than there are count as all.
    """
    nodes = ordered(root)
    index = {node: i for i, node in enumerate(nodes)}
    kinds = tuple(map(kind, nodes))
    last = 2 * kinds.count("operation") + kinds.count("input")
    return Walk(
        names=_names(nodes),
        ops=tuple(node.op for node in nodes),
        kinds=kinds,
        parents=tuple(tuple(index[p] for p in node.parents) for node in nodes),
        values=tuple(node.data for node in nodes),
        gradients=tuple(float(node.grad) for node in nodes),
        slopes=tuple(node.slopes for node in nodes),
        at=min(at, last),
    )


def _names(nodes: list[Value]) -> tuple[str, ...]:
    """Their own names, else L for the last, v1, v2, … for others; numbers for constants."""
    taken = {node.name for node in nodes}
    free = (name for i in range(1, 10 * len(nodes)) if (name := f"v{i}") not in taken)
    names = []
    for node in nodes:
        if node.name or not node.parents:
            names.append(node.name or number(node.data))
        else:
            names.append("L" if node is nodes[-1] and "L" not in taken else next(free))
    return tuple(names)


def _expression(op: str, a: str, b: str = "") -> str:
    if b:
        return f"{a} {op} {b}"
    if op == "neg":
        return f"−{a}"
    return f"{a}{op}" if op.startswith("^") else f"{op}({a.strip('()')})"


def _bracketed(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)
