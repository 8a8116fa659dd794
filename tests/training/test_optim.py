"""Our optimisers against PyTorch's, step by step."""

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bigmodel_lib.models.surfaces import SURFACES
from bigmodel_lib.training.optim import OPTIMIZERS, SGD, Adam, AdamW, Momentum, Nesterov, RMSprop

TORCH = {
    "SGD": lambda x, lr: torch.optim.SGD(x, lr),
    "momentum": lambda x, lr, momentum=0.9: torch.optim.SGD(x, lr, momentum=momentum),
    "Nesterov": lambda x, lr, momentum=0.9: torch.optim.SGD(x, lr, momentum, nesterov=True),
    "RMSprop": lambda x, lr, alpha=0.99, eps=1e-8: torch.optim.RMSprop(x, lr, alpha, eps),
    "Adam": lambda x, lr, beta1=0.9, beta2=0.999, eps=1e-8: torch.optim.Adam(
        x, lr, (beta1, beta2), eps
    ),
    "AdamW": lambda x, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=1e-2: torch.optim.AdamW(
        x, lr, (beta1, beta2), eps, weight_decay
    ),
}
SETTINGS = {
    "SGD": {},
    "momentum": {"momentum": 0.83},
    "Nesterov": {"momentum": 0.83},
    "RMSprop": {"alpha": 0.91, "eps": 1e-3},
    "Adam": {"beta1": 0.71, "beta2": 0.93, "eps": 1e-3},
    "AdamW": {"beta1": 0.71, "beta2": 0.93, "eps": 1e-3, "weight_decay": 0.3},
}


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("settings", [{}, SETTINGS], ids=["defaults", "other settings"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_torch_over_300_steps_of_noisy_gradients(name, settings):
    settings = settings.get(name, {})
    generator = torch.Generator().manual_seed(0)
    first = [torch.randn(s, generator=generator, dtype=torch.float64) for s in ((3, 5), (7,), ())]
    ours, theirs = ([x.clone().requires_grad_() for x in first] for _ in range(2))
    a, b = OPTIMIZERS[name](ours, lr=0.01, **settings), TORCH[name](theirs, 0.01, **settings)
    for _ in range(300):
        for x, y in zip(ours, theirs, strict=True):
            x.grad = torch.randn(x.shape, generator=generator, dtype=torch.float64)
            y.grad = x.grad.clone()
        a.step()
        b.step()
        for x, y in zip(ours, theirs, strict=True):
            close(x, y)


@pytest.mark.parametrize("surface", ["bowl", "Himmelblau", "saddle"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_torch_on_a_surface_where_each_gradient_follows_from_the_last_step(name, surface):
    surface = SURFACES[surface]
    x, y = (torch.tensor(surface.start, dtype=torch.float64, requires_grad=True) for _ in range(2))
    a, b = OPTIMIZERS[name]([x], lr=2e-3), TORCH[name]([y], 2e-3)
    for _ in range(200):
        for point, optimizer in ((x, a), (y, b)):
            optimizer.zero_grad()
            surface(point).backward()
            optimizer.step()
        close(x, y)
    assert surface(x) < surface(torch.tensor(surface.start, dtype=torch.float64))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_torch_in_training_a_network(name):
    torch.manual_seed(0)
    nets = [nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    data, target = torch.randn(11, 3).double(), torch.randn(11, 2).double()
    a = OPTIMIZERS[name](nets[0].parameters(), lr=0.01)
    b = TORCH[name](nets[1].parameters(), 0.01)
    for _ in range(200):
        for net, optimizer in zip(nets, (a, b), strict=True):
            optimizer.zero_grad()
            (net(data) - target).square().mean().backward()
            optimizer.step()
    for x, y in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        close(x, y)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_parameter_without_gradient_stays_and_its_steps_are_not_counted(name):
    ours, theirs = (
        [torch.ones(2, dtype=torch.float64, requires_grad=True) for _ in range(2)] for _ in range(2)
    )
    a, b = OPTIMIZERS[name](ours, lr=0.1), TORCH[name](theirs, 0.1)
    for step in range(6):
        for pair in (ours, theirs):
            pair[0].grad = torch.full((2,), 0.5, dtype=torch.float64)
            pair[1].grad = torch.ones(2, dtype=torch.float64) if step % 2 else None
        a.step()
        b.step()
        close(ours[0], theirs[0])
        close(ours[1], theirs[1])
    assert [state["t"] for state in a.state] == [6, 3]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hyperparameters_change_live(name):
    x, y = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    a, b = OPTIMIZERS[name]([x], lr=0.1), TORCH[name]([y], 0.1)
    for lr in (0.1, 0.1, 0.03, 0.2):
        a.lr = b.param_groups[0]["lr"] = lr
        x.grad, y.grad = x.detach() ** 3, y.detach() ** 3
        a.step()
        b.step()
        close(x, y)
    a.lr = math.nan
    with pytest.raises(ValueError, match="need lr >= 0 and finite, got nan"):
        a.step()


def test_zero_grad_forgets():
    x = torch.ones(2, requires_grad=True)
    optimizer = SGD([x], lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        (3 * x).sum().backward()
        optimizer.step()
    assert x.tolist() == [-2.0, -2.0]


@given(
    g=st.floats(1e-3, 1e3),
    lr=st.floats(1e-4, 1.0),
    beta1=st.floats(0, 0.99),
    beta2=st.floats(0, 0.999),
)
def test_adams_first_step_is_the_learning_rate_whatever_the_gradients_size(g, lr, beta1, beta2):
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    x.grad = torch.tensor([g], dtype=torch.float64)
    Adam([x], lr, beta1, beta2, eps=1e-12).step()
    assert x.item() == pytest.approx(-lr, rel=1e-6)


BAD = [
    (SGD, "lr", -1e-3, "need lr >= 0 and finite, got -0.001"),
    (SGD, "lr", math.inf, "need lr >= 0 and finite, got inf"),
    (Momentum, "momentum", 1.0, "need 0 <= momentum < 1, got 1.0"),
    (Nesterov, "momentum", -0.1, "need 0 <= momentum < 1, got -0.1"),
    (RMSprop, "alpha", 1.5, "need 0 <= alpha < 1, got 1.5"),
    (RMSprop, "eps", 0.0, "need eps > 0 and finite, got 0.0"),
    (Adam, "beta1", math.nan, "need 0 <= beta1 < 1, got nan"),
    (Adam, "beta2", 1.0, "need 0 <= beta2 < 1, got 1.0"),
    (AdamW, "weight_decay", -1.0, "need weight_decay >= 0 and finite, got -1.0"),
]


@pytest.mark.parametrize(("kind", "name", "value", "message"), BAD)
def test_bad_hyperparameters_say_what_was_needed(kind, name, value, message):
    with pytest.raises(ValueError, match=message):
        kind([torch.zeros(2)], **{name: value})


def test_bad_parameters_say_what_was_needed():
    x = torch.zeros(2)
    with pytest.raises(ValueError, match="at least one parameter, got none"):
        SGD([])
    with pytest.raises(ValueError, match=r"tensors of floats, got torch\.int64"):
        SGD([torch.arange(3)])
    with pytest.raises(ValueError, match="tensors of floats, got list"):
        SGD([[1.0, 2.0]])
    with pytest.raises(ValueError, match="got one of them twice"):
        SGD([x, torch.ones(2), x])


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_every_optimiser_names_its_source(kind):
    assert any(year in inspect.getdoc(kind) for year in ("1951", "1964", "1983", "201"))
