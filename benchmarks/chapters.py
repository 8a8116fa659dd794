"""Chapters: seconds, CPU seconds and peak memory of each, beside the limits that they promise.

Each notebook runs from top to bottom in a fresh kernel, one after the other, and nothing is
saved. What a chapter teaches is what its cells do. The rest is overhead: the start of the kernel,
what the cells import, which runs before each of them by itself, and what Jupyter takes between
two cells. Memory counts the kernel and what it starts; pages that several share count
once.
"""

import sys
import time
from pathlib import Path

import psutil
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from side_by_side import arguments, save, table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.notebooks import (  # noqa: E402
    CELL_TIMEOUT,
    Pair,
    PeakMemory,
    find_pairs,
    imports_of,
    read_text,
)

LIMITS = {"seconds": 60, "overhead": 15, "MB": 1200}  # what a chapter may take


def measure(pair: Pair) -> dict[str, float]:
    """Run one notebook; seconds, of these overhead, CPU seconds and MB (10⁶ bytes)."""
    notebook = read_text(pair, pair.text.read_text(encoding="utf-8"))
    folder = {"metadata": {"path": str(pair.notebook.parent)}}
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT, kernel_name="python3", resources=folder)
    taken = []
    start = time.perf_counter()
    with PeakMemory() as memory, client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            if imports := imports_of(cell):
                client.execute_cell(new_code_cell(imports), index)
            begin = time.perf_counter()
            client.execute_cell(cell, index)
            taken.append(time.perf_counter() - begin)
        times = psutil.Process(client.km.provisioner.process.pid).cpu_times()
        seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "overhead": seconds - sum(taken),
        "CPU seconds": sum(times[:4]),
        "MB": memory.peak / 1e6,
    }


def main() -> None:
    options = arguments(__doc__)
    figures = {pair.name: measure(pair) for pair in find_pairs(ROOT)}
    columns = ["seconds", "overhead", "CPU seconds", "MB"]
    rows = [[name, *(f"{one[key]:.0f}" for key in columns)] for name, one in figures.items()]
    rows.append(["limit", *(LIMITS.get(key, "") for key in columns)])
    print(table(["chapter", *columns], rows))
    save(options.json, figures)


if __name__ == "__main__":
    main()
