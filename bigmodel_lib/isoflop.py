"""Scaling laws from one's own runs: the best size for each budget, and a law that predicts.

Symbols: N parameters, D tokens, C FLOPs, L loss in nats a token, R runs.

Source: Hoffmann et al. 2022, approaches 2 and 3, arXiv:2203.15556; intervals by bootstrap as in
Besiroglu et al. 2024, arXiv:2404.10102.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from bigmodel_lib.scaling import ParametricLoss

HUBER = 1e-3  # of log L, beyond which a miss counts linearly; Hoffmann et al. 2022, eq. 3


@dataclass(frozen=True)
class Valley:
    """L = lowest + curvature (log N − log size)², the loss over sizes at one budget.

    Attributes:
        size: parameters at which the loss is least.
        lowest: that loss.
        curvature: how quickly it rises on both sides.
    """

    size: float
    lowest: float
    curvature: float

    def __call__(self, N):
        """The loss of size N, a number or an array."""
        return self.lowest + self.curvature * np.log(np.asarray(N, float) / self.size) ** 2


def fit_valley(N, L) -> Valley:
    """The parabola in log N through the runs of one budget, by least squares.

    Args:
        N, L: sizes and losses (R,), at least three different sizes.

    Raises:
        ValueError: fewer sizes, or no valley: the parabola has no lowest point, or has it
            outside of the sizes that were tried.
    """
    N, L = np.asarray(N, float), np.asarray(L, float)
    if N.shape != L.shape or len(np.unique(N)) < 3:
        raise ValueError(f"need N and L (R,) of 3 sizes or more, got {N.shape} and {L.shape}")
    curvature, slope, height = np.polyfit(np.log(N), L, 2)
    lowest_at = -slope / (2 * curvature)
    if curvature <= 0 or not np.log(N.min()) <= lowest_at <= np.log(N.max()):
        raise ValueError(f"need a lowest loss between the sizes {N}, got losses {L}")
    lowest = height - slope**2 / (4 * curvature)
    return Valley(float(np.exp(lowest_at)), float(lowest), float(curvature))


def fit_loss(N, D, L, start: ParametricLoss | None = None) -> ParametricLoss:
    """The law L(N, D) = E + A/N^α + B/D^β that fits runs best.

    Least Huber loss of log L̂ − log L  -- Hoffmann et al. 2022, eq. 3.

    Args:
        N, D, L: sizes, tokens and losses (R,) of at least six runs.
        start: where to begin; None tries several places.

    Raises:
        ValueError: other shapes, fewer runs, or values that are not positive.
    """
    N, D, L = (np.asarray(values, float) for values in (N, D, L))
    if not N.shape == D.shape == L.shape or N.ndim != 1 or len(N) < 6:
        raise ValueError(f"need N, D and L (R,), R >= 6; got {N.shape}, {D.shape}, {L.shape}")
    if not all((values > 0).all() for values in (N, D, L)):
        raise ValueError("need positive sizes, tokens and losses")
    # measured at the middle of the runs, the parts are of like size and the fit is well posed
    n, d, y = np.log(N / _middle(N)), np.log(D / _middle(D)), np.log(L)

    def misses(law):
        e, a, b, alpha, beta = law
        return np.log(np.exp(e) + np.exp(a - alpha * n) + np.exp(b - beta * d)) - y

    found = [
        optimize.least_squares(misses, x, loss="huber", f_scale=HUBER, bounds=BOUNDS, xtol=1e-10)
        for x in (STARTS if start is None else [_centred(start, N, D)])
    ]
    e, a, b, alpha, beta = min(found, key=lambda fit: fit.cost).x
    A, B = np.exp(a) * _middle(N) ** alpha, np.exp(b) * _middle(D) ** beta
    return ParametricLoss(*map(float, (np.exp(e), A, B, alpha, beta)))


# e, a, b, α, β: logarithms of the three parts in the middle of the runs, and the powers
BOUNDS = ([-20, -20, -20, 0.01, 0.01], [3, 3, 3, 2, 2])
STARTS = [
    [floor, other, other, power, power]
    for floor in (-3.0, 0.0)
    for other in (-2.0, 0.0)
    for power in (0.2, 0.5)
]


def predicted(
    N, D, L, at: tuple[float, float], *, level: float = 0.9, draws: int = 200, seed: int = 0
) -> tuple[float, float, float]:
    """The loss of a model outside of the fit, with an interval for one new run.

    The runs are drawn again with replacement, the law is fitted anew, and what the law misses a
    run by is added: uncertainty of the law and spread of a run both.

    Args:
        N, D, L: the runs, as in `fit_loss`.
        at: size and tokens of the new model.
        level: share of new runs that the interval should hold.
        draws: of the bootstrap.
        seed: of its random numbers.

    Returns:
        Best estimate, lower and upper end, in the unit of L.

    Raises:
        ValueError: level is not in (0, 1), no draws, or runs that `fit_loss` refuses.
    """
    if not 0 < level < 1 or draws < 1:
        raise ValueError(f"need level in (0, 1) and a draw or more, got {level} and {draws}")
    N, D, L = (np.asarray(values, float) for values in (N, D, L))
    law, rng = fit_loss(N, D, L), np.random.default_rng(seed)
    misses = np.log(L) - np.log(law(N, D))
    ends = []
    for _ in range(draws):
        rows = rng.integers(len(N), size=len(N))
        again = fit_loss(N[rows], D[rows], L[rows], start=law)
        ends.append(np.log(again(*at)) + rng.choice(misses))
    low, high = np.exp(np.quantile(ends, [(1 - level) / 2, (1 + level) / 2]))
    return float(law(*at)), float(low), float(high)


def _middle(values: np.ndarray) -> float:
    return float(np.exp(np.log(values).mean()))


def _centred(law: ParametricLoss, N: np.ndarray, D: np.ndarray) -> np.ndarray:
    """A law as the logarithms that the fit works with, within its bounds."""
    parts = law.E, law.A / _middle(N) ** law.alpha, law.B / _middle(D) ** law.beta
    return np.clip([*np.log(np.maximum(parts, 1e-8)), law.alpha, law.beta], *BOUNDS)
