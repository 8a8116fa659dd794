"""Signal processing for sound: windows, Fourier transform of frames, mel scale, and the way back.

Shapes: N samples, n frames, M samples of a frame, K = M/2 + 1 frequency bins, F mel bands; any
axes may stand in front. Frame i is centred on sample i · hop: zeros surround the sound.

Sources: Allen & Rabiner 1977, Proceedings of the IEEE 65(11), for the transform of frames; Griffin
& Lim 1984, IEEE Transactions on Acoustics, Speech, and Signal Processing 32(2), for the way back;
Davis & Mermelstein 1980, same journal 28(4), for bands along the mel scale.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = 1e-7  # of a mel band's power, -70 dB: what is below it is silence
TINY = 1e-8


def hann(M: int) -> Tensor:
    """The Hann window (M,), w_i = ½ - ½ cos(2πi / M): it fades a frame in and out.

    Periodic: M divides the circle, so that copies at a hop of M/2, M/4, … sum to a constant.
    """
    return 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(M) / M)


def frame_count(N: int, hop: int) -> int:
    """Frames of a sound of N samples."""
    return 1 + N // hop


def stft(x: Tensor, M: int, hop: int) -> Tensor:
    """The spectrum of each windowed frame: X(i, k) = Σ_j w_j x_{i·hop + j - M/2} e^{-2πijk/M}.

    Args:
        x: samples (…, N).
        M: samples of a frame, even.
        hop: samples from one frame to the next, at most M/2.

    Returns:
        Complex (…, n, K), n = 1 + N // hop.

    Raises:
        ValueError: no samples, an odd M, or a hop outside of 1 … M/2.
    """
    _check(M, hop)
    if x.shape[-1] < 1:
        raise ValueError(f"need at least one sample, got {tuple(x.shape)}")
    frames = F.pad(x, (M // 2, M // 2)).unfold(-1, M, hop)  # (…, n, M)
    return torch.fft.rfft(frames * hann(M).to(x), dim=-1)


def istft(X: Tensor, M: int, hop: int, N: int) -> Tensor:
    """The sound (…, N) whose stft is closest to X in the sense of least squares.

    x = Σ_i w · frame_i / Σ_i w², where frames overlap -- Griffin & Lim 1984, eq. 6.

    Raises:
        ValueError: sizes as in `stft`, or X is not (…, n, K) for N samples.
    """
    _check(M, hop)
    if X.shape[-2:] != (frame_count(N, hop), M // 2 + 1):
        needed = (frame_count(N, hop), M // 2 + 1)
        raise ValueError(f"need a spectrum (…, n, K) = {needed}, got {tuple(X.shape)}")
    window = hann(M).to(X.real)
    frames = torch.fft.irfft(X, n=M, dim=-1) * window
    weight = window.square().expand(frames.shape[-2], M)
    total, weight = _overlap_add(frames, hop), _overlap_add(weight, hop)
    inside = slice(M // 2, M // 2 + N)
    known = (total / weight.clamp_min(TINY))[..., inside]
    # the last samples may lie behind the middle of the last frame, but never outside of it
    return F.pad(known, (0, N - known.shape[-1]))


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """Frames (…, n, M), each moved by its place, summed to (…, M + (n - 1)·hop)."""
    n, M = frames.shape[-2:]
    columns = frames.reshape(-1, n, M).transpose(1, 2)  # (B, M, n), as fold wants them
    length = M + (n - 1) * hop
    summed = F.fold(columns, (1, length), (1, M), stride=(1, hop))
    return summed.view(*frames.shape[:-2], length)


def _check(M: int, hop: int) -> None:
    if M < 2 or M % 2 or not 1 <= hop <= M // 2:
        raise ValueError(f"need an even M ≥ 2 and 1 ≤ hop ≤ M/2, got M={M}, hop={hop}")


def hz_to_mel(hz: Tensor) -> Tensor:
    """Pitch as heard: 2595 log₁₀(1 + f/700), O'Shaughnessy 1987; the formula of HTK."""
    return 2595 * torch.log10(1 + hz / 700)


def mel_to_hz(mel: Tensor) -> Tensor:
    """The inverse of `hz_to_mel`."""
    return 700 * (10 ** (mel / 2595) - 1)


