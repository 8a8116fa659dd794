"""Training of deep knowledge tracing, and the score of any forecast."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from bigmodel_lib.data.students import Answers
from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import Schedule, adamw


@dataclass
class TracingSettings(Schedule):
    """What may change while a tracer trains.

    Attributes:
        batch_size: students a step.
        others: of `Schedule`.
    """

    batch_size: int = 100

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        super().check()
        if self.batch_size < 1:
            raise ValueError(f"need batch_size ≥ 1, got {self.batch_size}")


class TracingRun(Run):
    """Minimises the log loss of every answer given those before it, in nats an answer.

    Args:
        model: a `DeepTracer`, or what takes and gives the same.
        answers: of the students to learn from.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.
    """

    def __init__(self, model: nn.Module, answers: Answers, *, settings=None, **others):
        self.model, self.answers = model, answers
        optimizers = {"optimizer": adamw(model)}
        super().__init__({"model": model}, optimizers, settings or TracingSettings(), **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on some students."""
        who = torch.randint(len(self.answers.items), (self.settings.batch_size,))
        items = self.answers.items[who].to(self.device)
        right = self.answers.right[who].to(self.device)
        loss = F.binary_cross_entropy_with_logits(self.model(items, right), right)
        self.settings.apply(self.optimizers["optimizer"], self.step + 1)
        self.optimizers["optimizer"].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizers["optimizer"].step()
        return {"loss": loss}


def forecast_scores(p: Tensor, right: Tensor) -> tuple[float, float]:
    """Area under the ROC curve, and log loss in nats an answer.

    Args:
        p: forecasts of right answers, any shape, between 0 and 1.
        right: the answers, 0 or 1.

    Raises:
        ValueError: shapes that differ.
    """
    if p.shape != right.shape:
        raise ValueError(f"need one forecast an answer, got {tuple(p.shape)}, {tuple(right.shape)}")
    area = roc_auc_score(right.flatten().numpy(), p.flatten().numpy())
    return float(area), float(F.binary_cross_entropy(p.double(), right.double()))
