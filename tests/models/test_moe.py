"""A mixture of experts against a loop over tokens, and routing against its formulas."""

import copy

import pytest
import torch

from bigmodel_lib.models.moe import (
    MixtureOfExperts,
    active_parameters,
    balance_loss,
    route,
)

N, D, E, W = 13, 7, 5, 11


def mixture(k: int) -> MixtureOfExperts:
    torch.manual_seed(0)
    return MixtureOfExperts(D, E, k, W)


@pytest.mark.parametrize("k", [1, 2, E])
def test_equals_a_loop_over_tokens(k):
    net = mixture(k)
    x = torch.randn(N, D)
    for token, answer in zip(x, net(x), strict=True):
        scores = net.router(token)
        best = sorted(range(E), key=lambda i: -scores[i].item())[:k]
        shares = scores.softmax(0)[best] if k == 1 else scores[best].softmax(0)
        expected = sum(share * net.experts[i](token) for share, i in zip(shares, best, strict=True))
        torch.testing.assert_close(answer, expected)


def test_any_number_of_axes():
    net = mixture(2)
    x = torch.randn(2, 3, D)
    torch.testing.assert_close(net(x).flatten(0, 1), net(x.flatten(0, 1)))


def test_the_order_of_the_experts_does_not_matter():
    net, order = mixture(2), [3, 0, 4, 1, 2]
    other = copy.deepcopy(net)
    other.experts = torch.nn.ModuleList(net.experts[i] for i in order)
    with torch.no_grad():
        other.router.weight.copy_(net.router.weight[order])
    x = torch.randn(N, D)
    torch.testing.assert_close(other(x), net(x))


@pytest.mark.parametrize("k", [1, 2])
def test_router_and_visited_experts_get_gradients_and_no_others(k):
    net = mixture(k)
    x = torch.randn(2, D)
    net(x).square().sum().backward()
    assert net.router.weight.grad.abs().sum() > 0
    visited = set(net.routing.experts.flatten().tolist())
    for i, expert in enumerate(net.experts):
        gradient = expert[0].weight.grad
        reached = gradient is not None and bool(gradient.abs().sum() > 0)
        assert reached == (i in visited)


def test_load_counts_visits():
    scores = torch.tensor([[5.0, 1, 0], [5, 0, 1], [0, 5, 1]])
    assert route(scores, 1).load.tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert route(scores, 2).load.tolist() == pytest.approx([2 / 6, 2 / 6, 2 / 6])


def test_balance_is_1_when_even_and_E_when_one_has_all():
    even = 30 * torch.eye(E)
    assert float(route(even, 1).balance) == pytest.approx(1, abs=1e-4)
    one = torch.zeros(N, E)
    one[:, 2] = 30
    assert float(route(one, 1).balance) == pytest.approx(E, rel=1e-4)


def test_training_on_the_balance_evens_the_load():
    net = mixture(1)
    with torch.no_grad():
        net.router.weight[0] = 1.0
    x = torch.randn(200, D) + 1
    optimizer = torch.optim.Adam(net.router.parameters(), lr=0.05)
    net(x)
    before = float(net.routing.load.max())
    for _ in range(40):
        net(x)
        optimizer.zero_grad()
        balance_loss(net).backward()
        optimizer.step()
    net(x)
    assert before > 0.9
    assert float(net.routing.load.max()) < 0.5


def test_active_parameters():
    expert = D * W + W + W * D + D
    net = torch.nn.Sequential(torch.nn.Linear(3, D), mixture(2))
    assert active_parameters(net) == 3 * D + D + D * E + 2 * expert
    assert sum(p.numel() for p in net.parameters()) == 3 * D + D + D * E + E * expert


def test_what_cannot_be():
    for k in (0, E + 1):
        with pytest.raises(ValueError, match="k"):
            MixtureOfExperts(D, E, k, W)
        with pytest.raises(ValueError, match="need k from 1 to 5"):
            route(torch.zeros(2, E), k)
    with pytest.raises(ValueError, match="need mixtures that were called"):
        balance_loss(mixture(1))
    with pytest.raises(ValueError, match="need mixtures that were called"):
        balance_loss(torch.nn.Linear(2, 2))
