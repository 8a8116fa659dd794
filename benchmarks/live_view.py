"""Explorers that train: what the live view costs them, and how long a picture takes.

With the live view and without, in turns: one explorer takes its steps through what the kernel's
loop does (slices of work, pictures in between), its twin takes as many by `steps()` alone. All
that a kernel does beyond is the sending of messages. A picture is always due when a turn begins,
because its clock went on while the twin trained: so a turn takes some seconds.

OptimizerRace and PipelineLab train to a step that their reader sets, and rest. There a turn is a
new seed and the way to the last step: the twin draws once, at the end. (While it plays, a race
goes at the speed that its reader sets, the drawing of pictures included.)
"""

from collections.abc import Callable
from statistics import median, quantiles

import torch

from bigmodel_lib.widgets import (
    GAN1D,
    GANLab,
    OptimizerRace,
    PipelineLab,
    VAELab,
    optimizer_race,
    pipeline_lab,
)
from bigmodel_lib.widgets.base import Explorer
from side_by_side import CLOCKS, alternate, parser, ratio, save, table

LABS = {  # how a lab is made, and the steps of one turn; RESTING ones can go no further
    "GANLab, article": (lambda: GANLab(architecture="article"), 900),
    "GANLab, convolutional": (lambda: GANLab(architecture="convolutional"), 120),
    "GAN1D": (GAN1D, 2700),
    "VAELab": (VAELab, 750),
    "OptimizerRace": (OptimizerRace, optimizer_race.LAST),
    "PipelineLab": (PipelineLab, pipeline_lab.LAST),
}
RESTING = ("OptimizerRace", "PipelineLab")


def tick(lab: Explorer) -> bool:
    """What the kernel's loop does at a time, raising what went wrong; whether there is more."""
    more = lab._tick()
    if lab.error is not None:
        raise lab.error
    return more


def going_on(make: Callable[[], Explorer], count: int) -> dict[str, Callable[[], None]]:
    """The turns of a lab that plays, `count` steps or a slice more, and of its twin: as many."""
    lab, twin = make(), make()
    lab.playing = True

    def live():
        end = lab.now() + count
        while lab.now() < end:
            tick(lab)

    return {"live": live, "plain": lambda: twin.steps(lab.now() - twin.now())}


def to_the_end(make: Callable[[], Explorer], count: int) -> dict[str, Callable[[], None]]:
    """The turns of a lab that rests at step `count`, and of its twin: anew, and all the way."""
    lab, twin = make(), make()
    for one in (lab, twin):
        one.controls["steps"].value = count
        one.run()

    def live():
        lab.apply("seed")
        while tick(lab):
            pass

    def plain():
        twin.apply("seed")
        twin.run()

    return {"live": live, "plain": plain}


def frame_times(make: Callable[[], Explorer], frames: int, clock) -> list[float]:
    """Milliseconds from the state of a run, playing where it can, to the new picture."""
    lab = make()
    lab.playing = True
    times = []
    for _ in range(frames):
        lab.steps(2)
        start = clock()
        lab._show()
        times.append(1000 * (clock() - start))
    return times


def measure(name: str, seconds: float, clock, frames: int = 60) -> dict[str, object]:
    """What the table has of one lab."""
    make, count = LABS[name]
    turns = (to_the_end if name in RESTING else going_on)(make, count)
    times = alternate(turns, seconds=seconds, device=torch.device("cpu"), clock=clock)
    pictures = frame_times(make, frames, clock)
    return {
        "speed, live over plain": ratio(times["plain"], times["live"]),
        "steps a second, plain": count / median(times["plain"]),
        "steps a second, live": count / median(times["live"]),
        "frame, median ms": median(pictures),
        "frame, 95th percentile ms": quantiles(pictures, n=20)[-1],
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=60.0, help="of each lab, about")
    options.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: for a busy machine")
    options = options.parse_args()
    torch.set_num_threads(1)  # what the chapters choose
    figures = {name: measure(name, options.seconds, CLOCKS[options.clock]) for name in LABS}
    rows = []
    for name, one in figures.items():
        speed, *numbers = one.values()
        spread = f"{speed['median']:.2f} ({speed['lower']:.2f} … {speed['upper']:.2f})"
        rows.append([name, spread, *(f"{value:.3g}" for value in numbers)])
    print(table(["explorer", *next(iter(figures.values()))], rows))
    save(options.json, figures)


if __name__ == "__main__":
    main()
