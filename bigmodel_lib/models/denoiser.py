"""The network of a class-conditional diffusion of small digits.

Shapes: B batch, images (B, 1, 8, 8), t (B,) times, labels (B,), W width.
"""

import torch
from torch import Tensor, nn

from bigmodel_lib.models.diffusion import Diffusion, cosine_betas
from bigmodel_lib.models.positions import sinusoidal

SIDE = 8  # pixels: the embedded digits have no more


class FeatureBlock(nn.Module):
    """x + W₂ silu(W₁ norm(x) · (1 + scale) + shift), scale and shift from time and class.

    The conditioning of Perez et al. 2018 (FiLM), arXiv:1709.07871.
    """

    def __init__(self, W: int, dropout: float):
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(W), nn.Linear(W, W), nn.Linear(W, W)
        self.condition = nn.Linear(W, 2 * W)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x and condition (B, W) to (B, W)."""
        scale, shift = self.condition(condition).chunk(2, dim=1)
        hidden = nn.functional.silu(self.inner(self.norm(x)) * (1 + scale) + shift)
        return x + self.outer(self.dropout(hidden))


class DigitDenoiser(nn.Module):
    """Predicts the noise in a picture, given how late it is and which digit it shall become.

    Dense: for 64 pixels a convolution would save nothing.

    Args:
        T: the last time.
        W: width, above 64: what is noise must get through, and it fills all 64 pixels.
        blocks: how many.
        dropout: of the blocks, against learning the few digits by heart.
        num_classes: how many.
    """

    def __init__(
        self, T: int, W: int = 256, blocks: int = 3, dropout: float = 0.1, num_classes: int = 10
    ):
        super().__init__()
        self.register_buffer("times", sinusoidal(T + 1, W), persistent=False)
        self.time = nn.Sequential(nn.Linear(W, W), nn.SiLU())
        self.digit = nn.Embedding(num_classes, W)
        self.enter = nn.Linear(SIDE * SIDE, W)
        self.blocks = nn.ModuleList(FeatureBlock(W, dropout) for _ in range(blocks))
        # no norm before it: late in time the answer is nearly x itself, size included
        self.leave = nn.Linear(W, SIDE * SIDE)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """x_t (B, 1, 8, 8), t (B,) and labels (B,) to the noise in x_t, like it.

        Raises:
            ValueError: other shapes.
        """
        if x.shape[1:] != (1, SIDE, SIDE) or not t.shape == labels.shape == x.shape[:1]:
            shapes = f"{tuple(x.shape)}, {tuple(t.shape)}, {tuple(labels.shape)}"
            raise ValueError(f"need x (B, 1, {SIDE}, {SIDE}), t and labels (B,), got {shapes}")
        condition = self.time(self.times[t]) + self.digit(labels)
        hidden = self.enter(x.flatten(1))
        for block in self.blocks:
            hidden = block(hidden, condition)
        return self.leave(hidden).view_as(x)


def digit_diffusion(T: int = 200, **sizes) -> Diffusion:
    """The diffusion of digits of 8 by 8 pixels in [-1, 1]. Sizes: of `DigitDenoiser`."""
    return Diffusion(DigitDenoiser(T, **sizes), cosine_betas(T), reach=1.0)


@torch.no_grad()
def draw_digits(model: Diffusion, labels: Tensor, steps: int, eta: float, seed: int = 0) -> Tensor:
    """A picture (B, 1, 8, 8) of each label, from noise that follows from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        x = torch.randn(len(labels), 1, SIDE, SIDE).to(labels.device)
        return model.sample(x, labels, steps=steps, eta=eta)
