"""Training of recommenders, one step at a time: to predict stars, or to find the next item."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bigmodel_lib.data.ratings import Ratings
from bigmodel_lib.models.recommender import Recommender, batch_softmax
from bigmodel_lib.training.run import Run


@dataclass
class RecommenderSettings:
    """What may change while a recommender trains: Adam's rate, λ of the penalty, the batch."""

    lr: float = 2e-2
    penalty: float = 0.1
    batch_size: int = 1024

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        for name in ("lr", "penalty"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"need {name} >= 0 and finite, got {getattr(self, name)}")
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError(f"need batch_size a whole number >= 1, got {self.batch_size!r}")


class RecommenderRun(Run):
    """Common to both: batches drawn with replacement, Adam, and the penalty.

    A subclass defines `fit(index)`.

    Args:
        model: the recommender.
        data: ratings to learn from; moved to the model's device once.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.

    Raises:
        ValueError: no ratings.
    """

    def __init__(
        self,
        model: Recommender,
        data: Ratings,
        *,
        settings: RecommenderSettings | None = None,
        **others,
    ):
        if not len(data):
            raise ValueError("need at least one rating, got none")
        self.model = model
        self.data = data.to(next(model.parameters()).device)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        settings = settings or RecommenderSettings()
        super().__init__({"model": model}, {"optimizer": optimizer}, settings, **others)

    def fit(self, index: Tensor) -> Tensor:
        """What is to be small, for the ratings at these places (B,)."""
        raise TypeError(f"{type(self).__name__} must define fit()")

    def train_step(self) -> dict[str, Tensor]:
        """One step of Adam on the fit of one batch and λ times its penalty."""
        optimizer = self.optimizers["optimizer"]
        optimizer.param_groups[0]["lr"] = self.settings.lr
        index = torch.randint(len(self.data), (self.settings.batch_size,), device=self.device)
        penalty = self.model.penalty(self.data.users[index], self.data.items[index]).mean()
        fit = self.fit(index)
        loss = fit + self.settings.penalty * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss, "fit": fit, "penalty": penalty}


class RatingRun(RecommenderRun):
    """Learns to predict stars: minimises squared error + λ · penalty.

    Koren, Bell & Volinsky 2009, eq. 5, IEEE Computer 42(8). Each record holds loss, fit (mean
    squared error in stars²) and penalty, means over the batch before the step.
    """

    def fit(self, index: Tensor) -> Tensor:
        """Mean squared error of the batch, in stars²."""
        predicted = self.model(self.data.users[index], self.data.items[index])
        return (predicted - self.data.stars[index]).square().mean()


class RetrievalRun(RecommenderRun):
    """Learns which item a user chooses, whatever the stars: a softmax over the batch's items.

    Yi et al. 2019, doi:10.1145/3298689.3346996, with the frequencies of the training set in
    place of their running estimate. Each record holds loss, fit (cross-entropy in nats) and
    penalty, means over the batch before the step.

    Args:
        model, data, settings, others: as above.
        correct: subtract log q, so that popular items are not pushed down.
    """

    def __init__(self, model: Recommender, data: Ratings, *, correct: bool = True, **others):
        super().__init__(model, data, **others)
        share = self.data.items.bincount(minlength=data.I) / len(data)
        self.log_q = share.log() if correct else None  # -inf for items not in the data: never used

    def fit(self, index: Tensor) -> Tensor:
        """Cross-entropy of the batch, in nats."""
        items = self.data.items[index]
        scores = self.model.scores(self.data.users[index], items)
        return batch_softmax(scores, None if self.log_q is None else self.log_q[items])
