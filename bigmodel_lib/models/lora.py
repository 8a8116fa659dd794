"""Low-rank adaptation (LoRA): a trained layer stays as it is, and learns a small correction.

Shapes: I inputs, O outputs, r rank of the correction.

Source: Hu et al. 2021, section 4.1, arXiv:2106.09685.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LoRALinear(nn.Module):
    """W₀x + b + (α/r) B A x, of which only A and B learn -- Hu et al. 2021, eq. 3.

    A begins random and B at zero, so that at first nothing changes.

    Args:
        base: the trained layer W₀ (O, I), b; frozen here.
        r: rank, at most that of W₀; r (I + O) numbers learn instead of I · O.
        alpha: α, the correction's strength; None means r, a factor of 1.

    Raises:
        ValueError: r is not in 1 … min(I, O).
    """

    def __init__(self, base: nn.Linear, r: int, alpha: float | None = None):
        super().__init__()
        most = min(base.in_features, base.out_features)
        if not 1 <= r <= most:
            raise ValueError(f"need a rank from 1 to {most}, got {r}")
        self.base = base.requires_grad_(False)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.factor = 1.0 if alpha is None else alpha / r
        self.A = nn.Parameter(base.weight.new_empty(r, base.in_features))
        self.B = nn.Parameter(base.weight.new_zeros(base.out_features, r))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))  # as nn.Linear's own first weights

    def forward(self, x: Tensor) -> Tensor:
        """(…, I) to (…, O), on two paths: through W₀, and through the narrow A and B."""
        return self.base(x) + self.factor * F.linear(F.linear(x, self.A), self.B)

    @property
    def weight(self) -> Tensor:
        """W₀ + (α/r) B A, (O, I): what the two paths come to."""
        return self.base.weight + self.factor * self.B @ self.A

    @property
    def bias(self) -> Tensor | None:
        """That of the trained layer."""
        return self.base.bias

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One plain layer that gives the same, at no cost over W₀ alone."""
        linear = nn.utils.skip_init(
            nn.Linear,
            *(self.base.in_features, self.base.out_features),
            bias=self.bias is not None,
            device=self.base.weight.device,
            dtype=self.base.weight.dtype,
        )
        linear.weight.copy_(self.weight)
        if self.bias is not None:
            linear.bias.copy_(self.bias)
        return linear


def add_lora(
    model: nn.Module,
    r: int,
    alpha: float | None = None,
    where: Callable[[str], bool] = lambda name: True,
) -> list[str]:
    """Freeze a model, and give its linear layers a correction that learns; in place.

    Args:
        model: any network.
        r, alpha: of each `LoRALinear`; where a layer has no such rank, its highest.
        where: a layer's name in the model → whether it gets one.

    Returns:
        The names of these layers.

    Raises:
        ValueError: no layer gets one.
    """
    linears = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    names = [name for name in linears if where(name)]
    if not names:
        raise ValueError(f"need a linear layer to adapt, of {list(linears)}, got none")
    model.requires_grad_(False)
    for name in names:
        base = linears[name]
        rank = min(r, base.in_features, base.out_features)
        _put(model, name, LoRALinear(base, rank, alpha))
    return names


def merge_lora(model: nn.Module) -> None:
    """Turn every correction into plain weights, in place."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LoRALinear):
            _put(model, name, module.merged())


def trainable(model: nn.Module) -> int:
    """How many numbers learn."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    owner, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(owner), leaf, module)
