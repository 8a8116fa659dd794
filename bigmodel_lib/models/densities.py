"""The GAN's value function where everything is known: exact densities in one dimension.

p is the density of the data, q that of the generator, both on one grid x of (N,) points; D(x)
is the probability that the discriminator gives to "x is real". Integrals are trapezoid sums
over the grid, logarithms natural, so that values are in nats. Use float64.

Source: Goodfellow et al. 2014, Generative Adversarial Nets, arXiv:1406.2661.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

F64 = torch.float64
# log 0 counts as the log of the smallest double: where D was rounded to 0 or 1 the other
# density is so small that this moves an integral by less than 1e-12
LOG_ZERO = math.log(5e-324)
NEGLIGIBLE = 1e-12  # mass that changes no integral of a logarithm visibly
MASS_TOLERANCE = 1e-3  # a density that misses more than this of its mass is cut off


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians: Σ_k w_k N(x; μ_k, σ_k²).

    Args:
        weights: w_k > 0; they sum to 1.
        means, stds: μ_k and σ_k > 0, in the unit of x.

    Raises:
        ValueError: other lengths, or values out of their range.
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    def __post_init__(self):
        lengths = len(self.weights), len(self.means), len(self.stds)
        if len(set(lengths)) > 1 or not self.weights:
            raise ValueError(f"need as many weights as means and stds, got {lengths}")
        if min(self.weights) <= 0 or not math.isclose(sum(self.weights), 1, abs_tol=1e-9):
            raise ValueError(f"need weights > 0 that sum to 1, got {self.weights}")
        if not all(0 < std < math.inf for std in self.stds):
            raise ValueError(f"need stds > 0 and finite, got {self.stds}")
        if not all(map(math.isfinite, self.means)):
            raise ValueError(f"need finite means, got {self.means}")

    def log_density(self, x: Tensor) -> Tensor:
        """log p at points of any shape; finite however far out, where p itself underflows."""
        w, mean, std = self._parts(x)
        z = (x[..., None] - mean) / std  # (…, K)
        return torch.logsumexp(w.log() - std.log() - z.square() / 2, dim=-1) - _LOG_ROOT_2PI

    def density(self, x: Tensor) -> Tensor:
        """p at points of any shape, per unit of x."""
        return self.log_density(x).exp()

    def cdf(self, x: Tensor) -> Tensor:
        """The share of the mass below each point, for points of any shape."""
        w, mean, std = self._parts(x)
        return (w * torch.special.ndtr((x[..., None] - mean) / std)).sum(dim=-1)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random points (count,) in float64."""
        w, mean, std = (torch.tensor(v, dtype=F64) for v in (self.weights, self.means, self.stds))
        k = torch.multinomial(w, count, replacement=True, generator=generator)
        return mean[k] + std[k] * torch.randn(count, dtype=F64, generator=generator)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts = (self.weights, self.means, self.stds)
        return tuple(torch.tensor(part, dtype=x.dtype, device=x.device) for part in parts)


_LOG_ROOT_2PI = math.log(2 * math.pi) / 2

MIXTURES = {
    "one hump": Mixture((1.0,), (1.0,), (1.0,)),
    "two humps": Mixture((0.5, 0.5), (-2.0, 2.0), (0.6, 0.6)),
    "narrow and wide": Mixture((0.3, 0.7), (-2.5, 1.5), (0.25, 1.2)),
    "three humps": Mixture((0.25, 0.35, 0.4), (-3.5, 0.0, 3.0), (0.4, 0.5, 0.7)),
}


def gaussian(mean: float, std: float) -> Mixture:
    """N(mean, std²), a mixture of one."""
    return Mixture((1.0,), (mean,), (std,))


def grid(low: float = -12.0, high: float = 12.0, points: int = 4801) -> Tensor:
    """Equally spaced points (N,) in float64, both ends included."""
    return torch.linspace(low, high, points, dtype=F64)


def integral(values: Tensor, x: Tensor) -> Tensor:
    """∫ values dx by the trapezoid rule: values (N,) at points x (N,), a scalar."""
    return torch.trapezoid(values, x)


def optimal_discriminator(p: Tensor, q: Tensor) -> Tensor:
    """The best answer to a generator: D*(x) = p(x) / (p(x) + q(x)) -- proposition 1.

    Args:
        p, q: densities of one shape (N,).

    Returns:
        D* (N,) in [0, 1]; 1/2 where both densities are 0, where any answer is as good.

    Raises:
        ValueError: shapes differ.
    """
    if p.shape != q.shape:
        raise ValueError(f"need p and q of one shape, got {tuple(p.shape)} and {tuple(q.shape)}")
    total = p + q
    return torch.where(total > 0, p / total, 0.5)


