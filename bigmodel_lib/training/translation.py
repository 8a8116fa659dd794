"""Training a translator on number words, in both directions at once, and what it is worth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bigmodel_lib.data import numbers
from bigmodel_lib.models.translator import Translator, pad_rows, translate
from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import Schedule, adamw

WRITERS = {"en": numbers.to_english, "zh": numbers.to_chinese}
STARTS = {"en": numbers.TO_ENGLISH, "zh": numbers.TO_CHINESE}
OTHER = {"en": "zh", "zh": "en"}
STEPS = 60  # tokens at most; the longest number below 10¹² has 27 and its end


def source_and_target(n: int, to: str) -> tuple[list[int], list[int]]:
    """A number in one language, and in the other with start and end: lists of tokens."""
    source, target = (numbers.encode(WRITERS[language](n)) for language in (OTHER[to], to))
    return source, [STARTS[to], *target, numbers.END]


def draw_numbers(count: int, digits: int, *, held_out: bool = False) -> list[int]:
    """Random numbers of 1 … `digits` digits, each length as often, of one part of the split.

    From PyTorch's global random numbers.
    """
    drawn: list[int] = []
    while len(drawn) < count:
        lengths = torch.randint(1, digits + 1, (count,))
        shares = torch.rand(count, dtype=torch.float64)
        lows = torch.where(lengths == 1, 0, 10 ** (lengths - 1))
        values = lows + (shares * (10**lengths - lows)).long()
        drawn += [n for n in values.tolist() if numbers.is_held_out(n) == held_out]
    return drawn[:count]


@dataclass
class TranslationSettings(Schedule):
    """What may change while a translator trains.

    Attributes:
        batch_size: pairs a step, half of them in each direction.
        digits: the longest numbers have so many.
        others: of `Schedule`.
    """

    batch_size: int = 64
    digits: int = 7

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        super().check()
        if self.batch_size < 2 or not 1 <= self.digits <= 12:
            raise ValueError(f"need batch_size >= 2 and digits in 1 … 12, got {self}")


class TranslationRun(Run):
    """Minimises the cross-entropy of the next target token, on numbers drawn anew for each step.

    Numbers for which `numbers.is_held_out` are never drawn. Each record holds the loss in nats a
    token, and the share of tokens whose highest score was right.

    Args:
        model: of the vocabulary of `data.numbers`.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.
    """

    def __init__(self, model: Translator, *, settings: TranslationSettings | None = None, **others):
        self.model = model
        settings = settings or TranslationSettings()
        super().__init__({"model": model}, {"optimizer": adamw(model)}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on one batch of pairs."""
        source, target = self._batch()
        logits = self.model(source, target[:, :-1]).flatten(0, 1)
        wanted = target[:, 1:].flatten()
        loss = F.cross_entropy(logits, wanted, ignore_index=numbers.PAD)
        self.settings.apply(self.optimizers["optimizer"], self.step + 1)
        self.optimizers["optimizer"].zero_grad()
        loss.backward()
        self.optimizers["optimizer"].step()
        counts = wanted != numbers.PAD
        return {"loss": loss, "accuracy": (logits.argmax(1) == wanted)[counts].float().mean()}

    def _batch(self) -> tuple[Tensor, Tensor]:
        drawn = draw_numbers(self.settings.batch_size, self.settings.digits)
        pairs = [source_and_target(n, ("zh", "en")[i % 2]) for i, n in enumerate(drawn)]
        return tuple(pad_rows(rows).to(self.device) for rows in zip(*pairs, strict=True))


# --- what a translator is worth

TextTranslator = Callable[[Sequence[str]], list[str]]


def text_translator(model: Translator, to: str) -> TextTranslator:
    """The model as a function from texts to texts, greedy."""

    def function(texts: Sequence[str]) -> list[str]:
        device = model.tokens.weight.device
        source = pad_rows([numbers.encode(text) for text in texts]).to(device)
        start = torch.full((len(texts),), STARTS[to], device=device)
        return [numbers.decode(row) for row in translate(model, source, start, numbers.END, STEPS)]

    return function


def exact_match(translator: TextTranslator, values: Sequence[int], to: str) -> float:
    """The share of numbers that come out right, to the sign.

    Raises:
        ValueError: no numbers.
    """
    if not values:
        raise ValueError("need numbers to translate, got none")
    written = translator([WRITERS[OTHER[to]](n) for n in values])
    return sum(a == WRITERS[to](n) for a, n in zip(written, values, strict=True)) / len(values)


class TranslationMemory:
    """What translators used before: find the most similar known source, take its target over.

    Similar means the fewest words or signs to insert, delete or replace (Levenshtein 1966). A
    network that had only learned its examples by heart would do no better.

    Args:
        values: the numbers that it knows.
        to: the language to translate into, "en" or "zh".
    """

    def __init__(self, values: Sequence[int], to: str):
        pairs = {WRITERS[OTHER[to]](n): WRITERS[to](n) for n in values}
        self.targets = list(pairs.values())
        self.sources = pad_rows([numbers.encode(source) for source in pairs])

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """The targets of the nearest sources."""
        return [self.targets[self._distances(text).argmin()] for text in texts]

    def _distances(self, text: str) -> Tensor:
        """Edits from each source to a text, (sources,); a row of the table for all at once."""
        N, S = self.sources.shape
        row = torch.arange(S + 1).expand(N, S + 1)
        for i, token in enumerate(numbers.encode(text), 1):
            new = torch.empty_like(row)
            new[:, 0] = i
            replaced = row[:, :-1] + (self.sources != token)
            for s in range(S):
                best = torch.minimum(row[:, s + 1], new[:, s]) + 1
                new[:, s + 1] = torch.minimum(best, replaced[:, s])
            row = new
        lengths = (self.sources != numbers.PAD).sum(dim=1)  # behind it the padding is compared
        return row.gather(1, lengths[:, None])[:, 0]
