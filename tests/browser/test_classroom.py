"""`make classroom` as a teacher meets it, and once as a student."""

import re
import secrets
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from bigmodel_lib.exercises.chapter_3 import standardise
from tests.browser.conftest import MINUTE, serving

pytest.importorskip("nbgrader", reason="needs the extra classroom")

from tools.classroom import CLASS, MARKED, WAITING, environment, nbgrader

LISTS = ("released", "fetched", "submitted")
START = """
import sys
from pathlib import Path
from tools import classroom
sys.exit(classroom.main(sys.argv[2:], Path(sys.argv[1])))
"""


class Class:
    """A class of two students.

    Attributes:
        folder: where it was made.
        home: a folder that stands for the teacher's home.
        address: of its JupyterLab.
        token: that opens it.
    """

    def __init__(self, folder, home, address: str, token: str):
        self.folder, self.home, self.address, self.token = folder, home, address, token

    def formgrader(self, page):
        """Open JupyterLab; the page that its formgrader shows."""
        page.goto(f"{self.address}lab?token={self.token}")
        page.get_by_role("tab", name="Formgrader").click(
            timeout=MINUTE
        )  # open, maybe behind another
        formgrader = page.frame_locator("#formgrader iframe")
        expect(row(formgrader, MARKED)).to_be_visible(timeout=MINUTE)
        return formgrader


@pytest.fixture(scope="module")
def classroom(browser, tmp_path_factory):
    """What the command starts, in folders of its own."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("build") / "classroom"
    token = secrets.token_hex(16)
    command = [
        *(sys.executable, "-c", START, str(folder), "--students=2", "--no-browser"),
        *("--allow-root", "--ip=127.0.0.1", "--port=0", f"--IdentityProvider.token={token}"),
    ]
    runtime = Path(environment(folder)["JUPYTER_RUNTIME_DIR"])
    log = folder.with_name("log")
    with serving(command, runtime, log, {"HOME": str(home)}, patience=300) as address:
        yield Class(folder, home, address, token)


def confirm(frame, says: str) -> None:
    """Read what the formgrader reports, and close it."""
    expect(frame.locator(".modal-title")).to_have_text("Success", timeout=2 * MINUTE)
    expect(frame.locator(".modal-body p")).to_contain_text(says)
    frame.locator(".modal-footer button").click()
    expect(frame.locator(".modal")).to_have_count(0)


def row(frame, text: str):
    """The line of a table that begins with a name."""
    return frame.locator("tbody tr", has=frame.locator("td:first-child", has_text=text))


def test_a_teacher_collects_and_grades(classroom, page):
    formgrader = classroom.formgrader(page)
    submissions = row(formgrader, WAITING).locator(".num-submissions")
    expect(row(formgrader, MARKED).locator(".num-submissions")).to_have_text("2")
    expect(submissions).to_have_text("0")

    row(formgrader, WAITING).locator(".collect a").click()
    confirm(formgrader, f"Successfully collected submissions of '{WAITING}'")
    expect(submissions).to_have_text("2")
    submissions.locator("a").click()

    student = row(formgrader, "student02, a mistake in code")
    expect(student.locator(".status")).to_have_text("needs autograding")
    student.locator(".autograde a").click()
    confirm(formgrader, f"Successfully autograded '{WAITING}' for student 'student02'.")
    expect(student.locator(".status")).to_have_text("needs manual grading")
    # 18, less 4 for the mistake and 4 for the explanation, which is marked by hand
    expect(student.locator(".score")).to_have_text("10 / 18")
    assert page.errors == []


def test_a_teacher_marks_an_explanation_and_gives_feedback(classroom, page):
    formgrader = classroom.formgrader(page)
    formgrader.get_by_role("link", name="Manual Grading").click()
    for path in (f"gradebook/{MARKED}", f"gradebook/{MARKED}/{MARKED}"):
        formgrader.locator(f"tbody a[href$='{path}']").click()
    expect(formgrader.get_by_role("link", name="Submission #2")).to_be_visible()
    formgrader.get_by_role("button", name="Show All Names").click()
    formgrader.get_by_role("link", name="student02, a mistake in code").click()

    (leak,) = (one for one in standardise.mistakes if one.name == "leaks test statistics")
    hint = formgrader.locator("pre", has_text=leak.hint)
    expect(hint).to_have_text(re.compile(rf"^\s*✗ {re.escape(standardise.name)}: "))
    rubric = formgrader.locator("table", has_text="a fair comparison")
    expect(rubric.locator("tbody tr")).to_have_count(4)
    points = formgrader.locator("input.score#efficient")
    with page.expect_response(lambda reply: reply.request.method == "PUT") as saved:
        points.fill("4")
        points.blur()
    assert saved.value.ok

    formgrader = classroom.formgrader(page)
    row(formgrader, MARKED).locator(".num-submissions a").click()
    student = row(formgrader, "student02, a mistake in code")
    expect(student.locator(".score")).to_have_text("14 / 18")
    expect(student.locator(".status")).to_have_text("graded")
    student.locator(".generate-feedback a").click()
    confirm(formgrader, "Successfully generated feedback")
    student.locator(".release-feedback a").click()
    confirm(formgrader, "Successfully released feedback")
    assert nbgrader(classroom.folder, CLASS[1]).fetch_feedback(MARKED, "student02")["success"]
    (feedback,) = (classroom.folder / "students" / "student02").rglob("*.html")
    assert "Score: 14.0 / 18.0" in feedback.read_text(encoding="utf-8")
    # Without a network there is no MathJax: formulas stay as they are written.
    assert [error for error in page.errors if "MathJax" not in error and "ERR_" not in error] == []


def test_a_student_fetches_and_submits(classroom, page):
    classroom.formgrader(page)
    page.get_by_role("menuitem", name="Nbgrader", exact=True).click()
    page.get_by_role("menuitem", name="Assignment List").click()
    lists = {name: page.locator(f"#{name}_assignments_list") for name in LISTS}
    expect(lists["released"]).to_contain_text(WAITING)
    released = lists["released"].locator(".list_item", has_text=MARKED)
    released.get_by_role("button", name="Fetch").click()
    fetched = lists["fetched"].locator(".list_item", has_text=MARKED).first
    fetched.get_by_role("button", name="Submit").click()
    expect(lists["submitted"]).to_contain_text(MARKED)
    assert (classroom.folder / "students" / "you" / MARKED / f"{MARKED}.ipynb").is_file()
    inbound = classroom.folder / "exchange" / "bigmodel" / "inbound"
    assert len(list(inbound.glob(f"*+{MARKED}+*"))) == 3
    assert page.errors == []


def test_nothing_is_written_outside_of_the_classroom(classroom):
    assert list(classroom.home.iterdir()) == []
