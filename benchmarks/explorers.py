"""Explorers: milliseconds from a control's change to the new picture.

Controls are moved over their range, one change at a time, in an order drawn at random, as a
reader's hand would; AttentionExplorer at up to 64 tokens and 16 heads, VAELab with a code of 8
and a run that has begun.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import torch

from bigmodel_lib.costs import PUBLISHED
from bigmodel_lib.models.transformer import PRESETS
from bigmodel_lib.widgets import (
    AdversarialLab,
    AttentionExplorer,
    DrawDigit,
    EfficiencyLab,
    ModelBuilder,
    ResourceCalculator,
    VAELab,
)
from bigmodel_lib.widgets.base import Explorer
from side_by_side import arguments, save, table

CHANGES = 60  # of each control


@dataclass(frozen=True)
class Case:
    """What is moved: an explorer, and the values of its controls."""

    make: Callable[[], Explorer]
    moves: dict[str, Sequence]


def _attention() -> Explorer:
    text = "the quick brown fox jumps over the lazy dog and runs away again."
    return AttentionExplorer(text=text, split="characters", H=16, d=16, D=256)


def _vae() -> Explorer:
    lab = VAELab(Z=8)
    lab.run(steps=50)
    return lab


def _pad() -> list:
    """A stroke that grows point by point, as under a pen."""
    points = [[0.2 + 0.006 * i, 0.2] for i in range(100)]
    return [[points[: n + 2]] for n in range(98)]


CASES = {
    "AdversarialLab": Case(
        AdversarialLab,
        {
            "epsilon": [0.01 * i for i in range(41)],
            "attack": ["FGSM", "PGD", "noise"],
            "model": ["standard", "hardened"],
            "digit": range(300),
        },
    ),
    "DrawDigit": Case(DrawDigit, {"pad": _pad()}),
    "EfficiencyLab": Case(
        EfficiencyLab,
        {"precision": ["float32", "bfloat16", "int8"], "pruned": range(0, 96, 5)},
    ),
    "ResourceCalculator": Case(
        ResourceCalculator,
        {
            "preset": list(PUBLISHED),
            "D": [10 ** (9 + 0.05 * i) for i in range(80)],
            "pue": [1 + 0.01 * i for i in range(100)],
            "grid": [0.01 * i for i in range(100)],
            "price": [0.1 * i for i in range(200)],
        },
    ),
    "AttentionExplorer": Case(
        _attention,
        {
            "temperature": [0.1 * 1.26**i for i in range(20)],
            "head": range(1, 17),
            "length": range(2, 65),
            "D": [64, 96, 128, 192, 256],
            "rule": ["1/√d", "article", "none"],
            "mask": ["none", "causal"],
            "positions": ["none", "sinusoidal", "rotary", "ALiBi"],
            "seed": range(10),
        },
    ),
    "ModelBuilder": Case(
        lambda: ModelBuilder(H=16, D=1024),
        {
            "preset": list(PRESETS),
            "L": range(1, 129),
            "V": [256, 1024, 16384, 50257, 262144],
            "T": [64, 1024, 16384, 131072],
            "B": [1, 2, 4, 8, 16, 32, 64, 128, 256],
            "train": ["float32", "mixed"],
            "serve": ["float32", "16 bit", "8-bit weights"],
        },
    ),
    "VAELab": Case(
        _vae,
        {
            "x": [0.05 * i for i in range(-60, 61)],
            "y": [0.05 * i for i in range(-60, 61)],
            "first": [1, 3, 5, 7],
            "second": [2, 4, 6, 8],
            "seed": range(10),
        },
    ),
}


def latencies(case: Case) -> dict[str, list[float]]:
    """Milliseconds by control."""
    explorer = case.make()
    explorer.run()
    dice = random.Random(0)
    order = [name for name in case.moves for _change in range(CHANGES)]
    dice.shuffle(order)
    times = {name: [] for name in case.moves}
    for name in order:
        control = explorer.controls[name]
        control.value = dice.choice([v for v in case.moves[name] if v != control.value])
        start = time.perf_counter()
        explorer._tick()  # what the kernel's loop does with the change
        times[name].append(1000 * (time.perf_counter() - start))
        if explorer.error is not None:
            raise explorer.error
        if explorer._refused:
            raise SystemExit(f"{type(explorer).__name__}: {explorer._refused}")
    return times


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)  # what the chapters choose
    figures, rows = {}, []
    for explorer, case in CASES.items():
        times = latencies(case)
        times["all"] = [t for values in times.values() for t in values]
        figures[explorer] = {
            name: {"median ms": median(values), "95th percentile ms": quantiles(values, n=20)[-1]}
            for name, values in times.items()
        }
        for name, figure in figures[explorer].items():
            rows.append([explorer, name, *(f"{value:.1f}" for value in figure.values())])
    print(table(["explorer", "control", "median ms", "95th percentile ms"], rows))
    save(options.json, figures)


if __name__ == "__main__":
    main()
