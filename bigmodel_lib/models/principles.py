"""Four ways to learn a density from its points alone: adversarial, variational, autoregressive
and by diffusion, each in a few lines on shared parts.

All learn points x (B, 2) with coordinates of variance near 1, and share two methods:

    loss(x) -> Tensor: what training minimises, a scalar;
    sample(count) -> Tensor: new points (count, 2).

Only the first has a discriminator.

Sources: Goodfellow et al. 2014, arXiv:1406.2661; Kingma & Welling 2013, arXiv:1312.6114; van den
Oord et al. 2016 (PixelRNN), arXiv:1601.06759; Ho et al. 2020, arXiv:2006.11239.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from bigmodel_lib.models.diffusion import Diffusion, cosine_betas
from bigmodel_lib.models.positions import sinusoidal
from bigmodel_lib.models.vae import kl_to_standard_normal, reparameterise


def mlp(*widths: int) -> nn.Sequential:
    """Dense layers of these widths with leaky ReLU between them."""
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.LeakyReLU(0.2))]
    return nn.Sequential(*layers[:-1])


class Adversarial(nn.Module):
    """A generator against a discriminator, which tells its points from real ones.

    D minimises −log σ(D(x)) − log(1 − σ(D(G(z)))), G minimises −log σ(D(G(z)))
    -- Goodfellow et al. 2014, algorithm 1, in the form of section 3.

    Args:
        width: of the hidden layers.
        Z: noise width.
    """

    def __init__(self, width: int = 64, Z: int = 2):
        super().__init__()
        self.Z = Z
        self.generator = mlp(Z, width, width, 2)
        self.discriminator = mlp(2, width, width, 1)

    def loss(self, x: Tensor) -> Tensor:
        """Both losses in one sum; neither reaches the other's weights."""
        fake = self.generator(x.new_empty(len(x), self.Z).normal_())
        fixed = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        of_g = F.softplus(-functional_call(self.discriminator, fixed, fake)).mean()
        real, fake = self.discriminator(torch.cat([x, fake.detach()])).chunk(2)
        return of_g + F.softplus(-real).mean() + F.softplus(fake).mean()

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """G(z) of fresh noise."""
        return self.generator(_noise(self, count, self.Z))


class Variational(nn.Module):
    """An encoder to a code and a decoder back: the code is pushed to be standard normal.

    −log N(x; decoder(z), s² I) + KL(q(z|x) ‖ N(0, I)) -- Kingma & Welling 2013, eq. 10 with one
    draw of z; s is learned.

    Args:
        width: of the hidden layers.
        Z: width of the code.
    """

    def __init__(self, width: int = 64, Z: int = 2):
        super().__init__()
        self.Z = Z
        self.encoder = mlp(2, width, width, 2 * Z)
        self.decoder = mlp(Z, width, width, 2)
        self.log_s = nn.Parameter(torch.tensor(-1.5))

    def loss(self, x: Tensor) -> Tensor:
        """The negative lower bound of log p(x), mean over the batch in nats, up to a constant."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        error = (x - self.decoder(reparameterise(mean, log_variance))) / self.log_s.exp()
        reconstruction = error.square().sum(dim=1) / 2 + 2 * self.log_s
        return (reconstruction + kl_to_standard_normal(mean, log_variance)).mean()

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """A draw of p(x|z) for fresh codes."""
        points = self.decoder(_noise(self, count, self.Z))
        return points + self.log_s.exp() * torch.randn_like(points)


class Autoregressive(nn.Module):
    """One coordinate after the other, p(x) = p(x₁) p(x₂|x₁), each in V bins: two "tokens".

    Cross-entropy of the bins -- van den Oord et al. 2016, eq. 1, with 2 coordinates for pixels.

    Args:
        width: of the hidden layers.
        V: bins a coordinate.
        reach: bins cover [-reach, reach].
    """

    def __init__(self, width: int = 64, V: int = 64, reach: float = 2.5):
        super().__init__()
        self.V, self.reach = V, reach
        self.first = nn.Parameter(torch.zeros(V))  # scores of x₁'s bins
        self.second = nn.Sequential(nn.Embedding(V, width), mlp(width, width, V))

    def bins(self, x: Tensor) -> Tensor:
        """Points (B, 2) to the numbers of their bins (B, 2); what lies outside, to the last."""
        return ((x + self.reach) / self._size).long().clamp(0, self.V - 1)

    @property
    def _size(self) -> float:
        return 2 * self.reach / self.V

    def loss(self, x: Tensor) -> Tensor:
        """−log p of both bins, mean over the batch in nats."""
        b = self.bins(x)
        first = F.cross_entropy(self.first.expand(len(x), -1), b[:, 0])
        return first + F.cross_entropy(self.second(b[:, 0]), b[:, 1])

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """x₁'s bin, then x₂'s given it; anywhere in its bin."""
        b1 = torch.multinomial(self.first.softmax(dim=0), count, replacement=True)
        b2 = torch.multinomial(self.second(b1).softmax(dim=1), 1)[:, 0]
        b = torch.stack([b1, b2], dim=1)
        return (b + torch.rand_like(b, dtype=torch.float)) * self._size - self.reach


class PlaneDenoiser(nn.Module):
    """The noise in points (B, 2) at times (B,), which it is told as sinusoidal positions.

    Args:
        T: the last time.
        width: of the hidden layers.
        D: width of a time's position.
    """

    def __init__(self, T: int, width: int = 64, D: int = 16):
        super().__init__()
        self.register_buffer("times", sinusoidal(T + 1, D))
        self.layers = mlp(2 + D, width, width, width, 2)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """x_t (B, 2) and t (B,) to the noise (B, 2)."""
        return self.layers(torch.cat([x, self.times[t]], dim=1))


class ByDiffusion(nn.Module):
    """Noise to points in T small steps -- Ho et al. 2020, with the cosine of Nichol & Dhariwal.

    Args:
        width: of the hidden layers.
        T: steps.
        reach: see `Diffusion`; the points lie in [-reach, reach].
    """

    def __init__(self, width: int = 64, T: int = 100, reach: float = 2.5):
        super().__init__()
        self.diffusion = Diffusion(PlaneDenoiser(T, width), cosine_betas(T), reach)

    def loss(self, x: Tensor) -> Tensor:
        """Mean squared error of the noise, at a random time for each point."""
        return self.diffusion.loss(x)

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """All T steps back from fresh noise."""
        return self.diffusion.sample(_noise(self, count, 2))


def _noise(model: nn.Module, count: int, width: int) -> Tensor:
    return torch.randn(count, width, device=next(model.parameters()).device)


PRINCIPLES = {
    "adversarial": Adversarial,
    "variational": Variational,
    "autoregressive": Autoregressive,
    "diffusion": ByDiffusion,
}
