"""Grade what was submitted: python tools/grading.py [--assignment NAME] [--only STUDENT]

Each submission in build/course/submitted is graded with nbgrader in a process of its own, which
executes what the student wrote as confined as this machine allows; the first lines say how far
that is. What cannot be graded gets no points, the reason, and the flag "to be marked by hand", and
the next one follows. Then come the pages for students in build/course/feedback and the marks in
build/course/marks.csv. What was graded before is left alone, unless the submission or the
assignment has changed, or with --again.
"""

import argparse
import dataclasses
import hashlib
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

if sys.platform == "win32":
    raise ImportError("graded code is limited on Linux and macOS only; on Windows, use WSL")
import fcntl

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools import assignments as building  # noqa: E402
from tools.assignments import COURSE, Stop  # noqa: E402
from tools.confinement import Confinement, Limits, adopt, below, best, kill_all  # noqa: E402

TOLD = {"status", "reason", "name", "seconds", "cpu", "mib"}  # what a record holds, and more
PATIENCE = 180  # seconds that nbgrader may need besides the notebook


@dataclass(frozen=True)
class Result:
    """What became of a submission.

    Attributes:
        student, assignment: whose, and which.
        status: "graded"; "stopped" before its end, with what was reached graded; or "failed".
        reason: why it was stopped or failed.
        name: what is wrong with the name in the notebook; empty if nothing is.
        marks, of: points now, and at most.
        to_mark: how many answers wait for you.
        seconds, cpu: that grading took, by the clock and of processor time.
        mib: highest memory of what the student wrote, with its kernel.
        new: graded now, not before.
    """

    student: str
    assignment: str
    status: str
    reason: str
    name: str
    marks: float
    of: float
    to_mark: int
    seconds: float
    cpu: float
    mib: float
    new: bool


