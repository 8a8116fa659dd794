"""The smallest language model with attention: one layer, taken apart stage by stage.

Shapes: B batch, T length, H heads, d head width, D model width, V vocabulary.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bigmodel_lib.models.attention import attention
from bigmodel_lib.models.positions import Rotary, alibi_bias, sinusoidal

POSITIONS = ("none", "sinusoidal", "rotary", "ALiBi")

# What multiplies the scores, and what multiplies the output, for head width d.
SCALE_RULES = {
    "1/√d": lambda d: (1 / math.sqrt(d), 1.0),  # Vaswani et al. 2017, eq. 1
    "article": lambda d: (1 / d, 1 / math.sqrt(d)),  # softmax(q kᵀ/d) / √d, an erratum
    "none": lambda d: (1.0, 1.0),
}


@dataclass(frozen=True, eq=False)
class Stages:
    """One pass through attention: scores q kᵀ, scaled scores, weights (…, H, T, T); output."""

    scores: Tensor
    scaled: Tensor
    weights: Tensor
    output: Tensor  # (…, H, T, d), before the heads are joined


class AttentionLM(nn.Module):
    """Embedding → one attention layer, added to its input → scores for the next token.

    Args:
        V: vocabulary.
        D: model width.
        H: heads.
        d: head width; D / H is usual, any is possible.
        positions: a name in `POSITIONS`.
        rule: a name in `SCALE_RULES`.

    Raises:
        ValueError: an unknown name, or an odd width where positions need pairs.
    """

    def __init__(self, V: int, D: int, H: int, d: int, positions="sinusoidal", rule="1/√d"):
        super().__init__()
        if positions not in POSITIONS or rule not in SCALE_RULES:
            raise ValueError(
                f"need positions in {POSITIONS} and a rule in {tuple(SCALE_RULES)}, "
                f"got {positions!r} and {rule!r}"
            )
        self.H, self.d, self.positions, self.rule = H, d, positions, rule
        self.embedding = nn.Embedding(V, D)
        self.qkv = nn.Linear(D, 3 * H * d, bias=False)
        self.join = nn.Linear(H * d, D, bias=False)
        self.unembed = nn.Linear(D, V)
        self.rotary = Rotary(d) if positions == "rotary" else None
        # entries of q and k get variance 1, so that q kᵀ has variance d: see section 4.3
        nn.init.normal_(self.qkv.weight, std=1 / math.sqrt(D))

    def stages(self, x: Tensor, *, causal: bool = True, temperature: float = 1.0) -> Stages:
        """Take the layer apart for embedded tokens x (…, T, D)."""
        if self.positions == "sinusoidal":
            x = x + sinusoidal(x.shape[-2], x.shape[-1]).to(x)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.H, self.d)).unbind(-3)  # (…, T, H, d)
        q, k, v = (part.transpose(-3, -2) for part in (q, k, v))  # (…, H, T, d)
        if self.rotary is not None:
            q, k = self.rotary(q), self.rotary(k)
        bias = alibi_bias(self.H, x.shape[-2]).to(x) if self.positions == "ALiBi" else None
        factor, after = SCALE_RULES[self.rule](self.d)
        factor = factor / temperature
        output, weights = attention(q, k, v, causal=causal, scale=factor, bias=bias)
        scores = q @ k.transpose(-2, -1)
        scaled = scores * factor if bias is None else scores * factor + bias
        return Stages(scores, scaled, weights, output * after)

    def forward(self, ids: Tensor) -> Tensor:
        """Tokens (B, T) to scores (B, T, V) for each next token."""
        x = self.embedding(ids)
        joined = self.stages(x).output.transpose(-3, -2).flatten(-2)  # (B, T, H·d)
        return self.unembed(x + self.join(joined))


def entropy(weights: Tensor) -> Tensor:
    """Entropy of each row of weights (…, S), in nats (…): 0 for one key, log S for all alike."""
    return torch.special.entr(weights).sum(dim=-1)


def softmax_gradient(weights: Tensor) -> Tensor:
    """How much of a gradient passes the softmax: the Frobenius norm of ∂weights/∂scores (…).

    The Jacobian of softmax is diag(w) - w wᵀ; its squared norm is Σw² - 2Σw³ + (Σw²)².

    Args:
        weights: rows that sum to 1 (…, S).
    """
    square = weights.square().sum(dim=-1)
    return (square - 2 * weights.pow(3).sum(dim=-1) + square.square()).clamp(min=0).sqrt()
