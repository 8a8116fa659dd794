"""DetectorLab: what a detector finds in a scene, by its two thresholds."""

import functools
from dataclasses import dataclass

import ipywidgets
import numpy as np
import torch
from torch import nn

from bigmodel_lib.cached.vision import DigitDetector
from bigmodel_lib.data.scenes import (
    FRAMES,
    MOST_DIGITS,
    Scene,
    held_out_scenes,
    make_scene,
    stacked,
)
from bigmodel_lib.detection import Curve, matches, precision_recall_curve
from bigmodel_lib.language import _
from bigmodel_lib.models.detector import candidates, decode, suppress
from bigmodel_lib.widgets.base import Explorer, RefusedError, described
from bigmodel_lib.widgets.detector_lab_picture import DetectorLabPicture, DetectorView
from bigmodel_lib.widgets.images import images_for

FLOOR = 0.05  # least score in the precision-recall curve
JUDGED = 60  # held-out scenes behind the curve
RIGHT = 0.5  # IoU from which a box counts as right
OFF = 1.0  # an IoU that no two boxes exceed: nothing is suppressed
ANY = 0  # digits in a scene: drawn from the seed


@dataclass(frozen=True, eq=False)
class _Seen:
    """A scene, and the boxes and probabilities of every cell."""

    scene: Scene
    boxes: torch.Tensor
    probabilities: torch.Tensor


class DetectorLab(Explorer):
    """Move the score threshold and the IoU of suppression; choose the scene.

    Left the scene with what is found in it, right the precision-recall curve over held-out
    scenes with the point where the thresholds are now.

    Args:
        model: a detector in evaluation mode; the cached one if not given.
        recipe: what the controls say first, such as `score=0.1`, `most=0.9` or `count=6`.

    Raises:
        ValueError: a recipe that names no control, or a combination that cannot be.
        CheckpointError: no cached model, if none was given.
    """

    def __init__(self, model: nn.Module | None = None, **recipe):
        controls = _controls()
        for name, value in recipe.items():
            if name not in controls:
                raise ValueError(f"need settings in {tuple(controls)}, got {name!r}")
            controls[name].value = value
        self.controls = controls
        self.model = DigitDetector().load()[0] if model is None else model
        self._judged = [
            (seen.scene, candidates(seen.boxes, seen.probabilities, FLOOR))
            for seen in self._look(list(held_out_scenes()[:JUDGED]))
        ]
        self._curve = functools.lru_cache(self._curve_anew)
        self._seen = self._make_scene("seed")
        self._picture = DetectorLabPicture()
        super().__init__(controls, _rows(controls))
        self.say(_("move a threshold"))

    # --- from controls to scenes ---

    def _value(self, name: str):
        return self.controls[name].value

    def _make_scene(self, moved: str) -> _Seen:
        low, high = self._value("smallest"), self._value("largest")
        if low > high:
            text = _("the smallest frame, {low} pixels, is larger than the largest, {high}")
            name = moved if moved in ("smallest", "largest") else "smallest"
            raise RefusedError(name, text.format(low=low, high=high))
        digits = images_for("seed", "digits", "test")
        count = self._value("count") or None
        return self._look([make_scene(digits, self._value("seed"), count, (low, high))])[0]

    @torch.no_grad()
    def _look(self, scenes: list[Scene]) -> list[_Seen]:
        parts = zip(scenes, *decode(self.model(stacked(scenes))), strict=True)
        return [_Seen(*part) for part in parts]

    def apply(self, name: str) -> None:
        """Take over a control's value."""
        if name in SCENE:
            self._seen = self._make_scene(name)
            self.accept(*SCENE)  # they were checked together

    # --- picture ---

    def _curve_anew(self, most: float) -> Curve:
        scenes, sure = zip(*self._judged, strict=True)
        return precision_recall_curve(scenes, [suppress(each, most) for each in sure], RIGHT)

    def compute(self) -> DetectorView:
        """What the picture shows."""
        score, most = self._value("score"), self._value("most")
        curve = self._curve(most)
        last = int((curve.scores >= score).sum()) - 1
        scene = self._seen.scene
        before = candidates(self._seen.boxes, self._seen.probabilities, score)
        found = suppress(before, most)
        return DetectorView(
            image=scene.image[0].numpy(),
            truth=scene.boxes.numpy() if self._value("truth") else np.zeros((0, 4)),
            count=len(scene.labels),
            boxes=found.boxes.numpy(),
            scores=found.scores.numpy(),
            labels=found.labels.numpy(),
            right=matches(scene, found, RIGHT).numpy(),
            before=len(before.scores),
            recall=curve.recall,
            precision=curve.precision,
            ap50=curve.ap,
            here=(curve.recall[last], curve.precision[last]) if last >= 0 else (0.0, 1.0),
        )

    def draw(self, data: DetectorView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


SCENE = ("seed", "count", "smallest", "largest")


def _controls() -> dict[str, ipywidgets.Widget]:
    floats, ints = ipywidgets.FloatSlider, ipywidgets.IntSlider
    frame = {"min": int(FRAMES[0]), "max": int(FRAMES[1]), "continuous_update": False}
    counts = [(_("any"), ANY), *((str(n), n) for n in range(1, MOST_DIGITS + 1))]
    return {
        "score": described(
            floats, "score threshold", value=0.3, min=FLOOR, max=0.95, step=0.01
        ),
        "most": described(
            floats, "suppress above IoU (1: never)", value=0.5, min=0.0, max=OFF, step=0.05,
            continuous_update=False,
        ),
        "truth": described(ipywidgets.Checkbox, "show true boxes", value=False, indent=False),
        "seed": described(ipywidgets.BoundedIntText, "scene: seed", value=3, min=0, max=2**31 - 1),
        "count": described(ipywidgets.Dropdown, "scene: digits", options=counts, value=6),
        "smallest": described(ints, "smallest frame, pixels", value=int(FRAMES[0]), **frame),
        "largest": described(ints, "largest frame, pixels", value=int(FRAMES[1]), **frame),
    }  # fmt: skip


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    columns = [("score", "most", "truth"), ("seed", "count"), ("smallest", "largest")]
    boxes = [ipywidgets.VBox([controls[name] for name in column]) for column in columns]
    return [ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap"})]
