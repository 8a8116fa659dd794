"""Grading end to end with nbgrader: release, fetch, solve, submit, collect, grade, marks, pages.

One assignment, one course, a student for each thing that can go wrong. Students whose code runs
away do without the library's checks, so that their limits can be short.
"""

import csv
import html
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from tests.exercises.assignments import Assignment, settings
from tests.exercises.wrong import WRONG
from tools import assignments

pytest.importorskip("nbgrader", reason="needs the extra classroom")
pytest.importorskip("fcntl", reason="graded code is limited on Linux and macOS only")

from nbgrader.apps import NbGraderAPI
from nbgrader.utils import temp_attrs
from traitlets.config import Config

from bigmodel_lib.exercises import chapter_7 as chapter
from tools import grading, submission
from tools.confinement import Confinement, Limits, best

pytestmark = [pytest.mark.xdist_group("grading"), pytest.mark.timeout(600)]

NAME = "07_future"  # the one that takes least to grade
CELLS = Assignment(assignments.TEXTS / f"{NAME}.py")
AUTOMATIC = sum(check.points for check in CELLS.checks)
FIRST, SECOND = CELLS.checks[:2]  # the task that is got wrong, and the one that runs away
MISTAKE, (OLD, NEW) = next(iter(WRONG[NAME][FIRST.task].items()))
TOKEN = f"31415.{os.getpid()}"  # seconds that a stray process sleeps: finds it again

REFERENCE, BLANK, WRONG_ONE, OTHER_NAME, TAMPERED = (f"student0{i}" for i in range(1, 6))
ENDLESS, STUBBORN, HOARDER, CROWD, STRAY, SPY = (f"student{i}" for i in range(10, 16))
BROKEN, LATIN, MISSING, NO_NOTEBOOK, LINK = (f"student{i}" for i in range(20, 25))
PATIENT = Limits(cell_seconds=120)
STRICT = Limits(cell_seconds=6, seconds=150, memory=700, processes=80)

# Stands in for the chapter's tasks: every check passes, nothing is imported.
LIGHT = """
class Anything:
    def __getattr__(self, name):
        return self

    def __call__(self, *_):
        return None

tasks, student = Anything(), {student!r}
"""
RUN_AWAY = {
    ENDLESS: "import time\nwhile True:\n    time.sleep(0.1)",
    STUBBORN: "import time\nwhile True:\n    try:\n        time.sleep(60)\n"
    "    except KeyboardInterrupt:\n        pass",
    HOARDER: "hoard = []\nwhile True:\n    hoard.append(bytearray(10_000_000))",
    CROWD: "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n"
    "        hoard = bytearray(250_000_000)\n        hoard[::4096] = b'x' * len(hoard[::4096])\n"
    "        time.sleep(600)\ntime.sleep(600)",
    STRAY: f"import subprocess\nstray = subprocess.Popen(['sleep', '{TOKEN}'], "
    "start_new_session=True)\nprint('stray is', stray.poll())",
    SPY: "import os, socket\nfrom pathlib import Path\n"
    "def reached(port):\n    try:\n        socket.create_connection(('127.0.0.1', port), 5)\n"
    "    except OSError:\n        return False\n    return True\n"
    "print('network', reached({port}))\n"
    "print('secret', 'SECRET_OF_THE_TEACHER' in os.environ)\n"
    "print('course', Path({course!r}, 'gradebook.db').exists())\n"
    "print('user', os.getuid())\n"
    "print('home', Path.home())",
}


# --- students at work --------------------------------------------------------------------


def signed(notebook, student):
    """With a name in the first cell, as asked for."""
    for cell in notebook.cells:
        cell.source = cell.source.replace('"your name or number"', repr(student))
    return notebook


def solved(course, student):
    """The reference, as a student would have written it: without hidden tests."""
    notebook = nbformat.read(course / "release" / NAME / f"{NAME}.ipynb", as_version=4)
    for cell, source in zip(notebook.cells, CELLS.cells, strict=True):
        if settings(source).get("solution"):
            cell.source = source.source
    return signed(notebook, student)


def same_cell(notebook, cell):
    """A cell of the assignment, in somebody's notebook."""
    grade_id = settings(cell)["grade_id"]
    (found,) = (one for one in notebook.cells if settings(one).get("grade_id") == grade_id)
    return found


