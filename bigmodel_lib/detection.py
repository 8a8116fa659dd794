"""How good is a detector? Average precision by COCO's own evaluator, and its curve.

Boxes (left, top, right, bottom) in pixels.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from bigmodel_lib.data.scenes import Scene
from bigmodel_lib.models.detector import Detections


@dataclass(frozen=True, eq=False)
class DetectionReport:
    """What COCO's evaluator says.

    Attributes:
        ap: average precision, the mean over ten IoU thresholds 0.5, 0.55, … 0.95 and classes.
        ap50: at 0.5 alone.
        recall: thresholds of recall (101,).
        precision: highest precision at each recall or beyond (101,), IoU 0.5, mean of classes.
    """

    ap: float
    ap50: float
    recall: np.ndarray
    precision: np.ndarray


def average_precision(scenes: Sequence[Scene], found: Sequence[Detections]) -> DetectionReport:
    """Compare what was found with what is there.

    A detection is right if its class is, and its IoU with a box that no better one has taken
    is at least the threshold -- Lin et al. 2014 (COCO), arXiv:1405.0312; by `pycocotools`.

    Args:
        scenes: what is there.
        found: what was found in each, 100 detections at most.

    Raises:
        ValueError: another number of scenes than of answers, or no scene.
    """
    from pycocotools.cocoeval import COCOeval  # half a second: only who needs it pays

    if len(scenes) != len(found) or not scenes:
        raise ValueError(f"need an answer for each scene, got {len(found)} for {len(scenes)}")
    truth = [(scene.boxes, scene.labels, None) for scene in scenes]
    answers = [(each.boxes, each.labels, each.scores) for each in found]
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress
        evaluation = COCOeval(_coco(truth, len(scenes)), _coco(answers, len(scenes)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][0, :, :, 0, -1]  # (101 recalls, classes)
    known = (precision > -1).all(axis=0)  # -1: a class that is in no scene
    return DetectionReport(
        ap=float(evaluation.stats[0]),
        ap50=float(evaluation.stats[1]),
        recall=evaluation.params.recThrs,
        precision=precision[:, known].mean(axis=1),
    )


def _coco(parts: Sequence[tuple[Tensor, Tensor, Tensor | None]], images: int):
    """Boxes, labels and scores of each image in the evaluator's own form."""
    from pycocotools.coco import COCO

    rows = []
    for image, (boxes, labels, scores) in enumerate(parts):
        for row, (left, top, right, bottom) in enumerate(boxes.tolist()):
            width, height = right - left, bottom - top
            rows.append({
                "id": len(rows) + 1,  # from 1: it takes 0 for "no match"
                "image_id": image,
                "category_id": int(labels[row]),
                "bbox": [left, top, width, height],
                "area": width * height,
                "iscrowd": 0,
                "score": 0.0 if scores is None else float(scores[row]),
            })  # fmt: skip
    coco = COCO()
    classes = sorted({row["category_id"] for row in rows})
    coco.dataset = {
        "images": [{"id": image} for image in range(images)],
        "categories": [{"id": label} for label in classes],
        "annotations": rows,
    }
    coco.createIndex()
    return coco
