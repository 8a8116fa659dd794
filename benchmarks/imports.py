"""Imports: seconds of a fresh process that imports the library, beside one that imports torch.

In turns, a new process each time; what a process does before its first line is in both. The
explorers stand beside what every notebook with a picture imports, torch, Matplotlib's pyplot and
ipywidgets, which are none of ours.
"""

import importlib
import subprocess
import sys
import time
from statistics import median

from bigmodel_lib.widgets import MODULES
from side_by_side import parser, ratio, save, table

TORCH = "import torch"
NOTEBOOK = "import torch, matplotlib.pyplot, ipywidgets"
PARTS = ("models.gan", "models.transformer", "data.digits", "training", "metrics", "claims")


def pairs() -> dict[str, tuple[str, str]]:
    """What is imported → our line, and the line beside it."""
    library = {"bigmodel_lib": (f"{TORCH}, bigmodel_lib", TORCH)}
    parts = {name: (f"{TORCH}, bigmodel_lib.{name}", TORCH) for name in PARTS}
    pictures = {"plots": (f"{NOTEBOOK}, bigmodel_lib.plots", NOTEBOOK)}
    explorers = {
        name: (f"{NOTEBOOK}, bigmodel_lib.widgets.{module}", NOTEBOOK)
        for name, module in MODULES.items()
    }
    return library | parts | pictures | explorers


def seconds_of(line: str) -> float:
    """Seconds of a fresh process that runs one line."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", line], check=True)
    return time.perf_counter() - start


def measure(ours: str, theirs: str, rounds: int) -> dict[str, object]:
    """Seconds of both in turns, the median of each and their ratio."""
    times = {line: [] for line in (ours, theirs)}
    for _round in range(rounds):
        for line, seconds in times.items():
            seconds.append(seconds_of(line))
    found = {"ours s": median(times[ours]), "theirs s": median(times[theirs])}
    return {"beside": theirs, **found, **ratio(times[ours], times[theirs])}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=7, help="of each pair (default 7)")
    options = options.parse_args()
    importlib.import_module("torch")  # its files are in the page cache for the first round, too
    figures = {name: measure(*lines, options.rounds) for name, lines in pairs().items()}
    rows = [
        [name, one["beside"], f"{one['ours s']:.2f}", f"{one['median']:.2f}",
         f"{one['lower']:.2f} … {one['upper']:.2f}"]
        for name, one in figures.items()
    ]  # fmt: skip
    print(table(["import", "beside", "seconds", "times as long", "quartiles"], rows))
    save(options.json, figures)


if __name__ == "__main__":
    main()
