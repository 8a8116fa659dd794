"""Transformer encoder: every position of a sequence looks at every other, in both directions.

Shapes: B batch, T length, I input width, D model width, H heads, L layers.

Sources: Vaswani et al. 2017, section 3.1, arXiv:1706.03762; norm before each layer, as in our
GPT, Xiong et al. 2020, arXiv:2002.04745; vectors in place of tokens, Dosovitskiy et al. 2020
(Vision Transformer), section 3.1, arXiv:2010.11929.
"""

from torch import Tensor, nn

from .positions import add_positions, sinusoidal
from .transformer import Block


class Encoder(nn.Module):
    """Vectors to vectors: a linear map, positions, L blocks without a causal mask, a norm.

    norm(block_L(… block₁(x W + b + PE))).

    Args:
        I: width of what comes in: pixels of a row or patch, bins of a spectrum.
        D: model width, even, as positions come in pairs of sine and cosine.
        H: heads, a divisor of D.
        L: layers.
        T: longest input.

    Raises:
        ValueError: a size below 1, an odd D, or H does not divide D.
    """

    def __init__(self, I: int, D: int, H: int, L: int, T: int = 512):  # noqa: E741
        super().__init__()
        if min(I, L) < 1:
            raise ValueError(f"need I >= 1 and L >= 1, got I={I}, L={L}")
        self.embed = nn.Linear(I, D)
        # not in checkpoints: it follows from T and D
        self.register_buffer("positions", sinusoidal(T, D), persistent=False)
        self.blocks = nn.ModuleList(Block(D, H, causal=False) for _ in range(L))
        self.norm = nn.LayerNorm(D)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, T, I) to (B, T, D).

        Raises:
            ValueError: x is not (B, T, I), or longer than the positions reach.
        """
        if x.ndim != 3 or x.shape[2] != self.embed.in_features:
            raise ValueError(
                f"need x (B, T, I) with I={self.embed.in_features}, got {tuple(x.shape)}"
            )
        x = add_positions(self.embed(x), self.positions)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
