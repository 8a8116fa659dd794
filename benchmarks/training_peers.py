"""Labs that train, and the walk back through a graph, drawn with pyplot."""

import functools

import matplotlib.pyplot as plt
import numpy as np
import torch

from bigmodel_lib.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, mark_changes, mosaic
from bigmodel_lib.plots.graph import FACES, layout
from bigmodel_lib.training.table import PARTS
from vision_peers import picture

COLOURS = ("black", BLUE, GREEN, ORANGE, PURPLE, "#E69F00")


def gan(views) -> None:
    """Samples, real images, losses, gradients, D's beliefs, and the classes of the samples."""
    (view,) = views
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 5.6))
    figure.subplots_adjust(hspace=0.4, wspace=0.3)
    picture(axes[0, 0], mosaic(view.samples, 6), f"generated, step {view.step}")
    picture(axes[1, 0], mosaic(view.real, 6), "real")
    for ax, what in ((axes[0, 1], "loss"), (axes[0, 2], "grad")):
        for who in "DG":
            ax.plot(view.history["step"], view.history[f"{who.lower()}_{what}"], lw=1, label=who)
        ax.set(xlabel="step", title={"loss": "loss", "grad": "gradient norm"}[what])
        ax.legend(fontsize=7)
    axes[0, 2].set_yscale("log")
    mark_changes(view.changes, ax=axes[0, 1])
    for name, scores in (("real", view.real_scores), ("generated", view.fake_scores)):
        belief, shares = 1 / (1 + np.exp(-scores)), np.full(len(scores), 1 / len(scores))
        axes[1, 1].hist(belief, 12, range=(0, 1), weights=shares, histtype="step", label=name)
    axes[1, 1].set(title="D's belief that an image is real", ylabel="share of images")
    axes[1, 1].legend(fontsize=7)
    axes[1, 2].bar(view.class_names, view.shares, color=ORANGE)
    axes[1, 2].axhline(1 / len(view.shares), color=GREY, ls="--")
    axes[1, 2].set_title(f"modes covered: {view.modes} of {len(view.shares)}")


def gan_1d(view) -> None:
    """Densities, D's answers, the push on the samples, V over D's steps, and numbers."""
    panels = [["density", "V, nats"], ["D(x)", "numbers"], ["push", "numbers"]]
    _figure, axes = plt.subplot_mosaic(panels, figsize=(9.6, 5.6), width_ratios=(1.5, 1))
    density, answers, push = axes["density"], axes["D(x)"], axes["push"]
    density.plot(view.x, view.p, label="real p(x)")
    density.plot(view.x, view.q, "--", label="generated q(x)")
    density.plot(view.samples, np.zeros_like(view.samples), "|", label="samples of G")
    answers.plot(view.x, view.trained, label="trained D")
    answers.plot(view.x, view.optimal, "--", label="D* = p / (p + q)")
    for name, values in view.pushes.items():
        (line,) = push.plot(view.x, view.curves[name], lw=0.8)
        push.plot(view.samples, values, "o", ms=4, color=line.get_color(), label=name)
    push.axhline(0, color="black", lw=0.6)
    push.set_xlabel(f"x; by the {view.answer}")
    for ax in (density, answers, push):
        ax.set_xlim(-7, 7)
    steps, value, best = np.reshape(view.history, (-1, 3)).T
    axes["V, nats"].plot(steps, value, "o-", label="V(D, G)")
    axes["V, nats"].plot(steps, best, "--", label="V(D*, G)")
    axes["V, nats"].set_xlabel("D's steps")
    for name in ("density", "D(x)", "push", "V, nats"):
        axes[name].set_ylabel(name)
        axes[name].legend(fontsize=8)
    axes["numbers"].set_axis_off()
    for row, (name, number) in enumerate(gan_1d_numbers(view).items()):
        axes["numbers"].text(0, 0.9 - 0.1 * row, name, fontsize=9)
        axes["numbers"].text(1, 0.9 - 0.1 * row, number, fontsize=9, ha="right")


