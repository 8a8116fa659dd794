"""What numbers and arrays share: a graph of how each was computed, and the walk back through it."""

from collections.abc import Callable, Iterable

import numpy as np


def sigmoid(x):
    """1 / (1 + e^{−x}), as e^{−log(1 + e^{−x})}: no overflow on either side."""
    return np.exp(-np.logaddexp(0, -x))


# Functions of one number: f(x), and f′ from x and y = f(x), as many know it from y alone.
FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    "exp": (np.exp, lambda x, y: y),
    "log": (np.log, lambda x, y: np.divide(1, x)),
    "tanh": (np.tanh, lambda x, y: 1 - y**2),
    "sigmoid": (sigmoid, lambda x, y: y * (1 - y)),
    "softplus": (lambda x: np.logaddexp(0, x), lambda x, y: sigmoid(x)),
    "relu": (lambda x: np.maximum(x, 0), lambda x, y: np.where(x > 0, 1.0, 0.0)),
    "sin": (np.sin, lambda x, y: np.cos(x)),
    "cos": (np.cos, lambda x, y: -np.sin(x)),
}


class Node:
    """A result that knows from which results it was computed.

    A subclass defines the operations and `pull(g)`, which turns ∂L/∂self into what self adds to
    ∂L/∂parent, for each parent: the chain rule for one operation. `backward` is the chain rule
    for all of them.

    Args:
        data: the value.
        op: what computed it, a sign or a word; "" for a leaf, which nothing computed.
        parents: what it was computed from; the same one may stand there twice.
        name: of a variable; "" for constants and for results without one.

    Attributes:
        grad: ∂L/∂self in the shape of data, summed over all calls of L.backward() so far; a
            plain 0.0 before the first.
    """

    __array_ufunc__ = None  # NumPy's arrays leave `array + node` to the node

    def __init__(self, data, op: str = "", parents: tuple["Node", ...] = (), name: str = ""):
        self.data, self.op, self.parents, self.name = data, op, parents, name
        self.grad = 0.0

    def pull(self, g) -> Iterable:
        """∂L/∂self to what self adds to ∂L/∂parent, for each parent."""
        raise TypeError(f"{type(self).__name__} must define pull()")

    def apply(self, name: str):
        """One of FUNCTIONS, by its name."""
        raise TypeError(f"{type(self).__name__} must define apply()")

    def backward(self) -> None:
        """Add ∂self/∂node to the `grad` of every node that self was computed from.

        Reverse-mode differentiation (Linnainmaa 1976, BIT 16, 146-160; Rumelhart, Hinton &
        Williams 1986, Nature 323, 533-536). A node's turn comes after that of all nodes that
        were computed from it: its gradient is then complete, and is handed on once.

        Raises:
            ValueError: self is not a single number.
        """
        if np.size(self.data) != 1:
            shape = np.shape(self.data)
            raise ValueError(f"need a single number to go back from, got shape {shape}: sum it")
        arrived = {self: np.ones(np.shape(self.data))}  # by this call; `grad` keeps earlier ones
        for node in reversed(ordered(self)):
            g = arrived.pop(node)
            node.grad = node.grad + g
            for parent, share in zip(node.parents, node.pull(g), strict=True):
                arrived[parent] = arrived[parent] + share if parent in arrived else share

    # --- what reads the same for numbers and arrays ---

    def lift(self, other):
        """A constant as a leaf of the same class; a node of this class as it is."""
        return other if isinstance(other, type(self)) else type(self)(other)

    def __radd__(self, other):
        return self.lift(other) + self

    def __rsub__(self, other):
        return self.lift(other) - self

    def __rmul__(self, other):
        return self.lift(other) * self

    def __rtruediv__(self, other):
        return self.lift(other) / self

    def exp(self):
        """eˣ."""
        return self.apply("exp")

    def log(self):
        """Natural logarithm; as in NumPy −inf at 0 and NaN below, with a warning."""
        return self.apply("log")

    def tanh(self):
        """(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)."""
        return self.apply("tanh")

    def sigmoid(self):
        """1 / (1 + e⁻ˣ)."""
        return self.apply("sigmoid")

    def softplus(self):
        """log(1 + eˣ)."""
        return self.apply("softplus")

    def relu(self):
        """max(x, 0), with slope 0 at 0."""
        return self.apply("relu")

    def sin(self):
        """Sine of radians."""
        return self.apply("sin")

    def cos(self):
        """Cosine of radians."""
        return self.apply("cos")


def ordered(root: Node) -> list[Node]:
    """Root and every node that it was computed from, each after all of its parents.

    A loop with a stack of its own: recursion would end at Python's limit of 1,000 calls.
    """
    done: dict[Node, None] = {}  # a dict keeps the order of arrival
    stack = [(root, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            done[node] = None
        elif node not in done:
            stack.append((node, True))
            stack += [(parent, False) for parent in reversed(node.parents)]
    return list(done)