def grade(
    course: Path = COURSE,
    students: Iterable[str] | None = None,
    assignments: Iterable[str] | None = None,
    *,
    again: bool = False,
    limits: Limits | None = None,
    confinement: Confinement | None = None,
    say: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Grade all submissions, or those chosen; writes feedback and marks.csv, too.

    Args:
        again: those, too, that were graded before and have not changed since.
        limits, confinement: as `Limits()` and `best(…)` unless given.
        say: is told each result as soon as it is there.

    Raises:
        Stop: no course, nothing submitted that was asked for, or another grading is going on.
    """
    course, results = course.resolve(), []
    chosen = submissions(course, students, assignments)
    confinement = confinement or best(limits or Limits(), [course])
    with _alone(course):
        api = building.grader(course)
        for one in chosen:
            results.append(_once(api, course, *one, confinement, again))
            say(results[-1])
        export(api, course / "marks.csv")
    return results


def submissions(
    course: Path, students: Iterable[str] | None, assignments: Iterable[str] | None
) -> list[tuple[str, str]]:
    """What was submitted, as (assignment, student), those chosen.

    Raises:
        Stop: there is no course, or none of these.
    """
    if not (course / "gradebook.db").is_file():
        raise Stop(f"no course in {course}: run `make assignments` first")
    there = [path for path in (course / "submitted").glob("*/*") if path.is_dir()]
    found = sorted((path.name, path.parent.name) for path in there)
    wanted = [
        one
        for one in found
        if (assignments is None or one[0] in assignments)
        and (students is None or one[1] in students)
    ]
    if not wanted:
        of = "what was asked for" if found else "anything"
        raise Stop(f"no submission of {of} in {course / 'submitted'}: `nbgrader collect NAME`")
    return wanted


@contextmanager
def _alone(course: Path) -> Iterator[None]:
    """Nobody else grades this course.

    Raises:
        Stop: somebody does.
    """
    (course / "grading").mkdir(exist_ok=True)
    with (course / "grading" / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Stop(f"another grading of {course} is going on") from error
        yield


# --- one submission ----------------------------------------------------------------------


def _once(
    api, course: Path, name: str, student: str, confinement: Confinement, again: bool
) -> Result:
    """Grade it, unless the record says that this was done."""
    record = course / "grading" / name / f"{student}.json"
    print_now = fingerprint(course, name, student)
    told = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    new = again or told.get("fingerprint") != print_now or not told.keys() >= TOLD
    if new:
        record.unlink(missing_ok=True)
        told = _apart(course, name, student, confinement)
        if told["status"] == "failed":
            _enter_failure(api, name, student, told)
        told |= {"fingerprint": print_now}
        _write(record, told)
    return _result(api, name, student, told, new)


def fingerprint(course: Path, name: str, student: str) -> str:
    """Changes with the submission's files and with the assignment's cells."""
    digest = hashlib.sha256()
    source = course / "source" / name / f"{name}.ipynb"
    if source.is_file():
        cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
        seen = [[cell["source"], cell["metadata"].get("nbgrader")] for cell in cells]
        digest.update(json.dumps(seen, sort_keys=True).encode())
    folder = course / "submitted" / student / name
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _apart(course: Path, name: str, student: str, confinement: Confinement) -> dict:
    """Grade in a process of its own, and end all that it started."""
    began = time.monotonic()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nbgrader.apps", "nbgrader.converters"])
    answer, give = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(course, name, student, confinement, give))
    process.start()
    give.close()
    try:
        most = confinement.limits.seconds + PATIENCE
        if not answer.poll(most):
            told = {"status": "failed", "reason": f"grading took more than {most} seconds"}
        else:
            told = answer.recv()
    except EOFError:
        process.join(5)
        told = {"status": "failed", "reason": f"grading broke off, exit {process.exitcode}"}
    finally:
        kill_all(lambda: _below(process.pid))
        process.kill()
        process.join()
    return {"name": "", "seconds": time.monotonic() - began, "cpu": 0.0, "mib": 0.0} | told


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _work(course: Path, name: str, student: str, confinement: Confinement, give) -> None:
    """The process of one submission: grade it, and send what came out."""
    adopt()
    threading.Thread(target=_end_with_grader, daemon=True).start()
    from tools import submission

    try:
        told = submission.graded(building.grader(course), name, student, confinement)
    except submission.Refused as reason:
        told = {"status": "failed", "reason": str(reason)}
    except Exception as error:  # whatever it is, the others are still to be graded
        told = {"status": "failed", "reason": f"{type(error).__name__}: {error}"[:300]}
    give.send(told)


def _end_with_grader() -> None:
    """When the grader is killed, nothing that it started goes on."""
    multiprocessing.parent_process().join()
    kill_all(below)
    os._exit(1)


def _enter_failure(api, name: str, student: str, told: dict) -> None:
    from nbgrader.api import MissingEntry

    from tools.submission import no_marks

    try:
        no_marks(api, name, student, told["reason"])
    except MissingEntry:
        told["reason"] = f"the gradebook knows no assignment {name}"


def _write(record: Path, told: dict) -> None:
    """All of it or nothing, even when killed in between."""
    record.parent.mkdir(parents=True, exist_ok=True)
    unfinished = record.with_suffix(".part")
    unfinished.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(record)


def _result(api, name: str, student: str, told: dict, new: bool) -> Result:
    from nbgrader.api import MissingEntry

    marks, of, to_mark = 0.0, 0.0, 0
    with api.gradebook as gradebook:
        try:
            found = gradebook.find_submission(name, student)
        except MissingEntry:
            pass  # the reason says which assignment is not known
        else:
            grades = [grade for notebook in found.notebooks for grade in notebook.grades]
            to_mark = sum(bool(grade.needs_manual_grade) for grade in grades)
            marks, of = found.score, found.max_score
    about = {key: told[key] for key in TOLD}
    return Result(student, name, marks=marks, of=of, to_mark=to_mark, new=new, **about)


# --- what comes out ----------------------------------------------------------------------


def export(api, path: Path) -> None:
    """All marks of the course, by nbgrader's own exporter."""
    from nbgrader.plugins import CsvExportPlugin

    plugin = CsvExportPlugin(parent=api)
    plugin.to = str(path)
    with api.gradebook as gradebook:
        plugin.export(gradebook)


def rewrite_feedback(
    course: Path = COURSE,
    students: Iterable[str] | None = None,
    assignments: Iterable[str] | None = None,
) -> int:
    """Feedback and marks.csv anew, after marking by hand; grades nothing, returns how many.

    Raises:
        Stop: no course, nothing submitted, or nbgrader refuses; says why.
    """
    from tools.submission import Refused, feedback

    course, count = course.resolve(), 0
    api = building.grader(course)
    for name, student in submissions(course, students, assignments):
        if (course / "autograded" / student / name).is_dir():
            try:
                feedback(api, name, student)
            except Refused as reason:
                raise Stop(f"{student}, {name}: {reason}") from reason
            count += 1
    export(api, course / "marks.csv")
    return count


def table(results: list[Result]) -> str:
    """One line a submission."""
    head = ("student", "assignment", "marks", "of", "to mark", "seconds", "CPU s", "MiB", "status")
    rows = [head]
    for one in results:
        status = one.status if one.status != "failed" else "could not be graded"
        status += f": {one.reason}" if one.reason else ""
        status += f" [name: {one.name}]" if one.name else ""
        status += "" if one.new else " (before)"
        figures = f"{one.marks:g} {one.of:g} {one.to_mark} {one.seconds:.1f} {one.cpu:.1f}"
        rows.append((one.student, one.assignment, *figures.split(), f"{one.mib:.0f}", status))
    widths = [max(len(row[at]) for row in rows) for at in range(len(head) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    )


def _progress(result: Result) -> None:
    if result.new:
        told = f"{result.student}, {result.assignment}: {result.status}, {result.seconds:.0f} s"
        print(told, file=sys.stderr, flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--course", type=Path, default=COURSE, help="its folder")
    parser.add_argument("--assignment", action="append", metavar="NAME", help="only this one")
    parser.add_argument("--only", action="append", metavar="STUDENT", help="only this one")
    parser.add_argument("--again", action="store_true", help="those, too, that were graded before")
    parser.add_argument("--feedback", action="store_true",
                        help="grade nothing; write feedback and marks anew")  # fmt: skip
    for limit in dataclasses.fields(Limits):
        parser.add_argument("--" + limit.name.replace("_", "-"), type=int, default=limit.default,
                            metavar="N", help=f"limit, {limit.default} unless given")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    asked = _options().parse_args(argv)
    limits = Limits(**{one.name: getattr(asked, one.name) for one in dataclasses.fields(Limits)})
    which = (asked.course, asked.only, asked.assignment)
    try:
        if asked.feedback:
            print(f"wrote feedback for {rewrite_feedback(*which)} submissions")
            return 0
        confinement = best(limits, [asked.course.resolve()])
        print(*confinement.told(), sep="\n", flush=True)
        how = {"again": asked.again, "confinement": confinement, "say": _progress}
        print(table(grade(*which, **how)))
    except Stop as reason:
        print(reason, file=sys.stderr)
        return 1
    print(f"marks: {asked.course / 'marks.csv'}; for students: {asked.course / 'feedback'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
