"""Explorers: milliseconds from a control's change to the new picture.

Controls are moved over their range, one change at a time, in an order drawn at random, as a
reader's hand would; AttentionExplorer at up to 64 tokens and 16 heads, VAELab with a code of 8
and a run that has begun. Each also stands beside `ipywidgets.interactive` with `plt.subplots`,
drawing the same data, in turns, and beside itself without any drawing: what only computes is the
same on both sides. Of a lab that trains, what counts is the first picture after the change: its
peer, too, stops there, though a tutorial would first train to the end.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import ipywidgets
import torch

from bigmodel_lib.cached.language import NumberTranslator
from bigmodel_lib.costs import PUBLISHED
from bigmodel_lib.models.bpe import train
from bigmodel_lib.models.transformer import GPT, PRESETS, GPTConfig
from bigmodel_lib.widgets import (
    GAN1D,
    AdversarialLab,
    AttentionExplorer,
    BackpropStepper,
    DenoisingLab,
    DetectorLab,
    DrawDigit,
    EfficiencyLab,
    GANLab,
    ModelBuilder,
    OptimizerRace,
    PipelineLab,
    ResourceCalculator,
    SamplerLab,
    ScalingLab,
    SpectrogramLab,
    TranslatorLab,
    VAELab,
)
from bigmodel_lib.widgets.base import Explorer
from pyplot_peers import DRAW, interactive, with_pyplot, without_picture
from side_by_side import CLOCKS, parser, ratio, save, table

CHANGES = 60  # of each control
OFFERED = ()  # all values of a control that offers some
TURNS = 20  # at most, in which ours, pyplot's, and none is drawn, for each of these controls
PEER_MOVES = {  # what readers move most
    "AdversarialLab": ("epsilon", "digit"),
    "AttentionExplorer": ("temperature", "head"),
    "BackpropStepper": ("at", "input1"),
    "DenoisingLab": ("look", "digit"),
    "DetectorLab": ("score", "seed"),
    "DrawDigit": ("pad",),
    "EfficiencyLab": ("precision", "pruned"),
    "GAN1D": ("mean", "std"),
    "GANLab": ("d_lr", "batch_size"),
    "ModelBuilder": ("L", "preset"),
    "OptimizerRace": ("beta1", "start_x"),
    "PipelineLab": ("scaling", "lr"),
    "ResourceCalculator": ("D", "preset"),
    "SamplerLab": ("temperature", "k"),
    "ScalingLab": ("named", "family"),
    "SpectrogramLab": ("pitch", "M"),
    "TranslatorLab": ("step", "head"),
    "VAELab": ("x", "first"),
}


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


def _gan() -> Explorer:
    lab = GANLab()
    lab.run(steps=20)
    return lab


def _race() -> Explorer:
    race = OptimizerRace()
    race.run(steps=100)
    return race


def _sampler() -> Explorer:
    torch.manual_seed(0)
    encoding = train("the cat sat on the mat and the dog sat on the log " * 3, 263)
    model = GPT(GPTConfig(V=263, T=128, L=2, D=64, H=4))
    return SamplerLab(model, encoding, length=5, prompt="the cat")


def _pad() -> list:
    """A stroke that grows point by point, as under a pen."""
    points = [[0.2 + 0.006 * i, 0.2] for i in range(100)]
    return [[points[: n + 2]] for n in range(98)]


CASES = {
    "BackpropStepper": Case(
        BackpropStepper,
        {f"input{i}": [0.1 * x for x in range(-20, 21)] for i in (1, 2)} | {"at": range(15)},
    ),
    "DenoisingLab": Case(
        DenoisingLab, {"digit": range(10), "look": range(101), "eta": [0.0, 0.5, 1.0]}
    ),
    "DetectorLab": Case(
        DetectorLab,
        {
            "score": [0.05 * i for i in range(1, 20)],
            "most": [0.05 * i for i in range(1, 20)],
            "truth": [False, True],
            "seed": range(20),
        },
    ),
    "GAN1D": Case(
        GAN1D,
        {
            "mean": [0.1 * i for i in range(-20, 21)],
            "std": [0.1 * i for i in range(3, 20)],
            "answer": OFFERED,
        },
    ),
    "GANLab": Case(
        _gan, {"d_lr": [1e-3, 2e-3, 5e-3], "batch_size": [16, 32, 64], "beta1": [0.0, 0.5, 0.9]}
    ),
    "OptimizerRace": Case(
        OptimizerRace,
        {
            "lr_SGD": [1e-3, 2e-3, 5e-3, 1e-2],
            "beta1": [0.1 * i for i in range(10)],
            "start_x": [0.1 * i for i in range(-20, 21)],
        },
    ),
    "PipelineLab": Case(
        PipelineLab, {"scaling": OFFERED, "leak": [False, True], "lr": [0.01, 0.1, 0.3]}
    ),
    "SamplerLab": Case(
        _sampler,
        {
            "temperature": [0.1 * i for i in range(1, 20)],
            "k": range(1, 50),
            "p": [0.05 * i for i in range(1, 21)],
        },
    ),
    "ScalingLab": Case(ScalingLab, {"named": OFFERED, "family": OFFERED}),
    "SpectrogramLab": Case(
        SpectrogramLab,
        {
            "pitch": [90 + 5.0 * i for i in range(30)],
            "overlap": [2, 4, 8],
            "bands": range(10, 21, 2),
            "M": [256, 512],
        },
    ),
    "TranslatorLab": Case(
        lambda: TranslatorLab(NumberTranslator().load()[0]),
        {"step": range(4), "head": OFFERED},
    ),
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


# at step 0, as above, there is nothing to race and little to draw
PEER_MAKE = {"OptimizerRace": _race}


def values_of(explorer: Explorer, moves: dict[str, Sequence]) -> dict[str, list]:
    """Values of each control."""
    return {
        name: list(values) or [value for _, value in explorer.controls[name]._options_full]
        for name, values in moves.items()
    }


def change(explorer: Explorer, name: str, value, clock: Callable[[], float]) -> float:
    """Milliseconds from a control's new value to the picture.

    Raises:
        SystemExit: the explorer refuses the value.
        Exception: whatever went wrong in it.
    """
    explorer.controls[name].value = value
    start = clock()
    explorer._tick()  # what the kernel's loop does with the change
    took = 1000 * (clock() - start)
    if explorer.error is not None:
        raise explorer.error
    if explorer._refused:
        raise SystemExit(f"{type(explorer).__name__}: {explorer._refused}")
    return took


def latencies(case: Case, changes: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Milliseconds by control."""
    explorer = case.make()
    explorer.run()
    dice = random.Random(0)
    values = values_of(explorer, case.moves)
    order = [name for name in case.moves for _change in range(changes)]
    dice.shuffle(order)
    times = {name: [] for name in case.moves}
    for name in order:
        now = explorer.controls[name].value
        value = dice.choice([v for v in values[name] if v != now])
        times[name].append(change(explorer, name, value, clock))
    return times


