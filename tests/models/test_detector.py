"""The detector: targets decode to the boxes that they were made of, and its loss is right."""

import pytest
import torch
from torch.testing import assert_close

from bigmodel_lib.models.boxes import iou
from bigmodel_lib.models.detector import (
    PRIOR,
    STRIDE,
    Detector,
    Maps,
    candidates,
    decode,
    detect,
    focal_loss,
    suppress,
    targets,
)

BOXES = torch.tensor([[3.0, 5, 21, 30], [40, 20, 52, 47], [22, 44, 31, 62]])
LABELS = torch.tensor([2, 7, 2])


def perfect_maps() -> Maps:
    wanted = targets(BOXES, LABELS, 16)
    return Maps(torch.logit(wanted.heat, 1e-6)[None], wanted.boxes[None])


def test_perfect_maps_give_the_boxes_back():
    boxes, probabilities = decode(perfect_maps())
    found = suppress(candidates(boxes[0], probabilities[0], 0.5), 0.5)
    order = iou(BOXES, found.boxes).argmax(dim=1)
    assert len(found.scores) == 3
    assert_close(found.boxes[order], BOXES)
    assert found.labels[order].tolist() == LABELS.tolist()


def test_without_suppression_several_cells_answer_for_one_digit():
    boxes, probabilities = decode(perfect_maps())
    assert len(candidates(boxes[0], probabilities[0], 0.3).scores) > 3


def test_heat_is_one_in_the_cell_of_each_centre_alone():
    wanted = targets(BOXES, LABELS, 16)
    cells = ((BOXES[:, :2] + BOXES[:, 2:]) / 2 / STRIDE).long().tolist()
    ones = {(int(c), int(x), int(y)) for c, y, x in (wanted.heat == 1).nonzero()}
    assert ones == {(label, x, y) for label, (x, y) in zip(LABELS.tolist(), cells, strict=True)}
    assert wanted.heat.min() >= 0
    assert wanted.near.sum() >= 3 * 9


def test_focal_loss_against_its_formula_cell_by_cell():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 7, generator=generator)
    heat = torch.rand(2, 3, 5, 7, generator=generator)
    heat[0, 1, 2, 3] = heat[1, 0, 4, 4] = 1
    total = 0.0
    for z, h in zip(logits.flatten().tolist(), heat.flatten().tolist(), strict=True):
        p = torch.tensor(z, dtype=torch.float64).sigmoid()
        total -= (1 - p) ** 2 * p.log() if h == 1 else (1 - h) ** 4 * p**2 * (1 - p).log()
    assert focal_loss(logits, heat).item() == pytest.approx(total.item() / 2, rel=1e-5)
    with pytest.raises(ValueError, match="logits like heat"):
        focal_loss(logits, heat[:1])


def test_focal_loss_stays_finite_where_a_probability_rounds_to_0():
    logits = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[1.0, 0.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(400)
    assert logits.grad.isfinite().all()


def test_the_net_is_fully_convolutional_and_starts_at_its_prior():
    torch.manual_seed(0)
    model = Detector(width=8, dilations=(1, 2)).eval()
    maps = model(torch.zeros(2, 1, 20, 28))
    assert maps.classes.shape == (2, 10, 5, 7)
    assert maps.boxes.shape == (2, 4, 5, 7)
    assert maps.classes.sigmoid().mean().item() == pytest.approx(PRIOR, abs=0.02)
    with pytest.raises(ValueError, match="divisible by 4"):
        model(torch.zeros(2, 1, 21, 28))


def test_detect_gives_an_answer_for_each_image():
    found = detect(Detector(width=8, dilations=(1,)).eval(), torch.zeros(3, 1, 16, 16), score=0.99)
    assert [len(each.scores) for each in found] == [0, 0, 0]
