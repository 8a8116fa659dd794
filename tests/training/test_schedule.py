"""The falling learning rate, against PyTorch's scheduler."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import cosine


@dataclass
class Settings:
    lr: float = 1.0

    def check(self):
        """Anything goes."""


class Still(Run):
    def __init__(self):
        super().__init__({"net": nn.Linear(1, 1)}, {}, Settings())

    def train_step(self):
        return {"lr": torch.tensor(self.settings.lr)}


def oracle(steps, lr):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    for _ in range(steps):
        yield scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(("steps", "lr"), [(7, 0.3), (2, 1e-3), (1, 5.0)])
def test_rates_are_those_of_torch(steps, lr):
    run = Still()
    found = [record["lr"] for record in cosine(run, steps, lr)]
    assert found == pytest.approx(list(oracle(steps, lr)))
    assert run.step == steps


def test_it_takes_steps_only_as_they_are_asked_for():
    run = Still()
    falling = cosine(run, 11, 0.3)
    assert run.step == 0
    next(falling), next(falling)
    assert run.step == 2
