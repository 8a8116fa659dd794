"""Every check is proven: on the reference, on the release, and on each catalogued mistake."""

import contextlib
import functools
import importlib
import io
import re
import subprocess
import sys

import jupytext
import pytest

from bigmodel_lib.exercises.task import AnswerError, Prediction, Task, tasks
from tests.exercises.assignments import ROOT, TEXTS, Assignment, Check, released, run, settings
from tests.exercises.wrong import WRONG

NAMES = [path.stem for path in TEXTS]
each_assignment = pytest.mark.parametrize("name", NAMES)


@functools.cache
def assignment(name: str) -> Assignment:
    return Assignment(next(path for path in TEXTS if path.stem == name))


@functools.cache
def solved(name: str) -> tuple[list[dict], str]:
    """The names after each cell of the reference solution, and what it prints.

    Raises:
        AnswerError: a check does not accept it.
    """
    names, after, said = {}, [], io.StringIO()
    for cell in assignment(name).cells:
        if cell.cell_type == "code":
            with contextlib.redirect_stdout(said):
                run(cell.source, names)
        after.append(dict(names))
    return after, said.getvalue()


def task_of(name: str, check: Check) -> Task:
    return getattr(importlib.import_module(assignment(name).chapter), check.task)


CASES = [
    pytest.param(name, check, mistake, id=f"{name}-{check.task}-{mistake.name}")
    for name in NAMES
    for check in assignment(name).checks
    for mistake in task_of(name, check).mistakes
]


@each_assignment
def test_the_reference_solution_gets_full_marks(name):
    _, said = solved(name)
    for check in assignment(name).checks:
        assert f"✓ {task_of(name, check).name}" in said


@each_assignment
def test_the_untouched_release_fails_every_check(name):
    failed, names = [], {}
    checks = {check.at: check.task for check in assignment(name).checks}
    for at, cell in assignment(name).code():
        if at not in checks:
            run(released(cell.source), names)
            continue
        for source in (cell.source, released(cell.source)):  # graded, and what the student sees
            with pytest.raises(AnswerError):
                run(source, dict(names))
        failed.append(checks[at])
    assert failed == list(checks.values())


@pytest.mark.parametrize(("name", "check", "mistake"), CASES)
def test_a_mistake_fails_its_check_with_the_hint_that_names_it(name, check, mistake):
    old, new = WRONG[name][check.task][mistake.name]
    cell = assignment(name).solution(check)
    assert cell.source.count(old) == 1, "the reference has changed; change this mistake, too"
    names = dict(solved(name)[0][check.at])
    run(cell.source.replace(old, new), names)
    with pytest.raises(AnswerError, match=re.escape(mistake.hint)):
        run(check.source, names)
    if not isinstance(task_of(name, check), Prediction):  # a guess is judged after the run
        with pytest.raises(AnswerError, match=re.escape(mistake.hint)):
            run(released(check.source), names)


def test_the_table_of_wrong_solutions_is_the_catalogue():
    catalogue = {
        name: {c.task: {m.name for m in task_of(name, c).mistakes} for c in assignment(name).checks}
        for name in NAMES
    }
    assert {n: {t: set(w) for t, w in tasks_.items()} for n, tasks_ in WRONG.items()} == catalogue


@each_assignment
def test_has_four_graded_tasks_and_all_kinds(name):
    checks, module = assignment(name).checks, importlib.import_module(assignment(name).chapter)
    assert len(checks) + len(assignment(name).explanations) >= 4
    assert {type(task).__name__ for task in tasks(module).values()} == {
        "CodeTask", "NumberTask", "Prediction",
    }  # fmt: skip
    assert [check.task for check in checks] == list(dict.fromkeys(c.task for c in checks))
    assert {check.task for check in checks} == set(tasks(module))
    assert len(assignment(name).explanations) == 1


@each_assignment
def test_the_rubric_adds_up_to_the_points(name):
    (cell,) = assignment(name).explanations
    question = assignment(name).cells[assignment(name).cells.index(cell) - 1].source
    rubric = [int(points) for points in re.findall(r"^\| (\d+) \|", question, re.MULTILINE)]
    assert len(rubric) >= 3
    assert sum(rubric) == settings(cell)["points"]


@each_assignment
def test_headings_and_title_tell_the_points(name):
    cells = assignment(name).cells
    graded = [settings(cell)["points"] for cell in cells if settings(cell).get("grade")]
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    headings = re.findall(r"^## \d+\. .*\((\d+) points?\)$", prose, re.MULTILINE)
    assert [int(points) for points in headings] == graded
    assert f"{sum(graded)} points" in cells[0].source


@each_assignment
def test_grade_ids_are_unique_and_complete(name):
    told = [settings(cell) for cell in assignment(name).cells if settings(cell)]
    ids = [one["grade_id"] for one in told]
    assert len(set(ids)) == len(ids)
    for one in told:
        assert one["schema_version"] == 3
        assert ("points" in one) == one["grade"]
        assert one["locked"] == (one["grade"] and not one["solution"])


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assignments")
    for path in TEXTS:
        jupytext.write(jupytext.read(path), folder / f"{path.stem}.ipynb")
    return folder


@pytest.mark.parametrize("command", [["check", "--extend-ignore=B018,E402"], ["format", "--check"]])
def test_code_cells_are_lint_clean(notebooks, command):
    config = f"--config={ROOT / 'pyproject.toml'}"
    ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", config, str(notebooks)]
    result = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@each_assignment
def test_cells_are_short(name):
    for cell in assignment(name).cells:
        lines, words = cell.source.count("\n") + 1, len(cell.source.split())
        assert (lines <= 15) if cell.cell_type == "code" else (words <= 130), cell.source
