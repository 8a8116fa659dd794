"""The meter against bytes known from shapes."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from bigmodel_lib.memory import MemoryMeter

B, D, E = 7, 11, 13
FLOAT = 4


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(D, E), nn.ReLU(), nn.Linear(E, E), nn.ReLU(), nn.Linear(E, 3))


def test_kept_is_what_the_layers_need_again(net):
    x = torch.randn(B, D)
    with MemoryMeter(net) as meter:
        net(x).sum()
    # x for the first weight; each ReLU's output, which the next layer needs as well
    assert meter.kept == FLOAT * (B * D + 2 * B * E)
    with MemoryMeter(net, x) as meter:
        net(x).sum()
    assert meter.kept == FLOAT * 2 * B * E


def test_parameters_count_unless_they_are_ignored(net):
    x = torch.randn(B, D)
    with MemoryMeter(x) as meter:
        net(x).sum()
    weights = [net[2].weight, net[4].weight]  # the first is not needed: x has no gradient
    assert meter.kept == FLOAT * 2 * B * E + sum(w.nbytes for w in weights)


def test_without_gradients_nothing_is_kept(net):
    with torch.no_grad(), MemoryMeter(net) as meter:
        net(torch.randn(B, D))
    assert meter.kept == 0
    assert meter.peak > 0


def test_views_count_once():
    x = torch.randn(B, D, requires_grad=True)
    with MemoryMeter() as meter:
        (x * x.view(-1).view(B, D) + x.t().t() * x).sum()
    assert meter.kept == x.nbytes


def test_peak_is_what_is_alive_at_once():
    one = 1000 * FLOAT
    with MemoryMeter() as meter:
        a = torch.zeros(1000)
        b = a + 1  # 2 alive
        b = b + 1  # 3 for a moment
        del a
        b = b + 1  # again 2
    assert meter.peak == 3 * one
    assert b[0] == 3


def test_the_backward_pass_counts(net):
    x = torch.randn(B, D)
    with MemoryMeter(net) as forward:
        net(x).sum()
    with MemoryMeter(net) as both:
        net(x).sum().backward()
    assert both.kept == forward.kept
    gradients = sum(p.grad.nbytes for p in net.parameters())
    assert both.peak >= max(forward.peak, gradients)


def test_a_second_step_does_not_add(net):
    x = torch.randn(B, D)
    with MemoryMeter(net) as meter:
        net(x).sum().backward()
        once = meter.kept, meter.peak
        net.zero_grad()
        for _ in range(3):
            net(x).sum().backward()
            net.zero_grad()
    assert (meter.kept, meter.peak) == once


def test_a_checkpoint_keeps_its_input_only():
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Linear(D, D) if i % 2 else nn.Tanh() for i in range(8)))
    x = torch.randn(B, D, requires_grad=True)
    with MemoryMeter(net) as plain:
        net(x).sum()
    with MemoryMeter(net) as less:
        checkpoint(net, x, use_reentrant=False).sum()
    assert plain.kept == FLOAT * B * D * 4  # a tanh keeps its output, the layer behind shares it
    assert less.kept == x.nbytes


def test_an_error_inside_leaves_no_hook_behind(net):
    with pytest.raises(ZeroDivisionError), MemoryMeter() as meter:
        _ = 1 // 0
    net(torch.randn(B, D)).sum()
    assert meter.kept == meter.peak == 0
