"""Chapters: seconds, CPU seconds and peak memory of each, beside the limits that they promise.

Each notebook runs from top to bottom in a fresh kernel, one after the other, and nothing is
saved. Memory counts the kernel and what it starts; pages that several share count once.
"""

import sys
import time
from pathlib import Path

import psutil
from nbclient import NotebookClient

from side_by_side import arguments, save, table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.notebooks import CELL_TIMEOUT, Pair, PeakMemory, find_pairs, read_text  # noqa: E402

SECONDS, MIB = 60, 1200  # what a chapter may take


def measure(pair: Pair) -> dict[str, float]:
    """Run one notebook; seconds, CPU seconds and MiB."""
    notebook = read_text(pair, pair.text.read_text(encoding="utf-8"))
    folder = {"metadata": {"path": str(pair.notebook.parent)}}
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT, kernel_name="python3", resources=folder)
    start = time.perf_counter()
    with PeakMemory() as memory, client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        times = psutil.Process(client.km.provisioner.process.pid).cpu_times()
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "CPU seconds": sum(times[:4]), "MiB": memory.peak / 2**20}


def main() -> None:
    options = arguments(__doc__)
    figures = {pair.name: measure(pair) for pair in find_pairs(ROOT)}
    rows = [[name, *(f"{value:.0f}" for value in one.values())] for name, one in figures.items()]
    rows.append(["limit", str(SECONDS), "", str(MIB)])
    print(table(["chapter", "seconds", "CPU seconds", "MiB"], rows))
    save(options.json, figures)


if __name__ == "__main__":
    main()
