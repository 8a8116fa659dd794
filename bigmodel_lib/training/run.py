"""Training as an iterator: `for record in run` takes one step at a time.

The same object serves a plain loop, a progress bar (`tqdm(run.take(500), total=500)`), a live
widget between two frames, and a test that takes three steps. Hyperparameters that may change
live are the fields of `run.settings`; the next step reads them.
"""

import copy
import dataclasses
import itertools
import math
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bigmodel_lib.training.checkpoint import CheckpointError, load_tensors, save_tensors

F64 = torch.float64


class NotFiniteError(ArithmeticError):
    """A loss or a gradient became infinite or NaN; the run went back to its last good state."""


@dataclass(frozen=True)
class Record:
    """What one step measured. Values stay on the device until someone reads them."""

    step: int
    values: dict[str, Tensor]

    def __getitem__(self, name: str) -> float:
        """The value as a number; on an accelerator this waits for the step to finish."""
        return float(self.values[name])


@dataclass(frozen=True)
class Change:
    """A setting that changed while the run was going: the step that used it first."""

    step: int
    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Snapshot:
    """A whole state of a run, in memory: what a checkpoint holds on disk."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class Run:
    """One training run, as an endless iterator of records.

    A subclass defines `train_step()`, which returns the named values of one step as scalar
    tensors, without waiting for the device. A run owns its random state: what else draws
    random numbers in the same process changes nothing in it.

    Args:
        modules: networks by name, all on one device.
        optimizers: their optimisers by name.
        settings: a dataclass of plain values with a method `check()` that raises ValueError.
        seed: of the run's own random numbers (not of the networks' first weights).
        check_every: steps between two looks at the values. Each look waits for the device,
            so use 1 on a CPU and some tens on an accelerator.
        keep_every: steps between two snapshots.
        keep: how many snapshots stay for `rewind`, thinned out evenly as the run grows longer.

    Attributes:
        step: how many steps were taken.
        history: values of every step by name, NaN where a step did not measure one.
        changes: settings changed on the way.
    """

    def __init__(
        self,
        modules: dict[str, nn.Module],
        optimizers: dict[str, torch.optim.Optimizer],
        settings: Any,
        *,
        seed: int = 0,
        check_every: int = 1,
        keep_every: int = 50,
        keep: int = 2,
    ):
        settings.check()
        if min(check_every, keep_every) < 1 or keep < 2:
            raise ValueError(
                f"need check_every and keep_every >= 1 and keep >= 2, "
                f"got {check_every}, {keep_every} and {keep}"
            )
        self.modules, self.optimizers, self.settings = modules, optimizers, settings
        self.device = next(p.device for m in modules.values() for p in m.parameters())
        self.check_every, self.keep_every, self.keep = check_every, keep_every, keep
        self.step = 0
        self.changes: list[Change] = []
        self._columns: dict[str, array] = {"step": array("d")}
        self._pending: list[Record] = []
        self._settings_used = copy.copy(settings)
        self._random_state = _fresh_random_state(seed, self.device)
        self.snapshots: list[Snapshot] = []
        self.keep_snapshot()

    def train_step(self) -> dict[str, Tensor]:
        """One step of training; returns its values as scalar tensors."""
        raise TypeError(f"{type(self).__name__} must define train_step()")

    # --- taking steps ---

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        return self.advance(self.train_step)

    def take(self, steps: int) -> Iterator[Record]:
        """The next so many steps, taken as they are asked for."""
        return itertools.islice(self, steps)

    def advance(self, train_step) -> Record:
        """Take one step by the given function, and book it.

        Raises:
            ValueError: a setting is out of its range; nothing was changed.
            NotFiniteError: a value of the step is infinite or NaN; the run is back at its
                last snapshot.
        """
        self.settings.check()
        self._book_changes()
        with self._own_random_state():
            values = train_step()
        self.step += 1
        record = Record(self.step, {name: value.detach() for name, value in values.items()})
        self._pending.append(record)
        if self.step % self.check_every == 0:
            self._look()
        if self.step % self.keep_every == 0:
            self.keep_snapshot()
        return record

    @contextmanager
    def _own_random_state(self):
        outer = _get_random_state(self.device)
        _set_random_state(self._random_state, self.device)
        try:
            yield
        finally:
            self._random_state = _get_random_state(self.device)
            _set_random_state(outer, self.device)

    def _book_changes(self) -> None:
        if self.settings == self._settings_used:
            return
        for field in dataclasses.fields(self.settings):  # asdict would copy each value deeply
            old, new = (getattr(s, field.name) for s in (self._settings_used, self.settings))
            if old != new:
                self.changes.append(Change(self.step + 1, field.name, old, new))
        self._settings_used = copy.copy(self.settings)

    def _look(self) -> None:
        """Bring the values of the last steps to the CPU, all at once, and check them."""
        records, self._pending = self._pending, []
        flat = [value.float() for record in records for value in record.values.values()]
        numbers = iter(torch.stack(flat).tolist() if flat else [])
        for record in records:
            row = {name: next(numbers) for name in record.values}
            if not all(map(math.isfinite, row.values())):
                self._go_back(record.step, row)
            self._append(record.step, row)

    def _append(self, step: int, row: dict[str, float]) -> None:
        length = len(self._columns["step"])
        for name in row.keys() - self._columns.keys():
            self._columns[name] = array("d", [math.nan] * length)
        for name, column in self._columns.items():
            column.append(step if name == "step" else row.get(name, math.nan))

    def _go_back(self, step: int, row: dict[str, float]) -> None:
        settings = dataclasses.asdict(self.settings)
        self.restore(self.snapshots[-1])
        raise NotFiniteError(
            f"step {step} gave values that are not finite: {row}, with settings {settings}; "
            f"the run is back at step {self.step}, its last good state"
        )

    # --- what was measured ---

    @property
    def history(self) -> dict[str, Tensor]:
        """Values of every step by name, (steps,) float64, beside "step"; NaN where not measured."""
        self._look()
        return {name: torch.tensor(column, dtype=F64) for name, column in self._columns.items()}

    # --- states: snapshots in memory, checkpoints on disk ---

    def snapshot(self) -> Snapshot:
        """A copy of everything that the next step depends on."""
        self._look()
        tensors = {f"random.{k}": v for k, v in self._random_state.items()}
        for name, module in self.modules.items():
            tensors |= {f"{name}.{k}": v for k, v in module.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {f"{name}.{index}.{k}": v for k, v in state.items()}
        facts = {
            "settings": dataclasses.asdict(self.settings),
            "settings_used": dataclasses.asdict(self._settings_used),
            "changes": [dataclasses.asdict(change) for change in self.changes],
            "length": len(self._columns["step"]),
        }
        return Snapshot(self.step, {k: v.detach().clone() for k, v in tensors.items()}, facts)

    def keep_snapshot(self) -> None:
        """Keep this state for `rewind`, unless it is kept already."""
        if self.snapshots and self.snapshots[-1].step == self.step:
            return
        self.snapshots.append(self.snapshot())
        if len(self.snapshots) > self.keep:
            # drop the one whose neighbours are closest, never the first or the last
            gaps = [
                self.snapshots[i + 1].step - self.snapshots[i - 1].step
                for i in range(1, len(self.snapshots) - 1)
            ]
            del self.snapshots[1 + gaps.index(min(gaps))]

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot. The settings stay as they are now: they belong to the reader."""
        for name, module in self.modules.items():
            module.load_state_dict(_below(snapshot.tensors, name))
        for name, optimizer in self.optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _below(snapshot.tensors, name).items():
                index, field = key.split(".")
                state.setdefault(int(index), {})[field] = value.clone()
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        self._random_state = {k: v.clone() for k, v in _below(snapshot.tensors, "random").items()}
        self.step, self._pending = snapshot.step, []
        for column in self._columns.values():
            del column[snapshot.facts["length"] :]
        self._settings_used = type(self.settings)(**snapshot.facts["settings_used"])
        self.changes = [Change(**change) for change in snapshot.facts["changes"]]
        self.snapshots = [kept for kept in self.snapshots if kept.step <= snapshot.step]

    def rewind(self, step: int) -> None:
        """Go back to the last snapshot at or before a step.

        Raises:
            ValueError: no snapshot is that old (a loaded run has none from before its loading).
        """
        kept = [snapshot for snapshot in self.snapshots if snapshot.step <= step]
        if not kept:
            raise ValueError(f"need a step >= {self.snapshots[0].step}, got {step}")
        self.restore(kept[-1])

    def save(self, path: str | Path, **notes: Any) -> None:
        """Write a checkpoint: one file, either the whole new one or the old one, whenever killed.

        The format is safetensors; the JSON of the settings stands in its header.

        Args:
            path: the file.
            notes: what JSON can hold, kept beside the state for whoever reads the file.
        """
        self.write(path, self.snapshot(), **notes)

    def write(self, path: str | Path, snapshot: Snapshot, **notes: Any) -> None:
        """Write a snapshot of this moment as `save` does."""
        history = {f"history.{name}": column for name, column in self.history.items()}
        facts = {**notes, **snapshot.facts, "step": snapshot.step, "run": type(self).__name__}
        save_tensors(path, snapshot.tensors | history, facts)

    def load(self, path: str | Path) -> None:
        """Continue from a checkpoint: the next step is the one that the saved run would take.

        Raises:
            CheckpointError: no checkpoint, or not of this kind of run or these networks; the
                run stays as it was.
        """
        tensors, facts = load_tensors(path, self.device)
        before = self.snapshot(), self._columns, self.snapshots
        try:
            if facts["run"] != type(self).__name__:
                raise CheckpointError(f"need a {type(self).__name__}, {path} is a {facts['run']}")
            settings = type(self.settings)(**facts["settings"])
            settings.check()
            history = _below(tensors, "history")
            self._columns = {name: array("d", values.tolist()) for name, values in history.items()}
            self.restore(Snapshot(facts["step"], tensors, facts))
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            snapshot, self._columns, kept = before
            self.restore(snapshot)
            self.snapshots = kept
            raise CheckpointError(f"{path} does not fit this run: {error}") from error
        self.settings = settings
        self.snapshots = []
        self.keep_snapshot()


def _below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}


# Random state: the CPU's generator, and the accelerator's if the run is on one.


def _get_random_state(device: torch.device) -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        state["device"] = torch.get_device_module(device).get_rng_state(device)
    return state


def _set_random_state(state: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(state["device"].cpu(), device)


def _fresh_random_state(seed: int, device: torch.device) -> dict[str, Tensor]:
    outer = _get_random_state(device)
    torch.manual_seed(seed)
    fresh = _get_random_state(device)
    _set_random_state(outer, device)
    return fresh
