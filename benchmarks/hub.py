"""A JupyterHub with a class that comes all at once: seconds to wait, and memory.

python benchmarks/hub.py [--json FILE] [--students N …]

Simulated students log in at one moment and start their servers; when all have one, each starts a
kernel; when all have one, each runs chapter 2's first two code cells, which import the library.
The hub and all students share this machine. Memory is taken at the end; pages that several share
count once, so each further student costs less than the first.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import nbformat
import psutil

from side_by_side import save, table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import hub as hubs  # noqa: E402
from tools.notebooks import memory_of  # noqa: E402

CHAPTER = ROOT / "notebooks" / "02_concepts.ipynb"
STEPS = ("server", "kernel", "first cells")


def first_cells(count: int = 2) -> list[str]:
    """The code of a chapter's beginning."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"][:count]


def attend(hub: hubs.Hub, name: str, all_ready: threading.Barrier) -> dict[str, float]:
    """One student's lesson; seconds of each step, which all students begin together."""
    seconds = {}

    def step(name: str, run: Callable[[], object]) -> object:
        all_ready.wait()
        start = time.perf_counter()
        result = run()
        seconds[name] = time.perf_counter() - start
        return result

    def arrive():
        student = hub.visitor(name)
        student.start_server()
        return student

    try:
        student = step("server", arrive)
        kernel = step("kernel", student.start_kernel)
        step("first cells", lambda: [kernel.run(code) for code in first_cells()])
    except Exception:
        all_ready.abort()  # or the others would wait for this one
        raise
    return seconds


def part(process: psutil.Process) -> str:
    """Whose memory it is."""
    if not process.environ().get("JUPYTERHUB_SERVICE_PREFIX", "").startswith("/user/"):
        return "hub"
    return "kernels" if "ipykernel_launcher" in process.cmdline() else "servers"


def measure(count: int, folder: Path) -> dict[str, float]:
    """A lesson of so many: median and slowest of each step (s), memory (MiB)."""
    names = [f"student{number:02}" for number in range(1, count + 1)]
    all_ready = threading.Barrier(count)
    with hubs.started(folder, names) as hub, ThreadPoolExecutor(count) as at_once:
        lessons = list(at_once.map(lambda name: attend(hub, name, all_ready), names))
        processes = [(part(process), process) for process in hub.processes()]
        memory = {
            f"{name}, MiB": memory_of(one for other, one in processes if other == name) / 2**20
            for name in ("hub", "servers", "kernels")
        }
    figures = {}
    for step in STEPS:
        times = [lesson[step] for lesson in lessons]
        figures |= {f"{step}, s": median(times), f"{step}, slowest, s": max(times)}
    each = (memory["servers, MiB"] + memory["kernels, MiB"]) / count
    return figures | memory | {"each student, MiB": each}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--students", type=int, nargs="+", default=[1, 5, 10], metavar="N")
    options = parser.parse_args()
    if lacks := hubs.missing():
        print(f"skipped: a hub needs {lacks}")
        return
    figures = {}
    for count in options.students:
        with tempfile.TemporaryDirectory() as folder:
            figures[count] = measure(count, Path(folder))
    rows = [[count, *(f"{value:.3g}" for value in one.values())] for count, one in figures.items()]
    print(table(["students", *figures[options.students[0]]], rows))
    load = {"processors": psutil.cpu_count(), "load before and now": psutil.getloadavg()}
    save(options.json, {"hub": figures} | load)


if __name__ == "__main__":
    main()
