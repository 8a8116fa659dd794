"""One space for several kinds of things: what belongs together lies in one direction.

Shapes: B batch, D width of the space, C candidates.

Sources: van den Oord, Li & Vinyals 2018 (InfoNCE), arXiv:1807.03748; Radford et al. 2021 (CLIP:
both directions, a learned temperature), arXiv:2103.00020.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.data.digit_words import LETTERS
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.models.conv1d import Conv1d
from bigmodel_lib.models.rnn import GRU

FIRST, COLDEST = 0.07, 0.01  # CLIP's: temperature at the start, and the lowest that is allowed


def info_nce(scores: Tensor) -> Tensor:
    """How surely each is told from the batch's others, both ways, in nats.

    L = ½ (L_rows + L_columns), L_rows = mean_i [log Σ_j e^{s_ij} - s_ii]; L_columns with s_ji.

    Args:
        scores: (B, B), s_ij of thing i of one kind and thing j of the other; pair i is (i, i).

    Raises:
        ValueError: scores are not square.
    """
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1]:
        raise ValueError(f"need scores (B, B), got {tuple(scores.shape)}")
    own = scores.diagonal()
    return (scores.logsumexp(dim=1) + scores.logsumexp(dim=0) - 2 * own).mean() / 2


class SharedSpace(nn.Module):
    """An encoder for each kind of thing, into one space of unit vectors.

    s_ij = u_i · v_j / τ, with u and v of length 1, so u · v is the cosine of their angle.

    Args:
        encoders: by kind, each from its inputs (B, …) to (B, D).
        temperature: τ at the start.
        learned: whether τ is a parameter (through log 1/τ, as in CLIP) or stays.

    Raises:
        ValueError: a temperature below `COLDEST`.
    """

    def __init__(
        self, encoders: dict[str, nn.Module], temperature: float = FIRST, learned: bool = True
    ):
        super().__init__()
        if not COLDEST <= temperature < math.inf:
            raise ValueError(f"need a temperature of at least {COLDEST}, got {temperature}")
        self.encoders = nn.ModuleDict(encoders)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), learned)

    @property
    def temperature(self) -> float:
        """τ as it is now."""
        return float(1 / self._scale().detach())

    def _scale(self) -> Tensor:
        return self.log_scale.clamp(max=-math.log(COLDEST)).exp()

    def embed(self, kind: str, x: Tensor) -> Tensor:
        """Unit vectors (B, D) of things of one kind."""
        return F.normalize(self.encoders[kind](x), dim=1)

    def scores(self, u: Tensor, v: Tensor) -> Tensor:
        """Unit vectors (B, D) and (C, D) to scores (B, C)."""
        return self._scale() * u @ v.T


class WordEncoder(nn.Module):
    """A word, letter by letter through a GRU, whose last state says where it lies.

    Args:
        D: width of the space.
        E: width of a letter.
        W: width of the GRU.
    """

    def __init__(self, D: int, E: int = 24, W: int = 64):
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS) + 1, E, padding_idx=0)
        self.body, self.out = GRU(E, W), nn.Linear(W, D)

    def forward(self, letters: Tensor) -> Tensor:
        """Letters (B, length), zeros in front, to (B, D)."""
        return self.out(self.body(self.letters(letters))[1])


class SoundEncoder(nn.Module):
    """A spoken word: three convolutions over time, each feature's largest value, a linear map.

    Args:
        I: mel bands.
        D: width of the space.
        W: width of the convolutions.
    """

    def __init__(self, I: int, D: int, W: int = 48):  # noqa: E741
        super().__init__()
        self.layers = nn.ModuleList([Conv1d(I, W, 5), Conv1d(W, W, 5), Conv1d(W, W, 5)])
        self.out = nn.Linear(W, D)

    def forward(self, mels: Tensor) -> Tensor:
        """Spectrograms (B, n, I), n a multiple of 4, to (B, D)."""
        for layer in self.layers[:2]:
            mels = layer(mels).relu().unflatten(1, (-1, 2)).amax(dim=2)
        return self.out(self.layers[2](mels).relu().amax(dim=1))


class ImageEncoder(nn.Module):
    """The digits' convolutional network without its last layer.

    Args:
        D: width of the space.
    """

    def __init__(self, D: int):
        super().__init__()
        self.body = DigitCNN(D).body

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) to (B, D)."""
        return self.body(images)


def digit_space(bands: int, D: int = 32, temperature: float = FIRST) -> SharedSpace:
    """Images, words and sounds of digits in one space of width D."""
    encoders = {
        "image": ImageEncoder(D),
        "word": WordEncoder(D),
        "sound": SoundEncoder(bands, D),
    }
    return SharedSpace(encoders, temperature)


def modality_gap(u: Tensor, v: Tensor) -> float:
    """How far the centres of two kinds lie apart: ‖mean u - mean v‖ -- Liang et al. 2022.

    arXiv:2203.02053. Unit vectors (B, D) and (C, D); from 0 to 2.
    """
    return float((u.mean(dim=0) - v.mean(dim=0)).norm())
