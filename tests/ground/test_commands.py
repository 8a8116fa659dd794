"""The Makefile and those that call it: .ci/run, the workflows, README and CONTRIBUTING."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
RULE = re.compile(r"^([a-z][a-z%-]*)(?: [a-z-]+)*:(?!=)", re.MULTILINE)
CALL = re.compile(r"(?:^|[`:;&|]\s?|run: )make((?: +[A-Za-z][\w./=%-]*)*)", re.MULTILINE)
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CALLERS = [ROOT / ".ci" / "run", ROOT / "README.md", ROOT / "CONTRIBUTING.md", *WORKFLOWS]


def make(*arguments: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def targets() -> set[str]:
    return set(RULE.findall(MAKEFILE))


def called(text: str) -> set[str]:
    """The targets that a text calls, without NAME=value."""
    words = " ".join(CALL.findall(text)).split()
    return {word for word in words if "=" not in word}


def test_make_alone_lists_every_target_with_a_line_of_help():
    listed = re.findall(r"^  ([a-z%-]+) +(\S.*)$", make().stdout, re.MULTILINE)
    assert {name for name, _ in listed} == targets()
    assert targets() >= {"setup", "lab", "test", "notebooks", "lint", "format", "clean", "bench"}


def test_every_target_is_phony_so_that_a_file_cannot_hide_it():
    phony = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split())
    assert phony == {name for name in targets() if "%" not in name}


@pytest.mark.parametrize("path", CALLERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_callers_call_targets_that_exist(path):
    found = called(path.read_text(encoding="utf-8"))
    assert found, "calls no target, or this test cannot read how"
    assert found <= targets()


def test_ci_sets_up_and_tests():
    run = ROOT / ".ci" / "run"
    assert called(run.read_text(encoding="utf-8")) == {"setup", "proxy", "test"}
    assert os.access(run, os.X_OK)
    assert subprocess.run(["bash", "-n", str(run)], check=False).returncode == 0


def test_the_workflow_tries_each_kernel_in_a_browser():
    jobs = yaml.safe_load(WORKFLOWS[0].read_text(encoding="utf-8"))["jobs"]
    assert jobs["kernels"]["strategy"]["matrix"]["ipykernel"] == ["6.31.*", "7.3.*", "pinned"]
    assert jobs["kernels"]["steps"][-1]["run"] == "make browser"
    assert jobs["test"]["steps"][-1]["run"] == ".ci/run"


@pytest.fixture
def copy(tmp_path) -> Path:
    """The Makefile and what setup depends on, in a path with a space."""
    folder = tmp_path / "my copy"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_setup_runs_again_only_when_a_dependency_changed(copy):
    script(copy / ".venv" / "bin" / "python", 'echo "pip: $*"')
    python = script(copy / "bin" / "python", "exit 0")
    first = make("setup", f"PYTHON={python.relative_to(copy)}", folder=copy)
    assert "pip: -m pip install --constraint constraints.txt" in first.stdout
    again = make("setup", f"PYTHON={python.relative_to(copy)}", folder=copy)
    assert "pip:" not in again.stdout
    later = (copy / ".venv" / ".ready").stat().st_mtime + 5
    os.utime(copy / "constraints.txt", (later, later))
    changed = make("setup", f"PYTHON={python.relative_to(copy)}", folder=copy)
    assert "pip:" in changed.stdout


def test_a_benchmark_runs_in_an_environment_of_its_own_and_keeps_its_figures(copy):
    script(copy / ".venv-bench" / "bin" / "python", 'echo "called: $*"')
    python = script(copy / "bin" / "python", "exit 0")
    for name in ("one", "two"):
        script(copy / "benchmarks" / f"{name}.py", "")
    options = ("ARGS=--device cuda", f"PYTHON={python.relative_to(copy)}")
    calls = make("bench", *options, folder=copy).stdout.splitlines()
    runs = [f"called: benchmarks/{x}.py --json build/bench/{x}.json" for x in ("one", "two")]
    assert [line for line in calls if line.startswith("called: b")] == [
        f"{run} --device cuda" for run in runs
    ]
    assert any("--requirement benchmarks/requirements.txt" in line for line in calls)
    assert f"{runs[1]} " in make("bench-two", *options, folder=copy).stdout
    assert (copy / "build" / "bench").is_dir()


def test_setup_says_that_a_python_is_too_old(copy):
    code = "sys.version_info = (3, 9); exec(sys.argv[2])"
    old = script(copy / "old", f"exec python3 -c 'import sys; {code}' \"$@\"")
    result = make("setup", f"PYTHON=./{old.name}", folder=copy)
    assert result.returncode != 0
    assert "this needs Python 3.11 or later, and ./old is 3.9" in result.stderr
    assert not (copy / ".venv").exists()


def test_lab_opens_the_start_page_and_passes_options_on(copy):
    script(copy / ".venv" / "bin" / "python", 'echo "called: $*"')
    python = script(copy / "bin" / "python", "exit 0")
    result = make("lab", "ARGS=--no-browser", f"PYTHON={python.relative_to(copy)}", folder=copy)
    lab = "-m jupyterlab --LabApp.default_url=/lab/tree/notebooks/index.ipynb --no-browser"
    assert f"called: {lab}\n" in result.stdout
    assert (ROOT / "notebooks" / "index.ipynb").exists()


def test_test_runs_everything_and_ends_with_pytest(copy):
    script(copy / ".venv" / "bin" / "python", 'echo "called: $*"')
    python = script(copy / "bin" / "python", "exit 0")
    result = make("test", f"PYTHON={python.relative_to(copy)}", folder=copy)
    calls = re.findall(r"^called: -m (\w+) ?(\S*)|^called: (tools/\S+)", result.stdout, re.M)
    names = [" ".join(part for part in call if part) for call in calls]
    assert names[-6:] == [
        "ruff check",
        "ruff format",
        "tools/notebooks.py",
        "pytest --ignore=tests/browser",
        "pytest --nbval-lax",
        "pytest --override-ini=timeout=600",
    ]


def test_a_failure_stops_make_test(copy):
    script(copy / ".venv" / "bin" / "python", 'case "$*" in *nbval*) exit 1;; esac')
    python = script(copy / "bin" / "python", "exit 0")
    result = make("test", f"PYTHON={python.relative_to(copy)}", folder=copy)
    assert result.returncode != 0
    assert "--override-ini=timeout=600" not in result.stdout


@pytest.mark.parametrize(("ci", "status", "said"), [("", 0, "skipped"), ("true", 1, "1 error")])
def test_without_a_chromium_browser_tests_are_skipped_but_fail_in_ci(ci, status, said, tmp_path):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/browser"]
    command += ["-k", "start_page_lists"]
    environment = os.environ | {"PATH": str(tmp_path), "CI": ci}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == status, result.stdout
    assert said in result.stdout.splitlines()[-1]


GUIDES = ["README.md", "CONTRIBUTING.md", "LICENSE-TEXT.md", "TEACHING.md", "classroom/README.md"]


@pytest.mark.parametrize("name", GUIDES)
def test_links_inside_the_repository_lead_somewhere(name):
    page = ROOT / name
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
