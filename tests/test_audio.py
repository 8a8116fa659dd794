"""Signal processing against SciPy and against its own properties."""

import numpy as np
import pytest
import torch
from scipy import signal

from bigmodel_lib import audio

M, HOP, RATE = 62, 17, 8000


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(3, 719, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_window_is_scipys():
    expected = torch.from_numpy(signal.windows.hann(M, sym=False)).float()
    torch.testing.assert_close(audio.hann(M), expected)


def test_stft_is_scipys(x):
    ours = audio.stft(x, M, HOP)
    transform = signal.ShortTimeFFT(signal.windows.hann(M, sym=False), HOP, RATE, phase_shift=None)
    theirs = transform.stft(x.numpy(), p0=0, p1=audio.frame_count(719, HOP)).swapaxes(1, 2)
    assert ours.shape == (3, 1 + 719 // HOP, M // 2 + 1)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)  # our window is in float32


def test_there_and_back(x):
    back = audio.istft(audio.stft(x, M, HOP), M, HOP, 719)
    torch.testing.assert_close(back, x, atol=1e-5, rtol=1e-5)
    alone = audio.istft(audio.stft(x[1], M, HOP), M, HOP, 719)
    torch.testing.assert_close(alone, back[1])


def test_istft_is_the_least_squares_answer(x):
    """No other sound comes closer to a spectrum that belongs to none: its error's slope is 0."""
    target = audio.stft(x, M, HOP) * torch.rand(audio.stft(x, M, HOP).shape, dtype=torch.float64)
    best = audio.istft(target, M, HOP, 719).requires_grad_()
    frames = torch.fft.irfft(audio.stft(best, M, HOP) - target, n=M)
    (slope,) = torch.autograd.grad(frames.square().sum(), best)
    assert slope[:, : 719 - M].abs().max() < 1e-5


def test_mel_bands_sum_to_one_and_invert():
    filters = audio.mel_filters(23, 254, RATE)
    f = torch.arange(128) * RATE / 254
    edges = audio.mel_to_hz(torch.linspace(0, float(audio.hz_to_mel(torch.tensor(4000.0))), 25))
    inside = (f >= edges[1]) & (f <= edges[-2])
    torch.testing.assert_close(filters.sum(dim=0)[inside], torch.ones(int(inside.sum())))
    torch.testing.assert_close(audio.mel_to_hz(audio.hz_to_mel(f)), f, atol=1e-2, rtol=1e-4)
    assert float(audio.hz_to_mel(torch.tensor(1000.0))) == pytest.approx(1000, abs=0.1)


def test_a_sine_of_amplitude_one_has_power_one_in_its_band():
    M, rate = 256, RATE
    peak = audio.mel_to_hz(torch.linspace(0, float(audio.hz_to_mel(torch.tensor(4000.0))), 12))[5]
    sound = torch.sin(2 * torch.pi * peak * torch.arange(2000) / rate)[None].repeat(2, 1)
    mel = audio.log_mel(sound, M, 80, rate, 10)[:, 10]
    assert mel.argmax(dim=1).tolist() == [4, 4]
    assert float(mel.exp().sum(dim=1)[0]) == pytest.approx(1.5, abs=0.15)  # Hann's noise bandwidth
    silence = audio.log_mel(torch.zeros(2, 500), M, 80, rate, 10)
    torch.testing.assert_close(silence.exp(), torch.full_like(silence, audio.FLOOR))


def test_griffin_lim_never_gets_worse():
    said = torch.sin(torch.arange(1600) ** 1.3 / 20)[None]
    magnitude = audio.stft(said, 256, 64).abs()
    errors = []
    for steps in (0, 1, 5, 20):
        sound = audio.griffin_lim(magnitude, 256, 64, 1600, steps)
        errors.append(float((audio.stft(sound, 256, 64).abs() - magnitude).square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.3 * errors[0]


def test_a_spectrum_has_the_bands_that_it_was_made_from():
    said = torch.sin(torch.arange(1600) ** 1.3 / 20)[None] + 0.01
    mel = audio.log_mel(said, 256, 80, RATE, 19)
    power = (audio.magnitude_of(mel, 256, RATE) / audio.hann(256).sum() * 2).square()
    again = (power @ audio.mel_filters(19, 256, RATE).T).clamp_min(audio.FLOOR).log()
    loud = mel > mel.max() - 4  # 17 dB
    assert (again - mel)[loud].abs().mean() < 0.3


@pytest.mark.parametrize("snr", [-5, 0, 20])
def test_noise_has_the_ratio_asked_for_and_its_colour(x, snr):
    sound = x.float()
    noise = audio.add_noise(sound, snr, colour=2.0) - sound
    ratio = 10 * (sound.square().mean(dim=1) / noise.square().mean(dim=1)).log10()
    torch.testing.assert_close(ratio, torch.full((3,), float(snr)), atol=0.01, rtol=0)
    power = torch.fft.rfft(noise).abs().square()
    assert (power[:, 1:50].mean() / power[:, 100:].mean()) > 10


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: audio.stft(torch.zeros(2, 5), 7, 3), "even M"),
        (lambda: audio.stft(torch.zeros(2, 5), 8, 5), "hop ≤ M/2"),
        (lambda: audio.stft(torch.zeros(2, 0), 8, 4), "at least one sample"),
        (
            lambda: audio.istft(torch.zeros(2, 3, 5, dtype=torch.cfloat), 8, 4, 99),
            "for|need a spec",
        ),
        (lambda: audio.mel_filters(0, 8, RATE), "at least one mel band"),
        (lambda: audio.mel_filters(100, 64, RATE), "need fewer mel bands"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
