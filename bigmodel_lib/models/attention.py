"""Attention: every position takes an average of all values, weighted by how well it matches.

Shapes: B batch, T query length, S key length, H heads of the queries, d head width, D model
width. Where keys and values have fewer heads than the queries, K is how many.

Masks are bool, broadcastable to (B, H, T, S), and True means "may look". They combine with `&`;
`check_mask` then makes sure that every query still has a key to look at. Softmax has no answer
for a row without one: it is refused where the mask is built, and in attention itself where
reading the values is free, which is on the CPU. On an accelerator that would wait for the device
at every call, so a mask that was put together there goes through `check_mask` once.

Sources: Vaswani et al. 2017, arXiv:1706.03762; grouped queries, Ainslie et al. 2023,
arXiv:2305.13245; sliding window, Beltagy et al. 2020, section 3.1, arXiv:2004.05150.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .positions import Rotary


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Average the values, weighted by how well each query matches each key.

    softmax(q kᵀ / √d) v  -- Vaswani et al. 2017, eq. 1, arXiv:1706.03762.

    With K < H heads of keys and values, each serves H/K neighbouring heads of queries
    -- Ainslie et al. 2023, section 2.2, arXiv:2305.13245.

    Args:
        q: queries (B, H, T, d); B and H may be missing, in all three alike.
        k: keys (B, K, S, d), K a divisor of H.
        v: values (B, K, S, e).
        mask: bool, broadcastable to (B, H, T, S); True means "may look".
        causal: each query sees its own position and earlier ones, see `causal_mask`; together
            with a mask, both hold.
        scale: what q kᵀ is multiplied by; None means 1/√d.
        bias: added to the scaled scores, broadcastable to (B, H, T, S); finite.

    Returns:
        Output (B, H, T, e) and weights (B, H, T, S); each row of weights sums to 1.

    Raises:
        ValueError: widths, lengths, heads, or the mask's or bias's shape do not fit; causal with
            more queries than keys; on the CPU also: a row of the mask is left without a key, or
            the bias is not finite.
        TypeError: q, k, v or bias are not floats, or the mask is not bool.
    """
    _check(q, k, v, mask, bias)
    if causal:
        mask = _and_causal(mask, q, k)
    k, v = _repeat_heads(k, q), _repeat_heads(v, q)
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = (q * scale) @ k.transpose(-2, -1)  # scaled first: q kᵀ alone can overflow float16
    if bias is not None:
        scores = scores + bias.to(scores.dtype)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)  # (B, H, T, S); -1e9 overflows float16
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


