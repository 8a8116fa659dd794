"""The digit classifier against its layers, written out."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from bigmodel_lib.models.cnn import DigitCNN


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DigitCNN(features=11, num_classes=7)
        network(torch.randn(13, 1, 28, 28) + 1)  # so that the running averages are not 0 and 1
    return network


@pytest.fixture
def images():
    return torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.mark.parametrize("B", [1, 2, 3, 5])
def test_shapes(network, images, B):
    assert network.features(images[:B]).shape == (B, 11)
    assert network(images[:B]).shape == (B, 7)


def test_the_defaults_are_those_of_the_judge(images):
    network = DigitCNN()
    assert network.features(images).shape == (5, 32)
    assert network(images).shape == (5, 10)


def test_it_is_its_formula(network, images):
    conv_1, norm_1, _, conv_2, norm_2, _, _, dense = network.eval().body
    h = images
    for conv, norm, shape in ((conv_1, norm_1, (16, 14, 14)), (conv_2, norm_2, (32, 7, 7))):
        h = F.conv2d(h, conv.weight, stride=2, padding=2)
        mean, var, weight, bias = (
            v.view(-1, 1, 1) for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        h = ((h - mean) / (var + norm.eps).sqrt() * weight + bias).clamp(min=0)
        assert h.shape == (5, *shape)
    features = h.flatten(1) @ dense.weight.T + dense.bias
    assert_close(network.features(images), features)
    _, head = network.head
    assert_close(network(images), features.clamp(min=0) @ head.weight.T + head.bias)


def test_features_are_taken_before_the_last_relu(network, images):
    assert network.features(images).min() < 0


def test_at_test_time_an_image_is_judged_alone(network, images):
    together = network.eval()(images)
    alone = torch.cat([network(image[None]) for image in images])
    assert_close(together, alone)


def test_every_weight_gets_a_gradient(network, images):
    F.cross_entropy(network(images), torch.arange(5)).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
