"""One model, four ways to run it: PyTorch eager and compiled, ONNX Runtime in float32 and int8.

python benchmarks/deployment.py [--json FILE]

On one CPU thread, for batches of 1, 16 and 256 digits: time of a call, round by round beside
PyTorch's, size of the file, accuracy on the test digits, and what getting there costs: seconds to
compile, to export and to quantise.
"""

import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.deployment import export_onnx, load_classifier, quantize_int8
from bigmodel_lib.metrics import digit_classifier
from side_by_side import alternate, arguments, ratio, save, table

BATCHES = (1, 16, 256)
SECONDS = 4.0  # a batch size, about


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def make_runners(folder: Path):
    """From name to a function of images, and from name to the seconds that making it took."""
    model, train = digit_classifier(), load_digits("digits", "train")
    exact, coarse = folder / "exact.onnx", folder / "coarse.onnx"
    typical = [part.numpy() for part in train.images[:512].split(64)]
    seconds = {
        "ONNX Runtime": timed(lambda: export_onnx(model, exact)),
        "ONNX Runtime, int8": timed(lambda: quantize_int8(exact, coarse, typical)),
    }
    compiled = torch.compile(model, dynamic=True)
    onnx = {"ONNX Runtime": load_classifier(exact), "ONNX Runtime, int8": load_classifier(coarse)}
    runners = {"eager": model, "compiled": compiled}
    for name, classifier in onnx.items():
        runners[name] = lambda x, run=classifier: torch.from_numpy(run(x.numpy()))
    with torch.inference_mode():
        seconds["compiled"] = timed(lambda: [compiled(train.images[:n]) for n in (1, 2, 256)])
    sizes = {"ONNX Runtime": exact.stat().st_size, "ONNX Runtime, int8": coarse.stat().st_size}
    return runners, seconds, sizes


def accuracy(run) -> float:
    test = load_digits("digits", "test")
    return float((run(test.images).argmax(1) == test.labels).float().mean())


def compare(runners, images: Tensor) -> dict[str, dict]:
    calls = {name: (lambda run=run: run(images)) for name, run in runners.items()}
    times = alternate(calls, seconds=SECONDS, device=torch.device("cpu"))
    eager = times["eager"]
    return {
        name: {**ratio(taken, eager), "milliseconds": 1e3 * min(taken)}
        for name, taken in times.items()
    }


@torch.inference_mode()
def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        runners, seconds, sizes = make_runners(Path(folder))
    images = load_digits("digits", "train").images
    figures, rows = {}, []
    for batch in BATCHES:
        for name, found in compare(runners, images[:batch]).items():
            figures[f"{name}, batch {batch}"] = found
            spread = f"{found['median']:.2f} ({found['lower']:.2f} to {found['upper']:.2f})"
            rows.append([batch, name, spread, f"{found['milliseconds']:.3g}"])
    print(table(["batch", "how", "time over eager (quartiles)", "best, ms"], rows), "\n")
    rows = [
        [name, f"{accuracy(run):.4f}", sizes.get(name, ""), f"{seconds.get(name, 0):.2f}"]
        for name, run in runners.items()
    ]
    print(table(["how", "accuracy", "file, bytes", "seconds to make"], rows))
    figures["accuracy"] = {name: accuracy(run) for name, run in runners.items()}
    save(options.json, figures | {"seconds to make": seconds, "bytes": sizes})


if __name__ == "__main__":
    main()