def attention_loop(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """What `attention` does within one head of one sequence, a query and a key at a time.

    For reading, not for use: the same sums, thousands of times slower.

    Args:
        q, k, v: queries (T, d), keys (S, d), values (S, e).
        mask: bool (T, S); True means "may look".

    Returns:
        Output (T, e) and weights (T, S).

    Raises:
        ValueError, TypeError: as `attention`; also if there are more axes than two.
    """
    if q.ndim != 2:
        raise ValueError(f"the loop needs one head of one sequence, q (T, d); got {tuple(q.shape)}")
    _check(q, k, v, mask, None)
    mask = torch.tensor(True) if mask is None else mask
    outputs, weights = [], []
    for query, looks in zip(q, mask.expand(len(q), len(k)), strict=True):
        scores = [query @ key / math.sqrt(len(key)) for key in k]
        highest = max(score for score, look in zip(scores, looks, strict=True) if look)
        # exp(score - highest) cannot overflow, and the quotient below is the same
        e = [(s - highest).exp() if look else 0 * s for s, look in zip(scores, looks, strict=True)]
        row = torch.stack(e) / sum(e)
        weights.append(row)
        outputs.append(sum(weight * value for weight, value in zip(row, v, strict=True)))
    return torch.stack(outputs), torch.stack(weights)


def fused_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """The output of `attention` from PyTorch's fused kernel, which never holds the weights.

    It walks over blocks of keys with a running softmax (Dao et al. 2022, arXiv:2205.14135), so
    memory grows with T + S, not with T · S. That holds without mask and bias, causal or not, and
    for values as wide as the keys (e = d).

    Args:
        q, k, v, mask, causal, scale, bias: as in `attention`.

    Returns:
        Output (B, H, T, e).

    Raises:
        ValueError, TypeError: as `attention`.
    """
    _check(q, k, v, mask, bias)
    if q.shape[-2] == 1:
        causal = False  # the only query is the last token: it sees them all
    # The kernel's own causal mask needs no memory, but starts at the first key when S > T.
    in_kernel = causal and q.shape[-2] == k.shape[-2] and mask is None and bias is None
    if causal and not in_kernel:
        mask = _and_causal(mask, q, k)
    if bias is not None:
        bias = bias.to(q.dtype)
        mask = bias if mask is None else torch.where(mask, bias, -math.inf)
    output = F.scaled_dot_product_attention(
        *(_four_axes(x) for x in (q, k, v)),
        attn_mask=None if mask is None else _four_axes(mask),
        is_causal=in_kernel,
        scale=scale,
        enable_gqa=q.ndim > 2 and q.shape[-3] != k.shape[-3],
    )
    return output if q.ndim >= 4 else output.reshape(*q.shape[:-1], v.shape[-1])


def causal_mask(T: int, S: int | None = None, *, device: torch.device | None = None) -> Tensor:
    """Each query sees its own position and earlier ones.

    The T queries are the last T of S positions, so query t sees keys 0 … S - T + t.

    Args:
        T: queries.
        S: keys; None means T.

    Returns:
        bool (T, S).

    Raises:
        ValueError: T < 1, or S < T, which leaves the first queries nothing to look at.
    """
    S = T if S is None else S
    if not 1 <= T <= S:
        raise ValueError(f"need 1 ≤ T ≤ S, or a query has nothing to look at; got T={T}, S={S}")
    return torch.ones(T, S, dtype=torch.bool, device=device).tril(S - T)


def sliding_window_mask(T: int, window: int, *, device: torch.device | None = None) -> Tensor:
    """Each query sees its own position and the window - 1 before it.

    The causal half of the window of Beltagy et al. 2020, section 3.1, arXiv:2004.05150.

    Args:
        T: queries and keys.
        window: how many keys each query sees, its own among them.

    Returns:
        bool (T, T).

    Raises:
        ValueError: T < 1, or window < 1, which leaves nothing to look at.
    """
    if window < 1:
        raise ValueError(f"need a window of at least 1, the query's own position; got {window}")
    return causal_mask(T, device=device).triu(1 - window)


def padding_mask(lengths: Tensor, S: int) -> Tensor:
    """Every query sees the first keys of its own sequence, and none of the padding behind.

    Args:
        lengths: integers (B,), 1 … S: how many keys of each sequence are real.
        S: keys with padding.

    Returns:
        bool (B, 1, 1, S), on the device of lengths.

    Raises:
        TypeError: lengths are not integers.
        ValueError: lengths are not (B,), or one is not in 1 … S.
    """
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise TypeError(f"need integer lengths, got {lengths.dtype}")
    if lengths.ndim != 1:
        raise ValueError(f"need lengths (B,), got {tuple(lengths.shape)}")
    if ((lengths < 1) | (lengths > S)).any():
        raise ValueError(f"need lengths from 1 to S={S}, got {lengths.tolist()}")
    return (torch.arange(S, device=lengths.device) < lengths[:, None])[:, None, None, :]


def check_mask(mask: Tensor) -> Tensor:
    """The mask, if every row of it leaves something to look at.

    Args:
        mask: bool (…, S). On an accelerator, reading it waits for the device.

    Raises:
        TypeError: the mask is not bool.
        ValueError: a row is False throughout.
    """
    _check_kind(mask)
    blind = ~mask.any(dim=-1)
    if blind.any():
        row = tuple(blind.nonzero()[0].tolist())
        raise ValueError(
            f"need a key to look at in every row of the mask; "
            f"row {row} of {tuple(mask.shape)} has none"
        )
    return mask


class KeyValueCache:
    """Keys and values of the tokens so far: the next token needs them again, and they stay.

    Without it, generating T tokens computes each key and value T times -- Pope et al. 2022,
    section 2, arXiv:2211.05102.

    Args:
        room: tokens that there is room for from the start, so that a token more is written
            beside the others and none of them moves. That is for writing, not for training: a
            gradient cannot flow back through a place that was written to again. 0 holds what
            there is and no more, but copies all of it for each further token.
    """

    def __init__(self, room: int = 0):
        if room < 0:
            raise ValueError(f"need room for at least 0 tokens, got {room}")
        self.room, self.length = room, 0
        self._k: Tensor | None = None
        self._v: Tensor | None = None

    @property
    def k(self) -> Tensor | None:
        """Keys (B, K, S, d) of one layer, turned by their positions where those are rotary."""
        return None if self._k is None else self._k[..., : self.length, :]

    @property
    def v(self) -> Tensor | None:
        """Values (B, K, S, d) of one layer; None, as k, before the first token."""
        return None if self._v is None else self._v[..., : self.length, :]

    @property
    def nbytes(self) -> int:
        """Bytes of the tokens that it holds, without what is only room."""
        return 0 if self._k is None else self.k.nbytes + self.v.nbytes

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of T further tokens (B, K, T, d); returns all, (B, K, S + T, d)."""
        self._k, self._v = self._with(self._k, k), self._with(self._v, v)
        self.length += k.shape[-2]
        return self.k, self.v

    def _with(self, held: Tensor | None, new: Tensor) -> Tensor:
        start, end = self.length, self.length + new.shape[-2]
        if end > self.room:
            # A copy at the first token, too: k and v are views there, which keep the queries alive.
            return torch.cat([new] if held is None else [held[..., :start, :], new], dim=-2)
        if held is None:
            held = new.new_empty(*new.shape[:-2], self.room, new.shape[-1])
        held[..., start:end, :] = new
        return held

    def places(self) -> tuple[Tensor, Tensor]:
        """All room for keys and for values, (B, K, room, d): behind `length` free to write to.

        For code that writes there itself and then says so by `advance`.

        Raises:
            ValueError: there is no free place.
        """
        if self._k is None or not self.length < self.room:
            raise ValueError(f"need a free place, got {self.length} tokens and room {self.room}")
        return self._k, self._v

    def advance(self) -> None:
        """Count one token more: its key and value stand in the next of the `places`."""
        self.places()
        self.length += 1

    def cut(self, length: int) -> None:
        """Forget all tokens but the first so many: what follows them is to be written anew.

        Raises:
            ValueError: it holds fewer.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"need a length from 0 to {self.length}, got {length}")
        self.length = length


