"""The service under load: requests a second and how long the slowest wait.

python benchmarks/serve.py [--json FILE]

The digit classifier as ONNX, as int8 ONNX and as safetensors, each served by a process of its
own and asked by another one: 1, 4 and 16 clients at once, each of which asks again as soon as it
has its answer, for one digit and for 32. Client and service share this machine's cores, so the
figures are below what either could do alone.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import quantiles

import psutil
import requests

from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.deployment import export_onnx, quantize_int8, save_weights
from bigmodel_lib.metrics import digit_classifier
from bigmodel_lib.serve import started
from side_by_side import arguments, save, table

CLIENTS, BATCHES = (1, 4, 16), (1, 32)
SECONDS = 4.0  # of load at each setting, after one of warming up


def write_models(folder: Path) -> dict[str, Path]:
    """The classifier in each of the three forms that can be served."""
    classifier, train = digit_classifier(), load_digits("digits", "train")
    paths = {
        "ONNX": folder / "digits.onnx",
        "ONNX, int8": folder / "int8.onnx",
        "safetensors": folder / "digits.safetensors",
    }
    export_onnx(classifier, paths["ONNX"])
    typical = [part.numpy() for part in train.images[:512].split(64)]
    quantize_int8(paths["ONNX"], paths["ONNX, int8"], typical)
    save_weights(classifier, paths["safetensors"])
    return paths


def load(url: str, clients: int, batch: int, seconds: float) -> list[float]:
    """Seconds that each request took, of so many clients at once."""
    images = load_digits("digits", "test").images[:batch]
    body = json.dumps({"inputs": images.tolist()})
    end, times = time.monotonic() + seconds, []

    def ask_and_ask_again():
        with requests.Session() as session:
            session.headers["content-type"] = "application/json"
            while time.monotonic() < end:
                start = time.perf_counter()
                session.post(f"{url}/predict", data=body, timeout=60).raise_for_status()
                times.append(time.perf_counter() - start)

    threads = [threading.Thread(target=ask_and_ask_again) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def measure(url: str, clients: int, batch: int) -> dict[str, float]:
    """The load of another process than this one, which also started the service."""
    command = [sys.executable, __file__, "--load", url, str(clients), str(batch)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    times = json.loads(result.stdout)
    cuts = quantiles(times, n=100, method="inclusive")
    return {
        "requests a second": len(times) / SECONDS,
        "inputs a second": batch * len(times) / SECONDS,
        "median, ms": 1000 * cuts[49],
        "95th percentile, ms": 1000 * cuts[94],
        "99th percentile, ms": 1000 * cuts[98],
        "slowest, ms": 1000 * max(times),
    }


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    rows, figures = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name, path in write_models(Path(folder)).items():
            with started(path) as service:
                for batch in BATCHES:
                    for clients in CLIENTS:
                        found = measure(service.url, clients, batch)
                        figures[f"{name}, batch {batch}, clients {clients}"] = found
                        rows.append([name, batch, clients, *(f"{v:.3g}" for v in found.values())])
                memory = psutil.Process(service.process.pid).memory_info().rss / 1e6
                figures[f"{name}, memory, MB"] = memory
                print(f"{name}: the service holds {memory:.0f} MB")
    print(table(["model", "batch", "clients", *found], rows))
    save(options.json, figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        url, clients, batch = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        load(url, clients, batch, 1.0)
        print(json.dumps(load(url, clients, batch, SECONDS)))
    else:
        main()
