"""The check-up tells the truth about this machine, and about one where things are missing."""

import gzip
import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from bigmodel_lib import __main__ as app
from bigmodel_lib.data import DATASETS, RemoteFile
from tests.data.local_server import closed_port, local_server, send

ROOT = Path(__file__).parents[1]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BIGMODEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


def line(text: str, name: str) -> str:
    """What the check-up says after this name."""
    start = f"  {name} "
    return (
        next(row for row in text.splitlines() if row.startswith(start)).removeprefix(start).strip()
    )


@pytest.mark.usefixtures("cache")
def test_versions_are_those_installed():
    text = app.check_up()
    assert line(text, "python") == platform.python_version()
    for package in ("torch", "numpy", "scikit-learn", "matplotlib", "ipywidgets", "jupyterlab"):
        assert line(text, package) == metadata.version(package)


@pytest.mark.usefixtures("cache")
def test_missing_packages_come_with_the_command(monkeypatch):
    def version(package):
        raise metadata.PackageNotFoundError(package)

    absent = {"psutil", "matplotlib"}
    find = importlib.util.find_spec
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n in absent else find(n))
    text = app.check_up()
    assert line(text, "jupyterlab") == "not installed: pip install jupyterlab"
    assert line(text, "bigmodel_lib") == "not installed: pip install -e ."
    assert line(text, "memory") == "unknown, psutil is not installed: pip install psutil"
    assert "pip install matplotlib" in line(text, "font")


@pytest.mark.usefixtures("cache")
def test_machine(monkeypatch):
    monkeypatch.setattr(app, "MEMORY_LIMITS", ())
    text = app.check_up()
    total = psutil.virtual_memory().total / 1e9
    assert line(text, "memory").endswith(f" free of {total:.1f} GB")
    threads = torch.get_num_threads()
    assert line(text, "CPU threads") == f"{threads} for PyTorch, of {os.cpu_count()} in the machine"
    assert line(text, "device").startswith(app.pick_device().type)


@pytest.mark.parametrize(
    ("content", "limit"),
    [("2147483648\n", "limit 2.1 GB ("), ("max\n", None), ("9223372036854771712\n", None)],
)
def test_limit_of_a_container(tmp_path, monkeypatch, content, limit):
    (tmp_path / "memory.max").write_text(content)
    monkeypatch.setattr(app, "MEMORY_LIMITS", (tmp_path / "absent", tmp_path / "memory.max"))
    memory = app._memory()
    assert memory.startswith(limit) if limit else "limit" not in memory


def test_accelerators_are_named_with_their_memory(monkeypatch):
    module = SimpleNamespace(
        mem_get_info=lambda: (70_000_000_000, 80_000_000_000),
        get_device_name=lambda: "Example GPU",
    )
    monkeypatch.setattr(app, "pick_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    assert app._device() == "cuda: Example GPU, 70.0 GB free of 80.0 GB"
    monkeypatch.setattr(app, "pick_device", lambda: torch.device("mps"))
    monkeypatch.setattr(torch, "get_device_module", lambda device: SimpleNamespace())
    assert app._device() == "mps (shares the main memory)"
    monkeypatch.setattr(app, "pick_device", lambda: torch.device("cpu"))
    assert app._device().startswith("cpu (no GPU")


def small_set(*urls: str) -> tuple[RemoteFile, ...]:
    bodies = [gzip.compress(name.encode(), mtime=0) for name in ("a", "b")]
    return tuple(
        RemoteFile(
            f"mnist/{n}.gz",
            hashlib.sha256(body).hexdigest(),
            tuple(f"{u}{n}" for u in urls),
            1_500_000,
        )
        for n, body in enumerate(bodies)
    )


def save(file: RemoteFile, folder: Path, content: str) -> None:
    path = folder / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content.encode(), mtime=0))


def test_data_sets_missing_partly_and_wholly_cached(cache, monkeypatch):
    files = small_set("http://127.0.0.1/")
    monkeypatch.setitem(DATASETS, "mnist", files)
    get = "python -m bigmodel_lib --fetch mnist"
    assert line(app.check_up(), "mnist") == f"2 of 2 files missing, 3.0 MB: {get}"
    save(files[0], cache, "a")
    assert line(app.check_up(), "mnist") == f"1 of 2 files missing, 1.5 MB: {get}"
    save(files[1], cache, "broken")
    assert line(app.check_up(), "mnist") == f"1 of 2 files missing, 1.5 MB: {get}"
    save(files[1], cache, "b")
    assert line(app.check_up(), "mnist") == "cached"


def test_cache_that_cannot_be_read_is_told(monkeypatch, cache):
    def unreadable(file):
        raise PermissionError(13, "Permission denied", file.name)

    monkeypatch.setattr(app, "is_cached", unreadable)
    assert "the cache cannot be read" in line(app.check_up(), "mnist")


def test_home_is_shown_as_a_tilde(monkeypatch):
    monkeypatch.setenv("BIGMODEL_CACHE", str(Path.home() / "some" / "cache"))
    assert line(app.check_up(), "cache folder").startswith("~/some/cache ")
    assert str(Path.home() / "some") not in app.check_up()


@pytest.mark.usefixtures("cache")
def test_chinese_font(monkeypatch):
    from matplotlib import font_manager

    latin, chinese = SimpleNamespace(name="DejaVu Sans"), SimpleNamespace(name="SimHei")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [latin, chinese])
    assert line(app.check_up(), "font") == "SimHei"
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [latin])
    assert line(app.check_up(), "font").startswith("none: install Noto Sans CJK")


@pytest.mark.usefixtures("cache")
def test_main_prints_the_check_up(capsys):
    assert app.main([]) == 0
    printed = capsys.readouterr().out
    for heading in ("Versions", "Machine", "Optional data", "Chinese labels"):
        assert f"{heading}\n" in printed


def test_fetch_downloads_the_whole_set(cache, monkeypatch, capsys):
    with local_server() as server:
        files = small_set(server.serve("/", send(b"")))
        for file, content in zip(files, "ab", strict=True):
            server.serve(f"/{file.name[6]}", send(gzip.compress(content.encode(), mtime=0)))
        monkeypatch.setitem(DATASETS, "mnist", files)
        assert app.main(["--fetch", "mnist"]) == 0
    assert all((cache / file.name).is_file() for file in files)
    assert "mnist/0.gz: " in capsys.readouterr().out


def test_fetch_that_fails_is_told_with_status_one(cache, monkeypatch, capsys):
    monkeypatch.setitem(DATASETS, "mnist", small_set(f"http://127.0.0.1:{closed_port()}/"))
    assert app.main(["--fetch", "mnist"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("python -m bigmodel_lib --fetch mnist: could not get mnist/0.gz")
    assert "Traceback" not in err


def test_unknown_data_set_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stopped:
        app.main(["--fetch", "cifar"])
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert "fashion-mnist" in err
    assert "cifar" in err


@pytest.mark.parametrize(("option", "said"), [("--help", "--fetch NAME"), (None, "Versions")])
def test_as_a_command(cache, option, said):
    command = [sys.executable, "-m", "bigmodel_lib", *([option] if option else [])]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert said in run.stdout
    assert run.stderr == ""
