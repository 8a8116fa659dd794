"""A course with a demonstration class, in JupyterLab: python tools/classroom.py [--new] [OPTION …]

Made once, in build/classroom; kept with all that is done there, until --new. It holds

- course/: sources, submissions, marks and feedback, which are the teacher's;
- exchange/: where assignments go out and come back;
- students/: the folder of each student; students/you is yours, as a student;
- .jupyter/: the settings of this JupyterLab, so that your own stay as they are.

Options that are not known here go to JupyterLab: --no-browser. Needs the extra `classroom`.
"""

import argparse
import datetime
import json
import os
import re
import runpy
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from jupyter_server.serverapp import list_running_servers
from jupyterlab_server.workspaces_handler import WorkspacesManager
from nbformat import NotebookNode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools import assignments
from tools.assignments import ROOT, Stop

FOLDER = ROOT / "build" / "classroom"
CONFIG = ROOT / "notebooks" / "assignments" / "classroom_config.py"
CATALOGUE = ROOT / "tests" / "exercises" / "wrong"  # mistakes as students write them, all proven
COMPLETE = Path(".jupyter") / "complete"
MARKED, WAITING = "03_algorithms", "07_future"  # quick to grade
NOT_WRITTEN = re.compile(r"^( *### (BEGIN|END) SOLUTION|\w+ = None)(\n|$)", re.MULTILINE)
FORMGRADER = "nbgrader-formgrader:nbgrader-formgrader"  # its name in JupyterLab's layout
LAYOUT = {
    "main": {
        "dock": {"type": "tab-area", "currentIndex": 0, "widgets": [FORMGRADER]},
        "current": FORMGRADER,
    },
    "left": {"collapsed": True},
}
DESK = {
    "data": {"layout-restorer:data": LAYOUT, FORMGRADER: {"data": {}}},
    "metadata": {"id": "default"},
}
STEPS = f"""\
{MARKED} is graded; {WAITING} was handed in, and waits for you. In JupyterLab's Formgrader:
1. Manage Assignments, row {WAITING}: Collect, then the number of submissions, then Autograde.
2. Manual Grading, {MARKED}: open a submission; give points for its explanation, by the rubric.
3. Manage Assignments, row {MARKED}: Generate Feedback with your points, then Release Feedback.
4. Menu Nbgrader, Assignment List: fetch, validate and submit an assignment, as a student.
5. Ctrl-C twice ends it. All is kept, until `make classroom ARGS=--new` starts over."""


@dataclass(frozen=True)
class Student:
    """Somebody in the demonstration class.

    Attributes:
        name: login.
        hands_in: what, in words; stands beside the name in the gradebook.
        share: of the tasks, from the first on, that are solved.
        mistakes: for each assignment, a task and its mistake in the catalogue.
        broken: whether one cell is no Python.
        hours: between the due date and the submission; negative is early.
    """

    name: str
    hands_in: str
    share: float = 1.0
    mistakes: tuple[tuple[str, str, str], ...] = ()
    broken: bool = False
    hours: int = -5


LEAKS = (MARKED, "standardise", "leaks test statistics")
FORGETS = (WAITING, "distillation", "forgets T²")
PRECISION = (MARKED, "recall", "precision")
IN_32_BITS = (WAITING, "cache", "in 32 bits")
CLASS = (
    Student("student01", "all solved"),
    Student("student02", "a mistake in code", mistakes=(LEAKS, FORGETS)),
    Student("student03", "nothing written", share=0.0),
    Student("student04", "half done", share=0.5),
    Student("student05", "a cell that does not run", broken=True),
    Student("student06", "late, a wrong number", mistakes=(PRECISION, IN_32_BITS), hours=3),
)