@functools.lru_cache
def mel_filters(bands: int, M: int, rate: int) -> Tensor:
    """Triangles (bands, K), equally wide in mel from 0 to rate/2, each 1 at its peak.

    Band b rises from the peak of band b - 1 to its own and falls to that of band b + 1, so that
    between the first and the last peak the bands sum to 1 at every frequency.

    Raises:
        ValueError: no bands, or so many that one of them holds no frequency bin.
    """
    if bands < 1:
        raise ValueError(f"need at least one mel band, got {bands}")
    bins = torch.arange(M // 2 + 1) * rate / M  # Hz
    edges = torch.linspace(0, float(hz_to_mel(torch.tensor(rate / 2))), bands + 2)
    left, peak, right = mel_to_hz(edges).unfold(0, 3, 1).T[..., None]  # (bands, 1) each
    rise, fall = (bins - left) / (peak - left), (right - bins) / (right - peak)
    filters = torch.minimum(rise, fall).clamp_min(0)
    if (filters.sum(dim=1) == 0).any():
        raise ValueError(
            f"need fewer mel bands: of {bands}, some hold none of the {M // 2 + 1} frequencies"
        )
    return filters


def log_mel(x: Tensor, M: int, hop: int, rate: int, bands: int) -> Tensor:
    """ln of the power in each mel band: samples (…, N) to (…, n, bands).

    Power is relative to that of a sine of amplitude 1, and is not less than `FLOOR`.
    """
    power = stft(x, M, hop).abs().square() / hann(M).sum().square() * 4
    return (power @ mel_filters(bands, M, rate).T.to(x)).clamp_min(FLOOR).log()


def magnitude_of(log_mel_power: Tensor, M: int, rate: int, steps: int = 30) -> Tensor:
    """A spectrum's magnitudes (…, n, K) ≥ 0 that have these mel bands (…, n, F), or nearly.

    Many spectra have the same bands; this is one, found by multiplicative updates of least squares
    (Lee & Seung 2001, theorem 1, where only the activations are sought).
    """
    filters = mel_filters(log_mel_power.shape[-1], M, rate).to(log_mel_power)
    bands = (log_mel_power.exp() - FLOOR).clamp_min(0)
    power = bands @ filters + TINY
    for _ in range(steps):
        power = power * (bands @ filters) / (power @ filters.T @ filters + TINY)
    return power.sqrt() * hann(M).sum() / 2


def griffin_lim(magnitude: Tensor, M: int, hop: int, N: int, steps: int = 40) -> Tensor:
    """A sound (…, N) whose stft has about these magnitudes (…, n, K); their phases are unknown.

    Begin with any phases; go to the sound and back, keep its phases, put the magnitudes back:
    the error never grows -- Griffin & Lim 1984. The first phases are those of an impulse in the
    middle of each frame, so the result is the same every time.
    """
    sign = 1 - 2 * (torch.arange(magnitude.shape[-1]) % 2)  # e^{-2πi k (M/2) / M}
    X = (magnitude * sign.to(magnitude)).to(torch.complex64)
    for _ in range(steps):
        again = stft(istft(X, M, hop, N), M, hop)
        X = magnitude * again / again.abs().clamp_min(TINY)
    return istft(X, M, hop, N)


def add_noise(x: Tensor, snr: float, colour: float = 1.0) -> Tensor:
    """Sounds (…, N) in noise whose power at f goes as f^-colour: 0 white, 1 pink, 2 brown.

    Args:
        x: sounds.
        snr: signal-to-noise ratio in decibels, 10 log₁₀ of the ratio of mean powers.
        colour: exponent of the noise's spectrum.

    Returns:
        Sound and noise together; drawn by torch's global generator.
    """
    spectrum = torch.fft.rfft(torch.randn_like(x))
    f = torch.arange(spectrum.shape[-1], device=x.device).clamp_min(1).to(x)
    noise = torch.fft.irfft(spectrum * f ** (-colour / 2), n=x.shape[-1])
    power, of_noise = (y.square().mean(dim=-1, keepdim=True) for y in (x, noise))
    return x + noise * (power / of_noise / 10 ** (snr / 10)).sqrt()
