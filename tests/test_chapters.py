"""Cells with their sections, from small notebooks made here and from the project's own."""

import json

import pytest

from bigmodel_lib.chapters import FOLDER, Section, chapter_names, executed_cells, sections


def markdown(*lines):
    return {"cell_type": "markdown", "source": list(lines)}


def code(text, printed="✓"):
    outputs = [{"output_type": "stream", "name": "stdout", "text": [printed]}] if printed else []
    return {"cell_type": "code", "source": [text], "outputs": outputs}


def written(folder, name, cells):
    folder.joinpath(name).write_text(json.dumps({"cells": cells}), encoding="utf-8")


def test_a_cell_belongs_to_the_last_numbered_heading_before_it():
    cells = [
        code("set-up"),
        markdown("# 6 Applications · 实际应用场景\n\nprose"),
        code("a"),
        markdown("### Without a number"),
        markdown("## 6.1 Natural language"),
        code("b"),
        markdown("prose\n", "### 6.2 Pictures\n", "prose\n", "#### 6.3 Speech\n", "prose"),
        {"cell_type": "raw", "source": ["not code"]},
        code("c"),
    ]
    found = [(cell["source"][0], place) for cell, place in sections(cells, "06_x.ipynb")]
    assert found == [
        ("set-up", Section("06_x.ipynb")),
        ("a", Section("06_x.ipynb", "6", "6 Applications · 实际应用场景")),
        ("b", Section("06_x.ipynb", "6.1", "6.1 Natural language")),
        ("c", Section("06_x.ipynb", "6.3", "6.3 Speech")),
    ]


def test_a_link_leads_to_the_heading_as_jupyterlab_names_it():
    place = Section("06_x.ipynb", "6.1", "6.1 Natural language · 自然语言处理")
    assert place.link.startswith("06_x.ipynb#6.1-Natural-language-%C2%B7-%E8%87%AA")
    assert Section("06_x.ipynb").link == "06_x.ipynb"


def test_reads_chapters_in_order_and_leaves_out_what_it_is_told_to(tmp_path):
    for name in ("02_b.ipynb", "01_a.ipynb", "index.ipynb", "copy_of_01_a.ipynb"):
        written(tmp_path, name, [markdown("prose"), code("import os", printed=""), code(name)])
    assert chapter_names(tmp_path) == ["01_a.ipynb", "02_b.ipynb"]
    found = list(executed_cells(tmp_path, but=["01_a.ipynb"]))
    assert [cell["source"] for cell, _ in found] == [["import os"], ["02_b.ipynb"]]
    assert {place.notebook for _, place in found} == {"02_b.ipynb"}


def test_refuses_a_chapter_that_was_not_executed_and_a_folder_without_any(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"need chapters like 01_background\.ipynb"):
        chapter_names(tmp_path)
    written(tmp_path, "01_a.ipynb", [code("x", printed="")])
    with pytest.raises(ValueError, match=r"01_a\.ipynb has no outputs"):
        list(executed_cells(tmp_path))


def test_the_projects_own_chapters_are_found():
    names = chapter_names()
    assert [name[:2] for name in names] == [f"{i:02d}" for i in range(1, len(names) + 1)]
    assert all((FOLDER / name).exists() for name in names)
