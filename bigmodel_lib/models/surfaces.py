"""Functions of two variables with known minima, on which optimisers are compared.

A surface maps points (…, 2) to values (…). Its minima and their value are exact, to the last
digit of float64; tests/models/test_surfaces.py checks them by gradient and curvature.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Surface:
    """A function of a point (x, y), and what is known of it.

    Attributes:
        name: what it is called.
        formula: as a reader writes it.
        source: where it was first used.
        value: (x, y), of one shape, → f(x, y) of that shape.
        minima: all points where f is lowest.
        lowest: the value there.
        start: a point from where finding a minimum is interesting.
        x_range, y_range: the part worth drawing.
    """

    name: str
    formula: str
    source: str
    value: Callable[[Tensor, Tensor], Tensor]
    minima: tuple[tuple[float, float], ...]
    start: tuple[float, float]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    lowest: float = 0.0

    def __call__(self, points: Tensor) -> Tensor:
        """f of points (…, 2), as (…).

        Raises:
            ValueError: the last axis is not of length 2, or integers instead of floats.
        """
        if points.shape[-1:] != (2,) or not points.is_floating_point():
            got = f"{tuple(points.shape)} of {points.dtype}"
            raise ValueError(f"need points (…, 2) of floats, got {got}")
        return self.value(points[..., 0], points[..., 1])

    def gradient(self, points: Tensor) -> Tensor:
        """∇f at points (…, 2), as (…, 2)."""
        points = points.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(self(points).sum(), points)
        return gradient

    def distance(self, points: Tensor) -> Tensor:
        """From points (…, 2) to the nearest minimum, as (…)."""
        minima = torch.tensor(self.minima, dtype=points.dtype, device=points.device)  # (M, 2)
        return (points[..., None, :] - minima).norm(dim=-1).min(dim=-1).values


def bowl(condition: float = 10.0) -> Surface:
    """A quadratic bowl, `condition` times as steep in y as in x.

    Gradient descent converges for η < 2 / condition only, and then needs about `condition`
    steps to come e times closer along x.

    Args:
        condition: κ, the ratio of the largest and the smallest curvature; >= 1.

    Raises:
        ValueError: condition < 1 or not finite.
    """
    if not 1 <= condition < math.inf:
        raise ValueError(f"need a condition number >= 1 and finite, got {condition}")
    return Surface(
        name="bowl",
        formula="(x² + κ y²) / 2",
        source="Polyak 1964, USSR Comput. Math. Math. Phys. 4 (5), where momentum comes from",
        value=lambda x, y: (x**2 + condition * y**2) / 2,
        minima=((0.0, 0.0),),
        start=(-3.5, 1.5),
        x_range=(-4.0, 4.0),
        y_range=(-3.0, 3.0),
    )


ROSENBROCK = Surface(
    name="Rosenbrock",
    formula="(1 − x)² + 100 (y − x²)²",
    source="Rosenbrock 1960, The Computer Journal 3 (3)",
    value=lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
    minima=((1.0, 1.0),),
    start=(-1.2, 1.0),
    x_range=(-2.0, 2.0),
    y_range=(-1.0, 3.0),
)

BEALE = Surface(
    name="Beale",
    formula="(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²",
    source="Beale 1958, On an iterative method for finding a local minimum, Princeton report 25",
    value=lambda x, y: sum(
        (c - x + x * y**k) ** 2 for k, c in enumerate((1.5, 2.25, 2.625), start=1)
    ),
    minima=((3.0, 0.5),),
    start=(1.0, 1.5),
    x_range=(-4.5, 4.5),
    y_range=(-4.5, 4.5),
)

HIMMELBLAU = Surface(
    name="Himmelblau",
    formula="(x² + y − 11)² + (x + y² − 7)²",
    source="Himmelblau 1972, Applied Nonlinear Programming, McGraw-Hill",
    value=lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
    minima=(
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.2831859912861696),
        (3.5844283403304917, -1.8481265269644036),
    ),
    start=(-0.5, -1.0),
    x_range=(-6.0, 6.0),
    y_range=(-6.0, 6.0),
)

SADDLE = Surface(
    name="saddle",
    formula="x² / 2 + y⁴ / 4 − y² / 2",
    source="the double well, a textbook example; its saddle is at (0, 0)",
    value=lambda x, y: x**2 / 2 + y**4 / 4 - y**2 / 2,
    minima=((0.0, 1.0), (0.0, -1.0)),
    start=(-1.8, 0.001),
    x_range=(-2.0, 2.0),
    y_range=(-1.6, 1.6),
    lowest=-0.25,
)

SURFACES = {surface.name: surface for surface in (bowl(), ROSENBROCK, BEALE, HIMMELBLAU, SADDLE)}
