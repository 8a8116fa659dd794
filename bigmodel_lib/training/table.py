"""Training on a table, with an eye on rows that are not learned from."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.training.run import Run

PARTS = ("train", "validation", "test")
OPTIMIZERS = {
    "SGD": torch.optim.SGD,
    "momentum": lambda params: torch.optim.SGD(params, momentum=0.9),
    "RMSprop": torch.optim.RMSprop,
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
}


@dataclass
class TableSettings:
    """What may change while it trains: learning rate, weight decay, rows in a step."""

    lr: float = 1e-2
    weight_decay: float = 0.0
    batch_size: int = 32

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        for name in ("lr", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"need {name} >= 0 and finite, got {getattr(self, name)}")
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError(f"need batch_size a whole number >= 1, got {self.batch_size!r}")


class TableRun(Run):
    """Minimises cross-entropy on rows of the training part, drawn with replacement.

    Each record holds the batch's loss before the step and, every few steps, loss and accuracy
    of each part after it: "train loss", "validation accuracy" and so on.

    Args:
        model: features (B, F) → class scores (B, C).
        parts: features (N, F) and classes (N,) of each of `PARTS`; moved to the model's device.
        optimizer: a name in `OPTIMIZERS`.
        settings: what may change live.
        measure_every: steps between two looks at the parts.
        others: seed, check_every, keep_every and keep of `Run`.

    Raises:
        ValueError: other parts, an unknown optimiser.
    """

    def __init__(
        self,
        model: nn.Module,
        parts: dict[str, tuple[Tensor, Tensor]],
        *,
        optimizer: str = "Adam",
        settings: TableSettings | None = None,
        measure_every: int = 5,
        **others,
    ):
        if tuple(parts) != PARTS or optimizer not in OPTIMIZERS:
            raise ValueError(
                f"need parts {PARTS} and an optimiser of {list(OPTIMIZERS)}, "
                f"got {tuple(parts)} and {optimizer!r}"
            )
        device = next(model.parameters()).device
        self.model, self.measure_every = model, measure_every
        self.parts = {name: (x.to(device), y.to(device)) for name, (x, y) in parts.items()}
        made = OPTIMIZERS[optimizer](model.parameters())
        settings = settings or TableSettings()
        super().__init__({"model": model}, {"optimizer": made}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step on one batch; a look at all parts, if it is time for one."""
        optimizer = self.optimizers["optimizer"]
        (group,) = optimizer.param_groups
        group["lr"], group["weight_decay"] = self.settings.lr, self.settings.weight_decay
        x, y = self.parts["train"]
        index = torch.randint(len(y), (self.settings.batch_size,), device=self.device)
        loss = F.cross_entropy(self.model(x[index]), y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        due = self.step % self.measure_every == 0
        return {"loss": loss, **(self.measure() if due else {})}

    @torch.no_grad()
    def measure(self) -> dict[str, Tensor]:
        """Loss and accuracy of each part, as the model is now."""
        values = {}
        for name, (x, y) in self.parts.items():
            scores = self.model(x)
            values[f"{name} loss"] = F.cross_entropy(scores, y)
            values[f"{name} accuracy"] = (scores.argmax(1) == y).float().mean()
        return values


def table_network(features: int, classes: int, width: int = 0, seed: int = 0) -> nn.Module:
    """One hidden layer of ReLU units, or none for width 0: then it is softmax regression."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if width == 0:
            return nn.Linear(features, classes)
        return nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, classes))
