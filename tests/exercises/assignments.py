"""Assignments as tests see them: their cells, run in this process, without nbgrader."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import jupytext
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
TEXTS = sorted((ROOT / "notebooks" / "assignments" / "source").glob("*.py"))
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION\n?", re.M | re.S)
HIDDEN = re.compile(r"^ *### BEGIN HIDDEN TESTS\n.*?^ *### END HIDDEN TESTS\n?", re.M | re.S)
STUB = "...  # write here"


def settings(cell: NotebookNode) -> dict:
    """What nbgrader is told of a cell; empty for a plain one."""
    return cell.metadata.get("nbgrader", {})


def released(source: str) -> str:
    """A code cell as students get it: stubs for solutions, no hidden tests."""
    return HIDDEN.sub("", SOLUTION.sub(rf"\1{STUB}\n", source)).rstrip("\n")


@dataclass(frozen=True)
class Check:
    """A cell that grades one task: `tasks.NAME.check(ANSWER, student)`.

    Attributes:
        task: the task's name in its module.
        answer: the variable that is checked.
        source: the cell.
        at: its place among the notebook's cells.
        points: what it is worth.
    """

    task: str
    answer: str
    source: str
    at: int
    points: int


class Assignment:
    """The cells of one assignment.

    Attributes:
        cells: all of them.
        checks: those that grade automatically.
        chapter: the module of its tasks.
    """

    def __init__(self, path: Path):
        self.path = path
        self.cells = jupytext.read(path).cells
        self.chapter = f"bigmodel_lib.exercises.chapter_{int(path.stem[:2])}"
        graded = [i for i, cell in enumerate(self.cells) if settings(cell).get("grade")]
        self.checks = [self._check(i) for i in graded if self.cells[i].cell_type == "code"]
        self.explanations = [self.cells[i] for i in graded if self.cells[i].cell_type != "code"]

    def _check(self, at: int) -> Check:
        cell = self.cells[at]
        call = ast.parse(cell.source).body[0].value
        task, answer = call.func.value.attr, call.args[0].id
        return Check(task, answer, cell.source, at, settings(cell)["points"])

    def solution(self, check: Check) -> NotebookNode:
        """The cell that solves a task: the last solution before its check."""
        before = [cell for cell in self.cells[: check.at] if settings(cell).get("solution")]
        return [cell for cell in before if cell.cell_type == "code"][-1]

    def code(self) -> list[tuple[int, NotebookNode]]:
        """Its code cells with their places."""
        return [(i, cell) for i, cell in enumerate(self.cells) if cell.cell_type == "code"]


def run(source: str, names: dict) -> None:
    """Execute a cell in a notebook's names."""
    exec(compile(source, "<cell>", "exec"), names)