class MultiHeadAttention(nn.Module):
    """Attention of H heads at once, each on its own d = D/H of the width.

    Concat(head₁ … head_H) W_O, head_h = attention(x W_Q,h, context W_K,h, context W_V,h)
    -- Vaswani et al. 2017, section 3.2.2, arXiv:1706.03762. With kv_heads < H, neighbouring
    heads share keys and values -- Ainslie et al. 2023, arXiv:2305.13245; 1 is multi-query.

    `qkv` holds W_Q, W_K, W_V in this order in one matrix, because one large product is faster
    than three small ones.

    Args:
        D: model width.
        H: heads, a divisor of D.
        kv_heads: heads of keys and values, a divisor of H; None means H.
        bias: whether the projections add one.
        rotary: turns queries and keys by their positions, for width d; self-attention only.
        scale: see `attention`.

    Raises:
        ValueError: H does not divide D, kv_heads not H, or rotary is for another width.
    """

    def __init__(
        self,
        D: int,
        H: int,
        *,
        kv_heads: int | None = None,
        bias: bool = True,
        rotary: Rotary | None = None,
        scale: float | None = None,
    ):
        super().__init__()
        kv_heads = H if kv_heads is None else kv_heads
        if H < 1 or D < 1 or D % H:
            raise ValueError(f"need heads that divide the width D={D}, got H={H}")
        if kv_heads < 1 or H % kv_heads:
            raise ValueError(f"need kv_heads that divide H={H}, got {kv_heads}")
        if rotary is not None and rotary.d != D // H:
            raise ValueError(f"need rotary positions of width D/H={D // H}, got {rotary.d}")
        self.D, self.H, self.kv_heads, self.d = D, H, kv_heads, D // H
        self.rotary, self.scale = rotary, scale
        self.qkv = nn.Linear(D, D + 2 * kv_heads * self.d, bias=bias)
        self.out = nn.Linear(D, D, bias=bias)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        causal: bool = False,
        bias: Tensor | None = None,
        need_weights: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Each position of x looks at x itself or, if given, at a context.

        Args:
            x: (B, T, D), where the queries come from.
            context: (B, S, D), where keys and values come from; None means x.
            mask: bool, broadcastable to (B, H, T, S); True means "may look".
            causal: nothing from later positions; together with a mask, both hold.
            bias: added to the scores, broadcastable to (B, H, T, S), such as `alibi_bias`.
            need_weights: return them too; this takes memory that grows with T · S.
            cache: of the tokens before x in the same sequence, which x is added to; the keys
                are then all of these, S in number.

        Returns:
            Output (B, T, D), with need_weights also the weights (B, H, T, S).

        Raises:
            ValueError: shapes do not fit; causal, rotary or cache with a context, whose
                positions have no order in common with those of x; else as `attention`.
            TypeError: x, context or bias are not floats, or the mask is not bool.
        """
        _check_width(x, self.D, "x (B, T, D)")
        if context is not None:
            self._check_context(x, context, causal, cache)
        q, k, v = self._project(x, context)
        if self.rotary is not None:
            start = 0 if cache is None else cache.length
            q, k = self.rotary(q, start), self.rotary(k, start)
        if cache is not None:
            k, v = cache.extend(k, v)
        options = {"causal": causal, "scale": self.scale, "bias": bias}
        if not need_weights:
            return self.out(_join_heads(fused_attention(q, k, v, mask, **options)))
        heads, weights = attention(q, k, v, mask, **options)
        return self.out(_join_heads(heads)), weights

    def _project(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, d), keys and values (B, kv_heads, S, d)."""
        heads = [self.H, self.kv_heads, self.kv_heads]
        if context is None:
            return self._split_heads(self.qkv(x)).split(heads, dim=1)
        sizes = [self.D, 2 * self.kv_heads * self.d]
        weight_q, weight_kv = self.qkv.weight.split(sizes)
        bias = self.qkv.bias
        bias_q, bias_kv = (None, None) if bias is None else bias.split(sizes)
        q = self._split_heads(F.linear(x, weight_q, bias_q))
        kv = self._split_heads(F.linear(context, weight_kv, bias_kv))
        return q, *kv.split(heads[1:], dim=1)

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, self.d).transpose(1, 2)  # (B, T, H·d) → (B, H, T, d)

    def _check_context(
        self, x: Tensor, context: Tensor, causal: bool, cache: KeyValueCache | None
    ) -> None:
        _check_width(context, self.D, "context (B, S, D)")
        if len(context) != len(x):
            raise ValueError(
                f"need x and context of one batch size, got {len(x)} and {len(context)}"
            )
        for what, asked in (
            ("causal attention needs", causal),
            ("rotary positions need", self.rotary is not None),
            ("a cache needs", cache is not None),
        ):
            if asked:
                raise ValueError(f"{what} one sequence (context=None); got x and a context")


