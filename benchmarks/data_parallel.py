"""Data-parallel training: two processes beside one, with the same batches.

The same GPT on the same windows: two processes of one thread each, which torchrun starts and
gloo connects, beside one process with one thread and one with two. Efficiency is what of twice
the speed of one thread is left. Seconds a step are read inside the workers, after the first
steps; starting processes is not counted. In turns; each turn is a run of its own.

python benchmarks/data_parallel.py [--json FILE] [--turns 3] [--steps 30]
"""

import json
import subprocess
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from bigmodel_lib.distributed.launch import environment, torchrun
from bigmodel_lib.distributed.options import Options
from bigmodel_lib.distributed.train import leave, make_run
from bigmodel_lib.distributed.worker import joined
from side_by_side import parser, save, table

WAYS = {  # name → processes, threads of each
    "one process, 1 thread": (1, 1),
    "one process, 2 threads": (1, 2),
    "two processes, 1 thread each": (2, 1),
}
WARM_UP = 3  # steps that are not counted
SIZES = {
    "narrow (width 64)": {"width": 64, "layers": 2, "batch_size": 8, "length": 32},
    "wide (width 256)": {"width": 256, "layers": 4, "batch_size": 16, "length": 64},
}


def work(sizes: dict[str, int], steps: int, threads: int, folder: Path) -> None:
    """What each process does: train, and write down its seconds a step."""
    torch.set_num_threads(threads)
    with joined("cpu") as worker:
        run = make_run(Options(folder=folder, **sizes), worker)
        list(run.take(WARM_UP))
        start = time.perf_counter()
        list(run.take(steps))
        took = (time.perf_counter() - start) / steps
        Path(folder, f"rank-{worker.rank}").write_text(json.dumps(took), encoding="utf-8")
    leave()


def seconds_a_step(size: str, way: str, steps: int) -> float:
    """Of the slowest process."""
    processes, threads = WAYS[way]
    with TemporaryDirectory() as folder:
        own = [__file__, "--size", size, "--threads", threads, "--steps", steps, "--folder", folder]
        *launcher, _m, _module = torchrun(processes, 1, 0, "127.0.0.1:0")  # and our script instead
        env = environment(1) | {"OMP_NUM_THREADS": str(threads)}
        subprocess.run([*launcher, *map(str, own)], check=True, env=env)
        return max(json.loads(file.read_text("utf-8")) for file in Path(folder).glob("rank-*"))


def measure(size: str, turns: int, steps: int) -> dict[str, float]:
    """Median seconds a step of each way, and the efficiency of two threads and two processes."""
    times = {way: [] for way in WAYS}
    for _turn in range(turns):
        for way, seconds in times.items():
            seconds.append(seconds_a_step(size, way, steps))
    one, threads, processes = (median(seconds) for seconds in times.values())
    return {
        **{way: median(seconds) for way, seconds in times.items()},
        "efficiency of 2 threads": one / (2 * threads),
        "efficiency of 2 processes": one / (2 * processes),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--turns", type=int, default=3, help="of each way (default 3)")
    options.add_argument("--steps", type=int, default=30, help="of each turn (default 30)")
    options.add_argument("--size", choices=SIZES, help="as a worker: what to train")
    options.add_argument("--threads", type=int, default=1, help="as a worker: its threads")
    options.add_argument("--folder", type=Path, help="as a worker: where its figures go")
    options = options.parse_args()
    if options.folder is not None:
        work(SIZES[options.size], options.steps, options.threads, options.folder)
        return
    figures = {size: measure(size, options.turns, options.steps) for size in SIZES}
    rows = [[size, *(f"{value:.3g}" for value in one.values())] for size, one in figures.items()]
    head = [*(f"{way}, s a step" for way in WAYS), *list(figures[next(iter(SIZES))])[len(WAYS) :]]
    print(table(["GPT", *head], rows))
    save(options.json, {"steps": options.steps, "turns": options.turns, **figures})


if __name__ == "__main__":
    main()
