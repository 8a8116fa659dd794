"""Training a network to forecast a number: a mean, or a variance."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bigmodel_lib.training.run import Run


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean of (y − ŷ)²: least for the mean of y given the past."""
    return (output - target).square().mean()


def qlike_of_log(output: Tensor, target: Tensor) -> Tensor:
    """Mean of s + y e^(−s), s = log σ̂²: least for the mean of y = r², the variance.

    -- QLIKE, Patton 2011. The network answers with s, so no variance is negative.
    """
    return (output + target * (-output).exp()).mean()


LOSSES = {"squared error": squared_error, "QLIKE": qlike_of_log}


@dataclass
class ForecastSettings:
    """What may change while it trains: AdamW's learning rate and decay, rows in a step."""

    lr: float = 3e-3
    weight_decay: float = 1e-2
    batch_size: int = 128

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        if not (self.lr >= 0 and self.weight_decay >= 0 and self.batch_size >= 1):
            raise ValueError(f"need lr >= 0, weight_decay >= 0 and batch_size >= 1, got {self}")


class ForecastRun(Run):
    """Minimises a loss on rows that are drawn with replacement.

    Each record holds the batch's loss before the step.

    Args:
        model: inputs (B, …) → (B, 1): the mean, or for "QLIKE" the logarithm of the variance.
        x, y: all inputs (N, …) and targets (N,) to learn from, in one order; moved to the
            model's device.
        loss: a name in `LOSSES`.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.

    Raises:
        ValueError: x and y that do not fit, or an unknown loss.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        *,
        loss: str = "squared error",
        settings: ForecastSettings | None = None,
        **others,
    ):
        if y.ndim != 1 or len(x) != len(y) or not len(y) or loss not in LOSSES:
            got = f"{tuple(x.shape)}, {tuple(y.shape)} and {loss!r}"
            raise ValueError(f"need x (N, …), y (N,) and a loss of {list(LOSSES)}, got {got}")
        device = next(model.parameters()).device
        self.model, self.loss, self.x, self.y = model, LOSSES[loss], x.to(device), y.to(device)
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        settings = settings or ForecastSettings()
        super().__init__({"model": model}, {"optimizer": optimizer}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on the loss of one batch."""
        optimizer = self.optimizers["optimizer"]
        (group,) = optimizer.param_groups
        group["lr"], group["weight_decay"] = self.settings.lr, self.settings.weight_decay
        index = torch.randint(len(self.y), (self.settings.batch_size,), device=self.device)
        loss = self.loss(self.model(self.x[index])[:, 0], self.y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss}
