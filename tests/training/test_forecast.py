"""Forecast training: losses against their formulas, steps equal to a plain loop, what it learns."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.forecasting import qlike
from bigmodel_lib.training.forecast import (
    LOSSES,
    ForecastRun,
    ForecastSettings,
    qlike_of_log,
)


def test_qlike_of_a_logarithm_is_that_of_the_variance():
    s, y = torch.randn(13, dtype=torch.float64), torch.rand(13, dtype=torch.float64)
    wanted = qlike(y.numpy(), s.exp().numpy()).mean()
    assert qlike_of_log(s, y).item() == pytest.approx(wanted)


@pytest.mark.parametrize("loss", LOSSES)
def test_steps_equal_a_plain_loop_of_torch(loss):
    torch.manual_seed(0)
    x, y = torch.randn(31, 3), torch.rand(31)
    model, other = nn.Linear(3, 1), nn.Linear(3, 1)
    other.load_state_dict(model.state_dict())
    run = ForecastRun(model, x, y, loss=loss, settings=ForecastSettings(0.03, 0.1, 7))
    losses = [record["loss"] for record in run.take(3)]
    optimizer = torch.optim.AdamW(other.parameters(), 0.03, weight_decay=0.1)
    torch.manual_seed(0)
    for found in losses:
        index = torch.randint(31, (7,))
        output = other(x[index])[:, 0]
        mean = (output - y[index]) ** 2
        log = output + y[index] / output.exp()
        expected = (mean if loss == "squared error" else log).mean()
        assert found == pytest.approx(expected.item(), rel=1e-5)
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()


def test_it_learns_the_variance_that_squares_come_from():
    torch.manual_seed(0)
    x = torch.randn(4000, 1)
    y = (0.5 + 0.8 * x[:, 0]).exp() * torch.randn(4000) ** 2
    model = nn.Linear(1, 1)
    settings = ForecastSettings(lr=0.05, weight_decay=0.0, batch_size=1000)
    list(ForecastRun(model, x, y, loss="QLIKE", settings=settings).take(200))
    assert_close(model.weight[0, 0], torch.tensor(0.8), atol=0.08, rtol=0)
    assert_close(model.bias[0], torch.tensor(0.5), atol=0.08, rtol=0)


@pytest.mark.parametrize(
    ("x", "y", "loss"),
    [
        (torch.ones(3, 2), torch.ones(4), "QLIKE"),
        (torch.ones(3, 2), torch.ones(3, 1), "QLIKE"),
        (torch.ones(0, 2), torch.ones(0), "QLIKE"),
        (torch.ones(3, 2), torch.ones(3), "absolute"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(x, y, loss):
    with pytest.raises(ValueError, match="need x"):
        ForecastRun(nn.Linear(2, 1), x, y, loss=loss)


@pytest.mark.parametrize("wrong", [{"lr": -1}, {"weight_decay": float("nan")}, {"batch_size": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="need lr"):
        ForecastSettings(**wrong).check()


def test_data_stay_in_their_order():
    x, y = torch.arange(5.0)[:, None], torch.arange(5.0)
    run = ForecastRun(nn.Linear(1, 1), x, y)
    list(run.take(2))
    np.testing.assert_array_equal(run.y.numpy(), np.arange(5.0))
