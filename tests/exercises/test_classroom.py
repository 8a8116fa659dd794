"""The demonstration class: what each student hands in, and what the command does to a folder."""

import contextlib
import importlib
import io
import json
import os
import sys
from pathlib import Path

import jupytext
import pytest

from tests.exercises.assignments import Assignment, released, run, settings
from tools import assignments, classroom
from tools.classroom import CLASS, MARKED, WAITING

BY_NAME = {student.name: student for student in CLASS}
one_worker = pytest.mark.xdist_group("classroom")  # which makes the class once
each_assignment = pytest.mark.parametrize("name", [MARKED, WAITING])


def handed_in(student: str, name: str):
    """The notebook of a student, made from the texts as nbgrader would."""
    reference, notebook = (jupytext.read(assignments.TEXTS / f"{name}.py") for _ in range(2))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = released(cell.source)
        elif settings(cell):
            cell.source = "*Write here.*"
    return classroom.solved(notebook, reference, BY_NAME[student], name)


def failures(student: str, name: str) -> dict[str, str]:
    """What graded checks say to a student, from task to message; those that do not pass."""
    cells, said = handed_in(student, name).cells, {}
    checks = {check.at: check for check in Assignment(assignments.TEXTS / f"{name}.py").checks}
    names: dict = {}
    for at, cell in enumerate(cells):
        if cell.cell_type == "code":
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    run(checks[at].source if at in checks else cell.source, names)
            except Exception as error:  # what a student writes may raise anything
                if at in checks:
                    said[checks[at].task] = str(error)
    return said


def tasks_of(name: str) -> list[str]:
    return [check.task for check in Assignment(assignments.TEXTS / f"{name}.py").checks]


@each_assignment
def test_each_student_does_what_the_gradebook_says(name):
    assert failures("student01", name) == {}
    assert list(failures("student03", name)) == tasks_of(name)
    assert list(failures("student04", name)) == tasks_of(name)[3:]  # of six, the explanation last
    (said,) = failures("student05", name).values()
    assert "is not defined" in said


@each_assignment
@pytest.mark.parametrize("student", ["student02", "student06"])
def test_a_mistake_is_told_by_its_hint(student, name):
    ((_, task, mistake),) = (one for one in BY_NAME[student].mistakes if one[0] == name)
    chapter = importlib.import_module(Assignment(assignments.TEXTS / f"{name}.py").chapter)
    known = getattr(chapter, task)
    (hint,) = (one.hint for one in known.mistakes if one.name == mistake)
    assert failures(student, name) == {task: f"{known.name}: {hint}"}


@each_assignment
def test_answers_are_written_as_students_write_them(name):
    for student in BY_NAME:
        cells = handed_in(student, name).cells
        text = "\n".join(cell.source for cell in cells)
        assert f'student = "{student}"' in text
        assert "SOLUTION" not in text
        assert BY_NAME[student].share < 1 or "= None" not in text
        assert ("*Write here.*" in text) == (BY_NAME[student].share < 1)


def test_a_mistake_has_one_place():
    assert classroom.with_mistake(["a + b", "c"], "+ b", "- b") == ["a - b", "c"]
    for answers, found in (["b", "c"], 0), (["a", "a"], 2):
        with pytest.raises(assignments.Stop, match=f"need 'a' once .* found it {found} times"):
            classroom.with_mistake(answers, "a", "x")


def test_all_settings_are_inside(tmp_path):
    told = classroom.environment(tmp_path)
    assert all(
        Path(value).is_relative_to(tmp_path / ".jupyter")
        for key, value in told.items()
        if key != "PATH"
    )
    assert set(told) >= {"JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"}
    assert told["PATH"].endswith(os.environ["PATH"])


# --- through nbgrader's exchange ---------------------------------------------------------


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory):
    """A folder where two students have handed both assignments in; its due date."""
    pytest.importorskip("nbgrader", reason="needs the extra classroom")
    folder = tmp_path_factory.mktemp("classroom")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in classroom.environment(folder).items():
            patch.setenv(key, value)
        due = classroom.hand_out_and_in(folder, [BY_NAME["student01"], BY_NAME["student06"]])
        yield folder, due