def environment(folder: Path) -> dict[str, str]:
    """Variables that keep Jupyter, IPython and nbgrader inside of a folder."""
    inside = folder / ".jupyter"
    # nbgrader calls alembic by its name, which a .venv that is not activated does not offer.
    paths = [sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    return {
        "JUPYTER_CONFIG_DIR": str(inside / "config"),
        "JUPYTER_DATA_DIR": str(inside / "data"),
        "JUPYTER_RUNTIME_DIR": str(inside / "runtime"),
        "IPYTHONDIR": str(inside / "ipython"),
        "MPLCONFIGDIR": str(inside / "matplotlib"),
        "PATH": os.pathsep.join(paths),
    }


def settings(folder: Path) -> None:
    """Write what nbgrader and this JupyterLab are told."""
    config = folder / ".jupyter" / "config"
    parts = ("formgrader", "assignment_list", "course_list", "validate_assignment")
    extensions = {f"nbgrader.server_extensions.{part}": True for part in parts}
    told = {
        "jupyter_server_config.json": {
            "ServerApp": {"jpserver_extensions": extensions},
            "LanguageServerManager": {"autodetect": False},  # which leaves logs in the home folder
        },
        "lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
            "fetchNews": "false",
            "checkForUpdates": False,
        },
    }
    texts = {path: json.dumps(content, indent=2) for path, content in told.items()}
    texts["nbgrader_config.py"] = CONFIG.read_text(encoding="utf-8")
    for path, text in texts.items():
        (config / path).parent.mkdir(parents=True, exist_ok=True)
        (config / path).write_text(text, encoding="utf-8")
    WorkspacesManager(str(config / "lab" / "workspaces")).save("default", json.dumps(DESK))
    (folder / "students" / "you").mkdir(parents=True)


