"""Mixture of experts: many MLPs, of which each token visits only the k that a router picks.

Shapes: N tokens, D width, E experts, k experts a token visits, W hidden width of an expert.

Sources: Shazeer et al. 2017, section 2.1, arXiv:1701.06538; one expert a token and its balance
loss, Fedus et al. 2021 (Switch Transformer), section 2.2, arXiv:2101.03961.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Routing:
    """Where tokens go.

    Attributes:
        experts: the k chosen ones of each token, (N, k), the best first.
        gates: what their answers are multiplied by, (N, k).
        probabilities: the router's, of all experts, (N, E).
    """

    experts: Tensor
    gates: Tensor
    probabilities: Tensor

    @property
    def load(self) -> Tensor:
        """The share of all visits that each expert gets, (E,), sums to 1."""
        E = self.probabilities.shape[1]
        return torch.bincount(self.experts.flatten(), minlength=E) / self.experts.numel()

    @property
    def balance(self) -> Tensor:
        """E · Σᵢ fᵢ Pᵢ, f the load, P the mean probability -- Fedus et al. 2021, section 2.2.

        1 if all experts get equally much, E if one gets everything. Only P has a gradient.
        """
        E = self.probabilities.shape[1]
        return E * (self.load * self.probabilities.mean(dim=0)).sum()


def route(scores: Tensor, k: int) -> Routing:
    """Send each token to the k experts with the highest scores.

    For k = 1 the gate is the expert's probability, or the router would learn nothing (Fedus et
    al. 2021); for more, the softmax over the chosen k (Shazeer et al. 2017).

    Args:
        scores: the router's (N, E).
        k: 1 … E.

    Raises:
        ValueError: k is out of its range.
    """
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"need k from 1 to {scores.shape[1]} experts, got {k}")
    probabilities = scores.softmax(dim=1)
    best = scores.topk(k, dim=1)
    gates = probabilities.gather(1, best.indices) if k == 1 else best.values.softmax(dim=1)
    return Routing(best.indices, gates, probabilities)


class MixtureOfExperts(nn.Module):
    """Σ over the chosen experts of gate · expert(x); an expert is W₂ ReLU(W₁x + b₁) + b₂.

    Args:
        D: width.
        E: experts.
        k: experts that a token visits.
        W: hidden width of each.

    Attributes:
        routing: of the last call, whose `balance` belongs into the loss; None before the first.

    Raises:
        ValueError: sizes below 1, or k > E.
    """

    def __init__(self, D: int, E: int, k: int, W: int):
        super().__init__()
        if min(D, E, k, W) < 1 or k > E:
            raise ValueError(f"need sizes of at least 1 and k <= E, got {D=}, {E=}, {k=}, {W=}")
        self.E, self.k = E, k
        self.router = nn.Linear(D, E, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(D, W), nn.ReLU(), nn.Linear(W, D)) for _ in range(E)
        )
        self.routing: Routing | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) to (…, D)."""
        tokens = x.flatten(0, -2)  # (N, D)
        self.routing = route(self.router(tokens), self.k)
        output = torch.zeros_like(tokens)
        for i, expert in enumerate(self.experts):
            rows, rank = (self.routing.experts == i).nonzero(as_tuple=True)
            answers = expert(tokens[rows]) * self.routing.gates[rows, rank, None]
            output = output.index_add(0, rows, answers)
        return output.view_as(x)


def active_parameters(model: nn.Module) -> int:
    """Parameters that one token meets: of each mixture only k experts, all of the rest."""
    total = sum(p.numel() for p in model.parameters())
    for module in model.modules():
        if isinstance(module, MixtureOfExperts):
            one = sum(p.numel() for p in module.experts[0].parameters())
            total -= (module.E - module.k) * one
    return total


def balance_loss(model: nn.Module) -> Tensor:
    """The sum of `balance` over a model's mixtures, of the last call.

    Raises:
        ValueError: there is none, or none was called.
    """
    routings = [m.routing for m in model.modules() if isinstance(m, MixtureOfExperts)]
    if not routings or None in routings:
        raise ValueError(f"need mixtures that were called, got {len(routings)}")
    return torch.stack([routing.balance for routing in routings]).sum()
