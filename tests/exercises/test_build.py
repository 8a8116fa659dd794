"""Release notebooks by nbgrader itself, and the guide's tables."""

import nbformat
import pytest

from tests.exercises.assignments import STUB, TEXTS, Assignment, released, settings
from tools import assignments, teaching


def test_the_guides_tables_are_up_to_date():
    guide = teaching.GUIDE.read_text(encoding="utf-8")
    assert teaching.filled(guide) == guide, "run `make assignments`"
    assert guide.count("| expected |") > 10
    with pytest.raises(ValueError, match="need one place"):
        teaching.filled(guide.replace("table of mistakes: begin", ""))


def test_an_unknown_assignment_is_named():
    with pytest.raises(assignments.Stop, match="no assignment 10_more; there are"):
        assignments.names(["10_more"])
    assert assignments.names([]) == [path.stem for path in TEXTS]


def test_source_notebooks_hold_solutions_and_metadata(tmp_path):
    path = assignments.write_source(TEXTS[0].stem, tmp_path)
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert "### BEGIN SOLUTION" in "".join(cell.source for cell in notebook.cells)
    assert [settings(cell) for cell in notebook.cells] == [
        settings(cell) for cell in Assignment(TEXTS[0]).cells
    ]
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    pytest.importorskip("nbgrader", reason="needs the extra classroom")
    folder = tmp_path_factory.mktemp("course")
    assignments.build([], folder)
    assignments.build([TEXTS[0].stem], folder)  # again, over what is there
    return folder


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_nbgrader_releases_what_the_proofs_take_for_the_release(course, path):
    name = path.stem
    notebook = nbformat.read(course / "release" / name / f"{name}.ipynb", as_version=4)
    for cell, source in zip(notebook.cells, Assignment(path).cells, strict=True):
        if cell.cell_type == "code":
            assert cell.source.rstrip("\n") == released(source.source)
        elif settings(source):
            assert cell.source == "*Write here.*"
        else:
            assert cell.source == source.source
    everything = str(notebook)
    assert STUB in everything
    assert "SOLUTION" not in everything
    assert "HIDDEN" not in everything
    assert ".grade(" not in everything
    assert [path.name for path in (course / "release" / name).iterdir()] == [f"{name}.ipynb"]
