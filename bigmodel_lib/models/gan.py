"""Generative adversarial networks: generators, discriminators and their losses.

Shapes: B batch, Z noise width, images (B, 1, 28, 28) in [-1, 1], scores (B,).

A discriminator returns raw scores. Where a loss reads them as probabilities, D(x) = σ(score);
the sigmoid is part of the loss, because log σ computed in one piece cannot overflow.

Sources: Goodfellow et al. 2014, arXiv:1406.2661; Radford et al. 2015 (DCGAN), arXiv:1511.06434;
Mirza & Osindero 2014 (conditional), arXiv:1411.1784; Miyato & Koyama 2018 (projection),
arXiv:1802.05637.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGE = (1, 28, 28)
PIXELS = 28 * 28
SLOPE = 0.2  # of every leaky ReLU, as in the article and in DCGAN


class MLPGenerator(nn.Module):
    """Noise to image by dense layers: Z → hidden … → 784, tanh.

    The default is the article's network, 100 → 128 → 784 (section 5.2).

    Args:
        Z: noise width.
        hidden: widths of the hidden layers.
    """

    def __init__(self, Z: int = 100, hidden: tuple[int, ...] = (128,)):
        super().__init__()
        self.Z, self.num_classes = Z, 0
        layers = [
            layer
            for wide_in, wide_out in pairwise((Z, *hidden))
            for layer in (nn.Linear(wide_in, wide_out), nn.LeakyReLU(SLOPE))
        ]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden[-1], PIXELS), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """Noise (B, Z) to images (B, 1, 28, 28) in [-1, 1]."""
        return self.layers(_noise(z, self.Z)).view(-1, *IMAGE)


class MLPDiscriminator(nn.Module):
    """Image to score by dense layers: 784 → hidden … → 1.

    The default is the article's network, 784 → 128 → 1 (section 5.2), without its sigmoid.

    Args:
        hidden: widths of the hidden layers.
    """

    def __init__(self, hidden: tuple[int, ...] = (128,)):
        super().__init__()
        self.num_classes = 0
        layers = [
            layer
            for wide_in, wide_out in pairwise((PIXELS, *hidden))
            for layer in (nn.Linear(wide_in, wide_out), nn.LeakyReLU(SLOPE))
        ]
        self.layers = nn.Sequential(nn.Flatten(), *layers, nn.Linear(hidden[-1], 1))

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) to scores (B,)."""
        return self.layers(_images(images)).squeeze(1)


