"""Pruning against PyTorch's own, and what training on does to it."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from bigmodel_lib.training.prune import (
    density,
    magnitude_masks,
    make_permanent,
    prunable,
    prune_smallest,
    sparse_bytes,
)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(27, 5), nn.Linear(5, 2))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_equals_pytorchs_global_pruning(net, share):
    other = copy.deepcopy(net)
    where = [(layer, "weight") for layer in prunable(other).values()]
    prune.global_unstructured(where, prune.L1Unstructured, amount=share)
    prune_smallest(net, share)
    for ours, theirs in zip(prunable(net).values(), prunable(other).values(), strict=True):
        assert torch.equal(ours.weight, theirs.weight)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_equals_pytorchs_pruning_of_each_layer(net, share):
    other = copy.deepcopy(net)
    prune_smallest(net, share, globally=False)
    for layer, theirs in zip(prunable(net).values(), prunable(other).values(), strict=True):
        prune.l1_unstructured(theirs, "weight", amount=share)
        assert torch.equal(layer.weight, theirs.weight)


def test_only_the_smallest_go():
    weights = [torch.tensor([[3.0, -1.0]]), torch.tensor([0.5, -2.0, 0.1])]
    first, second = magnitude_masks(weights, 0.4)
    assert first.tolist() == [[True, True]]
    assert second.tolist() == [False, True, False]


def test_training_on_moves_what_is_left_and_nothing_else(net):
    prune_smallest(net, 0.5)
    before = {name: layer.weight.detach().clone() for name, layer in prunable(net).items()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(3):
        loss = net(torch.randn(4, 1, 5, 5)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net(torch.randn(4, 1, 5, 5))  # applies the masks to what the last step made
    for name, layer in prunable(net).items():
        gone = before[name] == 0
        assert gone.any()
        assert (layer.weight[gone] == 0).all()
        assert (layer.weight[~gone] != before[name][~gone]).all()


def test_permanent_zeros_in_plain_weights(net):
    x = torch.randn(4, 1, 5, 5)
    prune_smallest(net, 0.6)
    answer = net(x)
    make_permanent(net)
    assert set(net.state_dict()) == {
        f"{name}.{what}" for name in ("0", "2", "3") for what in ("weight", "bias")
    }
    assert torch.equal(net(x), answer)
    kept = sum(int((layer.weight != 0).sum()) for layer in prunable(net).values())
    total = sum(layer.weight.numel() for layer in prunable(net).values())
    assert kept == total - round(0.6 * total)
    make_permanent(net)  # again: nothing to do


def test_density(net):
    assert set(density(net).values()) == {1.0}
    with torch.no_grad():
        net[3].weight[0] = 0
    assert density(net) == {"0": 1.0, "2": 1.0, "3": 0.5}


def test_sparse_bytes():
    w = torch.zeros(10, 16)
    assert sparse_bytes(w) == 20
    w[0, :5] = 1
    assert sparse_bytes(w) == 20 + 5 * 4
    assert sparse_bytes(w, bits=8) == 20 + 5
    assert sparse_bytes(torch.ones(10, 16)) == 640  # leaving nothing out, plain is shorter


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_cannot_be(net, share):
    with pytest.raises(ValueError, match="share from 0 to 1"):
        prune_smallest(net, share)
