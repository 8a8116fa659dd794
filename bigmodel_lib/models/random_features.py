"""Linear models on random features, solved exactly: where double descent can be seen in seconds.

Shapes: n examples, I input width, N features, C outputs, R ridge penalties; any batch before them.

Source: Rahimi & Recht 2007, "Random Features for Large-Scale Kernel Machines"; the peak at N = n,
Belkin et al. 2019, arXiv:1812.11118.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def random_relu(x: Tensor, weights: Tensor) -> Tensor:
    """max(0, x W / √I): a hidden layer that is drawn once and never trained.

    Args:
        x: inputs (n, I).
        weights: drawn from a normal distribution, (…, I, N).

    Returns:
        Features (…, n, N).

    Raises:
        ValueError: x and weights differ in I.
    """
    if x.shape[-1] != weights.shape[-2]:
        shapes = f"x {tuple(x.shape)}, weights {tuple(weights.shape)}"
        raise ValueError(f"need x (n, I) and weights (…, I, N); got {shapes}")
    return (x @ weights / x.shape[-1] ** 0.5).relu()


def least_squares(features: Tensor, targets: Tensor, ridge: Sequence[float] = (0.0,)) -> Tensor:
    """The weights that minimise ‖Φw − y‖² + λ‖w‖², for each λ, from one decomposition.

    Φ = U diag(s) Vᵀ gives w = V diag(s / (s² + λ)) Uᵀ y. With λ = 0 and more features than
    examples many w fit exactly; this is the one of the smallest norm (Hastie et al. 2022,
    section 2, arXiv:1903.08560).

    Args:
        features: Φ (…, n, N).
        targets: y (…, n, C).
        ridge: penalties λ ≥ 0.

    Returns:
        Weights (R, …, N, C).

    Raises:
        ValueError: a penalty is negative, or features and targets differ in n.
    """
    if min(ridge) < 0:
        raise ValueError(f"need penalties of at least 0, got {list(ridge)}")
    if features.shape[-2] != targets.shape[-2]:
        shapes = f"features {tuple(features.shape)}, targets {tuple(targets.shape)}"
        raise ValueError(f"need as many targets as examples; got {shapes}")
    u, s, vt = torch.linalg.svd(features, full_matrices=False)
    # what rounding left of a zero must not be divided by
    zero = s <= torch.finfo(s.dtype).eps * max(features.shape[-2:]) * s.amax(-1, keepdim=True)
    found = u.mT @ targets
    inverse = [torch.where(zero, 0, s / (s.square() + penalty)) for penalty in ridge]
    return torch.stack([vt.mT @ (i[..., None] * found) for i in inverse])
