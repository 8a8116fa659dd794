"""Byte-pair encoding: a vocabulary between bytes and words, learned from a text.

Start with the 256 bytes; find the pair of neighbours that occurs most often; make it one token;
again. Frequent words become one token, rare ones stay several, and no text is unknown, because
every text is bytes. Tokens do not cross from one piece of the text to the next (see `pieces`).

V vocabulary, in tokens. The tests compare it with Hugging Face's `tokenizers`, which learns the
same merges; `benchmarks/bpe.py` compares their speed.

Sources: Gage 1994, "A New Algorithm for Data Compression"; Sennrich et al. 2016, section 3.2 and
algorithm 1, arXiv:1508.07909; on bytes and within pieces, Radford et al. 2019 (GPT-2), section
2.2, "Language Models are Unsupervised Multitask Learners".
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

BYTES = 256

# What GPT-2 splits by: endings such as 's; letters, digits, other signs, each with a space before
# it; white space, whose last sign stays with the word behind it. `re` knows no \p{L} and \p{N}:
# here a letter is what is alphanumeric but no decimal digit, so ² and Ⅷ count as letters.
_PIECE = re.compile(
    r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+",
)

Pair = tuple[int, int]


def pieces(text: str) -> list[str]:
    """Cut a text into words, numbers, signs and white space; joined, they are the text again."""
    return _PIECE.findall(text)


class BytePairEncoding:
    """A text as tokens, and tokens as text.

    Token 0 … 255 is the byte of that value. Encoding takes each piece apart into bytes and
    merges what training merged, the earliest merge first.

    Args:
        merges: pairs of tokens in the order in which they were learned. A merge whose bytes are
            a token already makes that token again, any other the next free one.

    Attributes:
        tokens: the bytes of each token, V of them.

    Raises:
        ValueError: a merge of a token that is not there yet.
    """

    def __init__(self, merges: Iterable[Pair]):
        self.tokens: list[bytes] = [bytes([value]) for value in range(BYTES)]
        self._numbers = {token: number for number, token in enumerate(self.tokens)}
        self._merges: dict[Pair, tuple[int, int]] = {}  # pair → its rank, the token it makes
        self._encode_piece = lru_cache(maxsize=1 << 16)(self._merge_piece)  # words come again
        for left, right in merges:
            self._learn((int(left), int(right)))

    @property
    def merges(self) -> list[Pair]:
        """Pairs of tokens in the order in which they were learned."""
        return list(self._merges)

    @property
    def V(self) -> int:
        """Tokens in the vocabulary."""
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text.

        Raises:
            ValueError: half a surrogate pair, which is no character and has no bytes.
        """
        return [token for piece in pieces(text) for token in self._encode_piece(piece)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of tokens; � where their bytes are no text, as with half a character."""
        return b"".join(self.tokens[token] for token in ids).decode("utf-8", errors="replace")

    def _learn(self, pair: Pair) -> int:
        """Add a merge; returns the token that it makes."""
        if not all(0 <= part < self.V for part in pair):
            raise ValueError(f"need merges of tokens 0 … {self.V - 1}, got {pair}")
        token = self.tokens[pair[0]] + self.tokens[pair[1]]
        number = self._numbers.setdefault(token, self.V)
        if number == self.V:
            self.tokens.append(token)
        self._merges[pair] = len(self._merges), number
        return number

    def _merge_piece(self, piece: str) -> tuple[int, ...]:
        ids, never = list(piece.encode("utf-8")), (len(self._merges), 0)
        while len(ids) > 1:
            pair = min(pairwise(ids), key=lambda pair: self._merges.get(pair, never))
            if pair not in self._merges:
                break
            ids = merge(ids, pair, self._merges[pair][1])
        return tuple(ids)


def merge(ids: list[int], pair: Pair, new: int) -> list[int]:
    """Put one token in the place of every such pair, from left to right."""
    merged, at = [], 0
    while at < len(ids):
        found = tuple(ids[at : at + 2]) == pair
        merged.append(new if found else ids[at])
        at += 1 + found
    return merged


def train(text: str, V: int) -> BytePairEncoding:
    """Learn merges from a text until the vocabulary is full or no pair is left.

    Of pairs that occur equally often the one with the smaller numbers wins, so that the same
    text always gives the same merges.

    Args:
        text: to learn from.
        V: tokens wanted, the 256 bytes among them.

    Raises:
        ValueError: V < 256.
    """
    if V < BYTES:
        raise ValueError(f"need a vocabulary V of at least the {BYTES} bytes, got {V}")
    encoding, pairs = BytePairEncoding([]), _Pairs(pieces(text))
    while encoding.V < V and (pair := pairs.most_frequent()) is not None:
        pairs.merge(pair, encoding._learn(pair))
    return encoding


class _Pairs:
    """The different pieces as tokens, and how often each pair of neighbours occurs in them.

    A merge changes the pieces that hold the pair and no others, so only their pairs are counted
    anew: counting all of them for each merge would take a hundred times longer.
    """

    def __init__(self, pieces: list[str]):
        counted = Counter(pieces)
        self.words = [list(piece.encode("utf-8")) for piece in counted]
        self.times = list(counted.values())
        self.counts: Counter[Pair] = Counter()
        self.where: defaultdict[Pair, set[int]] = defaultdict(set)  # words that hold, or held it
        for word in range(len(self.words)):
            self._count(word, 1)

    def most_frequent(self) -> Pair | None:
        highest = max(self.counts.values(), default=0)
        equals = (pair for pair, count in self.counts.items() if count == highest)
        return min(equals) if highest else None

    def merge(self, pair: Pair, new: int) -> None:
        for word in self.where.pop(pair):
            self._count(word, -1)
            self.words[word] = merge(self.words[word], pair, new)
            self._count(word, 1)

    def _count(self, word: int, sign: int) -> None:
        for pair in pairwise(self.words[word]):
            self.counts[pair] += sign * self.times[word]
            if sign > 0:
                self.where[pair].add(word)