def gan_1d_numbers(view) -> dict[str, str]:
    """What the lab tells in numbers."""
    sat, non = (f"{np.abs(push).mean():.2g}" for push in view.pushes.values())
    return {
        "steps of D, of G": f"{view.d_steps}, {view.g_steps}",
        "V(D, G), nats": f"{view.value:.4f}",
        "V(D*, G), nats": f"{view.best:.4f}",
        "2·JSD − log 4, nats": f"{2 * view.jsd - np.log(4):.4f}",
        "JSD(p, q), nats": f"{view.jsd:.4f}",
        "KL(p ‖ q), nats": f"{view.kl:.3g}",
        "W₁(p, q), units of x": f"{view.w1:.3f}",
        "mean on real data: D | D*": f"{view.trained_on_real:.3g} | {view.optimal_on_real:.3g}",
        "mean size of G's gradient: saturating": sat,
        "… non-saturating": non,
    }


def vae(view) -> None:
    """Images and their copies, samples, two losses, KL by coordinate, the plane, its sheet."""
    figure, axes = plt.subplots(2, 4, figsize=(9.6, 6))
    figure.subplots_adjust(wspace=0.45, hspace=0.3)
    (pairs, loss, kl, plane), (samples, parts, decoded, sheet) = axes
    picture(pairs, mosaic(view.pairs, 8), "held-out images, copies below")
    picture(samples, mosaic(view.samples, 8), "from random codes")
    a, b = view.axes
    x, y = view.place
    picture(decoded, view.decoded[0], f"z{a + 1} = {x:.2f}, z{b + 1} = {y:.2f}")
    for ax, name in ((loss, "reconstruction"), (kl, "kl")):
        ax.plot(view.history["step"], view.history[name])
        ax.set_title(f"{name}, nats an image", fontsize=9)
        mark_changes(view.changes, ax=ax)
    loss.axhline(view.lowest, color=GREY, ls="--")
    colours = [ORANGE if i in view.axes else GREY for i in range(len(view.kl))]
    parts.bar(range(1, len(view.kl) + 1), view.kl, color=colours)
    parts.set_title("KL by coordinate", fontsize=9)
    for label in range(len(view.class_names)):
        dots = view.codes[view.labels == label].T
        plane.plot(*dots, marker=f"${label}$", ls="none", ms=5.5, mew=0.3)
    plane.plot([-3, 3, 3, -3, -3], [-3, -3, 3, 3, -3], "--", color=GREY)
    plane.plot(x, y, "k+", ms=16)
    edge = {"extent": (-3.3, 3.3, -3.3, 3.3), "cmap": "gray", "vmin": -1, "vmax": 1}
    sheet.imshow(mosaic(view.sheet, 11, gap=0), **edge)
    corners = 0.3 * np.array([[-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1]])
    sheet.plot(x + corners[0], y + corners[1], color=ORANGE, lw=2)
    for ax in (plane, sheet):
        ax.set(xlabel=f"z{a + 1}", ylabel=f"z{b + 1}")


def race(view) -> None:
    """Paths on the map, losses, and how far each is from a minimum."""
    panels = [["map", "loss"], ["map", "legend"]]
    _figure, axes = plt.subplot_mosaic(panels, figsize=(9.6, 5), width_ratios=(1.25, 1))
    contours(axes["map"], view.surface)
    for (name, racer), colour in zip(view.racers.items(), COLOURS, strict=False):
        end = f"{racer.losses[-1]:.2g}, {racer.distance:.2g} from a minimum"
        told = f"diverged at step {racer.diverged}" if racer.diverged is not None else end
        axes["map"].plot(*racer.path.T, "o-", color=colour, markevery=[-1], label=f"{name}: {told}")
        axes["loss"].plot(np.maximum(racer.losses, 1e-12), "o-", color=colour, markevery=[-1])
    axes["map"].plot(*racer.path[0], "o", mfc="white", mec="black", ms=8)
    axes["map"].plot(*np.array(view.surface.minima).T, "*", ms=13, mfc="none", mec="black")
    axes["map"].set(xlim=view.surface.x_range, ylim=view.surface.y_range, xlabel="x", ylabel="y")
    axes["loss"].set(yscale="log", xlabel="step", title="loss above the minimum, f − min f")
    axes["legend"].set_axis_off()
    names = axes["map"].get_legend_handles_labels()
    axes["legend"].legend(*names, title=f"step {view.step}", loc="center", fontsize=8)


def contours(ax, surface) -> None:
    """The map of a surface, by the logarithm of its height."""
    x, y = np.linspace(*surface.x_range, 241), np.linspace(*surface.y_range, 241)
    points = torch.tensor(np.stack(np.meshgrid(x, y), axis=-1))
    height = np.log10(surface(points).numpy() - surface.lowest + 1e-3)
    ax.contourf(x, y, height, 17, cmap="Greys", alpha=0.4)
    ax.contour(x, y, height, 17, colors="white", linewidths=0.5, linestyles="solid")
    ax.set_title(f"{surface.name}: f = {surface.formula}", fontsize=9, loc="left")


