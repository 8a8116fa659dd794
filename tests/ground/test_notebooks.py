"""What is committed of each notebook: equal to its text, executed, lean, without traces."""

import getpass
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupytext.compare import compare_notebooks

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = sorted((ROOT / "notebooks" / "src").glob("*.py"))
START = ROOT / "notebooks" / "index.ipynb"
VIEW = "application/vnd.jupyter.widget-view+json"
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def outputs(path: Path) -> list[nbformat.NotebookNode]:
    return [output for cell in read(path).cells for output in cell.get("outputs", [])]


def texts(path: Path) -> str:
    """All that a notebook's outputs say in words."""
    found = []
    for output in outputs(path):
        found.append(output.get("text", ""))
        data = output.get("data", {}).items()
        found += [value for kind, value in data if kind.startswith("text/")]
    return "\n".join(found)


def test_each_notebook_has_a_text_and_each_text_a_notebook():
    assert [path.stem for path in NOTEBOOKS] == [path.stem for path in TEXTS]
    assert START in NOTEBOOKS


@each_notebook
def test_notebook_equals_its_text(path):
    text = jupytext.read(path.parent / "src" / f"{path.stem}.py")
    compare_notebooks(read(path), text, "py:percent")


@each_notebook
def test_is_valid_and_in_one_format(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"


@each_notebook
def test_has_outputs_in_the_order_of_its_cells(path):
    counts = [cell.execution_count for cell in read(path).cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), "not run once, from top to bottom"
    assert outputs(path)


@each_notebook
def test_keeps_no_widget_state_and_no_live_view(path):
    notebook = read(path)
    assert "widgets" not in notebook.metadata
    assert "language_info" not in notebook.metadata
    assert [output for output in outputs(path) if VIEW in output.get("data", {})] == []


@each_notebook
def test_each_picture_has_a_text_for_who_cannot_see_it(path):
    for output in outputs(path):
        if "image/png" in output.get("data", {}):
            assert len(output.metadata["image/png"]["alt"]) > 20


@each_notebook
def test_no_cell_failed_or_complained(path):
    assert [one.evalue for one in outputs(path) if one.output_type == "error"] == []
    assert [one.text for one in outputs(path) if one.get("name") == "stderr"] == []


@each_notebook
def test_shows_no_path_of_a_machine(path):
    said = texts(path)
    for place in {str(ROOT), str(Path.home()), tempfile.gettempdir(), sys.prefix}:
        assert f"{place}/" not in said
    user = re.escape(getpass.getuser())
    assert not re.search(rf"/(home|Users|tmp|root|{user})/|[A-Z]:\\Users\\|/ipykernel_", said)


@each_notebook
def test_is_at_most_one_megabyte(path):
    assert path.stat().st_size <= 1_000_000


def test_all_together_are_at_most_six():
    assert sum(path.stat().st_size for path in NOTEBOOKS) <= 6_000_000


@each_notebook
def test_cell_metadata_is_what_the_text_keeps(path):
    kept = {"tags", "nbgrader", "slideshow"}
    assert [cell.metadata for cell in read(path).cells if set(cell.metadata) - kept] == []


@each_notebook
def test_links_inside_the_repository_lead_somewhere(path):
    prose = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    assert [link for link in LINK.findall(prose) if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
@each_notebook
def test_code_cells_are_lint_clean(path, command):
    ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", str(path)]
    result = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_start_page_checks_the_machine_and_lists_every_chapter():
    start = read(START)
    code = [cell for cell in start.cells if cell.cell_type == "code"]
    assert [cell.metadata.tags for cell in code] == [["machine"]]
    assert "check_up()" in code[0].source
    prose = "\n".join(cell.source for cell in start.cells)
    assert re.findall(r"^\| (\d) \|", prose, re.MULTILINE) == list("123456789")
    chapters = [path.name for path in NOTEBOOKS if path != START]
    assert [name for name in chapters if f"]({name})" not in prose] == []


def test_readme_lists_the_same_chapters_as_the_start_page():
    rows = re.compile(r"^\| (\d) \| \[?([^|\]]+?)\]?(?:\([^|]*\))? \| ([^|]+) \|", re.MULTILINE)
    start = "\n".join(cell.source for cell in read(START).cells)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert rows.findall(readme) == rows.findall(start)
    assert len(rows.findall(start)) == 9


@each_notebook
def test_is_stored_as_readable_json(path):
    raw = path.read_text(encoding="utf-8")
    assert raw.endswith("}\n")
    assert raw == json.dumps(json.loads(raw), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