def nbgrader(folder: Path, student: Student | None = None):
    """nbgrader's API in the classroom, for the teacher or for a student."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import PyFileConfigLoader

    told = environment(folder)["JUPYTER_CONFIG_DIR"]
    config = PyFileConfigLoader("nbgrader_config.py", path=told).load_config()
    if student:
        own = folder / "students" / student.name
        config.Exchange.assignment_dir = str(own)
        config.Exchange.cache = str(own / ".cache")
    return NbGraderAPI(config=config)


def needs(folder: Path) -> None:
    """See that a class can be made here.

    Raises:
        Stop: nbgrader is not installed, or this is Windows, where it cannot hand out.
    """
    if sys.platform == "win32":
        raise Stop("needs Linux, macOS or WSL: nbgrader's exchange does not work on Windows")
    assignments.grader(folder / "course")


def must(result: dict, what: str) -> None:
    """Stop where nbgrader did not succeed."""
    if not result["success"]:
        raise Stop(f"{what}: nbgrader stopped\n{result.get('log') or result.get('error')}")


def release(folder: Path, due: datetime.datetime) -> None:
    """Build both assignments, set when they are due, and hand them out."""
    assignments.build([MARKED, WAITING], folder / "course")
    api = nbgrader(folder)
    for name in (MARKED, WAITING):
        with api.gradebook as book:
            book.update_or_create_assignment(name, duedate=due)
        must(api.release_assignment(name), f"releasing {name}")


def enrol(folder: Path, people: Sequence[Student]) -> None:
    """Enter the class in the gradebook; in place of first names, what they hand in."""
    with nbgrader(folder).gradebook as book:
        for student in people:
            book.update_or_create_student(
                student.name, last_name=student.name, first_name=student.hands_in
            )


def hand_in(folder: Path, student: Student, name: str, due: datetime.datetime) -> None:
    """Fetch an assignment, solve it as this student does, and submit it."""
    from nbgrader.utils import capture_log, temp_attrs

    api = nbgrader(folder, student)
    roles = {"coursedir": api.coursedir, "authenticator": api.authenticator, "parent": api}
    own = folder / "students" / student.name
    own.mkdir(parents=True, exist_ok=True)
    with temp_attrs(api.coursedir, assignment_id=name, student_id=student.name):
        must(capture_log(api.exchange.FetchAssignment(**roles)), f"{student.name} fetches {name}")
        path = own / name / f"{name}.ipynb"
        reference = nbformat.read(folder / "course" / "source" / name / path.name, as_version=4)
        nbformat.write(solved(nbformat.read(path, as_version=4), reference, student, name), path)
        submit = api.exchange.Submit(**roles)
        when = due + datetime.timedelta(hours=student.hours)
        submit.timestamp = when.strftime(submit.timestamp_format)
        submit.set_timestamp = lambda: None  # which would make it now
        must(capture_log(submit), f"{student.name} submits {name}")


def solved(
    notebook: NotebookNode, reference: NotebookNode, student: Student, name: str
) -> NotebookNode:
    """A released notebook as a student fills it in, from the reference solution."""
    answers = [NOT_WRITTEN.sub("", cell.source) for cell in solutions(reference)]
    for _, task, mistake in (m for m in student.mistakes if m[0] == name):
        answers = with_mistake(answers, *wrong(name, task, mistake))
    if student.broken:
        first = next(i for i, answer in enumerate(answers) if answer.startswith("def "))
        answers[first] = f"{answers[first].rstrip()})\n"
    cells = list(solutions(notebook))
    for cell, answer in zip(cells[: round(student.share * len(cells))], answers, strict=False):
        cell.source = answer
    for cell in notebook.cells:
        cell.source = cell.source.replace("your name or number", student.name)
    return notebook


def solutions(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """The cells that students fill in."""
    return (cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution"))


def wrong(name: str, task: str, mistake: str) -> tuple[str, str]:
    """What the reference says in one place, and what stands there instead."""
    return runpy.run_path(str(CATALOGUE / f"chapter_{int(name[:2])}.py"))["WRONG"][task][mistake]


def with_mistake(answers: list[str], old: str, new: str) -> list[str]:
    """Replace what stands in one answer.

    Raises:
        Stop: it stands in none, or in several.
    """
    if (found := sum(answer.count(old) for answer in answers)) != 1:
        raise Stop(f"need {old!r} once in the reference solution, found it {found} times")
    return [answer.replace(old, new) for answer in answers]


def mark(folder: Path, name: str) -> None:
    """Collect an assignment, grade it, and write feedback."""
    from tools import grading  # which Windows cannot import

    must(nbgrader(folder).collect(name), f"collecting {name}")
    for one in grading.grade(folder / "course", assignments=[name]):
        if one.status != "graded":
            raise Stop(f"{one.student}, {name}: {one.status}, {one.reason}")
        print(f"{one.student}: {one.marks:g} of {one.of:g} points, {one.to_mark} to mark by hand")


def hand_out_and_in(folder: Path, people: Sequence[Student]) -> datetime.datetime:
    """A course with both assignments released and submitted; returns when they were due."""
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    due = yesterday.replace(minute=0, second=0, microsecond=0)
    settings(folder)
    release(folder, due)
    enrol(folder, people)
    for student in people:
        for name in (MARKED, WAITING):
            hand_in(folder, student, name, due)
    return due


def build(folder: Path, people: Sequence[Student] = CLASS) -> None:
    """A course with a class: one assignment marked, another handed in.

    Raises:
        Stop: nbgrader refuses something; says why.
    """
    hand_out_and_in(folder, people)
    print(f"grading {MARKED}", flush=True)
    mark(folder, MARKED)
    (folder / COMPLETE).touch()


def running(folder: Path) -> str | None:
    """The address of a JupyterLab that is at work in this classroom."""
    servers = list_running_servers(environment(folder)["JUPYTER_RUNTIME_DIR"])
    return next((f"{one['url']}lab?token={one['token']}" for one in servers), None)


def prepare(folder: Path, new: bool, people: Sequence[Student]) -> None:
    """Build the classroom where there is none, or only half of one, or a new one is wanted."""
    if new or not (folder / COMPLETE).exists():
        if folder.exists():
            shutil.rmtree(folder)
        print("making a class; this takes a minute or two", flush=True)
        build(folder, people)


def command(folder: Path, options: Sequence[str]) -> list[str]:
    """What starts JupyterLab in the classroom."""
    start = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}"]
    return [*start, "--log-level=WARN", *options]


def main(argv: list[str] | None = None, folder: Path = FOLDER) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--new", action="store_true", help="throw the old classroom away")
    parser.add_argument(
        "--students",
        type=int,
        default=len(CLASS),
        choices=range(1, len(CLASS) + 1),
        help="in a new class",
    )
    options, for_lab = parser.parse_known_args(argv)
    try:
        if address := running(folder):
            raise Stop(f"this classroom is open already: {address}")
        os.environ.update(environment(folder))
        needs(folder)
        prepare(folder, options.new, CLASS[: options.students])
    except Stop as reason:
        print(reason, file=sys.stderr)
        return 1
    print(STEPS, flush=True)
    os.chdir(folder)  # nbgrader reads settings from where it is started, too
    start = command(folder, for_lab)
    os.execv(start[0], start)


if __name__ == "__main__":
    sys.exit(main())
