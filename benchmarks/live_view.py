"""Explorers that train: what the live view costs them, and how long a picture takes.

With the live view and without, in turns: one explorer takes its steps through what the kernel's
loop does (slices of work, pictures in between), its twin by `steps()` alone. All that a kernel
does beyond is the sending of messages. OptimizerRace is left out, because it walks at the speed
that its reader sets, and PipelineLab, because it stops at the step that its reader sets.
"""

from collections.abc import Callable
from statistics import median, quantiles

import torch

from bigmodel_lib.widgets import GAN1D, GANLab, VAELab
from bigmodel_lib.widgets.player import Player
from side_by_side import CLOCKS, alternate, parser, ratio, save, table

LABS = {  # how a lab is made, and the steps of one turn: about a second
    "GANLab, article": (lambda: GANLab(architecture="article"), 300),
    "GANLab, convolutional": (lambda: GANLab(architecture="convolutional"), 50),
    "GAN1D": (GAN1D, 600),
    "VAELab": (VAELab, 100),
}


def live_and_plain(make: Callable[[], Player], count: int, seconds: float, clock) -> dict:
    """Seconds a turn, round by round, of a lab that plays and of one that only trains."""
    lab, twin = make(), make()
    lab.playing = True

    def live():
        end = lab.now() + count
        while lab.now() < end:
            lab._tick()
            if lab.error is not None:
                raise lab.error

    def plain():
        twin.steps(count)

    turns = {"live": live, "plain": plain}
    return alternate(turns, seconds=seconds, device=torch.device("cpu"), clock=clock)


def frame_times(make: Callable[[], Player], frames: int, clock) -> list[float]:
    """Milliseconds from the state of a playing run to the new picture."""
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
    times, pictures = live_and_plain(make, count, seconds, clock), frame_times(make, frames, clock)
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
