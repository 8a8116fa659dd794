"""Ways to make a trained classifier smaller, combined: what it then takes, and what it still can.

Pruned places are counted as a sparse format would store and skip them. PyTorch's own kernels do
not skip: time has to be measured.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bigmodel_lib.models.low_rank import factored
from bigmodel_lib.models.quantised import Int8Weights, quantised
from bigmodel_lib.training.prune import make_permanent, prunable, prune_smallest, sparse_bytes

PRECISIONS = {"float32": 32, "bfloat16": 16, "int8": 8}  # bits of a weight


@dataclass(frozen=True)
class Compression:
    """What is done to a network.

    Attributes:
        precision: of the weights, one of `PRECISIONS`.
        pruned: share of the weights, the smallest, that become 0.
        rank: of each linear layer's matrix, as a share of its full rank; 1 leaves it whole.

    Raises:
        ValueError: a value out of range, or pruning together with a low rank.
    """

    precision: str = "float32"
    pruned: float = 0.0
    rank: float = 1.0

    def __post_init__(self):
        if self.precision not in PRECISIONS:
            raise ValueError(f"need a precision of {list(PRECISIONS)}, got {self.precision!r}")
        if not (0 <= self.pruned <= 1 and 0 < self.rank <= 1):
            raise ValueError(f"need pruned in [0, 1] and rank in (0, 1], got {self}")
        if self.pruned and self.rank < 1:
            raise ValueError("a matrix with zeros has factors without: prune, or lower the rank")


def compress(model: nn.Module, how: Compression) -> nn.Module:
    """A compressed copy of a network in evaluation mode.

    Raises:
        ValueError: a rank that rounds to 0.
    """
    model = copy.deepcopy(model).eval()
    if how.rank < 1:
        _lower_ranks(model, how.rank)
    if how.pruned:
        prune_smallest(model, how.pruned)
        make_permanent(model)
    if how.precision == "int8":
        return quantised(model)
    return model.bfloat16() if how.precision == "bfloat16" else model


def _lower_ranks(model: nn.Module, share: float) -> None:
    for name, layer in prunable(model).items():
        if not isinstance(layer, nn.Linear):
            continue
        O, I = layer.weight.shape  # noqa: E741
        r = round(share * min(I, O))
        if r < 1:
            raise ValueError(f"{share:.0%} of rank {min(I, O)} rounds to 0: nothing would pass")
        if r * (I + O) < I * O:  # else the factors would be larger than the matrix
            owner, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(owner), leaf, factored(layer, r))


def file_bytes(model: nn.Module) -> int:
    """What a network takes as a file, in bytes, with zeros left out where that pays."""
    total, counted = 0, set()
    for layer in model.modules():
        if isinstance(layer, Int8Weights | nn.Linear | nn.Conv2d):
            stored = layer.q if isinstance(layer, Int8Weights) else layer.weight
            total += sparse_bytes(stored, 8 * stored.element_size())
            counted.add(stored.data_ptr())
    rest = [*model.parameters(), *model.buffers()]
    return total + sum(t.nbytes for t in rest if t.data_ptr() not in counted)


@torch.no_grad()
def image_flops(model: nn.Module, image: Tensor) -> int:
    """Additions and multiplications of linear layers and convolutions for one image.

    2 for each weight that is not 0, at each place where it is used.

    Args:
        model: images (B, …) → scores.
        image: one, (…), on the model's device.
    """
    total, hooks = 0, []

    def count(layer, _inputs, output):
        nonlocal total
        places = output.numel() // (output.shape[1] if output.ndim == 4 else output.shape[-1])
        weights = layer.q if isinstance(layer, Int8Weights) else layer.weight
        total += 2 * int((weights != 0).sum()) * places

    for layer in model.modules():
        if isinstance(layer, Int8Weights | nn.Linear | nn.Conv2d):
            hooks.append(layer.register_forward_hook(count))
    try:
        model(image[None].to(dtype_of(model)))
    finally:
        for hook in hooks:
            hook.remove()
    return total


def dtype_of(model: nn.Module) -> torch.dtype:
    """That of the images which a network takes."""
    return next(model.parameters()).dtype


@torch.no_grad()
def share_right(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images (B, …) whose label (B,) has the highest score."""
    scores = model(images.to(dtype_of(model)))
    return float((scores.argmax(dim=1) == labels).double().mean())


def pareto(costs: list[float], gains: list[float]) -> list[int]:
    """The front: indices for which no other is as cheap and better, or as good and cheaper.

    Returns:
        From the cheapest on; of equals the first.
    """
    order = sorted(range(len(costs)), key=lambda i: (costs[i], -gains[i], i))
    front: list[int] = []
    for i in order:
        if not front or gains[i] > gains[front[-1]]:
            front.append(i)
    return front
