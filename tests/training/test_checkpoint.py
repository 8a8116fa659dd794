"""Checkpoints: whole or not there, whenever the writer dies."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import save_file

from bigmodel_lib.training.checkpoint import CheckpointError, load_tensors, save_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7, dtype=torch.uint8)}


def test_round_trip_keeps_values_types_and_facts(tmp_path):
    save_tensors(tmp_path / "new" / "x", TENSORS, {"step": 3, "名": [1, "β₁"]})
    tensors, facts = load_tensors(tmp_path / "new" / "x")
    assert facts == {"format": 1, "step": 3, "名": [1, "β₁"]}
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "x"
    save_tensors(path, TENSORS, {"step": 1})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_tensors(path, TENSORS, {"step": 2})
    assert load_tensors(path)[1]["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_nan_among_the_facts_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_tensors(tmp_path / "x", TENSORS, {"loss": float("nan")})


def test_killed_while_writing_the_last_whole_checkpoint_loads(tmp_path):
    """A process that saves without end is killed at four different moments."""
    path = tmp_path / "x"
    save_tensors(path, {"a": torch.full((1000,), 0.0)}, {"step": 0})
    writer = (
        "import itertools, sys, torch\n"
        "from bigmodel_lib.training.checkpoint import save_tensors\n"
        "for step in itertools.count():\n"
        "    tensors = {'a': torch.full((200_000,), float(step))}\n"
        "    save_tensors(sys.argv[1], tensors, {'step': step})\n"
        "    print(step, flush=True)\n"
    )
    for attempt in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", writer, str(path)], stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        time.sleep(0.01 + 0.013 * attempt)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        tensors, facts = load_tensors(path)
        assert (tensors["a"] == facts["step"]).all()


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "text", "foreign", "newer"])
def test_what_is_no_checkpoint_says_so(tmp_path, damage):
    path = tmp_path / "x"
    if damage == "cut":
        save_tensors(path, TENSORS, {})
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "empty":
        path.touch()
    elif damage == "text":
        path.write_text("not a checkpoint, but long enough to be mistaken for one")
    elif damage == "foreign":
        save_file(TENSORS, path)
    elif damage == "newer":
        save_file(TENSORS, path, metadata={"bigmodel_lib": json.dumps({"format": 99})})
    with pytest.raises(CheckpointError, match=str(path)):
        load_tensors(path)
