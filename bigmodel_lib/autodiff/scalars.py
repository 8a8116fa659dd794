"""Automatic differentiation of numbers.

w, x = Value(2.0, name="w"), Value(3.0, name="x")
loss = (w * x).tanh() ** 2
loss.backward()
w.grad  # ∂loss/∂w
"""

from collections.abc import Iterable
from numbers import Real

import numpy as np

from bigmodel_lib.autodiff.graph import FUNCTIONS, Node


class Value(Node):
    """A number that remembers how it was computed.

    Args:
        data: a number.
        op, parents, name: see `Node`.
        slopes: ∂self/∂parent for each parent, a number that is known as soon as the value is.

    Raises:
        TypeError: data is no number.
    """

    def __init__(self, data: float, op="", parents=(), slopes: Iterable[float] = (), name=""):
        if not isinstance(data, Real | np.ndarray) or np.ndim(data):
            raise TypeError(f"need a number, got {data!r}")
        super().__init__(float(data), op, parents, name)
        self.slopes = tuple(map(float, slopes))

    def __repr__(self) -> str:
        return f"Value({self.data:.6g}, grad={self.grad:.6g})"

    def pull(self, g: float) -> list[float]:
        """∂L/∂parent += ∂L/∂self · ∂self/∂parent."""
        return [g * slope for slope in self.slopes]

    def __add__(self, other):
        b = self.lift(other)
        return Value(self.data + b.data, "+", (self, b), (1, 1))

    def __sub__(self, other):
        b = self.lift(other)
        return Value(self.data - b.data, "−", (self, b), (1, -1))

    def __mul__(self, other):
        b = self.lift(other)
        return Value(self.data * b.data, "×", (self, b), (b.data, self.data))

    def __truediv__(self, other):
        b = self.lift(other)
        y = np.divide(self.data, b.data)  # by 0: ±inf or NaN and a warning, as all of NumPy's
        return Value(y, "÷", (self, b), (np.divide(1, b.data), np.divide(-y, b.data)))

    def __pow__(self, n: float):
        if not isinstance(n, Real):
            raise TypeError(f"need a plain number as exponent, got {n!r}")
        slope = n * np.power(self.data, n - 1) if n else 0  # n = 0 is flat at x = 0, too
        return Value(np.power(self.data, n), f"^{n:g}", (self,), (slope,))

    def __neg__(self):
        return Value(-self.data, "neg", (self,), (-1,))

    def apply(self, name: str) -> "Value":
        """One of FUNCTIONS, by its name."""
        f, slope = FUNCTIONS[name]
        y = f(self.data)
        return Value(y, name, (self,), (slope(self.data, y),))
