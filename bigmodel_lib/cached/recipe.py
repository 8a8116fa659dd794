"""What it takes to make a cached model, and the file that holds it."""

import hashlib
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from tqdm import tqdm

from bigmodel_lib.cached.finding import found
from bigmodel_lib.cached.memory import peak_mib
from bigmodel_lib.training.checkpoint import CheckpointError, load_tensors, save_tensors
from bigmodel_lib.training.run import Record, Run

HERE = Path(__file__).parent
MOST_BYTES = 5_000_000  # of one file


@dataclass(frozen=True)
class Facts:
    """What the file's header says of the model in it.

    Attributes:
        settings: those of the recipe when it was trained.
        vocabulary: what the recipe learned from its data before training.
        figures: what `measure` found for the weights as they are in the file.
        data: SHA-256 of the data.
        parameters: of the model.
        seconds: of CPU time that training took.
        python, torch: versions that trained it.
        peak_mib: the most memory that the process that trained it held, in MiB, Python and
            PyTorch themselves included; 0 where nobody measured.
    """

    settings: dict[str, Any]
    vocabulary: Any
    figures: dict[str, float]
    data: str
    parameters: int
    seconds: float
    python: str
    torch: str
    peak_mib: float = 0.0


class Recipe:
    """How one cached model is made: everything that decides about its weights.

    A subclass sets `name` and `settings`, and defines the five methods below. Training draws its
    random numbers from a seed in the settings, so that one machine makes the same weights again.

    Attributes:
        name: of the file, without its ending.
        settings: sizes, seed, steps; what JSON can hold.
    """

    name: ClassVar[str]
    settings: ClassVar[dict[str, Any]]

    # --- what a subclass defines

    def data(self) -> bytes:
        """What it learns from, held-out part included; only its hash is kept."""
        raise NotImplementedError

    def vocabulary(self) -> Any:
        """What is learned from the data before training, as JSON; None where nothing is."""
        return None

    def make(self, vocabulary: Any) -> nn.Module:
        """The model before training."""
        raise NotImplementedError

    def run(self, model: nn.Module, vocabulary: Any) -> Run:
        """The training run; `steps` says how far it goes."""
        raise NotImplementedError

    def steps(self, run: Run) -> Iterator[Record]:
        """The whole training: to the end of the schedule in the run's settings, if it has one."""
        return run.take(run.settings.schedule)

    def measure(self, model: nn.Module, vocabulary: Any) -> dict[str, float]:
        """What it is worth, on held-out data."""
        raise NotImplementedError

    # --- the file

    @property
    def path(self) -> Path:
        """Where the file is."""
        return HERE / f"{self.name}.safetensors"

    def build(self) -> Facts:
        """Train from scratch, round to 16 bits, measure, write the file.

        `peak_mib` is that of the whole process: train one model in it, as `make models` does.

        Raises:
            ValueError: the file would be larger than `MOST_BYTES`; nothing is written.
        """
        vocabulary, start = self.vocabulary(), time.process_time()
        model = self._train(vocabulary)
        spent = {"seconds": round(time.process_time() - start, 1), "peak_mib": round(peak_mib())}
        half = {name: value.half() for name, value in model.state_dict().items()}
        size = sum(value.nbytes for value in half.values())
        if size > MOST_BYTES:
            raise ValueError(f"need at most {MOST_BYTES:,} bytes, {self.name} has {size:,}")
        model.load_state_dict(half)
        facts = self._facts(model.eval(), vocabulary, spent)
        save_tensors(self.path, half, asdict(facts))
        return facts

    def measure_memory(self, steps: int = 100) -> float:
        """Take the first steps of training and write the peak into the file, weights untouched.

        Call it in a process of its own. All steps are of one kind, so the first reach the peak.

        Args:
            steps: how many at most.

        Returns:
            MiB, as `peak_mib` of the facts.

        Raises:
            CheckpointError: there is no whole file.
        """
        tensors, header = load_tensors(self.path)
        self._train(self.vocabulary(), steps)
        header["peak_mib"] = round(peak_mib())
        save_tensors(self.path, tensors, header)
        return header["peak_mib"]

    def load(self, device: torch.device | str = "cpu") -> tuple[nn.Module, Facts]:
        """The model, in float32 and without dropout, and what is known of it.

        Raises:
            CheckpointError: no file, a damaged one, or one that other settings made.
        """
        tensors, header = load_tensors(self.path, device)
        facts = Facts(
            **{name: header[name] for name in Facts.__dataclass_fields__ if name in header}
        )
        if facts.settings != _as_json(self.settings):
            raise CheckpointError(
                f"{self.path.name} was made with {facts.settings}, the recipe now says "
                f"{self.settings}: run make models NAME={self.name}"
            )
        model = self.make(facts.vocabulary).to(device)
        model.load_state_dict(tensors)
        return model.eval(), facts

    def data_hash(self) -> str:
        """SHA-256 of the data here; the file's differs where another Python ships another text."""
        return hashlib.sha256(self.data()).hexdigest()

    def _train(self, vocabulary: Any, steps: int | None = None) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings["seed"])
            model = self.make(vocabulary)
            run = self.run(model, vocabulary)
            for _ in tqdm(islice(self.steps(run), steps), self.name):
                pass
        return model

    def _facts(self, model: nn.Module, vocabulary: Any, spent: dict[str, float]) -> Facts:
        return Facts(
            settings=self.settings,
            vocabulary=vocabulary,
            figures=self.measure(model, vocabulary),
            data=self.data_hash(),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            python=platform.python_version(),
            torch=torch.__version__,
            **spent,
        )


def recipes() -> dict[str, Recipe]:
    """All recipes of this package, by name.

    Raises:
        ValueError: two recipes of one name.
    """
    return found(Recipe)


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
