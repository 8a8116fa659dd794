"""Pruning: the smallest weights become 0 and stay 0, while what is left may be trained on.

Only matrices and filters are pruned; biases and norms are few, and each does much.

Source: Han et al. 2015, section 3, arXiv:1506.02626.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import prune


def prunable(model: nn.Module) -> dict[str, nn.Module]:
    """The layers whose weights may be pruned, by name: Linear and Conv2d."""
    kinds = nn.Linear | nn.Conv2d
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}


def magnitude_masks(weights: list[Tensor], share: float) -> list[Tensor]:
    """True for the weights that stay: all but the smallest `share` of them together.

    One threshold for all ("global"), so that a layer whose weights matter keeps more of them.

    Args:
        weights: of any shapes.
        share: 0 … 1; rounded to whole weights.

    Returns:
        bool tensors of the same shapes.

    Raises:
        ValueError: the share is out of its range.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"need a share from 0 to 1, got {share}")
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    kept = torch.ones_like(sizes, dtype=torch.bool)
    kept[sizes.topk(round(share * len(sizes)), largest=False).indices] = False
    parts = kept.split([weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]


def prune_smallest(model: nn.Module, share: float, *, globally: bool = True) -> None:
    """Set the smallest weights to 0, in place; training on leaves them at 0.

    Args:
        model: not pruned before, or made plain by `make_permanent` since.
        share: of all weights, 0 … 1; if not `globally`, of each layer's.
        globally: one threshold for the whole network.

    Raises:
        ValueError: the share is out of its range.
    """
    layers = list(prunable(model).values())
    weights = [layer.weight for layer in layers]
    if globally:
        masks = magnitude_masks(weights, share)
    else:
        masks = [magnitude_masks([weight], share)[0] for weight in weights]
    for layer, mask in zip(layers, masks, strict=True):
        # keeps weight_orig, which learns, and multiplies it by the mask at every call
        prune.custom_from_mask(layer, "weight", mask)


def make_permanent(model: nn.Module) -> None:
    """Turn pruned weights into plain ones with zeros in them, in place."""
    for layer in prunable(model).values():
        if prune.is_pruned(layer):
            prune.remove(layer, "weight")


def density(model: nn.Module) -> dict[str, float]:
    """The share of each prunable layer's weights that are not 0."""
    return {
        name: float((layer.weight != 0).double().mean()) for name, layer in prunable(model).items()
    }


def sparse_bytes(weight: Tensor, bits: int = 32) -> int:
    """What a tensor takes with its zeros left out: a bit for each place, `bits` for each other.

    Never more than without leaving any out.
    """
    nonzero = int((weight != 0).sum())
    return math.ceil(min(weight.numel() + nonzero * bits, weight.numel() * bits) / 8)
