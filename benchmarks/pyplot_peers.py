"""What explorers stand beside: `ipywidgets.interactive` around `plt.subplots`, as tutorials do.

Each draws what the explorer's picture holds, from the data of the same `compute()`, in a new
figure that is rendered as the inline backend does (PNG, tight box) and closed.
"""

import io
from collections.abc import Callable

import ipywidgets
import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from bigmodel_lib.plots import mosaic
from bigmodel_lib.widgets.base import Explorer


def attention(view) -> None:
    """Four stages of a head, all heads, and their entropies."""
    stages, names = view.stages, ("scores", "scaled, masked", "weights", "output")
    figure, axes = plt.subplots(2, 4, figsize=(9.6, 6))
    arrays = [view.visible(getattr(stages, n))[view.head] for n in ("scores", "scaled", "weights")]
    for ax, name, array in zip(axes[0], names, [*arrays, stages.output[view.head]], strict=True):
        figure.colorbar(ax.imshow(array, aspect="auto"), ax=ax)
        ax.set_title(name, fontsize=9)
        if len(view.tokens) <= 20:
            ax.set_yticks(range(len(view.tokens)), view.tokens, fontsize=7)
    for ax in axes[1]:
        ax.remove()
    heads = list(view.visible(stages.weights))
    rows = [np.hstack(heads[at : at + 8]) for at in range(0, len(heads), 8) if at + 8 <= len(heads)]
    ax = figure.add_subplot(2, 2, 3)
    ax.imshow(np.vstack(rows or [np.hstack(heads)]), aspect="auto")
    ax = figure.add_subplot(2, 2, 4)
    ax.bar(range(1, len(view.entropy) + 1), view.entropy / view.highest_entropy)
    ax.set(xlabel="head", ylabel="entropy / its maximum")


def gan_1d(view) -> None:
    """Densities, D's answers, the push on the samples, V over D's steps."""
    _figure, axes = plt.subplots(4, 1, figsize=(9.6, 6))
    axes[0].plot(view.x, view.p, label="real p(x)")
    axes[0].plot(view.x, view.q, "--", label="generated q(x)")
    axes[0].plot(view.samples, np.zeros_like(view.samples), "|")
    axes[1].plot(view.x, view.trained, label="trained D")
    axes[1].plot(view.x, view.optimal, "--", label="D*")
    for name, push in view.pushes.items():
        axes[2].plot(view.x, view.curves[name], lw=0.8)
        axes[2].plot(view.samples, push, "o", ms=4, label=name)
    steps, value, best = np.reshape(view.history, (-1, 3)).T
    axes[3].plot(steps, value, "o-", label="V(D, G)")
    axes[3].plot(steps, best, "--", label="V(D*, G)")
    for ax, name in zip(axes, ("density", "D(x)", "push", "V, nats"), strict=True):
        ax.set_ylabel(name)
        ax.legend(fontsize=8)


def vae(view) -> None:
    """Images and their copies, samples, two losses, KL by coordinate, the plane, its sheet."""
    figure, axes = plt.subplots(2, 4, figsize=(9.6, 6))
    pictures = [(axes[0, 0], view.pairs, 8), (axes[1, 0], view.samples, 8)]
    for ax, images, columns in [*pictures, (axes[1, 3], view.sheet, 11)]:
        ax.imshow(mosaic(images, columns), cmap="gray", vmin=-1, vmax=1)
        ax.set_axis_off()
    axes[1, 2].imshow(view.decoded[0], cmap="gray", vmin=-1, vmax=1)
    for ax, name in ((axes[0, 1], "reconstruction"), (axes[0, 2], "kl")):
        ax.plot(view.history["step"], view.history[name])
        ax.set(title=name, xlabel="step")
    axes[1, 1].bar(range(1, len(view.kl) + 1), view.kl)
    dots = axes[0, 3].scatter(*view.codes.T, c=view.labels, cmap="tab10", s=8)
    axes[0, 3].plot(*view.place, "k+", ms=16)
    figure.colorbar(dots, ax=axes[0, 3])


DRAW = {"AttentionExplorer": attention, "GAN1D": gan_1d, "VAELab": vae}


def png() -> bytes:
    """The current figure as the inline backend sends it; closed."""
    file = io.BytesIO()
    plt.gcf().savefig(file, format="png", bbox_inches="tight")
    plt.close()
    return file.getvalue()


def peer(explorer: Explorer, name: str, control: str) -> Callable[[object], bytes]:
    """value of a control → the new picture, by way of `interactive` and a slider of its own."""
    matplotlib.use("agg")
    pictures = []

    def changed(place: int):
        explorer.controls[control].value = values[place]
        explorer._apply_wishes()
        DRAW[name](explorer.compute())
        pictures[:] = [png()]

    values: dict[int, object] = {0: explorer.controls[control].value}
    slider = ipywidgets.IntSlider(min=0, max=10**6)
    # kept alive by the function: it is what a notebook displays
    shown = ipywidgets.interactive(changed, place=slider)

    def change(value) -> bytes:
        values[slider.value + 1] = value
        pictures.clear()
        slider.value += 1
        if not pictures:
            raise SystemExit(f"the peer of {name} drew nothing: {shown.children[-1].outputs}")
        return pictures[0]

    return change
