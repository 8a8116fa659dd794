"""AttentionExplorer: milliseconds from a control's change to the new picture.

Every slider is moved over its range, at up to 64 tokens and 16 heads, one change at a time, in
an order drawn at random, as a reader's hand would.
"""

import random
import time
from statistics import median, quantiles

import torch

from bigmodel_lib.widgets import AttentionExplorer
from side_by_side import arguments, save, table

TEXT = "the quick brown fox jumps over the lazy dog and runs away again."
MOVES = {
    "temperature": [0.1 * 1.26**i for i in range(20)],
    "head": list(range(1, 17)),
    "length": list(range(2, 65)),
    "D": [64, 96, 128, 192, 256],
    "rule": ["1/√d", "article", "none"],
    "mask": ["none", "causal"],
    "positions": ["none", "sinusoidal", "rotary", "ALiBi"],
    "seed": list(range(10)),
}
CHANGES = 60  # of each control


def latencies() -> dict[str, list[float]]:
    """Milliseconds by control."""
    explorer = AttentionExplorer(text=TEXT, split="characters", H=16, d=16, D=256)
    explorer.run()
    dice = random.Random(0)
    order = [name for name in MOVES for _change in range(CHANGES)]
    dice.shuffle(order)
    times = {name: [] for name in MOVES}
    for name in order:
        control = explorer.controls[name]
        control.value = dice.choice([v for v in MOVES[name] if v != control.value])
        start = time.perf_counter()
        explorer._tick()  # what the kernel's loop does with the change
        times[name].append(1000 * (time.perf_counter() - start))
        if explorer.error is not None:
            raise explorer.error
    return times


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)  # what the chapters choose
    times = latencies()
    times["all"] = [t for values in times.values() for t in values]
    figures = {
        name: {"median ms": median(values), "95th percentile ms": quantiles(values, n=20)[-1]}
        for name, values in times.items()
    }
    rows = [[name, *(f"{v:.1f}" for v in figure.values())] for name, figure in figures.items()]
    print(table(["control", *figures["all"]], rows))
    save(options.json, figures)


if __name__ == "__main__":
    main()