def solve(course, student, folder, port):
    """Turn what was fetched into what that student hands in."""
    path = folder / f"{NAME}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    if student in (REFERENCE, WRONG_ONE, OTHER_NAME):
        notebook = solved(course, student if student != OTHER_NAME else "Student99")
    if student == WRONG_ONE:
        cell = same_cell(notebook, CELLS.solution(FIRST))
        assert cell.source.count(OLD) == 1
        cell.source = cell.source.replace(OLD, NEW)
    if student == TAMPERED:
        signed(notebook, student)
        for check in CELLS.checks:
            cell = same_cell(notebook, CELLS.cells[check.at])
            cell.source = "print('all is well')"
            cell.metadata.nbgrader.points = 99
    if student in RUN_AWAY:
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        first.source = LIGHT.format(student=student)
        second = same_cell(notebook, CELLS.solution(SECOND))
        second.source = RUN_AWAY[student]
        if student == SPY:
            second.source = second.source.format(port=port, course=str(course))
    nbformat.write(notebook, path)
    if student == BROKEN:
        path.write_text(path.read_text(encoding="utf-8")[:-100], encoding="utf-8")
    elif student == LATIN:
        text = path.read_text(encoding="utf-8").replace("student", "é")
        path.write_bytes(text.encode("latin-1", "replace"))
    elif student == MISSING:
        path.rename(folder / "homework.ipynb")
    elif student == NO_NOTEBOOK:
        path.write_text('{"cells": "none"}', encoding="utf-8")


def exchange(course, folder, student="*"):
    """nbgrader with a folder for handing out and in, as seen from a student's home."""
    api = assignments.grader(course)
    home = folder / "homes" / student.strip("*")
    home.mkdir(parents=True, exist_ok=True)
    places = {"root": str(folder / "exchange"), "cache": str(folder / "cache"),
              "assignment_dir": str(home)}  # fmt: skip
    config = Config(api.config, Exchange=places)
    config.CourseDirectory.student_id = student
    return NbGraderAPI(config=config), home


def step(api, which, name=NAME):
    """One step of the exchange; raises what it raises."""
    with temp_attrs(api.coursedir, assignment_id=name):
        app = getattr(api.exchange, which)(
            coursedir=api.coursedir, authenticator=api.authenticator, parent=api
        )
        return app.start()


EVERYBODY = [REFERENCE, BLANK, WRONG_ONE, OTHER_NAME, TAMPERED, *RUN_AWAY,
             BROKEN, LATIN, MISSING, NO_NOTEBOOK, LINK]  # fmt: skip
GENTLE = [one for one in EVERYBODY if one not in RUN_AWAY]


@pytest.fixture(scope="module")
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def course(tmp_path_factory, port):
    """A course in which everybody has handed in, by way of the exchange."""
    folder = tmp_path_factory.mktemp("grading")
    course = folder / "course"
    assignments.build([NAME], course)
    (folder / "exchange").mkdir()
    teacher, _ = exchange(course, folder)
    step(teacher, "ReleaseAssignment")
    for student in EVERYBODY:
        api, home = exchange(course, folder, student)
        (listed,) = step(api, "List")
        assert (listed["assignment_id"], listed["status"]) == (NAME, "released")
        step(api, "FetchAssignment")
        solve(course, student, home / NAME, port)
        step(api, "Submit")
    step(teacher, "Collect")
    assert {path.name for path in (course / "submitted").iterdir()} == set(EVERYBODY)
    notebook = course / "submitted" / LINK / NAME / f"{NAME}.ipynb"  # only by another way than
    notebook.unlink()  # the exchange, such as unpacking an archive
    notebook.symlink_to(course / "source" / NAME / f"{NAME}.ipynb")
    return course


def grades(course, student):
    """What the gradebook holds, by the name of the cell."""
    with assignments.grader(course).gradebook as gradebook:
        return {
            grade.name: (grade.auto_score, grade.manual_score, grade.needs_manual_grade)
            for notebook in gradebook.find_submission(NAME, student).notebooks
            for grade in notebook.grades
        }


