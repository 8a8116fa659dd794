"""What the chapters have checked, read from the executed notebooks themselves."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bigmodel_lib.chapters import Section

# What `claims.claim` prints
LINE = re.compile(r"^✓ (.+): measured (\S+), claimed (.+)$", re.MULTILINE)


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


def _printed(cell: Mapping[str, Any]) -> str:
    """What a cell wrote to its standard output."""
    outputs = [output for output in cell.get("outputs", []) if output.get("name") == "stdout"]
    return "".join("".join(output["text"]) for output in outputs)
