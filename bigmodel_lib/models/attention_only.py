"""A Transformer of attention alone: no MLP, no norm, so that each head's part can be told apart.

All that happens is that heads add vectors to one stream, which starts as the embedding and ends
at the scores. So the scores are a sum with one term for the embedding and one for each head.

Shapes: B batch, T length, H heads, d head width, D model width, L layers, V vocabulary.

Sources: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits",
transformer-circuits.pub/2021/framework; positions that queries and keys see and values do not,
Press et al. 2020, arXiv:2012.15832.
"""

import math

from torch import Tensor, nn

from bigmodel_lib.models.attention import attention
from bigmodel_lib.models.positions import add_positions, sinusoidal


class OpenAttention(nn.Module):
    """H heads whose inner values can be read and replaced.

    Head h adds A_h x W_V,h W_O,h to the stream, A_h = softmax((x + PE) W_Q,h ((x + PE) W_K,h)ᵀ/√d).

    The modules `query_input`, `key_input`, `value_input` (B, T, D), `pattern` (B, H, T, T) and
    `heads` (B, H, T, D) do nothing: they are the places where `bigmodel_lib.patching` can look.

    Args:
        D: model width, even, a multiple of H.
        H: heads.
        T: longest input.

    Raises:
        ValueError: H does not divide D.
    """

    def __init__(self, D: int, H: int, T: int):
        super().__init__()
        if H < 1 or D < 1 or D % H:
            raise ValueError(f"need heads that divide the width D={D}, got H={H}")
        self.H, self.d = H, D // H
        self.query, self.key, self.value, self.out = (nn.Linear(D, D, bias=False) for _ in range(4))
        self.query_input, self.key_input, self.value_input = (nn.Identity() for _ in range(3))
        self.pattern, self.heads = nn.Identity(), nn.Identity()
        # follows from its sizes, so it is in no checkpoint
        self.register_buffer("positions", sinusoidal(T, D), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The stream (B, T, D) to what each head adds to it, (B, H, T, D)."""
        q = self._split(self.query(add_positions(self.query_input(x), self.positions)))
        k = self._split(self.key(add_positions(self.key_input(x), self.positions)))
        v = self._split(self.value(self.value_input(x)))
        pattern = self.pattern(attention(q, k, v, causal=True)[1])
        return self.heads(self.written(pattern @ v))

    def written(self, heads: Tensor) -> Tensor:
        """What heads (B, H, T, d) write to the stream, each through its own rows of W_O."""
        W_O = self.out.weight.T.unflatten(0, (self.H, self.d))  # (H, d, D)
        return heads @ W_O  # (B, H, T, D)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.H, self.d)).transpose(1, 2)  # (B, H, T, d)


class AttentionOnly(nn.Module):
    """Embedding → L layers of attention, each added to its input → scores for the next token.

    logits = (E[ids] + Σ_l Σ_h head_l,h) W_U  -- Elhage et al. 2021.

    Args:
        V: vocabulary.
        D: model width, even, a multiple of H.
        H: heads of each layer.
        L: layers.
        T: longest input.

    Raises:
        ValueError: a size is below 1, or H does not divide D.
    """

    def __init__(self, V: int, D: int, H: int, L: int, T: int):
        super().__init__()
        if min(V, L) < 1:
            raise ValueError(f"need V and L of at least 1, got V={V} and L={L}")
        self.embedding = nn.Embedding(V, D)
        nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(D))
        self.layers = nn.ModuleList(OpenAttention(D, H, T) for _ in range(L))
        self.unembed = nn.Linear(D, V, bias=False)

    @property
    def H(self) -> int:
        """Heads of each layer."""
        return self.layers[0].H

    def forward(self, ids: Tensor) -> Tensor:
        """Tokens (B, T) to scores (B, T, V) for each next token."""
        x = self.embedding(ids)
        for layer in self.layers:
            x = x + layer(x).sum(dim=1)
        return self.unembed(x)
