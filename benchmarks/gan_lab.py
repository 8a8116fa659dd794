"""GANLab: what the live view costs training, and how long a picture takes.

Training the article's network and the convolutional one, with the live view and without, in
turns. The lab does what it does in a kernel, but for the sending of its messages.
"""

import time
from statistics import median, quantiles

import torch

from bigmodel_lib.models.gan import make_gan
from bigmodel_lib.training import GANRun, GANSettings
from bigmodel_lib.widgets import GANLab
from side_by_side import alternate, arguments, ratio, save, table

STEPS = {"article": 300, "convolutional": 50}  # of one turn: about a second
SETTINGS = GANSettings(d_lr=1e-3, g_lr=1e-3)


def live_and_plain(architecture: str, seconds: float) -> dict[str, list[float]]:
    """Seconds a step, round by round, of a lab that plays and of the bare run."""
    lab = GANLab(architecture=architecture)
    lab.playing = True
    run = GANRun(*make_gan(architecture), lab.runs[0].data, settings=SETTINGS, keep=16)

    def live():
        end = lab.runs[0].step + STEPS[architecture]
        while lab.runs[0].step < end:
            lab._tick()

    def plain():
        for _ in run.take(STEPS[architecture]):
            pass

    return alternate({"live": live, "plain": plain}, seconds=seconds, device=torch.device("cpu"))


def frame_times(architecture: str, frames: int = 100) -> list[float]:
    """Milliseconds from the state of a playing run to the new picture."""
    lab = GANLab(architecture=architecture)
    lab.playing = True
    times = []
    for _ in range(frames):
        lab.steps(2)
        start = time.perf_counter()
        lab._show()
        times.append(1000 * (time.perf_counter() - start))
    return times


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)  # what the chapters choose
    rows, figures = [], {}
    for architecture, steps in STEPS.items():
        times = live_and_plain(architecture, seconds=20)
        speed = ratio(times["plain"], times["live"])
        frames = frame_times(architecture)
        figures[architecture] = {
            "speed, live over plain": speed,
            "steps per second, plain": steps / median(times["plain"]),
            "steps per second, live": steps / median(times["live"]),
            "frame, median ms": median(frames),
            "frame, 95th percentile ms": quantiles(frames, n=20)[-1],
        }
        spread = f"{speed['median']:.2f} ({speed['lower']:.2f} to {speed['upper']:.2f})"
        numbers = [f"{value:.3g}" for value in list(figures[architecture].values())[1:]]
        rows.append([architecture, spread, *numbers])
    head = ["network", *figures["article"]]
    print(table(head, rows))
    save(options.json, figures)


if __name__ == "__main__":
    main()
