"""GPT: a decoder-only Transformer that scores the next token, from GPT-2 small to GPT-3 175B.

Shapes: B batch, T length, D model width, H heads, L layers, V vocabulary.

Sources: Radford et al. 2019 (GPT-2), section 2.3, "Language Models are Unsupervised Multitask
Learners"; Brown et al. 2020 (GPT-3), table 2.1, arXiv:2005.14165; norm before each layer, Xiong
et al. 2020, arXiv:2002.04745; GELU, Hendrycks & Gimpel 2016, arXiv:1606.08415; tied embedding,
Press & Wolf 2017, arXiv:1608.05859.
"""

import math
from dataclasses import astuple, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .attention import KeyValueCache, MultiHeadAttention

STD = 0.02  # of all first weights; Radford et al. 2018 (GPT-1), section 4.1


@dataclass(frozen=True)
class GPTConfig:
    """The five sizes that fix a GPT.

    Attributes:
        V: vocabulary, tokens.
        T: longest input, tokens.
        L: layers, each attention and MLP.
        D: model width; the MLP's hidden layer is 4D wide.
        H: heads, a divisor of D.

    Raises:
        ValueError: a size is below 1, or H does not divide D.
        TypeError: a size is not an int.
    """

    V: int
    T: int
    L: int
    D: int
    H: int

    def __post_init__(self):
        if any(type(size) is not int for size in astuple(self)):
            raise TypeError(f"need V, T, L, D and H as ints, got {self}")
        if min(astuple(self)) < 1:
            raise ValueError(f"need V, T, L, D and H of at least 1, got {self}")
        if self.D % self.H:
            raise ValueError(f"need heads that divide the width D={self.D}, got H={self.H}")

    @property
    def d(self) -> int:
        """Width of a head."""
        return self.D // self.H


BPE = 50257  # 256 bytes, 50,000 merges, 1 end of text; GPT-3 reuses the tokenizer of GPT-2

# Radford et al. 2019, table 2.  The paper names them 117M, 345M, 762M and 1542M; the released
# weights, which these sizes describe, hold 124M, 355M, 774M and 1558M.
GPT2_SMALL = GPTConfig(V=BPE, T=1024, L=12, D=768, H=12)
GPT2_MEDIUM = GPTConfig(V=BPE, T=1024, L=24, D=1024, H=16)
GPT2_LARGE = GPTConfig(V=BPE, T=1024, L=36, D=1280, H=20)
GPT2_XL = GPTConfig(V=BPE, T=1024, L=48, D=1600, H=25)

# Brown et al. 2020, table 2.1.  Every second layer of theirs attends to a sparse band (section
# 2.1), which changes no parameter; here all layers are dense.
GPT3_SMALL = GPTConfig(V=BPE, T=2048, L=12, D=768, H=12)
GPT3_MEDIUM = GPTConfig(V=BPE, T=2048, L=24, D=1024, H=16)
GPT3_LARGE = GPTConfig(V=BPE, T=2048, L=24, D=1536, H=16)
# The table says 24 heads of width 128 at D = 2048, but 24 · 128 = 3072, and 24 does not divide
# 2048.  16 heads keep the width of a head; the number of parameters does not depend on H.
GPT3_XL = GPTConfig(V=BPE, T=2048, L=24, D=2048, H=16)
GPT3_2_7B = GPTConfig(V=BPE, T=2048, L=32, D=2560, H=32)
GPT3_6_7B = GPTConfig(V=BPE, T=2048, L=32, D=4096, H=32)
# The table says D = 5140, but its 40 heads of width 128 make 5120.  So does the number of
# parameters in its own table D.1: 12,850M is what 5120 gives, 5140 gives 12,952M.
GPT3_13B = GPTConfig(V=BPE, T=2048, L=40, D=5120, H=40)
GPT3_175B = GPTConfig(V=BPE, T=2048, L=96, D=12288, H=96)

PRESETS = {
    "GPT-2 small": GPT2_SMALL,
    "GPT-2 medium": GPT2_MEDIUM,
    "GPT-2 large": GPT2_LARGE,
    "GPT-2 XL": GPT2_XL,
    "GPT-3 125M": GPT3_SMALL,
    "GPT-3 350M": GPT3_MEDIUM,
    "GPT-3 760M": GPT3_LARGE,
    "GPT-3 1.3B": GPT3_XL,
    "GPT-3 2.7B": GPT3_2_7B,
    "GPT-3 6.7B": GPT3_6_7B,
    "GPT-3 13B": GPT3_13B,
    "GPT-3 175B": GPT3_175B,
}


