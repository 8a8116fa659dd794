"""What every benchmark shares: alternating timer, peak memory, Markdown table, JSON.

Two things are compared turn by turn (A B A B …), because a machine that is slower today, or busy
for a second, then slows both. They share a process, unless their threads would disturb each other.
"""

import argparse
import json
import math
import multiprocessing
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# What a time is read from.  CPU time, of all threads together, is what is left to compare by on a
# machine that others use as well; it is no measure of an accelerator.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def alternate(
    candidates: dict[str, Callable[[], object]],
    *,
    seconds: float,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time each candidate in turn, round after round.

    A turn is a burst of calls of about 20 ms, so that neither the clock nor a single
    interruption decides; there are at least 5 rounds.

    Args:
        candidates: name → what to time.
        seconds: for all rounds together, about.
        device: whose work is waited for.
        clock: one of `CLOCKS`; with one thread, CPU time is what a quiet machine would need.

    Returns:
        name → seconds per call, one number a round.
    """
    turns = {name: partial(_turn, run, device, clock) for name, run in candidates.items()}
    return take_turns(turns, seconds, burst=0.02)


def take_turns(
    turns: dict[str, Callable[[int], float]], seconds: float, burst: float
) -> dict[str, list[float]]:
    """Seconds a call of each, one number a round; a turn of so many calls takes `burst` seconds."""
    calls = {name: math.ceil(burst / turn(2)) for name, turn in turns.items()}
    times = {name: [] for name in turns}
    end = time.perf_counter() + seconds
    while len(next(iter(times.values()))) < 5 or time.perf_counter() < end:
        for name, turn in turns.items():
            times[name].append(turn(calls[name]))
    return times


@contextmanager
def processes(
    makers: dict[str, Callable[[], Callable[[], object]]], clock: str
) -> Iterator[dict[str, Callable[[int], float]]]:
    """A process for each candidate, which makes its step there and then waits for its turns.

    Args:
        makers: name → what makes the step, a function that can be pickled.
        clock: a name in `CLOCKS`, read in that process.

    Yields:
        name → turn, for `take_turns`.

    Raises:
        EOFError: a process failed; it has printed why.
    """
    context, ends, turns = multiprocessing.get_context("spawn"), [], {}
    with ExitStack() as stack:
        for name, make in makers.items():
            here, there = context.Pipe()
            worker = context.Process(target=_serve, args=(there, make, clock), daemon=True)
            worker.start()
            there.close()  # so that the end of the process is the end of the pipe
            stack.callback(worker.join)
            ends.append(stack.enter_context(here))
            turns[name] = partial(_ask, here)
        for end in ends:
            end.recv()  # it is ready
        yield turns
        # the pipes close first, which ends each process, and then they are waited for


def _serve(end: Connection, make: Callable[[], Callable], clock: str) -> None:
    step = make()
    end.send("ready")
    while True:
        try:
            calls = end.recv()
        except EOFError:  # the other side is done
            return
        step()  # threads that slept and caches that others filled are not what is asked for
        end.send(_turn(step, torch.device("cpu"), CLOCKS[clock], calls))


def _ask(end: Connection, calls: int) -> float:
    end.send(calls)
    return end.recv()


def _turn(
    run: Callable[[], object], device: torch.device, clock: Callable[[], float], calls: int
) -> float:
    start = clock()
    for _ in range(calls):
        run()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)  # an accelerator's calls return before their work
    return (clock() - start) / calls


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Ours over theirs, round by round: median and quartiles."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    low, _, high = quantiles(ratios, n=4, method="inclusive")
    return {"median": median(ratios), "lower": low, "upper": high, "rounds": len(ratios)}


def peak_bytes(run: Callable[[], object]) -> int:
    """How far the memory of all tensors on the CPU rises above its start while `run` runs.

    Read from the profiler's record of every allocation, so it is exact, not sampled.
    """
    peak = now = 0
    for step in allocations(run):
        now += step
        peak = max(peak, now)
    return peak


def allocations(run: Callable[[], object]) -> list[int]:
    """Bytes of each allocation of a tensor on the CPU while `run` runs, in order; < 0 frees."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "trace.json")
        profile.export_chrome_trace(str(file))
        events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    steps = sorted(
        (e["ts"], e["args"]["Bytes"])
        for e in events
        if e.get("name") == "[memory]" and e["args"]["Device Type"] == 0  # the CPU
    )
    return [size for _, size in steps]


def operators(run: Callable[[], object]) -> Counter:
    """How often `run` calls each operator of PyTorch, forward and backward, on the CPU.

    It does not depend on the clock: what a small model costs is mostly how many calls it makes.
    """

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            found[operator.overloadpacket._qualified_op_name] += 1
            return operator(*args, **(kwargs or {}))

    found = Counter()
    with Count():
        run()
    return found


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """The p of y ∝ x^p that fits best on logarithmic axes (least squares)."""
    x, y = ([math.log(value) for value in values] for values in (x, y))
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True))
    return slope / sum((a - x_mean) ** 2 for a in x)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def parser(description: str) -> argparse.ArgumentParser:
    """Takes `--json FILE` and `--device NAME`, which every benchmark does; add what yours needs."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    made.add_argument("--device", default="cpu", help="where to time, such as cuda (default cpu)")
    return made


def timing(parser: argparse.ArgumentParser, seconds: float) -> None:
    """Add `--seconds`, `--clock` and `--threads`."""
    parser.add_argument("--seconds", type=float, default=seconds, help="a comparison, about")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    parser.add_argument("--threads", type=int, help="of the CPU (default: PyTorch's choice)")


def arguments(description: str) -> argparse.Namespace:
    """What the command line says, of what every benchmark takes."""
    return parser(description).parse_args()


def save(file: Path | None, figures: dict[str, object]) -> None:
    """Write figures, with what they were taken on, as JSON."""
    if file is not None:
        taken_on = {
            "torch": torch.__version__,
            "python": platform.python_version(),
            "system": platform.platform(),
            "threads": torch.get_num_threads(),
        }
        text = json.dumps(taken_on | figures, indent=1)
        file.write_text(text + "\n", encoding="utf-8")
