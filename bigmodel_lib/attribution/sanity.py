"""Does a map change when the model is destroyed?  Maps have shape (B, h, w)."""

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def cascade(model: nn.Module, seed: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """Copies of a model with ever more layers at random weights, from the answer downwards.

    Cascading randomisation of Adebayo et al. 2018, arXiv:1810.03292. A norm, whose
    weights are no matrix, goes along with the layer before it.

    Args:
        model: stays as it is.
        seed: of the new weights.

    Yields:
        The name of the layer just randomised, and a copy of the model so far. In the last copy,
        every layer that has `reset_parameters` is at random.
    """
    ruin = copy.deepcopy(model)
    layers = [(n, m) for n, m in ruin.named_modules() if hasattr(m, "reset_parameters")]
    generator = torch.Generator().manual_seed(seed)
    for name, layer in reversed(layers):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            layer.reset_parameters()
        if getattr(layer, "weight", torch.empty(0)).ndim > 1:
            yield name, copy.deepcopy(ruin)


def rank_correlation(a: Tensor, b: Tensor, where: Tensor | None = None) -> Tensor:
    """Spearman's rank correlation of the sizes |a| and |b| of two maps, image by image.

    Args:
        a, b: maps (B, h, w).
        where: bool (B, h, w), the pixels that count; all if not given.

    Returns:
        (B,), from −1 to 1; NaN where a map is the same everywhere.

    Raises:
        ValueError: shapes that differ.
    """
    where = torch.ones_like(a, dtype=torch.bool) if where is None else where
    if not a.shape == b.shape == where.shape or a.ndim != 3:
        shapes = [tuple(t.shape) for t in (a, b, where)]
        raise ValueError(f"need maps (B, h, w) of one shape, got {shapes}")
    pairs = zip(a.abs(), b.abs(), where, strict=True)
    return torch.stack([_pearson(*(_ranks(m[kept]) for m in (x, y))) for x, y, kept in pairs])


def _ranks(values: Tensor) -> Tensor:
    from scipy.stats import rankdata  # a second to import, and DrawDigit needs none of it

    return torch.from_numpy(rankdata(values.cpu().numpy()))


def _pearson(x: Tensor, y: Tensor) -> Tensor:
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / (x.norm() * y.norm())


def structural_similarity(a: Tensor, b: Tensor, side: int = 7) -> Tensor:
    """SSIM of the sizes |a| and |b| of two maps, each first divided by its largest value.

    (2 μ_a μ_b + c₁)(2 σ_ab + c₂) / ((μ_a² + μ_b² + c₁)(σ_a² + σ_b² + c₂)), mean over all windows
    of `side` by `side` pixels; c₁ = 0.01², c₂ = 0.03² -- Wang et al. 2004, eq. 13, IEEE
    Transactions on Image Processing 13(4).

    Args:
        a, b: maps (B, h, w).
        side: pixels.

    Returns:
        (B,), at most 1, which only equal maps reach.

    Raises:
        ValueError: shapes that differ, or maps smaller than a window.
    """
    if a.shape != b.shape or a.ndim != 3 or min(a.shape[1:]) < side:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise ValueError(f"need maps (B, h, w) of one shape, sides at least {side}, got {shapes}")
    a, b = (m.abs().double() / m.abs().amax((1, 2), keepdim=True).clamp(min=1e-12) for m in (a, b))
    mean_a, mean_b, aa, bb, ab = (F.avg_pool2d(m, side, 1) for m in (a, b, a * a, b * b, a * b))
    var_a, var_b, cov = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    above = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return (above / below).mean((1, 2))
