"""tools/notebooks.py on small notebooks in a repository of their own."""

import base64
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tools import notebooks as tool
from tools.notebooks import OF_THIS_MACHINE, VIEW, Pair, Stop

ROOT = Path(__file__).resolve().parents[2]
HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""
TEXT = HEADER + "\n# %% [markdown]\n# # Title\n\n# %%\nprint(1 + 1)\n"


def png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


DOT = png(Image.new("P", (1, 1)))


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "state")


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository without notebooks, in a path with a space."""
    root = tmp_path / "my notebooks"
    (root / "notebooks" / "src").mkdir(parents=True)
    for name in ("jupytext.toml", "pyproject.toml"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    git(root, "init", "--quiet")
    return root


@pytest.fixture
def pair(repository) -> Pair:
    """A committed pair, executed and in step."""
    made = Pair(repository, "one")
    made.text.write_text(TEXT, encoding="utf-8")
    assert run(repository) == 0
    commit(repository)
    return made


def run(root: Path, *arguments: str) -> int:
    return tool.main(["--root", str(root), *arguments])


def read(pair: Pair) -> nbformat.NotebookNode:
    return nbformat.read(pair.notebook, as_version=4)


def edit_text(pair: Pair, old: str, new: str) -> None:
    text = pair.text.read_text(encoding="utf-8")
    assert old in text
    pair.text.write_text(text.replace(old, new), encoding="utf-8")


def edit_notebook(pair: Pair, source: str) -> None:
    """Replace the source of the last cell."""
    notebook = read(pair)
    notebook.cells[-1].source = source
    nbformat.write(notebook, pair.notebook)


def outcome(pair: Pair) -> str:
    return read(pair).cells[-1].outputs[0].text


# --- in step ---------------------------------------------------------------------------


def test_a_text_alone_makes_an_executed_notebook(pair):
    assert outcome(pair) == "2\n"
    assert run(pair.root, "--check") == 0


def test_the_edited_text_wins_and_ids_stay(pair):
    ids = [cell.id for cell in read(pair).cells]
    edit_text(pair, "1 + 1", "2 + 3")
    assert run(pair.root) == 0
    assert outcome(pair) == "5\n"
    assert [cell.id for cell in read(pair).cells] == ids


def test_the_edited_notebook_wins(pair):
    edit_notebook(pair, "print(3 + 4)")
    assert run(pair.root) == 0
    assert "print(3 + 4)" in pair.text.read_text(encoding="utf-8")
    assert outcome(pair) == "7\n"


def test_a_new_file_time_decides_nothing(pair):
    edit_text(pair, "1 + 1", "2 + 3")
    pair.notebook.touch()
    assert run(pair.root) == 0
    assert outcome(pair) == "5\n"


def test_prose_is_synced_without_a_run_and_outputs_stay(pair, monkeypatch):
    monkeypatch.setattr(tool, "execute", None)  # a call would fail
    edit_text(pair, "# # Title", "# # Better title")
    assert run(pair.root) == 0
    assert read(pair).cells[0].source == "# Better title"
    assert outcome(pair) == "2\n"


def test_where_both_changed_it_stops_and_names_them(pair, capsys):
    edit_text(pair, "1 + 1", "2 + 3")
    edit_notebook(pair, "print(3 + 4)")
    before = pair.text.read_bytes(), pair.notebook.read_bytes()
    assert run(pair.root) == 1
    said = capsys.readouterr().err
    for part in ("notebooks/src/one.py", "notebooks/one.ipynb", "FROM=text", "FROM=notebook"):
        assert part in said
    assert "both were edited" in said
    assert (pair.text.read_bytes(), pair.notebook.read_bytes()) == before


@pytest.mark.parametrize(("source", "shown"), [("text", "5\n"), ("notebook", "7\n")])
def test_from_decides(pair, source, shown):
    edit_text(pair, "1 + 1", "2 + 3")
    edit_notebook(pair, "print(3 + 4)")
    assert run(pair.root, "--from", source) == 0
    assert outcome(pair) == shown
    assert run(pair.root, "--check") == 0


def test_where_git_cannot_tell_it_stops(pair, capsys):
    edit_text(pair, "1 + 1", "2 + 3")
    commit(pair.root)  # a commit that holds a pair out of step
    assert run(pair.root) == 1
    assert "git cannot tell" in capsys.readouterr().err


def test_an_unknown_name_is_an_error(pair, capsys):
    assert run(pair.root, "two") == 1
    assert "no notebook named two" in capsys.readouterr().err


def test_a_name_limits_the_work(pair):
    other = Pair(pair.root, "two")
    other.text.write_text(TEXT, encoding="utf-8")
    assert run(pair.root, "notebooks/one.ipynb") == 0
    assert not other.notebook.exists()


def test_cells_are_formatted_on_both_sides(pair):
    edit_text(pair, "print(1 + 1)", "print( 1+1 )")
    assert run(pair.root) == 0
    assert read(pair).cells[-1].source == "print(1 + 1)"
    assert "print(1 + 1)" in pair.text.read_text(encoding="utf-8")


# --- executed --------------------------------------------------------------------------


def test_what_did_not_change_does_not_run_unless_asked(pair, capsys):
    assert run(pair.root) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert run(pair.root, "--all") == 0
    assert "executed in" in capsys.readouterr().out


def test_it_prints_time_and_memory_of_the_kernel(pair, capsys):
    edit_text(pair, "print(1 + 1)", "import time\n\nheld = bytearray(300 * 2**20)\ntime.sleep(0.3)")
    assert run(pair.root) == 0
    words = capsys.readouterr().out.splitlines()[0].split()
    assert float(words[words.index("peak") + 1]) > 300


def test_it_runs_in_the_folder_of_the_notebooks(pair):
    edit_text(pair, "print(1 + 1)", "from pathlib import Path\n\nprint(Path.cwd().name)")
    assert run(pair.root) == 0
    assert outcome(pair) == "notebooks\n"


@pytest.mark.parametrize("code", ["1 / 0", "import os\n\nos._exit(1)"], ids=["error", "dead"])
def test_a_failing_cell_leaves_the_files_untouched(pair, code, capsys):
    edit_text(pair, "print(1 + 1)", code)
    before = pair.text.read_bytes(), pair.notebook.read_bytes()
    assert run(pair.root) == 1
    assert "one: a cell failed" in (said := capsys.readouterr().err)
    assert ("ZeroDivisionError" in said) == (code == "1 / 0")
    assert (pair.text.read_bytes(), pair.notebook.read_bytes()) == before


def test_a_cell_that_takes_too_long_is_stopped(pair):
    notebook = read(pair)
    notebook.cells[-1].source = "import time\n\ntime.sleep(60)"
    with pytest.raises(Stop, match="a cell failed"):
        tool.execute(pair, notebook, timeout=1)


# --- clean -----------------------------------------------------------------------------


def cleaned(*outputs, tags=(), **metadata) -> list:
    cell = new_code_cell("f()", outputs=list(outputs), metadata={"tags": list(tags), **metadata})
    notebook = tool.clean(new_notebook(cells=[cell]), ROOT)
    return notebook.cells[0].outputs


def display(**data) -> nbformat.NotebookNode:
    kinds = {"text": "text/plain", "html": "text/html", "png": "image/png", "view": VIEW}
    return new_output("display_data", data={kinds[kind]: value for kind, value in data.items()})


def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return new_output("stream", name=name, text=text)


def test_a_widget_keeps_its_still():
    lab = display(view={"model_id": "1"}, png=DOT, text="GANLab()")
    assert [one.data for one in cleaned(lab)] == [{"image/png": DOT, "text/plain": "GANLab()"}]


def test_pictures_get_256_colours_that_look_the_same_and_only_once():
    colours = [(x * 8, y * 8, (x + y) * 4) for y in range(32) for x in range(32)]
    image = Image.new("RGB", (32, 32))
    image.putdata(colours)
    lean = tool.lean_png(png(image))
    shown = Image.open(io.BytesIO(base64.b64decode(lean)))
    assert (shown.mode, shown.size) == ("P", (32, 32))
    pairs = zip(shown.convert("RGB").tobytes(), image.tobytes(), strict=True)
    assert max(abs(a - b) for a, b in pairs) <= 32
    assert tool.lean_png(lean) == lean


def test_what_a_cell_imports_is_told_apart_from_what_it_does():
    source = "import os\nfrom a.b import (\n    c,\n    d as e,\n)\n\n\ndef f():\n    import late\n"
    assert tool.imports_of(new_code_cell(source)) == "import os\nfrom a.b import c, d as e"
    assert tool.imports_of(new_code_cell("print('import os')")) == ""


def test_printed_lines_become_one_output_but_stay_before_and_behind_a_display():
    there, back = stream("low\n"), stream("high\n")
    assert cleaned(there, display(text="1"), back) == [there, display(text="1"), back]
    assert cleaned(there, back, stream("!", "stderr"), there) == [
        stream("low\nhigh\n"), stream("!\n", "stderr"), there
    ]  # fmt: skip


def test_a_widget_without_a_still_goes():
    assert cleaned(display(view={"model_id": "1"}, text="HBox()"), display(text="3")) == [
        display(text="3")
    ]


def test_progress_bars_go_and_warnings_stay():
    bar = "  0%|          | 0/9\r 50%|█████     | 4/9 [00:01<00:01, 3.00it/s]\n"
    assert cleaned(stream(bar, "stderr")) == []
    assert cleaned(stream(bar + "Warning: x\n", "stderr")) == [stream("Warning: x\n", "stderr")]


def test_a_machine_cell_says_so_instead():
    assert cleaned(stream("7.1 s"), display(png=DOT), tags=["machine"]) == [stream(OF_THIS_MACHINE)]


def test_metadata_goes():
    code = new_code_cell("f()", metadata={"execution": {}, "collapsed": True, "tags": ["a"]})
    prose = new_markdown_cell("x", metadata={"editable": True})
    kept = {"kernelspec": tool.KERNEL}
    made = kept | {"widgets": {"state": {}}, "language_info": {"name": "python"}}
    notebook = tool.clean(new_notebook(cells=[code, prose], metadata=made), ROOT)
    assert [cell.metadata for cell in notebook.cells] == [{"tags": ["a"]}, {}]
    assert notebook.metadata == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"{ROOT}/notebooks/x.png", "./notebooks/x.png"),
        (f"in {ROOT}.", "in .."),
        (f"'{Path.home()}/cache'", "'~/cache'"),
        (f"{tempfile.gettempdir()}/x1", "(temporary)/x1"),
        (f"{sys.prefix}/lib", "(environment)/lib"),
        (f"{tempfile.gettempdir()}est/x", f"{tempfile.gettempdir()}est/x"),
        (f"a{Path.home()}/b", f"a{Path.home()}/b"),
    ],
)
def test_paths_of_the_machine_go(said, kept):
    assert cleaned(stream(said)) == [stream(kept)]
    assert cleaned(display(html=said)) == [display(html=kept)]


def test_cleaning_leaves_its_argument_as_it_is_and_is_idempotent():
    cell = new_code_cell("f()", outputs=[stream(str(Path.home()))], metadata={"execution": {}})
    notebook = new_notebook(cells=[cell])
    once = tool.clean(notebook, ROOT)
    assert cell.outputs[0].text == str(Path.home())
    assert tool.clean(once, ROOT) == once


# --- check -----------------------------------------------------------------------------


def test_check_names_a_pair_out_of_step(pair, capsys):
    edit_text(pair, "# # Title", "# # Other")
    assert run(pair.root, "--check") == 1
    assert "text and notebook differ" in capsys.readouterr().out


def test_check_names_what_was_not_executed(pair, capsys):
    edit_text(pair, "1 + 1", "2 + 3")
    edit_notebook(pair, "print(2 + 3)")
    assert run(pair.root, "--check") == 1
    assert "not executed since" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (display(view={}, png=DOT), "live views"),
        (stream("Warning: x\n", "stderr"), "complains: Warning"),
        (new_output("error", ename="E", evalue="wrong", traceback=[]), "complains: wrong"),
        (display(text="A" * 1_000_001), "more than 1,000,000"),
    ],
)
def test_check_names_a_bad_output(pair, output, problem, capsys):
    notebook = read(pair)
    notebook.cells[-1].outputs = [output]
    nbformat.write(notebook, pair.notebook)
    assert run(pair.root, "--check") == 1
    assert problem in capsys.readouterr().out


def test_check_adds_the_sizes_up(pair, monkeypatch, capsys):
    monkeypatch.setattr(tool, "ALL_NOTEBOOKS", 100)
    assert run(pair.root, "--check") == 1
    assert "all notebooks" in capsys.readouterr().out


def test_check_names_a_text_without_notebook(pair, capsys):
    pair.notebook.unlink()
    assert run(pair.root, "--check") == 1
    assert "there is no notebook" in capsys.readouterr().out
