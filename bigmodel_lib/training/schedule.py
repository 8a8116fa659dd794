"""AdamW with a learning rate that rises, then falls: what all runs on sequences share."""

import math
from dataclasses import dataclass

import torch
from torch import nn

LAST_RATE = 0.1  # of lr, at the end of the schedule


@dataclass
class Schedule:
    """Learning rate and weight decay, step by step.

    Attributes:
        lr: AdamW's learning rate, at its highest.
        weight_decay: of matrices; biases and norms have none.
        warmup: steps in which the rate rises from 0 to lr.
        schedule: step at which the rate has fallen to a tenth of lr, along half a cosine
            -- Loshchilov & Hutter 2016, eq. 5, arXiv:1608.03983; 0 keeps it.
    """

    lr: float = 3e-3
    weight_decay: float = 0.0
    warmup: int = 0
    schedule: int = 0

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        if not min(self.lr, self.weight_decay, self.warmup, self.schedule) >= 0:
            raise ValueError(f"need lr, weight_decay, warmup and schedule >= 0, got {self}")

    def rate(self, step: int) -> float:
        """The learning rate of a step, 1 the first."""
        if step < self.warmup:
            return self.lr * step / self.warmup
        if not self.schedule:
            return self.lr
        done = (step - self.warmup) / max(self.schedule - self.warmup, 1)
        falling = (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return self.lr * (LAST_RATE + (1 - LAST_RATE) * falling)

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Set what `adamw` made to this step's rate, and to the decay."""
        matrices, others = optimizer.param_groups
        matrices["lr"] = others["lr"] = self.rate(step)
        matrices["weight_decay"], others["weight_decay"] = self.weight_decay, 0.0


def adamw(model: nn.Module) -> torch.optim.AdamW:
    """AdamW with two groups: parameters that decay is for (matrices), and the others."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim < 2]},
    ]
    return torch.optim.AdamW(groups, fused=True)
