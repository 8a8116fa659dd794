"""Muon: a step for matrices whose directions all count alike.

x a matrix that is learned (n, m), G its gradient, M the running mean of G, η the learning rate
(`lr`), μ the momentum, λ the weight decay.

A gradient of a matrix is mostly a few directions: its first singular values are many times the
others. Muon makes them all about 1, so that a step also learns what is rare -- Jordan et al.
2024, "Muon: An optimizer for hidden layers in neural networks". It is for the matrices inside a
network; embeddings, biases and norms stay with AdamW.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan et al. 2024: steepest at 0, bounded near 1
TINY = 1e-7  # what a norm is raised to: a gradient of zeros stays zeros


def newton_schulz(G: Tensor, steps: int = 5) -> Tensor:
    """A matrix with the singular vectors of G and singular values between about 0.7 and 1.2.

    X ← a X + (b XXᵀ + c (XXᵀ)²) X, from X = G / ‖G‖, with a, b, c of Jordan et al. 2024. If
    G = U S Vᵀ, each step puts every singular value s through a s + b s³ + c s⁵ and leaves U and V;
    the limit would be U Vᵀ, and five matrix products a step are cheaper than U, S and V.

    Args:
        G: (n, m), of any floats.
        steps: the more, the smaller the singular values that still reach 1.

    Returns:
        (n, m), in G's precision.

    Raises:
        ValueError: G is no matrix.
    """
    if G.ndim != 2:
        raise ValueError(f"need a matrix (n, m), got {tuple(G.shape)}")
    a, b, c = COEFFICIENTS
    X = G.T if len(G) > len(G.T) else G  # XXᵀ is then the smaller of the two products
    X = X / X.norm().clamp(min=TINY)
    for _ in range(steps):
        square = X @ X.T
        X = a * X + (b * square + c * square @ square) @ X
    return X.T if len(G) > len(G.T) else X


class Muon(torch.optim.Optimizer):
    """M ← μ M + (1 − μ) G, x ← x − η λ x − 0.2 η √max(n, m) `newton_schulz`((1 − μ) G + μ M).

    Momentum in Nesterov's form, Jordan et al. 2024; the factor 0.2 √max(n, m) makes a step as
    large, root mean square, as AdamW's mostly are, so that both may use one learning rate -- Liu
    et al. 2025, section 2.2, arXiv:2502.16982. `torch.optim.Muon` is the same, but takes
    `newton_schulz` in bfloat16, which is faster on a GPU.

    Args:
        params: matrices, or groups of them.
        lr: η.
        momentum: μ in [0, 1).
        weight_decay: λ.

    Raises:
        ValueError: a parameter is no matrix, or a number is out of its range.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ):
        if not (lr >= 0 and weight_decay >= 0 and 0 <= momentum < 1):
            numbers = f"{lr}, {weight_decay} and {momentum}"
            raise ValueError(f"need lr, weight_decay >= 0 and 0 <= momentum < 1, got {numbers}")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        shapes = [tuple(x.shape) for group in self.param_groups for x in group["params"]]
        if any(len(shape) != 2 for shape in shapes):
            raise ValueError(f"need matrices, got shapes {shapes}")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Move every matrix that has a gradient, in place."""
        for group in self.param_groups:
            for x in group["params"]:
                if x.grad is not None:
                    self._move(x, x.grad, group)

    def _move(self, x: Tensor, G: Tensor, group: dict) -> None:
        state, mu = self.state[x], group["momentum"]
        M = state.setdefault("M", torch.zeros_like(G)).lerp_(G, 1 - mu)
        x.mul_(1 - group["lr"] * group["weight_decay"])
        x.sub_(newton_schulz(G.lerp(M, mu)), alpha=0.2 * group["lr"] * max(x.shape) ** 0.5)


def inner_matrices(model: nn.Module) -> list[nn.Parameter]:
    """The matrices of a network that turn vectors into vectors: all but those of embeddings."""
    tables = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding)}
    return [x for x in model.parameters() if x.ndim == 2 and id(x) not in tables]
