"""The picture of DetectorLab: a scene with boxes, and a precision-recall curve."""

from dataclasses import dataclass

import numpy as np
from matplotlib.collections import LineCollection

from bigmodel_lib.data.scenes import CANVAS
from bigmodel_lib.language import _
from bigmodel_lib.widgets.canvas import Canvas, update

SKY, GOLD, GREEN = "#56B4E9", "#E69F00", "#009E73"  # Wong 2011, as elsewhere
NAMED = 12  # boxes that carry their digit and score, at most


@dataclass(frozen=True, eq=False)
class DetectorView:
    """What the picture shows.

    Attributes:
        image: the scene (CANVAS, CANVAS).
        truth: true boxes to draw (k, 4); none if they are hidden.
        count: digits that are in the scene.
        boxes, scores, labels: what was found (n, 4), (n,), (n,), the best first.
        right: which of them are right (n,) bool.
        before: cells above the score threshold, before suppression.
        recall, precision: the curve over held-out scenes (m,), one point for each detection.
        ap50: average precision on them, IoU 0.5.
        here: recall and precision at the present threshold.
    """

    image: np.ndarray
    truth: np.ndarray
    count: int
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    right: np.ndarray
    before: int
    recall: np.ndarray
    precision: np.ndarray
    ap50: float
    here: tuple[float, float]


class DetectorLabPicture:
    """Keeps the figure and its artists, and brings them up to date."""

    def __init__(self):
        self.canvas = Canvas(960, 500)
        self._build_scene()
        self._build_curve()

    def _build_scene(self) -> None:
        ax = self.canvas.figure.add_axes((0.01, 0.03, 0.47, 0.9))
        ax.set_axis_off()
        self._title = ax.set_title("", fontsize=10)
        frame = (0, CANVAS, CANVAS, 0)
        self._image = ax.imshow(
            np.zeros((CANVAS, CANVAS)), cmap="gray", vmin=-1, vmax=1, extent=frame,
            interpolation="nearest",
        )  # fmt: skip
        styles = ((GREEN, "--", 1.2), (GOLD, "-", 1.8), (SKY, "-", 1.8))
        self._truth, self._wrong, self._right = (
            ax.add_collection(LineCollection([], colors=colour, linestyles=dash, linewidths=width))
            for colour, dash, width in styles
        )
        dark = {"facecolor": "black", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        style = {"fontsize": 9, "va": "bottom", "bbox": dark, "clip_on": True}
        self._names = [ax.text(0, 0, "", **style) for _name in range(NAMED)]
        boxes = (self._truth, self._wrong, self._right)
        self.canvas.seldom(self._image)  # it stays while thresholds move
        self.canvas.moving(*boxes, *self._names, self._title)

    def _build_curve(self) -> None:
        ax = self.canvas.figure.add_axes((0.565, 0.12, 0.42, 0.79))
        ax.set(xlim=(0, 1.02), ylim=(0, 1.05))
        ax.set_xlabel(_("recall: share of the digits that are found"), fontsize=9)
        ax.set_ylabel(_("precision: share of the boxes that are right"), fontsize=9)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.3)
        self._curve_title = ax.set_title("", fontsize=10)
        (self._curve,) = ax.plot([], [], color="#0072B2", lw=2, label=_("all score thresholds"))
        (self._here,) = ax.plot([], [], "o", color="#D55E00", ms=9, label=_("the present one"))
        self._here.set_clip_on(False)
        ax.legend(loc="lower left", fontsize=9, frameon=False)
        self.canvas.moving(self._curve, self._here, self._curve_title)

    def draw(self, view: DetectorView) -> str:
        """Update every artist; returns what the picture shows in words."""
        if not np.array_equal(view.image, self._image.get_array()):
            self._image.set_data(view.image)
            self.canvas.relabel()
        self._truth.set_segments(outlines(view.truth))
        self._wrong.set_segments(outlines(view.boxes[~view.right]))
        self._right.set_segments(outlines(view.boxes[view.right]))
        self._name_boxes(view)
        title = _("digits: {count}, boxes: {found}; blue: right, orange: wrong")
        self._title.set_text(title.format(found=len(view.boxes), count=view.count))
        self._curve.set_data(view.recall, view.precision)
        self._here.set_data([view.here[0]], [view.here[1]])
        text = _("held-out scenes: average precision at IoU 0.5 is {ap}")
        self._curve_title.set_text(text.format(ap=f"{view.ap50:.3f}"))
        return _summary(view)

    def _name_boxes(self, view: DetectorView) -> None:
        for i, text in enumerate(self._names):
            if i >= len(view.boxes):
                update(text, text="")
                continue
            left, top = view.boxes[i, :2]
            update(
                text,
                text=f"{view.labels[i]} {view.scores[i]:.2f}",
                # near the upper edge there is no room above a box
                position=(np.clip(left, 0, CANVAS - 8), max(top, 2.6)),
                color=SKY if view.right[i] else GOLD,
            )


def outlines(boxes: np.ndarray) -> list[np.ndarray]:
    """The closed way round each box (n, 4), as points (5, 2)."""
    corners = np.asarray(boxes)[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]]
    return list(corners.reshape(-1, 5, 2))


def _summary(view: DetectorView) -> str:
    text = _(
        "digits in the scene: {count}; cells above the score threshold: {before}; boxes after "
        "suppression: {found}, right: {right}; on held-out scenes recall {recall} and precision "
        "{precision}, average precision {ap}"
    )
    return text.format(
        count=view.count,
        before=view.before,
        found=len(view.boxes),
        right=int(view.right.sum()),
        recall=f"{view.here[0]:.3f}",
        precision=f"{view.here[1]:.3f}",
        ap=f"{view.ap50:.3f}",
    )
