"""From phones to a log-mel spectrogram, all frames at once: how long each sound lasts, then what.

Shapes: B batch, P phones, n frames, D width, C numbers that say who speaks and how fast, I bands.

Source: Ren et al. 2019, FastSpeech, arXiv:1905.09263: durations are predicted, each phone's vector
is repeated so often, and a second network turns the frames to a spectrum. Ours has convolutions
where they have Transformer blocks, and learns from exact durations.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv1d import Conv1d


class Residual(nn.Module):
    """x + W₂ ReLU(W₁ norm(x)), W₁ a convolution."""

    def __init__(self, D: int, k: int):
        super().__init__()
        self.norm, self.conv, self.out = nn.LayerNorm(D), Conv1d(D, D, k), nn.Linear(D, D)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        return x + self.out(self.conv(self.norm(x)).relu())


class SpeechModel(nn.Module):
    """Phones and a description of the voice to durations and a spectrogram.

    Args:
        P: kinds of phones; kind 0 is padding.
        C: numbers that describe the voice.
        I: mel bands.
        D: width, even.
        L: layers before the durations, and as many behind.
    """

    def __init__(self, P: int, C: int, I: int, D: int = 96, L: int = 3):  # noqa: E741
        super().__init__()
        self.phones, self.voice = nn.Embedding(P, D, padding_idx=0), nn.Linear(C, D)
        self.encoder = nn.Sequential(*(Residual(D, 3) for _ in range(L)))
        self.duration = nn.Sequential(nn.LayerNorm(D), nn.Linear(D, 1))
        self.place = nn.Linear(3, D)
        self.decoder = nn.Sequential(*(Residual(D, 5) for _ in range(L)))
        self.out = nn.Sequential(nn.LayerNorm(D), nn.Linear(D, I))

    def encode(self, phones: Tensor, voice: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of the phones (B, P, D), and ln(1 + frames) of each, (B, P).

        Args:
            phones: kinds (B, P), padded with 0 behind.
            voice: (B, C).
        """
        x = self.encoder(self.phones(phones) + self.voice(voice)[:, None])
        return x, self.duration(x)[..., 0]

    def decode(self, x: Tensor, counts: Tensor) -> Tensor:
        """Vectors (B, P, D), each for so many frames (B, P), to a spectrogram (B, n, I)."""
        return self.out(self.decoder(self._stretch(x, counts)))

    def forward(self, phones: Tensor, voice: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrogram (B, n, I) with these durations, and its own ln(1 + frames), (B, P)."""
        x, log_counts = self.encode(phones, voice)
        return self.decode(x, counts), log_counts

    @torch.no_grad()
    def say(self, phones: Tensor, voice: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrogram (B, n, I) and the frames of each phone (B, P), both as the model thinks."""
        x, log_counts = self.encode(phones, voice)
        counts = (log_counts.exp() - 1).round().long().clamp_min(0) * (phones != 0)
        counts[:, 0] = counts[:, 0].clamp_min(1)  # an utterance has at least one frame
        return self.decode(x, counts), counts

    def _stretch(self, x: Tensor, counts: Tensor) -> Tensor:
        """Each vector as often as its count says, with how far along its phone each frame is."""
        rows = [
            torch.repeat_interleave(row, count, dim=0) for row, count in zip(x, counts, strict=True)
        ]
        stretched = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return stretched + self.place(_progress(counts, stretched.shape[1]))


def _progress(counts: Tensor, n: int) -> Tensor:
    """Of each frame: share of its phone that is over, its rise and fall, ln of the phone's length.

    (B, n, 3); zeros in the padding.
    """
    rows = []
    for row in counts:
        lengths = torch.repeat_interleave(row, row)
        starts = torch.repeat_interleave(row.cumsum(0) - row, row)
        share = (torch.arange(len(lengths), device=row.device) - starts + 0.5) / lengths
        columns = (share, torch.sin(math.pi * share), lengths.float().log() / 3)
        rows.append(torch.stack(columns, dim=1))
    progress = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return F.pad(progress, (0, 0, 0, n - progress.shape[1]))
