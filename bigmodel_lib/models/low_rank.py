"""A matrix as the product of two thin ones.

Shapes: I inputs, O outputs, r rank.
"""

import torch
from torch import nn


@torch.no_grad()
def factored(linear: nn.Linear, r: int) -> nn.Sequential:
    """Two layers I → r → O that come closest to one: W ≈ (U_r S_r) V_rᵀ.

    The r largest singular values are kept, which no other matrix of rank r betters (Eckart &
    Young 1936). It takes r (I + O) weights instead of I · O.

    Args:
        linear: the layer; not changed.
        r: 1 … min(I, O).

    Raises:
        ValueError: r is out of its range.
    """
    O, I = linear.weight.shape  # noqa: E741
    if not 1 <= r <= min(I, O):
        raise ValueError(f"need a rank from 1 to {min(I, O)}, got {r}")
    u, s, vh = torch.linalg.svd(linear.weight, full_matrices=False)
    like = {"device": linear.weight.device, "dtype": linear.weight.dtype}
    narrow = nn.Linear(I, r, bias=False, **like)
    wide = nn.Linear(r, O, bias=linear.bias is not None, **like)
    narrow.weight.copy_(vh[:r])
    wide.weight.copy_(u[:, :r] * s[:r])
    if linear.bias is not None:
        wide.bias.copy_(linear.bias)
    return nn.Sequential(narrow, wide)