def page(course, student):
    """The words of the page for a student."""
    text = (course / "feedback" / student / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", text)).split())


def outputs(course, student):
    """What the code of a student said, in the notebook that was executed."""
    path = course / "autograded" / student / NAME / f"{NAME}.ipynb"
    told = [
        out for cell in nbformat.read(path, as_version=4).cells for out in cell.get("outputs", ())
    ]
    return " ".join(out.get("text", "") + out.get("evalue", "") for out in told)


def strays():
    """What a student started, and is still there."""
    return [one for one in psutil.process_iter(["cmdline"]) if TOKEN in (one.info["cmdline"] or ())]


@pytest.fixture(scope="module")
def killed(course):
    """The course after grading was killed at the second student."""
    command = [sys.executable, "tools/grading.py", "--course", str(course)]
    command += ["--only", REFERENCE, "--only", BLANK]
    grader = psutil.Popen(command, cwd=assignments.ROOT, stdout=subprocess.DEVNULL)
    begun = course / "autograded" / BLANK / NAME / f"{NAME}.ipynb"
    end = time.monotonic() + 300
    while not begun.exists():
        assert grader.poll() is None, "ended before the second student"
        assert time.monotonic() < end
        time.sleep(0.02)
    left = grader.children(recursive=True)
    grader.kill()
    grader.wait()
    _, alive = psutil.wait_procs(left, timeout=60)
    return alive


@pytest.fixture(scope="module")
def results(course, killed):
    """All results, by student."""
    os.environ["SECRET_OF_THE_TEACHER"] = "42"
    try:
        gentle = grading.grade(course, GENTLE, limits=PATIENT)
        away = grading.grade(course, RUN_AWAY, limits=STRICT)
    finally:
        del os.environ["SECRET_OF_THE_TEACHER"]
    return {one.student: one for one in [*gentle, *away]}


@pytest.fixture(scope="module")
def confinement(course):
    return best(STRICT, [course])


def test_a_killed_grader_leaves_no_process_no_record_and_a_sound_gradebook(course, killed):
    assert killed == []
    assert (course / "grading" / NAME / f"{REFERENCE}.json").is_file()
    assert not (course / "grading" / NAME / f"{BLANK}.json").exists()
    assert outputs(course, BLANK) == "", "its code went on to run"
    with sqlite3.connect(course / "gradebook.db") as gradebook:
        assert gradebook.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_after_a_kill_only_what_was_done_is_kept(results):
    assert not results[REFERENCE].new
    assert all(one.new for one in results.values() if one.student != REFERENCE)


def test_the_reference_solution_gets_all_automatic_marks(results):
    one = results[REFERENCE]
    assert (one.status, one.reason, one.name) == ("graded", "", "")
    assert (one.marks, one.to_mark) == (AUTOMATIC, 1)
    assert one.of == AUTOMATIC + settings(CELLS.explanations[0])["points"]


def test_the_untouched_release_gets_nothing(results):
    one = results[BLANK]
    assert (one.status, one.marks, one.to_mark) == ("graded", 0, 0)
    assert one.name == "the notebook says 'your name or number'"


def test_a_mistake_costs_its_points_and_the_page_for_the_student_names_it(course, results):
    (hint,) = (one.hint for one in vars(chapter)[FIRST.task].mistakes if one.name == MISTAKE)
    assert results[WRONG_ONE].marks == AUTOMATIC - FIRST.points
    assert " ".join(hint.split()) in page(course, WRONG_ONE)
    assert " ".join(hint.split()) not in page(course, REFERENCE)


def test_another_name_in_the_notebook_is_told_and_costs_nothing(results):
    assert results[OTHER_NAME].name == "the notebook says 'Student99'"
    assert results[OTHER_NAME].marks == AUTOMATIC
    assert "[name: the notebook says 'Student99']" in grading.table([results[OTHER_NAME]])


def test_edited_checks_are_put_back(course, results):
    assert (results[TAMPERED].status, results[TAMPERED].marks) == ("graded", 0)
    path = course / "autograded" / TAMPERED / NAME / f"{NAME}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for check in CELLS.checks:
        cell = same_cell(notebook, CELLS.cells[check.at])
        assert cell.source.strip() == check.source.strip()
        assert settings(cell)["points"] == check.points


def test_an_endless_loop_is_interrupted_and_the_rest_is_graded(course, results):
    assert (results[ENDLESS].status, results[ENDLESS].reason) == ("graded", "")
    assert results[ENDLESS].marks == AUTOMATIC - SECOND.points
    assert "CellTimeoutError" in page(course, ENDLESS)


def test_a_loop_that_takes_no_interrupt_ends_the_notebook_and_keeps_what_came_before(
    course, results
):
    one = results[STUBBORN]
    assert (one.status, one.marks) == ("stopped", FIRST.points)
    assert one.reason == "a cell took more than 6 seconds, and went on when interrupted"
    assert f"not graded: {one.reason}" in page(course, STUBBORN)
    assert one.to_mark == len(CELLS.checks) - 1


def test_memory_of_one_process_ends_at_its_limit(course, results):
    assert (results[HOARDER].status, results[HOARDER].marks) == (
        "graded", AUTOMATIC - SECOND.points)  # fmt: skip
    assert "MemoryError" in page(course, HOARDER)
    assert results[HOARDER].mib < STRICT.memory


def test_memory_of_many_processes_is_counted_together(results):
    assert (results[CROWD].status, results[CROWD].marks) == ("stopped", FIRST.points)
    assert results[CROWD].reason == f"used more than {STRICT.memory} MiB of memory"


def test_what_a_student_started_ends_with_the_grading(course, results):
    assert results[STRAY].status == "graded"
    assert "stray is None" in outputs(course, STRAY)
    assert strays() == []


def test_graded_code_reaches_no_more_than_is_told(course, results, confinement):
    said = outputs(course, SPY)
    assert results[SPY].status == "graded"
    assert "secret False" in said
    assert f"network {not confinement.wall}" in said
    assert f"course {confinement.wall != 'bubblewrap'}" in said
    assert ("user 0" in said) == (os.getuid() == 0 and confinement.uid is None)
    assert str(Path.home()) not in said.partition("home")[2]


def test_where_nothing_shuts_it_in_that_is_told_and_what_was_started_still_ends(course, results):
    bare = Confinement(STRICT)
    assert bare.told()[1].startswith("off: a user of its own; no network; processes of its own")
    both = grading.grade(course, [STRAY, SPY], again=True, confinement=bare)
    assert {one.status for one in both} == {"graded"}
    assert "stray is None" in outputs(course, STRAY)
    assert strays() == []
    said = outputs(course, SPY)
    assert "network True" in said
    assert "course True" in said
    assert "secret False" in said
    assert f"user {os.getuid()}" in said


@pytest.mark.parametrize(
    ("student", "reason"),
    [
        (BROKEN, rf"{NAME}\.ipynb is not JSON: .*line"),
        (LATIN, rf"{NAME}\.ipynb is not text in UTF-8: byte \d+"),
        (MISSING, rf"{NAME}\.ipynb is missing; there is homework\.ipynb"),
        (NO_NOTEBOOK, rf"{NAME}\.ipynb is JSON, but not a notebook"),
        (LINK, rf"{NAME}\.ipynb is neither a file nor a folder, but a link"),
    ],
)
def test_what_cannot_be_graded_gets_nothing_and_a_reason(course, results, student, reason):
    one = results[student]
    assert (one.status, one.marks) == ("failed", 0)
    assert re.match(reason, one.reason)
    assert one.to_mark == len(CELLS.checks) + 1
    assert one.of == results[REFERENCE].of
    assert f"Could not be graded: {one.reason}" in page(course, student)
    assert f"could not be graded: {one.reason}" in grading.table([one])


def test_marks_are_exported(course, results):
    with (course / "marks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["student_id"]: float(row["score"]) for row in rows} == {
        student: one.marks for student, one in results.items()
    }
    assert {row["assignment"] for row in rows} == {NAME}


def test_a_second_run_changes_nothing(course, results):
    def state():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes() if path.suffix == ".csv" else b"")
            for place in ("autograded", "feedback", "grading/" + NAME)
            for path in (course / place).rglob("*")
        }

    before, marks = state(), {one: grades(course, one) for one in EVERYBODY}
    again = grading.grade(course, limits=STRICT)
    assert not any(one.new for one in again)
    assert {one.student: one.marks for one in again} == {
        student: one.marks for student, one in results.items()
    }
    assert state() == before
    assert {one: grades(course, one) for one in EVERYBODY} == marks


