"""The article's GAN: seconds a step of ours beside Keras and TensorFlow, and what a GPU adds.

On a CPU: same layers, batch 64, Adam. Ours is `GANRun`, with all that it books (losses, norms of
gradients, a check that they are finite, snapshots), and `CompiledGANRun`. Beside them the
article's Keras code made to work (`train_on_batch` for D on real images, D on fakes, and the
combined model), and the same algorithm as one `tf.function`, with XLA and without. A process for
each number of threads, the same for both sides. `matrix products` is what every one of them must
compute; nothing can be faster on these cores in 32 bits.

On a GPU (`--device cuda`): `GANRun`, `CompiledGANRun`, and its step replayed as a CUDA graph.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from bigmodel_lib.data.digits import LabelledImages, load_digits
from bigmodel_lib.models.gan import make_gan
from bigmodel_lib.training import GANRun, GANSettings
from bigmodel_lib.training.gan_compiled import CompiledGANRun
from side_by_side import CLOCKS, alternate, parser, ratio, save, table

B, Z, SLOPE = 64, 100, 0.2
LR, BETA1 = 1e-3, 0.5
OURS = ("GANRun", "CompiledGANRun")


def our_steps(data: LabelledImages, device: torch.device) -> dict[str, Callable]:
    """A step of each of our runs."""
    # a look at the losses waits for the device: at every step on a CPU, seldom on a GPU
    often = 1 if device.type == "cpu" else 50
    steps = {}
    for kind in (GANRun, CompiledGANRun):
        networks = [network.to(device) for network in make_gan("article", Z)]
        settings = GANSettings(d_lr=LR, g_lr=LR, beta1=BETA1, batch_size=B)
        run = kind(*networks, data, settings=settings, check_every=often)
        steps[kind.__name__] = run.__next__
    return steps


def matrix_products() -> Callable[[], None]:
    """The products of a step, into memory that is there; those with D's one score left out."""
    x, h = torch.randn(B, 784), torch.randn(B, 128)
    down, up = torch.randn(784, 128), torch.randn(128, 784)
    thin, wide, noise = torch.randn(B, 128), torch.randn(B, 784), torch.randn(B, Z)
    first = torch.randn(Z, 128)
    grads = torch.randn(128, 784), torch.randn(784, 128), torch.randn(Z, 128)

    def products():
        torch.mm(noise, first, out=thin)
        torch.mm(h, up, out=wide)  # G
        for _batch in range(3):  # D on real, on fake, and on fake again for G
            torch.mm(x, down, out=thin)
        for _batch in range(2):
            torch.mm(h.T, x, out=grads[0])  # D's weights
        torch.mm(h, up, out=wide)  # through D to the image
        torch.mm(x.T, h, out=grads[1])  # G's weights
        torch.mm(x, down, out=thin)
        torch.mm(noise.T, h, out=grads[2])

    return products


# --- Keras and TensorFlow ---


def keras_networks(end: str | None):
    """The article's G and D; `end` is D's last activation."""
    import keras

    layers = keras.layers
    G = keras.Sequential(
        [
            keras.Input((Z,)),
            layers.Dense(128),
            layers.LeakyReLU(negative_slope=SLOPE),
            layers.Dense(784, activation="tanh"),
            layers.Reshape((28, 28, 1)),
        ]
    )
    D = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(128),
            layers.LeakyReLU(negative_slope=SLOPE),
            layers.Dense(1, activation=end),
        ]
    )
    return G, D


def keras_adam():
    import keras

    return keras.optimizers.Adam(LR, beta_1=BETA1)


def train_on_batch(images: np.ndarray) -> tuple[Callable, tuple]:
    """A step of the article's code made to work, and its two networks.

    `predict_on_batch`, not `predict`, which tutorials use: that alone takes as long as all else.
    """
    import keras

    G, D = keras_networks("sigmoid")
    dice, real, fake = np.random.default_rng(0), np.ones((B, 1)), np.zeros((B, 1))
    D.compile(loss="binary_crossentropy", optimizer=keras_adam())
    D.train_on_batch(
        images[:B], real
    )  # Keras 3 fixes here what D trains; after the freeze, nothing
    D.trainable = False
    combined = keras.Sequential([G, D])
    combined.compile(loss="binary_crossentropy", optimizer=keras_adam())

    def step():
        z = dice.standard_normal((B, Z), dtype=np.float32)
        D.train_on_batch(images[dice.integers(len(images), size=B)], real)
        D.train_on_batch(G.predict_on_batch(z), fake)
        return combined.train_on_batch(z, real)

    return step, (G, D)


def tf_function(images: np.ndarray, xla: bool) -> tuple[Callable, tuple]:
    """One compiled step of the same algorithm, data and noise inside, and its two networks."""
    import keras
    import tensorflow as tf

    G, D = keras_networks(None)
    g_adam, d_adam, data = keras_adam(), keras_adam(), tf.constant(images)
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function(jit_compile=xla)
    def step():
        z = tf.random.normal((B, Z))
        index = tf.random.uniform((B,), maxval=len(images), dtype=tf.int32)
        with tf.GradientTape() as g_tape:
            fake = G(z, training=True)
            with g_tape.stop_recording():
                with tf.GradientTape() as d_tape:
                    real_scores = D(tf.gather(data, index), training=True)
                    fake_scores = D(fake, training=True)
                    d_loss = cross_entropy(tf.ones((B, 1)), real_scores)
                    d_loss += cross_entropy(tf.zeros((B, 1)), fake_scores)
                weights = D.trainable_variables
                d_adam.apply(d_tape.gradient(d_loss, weights), weights)
            g_loss = cross_entropy(tf.ones((B, 1)), D(fake, training=True))
        weights = G.trainable_variables
        g_adam.apply(g_tape.gradient(g_loss, weights), weights)
        return d_loss, g_loss

    return step, (G, D)


