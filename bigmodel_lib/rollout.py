"""From where a Transformer's answer comes, followed back through its attention; and a test of it.

Shapes: B batch, H heads, T tokens or patches, P pixels a side of a patch.

Sources: Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers", arXiv:2005.00928;
deletion as a test, Samek et al. 2015, arXiv:1509.06321, and Petsiuk et al. 2018, arXiv:1806.07421.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


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


def without_patches(images: Tensor, gone: Tensor, P: int) -> Tensor:
    """Images (B, 1, h, w) with some patches at -1, the background.

    Args:
        images: what is cut into patches of P by P, row by row.
        gone: bool (B, T), which patches; T = h/P · w/P.
        P: pixels a side.

    Raises:
        ValueError: the number of patches does not fit.
    """
    h, w = images.shape[-2:]
    if gone.shape != (len(images), (h // P) * (w // P)):
        raise ValueError(
            f"need gone {(len(images), (h // P) * (w // P))} for images {tuple(images.shape)} "
            f"and P={P}, got {tuple(gone.shape)}"
        )
    squares = gone.unflatten(1, (h // P, w // P))[:, None]
    return images.masked_fill(squares.repeat_interleave(P, 2).repeat_interleave(P, 3), -1.0)


@torch.no_grad()
def deletion(model: nn.Module, images: Tensor, importance: Tensor, P: int) -> Tensor:
    """What remains of the answer as patches are taken away, the most important first.

    An importance that is right makes the answer fall fast: the mean of the curve is small.

    Args:
        model: images (B, 1, h, w) → class scores (B, classes).
        images: as they are.
        importance: of each patch (B, T), any scale.
        P: pixels a side of a patch.

    Returns:
        (T + 1,): probability of the class that the whole image got, behind 0 … T patches, the
        mean over the images.

    Raises:
        ValueError: the number of patches does not fit.
    """
    answer = model(images).argmax(dim=1, keepdim=True)
    gone = torch.zeros_like(importance, dtype=torch.bool)
    curve = []
    for patch in [None, *importance.argsort(dim=1, descending=True).unbind(1)]:
        if patch is not None:
            gone.scatter_(1, patch[:, None], True)
        p = model(without_patches(images, gone, P)).softmax(dim=1)
        curve.append(p.gather(1, answer).mean())
    return torch.stack(curve)
