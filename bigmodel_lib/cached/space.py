"""The model of section 7.1: images, words and sounds of digits in one space."""

import functools

import torch
from torch import Tensor, nn

from bigmodel_lib.cached.recipe import Recipe
from bigmodel_lib.cached.speech import what_the_voice_is
from bigmodel_lib.data.digit_words import DIGIT_WORDS, LEARNED, UNSEEN, digit_words, encode_words
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.data.voice import draw_lines, draw_speakers, speak
from bigmodel_lib.models.contrastive import SharedSpace, digit_space
from bigmodel_lib.training.contrastive import (
    ContrastiveRun,
    ContrastiveSettings,
    Things,
    recall_at_1,
    spoken_words,
)
from bigmodel_lib.training.speech import BANDS

PAIRS = (("image", "word"), ("sound", "word"))  # never image and sound


@functools.cache
def spoken_digits(count: int, speakers: int, seed: int) -> tuple[list, Tensor]:
    """Single digits said by people drawn from one seed, and which they are."""
    said = speak(draw_lines(count, draw_speakers(speakers, seed), seed, longest=1))
    return said, torch.tensor([int(utterance.line.digits) for utterance in said])


def digit_things(split: str, spoken: tuple[list, Tensor], languages=LEARNED) -> dict[str, Things]:
    """Images of one split, words of some languages, and what was spoken."""
    digits = load_digits("digits", split)
    words, labels = digit_words(languages)
    return {
        "image": Things(digits.images, digits.labels),
        "word": Things(encode_words(words), labels),
        "sound": Things(spoken_words(spoken[0]), spoken[1]),
    }


@functools.cache
def held_out(count: int = 240) -> dict[str, Things]:
    """Images of the test split, people not heard in training, and the words that were learned."""
    return digit_things("test", spoken_digits(count, 20, seed=1_000_003))


class DigitSpace(Recipe):
    """Learns from pairs of image and word, and of sound and word."""

    name = "digit_space"
    settings = {  # noqa: RUF012
        "seed": 0,
        "utterances": 1600,
        "speakers": 80,
        "sizes": {"D": 32},
        "training": {
            "lr": 3e-3,
            "weight_decay": 0.05,
            "warmup": 50,
            "schedule": 800,
            "batch_size": 64,
        },
    }

    def data(self) -> bytes:
        """Digits, words and voice."""
        images = load_digits("digits").images.numpy().tobytes()
        return images + repr(DIGIT_WORDS).encode() + what_the_voice_is()

    def make(self, vocabulary: None) -> SharedSpace:
        """The model before training."""
        return digit_space(BANDS, **self.settings["sizes"])

    def run(self, model: nn.Module, vocabulary: None, utterances: int | None = None):
        """The training run; with fewer utterances it starts sooner."""
        s = self.settings
        spoken = spoken_digits(utterances or s["utterances"], s["speakers"], s["seed"])
        things = digit_things("train", spoken)
        settings = ContrastiveSettings(**s["training"])
        return ContrastiveRun(
            model, things, PAIRS, settings=settings, seed=s["seed"], keep_every=1000
        )

    @torch.no_grad()
    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """Recall at 1 of each pair and direction, on held-out images and people."""
        things = held_out()
        u = {kind: model.embed(kind, thing.x) for kind, thing in things.items()}
        return {
            f"{a} to {b}": recall_at_1(u[a], u[b], things[a].labels, things[b].labels)
            for a in u
            for b in u
            if a != b
        } | {
            language: _by_images(model, u["image"], things["image"].labels, language)
            for language in UNSEEN
        }


def _by_images(model: nn.Module, u: Tensor, labels: Tensor, language: str) -> float:
    """Recall of images among the ten words of a language."""
    words, meanings = digit_words((language,))
    return recall_at_1(u, model.embed("word", encode_words(words)), labels, meanings)
