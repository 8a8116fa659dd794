"""Landmark models since the perceptron: how large each was, by its own paper.

The table is `landmarks.csv`, a row a model. What a paper does not state stays empty there, so a
model whose size was never published has no row.
"""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_suffix(".csv")
FAMILIES = (
    "perceptron",
    "multilayer perceptron",
    "CNN",
    "RNN",
    "unsupervised",
    "Transformer encoder",
    "Transformer decoder",
    "Transformer encoder-decoder",
    "vision Transformer",
    "mixture of experts",
    "image generation",
    "speech",
    "recommender",
)


@dataclass(frozen=True)
class Landmark:
    """One model.

    Attributes:
        name, year: of its first publication.
        family: one of FAMILIES.
        parameters: all that it learns.
        active: those that work on one token, for a mixture of experts; None where the paper does
            not say, and for all other families.
        tokens: of text that it was trained on, or None.
        flops: of its training, or None.
        source: the paper, by authors and year.
        identifier: arXiv number, DOI, or volume and pages.
        where: the table, section or page with the number of parameters.
        arithmetic: the parameters layer by layer, as a sum of products, where we recounted them.
        note: what else one must know to read the number.
    """

    name: str
    year: int
    family: str
    parameters: int
    active: int | None
    tokens: float | None
    flops: float | None
    source: str
    identifier: str
    where: str
    arithmetic: str
    note: str

    @property
    def used(self) -> int | None:
        """Parameters that work on one token: `active` in a mixture of experts, else all.

        None where the paper does not say. A recommender looks up a few rows of its tables, and
        so counts as unknown, too.
        """
        if self.family in ("mixture of experts", "recommender"):
            return self.active
        return self.parameters


@functools.cache
def load_landmarks() -> tuple[Landmark, ...]:
    """All models of the table, by year."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(_landmark(row) for row in csv.DictReader(file))


def _landmark(row: dict[str, str]) -> Landmark:
    active, tokens, flops = (
        float(row[name]) if row[name] else None for name in ("active", "tokens", "flops")
    )
    numbers = {
        "year": int(row["year"]),
        "parameters": round(float(row["parameters"])),
        "active": None if active is None else round(active),
        "tokens": tokens,
        "flops": flops,
    }
    return Landmark(**(row | numbers))
