"""Labs on images, drawn with pyplot: an attack, denoising, boxes, attribution."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from bigmodel_lib.attribution import METHODS
from bigmodel_lib.data.scenes import CANVAS
from bigmodel_lib.plots import BLUE, GREEN, GREY, ORANGE, attribution_map, mosaic
from bigmodel_lib.widgets.detector_lab_picture import NAMED


def picture(ax, pixels, title: str = "", cmap: str = "gray") -> None:
    """An image with values in [-1, 1], without axes."""
    ax.imshow(pixels, cmap=cmap, vmin=-1, vmax=1)
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()


def adversarial(view) -> None:
    """A digit before and after the attack, the change, ten probabilities, and a curve."""
    panels = [["clean", "change", "attacked", "curve"], ["ten", "ten", "ten", "curve"]]
    figure, axes = plt.subplot_mosaic(
        panels, figsize=(9.6, 4.3), height_ratios=(2, 1), width_ratios=(1, 1, 1, 1.4)
    )
    figure.subplots_adjust(wspace=0.3)
    change = view.attacked - view.clean
    most = max(np.abs(change).max(), 1e-9)
    picture(axes["clean"], view.clean, f"held-out digit: {view.label}")
    picture(axes["change"], change / most, f"the change, {1 / most:.0f} times", "RdBu_r")
    read = f"read as {view.after.argmax()}, {view.after.max():.0%}"
    picture(axes["attacked"], view.attacked, read)
    axes["ten"].bar(np.arange(10) - 0.2, view.before, 0.38, color=GREY)
    axes["ten"].bar(np.arange(10) + 0.2, view.after, 0.38, color=ORANGE)
    axes["ten"].set(xticks=range(10), ylim=(0, 1.02), ylabel="probability")
    axes["ten"].set_xlabel("digit; grey: before, orange: after the attack")
    curve = axes["curve"]
    curve.plot(view.sizes, view.noise, "--", color=BLUE, label="noise")
    curve.plot(view.sizes, view.curve, "o-", color=ORANGE, label="the attack")
    curve.axvline(view.epsilon, color=GREY)
    curve.set_xlabel("ε, share of black to white")
    curve.set_title("probability of the true digit", fontsize=9)
    curve.legend()


def denoising(view) -> None:
    """Stations of one drawing, what each is taken for, and twelve drawings at one of them."""
    _figure, (above, middle, below) = plt.subplots(
        3, 1, figsize=(9.6, 5.2), height_ratios=(1, 1, 2.4)
    )
    picture(above, mosaic(view.stations, len(view.stations)))
    above.set_title("the picture at step …", fontsize=9, pad=16)
    behind = "… and the digit that the network takes to be behind it"
    picture(middle, mosaic(view.guesses, len(view.guesses)), behind)
    width = view.stations.shape[-1] + 2  # with the gap
    nearest = np.abs(np.array(view.shown) - view.at).argmin()
    for i, step in enumerate(view.shown):
        style = {"ha": "center", "color": ORANGE if i == nearest else "black"}
        above.text((i + 0.5) * width, -3, f"{step}", fontsize=8, **style)
    title = f"twelve drawings at step {view.at} of {view.steps}: t = {view.times[view.at]}"
    picture(below, mosaic(view.now, 6), title)


def detector(view) -> None:
    """A scene with boxes, and the precision-recall curve."""
    _figure, (scene, curve) = plt.subplots(1, 2, figsize=(9.6, 5))
    scene.imshow(view.image, cmap="gray", vmin=-1, vmax=1, extent=(0, CANVAS, CANVAS, 0))
    scene.set_axis_off()
    scene.set_title(f"digits: {view.count}, boxes: {len(view.boxes)}; blue: right, orange: wrong")
    for box in view.truth:
        outline(scene, box, edgecolor=GREEN, ls="--")
    for i, (box, right) in enumerate(zip(view.boxes, view.right, strict=True)):
        colour = "#56B4E9" if right else "#E69F00"
        outline(scene, box, edgecolor=colour, lw=1.8)
        if i < NAMED:
            text, dark = f"{view.labels[i]} {view.scores[i]:.2f}", {"facecolor": "black", "pad": 1}
            scene.text(*box[:2], text, color=colour, fontsize=9, bbox=dark)
    curve.plot(view.recall, view.precision, lw=2, label="all score thresholds")
    curve.plot(*view.here, "o", color=ORANGE, ms=9, label="the present one")
    curve.set(xlim=(0, 1.02), ylim=(0, 1.05), title=f"average precision {view.ap50:.3f}")
    curve.set(xlabel="recall: share of the digits that are found")
    curve.set(ylabel="precision: share of the boxes that are right")
    curve.grid(alpha=0.3)
    curve.legend(loc="lower left")


def outline(ax, box, **style) -> None:
    """A frame round left, top, right, bottom."""
    left, top, right, bottom = box
    ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, **style))


def draw_digit(view) -> None:
    """What the network sees, its attribution map, and ten probabilities."""
    _figure, (seen, explained, ten) = plt.subplots(1, 3, figsize=(6.9, 3))
    picture(seen, view.image, "what the network sees")
    method = METHODS[view.method]
    attribution_map(view.map, method.signed, ax=explained)
    explained.set(xticks=[], yticks=[])
    explained.set_xlabel(f"full colour: {np.abs(view.map).max():.2g} ({method.unit})", fontsize=8)
    read = f"red: for {view.explained}, blue: against" if method.signed else "dark: it matters"
    explained.set_title(f"{view.method}\n{read}", fontsize=9)
    best = int(view.probabilities.argmax())
    bars = ten.barh(range(10), view.probabilities, color=GREY)
    bars[best].set_color(BLUE)
    ten.bar_label(bars, [f"{p:.1%}" if p >= 0.001 else "" for p in view.probabilities], padding=2)
    ten.set(xlim=(0, 1.3), xticks=[], yticks=range(10))
    ten.invert_yaxis()
    ten.set_title(f"{view.network} reads {best}", fontsize=9)