class ConvGenerator(nn.Module):
    """Noise to image by a dense layer and two transposed convolutions, as DCGAN has them.

    Z → 2C·7·7 → C·14·14 → 1·28·28, batch norm and ReLU between, tanh at the end. With
    num_classes, the wanted class is appended to the noise, one-hot (Mirza & Osindero 2014,
    section 3.2). A wide learned embedding drowns the noise: then a class has one picture.

    Args:
        Z: noise width.
        C: channels of the second layer; the first has 2C.
        num_classes: 0 for an unconditional generator.
    """

    def __init__(self, Z: int = 100, C: int = 16, num_classes: int = 0):
        super().__init__()
        self.Z, self.num_classes = Z, num_classes
        self.layers = nn.Sequential(
            # no bias before a batch norm: it would be subtracted again with the mean
            nn.Linear(Z + num_classes, 2 * C * 7 * 7, bias=False),
            nn.Unflatten(1, (2 * C, 7, 7)),
            nn.BatchNorm2d(2 * C),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * C, C, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(C),
            nn.ReLU(),
            nn.ConvTranspose2d(C, 1, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Noise (B, Z), and labels (B,) if conditional, to images (B, 1, 28, 28) in [-1, 1]."""
        _labels(labels, self.num_classes)
        z = _noise(z, self.Z)
        if labels is not None:
            z = torch.cat([z, F.one_hot(labels, self.num_classes).to(z)], dim=1)
        return self.layers(z)


class ConvDiscriminator(nn.Module):
    """Image to score by two strided convolutions and a dense layer.

    1·28·28 → C·14·14 → 2C·7·7 → 1, leaky ReLU, no batch norm, so that each score depends on
    its own image alone, as the gradient penalty needs. With num_classes, the score gains the
    projection of the features on an embedding of the class (Miyato & Koyama 2018, eq. 3).

    Args:
        C: channels of the first layer; the second has 2C.
        num_classes: 0 for an unconditional discriminator.
    """

    def __init__(self, C: int = 16, num_classes: int = 0):
        super().__init__()
        self.num_classes = num_classes
        self.features = nn.Sequential(
            nn.Conv2d(1, C, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(C, 2 * C, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
        )
        self.score = nn.Linear(2 * C * 7 * 7, 1)
        self.embedding = nn.Embedding(num_classes, 2 * C * 7 * 7) if num_classes else None
        if self.embedding is not None:
            nn.init.zeros_(self.embedding.weight)  # starts unconditional, learns the classes

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (B, 1, 28, 28), and labels (B,) if conditional, to scores (B,)."""
        _labels(labels, self.num_classes)
        features = self.features(_images(images))  # (B, 2C·7·7)
        score = self.score(features).squeeze(1)
        if self.embedding is not None:
            score = score + (features * self.embedding(labels)).sum(dim=1)
        return score


ARCHITECTURES = {
    "article": lambda Z: (MLPGenerator(Z), MLPDiscriminator()),
    "convolutional": lambda Z: (ConvGenerator(Z), ConvDiscriminator()),
    "conditional": lambda Z: (ConvGenerator(Z, num_classes=10), ConvDiscriminator(num_classes=10)),
}


def make_gan(architecture: str, Z: int = 100, seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """A generator and its discriminator, with first weights drawn from the seed alone.

    Args:
        architecture: a name in `ARCHITECTURES`.
        Z: noise width.

    Raises:
        ValueError: no such architecture.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"need architecture in {list(ARCHITECTURES)}, got {architecture!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ARCHITECTURES[architecture](Z)


def _noise(z: Tensor, Z: int) -> Tensor:
    if z.ndim != 2 or z.shape[1] != Z:
        raise ValueError(f"need noise (B, Z) with Z = {Z}, got {tuple(z.shape)}")
    return z


def _images(images: Tensor) -> Tensor:
    if images.shape[1:] != IMAGE:
        raise ValueError(f"need images (B, 1, 28, 28), got {tuple(images.shape)}")
    return images


def _labels(labels: Tensor | None, num_classes: int) -> None:
    if (labels is None) != (num_classes == 0):
        wanted = f"labels (B,) of {num_classes} classes" if num_classes else "no labels"
        got = "none" if labels is None else tuple(labels.shape)
        raise ValueError(f"this network needs {wanted}, got {got}")


@dataclass(frozen=True)
class AdversarialLoss:
    """What discriminator and generator each minimise, given scores (B,).

    Attributes:
        discriminator: (scores of real images, scores of fake ones) → loss.
        generator: scores of fake images → loss.
        penalty: weight of the gradient penalty on the discriminator, 0 for none.
        probability: whether σ(score) is the probability that an image is real.
        source: paper and equation.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    source: str
    penalty: float = 0.0
    probability: bool = False


def _cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    # -log σ(s) = softplus(-s) and -log(1 - σ(s)) = softplus(s)
    return F.softplus(-real).mean() + F.softplus(fake).mean()


LOSSES = {
    "non-saturating": AdversarialLoss(
        discriminator=_cross_entropy,
        generator=lambda fake: F.softplus(-fake).mean(),
        source="Goodfellow et al. 2014, section 3, arXiv:1406.2661",
        probability=True,
    ),
    "saturating": AdversarialLoss(
        discriminator=_cross_entropy,
        generator=lambda fake: -F.softplus(fake).mean(),
        source="Goodfellow et al. 2014, eq. 1, arXiv:1406.2661",
        probability=True,
    ),
    "least squares": AdversarialLoss(
        discriminator=lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
        generator=lambda fake: (fake - 1).square().mean() / 2,
        source="Mao et al. 2017, eq. 9 (0-1 coding), arXiv:1611.04076",
    ),
    "wasserstein": AdversarialLoss(
        discriminator=lambda real, fake: fake.mean() - real.mean(),
        generator=lambda fake: -fake.mean(),
        source="Gulrajani et al. 2017, eq. 3 (gradient penalty, λ = 10), arXiv:1704.00028",
        penalty=10.0,
    ),
    "hinge": AdversarialLoss(
        discriminator=lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        generator=lambda fake: -fake.mean(),
        source="Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, eqs. 16-17, arXiv:1802.05957",
    ),
}


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor
) -> Tensor:
    """How far the slope of D is from 1, at random points between real and fake images.

    E[(‖∇_x̂ D(x̂)‖₂ - 1)²], x̂ = ε x + (1 - ε) G(z), ε uniform in [0, 1] for each image
    -- Gulrajani et al. 2017, eq. 3 and algorithm 1, arXiv:1704.00028.

    Args:
        discriminator: images (B, …) → scores (B,), each score from its own image alone.
        real, fake: images (B, …) of the same shape.

    Raises:
        ValueError: real and fake differ in shape.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"need real and fake of one shape, got {tuple(real.shape)} and {tuple(fake.shape)}"
        )
    epsilon = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    between = torch.lerp(fake, real, epsilon).detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
