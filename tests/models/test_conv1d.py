"""One-dimensional convolutions against torch's. Sizes are distinct primes."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.conv1d import Conv1d, ConvStack

F64 = torch.float64
B, T, I, F = 3, 13, 5, 7  # noqa: E741


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def make_pair(k):
    """Ours and torch's, with the same weights, in float64."""
    ours, theirs = Conv1d(I, F, k).double(), nn.Conv1d(I, F, k, padding=(k - 1) // 2).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("k", [1, 3, 5, 11])
def test_it_is_torch_s_with_gradients(k):
    ours, theirs = make_pair(k)
    x = torch.randn(B, T, I, dtype=F64, requires_grad=True)
    results = ours(x), theirs(x.transpose(1, 2)).transpose(1, 2)
    assert_close(*results)
    pull = torch.randn(B, T, F, dtype=F64)
    pairs = zip((ours, theirs), results, strict=True)
    assert_close(*(torch.autograd.grad((y * pull).sum(), [x, *m.parameters()]) for m, y in pairs))


def test_first_weights_are_drawn_as_torch_draws_them():
    ours, theirs = Conv1d(31, 53, 5), nn.Conv1d(31, 53, 5)
    for name, weight in theirs.named_parameters():
        assert_close(ours.get_parameter(name).std(), weight.std(), rtol=0.2, atol=0)
        assert ours.get_parameter(name).abs().max() <= (31 * 5) ** -0.5


def test_a_stack_is_torch_s_layers_with_relu_between():
    stack = ConvStack(I, F, k=3, L=2).double()
    h = torch.randn(B, T, I, dtype=F64)
    ours = stack(h)
    for layer in stack.layers:
        theirs = nn.Conv1d(layer.I, F, 3, padding=1).double()
        theirs.load_state_dict(layer.state_dict())
        h = theirs(h.transpose(1, 2)).transpose(1, 2).relu()
    assert_close(ours, h)


@pytest.mark.parametrize(("k", "L", "reach"), [(3, 1, 1), (3, 3, 3), (5, 2, 4), (7, 1, 3)])
def test_a_position_sees_its_reach_and_no_further(k, L, reach):
    stack = ConvStack(I, F, k=k, L=L).double()
    x = torch.randn(B, T, I, dtype=F64, requires_grad=True)
    for layer in stack.layers:
        nn.init.ones_(layer.bias)  # keeps enough of the ReLUs open
    (gradient,) = torch.autograd.grad(stack(x)[0, 6].sum(), x)
    distance = (torch.arange(T) - 6).abs()
    assert stack.reach == reach
    assert torch.equal((gradient[0] != 0).any(dim=1), distance <= reach)
    assert (gradient[1:] == 0).all(), "another sequence has an influence"


def test_it_moves_with_its_input():
    """Shifted input, shifted output, away from the ends."""
    stack = ConvStack(I, F, k=3, L=2)
    x = torch.zeros(B, T, I)
    x[:, 4:7] = torch.randn(B, 3, I)
    shifted = x.roll(2, dims=1)
    assert_close(stack(shifted)[:, 4:11], stack(x)[:, 2:9])


def test_it_learns():
    """Which of three patterns is there, wherever it is."""
    stack, head = ConvStack(I, F, k=3, L=2), nn.Linear(F, 3)
    patterns, labels = torch.randn(3, 3, I), torch.arange(3).repeat(5)
    x = torch.zeros(15, T, I)
    for i, label in enumerate(labels.tolist()):
        x[i, i % 11 : i % 11 + 3] = patterns[label]
    optimizer = torch.optim.Adam([*stack.parameters(), *head.parameters()], 1e-2)
    first = copy.deepcopy(stack.layers[0].weight)
    for _ in range(100):
        loss = nn.functional.cross_entropy(head(stack(x).amax(dim=1)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    assert (stack.layers[0].weight != first).any()


@pytest.mark.parametrize("sizes", [(0, F, 3), (I, 0, 3), (I, F, 0), (I, F, 4), (I, F, -3)])
def test_widths_and_windows_that_cannot_be(sizes):
    with pytest.raises(ValueError, match=r"need I >= 1, F >= 1 and an odd k >= 1, got I="):
        Conv1d(*sizes)


def test_no_layers():
    with pytest.raises(ValueError, match="need L >= 1, got 0"):
        ConvStack(I, F, L=0)


@pytest.mark.parametrize("shape", [(B, T), (B, T, I + 1), (B, I, T)])
def test_inputs_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"need x \(B, T, I\) with I=5, got \("):
        Conv1d(I, F, 3)(torch.zeros(shape))
