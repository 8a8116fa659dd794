"""Quantisation against PyTorch's own, and against the bound on its error."""

import pytest
import torch
from torch import nn

from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.models.quantised import (
    DynamicInt8Linear,
    Int8Weights,
    dequantise,
    quantise,
    quantised,
    stored_bytes,
)
from bigmodel_lib.models.vit import DigitViT

B, I, O = 5, 11, 7  # noqa: E741
SHAPES = [(O, I), (O, 3, 5, 5)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_equals_pytorchs_rounding(shape, bits):
    torch.manual_seed(0)
    w = torch.randn(shape)
    q, scale = quantise(w, bits)
    most = 2 ** (bits - 1) - 1
    zero = torch.zeros(O, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(w, scale, zero, 0, -most, most)
    torch.testing.assert_close(dequantise(q, scale), theirs, rtol=1e-6, atol=0)
    assert q.dtype == torch.int8
    assert q.abs().max() == most


@pytest.mark.parametrize("shape", SHAPES)
def test_the_error_is_at_most_half_a_step(shape):
    torch.manual_seed(1)
    w = torch.randn(shape, dtype=torch.float64)
    q, scale = quantise(w)
    error = (dequantise(q, scale) - w).flatten(1).abs().amax(dim=1)
    assert (error <= scale / 2 * (1 + 1e-9)).all()
    assert (error > scale / 4).any()


def test_each_row_has_its_own_scale():
    w = torch.tensor([[100.0, 1.0], [1e-3, 2e-3]])
    q, scale = quantise(w)
    torch.testing.assert_close(scale, torch.tensor([100 / 127, 2e-3 / 127]))
    assert q[1].tolist() == [64, 127]


def test_a_row_of_zeros_stays_zero():
    q, scale = quantise(torch.zeros(2, 3))
    assert torch.equal(dequantise(q, scale), torch.zeros(2, 3))


@pytest.mark.parametrize("bits", [1, 9])
def test_bits_out_of_range(bits):
    with pytest.raises(ValueError, match=f"2 to 8 bits, got {bits}"):
        quantise(torch.ones(2, 2), bits)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(I, O), (B, I)),
        (nn.Linear(I, O, bias=False), (2, B, I)),
        (nn.Conv2d(3, O, 5, stride=2, padding=2), (B, 3, 11, 13)),
        (nn.Conv2d(4, 6, 3, groups=2, bias=False), (B, 4, 11, 13)),
    ],
)
def test_a_layer_with_rounded_weights(layer, shape):
    small = Int8Weights(layer)
    x = torch.randn(shape)
    expected = small(x)
    with torch.no_grad():
        layer.weight.copy_(dequantise(*quantise(layer.weight)))
    torch.testing.assert_close(expected, layer(x))


@pytest.mark.parametrize("bias", [True, False])
def test_whole_numbers_multiplied(bias):
    torch.manual_seed(2)
    layer = nn.Linear(64, O, bias=bias)
    x = torch.randn(2, B, 64)
    q_x, s_x = quantise(x.flatten(0, 1))
    q_w, s_w = quantise(layer.weight.detach())
    expected = (dequantise(q_x, s_x).double() @ dequantise(q_w, s_w).double().T).float()
    expected = expected + (layer.bias if bias else 0)
    result = DynamicInt8Linear(layer)(x)
    torch.testing.assert_close(result, expected.unflatten(0, (2, B)), rtol=1e-5, atol=1e-5)
    assert (result - layer(x)).abs().max() < 0.05


def test_a_whole_network_in_a_quarter_of_the_bytes():
    torch.manual_seed(3)
    net = DigitCNN().eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    small = quantised(net)
    kinds = [type(m) for m in small.modules()]
    assert kinds.count(Int8Weights) == 4
    assert nn.Linear not in kinds
    assert nn.Conv2d not in kinds
    assert 0.25 < stored_bytes(small) / stored_bytes(net) < 0.28
    x = torch.randn(B, 1, 28, 28)
    torch.testing.assert_close(small(x), net(x), atol=0.05, rtol=0.05)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())


@pytest.mark.parametrize("kind", [Int8Weights, DynamicInt8Linear])
def test_a_transformer_in_8_bits(kind):
    torch.manual_seed(4)
    net, x = DigitViT(D=8, H=2, L=1).eval(), torch.randn(3, 1, 28, 28)
    torch.testing.assert_close(quantised(net, kind)(x), net(x), atol=0.1, rtol=0.1)


def test_only_linear_layers_multiply_whole_numbers():
    small = quantised(DigitCNN().eval(), DynamicInt8Linear)
    kinds = [type(m) for m in small.modules()]
    assert kinds.count(DynamicInt8Linear) == 2
    assert kinds.count(nn.Conv2d) == 2


def test_stored_bytes_counts_shared_storage_once():
    a, b = nn.Linear(I, O), nn.Linear(I, O)
    b.weight = a.weight
    assert stored_bytes(nn.ModuleList([a, b])) == 4 * (I * O + 2 * O)


def test_a_padding_that_it_does_not_know():
    with pytest.raises(ValueError, match="padded with zeros, got 'reflect'"):
        Int8Weights(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"))
