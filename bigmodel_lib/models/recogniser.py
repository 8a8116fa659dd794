"""From a log-mel spectrogram to log-probabilities of labels, for CTC.

Shapes: B batch, n frames of the spectrogram, T = ⌈n/4⌉ frames behind the convolutions, I mel
bands, F width, V labels with the blank.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv1d import Conv1d
from .rnn import GRU

STRIDE = 4  # frames that become one


class Recogniser(nn.Module):
    """Convolutions find sounds, two GRUs read them forwards and backwards, a layer names labels.

    The mean of every utterance is taken out of each band: a microphone or a loud voice adds the
    same to all frames.

    Args:
        I: mel bands.
        F: width of the convolutions; each GRU has as much.
        V: labels with the blank.
        dropout: share left out before the GRUs and behind them.
    """

    def __init__(self, I: int, F: int, V: int, dropout: float = 0.1):  # noqa: E741
        super().__init__()
        self.first, self.second = Conv1d(I, F, 5), Conv1d(F, F, 5)
        self.third = Conv1d(F, F, 5)
        self.forwards, self.backwards = GRU(F, F), GRU(F, F)
        self.dropout, self.out = nn.Dropout(dropout), nn.Linear(2 * F, V)

    def forward(self, log_mel: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the labels.

        Args:
            log_mel: (B, n, I), padded behind.
            frames: how many of each count, (B,).

        Returns:
            (B, T, V), and how many of the T count, (B,).

        Raises:
            ValueError: frames are not of this batch, or out of 1 … n.
        """
        B, n, _ = log_mel.shape
        if frames.shape != (B,) or frames.min() < 1 or frames.max() > n:
            raise ValueError(f"need frames (B,) = ({B},) of 1 … {n}, got {frames}")
        x = _normal(log_mel, frames)
        for layer in (self.first, self.second):
            x = _halved(layer(x).relu())
        frames = (frames + STRIDE - 1) // STRIDE
        x = self.dropout(self.third(x).relu()) * _counted(frames, x.shape[1])
        there, _ = self.forwards(x)
        back, _ = self.backwards(_reversed(x, frames))
        both = torch.cat((there, _reversed(back, frames)), dim=2)
        return self.out(self.dropout(both)).log_softmax(dim=2), frames


def _counted(frames: Tensor, n: int) -> Tensor:
    """1 where a frame counts, 0 in the padding: (B, n, 1)."""
    return (torch.arange(n, device=frames.device) < frames[:, None])[..., None].float()


def _normal(x: Tensor, frames: Tensor) -> Tensor:
    """Each band less its mean over the frames that count; padding is 0."""
    counted = _counted(frames, x.shape[1])
    mean = (x * counted).sum(dim=1, keepdim=True) / frames[:, None, None]
    return (x - mean) * counted / 3  # 3 nats: about one standard deviation


def _halved(x: Tensor) -> Tensor:
    """The larger of each two frames, (B, n, F) to (B, ⌈n/2⌉, F)."""
    padded = F.pad(x, (0, 0, 0, x.shape[1] % 2))
    return padded.unflatten(1, (-1, 2)).amax(dim=2)


def _reversed(x: Tensor, frames: Tensor) -> Tensor:
    """The frames that count in reverse order; those behind stay."""
    place = torch.arange(x.shape[1], device=x.device).expand(len(x), -1)
    back = torch.where(place < frames[:, None], frames[:, None] - 1 - place, place)
    return x.gather(1, back[..., None].expand_as(x))
