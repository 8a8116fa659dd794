"""Every demonstration of the chapters with its still picture and the way to it."""

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from PIL import Image

from bigmodel_lib.chapters import Section

COLUMNS, WIDTH = 3, 250  # pictures a row, pixels


@dataclass(frozen=True)
class Still:
    """The picture that a widget left in an executed chapter.

    Attributes:
        name: of the widget's class.
        summary: what the picture shows, in words.
        png: the picture.
        section: where it stands.
    """

    name: str
    summary: str
    png: bytes
    section: Section

    def thumbnail(self, width: int = WIDTH, colours: int = 32) -> bytes:
        """The picture as a small PNG of few colours, for a page that holds many.

        Args:
            width: in pixels; the height follows. Smaller pictures keep their size.
            colours: at most 256.
        """
        picture = Image.open(io.BytesIO(self.png)).convert("RGB")
        picture.thumbnail((width, 10 * width), Image.Resampling.LANCZOS)
        small = io.BytesIO()
        picture.quantize(colours).save(small, "png", optimize=True)
        return small.getvalue()


def stills(cells: Iterable[tuple[Mapping[str, Any], Section]], names: Iterable[str]) -> list[Still]:
    """The stills of the widgets named, each widget's first in the order of the cells.

    Args:
        cells: with their sections, from `chapters.executed_cells`.
        names: of the classes that one looks for.

    Raises:
        ValueError: a name that no executed cell shows.
    """
    wanted, found = set(names), {}
    for cell, section in cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            name, colon, summary = "".join(data.get("text/plain", "")).partition(": ")
            if colon and name in wanted and name not in found and "image/png" in data:
                png = base64.b64decode("".join(data["image/png"]))
                found[name] = Still(name, summary, png, section)
    if wanted - set(found):
        raise ValueError(
            f"need a still of each widget, found none of {sorted(wanted - set(found))}"
        )
    return list(found.values())


def page(gallery: Iterable[Still], columns: int = COLUMNS) -> str:
    """The stills as an HTML table; each leads to the section where its widget lives.

    Raises:
        ValueError: no stills.
    """
    cells = [_cell(still) for still in gallery]
    if not cells:
        raise ValueError("need at least one still, got none")
    rows = ("".join(cells[i : i + columns]) for i in range(0, len(cells), columns))
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _cell(still: Still) -> str:
    data = base64.b64encode(still.thumbnail()).decode()
    picture = (
        f'<img src="data:image/png;base64,{data}" alt="{escape(still.summary)}" width="{WIDTH}">'
    )
    name = f"<b>{escape(still.name)}</b>, section {escape(still.section.number)}"
    link = f'<a href="{escape(still.section.link)}">{picture}<br>{name}</a>'
    return f'<td style="text-align:left;vertical-align:top">{link}</td>'