class MLP(nn.Module):
    """W₂ GELU(W₁ x + b₁) + b₂, at each position alone, with a hidden layer of 4D.

    GELU(x) = x Φ(x) is exact here; the released GPT-2 approximates Φ by a tanh.

    Args:
        D: model width.
    """

    def __init__(self, D: int):
        super().__init__()
        self.wide = nn.Linear(D, 4 * D)
        self.out = nn.Linear(4 * D, D)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        return self.out(F.gelu(self.wide(x)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)) -- Radford et al. 2019, section 2.3.

    The norm comes first, so a path from output to input is left that nothing rescales.

    Args:
        D: model width.
        H: heads, a divisor of D.
        causal: each position sees itself and earlier ones, as in a decoder; else all of them,
            as in an encoder.
        dropout: share of what is added to x that training leaves out.

    Raises:
        ValueError: H does not divide D.
    """

    def __init__(self, D: int, H: int, *, causal: bool = True, dropout: float = 0.0):
        super().__init__()
        self.causal, self.dropout = causal, nn.Dropout(dropout)
        self.norm_attention, self.attention = nn.LayerNorm(D), MultiHeadAttention(D, H)
        self.norm_mlp, self.mlp = nn.LayerNorm(D), MLP(D)

    def forward(
        self, x: Tensor, cache: KeyValueCache | None = None, *, mask: Tensor | None = None
    ) -> Tensor:
        """(B, T, D) to (B, T, D); if causal, nothing from later positions.

        Args:
            x: a sequence, or with a cache its next part.
            cache: of the tokens before x.
            mask: bool, broadcastable to (B, H, T, S); True means "may look".
        """
        options = {"causal": self.causal, "mask": mask, "cache": cache}
        x = x + self.dropout(self.attention(self.norm_attention(x), **options))
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


class GPT(nn.Module):
    """Tokens to scores of the next token: embed, add positions, L blocks, norm, unembed.

    logits = norm(block_L(… block₁(E[ids] + P))) Eᵀ  -- Radford et al. 2018, eq. 2, with the
    norms of Radford et al. 2019, section 2.3. E serves at both ends.

    First weights: normal with standard deviation 0.02, biases 0; what is added to the residual
    stream is drawn √(2L) times smaller, as 2L such layers add up (GPT-2, section 2.3).

    Args:
        config: the sizes.
        dropout: share of the embedding, and of what each layer adds, that training leaves out
            -- Vaswani et al. 2017, section 5.4, arXiv:1706.03762. It keeps a model from learning
            a small text by heart.
        recompute: keep for the backward pass only what goes into each block, and compute the
            block anew there -- Chen et al. 2016, arXiv:1604.06174. May be changed at any time.
    """

    def __init__(self, config: GPTConfig, dropout: float = 0.0, *, recompute: bool = False):
        super().__init__()
        self.config, self.dropout, self.recompute = config, nn.Dropout(dropout), recompute
        self.tokens = _table(config.V, config.D)
        self.positions = _table(config.T, config.D)
        self.blocks = nn.ModuleList(
            Block(config.D, config.H, dropout=dropout) for _ in range(config.L)
        )
        self.norm = nn.LayerNorm(config.D)
        self._initialise()

    def empty_cache(self, room: int = 0) -> list[KeyValueCache]:
        """One for each layer, for `forward` to fill; see `KeyValueCache` for the room."""
        return [KeyValueCache(room) for _ in self.blocks]

    def forward(
        self, ids: Tensor, cache: list[KeyValueCache] | None = None, *, last: bool = False
    ) -> Tensor:
        """Score each token of the vocabulary as the next one, at every position.

        Args:
            ids: integers (B, T), 0 … V - 1, T at most that of the config.
            cache: of the tokens before ids, which ids are added to; with them T counts.
            last: score behind the last position only, which is all that writing on needs.

        Returns:
            Logits (B, T, V), with last (B, 1, V); those at position t depend on ids 0 … t.

        Raises:
            TypeError: ids are not int32 or int64.
            ValueError: ids are not (B, T), empty, or too long.
        """
        return self.unembed(self.features(ids, cache, last=last))

    def features(
        self, ids: Tensor, cache: list[KeyValueCache] | None = None, *, last: bool = False
    ) -> Tensor:
        """What `forward` makes scores from, (B, T, D), with last (B, 1, D); arguments as there."""
        start = 0 if cache is None else cache[0].length
        self._check(ids, start)
        where = torch.arange(start, start + ids.shape[1], device=ids.device)
        x = self.dropout(self.tokens(ids) + self.positions(where))  # (B, T, D)
        for block, kept in zip(self.blocks, cache or [None] * len(self.blocks), strict=True):
            again = self.recompute and kept is None
            x = checkpoint(block, x, use_reentrant=False) if again else block(x, kept)
        return self.norm(x[:, -1:] if last else x)

    def unembed(self, x: Tensor) -> Tensor:
        """Features (B, T, D) to the logits of each token, (B, T, V)."""
        return F.linear(x, self.tokens.weight)

    def _initialise(self) -> None:
        if self.norm.weight.is_meta:
            return  # a shape without numbers
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=STD)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        for block in self.blocks:
            for residual in (block.attention.out, block.mlp.out):
                nn.init.normal_(residual.weight, std=STD / math.sqrt(2 * self.config.L))

    def _check(self, ids: Tensor, start: int) -> None:
        if ids.dtype not in (torch.int32, torch.int64):
            raise TypeError(f"need ids of int32 or int64, got {ids.dtype}")
        room = self.config.T - start
        if ids.ndim != 2 or not 1 <= ids.shape[1] <= room:
            behind = f" behind the {start} of the cache" if start else ""
            raise ValueError(f"need ids (B, T), 1 ≤ T ≤ {room}{behind}; got {tuple(ids.shape)}")


def _table(rows: int, D: int) -> nn.Embedding:
    if torch.get_default_device().type != "meta":
        return nn.Embedding(rows, D)
    # nn.Embedding would draw numbers that are not there, and load torch's compiler for it: 1.3 s
    return nn.Embedding.from_pretrained(torch.empty(rows, D), freeze=False)
