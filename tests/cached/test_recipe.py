"""The mechanism on a recipe of milliseconds, and every cached file as it lies in the package."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bigmodel_lib.cached import MOST_BYTES, Recipe, recipes, vision
from bigmodel_lib.cached import recipe as recipe_module
from bigmodel_lib.cached.memory import peak_mib
from bigmodel_lib.training.checkpoint import CheckpointError, load_tensors, save_tensors
from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import Schedule, adamw

ROOT = Path(__file__).resolve().parents[2]


class SmallRun(Run):
    def __init__(self, model, x, steps):
        self.model, self.x = model, x
        super().__init__(
            {"model": model}, {"optimizer": adamw(model)}, Schedule(0.05, schedule=steps)
        )

    def train_step(self):
        x = self.x + torch.randn_like(self.x) / 100
        loss = (self.model[0](x) - 3 * x).square().mean()
        self.settings.apply(self.optimizers["optimizer"], self.step + 1)
        self.optimizers["optimizer"].zero_grad()
        loss.backward()
        self.optimizers["optimizer"].step()
        return {"loss": loss}


class Small(Recipe):
    """Learns y = 3x on a handful of numbers."""

    name = "small"
    settings = {"seed": 5, "sizes": (1, 1), "steps": 300}  # noqa: RUF012
    folder = None

    @property
    def path(self):
        return self.folder / "small.safetensors"

    def data(self):
        return b"-2 -1 0 1 2"

    def vocabulary(self):
        return [int(word) for word in self.data().split()]

    def make(self, vocabulary):
        return nn.Sequential(nn.Linear(*self.settings["sizes"]), nn.Dropout(0.5))

    def run(self, model, vocabulary):
        return SmallRun(model, torch.tensor(vocabulary).float()[:, None], self.settings["steps"])

    def measure(self, model, vocabulary):
        return {"error": float((model(torch.tensor([[10.0]])) - 30).detach().abs())}


@pytest.fixture
def small(tmp_path, monkeypatch) -> Small:
    monkeypatch.setattr(Small, "folder", tmp_path)
    return Small()


def test_built_and_loaded_it_is_the_same_model(small):
    built = small.build()
    model, facts = small.load()
    assert facts.vocabulary == [-2, -1, 0, 1, 2]
    assert facts.figures == built.figures == small.measure(model, None)  # no dropout in either
    assert facts.figures["error"] < 0.2
    assert facts.parameters == 2
    assert facts.settings == {"seed": 5, "sizes": [1, 1], "steps": 300}
    assert len(facts.data) == 64
    assert facts.data == small.data_hash()


def test_built_again_it_has_the_same_weights_and_disturbs_nobody(small):
    small.build()
    first, _ = load_tensors(small.path)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    small.build()
    assert torch.equal(torch.rand(3), expected)
    second, _ = load_tensors(small.path)
    assert all(torch.equal(first[name], second[name]) for name in first | second)


# --- memory


def in_a_process(source: str) -> float:
    """The number that a Python of its own prints."""
    command = [sys.executable, "-c", source]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(found.stdout)


def test_the_peak_holds_what_was_freed_and_nothing_of_the_parent():
    code = "from bigmodel_lib.cached.memory import peak_mib\n"
    still = in_a_process(code + "print(peak_mib())")
    freed = in_a_process(code + "x = bytearray(200 * 2**20); del x; print(peak_mib())")
    assert freed - still == pytest.approx(200, abs=20)
    kept = bytearray(300 * 2**20)  # here, in the parent
    assert in_a_process(code + "print(peak_mib())") == pytest.approx(still, abs=20)
    assert len(kept) > 0


def test_training_notes_its_peak(small):
    assert small.build().peak_mib == small.load()[1].peak_mib == pytest.approx(peak_mib(), abs=5)


def test_measuring_memory_takes_a_few_steps_and_keeps_the_weights(small, monkeypatch):
    small.build()
    tensors, header = load_tensors(small.path)
    taken = []
    monkeypatch.setattr(SmallRun, "train_step", counted(SmallRun.train_step, taken))
    monkeypatch.setattr(recipe_module, "peak_mib", lambda: 1234.56)
    assert small.measure_memory(steps=7) == 1235
    after, noted = load_tensors(small.path)
    assert len(taken) == 7
    assert noted == header | {"peak_mib": 1235}
    assert all(torch.equal(tensors[name], after[name]) for name in tensors | after)


def counted(step, taken: list):
    def one(run):
        taken.append(run.step)
        return step(run)

    return one


def test_a_file_that_says_nothing_of_memory_loads(small):
    small.build()
    tensors, header = load_tensors(small.path)
    del header["peak_mib"]
    save_tensors(small.path, tensors, header)
    assert small.load()[1].peak_mib == 0


def test_a_file_of_other_settings_is_refused(small, monkeypatch):
    small.build()
    monkeypatch.setattr(Small, "settings", Small.settings | {"steps": 301})
    with pytest.raises(CheckpointError, match="run make models NAME=small"):
        small.load()


def test_without_its_file(small):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        small.load()


def test_a_model_that_is_too_large_leaves_the_old_file(small, monkeypatch):
    small.build()
    before = small.path.read_bytes()
    monkeypatch.setattr(Small, "settings", Small.settings | {"sizes": (1, 2_000_000), "steps": 0})
    with pytest.raises(ValueError, match="at most 5,000,000 bytes, small has 8,000,000"):
        small.build()
    assert small.path.read_bytes() == before


def test_two_recipes_of_one_name(monkeypatch):
    for i in range(2):
        twin = type("Twin", (Small,), {"__module__": vision.__name__})
        monkeypatch.setattr(vision, f"Twin{i}", twin, raising=False)
    with pytest.raises(ValueError, match="two of 'small'"):
        recipes()


# --- the files that are there


def test_those_of_tests_are_not_among_them():
    assert recipes()
    assert "small" not in recipes()


@pytest.mark.parametrize("name", recipes())
def test_every_cached_model_loads_and_is_small(name):
    model, facts = recipes()[name].load()
    assert recipes()[name].path.stat().st_size <= MOST_BYTES
    assert sum(p.numel() for p in model.parameters()) == facts.parameters
    assert facts.figures
    assert 100 < facts.peak_mib < 4000, f"python tools/models.py --measure {name}"
    assert not model.training
    assert json.loads(json.dumps(facts.settings)) == facts.settings


def test_no_file_without_a_recipe():
    files = {path.stem for path in (ROOT / "bigmodel_lib" / "cached").glob("*.safetensors")}
    assert files == set(recipes())


def load_tool():
    spec = importlib.util.spec_from_file_location("models_tool", ROOT / "tools" / "models.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


@pytest.mark.parametrize("options", [[], ["--measure"]])
def test_several_models_get_a_process_each(options, monkeypatch):
    tool, calls = load_tool(), []
    codes = iter([0, 3])
    monkeypatch.setattr(tool, "recipes", lambda: {"small": Small(), "other": Small()})
    monkeypatch.setattr(tool, "records", dict)
    monkeypatch.setattr(tool.subprocess, "call", lambda c: calls.append(c) or next(codes))
    assert tool.main(options) == 3
    assert [call[2:] for call in calls] == [["small", *options], ["other", *options]]


def test_the_command_trains_and_measures_one(small, monkeypatch, capsys):
    tool = load_tool()
    monkeypatch.setattr(tool, "recipes", lambda: {"small": small})
    monkeypatch.setattr(tool.torch, "set_num_threads", lambda n: None)
    assert tool.main(["small"]) == tool.main(["--measure"]) == 0
    lines = capsys.readouterr().out.splitlines()
    peak = small.load()[1].peak_mib
    assert lines[0].startswith("small: 2 parameters, ")
    assert lines[0].endswith(f" s, {peak:.0f} MiB")
    assert lines[-1] == f"small: {peak:.0f} MiB at its highest"


def test_the_command_names_what_there_is():
    command = [sys.executable, "tools/models.py", "no_such_model"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "no model no_such_model; there are" in result.stderr
    assert all(name in result.stderr for name in recipes())