def beside_peer(name: str, control: str, turns: int, clock: Callable[[], float]) -> dict:
    """Milliseconds of one control's changes, of the explorer and of its peer, in turns.

    Returns:
        "ours" and "pyplot": from the change to the picture; "compute": without any drawing.
    """
    make = PEER_MAKE.get(name, CASES[name].make)
    ours, theirs, undrawn = make(), with_pyplot(make()), without_picture(make())
    for explorer in (ours, theirs, undrawn):
        explorer.run()
    by_pyplot, dice = interactive(theirs, control), random.Random(0)
    values, times = values_of(ours, CASES[name].moves)[control], ([], [], [])
    for _turn in range(turns + 2):
        value = dice.choice([v for v in values if v != ours.controls[control].value])
        times[0].append(change(ours, control, value, clock))
        start = clock()
        by_pyplot(value)
        times[1].append(1000 * (clock() - start))
        times[2].append(change(undrawn, control, value, clock))
    sides = zip(("ours", "pyplot", "compute"), times, strict=True)
    return {side: taken[2:] for side, taken in sides}  # after fonts and caches


def compare_peers(changes: int, clock: Callable[[], float], chosen: Sequence[str] = tuple(DRAW)):
    """Ours over theirs, by explorer and control; a table of them is printed."""
    figures, rows = {}, []
    for name, control in [(n, control) for n in chosen for control in PEER_MOVES[n]]:
        times = beside_peer(name, control, min(changes, TURNS), clock)
        found = {f"{side}, median ms": median(taken) for side, taken in times.items()}
        found |= ratio(times["ours"], times["pyplot"])
        found["compute / pyplot"] = found["compute, median ms"] / found["pyplot, median ms"]
        figures.setdefault(name, {})[control] = found
        ipywidgets.Widget.close_all()  # or every explorer so far stays in memory
        cells = [found[f"{side}, median ms"] for side in ("ours", "pyplot", "compute")]
        cells += [found["median"], found["lower"], found["upper"], found["compute / pyplot"]]
        rows.append([name, control, *(f"{value:.2f}" for value in cells)])
    head = ["explorer", "control", "ours, ms", "pyplot, ms", "compute, ms", "ours / pyplot"]
    print(table([*head, "lower", "upper", "compute / pyplot"], rows))
    return figures


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--changes", type=int, default=CHANGES, help="of each control")
    options.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: for a busy machine")
    options.add_argument("--only", choices=CASES, metavar="NAME", help="one explorer, no peers")
    options = options.parse_args()
    clock = CLOCKS[options.clock]
    torch.set_num_threads(1)  # what the chapters choose
    figures, rows = {}, []
    for explorer in [options.only] if options.only else CASES:
        times = latencies(CASES[explorer], options.changes, clock)
        times["all"] = [t for values in times.values() for t in values]
        figures[explorer] = {
            name: {"median ms": median(values), "95th percentile ms": quantiles(values, n=20)[-1]}
            for name, values in times.items()
        }
        for name, figure in figures[explorer].items():
            rows.append([explorer, name, *(f"{value:.1f}" for value in figure.values())])
    print(table(["explorer", "control", "median ms", "95th percentile ms"], rows))
    if not options.only:
        figures["beside pyplot"] = compare_peers(options.changes, clock)
    save(options.json, figures)


if __name__ == "__main__":
    main()
