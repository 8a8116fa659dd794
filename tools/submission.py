"""One submission: is it a notebook, whose is it, and what is it worth? Used by tools/grading.py.

nbgrader's own autograder does the work, with one difference: the kernel that executes what a
student wrote is shut in (tools/confinement.py) and sees neither gradebook nor course. It is
reached through sockets in a folder, since it has no network.
"""

import ast
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.reader import NotJSONError
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.preprocessors import Execute
from nbgrader.utils import capture_log, is_grade, temp_attrs

from bigmodel_lib.exercises.names import known_as
from tools.confinement import MIB, Confinement, Watch

MOST = 20 * 2**20  # bytes of a notebook; a solved assignment has far below one million
PASSED_ON = ("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT")


class Refused(Exception):
    """Why a submission cannot be graded, in words."""


# --- before it runs ----------------------------------------------------------------------


def notebook(folder: Path, name: str) -> NotebookNode:
    """The submitted notebook.

    Raises:
        Refused: it is missing, or no notebook; says why.
    """
    path = folder / f"{name}.ipynb"
    for one in [folder, *folder.rglob("*")]:
        if one.is_symlink() or not (one.is_file() or one.is_dir()):
            raise Refused(f"{one.name} is neither a file nor a folder, but a link or worse")
    if not path.is_file():
        there = ", ".join(sorted(one.name for one in folder.glob("*.ipynb"))) or "no notebook"
        raise Refused(f"{path.name} is missing; there is {there}")
    if path.stat().st_size > MOST:
        raise Refused(f"{path.name} has {path.stat().st_size:,} bytes; {MOST:,} are allowed")
    try:
        found = nbformat.reads(path.read_bytes().decode("utf-8"), as_version=4)
        nbformat.validate(found)
    except UnicodeDecodeError as error:
        raise Refused(f"{path.name} is not text in UTF-8: byte {error.start}") from error
    except NotJSONError as error:
        raise Refused(f"{path.name} is not JSON: {error.__context__}") from error
    except Exception as error:  # nbformat lets through whatever it stumbles over
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise Refused(f"{path.name} is JSON, but not a notebook: {said}") from error
    return found


def name_in(cells: list[NotebookNode]) -> str | None:
    """The name that the student wrote, from `student = "…"`, without running anything."""
    found = None
    for cell in cells:
        if cell.cell_type != "code":
            continue
        try:
            lines = ast.parse(cell.source).body
        except (SyntaxError, ValueError, RecursionError):  # the student's to read
            continue
        for line in lines:
            if (
                isinstance(line, ast.Assign)
                and isinstance(line.value, ast.Constant)
                and any(isinstance(to, ast.Name) and to.id == "student" for to in line.targets)
            ):
                found = str(line.value.value)
    return found


def other_name(written: str | None, student: str) -> str:
    """What is wrong with the name in the notebook, in words; empty if nothing is."""
    if written is None:
        return "no name in the notebook"
    return "" if known_as(written) == known_as(student) else f"the notebook says {written[:40]!r}"


# --- while it runs -----------------------------------------------------------------------


class ConfinedKernel(AsyncKernelManager):
    """A kernel behind a wall.

    Attributes:
        confinement, scratch: how it is started, and the folder that is all it may write to.
    """

    def __init__(self, confinement: Confinement, scratch: Path, **settings):
        self.confinement, self.scratch = confinement, scratch
        super().__init__(transport="ipc", connection_file=str(scratch / "kernel.json"), **settings)

    def format_kernel_cmd(self, extra_arguments=None) -> list[str]:
        """The command, behind the wall; the connection file is written by now."""
        # A signal would hit the wall, not the kernel.
        self.kernel_spec.interrupt_mode = "message"
        self.confinement.lend(self.scratch)
        command = super().format_kernel_cmd(extra_arguments)
        command[0] = shutil.which(command[0]) or command[0]
        return self.confinement.command(self.scratch, command)


class ConfinedExecute(Execute):
    """nbgrader's own step, with a confined kernel; a notebook that must be stopped is stopped.

    Attributes:
        stopped: why the notebook did not run to its end; else empty.
        refused: why it did not run at all; else empty.
        missed: grade ids that were not reached.
    """

    def __init__(self, confinement: Confinement, watch: Watch, scratch: Path):
        super().__init__(timeout=confinement.limits.cell_seconds, startup_timeout=180)
        self.confinement, self.watch, self.scratch = confinement, watch, scratch
        self.stopped, self.refused, self.missed, self._done = "", "", [], set()

    def create_kernel_manager(self):
        """The confined one."""
        self.km = ConfinedKernel(self.confinement, self.scratch, kernel_name="python3")
        return self.km

    def start_new_kernel(self, **settings):
        """Start it; what it says outside of cells goes into a file."""
        with (self.scratch / "kernel.log").open("wb") as log:
            super().start_new_kernel(stdout=log, stderr=log, **settings)

    def start_new_kernel_client(self, **settings):
        """Wait until it answers.

        Raises:
            Refused: it does not; says why.
        """
        try:
            return super().start_new_kernel_client(**settings)
        except RuntimeError as error:
            said = (self.scratch / "kernel.log").read_text(encoding="utf-8", errors="replace")
            last = (said.strip().splitlines() or ["it says nothing"])[-1]
            self.refused = f"its kernel did not start: {last[:200]}"
            raise Refused(self.refused) from error

    def on_cell_executed(self, **told):
        """As nbgrader does; and remember the cell."""
        super().on_cell_executed(**told)
        self._done.add(told["cell_index"])

    def preprocess(self, nb, resources, km=None):
        """Execute in the scratch folder, among copies of what was submitted."""
        here = Path(resources["metadata"]["path"])
        work = self.scratch / "work"
        shutil.copytree(here, work, ignore=shutil.ignore_patterns("*.ipynb"))
        moved = {**resources, "metadata": {**resources["metadata"], "path": str(work)}}
        try:
            super().preprocess(nb, moved, km)
        except (DeadKernelError, CellTimeoutError) as error:
            deaf = f"a cell took more than {self.timeout} seconds, and went on when interrupted"
            died = "its process ended in the middle of a cell"
            self.stopped = self.watch.why or (died if isinstance(error, DeadKernelError) else deaf)
            self._give_nothing_for_the_rest(nb)
        return nb, resources

    def _give_nothing_for_the_rest(self, nb: NotebookNode) -> None:
        for at, cell in enumerate(nb.cells):
            if cell.cell_type == "code" and is_grade(cell) and at not in self._done:
                said = f"not graded: {self.stopped}"
                cell.outputs = [nbformat.v4.new_output(
                    "error", ename="Stopped", evalue=said, traceback=[said])]  # fmt: skip
                self.missed.append(cell.metadata.nbgrader.grade_id)


