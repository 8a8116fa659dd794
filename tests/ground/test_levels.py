"""Imports inside the library go downwards, and importing it is cheap."""

import ast
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "bigmodel_lib"
LEVELS = {
    "__init__": 0,
    "audio": 0,
    "autodiff": 0,
    "device": 0,
    "language": 0,
    "chapters": 0,
    "models": 1,
    "data": 1,
    "training": 2,
    "cached": 2,
    "comparing": 2,
    "decisions": 2,
    "forecasting": 2,
    "attribution": 2,
    "claims": 2,
    "report_card": 1,
    "gallery": 1,
    "attacks": 2,
    "counting": 2,
    "costs": 2,
    "power_law": 2,
    "growth": 2,
    "isoflop": 2,
    "memory": 2,
    "compression": 2,
    "accounting": 2,
    "scaling": 2,
    "deployment": 2,
    "heads": 2,
    "patching": 2,
    "probes": 2,
    "rollout": 2,
    "detection": 2,
    "metrics": 2,
    "plots": 3,
    "serve": 3,
    "train_gpt": 3,
    "distributed": 3,
    "exercises": 3,
    "widgets": 4,
    "__main__": 5,
}


def part(module: str) -> str:
    """'bigmodel_lib.models.gan' belongs to 'models'."""
    return module.split(".")[1] if "." in module else "__init__"


def imported(source: str, package: str):
    """The modules of bigmodel_lib that a source imports, at any depth of its code.

    Args:
        source: Python code.
        package: the package that its relative imports start from.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            # `from bigmodel_lib import models` imports a part; `from bigmodel_lib.models
            # import GAN` one name of it, and the part is all that counts.
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "bigmodel_lib")


def upward(source: str, module: str, package: str) -> list[str]:
    """The arrows from `module` to a part of a higher level."""
    here = part(module)
    # A name in bigmodel_lib itself, such as __version__, is no part.
    found = {part(name) for name in imported(source, package)} - {"__version__"}
    unknown = found - set(LEVELS)
    assert not unknown, f"{module} imports {sorted(unknown)}: add to LEVELS in {__file__}"
    return [f"{module} → {there}" for there in sorted(found) if LEVELS[there] > LEVELS[here]]


def module_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize(
    "path", module_files(), ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_imports_go_downwards(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    package = ".".join(parts[:-1])
    module = package if parts[-1] == "__init__" else ".".join(parts)
    assert upward(path.read_text(encoding="utf-8"), module, package) == []


def test_every_part_has_a_level():
    parts = {path.stem for path in PACKAGE.glob("*.py")}
    parts |= {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert parts <= set(LEVELS), "add the new module to LEVELS, at the level of its imports"


@pytest.mark.parametrize(
    "source",
    [
        "import bigmodel_lib.widgets",
        "from bigmodel_lib import widgets",
        "from bigmodel_lib.widgets.base import Explorer",
        "from ..widgets import GANLab",
        "from .. import widgets",
        "def later():\n    from ..widgets import GANLab",
    ],
)
def test_an_arrow_upwards_is_seen(source):
    module, package = "bigmodel_lib.plots.gan", "bigmodel_lib.plots"
    assert upward(source, module, package) == ["bigmodel_lib.plots.gan → widgets"]


def test_arrows_downwards_and_sideways_are_allowed():
    source = (
        "import torch\nfrom ..models import gan\nfrom . import axes\nfrom .. import __version__"
    )
    assert upward(source, "bigmodel_lib.plots.gan", "bigmodel_lib.plots") == []


def test_an_unknown_part_is_reported():
    with pytest.raises(AssertionError, match="add to LEVELS"):
        upward("from .. import helpers", "bigmodel_lib.plots.gan", "bigmodel_lib.plots")


@pytest.mark.parametrize(
    "heavy", ["matplotlib", "sklearn", "ipywidgets", "torch", "fastapi", "onnx", "optuna"]
)
def test_importing_the_package_stays_light(heavy):
    code = f"import sys, bigmodel_lib; sys.exit({heavy!r} in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=False)
    assert result.returncode == 0, f"`import bigmodel_lib` imports {heavy}"
