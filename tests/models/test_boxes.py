"""Overlap and suppression against plain loops and pycocotools."""

import numpy as np
import pytest
import torch
from pycocotools import mask

from bigmodel_lib.models.boxes import iou, non_maximum_suppression


def random_boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner, side = 50 * torch.rand(2, count, 2, generator=generator)
    return torch.cat([corner, corner + side], dim=1)


def plain_iou(a, b) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def plain_suppression(boxes, scores, most) -> list[int]:
    """The best that is left, again and again; no vector in sight."""
    left, kept = list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda i: (scores[i], -i))
        kept.append(best)
        left = [i for i in left if i != best and not plain_iou(boxes[best], boxes[i]) > most]
    return kept


def test_iou_against_pycocotools():
    a, b = random_boxes(7, 0).double(), random_boxes(11, 1).double()

    def as_coco(boxes):
        return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)

    expected = mask.iou(as_coco(a), as_coco(b), [0] * len(b))
    np.testing.assert_allclose(iou(a, b), expected, atol=1e-12)


def test_iou_of_equal_apart_and_empty():
    boxes = torch.tensor([[0.0, 0, 2, 3], [5, 5, 6, 7], [1, 1, 1, 1]])
    assert iou(boxes, boxes).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match=r"need boxes \(N, 4\)"):
        iou(boxes, boxes[:, :3])


@pytest.mark.parametrize("most", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_suppression_against_the_plain_loop(most, seed):
    boxes = random_boxes(53, seed).double()
    scores = torch.rand(53, generator=torch.Generator().manual_seed(seed)).mul(20).round()  # ties
    expected = plain_suppression(boxes.tolist(), scores.tolist(), most)
    assert non_maximum_suppression(boxes, scores, most).tolist() == expected


def test_suppression_of_nothing_and_what_cannot_be():
    assert non_maximum_suppression(torch.zeros(0, 4), torch.zeros(0)).tolist() == []
    with pytest.raises(ValueError, match="most in"):
        non_maximum_suppression(torch.zeros(2, 4), torch.zeros(2), 1.5)
    with pytest.raises(ValueError, match=r"scores \(N,\)"):
        non_maximum_suppression(torch.zeros(2, 4), torch.zeros(3))
