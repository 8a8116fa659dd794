"""Average precision on answers whose worth is known, the curve, and the baseline."""

import numpy as np
import pytest
import torch

from bigmodel_lib.data.scenes import Scene, make_scene, make_scenes
from bigmodel_lib.detection import (
    _coco,
    average_precision,
    by_components,
    matches,
    precision_recall_curve,
)
from bigmodel_lib.models.detector import Detections
from tests.trained import classifier, digits

SCENES = make_scenes(digits("test"), 23, seed=1)


def answers(shift: float = 0.0, wrong: bool = False) -> list[Detections]:
    return [
        Detections(s.boxes + shift, torch.ones(len(s.labels)), (s.labels + wrong) % 10)
        for s in SCENES
    ]


def test_the_truth_scores_one_and_wrong_labels_none():
    perfect = average_precision(SCENES, answers())
    assert (perfect.ap, perfect.ap50) == pytest.approx((1.0, 1.0))
    assert average_precision(SCENES, answers(wrong=True)).ap50 < 0.1


def test_a_shift_costs_the_high_thresholds_first():
    shifted = average_precision(SCENES, answers(shift=1.0))
    assert shifted.ap50 > 0.95
    assert 0.3 < shifted.ap < 0.8


def test_half_of_the_digits_found_is_half_the_area():
    scene = Scene(
        torch.zeros(1, 64, 64),
        torch.tensor([[0.0, 0, 10, 10], [30, 30, 40, 40]]),
        torch.tensor([3, 3]),
    )
    found = Detections(scene.boxes[:1], torch.tensor([0.9]), scene.labels[:1])
    assert average_precision([scene], [found]).ap50 == pytest.approx(0.5, abs=0.01)


def test_no_answers_and_another_number_of_them():
    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long))
    assert average_precision(SCENES, [nothing] * len(SCENES)).ap == 0
    with pytest.raises(ValueError, match="an answer for each scene, got 1 for 23"):
        average_precision(SCENES, [nothing])


def test_a_second_box_on_one_digit_is_wrong():
    scene = make_scene(digits("test"), 0, count=2)
    twice = Detections(
        scene.boxes[[0, 0, 1]], torch.tensor([0.9, 0.8, 0.7]), scene.labels[[0, 0, 1]]
    )
    assert matches(scene, twice).tolist() == [True, False, True]


def test_each_point_of_the_curve_is_a_threshold():
    torch.manual_seed(0)
    found = [
        Detections(d.boxes + 2 * torch.randn_like(d.boxes), torch.rand(len(d.scores)), d.labels)
        for d in answers()
    ]
    found = [Detections(*(part[d.scores.argsort(descending=True)] for part in d)) for d in found]
    curve = precision_recall_curve(SCENES, found)
    for threshold in (0.2, 0.5, 0.8):
        above = [Detections(*(part[d.scores >= threshold] for part in d)) for d in found]
        right = sum(int(matches(s, d).sum()) for s, d in zip(SCENES, above, strict=True))
        last = np.flatnonzero(curve.scores >= threshold)[-1]
        assert curve.precision[last] == pytest.approx(right / sum(len(d.scores) for d in above))
        assert curve.recall[last] == pytest.approx(right / sum(len(s.labels) for s in SCENES))


@pytest.mark.parametrize("least", [0.5, 0.75])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_curves_average_is_that_of_cocos_evaluator(seed, least):
    dice = torch.Generator().manual_seed(seed)
    found = []
    for scene in SCENES:
        copies = scene.labels.repeat(2)  # each digit twice, some boxes far off, some labels wrong
        boxes = scene.boxes.repeat(2, 1)
        boxes = boxes + 3 * torch.randn((len(boxes), 2), generator=dice).repeat(1, 2)
        labels = torch.where(torch.rand(len(copies), generator=dice) < 0.2, copies * 0, copies)
        scores = (20 * torch.rand(len(copies), generator=dice)).round() / 20  # many are equal
        order = scores.argsort(descending=True, stable=True)
        order = order[labels[order] != 7]  # a class that is never found
        found.append(Detections(boxes[order], scores[order], labels[order]))
    ap = precision_recall_curve(SCENES, found, least).ap
    assert 0.05 < ap < 0.95
    assert ap == pytest.approx(coco_average_precision(SCENES, found, least), abs=1e-9)


def coco_average_precision(scenes, found, least) -> float:
    """By the evaluator, at one IoU."""
    from pycocotools.cocoeval import COCOeval

    truth = [(scene.boxes, scene.labels, None) for scene in scenes]
    answers = [(each.boxes, each.labels, each.scores) for each in found]
    evaluation = COCOeval(*(_coco(part, len(scenes)) for part in (truth, answers)), "bbox")
    evaluation.params.iouThrs = np.array([least])
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, :, 0, -1]  # recalls, classes; any size, 100
    return precision[precision > -1].mean()


def test_a_curve_of_nothing_found():
    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long))
    curve = precision_recall_curve(SCENES, [nothing] * len(SCENES))
    assert curve.ap == 0
    assert len(curve.recall) == 0


def test_the_baseline_finds_lone_digits():
    scenes = [make_scene(digits("test"), seed, count=1, frames=(26, 32)) for seed in range(20)]
    found = [by_components(scene, classifier()) for scene in scenes]
    assert average_precision(scenes, found).ap50 > 0.8


def test_the_baseline_on_an_empty_page():
    page = Scene(torch.full((1, 64, 64), -1.0), torch.zeros(0, 4), torch.zeros(0).long())
    assert len(by_components(page, classifier()).scores) == 0
