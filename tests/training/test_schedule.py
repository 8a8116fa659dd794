"""Learning rates step by step, against PyTorch's scheduler."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import Schedule, adamw, cosine


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


# --- schedules as settings


def test_the_rate_rises_falls_and_then_stays():
    rates = [Schedule(lr=1.0, warmup=4, schedule=10).rate(step) for step in range(1, 21)]
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert rates[4:10] == sorted(rates[4:10], reverse=True)
    assert rates[9:] == pytest.approx([0.1] * 11)


@pytest.mark.parametrize("last", [0.0, 0.4, 1.0])
def test_what_is_left_at_the_end(last):
    schedule = Schedule(lr=0.5, schedule=10, last=last)
    assert schedule.rate(10) == schedule.rate(15) == pytest.approx(0.5 * last)
    assert schedule.rate(5) == pytest.approx(0.5 * (1 + last) / 2)  # half of the fall


@pytest.mark.parametrize("last", [-0.1, 1.1, math.nan])
def test_the_rate_does_not_rise_at_the_end(last):
    with pytest.raises(ValueError, match="need 0 <= last <= 1"):
        Schedule(last=last).check()


def test_parameters_that_another_optimiser_moves_are_left_out():
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.LayerNorm(5))
    groups = adamw(model, without=[model[0].weight, model[1].bias]).param_groups
    assert [group["params"] for group in groups] == [[], [model[0].bias, model[1].weight]]


def test_one_group_of_matrices_decays():
    optimizer = torch.optim.SGD([torch.ones(2, 2)], lr=0.1)
    Schedule(lr=0.5, weight_decay=0.2).apply(optimizer, 1)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert optimizer.param_groups[0]["weight_decay"] == 0.2


def test_without_a_schedule_it_is_what_it_is():
    assert {Schedule(lr=0.3).rate(step) for step in (1, 2, 1000)} == {0.3}


@pytest.mark.parametrize("steps", [7, 50])
def test_the_fall_is_pytorchs_cosine(steps):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0.04)
    schedule = Schedule(lr=0.4, schedule=steps)
    for step in range(steps + 1):
        assert schedule.rate(step) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()


def test_matrices_decay_and_nothing_else_does():
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.LayerNorm(5))
    optimizer, before = adamw(model), [p.detach().clone() for p in model.parameters()]
    Schedule(lr=0.5, weight_decay=0.2).apply(optimizer, 1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * (0.9 if old.ndim == 2 else 1.0))


@pytest.mark.parametrize(
    "setting",
    [{"lr": -1.0}, {"lr": math.nan}, {"weight_decay": -0.1}, {"warmup": -1}, {"schedule": -1}],
)
def test_settings_out_of_range_are_told(setting):
    with pytest.raises(ValueError, match="need lr, weight_decay, warmup and schedule >= 0"):
        Schedule(**setting).check()
