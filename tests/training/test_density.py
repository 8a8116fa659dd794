"""DensityRun against a plain loop."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.training.density import DensityRun, DensitySettings


class Model(nn.Module):
    """Predicts the second column from the first."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def loss(self, x, y):
        return (self.layer(x) - y).square().mean()


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(53, 3, generator=generator), torch.randn(53, 2, generator=generator)


def test_steps_are_those_of_a_plain_loop_whose_settings_change(data):
    model = Model()
    plain, (x, y) = copy.deepcopy(model), data
    run = DensityRun(model, *data, settings=DensitySettings(0.1, 0.5, 7), seed=3)
    optimizer = torch.optim.Adam(plain.parameters())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for lr, beta1, size in ((0.1, 0.5, 7), (0.1, 0.5, 7), (0.01, 0.9, 11)):
            run.settings.lr, run.settings.beta1, run.settings.batch_size = lr, beta1, size
            optimizer.param_groups[0].update(lr=lr, betas=(beta1, 0.999))
            index = torch.randint(53, (size,))
            loss = plain.loss(x[index], y[index])
            assert next(run)["loss"] == pytest.approx(loss.item(), rel=1e-5)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert_close(model.layer.weight, plain.layer.weight)


def test_learns_what_can_be_learned(data):
    x, _ = data
    run = DensityRun(Model(), x, x @ torch.tensor([[1.0, 2], [3, 4], [5, 6]]))
    losses = [record["loss"] for record in run.take(1500)]
    assert losses[-1] < 1e-3 * losses[0]


def test_data_of_unequal_length_are_refused(data):
    with pytest.raises(ValueError, match=r"need tensors of one length, at least 1, got \[52, 53\]"):
        DensityRun(Model(), data[0], data[1][1:])
    with pytest.raises(ValueError, match=r"got \[0\]"):
        DensityRun(Model(), data[0][:0])


@pytest.mark.parametrize("bad", [{"lr": -1.0}, {"beta1": 1.0}, {"batch_size": 0}])
def test_settings_out_of_range_are_refused(data, bad):
    with pytest.raises(ValueError, match="need lr >= 0, 0 <= beta1 < 1 and batch_size >= 1"):
        DensityRun(Model(), *data, settings=DensitySettings(**bad))
