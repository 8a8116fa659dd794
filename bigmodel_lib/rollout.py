"""From where a Transformer's answer comes, followed back through its attention.

Shapes: B batch, H heads, T tokens or patches.

Source: Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers", arXiv:2005.00928.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def rollout(weights: Sequence[Tensor]) -> Tensor:
    """How much of each input is in each output, if attention only ever mixed.

    Ã_L ⋯ Ã_2 Ã_1 with Ã_l = ½ Ā_l + ½ I, Ā_l the mean over heads: half of each layer's output is
    its input, which the residual path hands on -- Abnar & Zuidema 2020.

    Args:
        weights: of each layer (B, H, T, T), the first layer first; rows sum to 1.

    Returns:
        (B, T, T): row i says what output i is mixed of; rows sum to 1.

    Raises:
        ValueError: no layers, or layers of different sizes.
    """
    if not weights or any(w.ndim != 4 or w.shape != weights[0].shape for w in weights):
        shapes = [tuple(w.shape) for w in weights]
        raise ValueError(f"need weights (B, H, T, T) of one layer or more, all alike; got {shapes}")
    identity = torch.eye(weights[0].shape[-1]).to(weights[0])
    mixed = identity.expand(len(weights[0]), -1, -1)
    for w in weights:
        mixed = (w.mean(dim=1) + identity) / 2 @ mixed
    return mixed


def on_pixels(scores: Tensor, P: int, width: int) -> Tensor:
    """What each patch has, given to each of its pixels: as `deletion_curve` ranks them.

    Args:
        scores: of patches of P by P pixels, row by row, (B, T).
        P: pixels a side of a patch.
        width: pixels of a row of the image, w.

    Returns:
        (B, h, w) with h · w = T · P².

    Raises:
        ValueError: so many patches fill no image of this width.
    """
    across = width // P
    if width % P or scores.shape[1] % max(across, 1):
        got = f"{scores.shape[1]} of {P} by {P} for a width of {width}"
        raise ValueError(f"need whole rows of patches, got {got}")
    squares = scores.unflatten(1, (-1, across))
    return squares.repeat_interleave(P, 1).repeat_interleave(P, 2)
