"""What a long series of trainings measured, and the file that holds it."""

import json
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from tqdm import tqdm

from bigmodel_lib.cached.finding import found
from bigmodel_lib.training.checkpoint import CheckpointError

HERE = Path(__file__).parent
Row = dict[str, float]


@dataclass(frozen=True)
class Table:
    """Rows as they were measured, and how.

    Attributes:
        settings: of the series when it was measured.
        rows: one for each training, named numbers.
        seconds: of CPU time that all of it took.
        python, torch: versions that measured it.
    """

    settings: dict[str, Any]
    rows: list[Row]
    seconds: float
    python: str
    torch: str


class Records:
    """How a series of trainings is made: too long for a chapter, small to keep.

    A subclass sets `name` and `settings` and defines `rows`, which draws its random numbers from
    a seed in the settings, so that one machine measures the same again.

    Attributes:
        name: of the file, without its ending.
        settings: what JSON can hold.
        on_request: whether `make models` leaves it out unless it is named.
    """

    name: ClassVar[str]
    settings: ClassVar[dict[str, Any]]
    on_request: ClassVar[bool] = False

    def rows(self) -> Iterator[Row]:
        """Train, and yield what each training measured."""
        raise NotImplementedError

    @property
    def path(self) -> Path:
        """Where the file is."""
        return HERE / f"{self.name}.json"

    def build(self) -> Table:
        """Measure everything, write the file."""
        start = time.process_time()
        rows = list(tqdm(self.rows(), self.name))
        seconds = round(time.process_time() - start, 1)
        table = Table(self.settings, rows, seconds, platform.python_version(), torch.__version__)
        self.path.write_text(json.dumps(asdict(table), indent=1) + "\n", encoding="utf-8")
        return table

    def load(self) -> Table:
        """What was measured.

        Raises:
            CheckpointError: no file, a damaged one, or one that other settings made.
        """
        if not self.path.exists():
            raise CheckpointError(f"no records at {self.path}: run make models NAME={self.name}")
        try:
            table = Table(**json.loads(self.path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{self.path} holds no records: {error}") from error
        if table.settings != json.loads(json.dumps(self.settings)):
            raise CheckpointError(
                f"{self.path.name} was made with {table.settings}, the series now says "
                f"{self.settings}: run make models NAME={self.name}"
            )
        return table


def records() -> dict[str, Records]:
    """All series of this package, by name.

    Raises:
        ValueError: two series of one name.
    """
    return found(Records)
