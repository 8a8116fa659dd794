"""The models of section 6.1: a GPT on text, and a translator of number words."""

import torch
from torch import nn

from bigmodel_lib.cached.recipe import Recipe
from bigmodel_lib.data import numbers
from bigmodel_lib.data.text import (
    bits_per_character,
    docstrings,
    language_reference,
    split_paragraphs,
)
from bigmodel_lib.models import bpe
from bigmodel_lib.models.transformer import GPT, GPTConfig
from bigmodel_lib.models.translator import Translator
from bigmodel_lib.training.text import TextRun, TextSettings, text_nats
from bigmodel_lib.training.translation import (
    TranslationRun,
    TranslationSettings,
    draw_numbers,
    exact_match,
    text_translator,
)


class LanguageGPT(Recipe):
    """A GPT on byte-pair tokens of CPython's language reference, without its last tenth.

    Three quarters of what it reads are the docstrings of the standard library: the reference
    alone is too short, and would be learned by heart.
    """

    name = "language_gpt"
    settings = {  # noqa: RUF012
        "seed": 0,
        "config": {"V": 1024, "T": 256, "L": 4, "D": 192, "H": 6},
        "dropout": 0.1,
        "training": {
            "lr": 5e-3,
            "weight_decay": 0.2,
            "warmup": 100,
            "schedule": 3000,
            "last": 0.0,
            "batch_size": 8,
            "length": 256,
            "further": 0.75,
        },
    }

    def data(self) -> bytes:
        """The two texts, whole."""
        return (language_reference() + docstrings()).encode()

    def vocabulary(self) -> list[bpe.Pair]:
        """The merges of byte-pair encoding, learned from the reference's training part."""
        train, _ = split_paragraphs(language_reference())
        return bpe.train(train, self.settings["config"]["V"]).merges

    def make(self, vocabulary: list[bpe.Pair]) -> GPT:
        """The model before training."""
        return GPT(GPTConfig(**self.settings["config"]), self.settings["dropout"])

    def run(self, model: nn.Module, vocabulary: list[bpe.Pair]) -> TextRun:
        """The training run, to be taken to the end of its schedule."""
        encoding = bpe.BytePairEncoding(vocabulary)
        train, _ = split_paragraphs(language_reference())
        ids, further = (torch.tensor(encoding.encode(text)) for text in (train, docstrings()))
        settings, seed = TextSettings(**self.settings["training"]), self.settings["seed"]
        return TextRun(
            model, ids, settings=settings, further=further, muon=True, seed=seed, keep_every=1000
        )

    def measure(self, model: nn.Module, vocabulary: list[bpe.Pair]) -> dict[str, float]:
        """Bits a character of the held-out part, read behind the training part."""
        train, test = split_paragraphs(language_reference())
        encoding = bpe.BytePairEncoding(vocabulary)
        known, held_out = encoding.encode(train), encoding.encode(test)
        ids = torch.tensor(known + held_out)
        nats = text_nats(model, ids, len(known), self.settings["config"]["T"])
        return {"bits a character": bits_per_character(nats, test)}


class NumberTranslator(Recipe):
    """Number words of up to seven digits, from English to Chinese and back in one network."""

    name = "number_translator"
    settings = {  # noqa: RUF012
        "seed": 0,
        "sizes": {"D": 64, "H": 4, "L": 2},
        "training": {
            "lr": 3e-3,
            "weight_decay": 0.01,
            "warmup": 200,
            "schedule": 4000,
            "batch_size": 64,
            "digits": 7,
        },
        "tested": 500,
    }

    def data(self) -> bytes:
        """The tokens: the numbers themselves are drawn from the seed."""
        return " ".join(numbers.VOCABULARY).encode()

    def make(self, vocabulary: None) -> Translator:
        """The model before training."""
        return Translator(len(numbers.VOCABULARY), **self.settings["sizes"], pad=numbers.PAD)

    def run(self, model: nn.Module, vocabulary: None) -> TranslationRun:
        """The training run, to be taken to the end of its schedule."""
        settings = TranslationSettings(**self.settings["training"])
        seed = self.settings["seed"]
        return TranslationRun(model, settings=settings, seed=seed, keep_every=1000)

    def held_out(self, digits: int) -> list[int]:
        """Numbers to test on, which training never draws, of 1 … so many digits."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings["seed"])
            return draw_numbers(self.settings["tested"], digits, held_out=True)

    def longer(self) -> list[int]:
        """Numbers of one digit more than training has seen."""
        digits = self.settings["training"]["digits"]
        return [n for n in self.held_out(digits + 1) if n >= 10**digits]

    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """The share that comes out right, of lengths that training saw and of longer ones."""
        seen = self.held_out(self.settings["training"]["digits"])
        figures = {}
        for to, name in (("zh", "to Chinese"), ("en", "to English")):
            translator = text_translator(model, to)
            figures[name] = exact_match(translator, seen, to)
            figures[f"{name}, longer"] = exact_match(translator, self.longer(), to)
        return figures
