"""Diffusion: destroy data by noise in many small steps, learn to take one step back.

Shapes: B batch, x (B, …) data of any shape, t (B,) times from 0 (data) to T (noise).

ᾱ_t = Π_{s ≤ t} (1 − β_s) is the share of the data's variance that is left at time t. The papers
differ in letters: Ho et al. write ᾱ for it, Song et al. α.

Sources: Ho, Jain & Abbeel 2020 (DDPM), arXiv:2006.11239; Song, Meng & Ermon 2021 (DDIM),
arXiv:2010.02502; Nichol & Dhariwal 2021, arXiv:2102.09672.
"""

import math
from collections.abc import Iterator
from itertools import islice, pairwise

import torch
from torch import Tensor, nn

F64 = torch.float64


def linear_betas(T: int = 1000, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """Variances β_1 … β_T (T,) of the noise added at each step, growing evenly.

    The defaults are those of Ho et al. 2020, section 4. They are made for T = 1000: with fewer
    steps something of the data is left at T, which sampling then lacks.
    """
    return torch.linspace(first, last, T, dtype=F64)


def cosine_betas(T: int, s: float = 0.008, most: float = 0.999) -> Tensor:
    """Variances β_1 … β_T (T,), for which ᾱ falls as a squared cosine; good for any T.

    ᾱ_t = f(t)/f(0), f(t) = cos²((t/T + s)/(1 + s) · π/2), β_t = 1 − ᾱ_t/ᾱ_{t−1}, at most 0.999
    -- Nichol & Dhariwal 2021, eq. 17.
    """
    t = torch.arange(T + 1, dtype=F64) / T
    f = torch.cos((t + s) / (1 + s) * math.pi / 2).square()
    return (1 - f[1:] / f[:-1]).clamp(max=most)


class Diffusion(nn.Module):
    """A network that predicts noise, with all that is needed to train it and to draw samples.

    Args:
        denoiser: (x_t (B, …), t (B,), *condition) → the noise in x_t, in the shape of x_t.
            What else it is told, such as class labels (B,), is passed through.
        betas: β_1 … β_T (T,), each in (0, 1).
        reach: the data lie in [-reach, reach], so a predicted x̂_0 beyond is drawn back there.
            Where little of the data is left in x_t, x̂_0 is its error divided by a tiny √ᾱ_t,
            and few large steps cannot make up for that. None: unlimited.

    Attributes:
        T: the last time.
        alpha_bar: ᾱ_0 = 1, ᾱ_1, … ᾱ_T (T + 1,), float64 on the CPU.

    Raises:
        ValueError: betas of another shape or out of their range, or reach not above 0.
    """

    def __init__(self, denoiser: nn.Module, betas: Tensor, reach: float | None = None):
        super().__init__()
        if betas.ndim != 1 or not bool(((betas > 0) & (betas < 1)).all()):
            raise ValueError(f"need betas (T,) in (0, 1), got {tuple(betas.shape)}: {betas}")
        if reach is not None and not reach > 0:
            raise ValueError(f"need reach > 0 or None, got {reach}")
        self.denoiser, self.T, self.reach = denoiser, len(betas), reach
        # the steps' coefficients are differences of numbers near 1: float64, which MPS lacks
        self.alpha_bar = torch.cat(
            [torch.ones(1, dtype=F64), (1 - betas.double().cpu()).cumprod(0)]
        )
        self.register_buffer("signal", self.alpha_bar.sqrt().float())
        self.register_buffer("noise", (1 - self.alpha_bar).sqrt().float())

    # --- forward: data to noise ---

    def noised(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """All t steps of noise at once: x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε -- Ho et al. 2020, eq. 4.

        Args:
            x: data x_0 (B, …).
            t: times (B,), whole numbers from 0 to T.
            noise: ε (B, …), standard normal.

        Raises:
            ValueError: shapes that do not fit.
        """
        if t.shape != x.shape[:1] or noise.shape != x.shape:
            shapes = f"{tuple(x.shape)}, {tuple(t.shape)}, {tuple(noise.shape)}"
            raise ValueError(f"need x (B, …), t (B,) and noise like x, got {shapes}")
        each = (-1, *[1] * (x.ndim - 1))
        return self.signal[t].view(each) * x + self.noise[t].view(each) * noise

    def loss(self, x: Tensor, *condition: Tensor) -> Tensor:
        """Mean squared error of the predicted noise, at a random time for each example.

        E ‖ε − ε_θ(√ᾱ_t x_0 + √(1 − ᾱ_t) ε, t)‖², divided by the number of entries of x
        -- Ho et al. 2020, eq. 14 and algorithm 1.

        Args:
            x: data (B, …), about as wide as the noise: variance near 1, or within [-1, 1].
            condition: what else the denoiser is told.
        """
        t = torch.randint(1, self.T + 1, x.shape[:1], device=x.device)
        noise = torch.randn_like(x)
        return (noise - self.denoiser(self.noised(x, t, noise), t, *condition)).square().mean()

    # --- backward: noise to data ---

    def start(self, x: Tensor, t: int, noise: Tensor) -> Tensor:
        """The data that this noise would have led from to x_t -- Ho et al. 2020, eq. 15."""
        alpha = float(self.alpha_bar[t])
        start = (x - math.sqrt(1 - alpha) * noise) / math.sqrt(alpha)
        return start if self.reach is None else start.clamp(-self.reach, self.reach)

    def step(self, x: Tensor, t: int, to: int, noise: Tensor, eta: float, fresh: Tensor) -> Tensor:
        """From time t to any earlier one, given the noise in x_t.

        x_s = √ᾱ_s x̂_0 + √(1 − ᾱ_s − σ²) ε + σ · fresh, σ = η √((1 − ᾱ_s)/(1 − ᾱ_t) · (1 − ᾱ_t/ᾱ_s))
        -- Song et al. 2021, eqs. 12 and 16. For η = 1 and s = t − 1 it draws from q(x_s | x_t, x̂_0)
        of Ho et al. 2020, eqs. 6 and 7; for η = 0 nothing is drawn.

        Args:
            x: x_t (B, …).
            t, to: whole numbers, 0 ≤ to < t ≤ T.
            noise: ε, predicted, like x.
            eta: η from 0 (DDIM) to 1 (DDPM).
            fresh: standard normal, like x.

        Raises:
            ValueError: times or η out of their range.
        """
        if not 0 <= to < t <= self.T or not 0 <= eta <= 1:
            raise ValueError(f"need 0 <= to < t <= {self.T}, eta in [0, 1]; got {to}, {t}, {eta}")
        alpha, after = float(self.alpha_bar[t]), float(self.alpha_bar[to])
        sigma = eta * math.sqrt((1 - after) / (1 - alpha) * (1 - alpha / after))
        towards = math.sqrt(max(1 - after - sigma**2, 0.0))  # rounding may leave it below 0
        start = self.start(x, t, noise)
        if self.reach is not None:  # the noise that leads from x̂_0, drawn back or not, to x_t
            noise = (x - math.sqrt(alpha) * start) / math.sqrt(1 - alpha)
        return math.sqrt(after) * start + towards * noise + sigma * fresh

    @torch.no_grad()
    def stations(
        self, x: Tensor, *condition: Tensor, steps: int | None = None, eta: float = 1.0
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """From noise to data, yielding (t, x_t, the noise found in it); the last is (0, x_0, 0).

        With them `start` tells what data the network sees behind x_t. Arguments: see `path`.
        """
        steps = self.T if steps is None else steps
        if not 1 <= steps <= self.T:
            raise ValueError(f"need steps from 1 to {self.T}, got {steps}")
        times = torch.linspace(self.T, 0, steps + 1, dtype=F64).round().long().tolist()
        for t, to in pairwise(times):
            noise = self.denoiser(x, torch.full(x.shape[:1], t, device=x.device), *condition)
            yield t, x, noise
            x = self.step(x, t, to, noise, eta, torch.randn_like(x) if eta else noise)
        yield 0, x, torch.zeros_like(x)

    def path(
        self, x: Tensor, *condition: Tensor, steps: int | None = None, eta: float = 1.0
    ) -> Iterator[tuple[int, Tensor]]:
        """From noise to data, yielding (t, x_t) after every step; the last is (0, x_0).

        steps=None, eta=1 is Ho et al. 2020, algorithm 2, with the smaller of their two
        variances; eta=0 is DDIM, which needs few steps and gives the same x_0 for the same x_T.

        Args:
            x: x_T (B, …), standard normal.
            condition: what else the denoiser is told.
            steps: how many, evenly spaced in time; None for all T.
            eta: how much fresh noise, 0 to 1.

        Raises:
            ValueError: steps is not in 1 … T.
        """
        stations = self.stations(x, *condition, steps=steps, eta=eta)
        yield from ((t, x) for t, x, _noise in islice(stations, 1, None))

    def sample(self, x: Tensor, *condition: Tensor, **how) -> Tensor:
        """Where `path` ends: noise x_T (B, …) to data x_0 (B, …). Arguments: see `path`."""
        *_before, (_t, data) = self.path(x, *condition, **how)
        return data
