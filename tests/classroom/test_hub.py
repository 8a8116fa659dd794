"""The hub for one machine, with students who log in, work and submit, all over HTTP."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import nbformat
import pytest
import requests
from nbformat.v4 import new_code_cell, new_notebook

from tools import hub as hubs
from tools.student import Refused, Student

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = "notebooks/02_concepts.ipynb"
GRADING = "/services/bigmodel/formgrader"

# One hub for all: its tests stay in one process, and a busy machine starts it slowly.
pytestmark = [pytest.mark.xdist_group("hub"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    if lacks := hubs.missing():
        if os.environ.get("CI"):
            pytest.fail(f"need {lacks} for the hub's tests in CI")
        pytest.skip(f"a hub needs {lacks}")
    folder = tmp_path_factory.mktemp("classroom")
    with hubs.started(folder, ["student01", "student02"], MEMORY="1.5") as hub:
        yield hub


@pytest.fixture(scope="module")
def class_(hub) -> list[Student]:
    """Both students, at their running servers."""

    def arrive(name: str) -> Student:
        student = hub.visitor(name)
        student.start_server()
        return student

    with ThreadPoolExecutor() as at_once:
        return list(at_once.map(arrive, hub.students))


@pytest.fixture(scope="module")
def kernels(class_):
    return [student.start_kernel() for student in class_]


@pytest.fixture(scope="module")
def teacher(hub) -> Student:
    return hub.visitor("teacher01")


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A small copy of this repository, as git knows it."""
    folder = tmp_path_factory.mktemp("git") / "bigmodel-notebooks"
    copy = folder / CHAPTER
    copy.parent.mkdir(parents=True)
    copy.write_bytes((ROOT / CHAPTER).read_bytes())
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "chapter"]):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)
    return folder


def worked_link() -> dict[str, list[str]]:
    """The parts of the nbgitpuller link in classroom/README.md."""
    text = (ROOT / "classroom" / "README.md").read_text(encoding="utf-8")
    (link,) = [line for line in text.splitlines() if "/hub/user-redirect/git-pull?" in line]
    return parse_qs(urlsplit(link.strip()).query)


def test_by_the_link_a_student_gets_a_chapter_and_runs_its_first_cells(class_, kernels, repository):
    student, kernel = class_[0], kernels[0]
    parts = worked_link() | {"repo": [str(repository)]}
    page = student.ask("GET", "/hub/user-redirect/git-pull", params=parts)
    assert urlsplit(page.url).path == "/user/student01/git-pull"
    pulled = student.ask("GET", f"{student.server}/git-pull/api", params=parts)
    assert '"phase": "finished"' in pulled.text

    opened = parts["urlpath"][0].removeprefix("lab/tree/")
    folder = opened.partition("/")[0]
    path = f"{student.server}/api/contents/{folder}/{CHAPTER}"
    notebook = nbformat.from_dict(student.ask("GET", path).json()["content"])
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "import torch" in cells[0]
    kernel.run(cells[0])
    assert "GPT-2 small by formula" in kernel.run(cells[1])


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("stranger", hubs.PASSWORD),
        ("student01", "a-wrong-password"),
        ("teacher01", hubs.PASSWORD),
        ("student01", hubs.TEACHER_PASSWORD),
    ],
)
def test_who_is_not_in_the_files_or_does_not_know_the_password_stays_out(hub, name, password):
    with pytest.raises(Refused, match="403"):
        Student(hub.url, name).log_in(password)


@pytest.mark.parametrize("path", ["/user/student02/lab", "/hub/api/users/student02"])
def test_a_student_cannot_open_anothers_server(class_, path):
    mine, others = path.replace("02", "01"), class_[0].call("GET", path)
    assert class_[0].call("GET", mine).ok
    assert others.status_code in (403, 404)


@pytest.mark.parametrize("path", ["api/contents", "api/kernels"])
def test_a_program_with_a_students_token_cannot_either(hub, class_, path):
    token = class_[0].ask("POST", "/hub/api/users/student01/tokens", json={}).json()["token"]
    said = {"Authorization": f"token {token}"}
    mine, others = (
        requests.get(f"{hub.url}{student.server}/{path}", headers=said, timeout=60)
        for student in class_
    )
    assert mine.ok
    assert others.status_code in (403, 404)


def test_only_teachers_open_the_course(class_, teacher):
    assert teacher.open(GRADING).ok
    assert class_[0].call("GET", GRADING).status_code == 403
    assert class_[0].call("GET", f"{class_[0].server}/formgrader").status_code == 404


def task(code: str, grade_id: str, **nbgrader):
    fields = {"schema_version": 3, "grade_id": grade_id, "locked": False, "task": False}
    fields |= {"solution": False, "grade": False} | nbgrader
    return new_code_cell(code, metadata={"nbgrader": fields})


def test_an_assignment_goes_out_and_comes_back(hub, class_, teacher):
    solution = "def one():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION"
    cells = [
        task(solution, "one", solution=True),
        task("assert one() == 1", "check", grade=True, locked=True, points=2),
    ]
    source = hub.folder / "course" / "source" / "counting" / "counting.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells), source)
    for step in ("assign", "release"):
        answer = teacher.ask("POST", f"{GRADING}/api/assignment/counting/{step}").json()
        assert answer["success"], answer

    which = {"assignment_id": "counting", "course_id": "bigmodel"}
    for student in class_:
        student.ask("POST", f"{student.server}/assignments/fetch", json=which)
        file = f"{student.server}/api/contents/counting/counting.ipynb"
        notebook = student.ask("GET", file).json()["content"]
        assert "...  # write here" in notebook["cells"][0]["source"]  # the course's own words
        notebook["cells"][0]["source"] = f"def one():\n    return {student.name!r}"
        student.ask("PUT", file, json={"type": "notebook", "content": notebook})
        student.ask("POST", f"{student.server}/assignments/submit", json=which)

    answer = teacher.ask("POST", f"{GRADING}/api/assignment/counting/collect").json()
    assert answer["success"], answer
    submitted = hub.folder / "course" / "submitted"
    assert sorted(path.name for path in submitted.iterdir()) == hub.students
    for name in hub.students:
        work = nbformat.read(submitted / name / "counting" / "counting.ipynb", as_version=4)
        assert f"return {name!r}" in work.cells[0].source


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="no prlimit on PATH")
def test_a_process_that_wants_more_memory_than_it_may_is_told_so_and_goes_on(kernels):
    with pytest.raises(Refused, match="MemoryError"):
        kernels[0].run("block = bytearray(3 * 2**29)  # 1.5 GiB, with what Python has already")
    assert kernels[0].run("block = bytearray(2**28); print(len(block))").strip() == str(2**28)
    assert kernels[1].run("print(6 * 7)").strip() == "42"


def test_afterwards_nothing_runs(hub, kernels):
    parts, servers = 3, 3  # hub, proxy and culler; two students' and the course's
    assert len(hub.processes()) >= parts + servers + len(kernels)
    assert hubs.stop(hub) == []  # nothing had to be killed
    assert hub.processes() == []
