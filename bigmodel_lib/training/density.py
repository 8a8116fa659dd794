"""Training of a model that knows its own loss, such as the four of `models.principles`."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bigmodel_lib.training.run import Run


@dataclass
class DensitySettings:
    """What may change while a model trains: Adam's learning rate and β₁, and the batch."""

    lr: float = 1e-2
    beta1: float = 0.9
    batch_size: int = 256

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        if not (self.lr >= 0 and 0 <= self.beta1 < 1 and self.batch_size >= 1):
            raise ValueError(f"need lr >= 0, 0 <= beta1 < 1 and batch_size >= 1, got {self}")


class DensityRun(Run):
    """Minimises `model.loss(*batch)` by Adam, on batches drawn with replacement.

    Each record holds the loss of the batch, before the step.

    Args:
        model: with `loss(x, *condition)`, a scalar.
        data: examples (N, …), and what else the loss takes of each, (N, …); moved to the
            model's device once.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.

    Raises:
        ValueError: no data, or of unequal length.
    """

    def __init__(
        self,
        model: nn.Module,
        *data: Tensor,
        settings: DensitySettings | None = None,
        **others,
    ):
        lengths = {len(column) for column in data}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"need tensors of one length, at least 1, got {sorted(lengths)}")
        self.model = model
        device = next(model.parameters()).device
        self.data = tuple(column.to(device) for column in data)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        settings = settings or DensitySettings()
        super().__init__({"model": model}, {"optimizer": optimizer}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of Adam on one batch."""
        optimizer = self.optimizers["optimizer"]
        (group,) = optimizer.param_groups
        group["lr"], group["betas"] = self.settings.lr, (self.settings.beta1, 0.999)
        size = (self.settings.batch_size,)
        index = torch.randint(len(self.data[0]), size, device=self.device)
        loss = self.model.loss(*(column[index] for column in self.data))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss}
