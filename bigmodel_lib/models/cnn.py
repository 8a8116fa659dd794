"""Convolutional networks for images. Shapes: B batch, images (B, 1, 28, 28)."""

from torch import Tensor, nn


class DigitCNN(nn.Module):
    """A small classifier whose last hidden layer serves as a feature space for digits.

    Two strided convolutions after LeCun et al. 1998 (Proc. IEEE 86, 11), with batch norm.

    Args:
        features: width of the last hidden layer.
        num_classes: how many classes.
        channels: c of the first convolution; the second has twice as many.
    """

    def __init__(self, features: int = 32, num_classes: int = 10, channels: int = 16):
        super().__init__()
        c = channels
        self.body = nn.Sequential(
            nn.Conv2d(1, c, 5, stride=2, padding=2, bias=False),  # (B, c, 14, 14)
            nn.BatchNorm2d(c),
            nn.ReLU(),
            nn.Conv2d(c, 2 * c, 5, stride=2, padding=2, bias=False),  # (B, 2c, 7, 7)
            nn.BatchNorm2d(2 * c),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * c * 7 * 7, features),
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(features, num_classes))

    def features(self, images: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) to features (B, features), before the last ReLU."""
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) to class scores (B, num_classes)."""
        return self.head(self.features(images))
