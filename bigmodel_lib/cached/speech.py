"""The models of section 6.3: one hears digits, the other says them."""

import functools

import torch
from torch import nn

from bigmodel_lib.cached.recipe import Recipe
from bigmodel_lib.data.voice import PHONES, PRONOUNCED, Spoken, draw_lines, draw_speakers, speak
from bigmodel_lib.models.recogniser import Recogniser
from bigmodel_lib.models.speech import SpeechModel
from bigmodel_lib.training.speech import (
    BANDS,
    LABELS,
    RecognitionRun,
    RecognitionSettings,
    batch,
    noisy,
    recognise,
    word_error_rate,
)
from bigmodel_lib.training.synthesis import (
    KINDS,
    VOICE,
    SynthesisRun,
    SynthesisSettings,
)

RATIOS = (None, 20, 10, 5, 0)  # dB of signal to noise; None is clean


def spoken(count: int, speakers: int, seed: int, longest: int = 5) -> list[Spoken]:
    """Utterances of people drawn from one seed; other seeds are other people."""
    return speak(draw_lines(count, draw_speakers(speakers, seed), seed, longest))


@functools.cache
def held_out(count: int = 200) -> list[Spoken]:
    """Utterances of twenty people whom neither model has heard, one to five digits each."""
    return spoken(count, 20, seed=1_000_003)


def what_the_voice_is() -> bytes:
    """The tables that decide what the voice says."""
    return repr((PHONES, PRONOUNCED)).encode()


class DigitRecogniser(Recipe):
    """Hears connected digits, by CTC, in noise."""

    name = "digit_recogniser"
    settings = {  # noqa: RUF012
        "seed": 0,
        "utterances": 1200,
        "speakers": 60,
        "sizes": {"F": 64, "dropout": 0.1},
        "training": {
            "lr": 3e-3,
            "weight_decay": 0.05,
            "warmup": 100,
            "schedule": 2500,
            "batch_size": 16,
        },
    }

    def data(self) -> bytes:
        """The voice."""
        return what_the_voice_is()

    def make(self, vocabulary: None) -> Recogniser:
        """The model before training."""
        return Recogniser(BANDS, V=len(LABELS), **self.settings["sizes"])

    def run(self, model: nn.Module, vocabulary: None) -> RecognitionRun:
        """The training run, to be taken to the end of its schedule."""
        seed = self.settings["seed"]
        heard = spoken(self.settings["utterances"], self.settings["speakers"], seed, longest=4)
        settings = RecognitionSettings(**self.settings["training"])
        return RecognitionRun(model, heard, settings=settings, seed=seed, keep_every=1000)

    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """Word error rates on people it has not heard, clean and in pink noise."""
        return {
            "clean" if snr is None else f"{snr} dB": error_at(model, held_out(), snr)
            for snr in RATIOS
        }


def error_at(model: nn.Module, said: list[Spoken], snr: float | None, seed: int = 0) -> float:
    """Word error rate at one signal-to-noise ratio, in dB; the noise is drawn from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sounds = noisy(batch([utterance.sound for utterance in said]), snr)
    heard = recognise(model, sounds)
    return word_error_rate([utterance.line.digits for utterance in said], heard)


class DigitSpeaker(Recipe):
    """Says digits: from phones, speaker and speed to a log-mel spectrogram."""

    name = "digit_speaker"
    settings = {  # noqa: RUF012
        "seed": 1,
        "utterances": 600,
        "speakers": 60,
        "sizes": {"D": 80, "L": 3},
        "training": {
            "lr": 3e-3,
            "weight_decay": 0.01,
            "warmup": 100,
            "schedule": 2500,
            "batch_size": 12,
        },
    }

    def data(self) -> bytes:
        """The voice."""
        return what_the_voice_is()

    def make(self, vocabulary: None) -> SpeechModel:
        """The model before training."""
        return SpeechModel(len(KINDS), VOICE, BANDS, **self.settings["sizes"])

    def run(self, model: nn.Module, vocabulary: None) -> SynthesisRun:
        """The training run, to be taken to the end of its schedule."""
        seed = self.settings["seed"]
        heard = spoken(self.settings["utterances"], self.settings["speakers"], seed, longest=4)
        settings = SynthesisSettings(**self.settings["training"])
        return SynthesisRun(model, heard, settings=settings, seed=seed, keep_every=1000)

    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """The error of the spectrogram where the durations are given, in nats a band."""
        run = SynthesisRun(model, held_out()[:50], settings=SynthesisSettings(batch_size=50))
        with torch.no_grad():
            errors = run.compare(range(50))
        return {name: float(value) for name, value in errors.items()}
