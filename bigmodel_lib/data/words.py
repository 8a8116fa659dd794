"""Texts as word numbers: the vocabulary of a classifier that reads whole words."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

PAD, UNKNOWN = range(2)
_WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


def split_words(text: str) -> list[str]:
    """Words and other signs, in small letters."""
    return _WORD.findall(text.lower())


class Words:
    """The words of some texts, numbered by how often they occur, from 2 on.

    Number 0 is padding; 1 stands for every word that is not among them.

    Args:
        texts: to take the words from: the training part alone.
        least: occurrences that a word needs.

    Attributes:
        words: those with a number, the most frequent first.
    """

    def __init__(self, texts: Iterable[str], least: int = 1):
        counts = Counter(word for text in texts for word in split_words(text))
        kept = sorted((word for word, n in counts.items() if n >= least), key=lambda w: -counts[w])
        self.words = tuple(kept)
        self._numbers = {word: number for number, word in enumerate(kept, UNKNOWN + 1)}

    @property
    def V(self) -> int:
        """Numbers that there are."""
        return len(self.words) + UNKNOWN + 1

    def encode(self, texts: Sequence[str]) -> Tensor:
        """The numbers of texts as one table (B, longest), padded in front.

        In front, so that a recurrent network ends on the last word of each.

        Raises:
            ValueError: no texts, or one without words.
        """
        rows = [[self._numbers.get(word, UNKNOWN) for word in split_words(t)] for t in texts]
        if not rows or not all(rows):
            raise ValueError(f"need texts of at least one word, got {[*texts][:3]}")
        tensors = [torch.tensor(row) for row in rows]
        return nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_side="left")
