"""A small network for tables that scikit-learn can cross-validate and search like any other."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor

from bigmodel_lib.training.classifier import ClassifierSettings, StreamRun
from bigmodel_lib.training.schedule import cosine
from bigmodel_lib.training.table import table_network


class TableNetwork(ClassifierMixin, BaseEstimator):
    """One hidden layer of ReLU units, trained by AdamW on all rows at each step.

    It scales nothing: put a `StandardScaler` before it in a pipeline. Shapes: N rows, F features,
    C classes.

    Args:
        width: hidden units.
        weight_decay: of AdamW.
        lr: learning rate of the first step; it falls to 0 along a half cosine.
        steps: of training.
        seed: of the first weights.
    """

    def __init__(
        self,
        width: int = 16,
        weight_decay: float = 1.0,
        lr: float = 0.03,
        steps: int = 60,
        seed: int = 0,
    ):
        self.width, self.weight_decay, self.lr = width, weight_decay, lr
        self.steps, self.seed = steps, seed

    def fit(self, x, y) -> "TableNetwork":
        """Learn from rows (N, F) with classes (N,).

        Raises:
            ValueError: shapes that do not fit, values that are not finite, or a single class.
        """
        x, y = np.asarray(x, float), np.asarray(y)
        if x.ndim != 2 or y.shape != x.shape[:1] or not np.isfinite(x).all():
            raise ValueError(f"need finite rows (N, F), classes (N,); got {x.shape}, {y.shape}")
        self.classes_, place = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"need at least two classes, got {self.classes_}")
        rows, labels = _tensor(x), torch.from_numpy(place)
        self.network_ = table_network(x.shape[1], len(self.classes_), self.width, self.seed)
        settings = ClassifierSettings(weight_decay=self.weight_decay, batch_size=len(y))
        rarely = {"check_every": max(self.steps, 1), "keep_every": self.steps + 1}
        run = StreamRun(self.network_, lambda _count: (rows, labels), settings=settings, **rarely)
        for _ in cosine(run, self.steps, lr=self.lr):
            pass
        return self

    @torch.no_grad()
    def predict_proba(self, x) -> np.ndarray:
        """Probability of each class, (N, C)."""
        scores = self.network_(_tensor(np.asarray(x, float)))
        return scores.double().softmax(dim=1).numpy()

    def predict(self, x) -> np.ndarray:
        """The class of the highest probability, (N,)."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]


def _tensor(x: np.ndarray) -> Tensor:
    return torch.tensor(x, dtype=torch.float32)
