"""What the chapters have checked, read from the executed notebooks themselves."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bigmodel_lib.chapters import Section

# What `claims.claim` prints
LINE = re.compile(r"^✓ (.+): measured (\S+), claimed (.+)$", re.MULTILINE)
RANGE = re.compile(r"(?:exactly|at (least|most)) (\S+)|(\S+) to (\S+)")


@dataclass(frozen=True)
class Checked:
    """A statement that a chapter made, as measured when it was last executed.

    Attributes:
        statement: in words, with the unit of the value.
        value: the measurement, as printed.
        claimed: the range in which the statement is true, in words.
        section: where it stands.
    """

    statement: str
    value: str
    claimed: str
    section: Section

    @property
    def exact(self) -> bool:
        """Whether one value alone makes it true."""
        return self.claimed.startswith("exactly ")

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that make it true; ±∞ where there is no bound."""
        side, bound, low, high = RANGE.fullmatch(self.claimed).groups()
        low = -math.inf if side == "most" else number(low or bound)
        return low, math.inf if side == "least" else number(high or bound)

    @property
    def margin(self) -> float:
        """How far the measurement is from being false, as a share of the bound or of itself.

        min over both bounds b of |value − b| / max(|value|, |b|): 0 on the bound, near 1 far away.
        """
        value = number(self.value)
        finite = [bound for bound in self.bounds if math.isfinite(bound)]
        return min(abs(value - b) / (max(abs(value), abs(b)) or 1.0) for b in finite)


def checked(cells: Iterable[tuple[Mapping[str, Any], Section]]) -> list[Checked]:
    """The claims that executed cells have printed, in their order.

    Those of cells tagged `machine` are missing: what such a cell prints is not saved.

    Args:
        cells: with their sections, from `chapters.executed_cells`.
    """
    return [
        Checked(*line, section) for cell, section in cells for line in LINE.findall(_printed(cell))
    ]


def as_markdown(claims: Iterable[Checked]) -> str:
    """A table: statement, value, range, and a link to the section.

    Raises:
        ValueError: no claims.
    """
    rows = [
        f"| {one.statement.replace('|', chr(92) + '|')} | {one.value} | {one.claimed} "
        f"| [{one.section.number}]({one.section.link}) |"
        for one in claims
    ]
    if not rows:
        raise ValueError("need at least one claim for a table, got none")
    return "\n".join(["| statement | measured | claimed | section |", "|---|--:|---|---|", *rows])


def number(text: str) -> float:
    """A number as a claim prints it, such as 2,025,600 or 3.2e-07.

    Raises:
        ValueError: it is none.
    """
    return float(text.replace(",", ""))


def _printed(cell: Mapping[str, Any]) -> str:
    """What a cell wrote to its standard output."""
    outputs = [output for output in cell.get("outputs", []) if output.get("name") == "stdout"]
    return "".join("".join(output["text"]) for output in outputs)
