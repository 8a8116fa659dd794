"""How good is a detector? Average precision by COCO's own evaluator, and its curve.

Boxes (left, top, right, bottom) in pixels.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.data.digits import enlarge
from bigmodel_lib.data.scenes import INK, Scene
from bigmodel_lib.models.boxes import iou
from bigmodel_lib.models.detector import Detections


@dataclass(frozen=True, eq=False)
class DetectionReport:
    """What COCO's evaluator says.

    Attributes:
        ap: average precision, the mean over ten IoU thresholds 0.5, 0.55, … 0.95 and classes.
        ap50: at 0.5 alone.
    """

    ap: float
    ap50: float


@dataclass(frozen=True, eq=False)
class Curve:
    """What a score threshold buys.

    Attributes:
        scores: of all detections in all scenes, falling (n,).
        recall: share of the digits found by detections down to each score (n,).
        precision: share of those detections that are right (n,).
        ap: average precision at this one IoU, the mean over classes, as COCO's evaluator
            counts it; `average_precision` says it for more IoUs, and takes far longer.
    """

    scores: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    ap: float


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
    return DetectionReport(ap=float(evaluation.stats[0]), ap50=float(evaluation.stats[1]))


def precision_recall_curve(
    scenes: Sequence[Scene], found: Sequence[Detections], least: float = 0.5
) -> Curve:
    """Precision against recall, all classes in one pool, at every score that occurs.

    Args:
        scenes: what is there, at least one digit.
        found: what was found in each, the best first, 100 detections at most.
        least: IoU from which a detection counts as right.
    """
    scores = torch.cat([each.scores for each in found]).numpy()
    labels = torch.cat([each.labels for each in found]).numpy()
    right = torch.cat([matches(*pair, least) for pair in zip(scenes, found, strict=True)]).numpy()
    order = np.argsort(-scores, kind="stable")
    labels, right = labels[order], right[order]
    there = torch.cat([scene.labels for scene in scenes]).numpy()
    classes, counts = np.unique(there, return_counts=True)
    areas = [
        _area_under(right[labels == label], count)
        for label, count in zip(classes, counts, strict=True)
    ]
    return Curve(scores[order], *_recall_and_precision(right, len(there)), float(np.mean(areas)))


def _recall_and_precision(right: np.ndarray, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Down to each detection, the best first."""
    hits = right.cumsum()
    return hits / digits, hits / np.arange(1, len(hits) + 1)


def _area_under(right: np.ndarray, digits: int) -> float:
    """Mean precision at recalls 0, 0.01, … 1, at each the best that this or more recall allows."""
    recall, precision = _recall_and_precision(right, digits)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(recall, np.linspace(0, 1, 101))
    return np.append(best, 0.0)[reached].mean()  # what is never reached counts as 0


@torch.no_grad()
def by_components(scene: Scene, classifier: nn.Module, least: int = 12) -> Detections:
    """What one did before detectors: each connected patch of ink is one digit.

    Args:
        scene: only its image is looked at.
        classifier: digits (B, 1, 28, 28) → class scores (B, C), in evaluation mode.
        least: pixels of ink that a patch must have.
    """
    from scipy import ndimage  # only who needs it pays

    patches, _count = ndimage.label((scene.image[0] > INK).numpy(), np.ones((3, 3)))
    places = [
        place
        for number, place in enumerate(ndimage.find_objects(patches), 1)
        if (patches[place] == number).sum() >= least
    ]
    if not places:
        return Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long))
    crops = torch.cat([_centred(scene.image[0][place]) for place in places])
    best = classifier(crops).softmax(dim=1).max(dim=1)
    boxes = torch.tensor([[x.start, y.start, x.stop, y.stop] for y, x in places]).float()
    order = best.values.argsort(descending=True, stable=True)
    return Detections(boxes[order], best.values[order], best.indices[order])


def _centred(ink: Tensor) -> Tensor:
    """A crop (h, w) as the digits come: in the middle of 28 by 28 pixels, which it fills."""
    side = max(ink.shape)
    left, top = (side - ink.shape[1]) // 2, (side - ink.shape[0]) // 2
    margins = [left, side - ink.shape[1] - left, top, side - ink.shape[0] - top]
    return enlarge(F.pad(ink, margins, value=-1.0)[None])


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


def matches(scene: Scene, found: Detections, least: float = 0.5) -> Tensor:
    """Which detections are right: (n,) bool.

    In the order of their scores, each takes the free true box of its class that it overlaps
    most, if by an IoU of `least` or more; a second detection of one digit is wrong.

    Args:
        scene: what is there.
        found: the best first.
        least: IoU.
    """
    overlap = iou(found.boxes, scene.boxes)
    overlap = overlap.masked_fill(found.labels[:, None] != scene.labels, -1.0).cpu().numpy()
    right = np.zeros(len(overlap), dtype=bool)
    for i in range(len(right) if len(scene.labels) else 0):
        best = overlap[i].argmax()
        if overlap[i, best] >= least:
            right[i] = True
            overlap[:, best] = -1.0  # taken
    return torch.from_numpy(right)
