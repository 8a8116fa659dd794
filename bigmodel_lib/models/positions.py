"""Where in the sequence a token stands. Attention alone cannot know: it averages over a set.

Shapes: B batch, T length, S key length, H heads, d head width, D model width, N positions in a
table. Learned positions need no class: `nn.Embedding(N, D)` is the table, and
`add_positions(x, embedding.weight)` adds it.

Sources: sinusoidal, Vaswani et al. 2017, section 3.5, arXiv:1706.03762; rotary, Su et al. 2021,
arXiv:2104.09864; ALiBi, Press et al. 2021, arXiv:2108.12409.
"""

import torch
from torch import Tensor, nn


def sinusoidal(N: int, D: int, *, base: float = 10_000.0) -> Tensor:
    """A table of positions: pairs of sine and cosine, each pair slower than the one before.

    PE(n, 2i) = sin(n / base^(2i/D)), PE(n, 2i+1) = cos(n / base^(2i/D))
    -- Vaswani et al. 2017, section 3.5, arXiv:1706.03762.

    Args:
        N: positions, 0 … N - 1.
        D: model width, even.
        base: the slowest pair has a wavelength of nearly 2π · base positions.

    Returns:
        (N, D), to be added to the embeddings by `add_positions`.

    Raises:
        ValueError: N < 1, or D is odd or below 2.
    """
    angles = _angles(N, D, base)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2).float()


def add_positions(x: Tensor, table: Tensor) -> Tensor:
    """Add to each token of a sequence the row of its position.

    Args:
        x: embedded tokens (B, T, D).
        table: (N, D), T ≤ N: `sinusoidal(N, D)`, or the weight of a learned `nn.Embedding`.

    Returns:
        (B, T, D), in the number format of x.

    Raises:
        TypeError: x is not of floats.
        ValueError: x is longer than the table, or another width.
    """
    if not x.is_floating_point():
        raise TypeError(f"need embedded tokens of floats, got {x.dtype}")
    if x.ndim != 3 or table.ndim != 2 or x.shape[-1] != table.shape[-1]:
        raise ValueError(
            f"need x (B, T, D) and a table (N, D), got {tuple(x.shape)} and {tuple(table.shape)}"
        )
    _check_range(0, x.shape[1], len(table))
    return x + table[: x.shape[1]].to(x)


class Rotary(nn.Module):
    """Turn each pair of a query's or key's entries by an angle that grows with its position.

    Pair i = 0 … d/2 - 1 holds the neighbours x₂ᵢ and x₂ᵢ₊₁ and turns by m θᵢ at position m,
    θᵢ = base^(-2i/d), so that a product of query and key depends on their distance only
    -- Su et al. 2021, eqs. 15, 16 and 34, arXiv:2104.09864 (which counts i from 1).

    Beware: LLaMA's weights in Hugging Face's format pair entry i with entry i + d/2 instead.
    That is the same up to a fixed order of the entries, but one's weights do not fit the other.

    Args:
        d: head width, even.
        N: positions, 0 … N - 1.
        base: of the angles' geometric sequence.

    Raises:
        ValueError: N < 1, or d is odd or below 2.
    """

    def __init__(self, d: int, N: int = 4096, *, base: float = 10_000.0):
        super().__init__()
        self.d, self.N = d, N
        angles = _angles(N, d, base)
        # not in checkpoints: they follow from d, N and base
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Turn x (…, T, d), whose first entry stands at position start.

        Raises:
            TypeError: x is not of floats.
            ValueError: x is not of width d, or reaches over position N - 1.
        """
        if not x.is_floating_point():
            raise TypeError(f"need queries or keys of floats, got {x.dtype}")
        if x.ndim < 2 or x.shape[-1] != self.d:
            raise ValueError(f"need x (…, T, d) with d={self.d}, got {tuple(x.shape)}")
        end = start + x.shape[-2]
        _check_range(start, end, self.N)
        cos, sin = self.cos[start:end], self.sin[start:end]  # (T, d/2)
        a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)
        return turned.flatten(-2).to(x.dtype)  # x may be a half format, cos and sin stay float32


def alibi_slopes(H: int) -> Tensor:
    """How steeply each head's bias falls with distance.

    For H a power of two, 2^(-8h/H) for h = 1 … H -- Press et al. 2021, section 3,
    arXiv:2108.12409. Otherwise, as in the authors' code (`get_slopes` in
    fairseq/models/transformer.py of ofirpress/attention_with_linear_biases): with n the largest
    power of two below H, the n slopes for n heads, then the 1st, 3rd, 5th … of those for 2n.

    Returns:
        (H,).

    Raises:
        ValueError: H < 1.
    """
    if H < 1:
        raise ValueError(f"need at least one head, got H={H}")
    n = 1 << (H.bit_length() - 1)  # the largest power of two up to H
    exponents = [8 * h / n for h in range(1, n + 1)]
    exponents += [8 * h / (2 * n) for h in range(1, 2 * (H - n), 2)]
    return 2 ** -torch.tensor(exponents)


def alibi_bias(H: int, T: int, S: int | None = None) -> Tensor:
    """What ALiBi adds to the scores: minus slope times distance.

    -m_h |i - j| -- Press et al. 2021, section 3, arXiv:2108.12409; there for j ≤ i, behind a
    causal mask. The T queries are the last T of S positions, as in `causal_mask`.

    Args:
        H: heads.
        T: queries.
        S: keys; None means T.

    Returns:
        (H, T, S), the `bias` of `attention`.

    Raises:
        ValueError: H < 1, T < 1, or S < T.
    """
    S = T if S is None else S
    if not 1 <= T <= S:
        raise ValueError(f"need 1 ≤ T ≤ S: the queries are the last T of S; got T={T}, S={S}")
    distance = (torch.arange(S - T, S)[:, None] - torch.arange(S)).abs()
    return -alibi_slopes(H)[:, None, None] * distance


def _angles(N: int, width: int, base: float) -> Tensor:
    """n · base^(-2i/width) in radians, (N, width/2); in float64, since large n lose digits."""
    if N < 1:
        raise ValueError(f"need at least one position, got N={N}")
    if width < 2 or width % 2:
        raise ValueError(f"need an even width, each pair is a point to turn; got {width}")
    pairs = torch.arange(0, width, 2, dtype=torch.float64)
    return torch.arange(N, dtype=torch.float64)[:, None] * base ** (-pairs / width)


def _check_range(start: int, end: int, N: int) -> None:
    if start < 0 or end > N:
        raise ValueError(f"need positions within 0 … {N - 1}, got {start} … {end - 1}")
