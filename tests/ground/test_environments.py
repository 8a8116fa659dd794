"""One set of dependencies, told in several files: they must agree."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAME = {"torch": "pytorch", "matplotlib": "matplotlib-base", "arch": "arch-py"}
EXACT = re.compile(r"([A-Za-z0-9._-]+)==([0-9][0-9A-Za-z.]*)")  # no +cpu, no ranges


def requirements(lines: list[str]) -> dict[str, str]:
    """From name to bound, without the package's own extras."""
    parsed = [Requirement(line) for line in lines]
    bounds = {canonicalize_name(one.name): str(one.specifier) for one in parsed}
    return {name: bound for name, bound in bounds.items() if name != "bigmodel-lib"}


def exact(file: str) -> dict[str, str]:
    """From name to version; fails on a line that does not say exactly one."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    found = {line: EXACT.fullmatch(line) for line in pins}
    assert [line for line, match in found.items() if not match] == []
    return {canonicalize_name(match[1]): match[2] for match in found.values()}


RUNTIME = requirements(PROJECT["dependencies"])
EXTRAS = PROJECT["optional-dependencies"]


def test_binder_has_its_own_equal_copy():
    ours, binders = ROOT / "environment.yml", ROOT / "binder" / "environment.yml"
    assert not binders.is_symlink()
    assert ours.read_bytes() == binders.read_bytes()


def test_conda_environment_agrees_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    wanted = RUNTIME | requirements(EXTRAS["lab"])
    wanted = {CONDA_NAME.get(name, name) + bound for name, bound in wanted.items()}
    assert environment["channels"] == ["conda-forge"]
    assert set(environment["dependencies"]) == wanted | {"python=3.11", "pip"}


def test_python_is_one_that_pyproject_allows():
    assert "3.11" in Requirement(f"python{PROJECT['requires-python']}").specifier


@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_constraints_pin_every_requirement_within_its_bound(extra):
    pins = exact("constraints.txt")
    for name, bound in requirements(EXTRAS[extra] if extra else PROJECT["dependencies"]).items():
        assert name in pins, f"constraints.txt does not pin {name}"
        assert pins[name] in Requirement(name + bound).specifier


def test_lowest_constraints_are_the_bounds():
    assert {name: f">={version}" for name, version in exact("constraints-lowest.txt").items()} == (
        RUNTIME
    )


def test_the_peers_of_the_benchmarks_are_pinned_beside_our_own_pins():
    """Both files constrain one environment: a name in both could never be installed."""
    ours, theirs = exact("constraints.txt"), exact("benchmarks/constraints.txt")
    lines = (ROOT / "benchmarks" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    peers = requirements([line for line in lines if line and not line.startswith("#")])
    assert peers.keys() <= theirs.keys()
    assert theirs.keys() & ours.keys() == set()


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """What Binder would build; repo2docker writes it without docker."""
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "python=3.11" in result.stderr
    return result.stdout


@pytest.mark.parametrize(
    "line",
    [
        "environment.py-3.11-",
        'env update -p ${NB_PYTHON_PREFIX} --file "binder/environment.yml"',
        "fonts-noto-cjk",
        "./binder/postBuild",
    ],
)
def test_binder_uses(dockerfile, line):
    # repo2docker writes the names of files that it copies with -2d for a hyphen, and so on.
    plain = re.sub(r"-([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), dockerfile)
    assert line in dockerfile or line in plain


def test_post_build_installs_the_library_alone():
    post_build = ROOT / "binder" / "postBuild"
    assert "pip install --no-deps --editable ." in post_build.read_text(encoding="utf-8")
    assert post_build.read_bytes().startswith(b"#!/bin/bash\n")
