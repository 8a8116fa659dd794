"""Muon against PyTorch's own, and against the singular vectors that it avoids computing."""

import pytest
import torch
from torch import nn

from bigmodel_lib.models.transformer import GPT, GPTConfig
from bigmodel_lib.training.muon import Muon, inner_matrices, newton_schulz

SHAPES = [(5, 13), (13, 5), (7, 7)]


def matrix(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def made_of(values, shape, seed=0):
    """A matrix with these singular values, and its singular vectors U, Vᵀ."""
    U, _, V = torch.linalg.svd(matrix(shape, seed), full_matrices=False)
    return U @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ V, U, V


# --- Newton-Schulz


@pytest.mark.parametrize("shape", SHAPES)
def test_it_keeps_the_singular_vectors_and_brings_the_values_near_1(shape):
    G, U, V = made_of([9.0, 5.0, 3.0, 1.0, 0.5][: min(shape)] + [2.0] * (min(shape) - 5), shape)
    inside = U.T @ newton_schulz(G) @ V.T  # diagonal, if U and V are still the singular vectors
    assert (inside - torch.diag(inside.diagonal())).abs().max() < 1e-9
    assert inside.diagonal().min() > 0.65
    assert inside.diagonal().max() < 1.25


@pytest.mark.parametrize("shape", SHAPES)
def test_each_step_is_the_odd_polynomial_of_every_singular_value(shape):
    G, U, V = made_of([2.0] * min(shape), shape)
    s = torch.tensor(1 / min(shape) ** 0.5, dtype=torch.float64)  # all alike, of Frobenius norm 1
    expected = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    torch.testing.assert_close(newton_schulz(G, steps=1), expected * U @ V)


def test_size_does_not_matter_and_nothing_stays_nothing():
    G = matrix((3, 4))
    torch.testing.assert_close(newton_schulz(G), newton_schulz(1000 * G))
    assert not newton_schulz(torch.zeros(3, 4)).any()


def test_transposed_it_is_the_same():
    torch.testing.assert_close(newton_schulz(matrix((3, 8))).T, newton_schulz(matrix((3, 8)).T))


def test_only_matrices_have_singular_values():
    with pytest.raises(ValueError, match=r"need a matrix \(n, m\), got \(2, 3, 4\)"):
        newton_schulz(torch.zeros(2, 3, 4))


# --- the optimiser


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch.optim.Muon came with torch 2.9")
@pytest.mark.parametrize("settings", [{}, {"momentum": 0.8, "weight_decay": 0.3}], ids=str)
def test_equals_torch_over_50_steps_of_noisy_gradients(settings, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)  # so that it is exact, too
    ours, theirs = ([matrix(shape).requires_grad_() for shape in SHAPES] for _ in "ab")
    a = Muon(ours, lr=0.02, **settings)
    settings = {"weight_decay": 0.0} | settings
    b = torch.optim.Muon(theirs, lr=0.02, adjust_lr_fn="match_rms_adamw", **settings)
    for step in range(50):
        for x, y in zip(ours, theirs, strict=True):
            x.grad = matrix(x.shape, seed=step)
            y.grad = x.grad.clone()
        a.step()
        b.step()
        for x, y in zip(ours, theirs, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-6)  # torch's eps is a float32's


def test_equals_its_formula_over_steps_with_changing_settings():
    x = matrix((3, 5)).requires_grad_()
    optimizer, plain, M = Muon([x], momentum=0.7), x.detach().clone(), torch.zeros(3, 5).double()
    for step, (lr, decay) in enumerate([(0.1, 0.0), (0.1, 0.5), (0.03, 0.5), (0.0, 0.9)]):
        optimizer.param_groups[0].update(lr=lr, weight_decay=decay)
        x.grad = G = matrix((3, 5), seed=step + 1)
        optimizer.step()
        M = 0.7 * M + 0.3 * G
        O = newton_schulz(0.3 * G + 0.7 * M)  # noqa: E741
        plain = plain - lr * decay * plain - lr * 0.2 * 5**0.5 * O
        torch.testing.assert_close(x.detach(), plain)


def test_a_matrix_without_gradient_stays():
    x, y = (torch.ones(2, 3, requires_grad=True) for _ in range(2))
    x.grad = torch.ones(2, 3)
    Muon([x, y], weight_decay=0.5).step()
    assert (x != 1).all()
    assert (y == 1).all()


def test_its_state_survives_saving():
    gradients = [matrix((3, 5), seed=i) for i in range(4)]
    whole, halves = (torch.zeros(3, 5).double().requires_grad_() for _ in range(2))
    one, first = Muon([whole], lr=0.1), Muon([halves], lr=0.1)
    second = Muon([halves], lr=0.1)
    for i, gradient in enumerate(gradients):
        if i == 2:
            second.load_state_dict(first.state_dict())
        whole.grad = halves.grad = gradient
        one.step()
        (first if i < 2 else second).step()
    torch.testing.assert_close(whole, halves)


def test_it_solves_what_has_one_steep_and_one_flat_direction():
    """‖A X − Y‖² with A's singular values 1,000 to 1: plain descent would crawl along one."""
    A, _, _ = made_of([30.0, 0.03], (2, 2))
    target, X = matrix((2, 2), 1), torch.zeros(2, 2).double().requires_grad_()
    optimizer = Muon([X])
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 200)
        optimizer.zero_grad()
        (A @ (X - target)).square().sum().backward()
        optimizer.step()
    assert (X - target).norm() < 0.25 * target.norm()


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((3,), {}, r"need matrices, got shapes \[\(3,\)\]"),
        ((2, 3), {"momentum": 1.0}, "momentum < 1, got 0.001, 0.0 and 1.0"),
        ((2, 3), {"lr": -1.0}, "need lr, weight_decay >= 0 .* got -1.0"),
        ((2, 3), {"weight_decay": float("nan")}, "need lr, weight_decay >= 0"),
    ],
)
def test_what_cannot_be(shape, settings, message):
    with pytest.raises(ValueError, match=message):
        Muon([torch.zeros(shape)], **settings)


def test_the_matrices_of_a_gpt_are_those_of_its_blocks():
    model = GPT(GPTConfig(V=11, T=7, L=2, D=6, H=3))
    found = inner_matrices(model)
    assert {id(x) for x in found} == {id(x) for x in model.blocks.parameters() if x.ndim == 2}
    assert len(found) == 2 * 4


def test_a_layer_that_reads_an_embedding_is_inside():
    net = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    assert [tuple(x.shape) for x in inner_matrices(net)] == [(2, 3)]
