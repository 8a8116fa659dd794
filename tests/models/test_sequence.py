"""Classifiers of sequences: parts, sizes, and how far a gradient reaches."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.rnn import GRU
from bigmodel_lib.models.sequence import (
    ARCHITECTURES,
    READOUTS,
    SequenceClassifier,
    fitting_width,
    gradient_reach,
    make_classifier,
)

F64 = torch.float64
B, T, I, F, C = 3, 13, 5, 7, 11  # noqa: E741


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def size(network):
    return sum(p.numel() for p in network.parameters())


# --- the classifier


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("readout", READOUTS)
def test_features_then_readout_then_head(architecture, readout):
    network = SequenceClassifier(ARCHITECTURES[architecture](I, 14), 14, C, readout)
    x = torch.randn(B, T, I)
    features = network.features(x)
    assert features.shape == (B, T, 14)
    vector = {"last": features[:, 12], "mean": features.sum(1) / T, "max": features.max(1).values}
    expected = vector[readout] @ network.head.weight.T + network.head.bias
    assert expected.shape == (B, C)
    assert_close(network(x), expected)


def test_a_recurrent_body_gives_its_outputs_and_not_its_state():
    body = GRU(I, F)
    x = torch.randn(B, T, I)
    assert torch.equal(SequenceClassifier(body, F, C).features(x), body(x)[0])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_weight_gets_a_gradient(architecture):
    network = make_classifier(architecture, 28, 10, 8200, "mean")
    nn.functional.cross_entropy(network(torch.randn(B, 28, 28)), torch.arange(B)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name


# --- equal sizes


@pytest.mark.parametrize(("I", "C", "N"), [(28, 10, 8200), (5, 4, 3480)])
def test_all_architectures_have_one_size(I, C, N):  # noqa: E741
    sizes = {name: size(make_classifier(name, I, C, N)) for name in ARCHITECTURES}
    assert set(sizes) == {"CNN", "RNN", "GRU", "LSTM", "Transformer"}
    for name, found in sizes.items():
        assert found == pytest.approx(N, rel=0.02), name


def linear(width):
    return nn.Linear(width, 10)  # 10 · width + 10


@pytest.mark.parametrize(("N", "width"), [(100, 9), (104, 9), (106, 10), (20, 1), (15, 1)])
def test_the_nearest_width(N, width):
    assert fitting_width(linear, N, tolerance=0.5) == width


def test_widths_are_tried_in_steps():
    assert fitting_width(linear, 104, step=4, tolerance=0.2) == 8


def test_no_width_within_the_tolerance():
    with pytest.raises(ValueError, match=r"within 2% of N=105; .*\{9: 100, 10: 110\}"):
        fitting_width(linear, 105)
    with pytest.raises(ValueError, match=r"within 2% of N=5; .*\{1: 20\}"):
        fitting_width(linear, 5)


def test_names_that_are_not_there():
    with pytest.raises(ValueError, match=r"need an architecture in .*'LSTM'.*, got 'MLP'"):
        make_classifier("MLP", 28, 10, 8200)
    with pytest.raises(ValueError, match=r"need a readout in .*'mean'.*, got 'first'"):
        make_classifier("CNN", 28, 10, 8200, "first")


# --- gradient reach


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_reach_is_the_norm_of_the_jacobian(architecture):
    network = SequenceClassifier(ARCHITECTURES[architecture](I, 14), 14, C).double()
    x = torch.randn(B, T, I, dtype=F64)
    norms = []
    for sequence in x:
        jacobian = torch.autograd.functional.jacobian(lambda s: network(s[None])[0], sequence)
        assert jacobian.shape == (C, T, I)
        norms.append(jacobian.transpose(0, 1).flatten(1).norm(dim=1))
    assert_close(gradient_reach(network, x), torch.stack(norms).mean(dim=0))


def test_reach_of_a_known_map():
    """y = Σ_t 2^-t x_t, the same number of outputs as inputs: the norm is 2^-t √I."""
    scale = 2.0 ** -torch.arange(T)
    reach = gradient_reach(lambda x: (x * scale[:, None]).sum(dim=1), torch.randn(B, T, I))
    assert_close(reach, scale * I**0.5)


def test_shapes_that_do_not_fit_are_refused():
    x = torch.randn(B, T, I)
    for function in (lambda x: x, lambda x: x[:1, -1]):
        with pytest.raises(ValueError, match=r"need x \(B, T, I\), y \(B, O\); got \(3, 13, 5\)"):
            gradient_reach(function, x)
