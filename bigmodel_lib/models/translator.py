"""An encoder-decoder Transformer: one sequence in, another out, joined by cross-attention.

The encoder reads the whole source at once. The decoder writes the target token by token; each of
its layers looks at what is written so far, and then, across, at what the encoder made of the
source. Where it looks is an alignment of the two.

Shapes: B batch, S source length, T target length, D model width, H heads, L layers of each half,
V vocabulary, one for both languages.

Sources: Vaswani et al. 2017, section 3.1 and figure 1, arXiv:1706.03762; with the norm before
each layer, Xiong et al. 2020, arXiv:2002.04745; cross-attention as alignment goes back to
Bahdanau et al. 2015, arXiv:1409.0473.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import MultiHeadAttention, padding_mask
from .positions import add_positions, sinusoidal
from .sampling import GREEDY, Sampler, generate
from .transformer import MLP, Block

LONGEST = 256  # positions in the table; sinusoidal ones need no training


class DecoderBlock(nn.Module):
    """Look at what is written, then at the source, then think: three sums into one stream.

    x + self-attention(norm(x)), x + cross-attention(norm(x), memory), x + MLP(norm(x)).

    Args:
        D: model width.
        H: heads, a divisor of D.
        dropout: share of what is added to x that training leaves out.
    """

    def __init__(self, D: int, H: int, dropout: float = 0.0):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norm_attention, self.attention = nn.LayerNorm(D), MultiHeadAttention(D, H)
        self.norm_cross, self.cross = nn.LayerNorm(D), MultiHeadAttention(D, H)
        self.norm_mlp, self.mlp = nn.LayerNorm(D), MLP(D)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """One layer of the decoder.

        Args:
            x: the target so far (B, T, D).
            memory: what the encoder made of the source (B, S, D).
            mask: which of it is no padding, (B, 1, 1, S).

        Returns:
            (B, T, D), and where each position looked in the source, (B, H, T, S).
        """
        x = x + self.dropout(self.attention(self.norm_attention(x), causal=True))
        seen, weights = self.cross(self.norm_cross(x), memory, mask, need_weights=True)
        x = x + self.dropout(seen)
        return x + self.dropout(self.mlp(self.norm_mlp(x))), weights


class Translator(nn.Module):
    """Source and target so far to scores of the next target token.

    One embedding E serves source, target and output, √D times larger at the input -- Vaswani
    et al. 2017, section 3.4. Padding may stand behind a source or a target, nowhere else.

    Args:
        V: vocabulary.
        D: model width, even.
        H: heads, a divisor of D.
        L: layers of the encoder, and as many of the decoder.
        pad: the token that pads.
        dropout: share of the embeddings, and of what each layer adds, that training leaves out.

    Raises:
        ValueError: a size is below 1, H does not divide D, or pad is no token.
    """

    def __init__(self, V: int, D: int, H: int, L: int, *, pad: int = 0, dropout: float = 0.0):
        super().__init__()
        if min(V, L) < 1 or not 0 <= pad < V:
            raise ValueError(f"need V and L of at least 1, pad in 0 … V - 1; got {V}, {L}, {pad}")
        self.D, self.pad, self.dropout = D, pad, nn.Dropout(dropout)
        self.tokens = nn.Embedding(V, D)
        nn.init.normal_(self.tokens.weight, std=1 / math.sqrt(D))
        # follows from its sizes, so it is in no checkpoint
        self.register_buffer("positions", sinusoidal(LONGEST, D), persistent=False)
        self.encoder = nn.ModuleList(Block(D, H, causal=False, dropout=dropout) for _ in range(L))
        self.decoder = nn.ModuleList(DecoderBlock(D, H, dropout) for _ in range(L))
        self.norm_encoder, self.norm_decoder = nn.LayerNorm(D), nn.LayerNorm(D)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Read a source (B, S): memory (B, S, D), and which of it is no padding (B, 1, 1, S).

        Raises:
            ValueError: a source that is empty, or longer than the table of positions.
        """
        mask = padding_mask((source != self.pad).sum(dim=1), source.shape[1])
        x = self._embed(source)
        for block in self.encoder:
            x = block(x, mask=mask)
        return self.norm_encoder(x), mask

    def decode(self, target: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Score the next token at every position of a target (B, T).

        Returns:
            Logits (B, T, V), and of each layer where it looked in the source, (B, H, T, S).
        """
        x, alignments = self._embed(target), []
        for block in self.decoder:
            x, weights = block(x, memory, mask)
            alignments.append(weights)
        return F.linear(self.norm_decoder(x), self.tokens.weight), alignments

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Source (B, S) and target so far (B, T) to logits (B, T, V)."""
        return self.decode(target, *self.encode(source))[0]

    def next_logits(self, source: Tensor) -> Callable[[Tensor], Tensor]:
        """The next-token function for sources (B, S), read once; one source serves any batch."""
        memory, mask = self.encode(source)

        def logits(target: Tensor) -> Tensor:
            B = len(target)
            pair = (x if len(x) == B else x.expand(B, *x.shape[1:]) for x in (memory, mask))
            return self.decode(target, *pair)[0][:, -1]

        return logits

    def _embed(self, ids: Tensor) -> Tensor:
        return self.dropout(add_positions(self.tokens(ids) * math.sqrt(self.D), self.positions))


def pad_rows(rows: Sequence[Sequence[int]], pad: int = 0) -> Tensor:
    """Token lists of any lengths as one tensor (B, longest), padded behind.

    Raises:
        ValueError: no rows, or an empty one.
    """
    if not rows or not all(rows):
        raise ValueError(f"need rows of at least one token, got lengths {[*map(len, rows)]}")
    tensors = [torch.tensor(row) for row in rows]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=pad)


@torch.no_grad()
def translate(
    model: Translator,
    source: Tensor,
    start: Tensor,
    end: int,
    steps: int,
    sampler: Sampler = GREEDY,
) -> list[list[int]]:
    """Write the targets of sources (B, S) together, until all have ended.

    Args:
        model: without dropout, so call `eval()` before.
        source: padded behind.
        start: the first token of each target (B,), which says what language it is in.
        end: the token that ends a target.
        steps: tokens at most.
        sampler: how to draw.

    Returns:
        The tokens behind `start`, up to `end`, without it.
    """
    ids, has_ended = start[:, None], torch.zeros_like(start, dtype=torch.bool)
    for _, token in zip(
        range(steps), generate(model.next_logits(source), ids, sampler), strict=False
    ):
        ids = torch.cat((ids, token[:, None]), dim=1)
        has_ended |= token == end
        if has_ended.all():
            break
    rows = ids[:, 1:].tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]