@contextmanager
def own_place() -> Iterator[Path]:
    """A scratch folder that is home, too, and an environment without secrets."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as name:
        kept = {key: before[key] for key in PASSED_ON if key in before}
        os.environ.clear()
        os.environ.update(kept)
        os.environ |= {"HOME": name, "TMPDIR": name, "USER": "grading", "LOGNAME": "grading",
                       "MPLCONFIGDIR": name, "IPYTHONDIR": name, "OMP_NUM_THREADS": "1",
                       "PYTHONPATH": str(Path(__file__).parents[1]),
                       "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
        try:
            yield Path(name)
        finally:
            os.environ.clear()
            os.environ.update(before)


# --- into the gradebook ------------------------------------------------------------------


def graded(api: NbGraderAPI, name: str, student: str, confinement: Confinement) -> dict:
    """Grade one submission: what `Result` wants to know of it.

    Raises:
        Refused: it cannot be graded; says why.
    """
    began = time.monotonic()
    folder = Path(api.coursedir.format_path(api.coursedir.submitted_directory, student, name))
    told = {"name": other_name(name_in(notebook(folder, name).cells), student)}
    with own_place() as scratch, Watch(confinement.limits) as watch:
        execute = ConfinedExecute(confinement, watch, scratch)
        app = Autograde(coursedir=api.coursedir, parent=api)
        app.force = True
        steps = [execute if step is Execute else step for step in app.autograde_preprocessors]
        app.autograde_preprocessors = steps
        with temp_attrs(api.coursedir, assignment_id=name, student_id=student):
            result = capture_log(app)
    if not result["success"]:
        raise Refused(watch.why or execute.refused or _last_line(result))
    with api.gradebook as gradebook:
        _to_mark(gradebook, name, student, execute.missed)
    feedback(api, name, student)
    told |= {"status": "stopped" if execute.stopped else "graded", "reason": execute.stopped}
    own = resource.getrusage(resource.RUSAGE_SELF)
    cpu = own.ru_utime + own.ru_stime + sum(watch.cpu.values())
    return told | {"seconds": time.monotonic() - began, "cpu": cpu, "mib": watch.peak / MIB}


def _last_line(result: dict) -> str:
    """The last error that nbgrader's log tells of."""
    lines = [line.strip() for line in result.get("log", "").splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line and not line.startswith("[")]
    return (errors or lines or [result["error"].strip().splitlines()[-1]])[-1][:300]


def _to_mark(gradebook: Gradebook, name: str, student: str, missed: list[str]) -> None:
    for one in gradebook.find_submission(name, student).notebooks:
        for grade in one.grades:
            if grade.name in missed:
                grade.needs_manual_grade = True
    gradebook.db.commit()


def no_marks(api: NbGraderAPI, name: str, student: str, reason: str) -> None:
    """Enter a submission that cannot be graded: no points, to be marked by hand, and why.

    Raises:
        MissingEntry: the gradebook does not know the assignment.
    """
    autograded = Path(api.coursedir.format_path(
        api.coursedir.autograded_directory, student, name))  # fmt: skip
    shutil.rmtree(autograded, ignore_errors=True)
    with api.gradebook as gradebook:
        gradebook.find_assignment(name)
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(name, student)
        for one in submission.notebooks:
            for grade in one.grades:
                grade.auto_score, grade.needs_manual_grade = 0, True
        gradebook.db.commit()
    page = Path(api.coursedir.format_path(api.coursedir.feedback_directory, student, name))
    page.mkdir(parents=True, exist_ok=True)
    (page / f"{name}.html").write_text(_page(name, reason), encoding="utf-8")


def _page(name: str, reason: str) -> str:
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(name)}</title>'
            f"<h1>{escape(name)}</h1><p>Could not be graded: {escape(reason)}</p></html>\n"
            )  # fmt: skip


def feedback(api: NbGraderAPI, name: str, student: str) -> None:
    """Write the page that the student gets.

    Raises:
        Refused: nbgrader cannot write it.
    """
    app = GenerateFeedback(coursedir=api.coursedir, parent=api)
    app.force = True
    with temp_attrs(api.coursedir, assignment_id=name, student_id=student):
        result = capture_log(app)
    if not result["success"]:
        raise Refused(f"no feedback: {_last_line(result)}")