@one_worker
def test_submissions_lie_in_the_exchange_with_one_late(exchanged):
    folder, due = exchanged
    inbound = folder / "exchange" / "bigmodel" / "inbound"
    when = {}
    for path in inbound.iterdir():
        student, name, stamp, _ = path.name.split("+", 3)
        assert (path / "timestamp.txt").read_text() == stamp
        assert (path / f"{name}.ipynb").is_file()
        when[student, name] = stamp
    assert set(when) == {(s, n) for s in ("student01", "student06") for n in (MARKED, WAITING)}
    assert all((stamp > f"{due}") == (who == "student06") for (who, _), stamp in when.items())


@one_worker
def test_the_gradebook_knows_class_and_due_date(exchanged):
    folder, due = exchanged
    with classroom.nbgrader(folder).gradebook as book:
        assert {one.id: one.first_name for one in book.students} == {
            name: BY_NAME[name].hands_in for name in ("student01", "student06")
        }
        assert {one.name: one.duedate for one in book.assignments} == dict.fromkeys(
            (MARKED, WAITING), due.replace(tzinfo=None)
        )


@one_worker
def test_each_student_has_a_folder_and_you_begin_with_nothing(exchanged):
    folder, _ = exchanged
    assert {path.name for path in (folder / "students").iterdir()} == {
        "student01", "student06", "you",
    }  # fmt: skip
    assert list((folder / "students" / "you").iterdir()) == []
    assert not (folder / ".jupyter" / "data" / "nbgrader_cache").exists()
    assert len(list((folder / "students" / "student06" / ".cache" / "bigmodel").iterdir())) == 2


# --- the command -------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Run the command in a folder; what it would become is returned, nothing is built."""
    folder, started = tmp_path / "classroom", []

    def build(where, people):
        (where / ".jupyter").mkdir(parents=True)
        (where / "class").write_text(str(len(people)))
        (where / classroom.COMPLETE).touch()

    def call(*options: str) -> list[str] | int:
        code = classroom.main(list(options), folder)
        return started.pop() if started else code

    for key in classroom.environment(folder):
        monkeypatch.setenv(key, os.environ.get(key, ""))  # so that it is undone
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(classroom, "build", build)
    monkeypatch.setattr(classroom, "needs", lambda folder: None)
    monkeypatch.setattr(os, "execv", lambda path, command: started.append(command))
    call.folder = folder
    return call


def test_jupyterlab_opens_there_with_the_options(start, capsys):
    command = start("--no-browser", "--port=0")
    assert command[1:3] == ["-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={start.folder}" in command
    assert command[-2:] == ["--no-browser", "--port=0"]
    assert Path.cwd() == start.folder
    said = capsys.readouterr().out.splitlines()
    assert [line[:3] for line in said[-5:]] == ["1. ", "2. ", "3. ", "4. ", "5. "]


def test_a_second_start_keeps_what_was_done(start):
    start("--students", "2")
    note = start.folder / "mark"
    note.write_text("mine")
    start()
    assert note.read_text() == "mine"
    assert (start.folder / "class").read_text() == "2"
    start("--new")
    assert not note.exists()
    assert (start.folder / "class").read_text() == "6"


def test_a_start_that_was_cut_short_begins_again(start):
    start.folder.mkdir()
    (start.folder / "half").touch()
    start()
    assert not (start.folder / "half").exists()
    assert (start.folder / classroom.COMPLETE).exists()


def test_what_is_open_is_left_alone(start, capsys):
    start()
    runtime = Path(classroom.environment(start.folder)["JUPYTER_RUNTIME_DIR"])
    runtime.mkdir()
    about = {"pid": os.getpid(), "url": "http://127.0.0.1:1/", "token": "secret"}
    (runtime / "jpserver-1.json").write_text(json.dumps(about))
    assert start("--new") == 1
    assert "open already: http://127.0.0.1:1/lab?token=secret" in capsys.readouterr().err
    assert (start.folder / classroom.COMPLETE).exists()


def test_without_nbgrader_it_says_so_and_keeps_the_old_class(start, monkeypatch, capsys):
    start()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "nbgrader.apps", None)
    with pytest.MonkeyPatch.context() as patch:
        for key in classroom.environment(start.folder):
            patch.setenv(key, os.environ.get(key, ""))
        assert classroom.main(["--new"], start.folder) == 1
    assert "needs nbgrader, from the extra classroom" in capsys.readouterr().err
    assert (start.folder / classroom.COMPLETE).exists()


def test_windows_is_told_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(assignments.Stop, match="needs Linux, macOS or WSL"):
        classroom.needs(tmp_path)