def test_the_interrupted_one_is_graded_like_one_that_never_was(course, results):
    marks, said = grades(course, BLANK), outputs(course, BLANK)
    (one,) = grading.grade(course, [BLANK], [NAME], again=True, limits=PATIENT)
    assert one.new
    assert (one.marks, one.to_mark) == (results[BLANK].marks, results[BLANK].to_mark)
    assert (grades(course, BLANK), outputs(course, BLANK)) == (marks, said)


def test_what_was_handed_in_again_is_graded_again(course, results):
    path = course / "submitted" / MISSING / NAME / "homework.ipynb"
    path.rename(path.with_name("my homework.ipynb"))
    (one,) = grading.grade(course, [MISSING], limits=STRICT)
    assert one.new
    assert one.reason.endswith("there is my homework.ipynb")


def test_a_record_of_another_version_is_not_believed(course, results):
    record = course / "grading" / NAME / f"{BROKEN}.json"
    told = json.loads(record.read_text(encoding="utf-8"))
    del told["mib"]
    record.write_text(json.dumps(told), encoding="utf-8")
    (one,) = grading.grade(course, [BROKEN], limits=STRICT)
    assert one.new
    assert one.reason == results[BROKEN].reason


def test_a_changed_assignment_is_graded_again(course, tmp_path):
    copy = tmp_path / "course"
    source = copy / "source" / NAME / f"{NAME}.ipynb"
    shutil.copytree(course / "submitted" / BROKEN, copy / "submitted" / BROKEN)
    shutil.copytree(course / "source", copy / "source")
    before = grading.fingerprint(copy, NAME, BROKEN)
    assert grading.fingerprint(course, NAME, BROKEN) == before
    notebook = nbformat.read(source, as_version=4)
    same_cell(notebook, CELLS.cells[FIRST.at]).metadata.nbgrader.points = 7
    nbformat.write(notebook, source)
    assert grading.fingerprint(copy, NAME, BROKEN) != before


