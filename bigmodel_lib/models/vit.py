"""Vision Transformer: an image as a sequence of patches.

Shapes: B batch, images (B, 1, 28, 28), T patches, P pixels a side of a patch, D width, H heads.

Source: Dosovitskiy et al. 2020, section 3.1, arXiv:2010.11929. In two things ours is simpler:
positions are given (sines), not learned, and the class is read from the mean of all patches
instead of an extra token.
"""

from torch import Tensor, nn

from bigmodel_lib.models.encoder import Encoder


def patches(images: Tensor, P: int) -> Tensor:
    """Cut images (B, 1, h, w) into squares, row by row: (B, h/P · w/P, P²).

    Raises:
        ValueError: not grey images, or sides that P does not divide.
    """
    if images.ndim != 4 or images.shape[1] != 1 or any(side % P for side in images.shape[2:]):
        raise ValueError(f"need images (B, 1, h, w), sides divisible by {P}, got {images.shape}")
    rows = images[:, 0].unflatten(2, (-1, P)).unflatten(1, (-1, P))  # (B, rows, P, columns, P)
    return rows.transpose(2, 3).flatten(3).flatten(1, 2)


class DigitViT(nn.Module):
    """Patches → encoder → mean → class scores.

    Args:
        P: pixels a side of a patch, a divisor of 28.
        D: width, even, a multiple of H.
        H: heads.
        L: layers.
        num_classes: how many classes.
    """

    def __init__(self, P: int = 7, D: int = 64, H: int = 4, L: int = 3, num_classes: int = 10):
        super().__init__()
        self.P = P
        self.encoder = Encoder(P * P, D, H, L, T=(28 // P) ** 2)
        self.head = nn.Linear(D, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) to class scores (B, num_classes)."""
        return self.head(self.encoder(patches(images, self.P)).mean(dim=1))
