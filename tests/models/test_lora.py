"""LoRA against the merged layer, and against what a low rank can and cannot express."""

import copy

import pytest
import torch
from torch import nn

from bigmodel_lib.models.lora import LoRALinear, add_lora, merge_lora, trainable
from bigmodel_lib.models.vit import DigitViT

B, I, O, R = 5, 11, 7, 3  # noqa: E741


@pytest.fixture
def layer():
    torch.manual_seed(0)
    layer = LoRALinear(nn.Linear(I, O), R, alpha=6.0)
    nn.init.normal_(layer.B)
    return layer


def test_merged_gives_the_two_path_output(layer):
    layer = layer.double()
    x = torch.randn(B, I, dtype=torch.float64)
    torch.testing.assert_close(layer.merged()(x), layer(x), rtol=1e-13, atol=1e-13)
    assert type(layer.merged()) is nn.Linear


def test_the_formula_with_its_factor(layer):
    x = torch.randn(B, I)
    expected = layer.base(x) + 6.0 / R * (x @ layer.A.T @ layer.B.T)
    torch.testing.assert_close(layer(x), expected)


def test_at_first_nothing_changes():
    base = nn.Linear(I, O)
    x = torch.randn(B, I)
    assert torch.equal(LoRALinear(base, R)(x), base(x))


def test_without_a_bias():
    layer = LoRALinear(nn.Linear(I, O, bias=False), R)
    assert layer.merged().bias is None


def test_the_correction_has_rank_r_and_full_rank_reaches_any_change(layer):
    change = layer.weight - layer.base.weight
    assert torch.linalg.matrix_rank(change) == R
    wanted = torch.randn(O, I, dtype=torch.float64)
    full = LoRALinear(nn.Linear(I, O).double(), O)
    u, s, vh = torch.linalg.svd(wanted - full.base.weight, full_matrices=False)
    with torch.no_grad():
        full.B.copy_(u * s)
        full.A.copy_(vh)
    torch.testing.assert_close(full.weight, wanted)


def test_only_the_correction_learns():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(I, O), nn.ReLU(), nn.Linear(O, 2))
    before = copy.deepcopy(net)
    assert add_lora(net, R) == ["0", "2"]
    assert trainable(net) == R * (I + O) + 2 * (O + 2)  # rank 2 is the last layer's highest
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    x, losses = torch.randn(B, I), []
    for _ in range(3):
        loss = (net(x) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[2] < losses[1] < losses[0]
    for name in ("0", "2"):
        assert torch.equal(net.get_submodule(name).base.weight, before.get_submodule(name).weight)
    answer = net(x)
    merge_lora(net)
    assert [type(m) for m in net] == [nn.Linear, nn.ReLU, nn.Linear]
    torch.testing.assert_close(net(x), answer)


def test_a_transformer_takes_it_and_gives_it_back():
    torch.manual_seed(0)
    net = DigitViT(D=8, H=2, L=1)
    x = torch.randn(2, 1, 28, 28)
    before = net(x)
    names = add_lora(net, 2, where=lambda name: "qkv" in name)
    assert names == ["encoder.blocks.0.attention.qkv"]
    assert torch.equal(net(x), before)
    nn.init.normal_(net.encoder.blocks[0].attention.qkv.B)
    changed = net(x)
    assert not torch.allclose(changed, before)
    merge_lora(net)
    torch.testing.assert_close(net(x), changed)


def test_every_layer_of_a_transformer():
    net, x = DigitViT(D=8, H=2, L=1), torch.randn(2, 1, 28, 28)
    before = net(x)
    assert len(add_lora(net, 1)) == 6
    assert torch.equal(net(x), before)


def test_a_context_sees_the_correction():
    # cross-attention takes its weight apart instead of calling the layer
    torch.manual_seed(0)
    block = DigitViT(D=8, H=2, L=1).encoder.blocks[0].attention
    x = torch.randn(2, 5, 8)
    holder = nn.ModuleDict({"a": block})
    add_lora(holder, 2, where=lambda name: "qkv" in name)
    nn.init.normal_(block.qkv.B)
    torch.testing.assert_close(block(x, x), block(x))


@pytest.mark.parametrize("r", [0, O + 1])
def test_a_rank_that_cannot_be(r):
    with pytest.raises(ValueError, match=f"rank from 1 to {O}, got {r}"):
        LoRALinear(nn.Linear(I, O), r)


def test_no_layer_to_adapt():
    with pytest.raises(ValueError, match="need a linear layer"):
        add_lora(nn.Sequential(nn.ReLU()), 1)
