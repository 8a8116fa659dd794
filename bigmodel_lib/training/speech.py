"""Training and measuring recognition of digits, and what both directions of speech share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bigmodel_lib.audio import add_noise, log_mel
from bigmodel_lib.data.voice import RATE, Spoken
from bigmodel_lib.models.ctc import ctc_loss, greedy
from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import Schedule, adamw

M, HOP, BANDS = 256, 80, 40  # 32 ms, 10 ms, mel bands: of everything that these models see
LABELS = "-0123456789"  # the blank and the digits


class Sounds(NamedTuple):
    """Utterances of several lengths in one batch.

    Attributes:
        x: (B, N), zeros behind.
        lengths: samples of each, (B,).
    """

    x: Tensor
    lengths: Tensor

    @property
    def frames(self) -> Tensor:
        """Frames of each one's spectrogram, (B,)."""
        return 1 + self.lengths // HOP

    def mel(self) -> Tensor:
        """The log-mel spectrograms (B, n, BANDS)."""
        return log_mel(self.x, M, HOP, RATE, BANDS)


def batch(sounds: Sequence[np.ndarray | Tensor]) -> Sounds:
    """Sounds (N,) of any lengths, padded with silence to the longest."""
    tensors = [torch.as_tensor(sound) for sound in sounds]
    lengths = torch.tensor([len(tensor) for tensor in tensors])
    return Sounds(nn.utils.rnn.pad_sequence(tensors, batch_first=True), lengths)


def noisy(sounds: Sounds, snr: float | None, colour: float = 1.0) -> Sounds:
    """The same in noise, each at the ratio of powers of its own length; None adds none."""
    if snr is None:
        return sounds
    x = torch.zeros_like(sounds.x)
    for i, length in enumerate(sounds.lengths.tolist()):
        x[i, :length] = add_noise(sounds.x[i, :length], snr, colour)
    return sounds._replace(x=x)


def targets_of(digits: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Labels (B, U) of digits, padded with blanks, and their lengths (B,)."""
    rows = [torch.tensor([LABELS.index(digit) for digit in text]) for text in digits]
    lengths = torch.tensor([len(row) for row in rows])
    return nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths


@dataclass
class RecognitionSettings(Schedule):
    """What may change while a recogniser trains.

    Attributes:
        batch_size: utterances a step.
        snr: of the loudest noise, in dB; each batch has one drawn from here to 30 dB, and every
            fourth batch none.
        others: of `Schedule`.
    """

    batch_size: int = 24
    snr: float = -2.0

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        super().check()
        if self.batch_size < 1 or not self.snr <= 30:
            raise ValueError(f"need batch_size ≥ 1 and snr ≤ 30, got {self}")


class RecognitionRun(Run):
    """Minimises CTC's loss a digit, on utterances in noise of random colour and strength.

    Args:
        model: a `Recogniser`, or what takes and gives the same.
        spoken: utterances to learn from.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.
    """

    def __init__(self, model: nn.Module, spoken: Sequence[Spoken], *, settings=None, **others):
        self.model, self.spoken = model, spoken
        settings = settings or RecognitionSettings()
        super().__init__({"model": model}, {"optimizer": adamw(model)}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on one batch."""
        chosen = torch.randint(len(self.spoken), (self.settings.batch_size,))
        spoken = [self.spoken[i] for i in chosen]
        sounds = self._drown(batch([said.sound for said in spoken]))
        mel = sounds.mel().to(self.device)
        scores, frames = self.model(mel, sounds.frames.to(self.device))
        targets, lengths = (x.to(self.device) for x in targets_of([s.line.digits for s in spoken]))
        loss = ctc_loss(scores, frames, targets, lengths).sum() / lengths.sum()
        self.settings.apply(self.optimizers["optimizer"], self.step + 1)
        self.optimizers["optimizer"].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizers["optimizer"].step()
        return {"loss": loss}

    def _drown(self, sounds: Sounds) -> Sounds:
        if torch.rand(()) < 0.25:
            return sounds
        snr = self.settings.snr + (30 - self.settings.snr) * float(torch.rand(()))
        return noisy(sounds, snr, colour=2 * float(torch.rand(())))


@torch.no_grad()
def recognise(
    model: nn.Module,
    sounds: Sounds,
    decode: Callable[[Tensor], list[int]] = greedy,
    batch_size: int = 50,
) -> list[str]:
    """The digits heard in each sound.

    Args:
        model: a `Recogniser` without dropout, so call `eval()` before.
        sounds: at 8 kHz.
        decode: log-probabilities (T, V) to labels.
        batch_size: how many are read together.
    """
    heard = []
    for first in range(0, len(sounds.x), batch_size):
        part = Sounds(*(x[first : first + batch_size] for x in sounds))
        scores, frames = model(part.mel(), part.frames)
        for row, count in zip(scores, frames.tolist(), strict=True):
            heard.append("".join(LABELS[label] for label in decode(row[:count])))
    return heard


def edit_distance(a: str | Sequence, b: str | Sequence) -> int:
    """How many items to replace, leave out or put in to make b of a -- Levenshtein 1966."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (x != y))
    return row[-1]


def word_error_rate(truth: Sequence[str], heard: Sequence[str]) -> float:
    """Edits from what was said to what was heard, over the number of words that were said.

    Raises:
        ValueError: not one text heard for each that was said, or nothing said at all.
    """
    if len(truth) != len(heard) or not any(truth):
        raise ValueError(f"need as many texts heard as said, got {len(heard)} and {len(truth)}")
    edits = sum(map(edit_distance, truth, heard))
    return edits / sum(map(len, truth))


def word_mels(spoken: Sequence[Spoken], sounds: Sounds | None = None) -> list[Tensor]:
    """The spectrogram (n, BANDS) of each word, cut out where the truth says that it is.

    Args:
        spoken: utterances.
        sounds: the same in noise, say; None takes them as they were spoken.
    """
    mels = (sounds or batch([said.sound for said in spoken])).mel()
    return [
        mel[start // HOP : end // HOP + 1]
        for mel, said in zip(mels, spoken, strict=True)
        for start, end in said.words
    ]
