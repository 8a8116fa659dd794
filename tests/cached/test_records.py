"""The mechanism on a series of milliseconds, and every file of records in the package."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from bigmodel_lib.cached import recipes, scaling
from bigmodel_lib.cached.records import Records, Table, records
from bigmodel_lib.training.checkpoint import CheckpointError

ROOT = Path(__file__).resolve().parents[2]


class Squares(Records):
    """The squares of a few numbers, and one random number each."""

    name = "squares"
    settings = {"seed": 3, "numbers": (2, 3, 5)}  # noqa: RUF012
    folder = None

    @property
    def path(self):
        return self.folder / "squares.json"

    def rows(self):
        draw = torch.Generator().manual_seed(self.settings["seed"])
        for n in self.settings["numbers"]:
            yield {"n": n, "square": n * n, "drawn": float(torch.rand(1, generator=draw))}


@pytest.fixture
def squares(tmp_path, monkeypatch) -> Squares:
    monkeypatch.setattr(Squares, "folder", tmp_path)
    return Squares()


def test_built_and_loaded_it_is_the_same_table(squares):
    built, loaded = squares.build(), squares.load()
    assert [(row["n"], row["square"]) for row in loaded.rows] == [(2, 4), (3, 9), (5, 25)]
    assert loaded.rows == built.rows
    assert loaded.settings == {"seed": 3, "numbers": [2, 3, 5]}
    assert loaded.seconds >= 0
    assert loaded.torch == torch.__version__


def test_a_file_of_other_settings_is_refused(squares, monkeypatch):
    squares.build()
    monkeypatch.setattr(Squares, "settings", Squares.settings | {"seed": 4})
    with pytest.raises(CheckpointError, match="run make models NAME=squares"):
        squares.load()


def test_without_its_file(squares):
    with pytest.raises(CheckpointError, match=r"no records at .*squares\.json: run make models"):
        squares.load()


@pytest.mark.parametrize("damage", [lambda text: text[:-40], lambda text: '{"rows": []}'])
def test_a_damaged_file_is_refused(squares, damage):
    squares.build()
    squares.path.write_text(damage(squares.path.read_text()))
    with pytest.raises(CheckpointError, match="holds no records"):
        squares.load()


def test_a_series_that_stops_leaves_the_old_file(squares, monkeypatch):
    squares.build()
    before = squares.path.read_bytes()
    monkeypatch.setattr(Squares, "settings", {"seed": 0, "numbers": (1, None)})
    with pytest.raises(TypeError):
        squares.build()
    assert squares.path.read_bytes() == before


def test_two_series_of_one_name(monkeypatch):
    for i in range(2):
        twin = type("Twin", (Squares,), {"__module__": scaling.__name__})
        monkeypatch.setattr(scaling, f"Twin{i}", twin, raising=False)
    with pytest.raises(ValueError, match="one Records of each name, got two of 'squares'"):
        records()


# --- the files that are there, and the command


def test_series_and_models_have_names_of_their_own():
    assert "squares" not in records()
    assert not set(records()) & set(recipes())


def test_each_file_has_its_series_and_each_usual_series_its_file():
    files = {path.stem for path in (ROOT / "bigmodel_lib" / "cached").glob("*.json")}
    usual = {name for name, one in records().items() if not one.on_request}
    assert usual
    assert usual <= files <= set(records())


@pytest.fixture
def tool():
    place = importlib.util.spec_from_file_location("models_tool", ROOT / "tools" / "models.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_the_command_builds_a_series_by_its_name(squares, tool, monkeypatch, capsys):
    monkeypatch.setattr(tool, "records", lambda: {"squares": squares})
    tool.main(["squares"])
    assert json.loads(squares.path.read_text())["rows"] == squares.load().rows
    assert capsys.readouterr().out.startswith("squares: 3 rows, 0 s")


def test_without_a_name_it_leaves_out_what_wants_a_gpu(squares, tool, monkeypatch):
    class Later(Squares):
        name = "later"
        on_request = True

        def build(self) -> Table:
            raise AssertionError("nobody asked for it")

    monkeypatch.setattr(tool, "recipes", dict)
    monkeypatch.setattr(tool, "records", lambda: {"squares": squares, "later": Later()})
    tool.main([])
    assert squares.path.exists()
    with pytest.raises(AssertionError, match="nobody asked"):
        tool.main(["later"])
