"""Variational autoencoder: images to a distribution over codes, and codes back to images.

Shapes: B batch, Z width of the code, images (B, 1, 28, 28) in [-1, 1], logits like images.

Sources: Kingma & Welling 2013, arXiv:1312.6114; Rezende, Mohamed & Wierstra 2014,
arXiv:1401.4082; Higgins et al. 2017 (β-VAE), ICLR.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGE = (1, 28, 28)


class Terms(NamedTuple):
    """What a VAE minimises and its two parts, each (B,), in nats per image."""

    loss: Tensor
    reconstruction: Tensor
    kl: Tensor


class VAE(nn.Module):
    """Convolutional encoder q(z|x) and decoder p(x|z).

    1·28·28 → C·14·14 → 2C·7·7 → 2Z numbers: mean and log variance of a normal distribution
    with independent coordinates. Back the same way, to a logit for each pixel.

    With num_classes, the decoder is told the class, one-hot beside the code (Kingma et al. 2014,
    arXiv:1406.5298): the code then need not say what the class says. The encoder sees the image,
    which shows its class.

    Args:
        Z: width of the code.
        C: channels of the first layer; the second has 2C.
        num_classes: 0 for an unconditional decoder.

    Raises:
        ValueError: Z or C below 1.
    """

    def __init__(self, Z: int = 2, C: int = 16, num_classes: int = 0):
        super().__init__()
        if min(Z, C) < 1:
            raise ValueError(f"need Z >= 1 and C >= 1, got Z={Z}, C={C}")
        self.Z, self.num_classes = Z, num_classes
        self.encoder = nn.Sequential(
            nn.Conv2d(1, C, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(C, 2 * C, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * C * 7 * 7, 2 * Z),
        )
        self.decoder = nn.Sequential(
            nn.Linear(Z + num_classes, 2 * C * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (2 * C, 7, 7)),
            nn.ConvTranspose2d(2 * C, C, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(C, 1, 4, stride=2, padding=1),
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 1, 28, 28) to mean and log variance of q(z|x), each (B, Z)."""
        if images.shape[1:] != IMAGE:
            raise ValueError(f"need images (B, 1, 28, 28), got {tuple(images.shape)}")
        # the logarithm may have either sign, so no activation has to keep a variance positive
        return self.encoder(images).chunk(2, dim=1)

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes (B, Z), and labels (B,) if conditional, to logits (B, 1, 28, 28) of p(x|z)."""
        if z.ndim != 2 or z.shape[1] != self.Z:
            raise ValueError(f"need codes (B, Z) with Z = {self.Z}, got {tuple(z.shape)}")
        if (labels is None) != (self.num_classes == 0):
            wanted = f"labels of {self.num_classes} classes" if self.num_classes else "no labels"
            raise ValueError(f"this decoder needs {wanted}, got {labels}")
        if labels is not None:
            z = torch.cat([z, F.one_hot(labels, self.num_classes).to(z)], dim=1)
        return self.decoder(z)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes (B, Z) to the mean images (B, 1, 28, 28) of p(x|z), in [-1, 1]."""
        return 2 * self.decode(z, labels).sigmoid() - 1

    def forward(
        self, images: Tensor, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Images to logits of a reconstruction from a random code, mean and log variance."""
        mean, log_variance = self.encode(images)
        return self.decode(reparameterise(mean, log_variance), labels), mean, log_variance


def reparameterise(mean: Tensor, log_variance: Tensor) -> Tensor:
    """A draw from N(mean, exp(log_variance)) that lets gradients through to both.

    z = μ + σ ⊙ ε, ε ~ N(0, I) -- Kingma & Welling 2013, section 2.4, arXiv:1312.6114.

    Args:
        mean, log_variance: (B, Z).

    Returns:
        z (B, Z).

    Raises:
        ValueError: the two differ in shape.
    """
    _check_code(mean, log_variance)
    return mean + (log_variance / 2).exp() * torch.randn_like(mean)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """How far a normal distribution with independent coordinates is from N(0, I), in nats.

    KL = ½ Σ (μ² + σ² - log σ² - 1) -- Kingma & Welling 2013, appendix B, arXiv:1312.6114.

    Args:
        mean, log_variance: (B, Z).

    Returns:
        KL (B,), zero only where μ = 0 and σ = 1.

    Raises:
        ValueError: the two differ in shape.
    """
    _check_code(mean, log_variance)
    # expm1: exp(x) - 1 - x loses its digits near x = 0, where a forgotten coordinate lies
    return (mean.square() + log_variance.expm1() - log_variance).sum(dim=1) / 2


def elbo(
    images: Tensor, logits: Tensor, mean: Tensor, log_variance: Tensor, beta: float = 1.0
) -> Terms:
    """The negative evidence lower bound and its two terms.

    loss = -E[log p(x|z)] + β KL(q(z|x) ‖ N(0, I)) -- Kingma & Welling 2013, eq. 10 with one
    draw of z, arXiv:1312.6114; β from Higgins et al. 2017, eq. 4. With β = 1, -loss is a lower
    bound of log p(x) on average over the draw.

    The reconstruction is the cross-entropy of a Bernoulli pixel with y = (x + 1)/2
    (appendix C.1). For black and white pixels, y = 0 or 1, that is a log-probability. A grey y
    is read as the probability that the pixel is white: the best logit is still log(y/(1 - y)),
    but the term is then the entropy of y and not 0, and as a density over grey values it isn't
    normalised (Loaiza-Ganem & Cunningham 2019, arXiv:1907.06845). So figures on grey images
    compare with each other only.

    Args:
        images: (B, …) in [-1, 1].
        logits: like images.
        mean, log_variance: of q(z|x), each (B, Z).
        beta: weight of the KL term, β >= 0.

    Returns:
        Loss, reconstruction and KL, each (B,), in nats per image.

    Raises:
        ValueError: images and logits, or mean and log variance, differ in shape; they are not
            of one batch; β < 0.
    """
    if images.shape != logits.shape or images.ndim < 2:
        raise ValueError(
            f"need images (B, …) and logits of one shape, "
            f"got {tuple(images.shape)} and {tuple(logits.shape)}"
        )
    if len(images) != len(mean):
        raise ValueError(f"need one code for each of {len(images)} images, got {len(mean)}")
    if not beta >= 0:
        raise ValueError(f"need beta >= 0, got {beta}")
    white = (images + 1) / 2
    pixels = F.binary_cross_entropy_with_logits(logits, white, reduction="none")
    # summed over pixels: a mean would weigh the KL term 784 times too heavily
    reconstruction = pixels.flatten(1).sum(dim=1)
    kl = kl_to_standard_normal(mean, log_variance)
    return Terms(reconstruction + beta * kl, reconstruction, kl)


def least_reconstruction(images: Tensor) -> Tensor:
    """The smallest reconstruction term that `elbo` can give: the entropy of the grey pixels.

    Args:
        images: (B, …) in [-1, 1].

    Returns:
        Σ H(y) over the pixels, y = (x + 1)/2, in nats per image (B,); 0 for black and white.
    """
    white = (images.flatten(1) + 1) / 2
    return (torch.special.entr(white) + torch.special.entr(1 - white)).sum(dim=1)


def _check_code(mean: Tensor, log_variance: Tensor) -> None:
    if mean.ndim != 2 or mean.shape != log_variance.shape:
        raise ValueError(
            f"need mean and log variance (B, Z) of one shape, "
            f"got {tuple(mean.shape)} and {tuple(log_variance.shape)}"
        )
