"""Attacks on a linear model, whose worst case is known, and on a network."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from bigmodel_lib.attacks import RANGE, fgsm, pgd, random_near

B, I = 5, 7  # noqa: E741


@pytest.fixture
def linear():
    """Two classes: the score of the second above the first is w·x."""
    torch.manual_seed(0)
    model = nn.Linear(I, 2, bias=False).double()
    w = (model.weight[1] - model.weight[0]).detach()
    x = 0.2 * torch.randn(B, I, dtype=torch.float64)
    return model, w, x, torch.tensor([0, 1, 1, 0, 1])


@pytest.fixture
def network():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 3)).eval()
    return model, torch.rand(B, 1, 3, 4) * 1.6 - 0.8, torch.tensor([0, 1, 2, 1, 0])


def loss(model, x, labels):
    return nn.functional.cross_entropy(model(x), labels, reduction="none")


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_on_a_linear_model_it_finds_the_worst_case(linear, attack):
    model, w, x, labels = linear
    found = attack(model, x, labels, 0.1)
    away = torch.where(labels == 1, -1.0, 1.0)[:, None]  # which way hurts
    torch.testing.assert_close(found, x + 0.1 * away * w.sign())


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_stays_within_epsilon_and_within_the_range(network, attack):
    model, x, labels = network
    for epsilon in (0.0, 0.05, 3.0):
        found = attack(model, x, labels, epsilon)
        assert (found - x).abs().max() <= epsilon + 1e-6
        assert RANGE[0] <= found.min() <= found.max() <= RANGE[1]


def test_each_input_may_have_its_own_size(network):
    model, x, labels = network
    sizes = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4])
    moved = (fgsm(model, x, labels, sizes) - x).abs().flatten(1).amax(1)
    assert (moved <= sizes + 1e-6).all()
    torch.testing.assert_close(fgsm(model, x, labels, sizes)[3], fgsm(model, x, labels, 0.3)[3])


def test_one_step_may_begin_elsewhere_and_still_ends_near_the_input(network):
    model, x, labels = network
    start = random_near(x, 0.3, torch.Generator().manual_seed(0)).requires_grad_()
    uphill = torch.autograd.grad(loss(model, start, labels).sum(), start)[0].sign()
    wanted = (start + 0.3 * uphill).clamp(x - 0.3, x + 0.3).clamp(*RANGE).detach()
    torch.testing.assert_close(fgsm(model, x, labels, 0.3, start.detach()), wanted)


def test_pgd_begins_with_noise():
    flat = nn.Linear(I, 2).requires_grad_(False)
    flat.weight.zero_()  # no way is up: an attack stays where it began
    x, labels = torch.zeros(B, I), torch.zeros(B, dtype=torch.int64)
    noise = random_near(x, 0.3, torch.Generator().manual_seed(7))
    found = pgd(flat, x, labels, 0.3, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(found, noise, rtol=0, atol=0)


def test_pgd_takes_so_many_steps_of_the_size_it_says(network):
    model, x, labels = network
    seen = []
    model.register_forward_pre_hook(lambda _model, inputs: seen.append(inputs[0].detach()))
    seen.append(pgd(model, x, labels, 0.2, steps=8))
    assert len(seen) == 8 + 1
    moved = [float((b - a).abs().max()) for a, b in pairwise(seen)]
    assert moved[0] == pytest.approx(2.5 * 0.2 / 8)
    assert max(moved) == pytest.approx(moved[0])  # some are shorter: they meet the border


def test_pgd_hurts_more_than_one_step_and_that_more_than_noise(network):
    model, x, labels = network
    generator = torch.Generator().manual_seed(0)
    noise = loss(model, random_near(x, 0.3, generator), labels).mean()
    one = loss(model, fgsm(model, x, labels, 0.3), labels).mean()
    many = loss(model, pgd(model, x, labels, 0.3, 20, generator=generator), labels).mean()
    assert loss(model, x, labels).mean() < one
    assert noise < one <= many + 1e-6


def test_no_parameter_gets_a_gradient_and_the_input_keeps_none(network):
    model, x, labels = network
    with torch.no_grad():  # an attack works inside of it, too
        found = pgd(model, x, labels, 0.1)
    assert not found.requires_grad
    assert not x.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_noise_keeps_to_the_range_of_inputs():
    ends = torch.tensor([RANGE]).expand(1000, 2)
    noise = random_near(ends, 0.4, torch.Generator().manual_seed(0))
    assert RANGE[0] <= noise.min() < noise.max() <= RANGE[1]
    assert (noise != ends).any(0).all()


def test_noise_fills_its_range_evenly():
    noise = random_near(torch.zeros(1, 100_000), 0.4, torch.Generator().manual_seed(0))
    assert noise.abs().max() <= 0.4
    assert noise.std() == pytest.approx(0.4 / 3**0.5, rel=0.02)  # of a uniform distribution


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, y: pgd(m, x, y, 0.1, steps=0), "at least one step"),
        (lambda m, x, y: fgsm(m, x, y, -0.1), "epsilon of at least 0"),
        (lambda m, x, y: fgsm(m, x, y, torch.tensor([0.1] * 4 + [-0.1])), "epsilon of at least 0"),
        (lambda m, x, y: fgsm(m, x, y[:2], 0.1), r"labels \(B,\)"),
        (lambda m, x, y: fgsm(m, x, y, torch.ones(3)), r"a number or \(B,\)"),
        (lambda m, x, y: fgsm(m, x, y, torch.ones(B, 1)), r"a number or \(B,\)"),
    ],
)
def test_refuses_what_does_not_fit(network, call, message):
    with pytest.raises(ValueError, match=message):
        call(*network)
