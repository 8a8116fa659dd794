"""Automatic differentiation of arrays: the same walk, each node a whole array.

    W, x = Array(np.ones((3, 5))), np.ones((7, 3))
    loss = (x @ W).tanh().mean()
    loss.backward()
    W.grad  # (3, 5)

Where a number had a slope, an operation on arrays has a function that turns ∂L/∂self into
∂L/∂parent: written out as a matrix, ∂self/∂parent would have as many entries as both together
multiplied.
"""

from collections.abc import Callable
from numbers import Real

import numpy as np

from bigmodel_lib.autodiff.graph import FUNCTIONS, Node

Pull = Callable[[np.ndarray], np.ndarray]


class Array(Node):
    """An array of float64 that remembers how it was computed.

    Args:
        data: an array or nested lists of numbers, any shape.
        op, parents, name: see `Node`.
        pulls: for each parent, from ∂L/∂self to ∂L/∂parent; what broadcasting repeated is
            summed up afterwards.

    Raises:
        TypeError: data does not consist of numbers.
    """

    def __init__(self, data, op="", parents=(), pulls: tuple[Pull, ...] = (), name=""):
        data = np.asarray(data)
        if data.dtype.kind not in "buif":
            raise TypeError(f"need an array of numbers, got {data.dtype}")
        super().__init__(data.astype(np.float64, copy=False), op, parents, name)
        self.pulls = pulls

    def __repr__(self) -> str:
        return f"Array({self.data!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the data."""
        return self.data.shape

    def pull(self, g: np.ndarray) -> list[np.ndarray]:
        """∂L/∂self to each ∂L/∂parent, in the parent's shape."""
        pairs = zip(self.pulls, self.parents, strict=True)
        return [unbroadcast(pull(g), parent.shape) for pull, parent in pairs]

    # --- entry by entry ---

    def __add__(self, other):
        a, b = self._pair(other)
        return Array(a.data + b.data, "+", (a, b), (lambda g: g, lambda g: g))

    def __sub__(self, other):
        a, b = self._pair(other)
        return Array(a.data - b.data, "−", (a, b), (lambda g: g, lambda g: -g))

    def __mul__(self, other):
        a, b = self._pair(other)
        return Array(a.data * b.data, "×", (a, b), (lambda g: g * b.data, lambda g: g * a.data))

    def __truediv__(self, other):
        a, b = self._pair(other)
        y = a.data / b.data
        return Array(y, "÷", (a, b), (lambda g: g / b.data, lambda g: -g * y / b.data))

    def __pow__(self, n: float):
        if not isinstance(n, Real):
            raise TypeError(f"need a plain number as exponent, got {n!r}")
        slope = n * self.data ** (n - 1) if n else 0.0  # n = 0 is flat at x = 0, too
        return Array(self.data**n, f"^{n:g}", (self,), (lambda g: g * slope,))

    def __neg__(self):
        return Array(-self.data, "neg", (self,), (lambda g: -g,))

    def apply(self, name: str) -> "Array":
        """One of FUNCTIONS, by its name."""
        f, slope = FUNCTIONS[name]
        x, y = self.data, f(self.data)
        return Array(y, name, (self,), (lambda g: g * slope(x, y),))

    def _pair(self, other) -> tuple["Array", "Array"]:
        b = self.lift(other)
        try:
            np.broadcast_shapes(self.shape, b.shape)
        except ValueError as error:
            text = f"need shapes that broadcast, got {self.shape} and {b.shape}"
            raise ValueError(text) from error
        return self, b

    # --- across entries ---

    def __matmul__(self, other):
        a, b = self, self.lift(other)
        if min(a.data.ndim, b.data.ndim) < 2 or a.shape[-1] != b.shape[-2]:
            raise ValueError(f"need (…, n, k) @ (…, k, m), got {a.shape} and {b.shape}")
        pulls = lambda g: g @ b.data.swapaxes(-1, -2), lambda g: a.data.swapaxes(-1, -2) @ g
        return Array(a.data @ b.data, "@", (a, b), pulls)

    def __rmatmul__(self, other):
        return self.lift(other) @ self

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Array":
        """Σ over all entries, or along axes: each entry gets the gradient of its sum."""
        total = self.data.sum(axis=axis, keepdims=True)

        def pull(g):
            return np.broadcast_to(np.reshape(g, total.shape), self.shape)

        return Array(total if keepdims else self.data.sum(axis=axis), "sum", (self,), (pull,))

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Array":
        """Sum over count."""
        total = self.sum(axis, keepdims)
        return total * (total.data.size / self.data.size)

    def __getitem__(self, index) -> "Array":
        """Entries, by any of NumPy's ways; one that is taken twice gets both gradients."""

        def pull(g):
            whole = np.zeros(self.shape)
            np.add.at(whole, index, g)  # `whole[index] += g` would keep one of the two
            return whole

        return Array(self.data[index], "[ ]", (self,), (pull,))

    def reshape(self, *shape: int) -> "Array":
        """The same entries in another shape."""
        return Array(
            self.data.reshape(shape), "reshape", (self,), (lambda g: g.reshape(self.shape),)
        )

    def transpose(self, *axes: int) -> "Array":
        """Axes in another order; the reverse order if none is given."""
        order = axes or tuple(reversed(range(self.data.ndim)))
        back = (lambda g: g.transpose(np.argsort(order)),)
        return Array(self.data.transpose(order), "transpose", (self,), back)

    def logsumexp(self, axis: int = -1, keepdims: bool = False) -> "Array":
        """log Σ eˣ along an axis; the largest is taken out first, so that nothing overflows."""
        largest = self.data.max(axis=axis, keepdims=True)  # a constant: it cancels
        total = (self - largest).exp().sum(axis, keepdims=True).log() + largest
        return total if keepdims else total.sum(axis)

    def softmax(self, axis: int = -1) -> "Array":
        """eˣ / Σ eˣ along an axis."""
        return (self - self.logsumexp(axis, keepdims=True)).exp()


def unbroadcast(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum a gradient over the axes along which broadcasting repeated an array of this shape.

    A number that was used many times gets the sum of what each use sends back.

    Args:
        g: of a shape to which `shape` broadcasts.
    """
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))  # axes that were put in front
    repeated = tuple(i for i, size in enumerate(shape) if size == 1 and g.shape[i] != 1)
    return g.sum(axis=repeated, keepdims=True) if repeated else g