def test_marks_by_hand_are_in_the_pages_and_the_export_afterwards(course, results):
    with assignments.grader(course).gradebook as gradebook:
        (notebook,) = gradebook.find_submission(NAME, REFERENCE).notebooks
        (grade,) = (one for one in notebook.grades if one.needs_manual_grade)
        grade.manual_score, grade.needs_manual_grade = 1.5, False
        gradebook.db.commit()
    assert grading.rewrite_feedback(course, [REFERENCE]) == 1
    with (course / "marks.csv").open(encoding="utf-8", newline="") as file:
        (row,) = (row for row in csv.DictReader(file) if row["student_id"] == REFERENCE)
    assert float(row["score"]) == AUTOMATIC + 1.5
    assert f"(Score: {AUTOMATIC + 1.5} / {results[REFERENCE].of})" in page(course, REFERENCE)


def test_two_graders_do_not_meet(course):
    with grading._alone(course), pytest.raises(assignments.Stop, match="another grading of"):
        grading.grade(course, [BROKEN], limits=STRICT)


def test_nothing_to_grade_is_said(course, tmp_path, capsys):
    assert grading.main(["--course", str(tmp_path)]) == 1
    assert "run `make assignments` first" in capsys.readouterr().err
    with pytest.raises(assignments.Stop, match="no submission of what was asked for"):
        grading.grade(course, ["student77"])


@pytest.mark.parametrize(
    ("sources", "name", "told"),
    [
        (["student = 'Student10 '"], "Student10 ", ""),
        (["student = 'a'", "student = 'STUDENT10'"], "STUDENT10", ""),
        (["def f(:", "student = 10"], "10", "the notebook says '10'"),
        (["student = input()"], None, "no name in the notebook"),
        ([], None, "no name in the notebook"),
    ],
)
def test_the_name_is_read_without_running_anything(sources, name, told):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    found = submission.name_in([nbformat.v4.new_markdown_cell("student = 'b'"), *cells])
    assert found == name
    assert submission.other_name(found, "student10") == told
