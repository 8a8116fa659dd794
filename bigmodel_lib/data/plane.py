"""Points in the plane whose density is known: what a generative model learned can be measured."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ring:
    """Equal Gaussian humps, evenly on a circle: p(x) = 1/K Σ_k N(x; μ_k, σ² I).

    A usual test for generative models: whoever leaves out a hump, or fills the gaps, is seen.

    Args:
        K: humps. Networks learn a circle first and its humps later; more humps take longer.
        radius: of the circle; with 1.5 each coordinate has a variance near 1.
        std: σ of each hump, in the same unit.

    Raises:
        ValueError: K, radius or std not above 0.
    """

    K: int = 5
    radius: float = 1.5
    std: float = 0.2

    def __post_init__(self):
        if not (self.K >= 1 and self.radius > 0 and self.std > 0):
            raise ValueError(f"need K >= 1, radius > 0 and std > 0, got {self}")

    @property
    def centres(self) -> Tensor:
        """μ_k (K, 2)."""
        return self._on_the_circle(0.0)

    @property
    def gaps(self) -> Tensor:
        """The points of the circle that are farthest from all centres (K, 2)."""
        return self._on_the_circle(0.5)

    def _on_the_circle(self, turn: float) -> Tensor:
        angles = 2 * math.pi * (torch.arange(self.K) + turn) / self.K
        return self.radius * torch.stack([angles.cos(), angles.sin()], dim=1)

    def log_density(self, points: Tensor) -> Tensor:
        """log p of points (…, 2), in nats."""
        z = (points[..., None, :] - self.centres.to(points)) / self.std  # (…, K, 2)
        log_hump = -z.square().sum(dim=-1) / 2 - math.log(2 * math.pi * self.std**2)
        return log_hump.logsumexp(dim=-1) - math.log(self.K)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random points (count, 2)."""
        k = torch.randint(self.K, (count,), generator=generator)
        return self.centres[k] + self.std * torch.randn(count, 2, generator=generator)

    def shares(self, points: Tensor, reach: float = 3.0) -> Tensor:
        """Share of the points (N, 2) that lie on each hump (K,), within so many σ of its centre.

        Of the true points 1 − e^{−reach²/2} lie on one: 98.9 % for 3 σ.
        """
        nearest = torch.cdist(points, self.centres.to(points)).min(dim=1)
        on = nearest.indices[nearest.values <= reach * self.std]
        return torch.bincount(on, minlength=self.K) / len(points)

    def contrast(self, points: Tensor, reach: float = 1.5) -> float:
        """How many points (N, 2) lie near a centre, for each that lies near a gap.

        1 for points that are spread evenly along the circle, however near to it they are.
        """
        places = torch.stack([self.centres, self.gaps]).to(points)  # (2, K, 2)
        near = (torch.cdist(points.expand(2, -1, -1), places) <= reach * self.std).sum(dim=(1, 2))
        return float(near[0] / near[1].clamp(min=1))
