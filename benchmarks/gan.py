"""The article's GAN: seconds a step of ours beside Keras and TensorFlow, and what a GPU adds.

On a CPU: same layers, batch 64, Adam. Ours is `GANRun`, with all that it books (losses, norms of
gradients, a check that they are finite, snapshots), and `CompiledGANRun`. Beside them the
article's Keras code made to work (`train_on_batch` for D on real images, D on fakes, and the
combined model), and the same algorithm as one `tf.function`, with XLA and without. `matrix
products` is what every one of them must compute, by PyTorch's library.

Each has a process of its own, and all of them take turns: the threads of PyTorch and those of
TensorFlow wait for work by spinning, which in one process slows whoever comes next. The same
numbers of threads for all, one and as many as there are cores; each is compared at its best.

On a GPU (`--device cuda`): `GANRun`, `CompiledGANRun`, and its step replayed as a CUDA graph.
"""

import os
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import torch

from bigmodel_lib.data.digits import LabelledImages, load_digits
from bigmodel_lib.models.gan import make_gan
from bigmodel_lib.training import GANRun, GANSettings
from bigmodel_lib.training.gan_compiled import CompiledGANRun
from side_by_side import CLOCKS, alternate, parser, processes, ratio, save, table, take_turns

B, Z, SLOPE = 64, 100, 0.2
LR, BETA1 = 1e-3, 0.5
OURS = {"GANRun": GANRun, "CompiledGANRun": CompiledGANRun}
KERAS, PRODUCTS = "Keras train_on_batch", "matrix products"
TF_FUNCTIONS = {"tf.function": False, "tf.function, XLA": True}


def our_step(kind: type[GANRun], data: LabelledImages, device: torch.device) -> Callable:
    """A step of one of our runs."""
    # a look at the losses waits for the device: at every step on a CPU, seldom on a GPU
    often = 1 if device.type == "cpu" else 50
    networks = [network.to(device) for network in make_gan("article", Z)]
    settings = GANSettings(d_lr=LR, g_lr=LR, beta1=BETA1, batch_size=B)
    return kind(*networks, data, settings=settings, check_every=often).__next__


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


def a_step(name: str, threads: int) -> Callable:
    """The step of a candidate with so many threads, warm; for a process of its own."""
    torch.set_num_threads(threads)
    data = load_digits(split="train")
    if name in OURS:
        step = our_step(OURS[name], data, torch.device("cpu"))
    elif name == PRODUCTS:
        step = matrix_products()
    else:
        images = data.images.permute(0, 2, 3, 1).contiguous().numpy()
        step = peer_step(name, images, threads)
    for _ in range(20):  # tracing, compiling, first allocations
        step()
    return step


def peer_step(name: str, images: np.ndarray, threads: int) -> Callable:
    """A step of a peer that was seen to learn."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    made = train_on_batch(images) if name == KERAS else tf_function(images, TF_FUNCTIONS[name])
    return must_learn(name, *made)


def on_cpu(seconds: float, clock: str) -> dict[str, dict]:
    """Seconds a step, round by round, by number of threads and candidate, all in turns."""
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    # the work of several threads together says nothing about the time that they take
    counts = sorted({1} if clock == "cpu" else {1, os.cpu_count() or 1})
    names = [*OURS, KERAS, *TF_FUNCTIONS, PRODUCTS]
    makers = {(name, n): partial(a_step, name, n) for n in counts for name in names}
    with processes(makers, clock) as turns:
        times = take_turns(turns, seconds, burst=0.1)
    return {str(n): {name: times[name, n] for name in names} for n in counts}


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
        return run._graph(s.loss, z, run.data.images, index, *run._rates(), *run._state)

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
    steps = {name: our_step(kind, data, device) for name, kind in OURS.items()}
    networks = [network.to(device) for network in make_gan("article", Z)]
    settings = GANSettings(d_lr=LR, g_lr=LR, beta1=BETA1, batch_size=B)
    steps["CUDA graph"] = replayed(CompiledGANRun(*networks, data, settings=settings))
    for step in steps.values():
        for _ in range(20):
            step()
    return alternate(steps, seconds=seconds, device=device)


# --- both ---


def best(rounds: dict[str, dict]) -> dict[str, dict]:
    """Each candidate with the number of threads that it is fastest with."""
    found = {}
    for name in next(iter(rounds.values())):
        threads = min(rounds, key=lambda count, name=name: median(rounds[count][name]))
        times = rounds[threads][name]
        found[name] = {"threads": threads, "steps a second": 1 / median(times), "times": times}
    return found


def compare(found: dict[str, dict]) -> list[dict]:
    """Speed of each of ours over each other, round by round, each at its best number of threads."""
    return [
        {"ours": ours, "theirs": theirs, **ratio(found[theirs]["times"], found[ours]["times"])}
        for ours in OURS
        for theirs in found
        if ours in found and theirs not in OURS
    ]


def show(rounds: dict[str, dict]) -> dict:
    """Print both tables; what goes into the JSON."""
    found = best(rounds)
    rows = [
        [name, *(f"{1 / median(times[name]):.0f}" for times in rounds.values())] for name in found
    ]
    heads = [f"steps a second, {where}" for where in rounds]
    print(table(["step", *heads], rows))
    speed = compare(found)
    rows = [
        [r["ours"], r["theirs"], f"{r['median']:.2f}", f"{r['lower']:.2f} … {r['upper']:.2f}",
         r["rounds"]]
        for r in speed
    ]  # fmt: skip
    print(
        table(["ours", "beside", "times as fast, both at their best", "quartiles", "rounds"], rows)
    )
    return {"speed": speed, "best": found, "rounds": rounds}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=60.0, help="of all turns, about")
    options.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: of one thread, for a busy machine"
    )
    options = options.parse_args()
    device = torch.device(options.device)
    if device.type == "cpu":
        rounds = on_cpu(options.seconds, options.clock)
        rounds = {f"threads: {threads}": times for threads, times in rounds.items()}
    else:
        rounds = {torch.cuda.get_device_name(device): on_gpu(device, options.seconds)}
    save(options.json, {"device": options.device, **show(rounds)})


if __name__ == "__main__":
    main()
