"""Distillation against its formula and its limits."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bigmodel_lib.training.classifier import ClassifierSettings, StreamRun
from bigmodel_lib.training.distil import DistilRun, DistilSettings, distillation_loss

B, C, I = 7, 5, 3  # noqa: E741


def test_the_formula():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, B, C)
    p, q = (teacher / 3).softmax(1), (student / 3).softmax(1)
    expected = 9 * (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(distillation_loss(student, teacher, 3), expected)


def test_the_best_student_repeats_the_teacher():
    teacher = torch.randn(B, C)
    assert float(distillation_loss(teacher + 2, teacher, 4)) == pytest.approx(0, abs=1e-6)


def test_at_a_high_temperature_it_is_a_regression_of_the_scores():
    # Hinton et al. 2015, section 2.1: half the mean square of the centred scores' difference
    torch.manual_seed(0)
    student, teacher = torch.randn(2, B, C, dtype=torch.float64)
    centred = [x - x.mean(1, keepdim=True) for x in (student, teacher)]
    expected = (centred[0] - centred[1]).square().mean(1).mean() / 2
    torch.testing.assert_close(
        distillation_loss(student, teacher, 1e3), expected, rtol=1e-2, atol=0
    )


def test_a_teacher_that_is_sure_is_a_label():
    student = torch.randn(B, C)
    labels = torch.arange(B) % C
    sure = 100 * F.one_hot(labels, C).float()
    torch.testing.assert_close(
        distillation_loss(student, sure, 1), F.cross_entropy(student, labels)
    )


def test_no_gradient_reaches_the_teacher():
    student, teacher = torch.randn(2, B, C).requires_grad_().unbind()
    leaf = torch.randn(B, C, requires_grad=True)
    distillation_loss(student, leaf, 2).backward()
    assert leaf.grad is None
    assert teacher is not None


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_that_cannot_be(temperature):
    with pytest.raises(ValueError, match="τ > 0"):
        distillation_loss(torch.zeros(2, 3), torch.zeros(2, 3), temperature)
    with pytest.raises(ValueError, match="temperature > 0"):
        DistilSettings(temperature=temperature).check()


def test_shapes_that_differ():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 4\)"):
        distillation_loss(torch.zeros(2, 3), torch.zeros(2, 4), 1)


def draw(count):
    x = torch.randn(count, I)
    return x, (x.sum(1) > 0).long()


def test_without_soft_targets_it_is_plain_training():
    def trained(kind, settings, **others):
        torch.manual_seed(0)
        net = nn.Linear(I, 2)
        list(kind(net, draw, settings=settings, **others).take(3))
        return net.weight

    plain = trained(StreamRun, ClassifierSettings())
    mixed = trained(DistilRun, DistilSettings(soft=0), teacher=nn.Linear(I, 2))
    assert torch.equal(plain, mixed)


def test_a_student_takes_over_a_teachers_opinion_against_the_labels():
    torch.manual_seed(0)
    teacher, student = nn.Linear(I, 2), nn.Linear(I, 2)
    before = teacher.weight.clone()
    run = DistilRun(student, draw, teacher=teacher, settings=DistilSettings(lr=0.05, soft=1))
    list(run.take(300))
    x = torch.randn(200, I)
    margins = [net(x).diff(dim=1) for net in (student, teacher)]
    torch.testing.assert_close(*margins, atol=0.1, rtol=0.1)
    assert torch.equal(teacher.weight, before)
