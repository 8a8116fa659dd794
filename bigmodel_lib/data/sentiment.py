"""Short reviews whose sentiment is composed of their parts, so that its truth is exact.

"the food was not very good, but the service was excellent": a word alone says little. What
counts is which adjective "not" belongs to, and on which side of "but" a clause stands.

Rules, for a clause: the adjective is worth +1 or -1, times its intensity; negation turns the
sign and leaves half ("not terrible" is no praise yet, but no blame either). For two clauses: with
"and" they add up; with "but" and "although" the main one counts, and a quarter of the other.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

SUBJECTS = ("the food", "the service", "the room", "the view", "the price", "the music")
ADJECTIVES = {
    **dict.fromkeys(("good", "nice", "pleasant", "charming", "excellent", "superb"), 1.0),
    **dict.fromkeys(("bad", "dull", "poor", "annoying", "terrible", "awful"), -1.0),
}
INTENSITIES = {"a bit": 0.5, "": 1.0, "very": 1.5, "extremely": 2.0}
NEGATIONS = {"": 1.0, "not": -0.5, "never": -0.5}
AND, BUT, ALTHOUGH = CONNECTIVES = ("and", "but", "although")
NEGATED = 0.3  # share of the clauses
LESSER = 0.25  # of the clause that a contrast sets back


@dataclass(frozen=True)
class Clause:
    """ "the food was not very good".

    Attributes:
        subject, negation, intensity, adjective: words of the tables above.
    """

    subject: str
    negation: str
    intensity: str
    adjective: str

    @property
    def text(self) -> str:
        """In words."""
        words = (self.subject, "was", self.negation, self.intensity, self.adjective)
        return " ".join(word for word in words if word)

    @property
    def value(self) -> float:
        """Its sentiment, -2 to 2."""
        factors = NEGATIONS[self.negation] * INTENSITIES[self.intensity]
        return factors * ADJECTIVES[self.adjective]

    @property
    def combination(self) -> tuple[str, str, str]:
        """What is held out as a whole: the words that its value depends on."""
        return self.negation, self.intensity, self.adjective


@dataclass(frozen=True)
class Review:
    """One clause or two.

    Attributes:
        first, second: clauses; the second may be None.
        connective: "and", "but" or "although" between the two.
    """

    first: Clause
    second: Clause | None = None
    connective: str = AND

    @property
    def text(self) -> str:
        """In words; the comma is one."""
        if self.second is None:
            return self.first.text
        return f"{self.first.text} , {self.connective} {self.second.text}"

    @property
    def value(self) -> float:
        """Its sentiment; 0 is neither."""
        if self.second is None:
            return self.first.value
        first, second = self.first.value, self.second.value
        if self.connective == BUT:
            return LESSER * first + second
        return first + (LESSER if self.connective == ALTHOUGH else 1.0) * second

    @property
    def is_positive(self) -> bool:
        """The label."""
        return self.value > 0

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """One or two."""
        return (self.first,) if self.second is None else (self.first, self.second)


def is_held_out(combination: tuple[str, str, str]) -> bool:
    """Whether negation, intensity and adjective are for testing only, together.

    Of every adjective one intensity is held out without negation, and one with either negation.
    So all words are seen in training, in other company, and each is worth as much in both parts.
    A plain adjective stays: without it nobody could know the word.
    """
    negation, intensity, adjective = combination
    place = [*ADJECTIVES].index(adjective)
    if not negation:
        return intensity == [name for name in INTENSITIES if name][place % 3]
    return intensity == [*INTENSITIES][(place + (negation == "never")) % 4]


def reviews(count: int, *, held_out: bool, seed: int = 0) -> list[Review]:
    """Random reviews, no two of one text, none neutral, half of them positive.

    Args:
        count: how many, even.
        held_out: True for reviews in which every clause is a held-out combination, False for
            reviews in which none is.
        seed: of the random numbers.

    Raises:
        ValueError: count is below 2 or odd.
    """
    if count < 2 or count % 2:
        raise ValueError(f"need an even count of at least 2, got {count}")
    wanted = {True: count // 2, False: count // 2}
    found: dict[str, Review] = {}
    for review in _draw(random.Random(seed), held_out):
        if review.value and review.text not in found and wanted[review.is_positive]:
            wanted[review.is_positive] -= 1
            found[review.text] = review
        if not any(wanted.values()):
            return list(found.values())
    raise AssertionError("the generator of reviews never ends")


def _draw(dice: random.Random, held_out: bool) -> Iterator[Review]:
    combinations = itertools.product(NEGATIONS, INTENSITIES, ADJECTIVES)
    allowed = [each for each in combinations if is_held_out(each) == held_out]
    # negated as often in both parts, or the share of "not" would differ between them
    parts = [[each for each in allowed if bool(each[0]) == is_so] for is_so in (False, True)]
    while True:
        first, second = (
            Clause(subject, *dice.choice(parts[dice.random() < NEGATED]))
            for subject in dice.sample(SUBJECTS, 2)
        )
        connective = dice.choice((None, *CONNECTIVES))
        yield Review(first) if connective is None else Review(first, second, connective)
