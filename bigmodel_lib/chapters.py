"""The executed chapters as they lie in a folder: each cell with the section that it belongs to."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NAME = re.compile(r"\d\d_\w+\.ipynb")
HEADING = re.compile(r"^#{1,6} ((\d(?:\.\d)?) .*)$", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """A place in a chapter.

    Attributes:
        notebook: file name, such as "06_applications.ipynb".
        number: the article's, such as "6.1"; "" before the first heading that has one.
        title: of the heading, its number included.
    """

    notebook: str
    number: str = ""
    title: str = ""

    @property
    def link(self) -> str:
        """Leads JupyterLab to the heading, and other readers to the notebook."""
        return (
            f"{self.notebook}#{quote(self.title.replace(' ', '-'))}"
            if self.title
            else self.notebook
        )


def chapter_names(folder: Path = FOLDER) -> list[str]:
    """File names of the chapters in a folder, in their order.

    Raises:
        FileNotFoundError: there is none.
    """
    names = sorted(path.name for path in folder.glob("*.ipynb") if NAME.fullmatch(path.name))
    if not names:
        raise FileNotFoundError(f"need chapters like 01_background.ipynb in {folder}")
    return names


def executed_cells(
    folder: Path = FOLDER, *, but: Collection[str] = ()
) -> Iterator[tuple[Mapping[str, Any], Section]]:
    """Each code cell of the executed chapters, with its section.

    Args:
        folder: that holds the notebooks.
        but: file names to leave out, such as that of the notebook which asks.

    Raises:
        FileNotFoundError: there is no chapter.
        ValueError: a chapter has no outputs: it was saved without having been executed.
    """
    for name in chapter_names(folder):
        if name in but:
            continue
        cells = json.loads((folder / name).read_text(encoding="utf-8"))["cells"]
        if not any(cell.get("outputs") for cell in cells):
            raise ValueError(f"need an executed notebook, {name} has no outputs")
        yield from sections(cells, name)


def sections(
    cells: list[Mapping[str, Any]], name: str
) -> Iterator[tuple[Mapping[str, Any], Section]]:
    """Each code cell of one notebook, with its section.

    Args:
        cells: of a notebook as JSON, nbformat 4.
        name: of its file.
    """
    here = Section(name)
    for cell in cells:
        if cell["cell_type"] == "markdown":
            for title, number in HEADING.findall("".join(cell["source"])):
                here = Section(name, number, title)
        elif cell["cell_type"] == "code":
            yield cell, here