def pipeline(views) -> None:
    """Learning curves, the spread of the features, and both runs in numbers."""
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 4.3))
    figure.subplots_adjust(bottom=0.33, wspace=0.3)
    table = figure.add_axes((0, 0, 1, 0.2))
    table.set_axis_off()
    for (run, view), style, row in zip(views.items(), ("-", "--"), (0.6, 0.2), strict=False):
        for part, colour in zip(PARTS, (BLUE, GREEN, ORANGE), strict=True):
            for ax, what in zip(axes, ("loss", "accuracy"), strict=False):
                curve(ax, view, f"{part} {what}", style, colour, part)
        spread = np.maximum(np.sort(view.spread), 1e-5)
        axes[2].plot(np.linspace(0, 1, len(spread)), spread, "o", color="black", ms=3.5, label=run)
        ends = ", ".join(f"{part} {view.now[f'{part} accuracy']:.3f}" for part in PARTS)
        table.text(0.06, row, f"{run}: {view.label}", fontsize=8)
        numbers = f"accuracy: {ends}; condition number {view.condition:.2g}"
        if view.diverged is not None:
            numbers = f"diverged at step {view.diverged}"
        table.text(0.06, row - 0.2, numbers, fontsize=8)
    axes[1].axhline(views["now"].chance, ls=":", color=GREY, label="most frequent class")
    axes[1].legend(fontsize=7)
    axes[0].set(yscale="log", title="loss (cross-entropy, nats)", xlabel="step")
    axes[1].set(ylim=(0, 1.02), title="accuracy (share of rows)", xlabel="step")
    axes[2].set(yscale="log", title="features' std. deviations", xlabel="share of the features")
    axes[2].set_ylim(spread[0] / 10, spread[-1] * 10)


def curve(ax, view, name: str, style: str, colour: str, label: str) -> None:
    """A value where it was measured, the present included."""
    values = view.history.get(name, np.empty(0))
    here = np.isfinite(values)
    steps = np.append(view.history["step"][here], view.step)
    ax.plot(steps, np.append(values[here], view.now[name]), style, color=colour, label=label)


ways = functools.lru_cache(layout)  # where boxes stand depends on the formula alone


def backprop(walk) -> None:
    """Boxes with values and gradients, as far as they are known, and the edges between them."""
    _figure, ax = plt.subplots(figsize=(9.6, 4))
    places, edges = ways(walk.parents)
    colour = ORANGE if walk.goes_back else BLUE
    for (parent, child), way in edges.items():
        used = walk.current == (parent if walk.goes_back else child)
        ax.plot(*way.T, color=colour if used else GREY, lw=2.5 if used else 1)
        if used and walk.goes_back:
            note = {"facecolor": "white", "edgecolor": ORANGE}
            ax.text(*way[-2:].mean(axis=0), f"{walk.slope(child, parent):.3g}", bbox=note, zorder=4)
    for node, (x, y) in enumerate(places):
        current = node == walk.current
        frame = {"boxstyle": "round,pad=0.7", "facecolor": FACES[walk.kinds[node]]}
        frame |= {"edgecolor": colour if current else GREY, "linewidth": 3 if current else 1}
        style = {"ha": "center", "va": "center", "alpha": 1 if walk.has_value(node) else 0.35}
        ax.text(x, y, told(walk, node), fontsize=9, bbox=frame, **style)
    rows = np.abs(places[:, 1]).max() + 1
    ax.set(xlim=(-0.5, places[:, 0].max() + 0.5), ylim=(-rows, rows))
    ax.set_axis_off()
    L = walk.names[-1]
    ax.set_title(f"name = operation, value, gradient ∇ = d{L}/dname; on an edge: ∂", fontsize=9)


def told(walk, node: int) -> str:
    """What is in a box."""
    is_operation = walk.kinds[node] == "operation"
    lines = [f"{walk.names[node]} = {walk.ops[node]}" if is_operation else walk.names[node]]
    lines.append(f"{walk.values[node]:.3g}" if walk.has_value(node) else "")
    lines.append(f"∇ {walk.gradients[node]:.3g}" if walk.has_gradient(node) else "")
    return "\n".join(lines)