def gan_value(D: Tensor, p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """V(D, G) = E_p[log D(x)] + E_q[log(1 − D(x))] -- eq. 1, with q the density of G(z).

    log 0 counts as −744, the log of the smallest double. For a discriminator known by its
    scores, `gan_value_of_scores` keeps what the rounding of D to 0 or 1 would lose.

    Args:
        D: probabilities (N,) in [0, 1].
        p, q: densities (N,).
        x: the grid (N,), increasing.

    Returns:
        A scalar in nats, at most 0: 0 if D never errs, −log 4 for D = 1/2 everywhere.

    Raises:
        ValueError: shapes differ, D is no probability, or p or q has no mass of 1 on the grid.
    """
    _check(x, p=p, q=q)
    if D.shape != x.shape or not bool(((D >= 0) & (D <= 1)).all()):
        raise ValueError(f"need D of {tuple(x.shape)} in [0, 1], got {_range(D)}")
    return integral(p * _log(D) + q * _log(1 - D), x)


def gan_value_of_scores(score: Tensor, p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """V(D, G) for D = σ(score): E_p[−softplus(−score)] + E_q[−softplus(score)], in nats.

    Args:
        score: of the discriminator at x, (N,), any real numbers.
        p, q, x: see `gan_value`.

    Raises:
        ValueError: shapes differ, or p or q has no mass of 1 on the grid.
    """
    _check(x, p=p, q=q)
    if score.shape != x.shape:
        raise ValueError(f"need scores of {tuple(x.shape)}, got {tuple(score.shape)}")
    softplus = torch.nn.functional.softplus
    return -integral(p * softplus(-score) + q * softplus(score), x)


def kl_divergence(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """KL(p ‖ q) = ∫ p log(p / q) dx -- Kullback & Leibler 1951, eq. 2.4.

    Args:
        p, q: densities (N,).
        x: the grid (N,), increasing.

    Returns:
        A scalar in nats, >= 0; infinite if p has mass (over 1e-12) where q is 0 or underflows.

    Raises:
        ValueError: shapes differ, or p or q has no mass of 1 on the grid.
    """
    _check(x, p=p, q=q)
    outside = q == 0
    terms = torch.where(outside, 0.0, torch.xlogy(p, p) - torch.xlogy(p, q))
    lost = integral(torch.where(outside, p, 0.0), x)
    return integral(terms, x) if lost < NEGLIGIBLE else torch.full_like(lost, math.inf)


def jensen_shannon(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """JSD = KL(p ‖ m) / 2 + KL(q ‖ m) / 2, m = (p + q) / 2 -- Lin 1991, eq. 4.1.

    V(D*, G) = 2 JSD(p, q) − log 4 -- Goodfellow et al. 2014, theorem 1.

    Args:
        p, q: densities (N,).
        x: the grid (N,), increasing.

    Returns:
        A scalar in nats, from 0 (equal) to log 2 (disjoint).

    Raises:
        ValueError: shapes differ, or p or q has no mass of 1 on the grid.
    """
    m = (p + q) / 2
    return (kl_divergence(p, m, x) + kl_divergence(q, m, x)) / 2


def wasserstein_1(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """W₁ = ∫ |F_p(x) − F_q(x)| dx, F the distribution functions -- Vallender 1974.

    How far mass must be moved on average to turn p into q: unlike JSD it keeps growing when
    the two are disjoint (Arjovsky et al. 2017, example 1, arXiv:1701.07875).

    Args:
        p, q: densities (N,).
        x: the grid (N,), increasing.

    Returns:
        A scalar, in the unit of x.

    Raises:
        ValueError: shapes differ, or p or q has no mass of 1 on the grid.
    """
    _check(x, p=p, q=q)
    gap = torch.cumulative_trapezoid(p - q, x)  # F_p − F_q at x[1:]
    return integral(gap.abs(), x[1:])


def optimal_score(p: Mixture, q: Mixture, x: Tensor) -> Tensor:
    """log p(x) − log q(x), the score of D* = σ(score), at points of any shape.

    Exact where p/(p + q) would be rounded to 0 or 1, and differentiable in x.
    """
    return p.log_density(x) - q.log_density(x)


def generator_gradients(score: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """What a generator's sample at x is told by D = σ(score); G descends, so it moves against it.

    saturating: d/dx log(1 − D(x)) = −D(x) · score′(x) (eq. 1);
    non-saturating: −d/dx log D(x) = −(1 − D(x)) · score′(x) (section 3).

    Both point the same way. Where D is sure that x is fake, D(x) ≈ 0, the first vanishes.

    Args:
        score: points (…) → scores (…), each from its own point alone, differentiable.
        x: points (…), floats.

    Returns:
        The saturating and the non-saturating gradient, each (…), in nats per unit of x.
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        scores = score(x)
        (slope,) = torch.autograd.grad(scores.sum(), x)
    scores = scores.detach()
    return -torch.sigmoid(scores) * slope, -torch.sigmoid(-scores) * slope


def _log(t: Tensor) -> Tensor:
    return t.log().clamp(min=LOG_ZERO)


def _range(values: Tensor) -> str:
    low, high = (float(v) for v in (values.min(), values.max()))
    return f"{tuple(values.shape)} from {low:.4g} to {high:.4g}"


def _check(x: Tensor, **densities: Tensor) -> None:
    if x.ndim != 1 or len(x) < 2 or not bool((x.diff() > 0).all()):
        raise ValueError(f"need a grid (N,) of increasing points, got {tuple(x.shape)}")
    for name, density in densities.items():
        if density.shape != x.shape:
            got = f"{tuple(density.shape)} and {tuple(x.shape)}"
            raise ValueError(f"need {name} and x of one shape (N,), got {got}")
        mass = float(integral(density, x))
        if not bool((density >= 0).all()) or not abs(mass - 1) <= MASS_TOLERANCE:
            raise ValueError(
                f"need {name} >= 0 with mass 1 on the grid, got {_range(density)} with mass "
                f"{mass:.4g}: is the grid wide and fine enough?"
            )
