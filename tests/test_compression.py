"""Compressed networks against PyTorch's counts, and against what was asked for."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bigmodel_lib.compression import (
    Compression,
    compress,
    file_bytes,
    image_flops,
    pareto,
    share_right,
)
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.models.low_rank import factored
from bigmodel_lib.models.quantised import stored_bytes
from bigmodel_lib.training.prune import prunable


@pytest.fixture
def net():
    torch.manual_seed(0)
    return DigitCNN(features=6, channels=3).eval()


def images():
    return torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_nothing_done_changes_nothing(net):
    same = compress(net, Compression())
    assert same is not net
    assert torch.equal(same(images()), net(images()))
    assert file_bytes(same) == stored_bytes(net)


def test_operations_equal_pytorchs_count(net):
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net(images()[:1])
    assert image_flops(net, images()[0]) == counter.get_total_flops()
    low = compress(net, Compression(rank=0.5))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        low(images()[:1])
    assert image_flops(low, images()[0]) == counter.get_total_flops()


def test_pruned_weights_cost_nothing(net):
    small = compress(net, Compression(pruned=0.75))
    left = sum(int((layer.weight != 0).sum()) for layer in prunable(small).values())
    total = sum(layer.weight.numel() for layer in prunable(small).values())
    assert left == total - round(0.75 * total)
    assert image_flops(small, images()[0]) < image_flops(net, images()[0])
    saved = file_bytes(net) - file_bytes(small)
    assert saved == pytest.approx(4 * (total - left) - total / 8, abs=4)


@pytest.mark.parametrize(("precision", "share"), [("bfloat16", 0.5), ("int8", 0.25)])
def test_precision(net, precision, share):
    small = compress(net, Compression(precision))
    assert file_bytes(small) / file_bytes(net) == pytest.approx(share, abs=0.1)
    scores = small(images().to(next(small.parameters()).dtype)).float()
    torch.testing.assert_close(scores, net(images()), atol=0.05, rtol=0.05)


def test_int8_and_pruned_together(net):
    small = compress(net, Compression("int8", pruned=0.5))
    assert file_bytes(small) < file_bytes(compress(net, Compression("int8")))
    assert file_bytes(small) < file_bytes(compress(net, Compression(pruned=0.5)))


def test_a_low_rank_is_the_closest_of_its_rank():
    torch.manual_seed(0)
    layer = nn.Linear(11, 7).double()
    u, s, vh = torch.linalg.svd(layer.weight.detach())
    for r in (1, 3, 7):
        narrow, wide = factored(layer, r)
        product = wide.weight @ narrow.weight
        assert torch.linalg.matrix_rank(product) == r
        error = torch.linalg.matrix_norm(product - layer.weight)
        torch.testing.assert_close(error, s[r:].square().sum().sqrt(), atol=1e-12, rtol=0)
    x = torch.randn(5, 11, dtype=torch.float64)
    torch.testing.assert_close(factored(layer, 7)(x), layer(x))
    assert u.shape == (7, 7)
    assert vh.shape == (11, 11)
    assert factored(nn.Linear(4, 3, bias=False), 2)[1].bias is None
    with pytest.raises(ValueError, match="rank from 1 to 7, got 8"):
        factored(layer, 8)


def test_factors_that_would_be_larger_than_the_matrix_are_left_out(net):
    low = compress(net, Compression(rank=0.9))
    assert isinstance(low.head[1], nn.Linear)  # 6 → 10: 5 · 16 > 60
    assert isinstance(low.body[7], nn.Sequential)
    assert file_bytes(low) < file_bytes(net)


def test_what_cannot_be(net):
    with pytest.raises(ValueError, match="factors without"):
        Compression(pruned=0.5, rank=0.5)
    with pytest.raises(ValueError, match="precision of"):
        Compression("int4")
    for bad in ({"pruned": 1.5}, {"rank": 0.0}, {"pruned": float("nan")}):
        with pytest.raises(ValueError, match="need pruned in"):
            Compression(**bad)
    with pytest.raises(ValueError, match="rounds to 0"):
        compress(net, Compression(rank=0.05))


def test_share_right():
    net = nn.Identity()
    net.register_parameter("p", nn.Parameter(torch.zeros(1)))
    scores = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    assert share_right(net, scores, torch.tensor([0, 1, 1, 1])) == 0.75


def test_pareto():
    costs, gains = [3.0, 1.0, 2.0, 2.0, 4.0, 1.0], [0.9, 0.5, 0.4, 0.7, 0.9, 0.5]
    assert pareto(costs, gains) == [1, 3, 0]
    assert pareto([], []) == []
