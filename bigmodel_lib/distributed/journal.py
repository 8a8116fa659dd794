"""What each worker writes down as it goes, line by line, and how to read it afterwards."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Journal:
    """A file of JSON lines; each is there even if this process is killed next.

    Args:
        file: open for text, buffered by lines.
        facts: what every line holds.
    """

    def __init__(self, file, **facts: Any):
        self.file, self.facts = file, facts

    def note(self, **facts: Any) -> None:
        """Write a line."""
        self.file.write(json.dumps(self.facts | facts) + "\n")


@contextmanager
def journal(folder: Path, rank: int, **facts: Any) -> Iterator[Journal]:
    """The journal of one worker; a restart goes on in the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(journal_path(folder, rank), "a", buffering=1, encoding="utf-8") as file:
        yield Journal(file, **facts)


def read_journal(folder: Path, rank: int) -> list[dict[str, Any]]:
    """The lines of one worker, in the order of writing."""
    return [json.loads(line) for line in journal_path(folder, rank).read_text("utf-8").splitlines()]


def attempts(lines: list[dict[str, Any]]) -> list[dict[int, float]]:
    """The losses by step, of each start of the worker in turn."""
    found: list[dict[int, float]] = []
    for line in lines:
        if "begins" in line:
            found.append({})
        elif "loss" in line:
            found[-1][line["step"]] = line["loss"]
    return found


def held(lines: list[dict[str, Any]]) -> dict[str, int]:
    """Bytes that the worker held when it last saved, by kind.

    Raises:
        ValueError: it never did.
    """
    for line in reversed(lines):
        if "held" in line:
            return line["held"]
    raise ValueError("need a worker that came as far as a checkpoint, got none")


def journal_path(folder: Path, rank: int) -> Path:
    """Where a worker's journal is."""
    return folder / f"worker-{rank}.jsonl"
