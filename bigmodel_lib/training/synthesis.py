"""Training a model that speaks, and turning what it says into sound."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bigmodel_lib.audio import griffin_lim, magnitude_of
from bigmodel_lib.data.voice import PHONES, RATE, Line, Spoken, phones_of
from bigmodel_lib.models.speech import SpeechModel
from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import Schedule, adamw
from bigmodel_lib.training.speech import HOP, M, batch

KINDS = ("", *PHONES)  # 0 is padding
VOICE = 4  # numbers that describe a voice


def phone_kinds(lines: Sequence[Line]) -> Tensor:
    """What is to be said, as kinds of phones (B, P), padded with 0 behind."""
    rows = [torch.tensor([KINDS.index(name) for name in phones_of(line.digits)]) for line in lines]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


def voice_of(lines: Sequence[Line]) -> Tensor:
    """Who is to say it, and how: pitch, tract, breath and speed, each of about size 1, (B, 4)."""
    rows = []
    for line in lines:
        who = line.speaker
        numbers = math.log(who.pitch / 180) * 3, (who.tract - 1.1) * 10, (who.breath - 0.25) * 6
        rows.append((*numbers, math.log(line.speed) * 5))
    return torch.tensor(rows, dtype=torch.float32)


def frame_counts(spoken: Spoken) -> Tensor:
    """Frames of each phone, (P,): frame i belongs to the phone that sounds at its middle."""
    ends = torch.tensor([end for _, _, end in spoken.phones])
    frames = torch.div(ends + HOP - 1, HOP, rounding_mode="floor")  # middles before each end
    frames[-1] = 1 + len(spoken.sound) // HOP
    return frames.diff(prepend=torch.zeros(1, dtype=frames.dtype))


@dataclass
class SynthesisSettings(Schedule):
    """What may change while a speech model trains: `batch_size` utterances, and `Schedule`."""

    batch_size: int = 16

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        super().check()
        if self.batch_size < 1:
            raise ValueError(f"need batch_size ≥ 1, got {self}")


class SynthesisRun(Run):
    """Minimises the mean absolute error of the log-mel spectrogram, and of ln(1 + frames).

    Args:
        model: a `SpeechModel`.
        spoken: utterances to learn from.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.
    """

    def __init__(self, model: SpeechModel, spoken: Sequence[Spoken], *, settings=None, **others):
        self.model, self.spoken = model, spoken
        self.counts = [frame_counts(said) for said in spoken]
        settings = settings or SynthesisSettings()
        super().__init__({"model": model}, {"optimizer": adamw(model)}, settings, **others)

    def compare(self, chosen: Sequence[int]) -> dict[str, Tensor]:
        """Both errors on some of the utterances, with their true durations."""
        lines = [self.spoken[i].line for i in chosen]
        counts = nn.utils.rnn.pad_sequence([self.counts[i] for i in chosen], batch_first=True)
        truth = batch([self.spoken[i].sound for i in chosen]).mel().to(self.device)
        phones, counts = phone_kinds(lines).to(self.device), counts.to(self.device)
        mel, log_counts = self.model(phones, voice_of(lines).to(self.device), counts)
        here = torch.arange(mel.shape[1], device=self.device) < counts.sum(dim=1)[:, None]
        return {
            "spectrum": (mel - truth)[here].abs().mean(),
            "duration": (log_counts - counts.float().log1p())[phones != 0].abs().mean(),
        }

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on one batch."""
        chosen = torch.randint(len(self.spoken), (self.settings.batch_size,)).tolist()
        errors = self.compare(chosen)
        self.settings.apply(self.optimizers["optimizer"], self.step + 1)
        self.optimizers["optimizer"].zero_grad()
        sum(errors.values()).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizers["optimizer"].step()
        return errors


def say_mel(model: SpeechModel, lines: Sequence[Line]) -> list[Tensor]:
    """What the model makes of lines: a log-mel spectrogram (n, BANDS) each."""
    mels, counts = model.say(phone_kinds(lines), voice_of(lines))
    return [mel[:n] for mel, n in zip(mels, counts.sum(dim=1).tolist(), strict=True)]


def to_sound(mel: Tensor, steps: int = 30) -> Tensor:
    """A log-mel spectrogram (n, BANDS) to samples (N,), N = (n - 1)·HOP, by Griffin and Lim.

    Raises:
        ValueError: fewer than two frames, of which no sound can be made.
    """
    if mel.ndim != 2 or len(mel) < 2:
        raise ValueError(f"need a spectrogram (n, bands), n ≥ 2, got {tuple(mel.shape)}")
    magnitude = magnitude_of(mel, M, RATE)
    return griffin_lim(magnitude, M, HOP, (len(mel) - 1) * HOP, steps)
