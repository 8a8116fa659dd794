"""A power law with a floor: how an error falls with size, and where it stops falling."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares


@dataclass(frozen=True)
class PowerLaw:
    """L(N) = E + A N^(−α), the form of Hoffmann et al. 2022, eq. 2, at a fixed amount of data.

    Attributes:
        E: the floor, in the unit of L: what no size removes.
        A: what N = 1 would have above the floor.
        alpha: by which power of N the rest falls.
    """

    E: float
    A: float
    alpha: float

    def __call__(self, N):
        """L of size N, a number or an array."""
        return self.E + self.A * np.asarray(N, float) ** -self.alpha

    def size_where(self, excess: float) -> float:
        """The size at which L is so large a share above its floor: A N^(−α) = excess · E.

        Raises:
            ValueError: excess is not above 0, or there is no floor to measure it by.
        """
        if not (excess > 0 and self.E > 0):
            raise ValueError(f"need excess > 0 and a floor E > 0, got {excess} and E={self.E}")
        return float((self.A / (excess * self.E)) ** (1 / self.alpha))


def fit_power_law(N, L) -> PowerLaw:
    """The law with the least squares of log L̂ − log L: relative errors count, small or large L.

    Args:
        N, L: sizes and errors (n,), positive, at least three different sizes.

    Raises:
        ValueError: other shapes, fewer sizes, or values that are not positive and finite.
    """
    N, L = np.asarray(N, float), np.asarray(L, float)
    if N.shape != L.shape or N.ndim != 1 or len(np.unique(N)) < 3:
        raise ValueError(f"need N and L (n,) of 3 sizes or more, got {N.shape} and {L.shape}")
    if not all((np.isfinite(v) & (v > 0)).all() for v in (N, L)):
        raise ValueError(f"need positive, finite N and L, got {N} and {L}")
    x, y, lowest = np.log(N), np.log(L), L.min()

    def misses(law):  # floor as a share of the lowest L; height at the middle size; power
        floor, height, alpha = law
        return np.log(floor * lowest + np.exp(height - alpha * (x - x.mean()))) - y

    slope, height = np.polyfit(x - x.mean(), y, 1)
    bounds = (0, -np.inf, 0), (1, np.inf, np.inf)
    start = 0.5, height, max(-slope, 0.1)
    floor, height, alpha = least_squares(misses, start, bounds=bounds, xtol=1e-12).x
    return PowerLaw(E=floor * lowest, A=float(np.exp(height + alpha * x.mean())), alpha=alpha)
