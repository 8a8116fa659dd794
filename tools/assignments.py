"""Build the assignments with nbgrader: python tools/assignments.py [NAME …]

notebooks/assignments/source/NAME.py becomes, in build/course,

- source/NAME/NAME.ipynb, with solutions and hidden tests: for teachers;
- release/NAME/NAME.ipynb, without both: for students.

Needs the extra `classroom`.
"""

import argparse
import os
import shutil
import sys
import sysconfig
import warnings
from pathlib import Path

import jupytext

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ROOT / "notebooks" / "assignments" / "source"
CONFIG = ROOT / "notebooks" / "assignments" / "nbgrader_config.py"
COURSE = ROOT / "build" / "course"


class Stop(Exception):
    """What keeps the assignments from being built, in words."""


def names(chosen: list[str]) -> list[str]:
    """The assignments that are asked for, or all.

    Raises:
        Stop: there is no such assignment.
    """
    known = sorted(path.stem for path in TEXTS.glob("*.py"))
    if unknown := sorted(set(chosen) - set(known)):
        raise Stop(f"no assignment {', '.join(unknown)}; there are {', '.join(known)}")
    return chosen or known


def write_source(name: str, course: Path) -> Path:
    """The text as a notebook, solutions and all."""
    path = course / "source" / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    jupytext.write(jupytext.read(TEXTS / f"{name}.py"), path)
    return path


def grader(course: Path):
    """nbgrader, working in a folder with the course's settings.

    Raises:
        Stop: nbgrader is not installed.
    """
    try:
        from nbgrader.apps import NbGraderAPI
    except ImportError as error:
        raise Stop(f"needs nbgrader, from the extra classroom: {error}") from error
    from traitlets.config import PyFileConfigLoader

    # nbgrader's own way to add a submission; SQLAlchemy 2 finds fault with it at length.
    warnings.filterwarnings("ignore", message=".* not in session", module=r"nbgrader\.api")

    # nbgrader calls alembic by its name, which a .venv that is not activated does not offer.
    beside = sysconfig.get_path("scripts")
    os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])

    config = PyFileConfigLoader(CONFIG.name, path=str(CONFIG.parent)).load_config()
    config.CourseDirectory.root = str(course)
    return NbGraderAPI(config=config)


def build(chosen: list[str], course: Path = COURSE) -> list[Path]:
    """Source and release notebooks of the chosen assignments; returns the release ones.

    Raises:
        Stop: an unknown assignment, no nbgrader, or nbgrader refuses a notebook; says why.
    """
    chosen, api = names(chosen), grader(course)
    course.mkdir(parents=True, exist_ok=True)
    shutil.copy(CONFIG, course)
    released = []
    for name in chosen:
        write_source(name, course)
        result = api.generate_assignment(name, force=True, create=True)
        if not result["success"]:
            raise Stop(f"{name}: nbgrader refuses it\n{result.get('log') or result.get('error')}")
        released.append(course / "release" / name / f"{name}.ipynb")
    return released


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these assignments")
    try:
        for path in build(parser.parse_args(argv).names):
            print(f"wrote {path.relative_to(ROOT).as_posix()}")
    except Stop as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
