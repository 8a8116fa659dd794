"""Learning rates that change on the way."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from bigmodel_lib.training.run import Record, Run


def half_cosine(done: float) -> float:
    """(1 + cos π·done) / 2, which falls from 1 to 0 while `done` grows from 0 to 1.

    Loshchilov & Hutter 2016, eq. 5, without restarts, arXiv:1608.03983.
    """
    return (1 + math.cos(math.pi * done)) / 2


def cosine(run: Run, steps: int, lr: float) -> Iterator[Record]:
    """The next so many steps, at a learning rate that falls from lr to 0 along half a cosine.

    lr · `half_cosine(i / steps)` for i = 0 … steps - 1.

    Args:
        run: with an attribute `settings.lr`.
        steps: how many; the rate is that of a fall over all of them, however many are asked for.
        lr: of the first step.
    """
    for i in range(steps):
        run.settings.lr = lr * half_cosine(i / steps)
        yield next(run)


@dataclass
class Schedule:
    """Learning rate and weight decay as settings of a run, with a rate for every step.

    Attributes:
        lr: AdamW's learning rate, at its highest.
        weight_decay: of matrices; biases and norms have none.
        warmup: steps in which the rate rises from 0 to lr.
        schedule: step at which the rate has fallen to its last, along `half_cosine`; 0 keeps it.
        last: share of lr that is left at the end of the schedule.
    """

    lr: float = 3e-3
    weight_decay: float = 0.0
    warmup: int = 0
    schedule: int = 0
    last: float = 0.1

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        if not min(self.lr, self.weight_decay, self.warmup, self.schedule) >= 0:
            raise ValueError(f"need lr, weight_decay, warmup and schedule >= 0, got {self}")
        if not 0 <= self.last <= 1:
            raise ValueError(f"need 0 <= last <= 1, got {self}")

    def rate(self, step: int) -> float:
        """The learning rate of a step, 1 the first."""
        if step < self.warmup:
            return self.lr * step / self.warmup
        if not self.schedule:
            return self.lr
        done = (step - self.warmup) / max(self.schedule - self.warmup, 1)
        return self.lr * (self.last + (1 - self.last) * half_cosine(min(done, 1.0)))

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Set what `adamw` made, or one group of matrices, to this step's rate and the decay."""
        matrices, *others = optimizer.param_groups
        matrices["lr"], matrices["weight_decay"] = self.rate(step), self.weight_decay
        for group in others:
            group["lr"], group["weight_decay"] = self.rate(step), 0.0


def adamw(model: nn.Module, without: Iterable[nn.Parameter] = ()) -> torch.optim.AdamW:
    """AdamW with two groups: parameters that decay is for (matrices), and the others.

    Args:
        model: whose parameters they are.
        without: parameters that another optimiser moves.
    """
    elsewhere = {id(p) for p in without}
    parameters = [p for p in model.parameters() if id(p) not in elsewhere]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim < 2]},
    ]
    return torch.optim.AdamW(groups, fused=True)