def _join_heads(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)  # (B, H, T, d) → (B, T, H·d)


def _repeat_heads(x: Tensor, q: Tensor) -> Tensor:
    """Keys or values (B, K, S, d) to (B, H, S, d): each head H/K times in a row."""
    if q.ndim < 3 or x.shape[-3] == q.shape[-3]:
        return x
    return x.repeat_interleave(q.shape[-3] // x.shape[-3], dim=-3)


def _four_axes(x: Tensor) -> Tensor:
    return x[(None,) * (4 - x.ndim)] if x.ndim < 4 else x  # PyTorch fuses (B, H, T, d) only


def _and_causal(mask: Tensor | None, q: Tensor, k: Tensor) -> Tensor:
    causal = causal_mask(q.shape[-2], k.shape[-2], device=q.device)
    if mask is None:
        return causal
    mask = mask & causal
    return check_mask(mask) if _readable(mask) else mask


def _check(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, bias: Tensor | None) -> None:
    _check_inputs(q, k, v)
    weights_shape = (*q.shape[:-1], k.shape[-2])
    if mask is not None:
        _check_kind(mask)
        _check_broadcast(mask, weights_shape, "mask")
        if _readable(mask):
            check_mask(mask)
    if bias is not None:
        if not bias.is_floating_point():
            raise TypeError(f"need a bias of floats, got {bias.dtype}")
        _check_broadcast(bias, weights_shape, "bias")
        if _readable(bias) and not bias.isfinite().all():
            raise ValueError("need a finite bias: what may not be seen belongs in the mask")


def _check_inputs(q: Tensor, k: Tensor, v: Tensor) -> None:
    if not (q.is_floating_point() and k.is_floating_point() and v.is_floating_point()):
        raise TypeError(f"need q, k and v of floats, got {q.dtype}, {k.dtype} and {v.dtype}")
    need = None
    if not q.ndim == k.ndim == v.ndim >= 2:
        need = "q (…, T, d), k (…, S, d), v (…, S, e) with equally many axes"
    elif q.shape[-1] != k.shape[-1] or q.shape[-1] < 1:
        need = "q and k of one width d ≥ 1"
    elif k.shape[-2] != v.shape[-2] or k.shape[-2] < 1:
        need = "k and v of one length S ≥ 1"
    elif q.shape[:-3] != k.shape[:-3] or k.shape[:-2] != v.shape[:-2]:
        need = "q, k and v of one batch size, k and v of equally many heads"
    elif q.ndim > 2 and (k.shape[-3] < 1 or q.shape[-3] % k.shape[-3]):
        need = "as many heads in q as in k and v, or a multiple"
    if need is not None:
        shapes = f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}"
        raise ValueError(f"need {need}; got {shapes}")


def _check_kind(mask: Tensor) -> None:
    if mask.dtype != torch.bool:
        raise TypeError(
            f'need a mask of bool, True meaning "may look"; got {mask.dtype} '
            "(numbers to add to the scores are a bias)"
        )


def _check_broadcast(x: Tensor, shape: tuple[int, ...], name: str) -> None:
    pairs = zip(reversed(x.shape), reversed(shape), strict=False)
    if x.ndim > len(shape) or any(size not in (1, wanted) for size, wanted in pairs):
        raise ValueError(f"need a {name} broadcastable to (…, T, S) {shape}, got {tuple(x.shape)}")


def _check_width(x: Tensor, D: int, name: str) -> None:
    if not x.is_floating_point():
        raise TypeError(f"need {name} of floats, got {x.dtype}; token numbers are embedded first")
    if x.ndim != 3 or x.shape[-1] != D:
        raise ValueError(f"need {name} with D={D}, got {tuple(x.shape)}")


def _readable(x: Tensor) -> bool:
    """Whether values can be looked at here without waiting for a device."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()
