"""Linear maps by oneDNN beside the plain ones."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models import packed
from bigmodel_lib.models.onednn import OneDNNProducts
from bigmodel_lib.models.transformer import GPT, GPTConfig
from side_by_side import operators

BY_ONEDNN = "mkldnn::_linear_pointwise"


def loss_and_gradients(model, ids):
    loss = model(ids).square().mean()
    return loss, torch.autograd.grad(loss, list(model.parameters()))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return GPT(GPTConfig(V=31, T=8, L=2, D=24, H=3))


def test_scores_and_gradients_are_the_same(model):
    ids = torch.randint(31, (2, 8))
    plain = loss_and_gradients(model, ids)
    with OneDNNProducts():
        ours = loss_and_gradients(model, ids)
    assert_close(ours, plain, rtol=1e-4, atol=1e-6)


def test_onednn_multiplies_forwards_and_for_the_inputs_gradients(model):
    ids = torch.randint(31, (2, 8))
    plain = operators(lambda: loss_and_gradients(model, ids))
    with OneDNNProducts():
        found = operators(lambda: loss_and_gradients(model, ids))
    maps = 4 * 2 + 1
    assert BY_ONEDNN not in plain
    assert found[BY_ONEDNN] == 2 * maps
    assert found["aten::mm"] + found["aten::addmm"] == maps  # the weights' gradients


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5)])
def test_any_shape_of_batch(shape, bias):
    torch.manual_seed(0)
    layer, x = nn.Linear(5, 7, bias=bias), torch.randn(shape, requires_grad=True)
    inputs = [x, *layer.parameters()]
    with OneDNNProducts():
        ours = layer(x)
        gradients = torch.autograd.grad(ours.square().sum(), inputs)
    plain = layer(x)
    assert_close(ours, plain)
    assert_close(gradients, torch.autograd.grad(plain.square().sum(), inputs))


def test_a_frozen_weight_gets_no_gradient_and_costs_no_product():
    layer, x = nn.Linear(5, 7).requires_grad_(False), torch.randn(2, 5, requires_grad=True)
    with OneDNNProducts():
        found = operators(lambda: layer(x).sum().backward())
    assert x.grad is not None
    assert found["aten::mm"] == 0


@pytest.mark.parametrize(
    "context", [nn.Module.double, lambda m: m.to(torch.bfloat16)], ids=["float64", "bfloat16"]
)
def test_another_precision_is_left_to_pytorch(model, context):
    other = context(copy.deepcopy(model))
    ids = torch.randint(31, (2, 8))
    with OneDNNProducts():
        assert BY_ONEDNN not in operators(lambda: other(ids))


def test_autocast_is_left_to_pytorch(model):
    ids = torch.randint(31, (2, 8))
    with OneDNNProducts(), torch.autocast("cpu", torch.bfloat16):
        assert BY_ONEDNN not in operators(lambda: model(ids))


def test_without_onednn_it_is_told(monkeypatch):
    monkeypatch.setattr(packed, "_has_operators", lambda: False)
    with pytest.raises(RuntimeError, match="need a PyTorch with oneDNN"):
        OneDNNProducts()
