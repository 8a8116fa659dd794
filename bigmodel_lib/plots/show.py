"""Colours, and the way a chapter shows a figure."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from IPython.display import Markdown, display
from matplotlib.figure import Figure

# Wong 2011, Points of view: Color blindness, Nature Methods 8, 441
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#777777"


def show(figure: Figure, alt: str, dpi: int = 80) -> None:
    """Display a figure with a text for readers who cannot see it, and close it.

    Args:
        figure: made by `plt.subplots` or `plt.figure`.
        alt: what a reader would see in it.
        dpi: pixels an inch; 80 keeps saved notebooks small.

    Raises:
        ValueError: no alt text.
    """
    if not alt.strip():
        raise ValueError("need an alt text that says what the figure shows, got none")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=dpi, bbox_inches="tight")
    plt.close(figure)
    picture = base64.b64encode(png.getvalue()).decode()
    bundle = {"image/png": picture, "text/plain": alt}  # the text for terminals and readers aloud
    display(bundle, metadata={"image/png": {"alt": alt}}, raw=True)


def table(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Display named rows of named values; numbers with three digits.

    Raises:
        ValueError: no rows, or rows that differ in their columns.
    """
    columns = [tuple(row) for row in rows.values()]
    if len(set(columns)) != 1:
        raise ValueError(f"need rows of the same columns, got {columns}")
    lines = [("", *columns[0]), ("--", *["--:"] * len(columns[0]))]
    lines += [(name, *map(_cell, row.values())) for name, row in rows.items()]
    display(Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines)))


def _cell(value: Any) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
