"""Many small networks trained as one: their weights stacked, each operation done for all at once.

A network of some thousand parameters spends most of a step on starting operations, not on
computing. M such networks that differ in their weights alone are one function of a weight tensor
with a further axis, and `torch.func.vmap` writes that function.

Shapes: M networks, B batch, N images, n images that a network may learn from.
"""

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.training.classifier import ClassifierRun


class Stacked(nn.Module):
    """M networks of one architecture as one module, which owns copies of their weights.

    Its parameters have the shapes of a single network's, with a first axis of length M.

    Args:
        networks: at least one; equal but for their weights.

    Raises:
        ValueError: none, networks that differ, or networks with buffers (the running means of
            batch norm, say), which a batched call cannot update.
    """

    def __init__(self, networks: list[nn.Module]):
        super().__init__()
        _check_alike(networks)
        self.M = len(networks)
        self.network = copy.deepcopy(networks[0])
        weights, _ = stack_module_state(networks)
        for name, weight in weights.items():
            owner, _, leaf = name.rpartition(".")
            setattr(self.network.get_submodule(owner), leaf, nn.Parameter(weight.detach()))

    def forward(self, inputs: Tensor, shared: bool = False) -> Tensor:
        """Each network's output, (M, B, …).

        Args:
            inputs: (M, B, …), a batch for each network; or, if `shared`, one batch (B, …) for all.
        """
        axes = (0, None if shared else 0)
        run_all = vmap(self._run_one, in_dims=axes, randomness="different")
        return run_all(dict(self.network.named_parameters()), inputs)

    def _run_one(self, weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return functional_call(self.network, weights, inputs)

    def unstack(self) -> list[nn.Module]:
        """The M networks, each with a copy of its weights, as plain modules."""
        return [self._member(m) for m in range(self.M)]

    def _member(self, m: int) -> nn.Module:
        network = copy.deepcopy(self.network)
        for name, weight in self.network.named_parameters():
            owner, _, leaf = name.rpartition(".")
            own = nn.Parameter(weight[m].detach().clone())
            setattr(network.get_submodule(owner), leaf, own)
        return network


def _check_alike(networks: list[nn.Module]) -> None:
    if not networks:
        raise ValueError("need at least one network, got none")
    kinds = {repr(network) for network in networks}  # layers, sizes and settings
    if len(kinds) > 1:
        raise ValueError(f"need networks of one architecture, got {len(kinds)}: {sorted(kinds)}")
    buffers = [name for name, _ in networks[0].named_buffers()]
    if buffers:
        raise ValueError(f"need networks without buffers, got {buffers}")


class ManyRun(ClassifierRun):
    """Trains M stacked classifiers, each on batches of its own.

    Equal to M runs of `ClassifierRun`: the losses are added, so each network's gradient is that
    of its own loss, and AdamW treats every weight by itself.

    Each record holds loss and accuracy, means over all batches.

    Args:
        model: the networks.
        data: images and labels.
        rows: which images each network learns from, (M, n); all of them if not given.
        others: inputs, settings, seed, check_every, keep_every and keep of `ClassifierRun`.

    Raises:
        ValueError: rows that do not fit the networks or the data.
    """

    def __init__(
        self, model: Stacked, data: LabelledImages, *, rows: Tensor | None = None, **others
    ):
        if rows is None:
            rows = torch.arange(len(data)).expand(model.M, -1)
        if rows.ndim != 2 or len(rows) != model.M or not rows.numel():
            raise ValueError(f"need rows ({model.M}, n), n >= 1, got {tuple(rows.shape)}")
        lowest, highest = rows.min().item(), rows.max().item()
        if not 0 <= lowest <= highest < len(data):
            raise ValueError(f"need rows of {len(data)} images, got {lowest} to {highest}")
        super().__init__(model, data, **others)
        self.networks = model.M
        self.rows = rows.to(self.device)

    def pick(self, count: int) -> Tensor:
        """Which images each network's next batch holds, (M, count)."""
        M, n = self.rows.shape
        places = torch.randint(n, (M, count), device=self.device)
        return self.rows.gather(1, places)
