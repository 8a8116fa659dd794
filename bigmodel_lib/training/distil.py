"""Distillation: a small student learns what a large teacher makes of an image, not only its label.

Shapes: B batch, C classes.

Source: Hinton et al. 2015, section 2, arXiv:1503.02531.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.training.classifier import ClassifierSettings, StreamRun


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """τ² KL(softmax(teacher / τ) ‖ softmax(student / τ)), the mean over a batch, in nats.

    A high temperature τ shows which wrong classes the teacher finds less wrong. The gradient of
    the softened scores shrinks with 1/τ², which the factor makes good.

    Args:
        student, teacher: scores (B, C); the teacher's get no gradient.
        temperature: τ, above 0.

    Raises:
        ValueError: the temperature is not above 0, or the shapes differ.
    """
    if not temperature > 0 or student.shape != teacher.shape:
        shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise ValueError(f"need τ > 0 and scores of one shape, got {temperature}, {shapes}")
    soft = (student / temperature).log_softmax(dim=-1)
    target = (teacher.detach() / temperature).softmax(dim=-1)
    return temperature**2 * F.kl_div(soft, target, reduction="batchmean")


@dataclass
class DistilSettings(ClassifierSettings):
    """What may change live.

    Attributes:
        temperature: τ of the soft targets.
        soft: the soft targets' share of the loss; the labels have the rest.
        others: of `ClassifierSettings`.
    """

    temperature: float = 4.0
    soft: float = 0.9

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        super().check()
        if not (self.temperature > 0 and 0 <= self.soft <= 1):
            raise ValueError(f"need a temperature > 0 and soft from 0 to 1, got {self}")


class DistilRun(StreamRun):
    """Trains a student on the soft answers of a teacher, and on the labels.

    soft · `distillation_loss` + (1 - soft) · cross-entropy. Records as in `StreamRun`.

    Args:
        model: the student.
        draw: as in `StreamRun`.
        teacher: inputs (B, …) → scores (B, C); run in evaluation mode, and not changed.
        others: of `StreamRun`.
    """

    def __init__(
        self,
        model: nn.Module,
        draw,
        *,
        teacher: nn.Module,
        settings: DistilSettings | None = None,
        **others,
    ):
        self.teacher = teacher.eval()
        super().__init__(model, draw, settings=settings or DistilSettings(), **others)

    def loss(self, scores: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
        """The mixture of both losses."""
        with torch.no_grad():
            answers = self.teacher(inputs)
        soft = distillation_loss(scores, answers, self.settings.temperature)
        hard = F.cross_entropy(scores, labels)
        return self.settings.soft * soft + (1 - self.settings.soft) * hard