def must_learn(name: str, step: Callable, networks: tuple) -> Callable:
    """The step, once it was seen to change every weight of both networks.

    Raises:
        SystemExit: it did not.
    """
    before = [[weight.numpy().copy() for weight in network.weights] for network in networks]
    step()
    for network, old in zip(networks, before, strict=True):
        for weight, was in zip(network.weights, old, strict=True):
            if np.array_equal(weight.numpy(), was):
                raise SystemExit(f"{name} does not train {weight.path}: no fair comparison")
    return step


def peer_steps(images: np.ndarray) -> dict[str, Callable]:
    """A step of each peer."""
    made = {
        "Keras train_on_batch": train_on_batch(images),
        "tf.function": tf_function(images, xla=False),
        "tf.function, XLA": tf_function(images, xla=True),
    }
    return {name: must_learn(name, *step) for name, step in made.items()}


def on_cpu(threads: int, seconds: float, clock: str) -> dict:
    """Seconds a step, round by round, with so many threads on both sides."""
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    torch.set_num_threads(threads)
    data = load_digits(split="train")
    images = data.images.permute(0, 2, 3, 1).contiguous().numpy()
    steps = our_steps(data, torch.device("cpu")) | peer_steps(images)
    steps["matrix products"] = matrix_products()
    for step in steps.values():
        for _ in range(20):  # tracing, compiling, first allocations
            step()
    return alternate(steps, seconds=seconds, device=torch.device("cpu"), clock=CLOCKS[clock])


# --- a GPU ---


def replayed(run: CompiledGANRun) -> Callable[[], None]:
    """The run's step as a CUDA graph: no Python and no launches, one replay.

    New noise and a new batch are drawn into memory that the graph reads.
    """
    device, size = run.device, run.settings.batch_size
    z = torch.empty(size, run.Z, device=device)
    index = torch.zeros(size, dtype=torch.int64, device=device)
    s = run.settings

    def step():
        state = run._state()
        return run._graph(s.loss, z, run.data.images, index, run._rates(state), *state)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # the recipe asks for a warm-up on a side stream
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replay():
        z.normal_()
        index.random_(len(run.data))
        graph.replay()

    return replay


def on_gpu(device: torch.device, seconds: float) -> dict:
    """Seconds a step, round by round: eager, compiled, and a CUDA graph."""
    data = load_digits(split="train")
    steps = our_steps(data, device)
    networks = [network.to(device) for network in make_gan("article", Z)]
    settings = GANSettings(d_lr=LR, g_lr=LR, beta1=BETA1, batch_size=B)
    steps["CUDA graph"] = replayed(CompiledGANRun(*networks, data, settings=settings))
    for step in steps.values():
        for _ in range(20):
            step()
    return alternate(steps, seconds=seconds, device=device)


# --- both ---


def in_processes(seconds: float, clock: str) -> dict[str, dict]:
    """Rounds by number of threads; a process each, since TensorFlow's cannot change."""
    rounds = {}
    # the work of several threads together says nothing about the time that they take
    counts = {1} if clock == "cpu" else {1, os.cpu_count() or 1}
    for threads in sorted(counts):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "rounds.json")
            call = [sys.executable, __file__, "--threads", threads, "--seconds", seconds]
            call += ["--clock", clock]
            subprocess.run([*map(str, call), "--json", file], check=True)
            rounds[str(threads)] = json.loads(file.read_text(encoding="utf-8"))["rounds"]
    return rounds


def compare(rounds: dict[str, dict]) -> list[dict]:
    """Speed of each of ours over each other, round by round: > 1 where ours is faster."""
    return [
        {"threads": threads, "ours": ours, "theirs": theirs, **ratio(times[theirs], times[ours])}
        for threads, times in rounds.items()
        for ours in OURS
        for theirs in times
        if theirs not in OURS
    ]


def best(rounds: dict[str, dict]) -> dict[str, dict]:
    """Each candidate with the number of threads that it is fastest with."""
    names = next(iter(rounds.values()))
    found = {}
    for name in names:
        threads = min(rounds, key=lambda count, name=name: median(rounds[count][name]))
        found[name] = {"threads": threads, "steps a second": 1 / median(rounds[threads][name])}
    return found


def show(rounds: dict[str, dict]) -> dict:
    """Print both tables; what goes into the JSON."""
    figures = {"speed": compare(rounds), "best": best(rounds)}
    rows = [
        [name, one["threads"], f"{one['steps a second']:.0f}"]
        for name, one in figures["best"].items()
    ]
    print(table(["step", "threads, best", "steps a second"], rows))
    rows = [
        [r["threads"], r["ours"], r["theirs"], f"{r['median']:.2f}",
         f"{r['lower']:.2f} … {r['upper']:.2f}", r["rounds"]]
        for r in figures["speed"]
    ]  # fmt: skip
    print(table(["threads", "ours", "beside", "times as fast", "quartiles", "rounds"], rows))
    return figures


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--threads", type=int, help="of a CPU; one process, no tables")
    options.add_argument("--seconds", type=float, default=60.0, help="of each comparison, about")
    options.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: of a process, for a busy machine"
    )
    options = options.parse_args()
    device = torch.device(options.device)
    if device.type != "cpu":
        rounds = {torch.cuda.get_device_name(device): on_gpu(device, options.seconds)}
    elif options.threads:
        save(options.json, {"rounds": on_cpu(options.threads, options.seconds, options.clock)})
        return
    else:
        rounds = in_processes(options.seconds, options.clock)
    save(options.json, {"device": options.device, **show(rounds)})


if __name__ == "__main__":
    main()
