"""Losses against PyTorch's, and gradients against autograd."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from bigmodel_lib.models import losses
from bigmodel_lib.models.losses import LOSSES

F64 = torch.float64
seeds = st.integers(0, 2**31)


def numbers(seed, *shape, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=F64) * scale


def arguments(name, seed):
    """Two tensors that the loss takes, of distinct prime sizes."""
    generator = torch.Generator().manual_seed(seed)
    if name == "cross-entropy":
        return numbers(seed, 7, 5), torch.randint(5, (7,), generator=generator)
    if name == "binary cross-entropy":
        return numbers(seed, 7, 3), torch.rand(7, 3, generator=generator, dtype=F64)
    return numbers(seed, 7, 3), numbers(seed + 1, 7, 3)


def ones(tensor):
    return torch.ones_like(tensor)


ORACLE = {
    "squared": lambda y, t: F.mse_loss(y, t, reduction="none"),
    "absolute": lambda y, t: F.l1_loss(y, t, reduction="none"),
    "Huber": lambda y, t: F.huber_loss(y, t, reduction="none"),
    "binary cross-entropy": lambda s, t: F.binary_cross_entropy_with_logits(s, t, reduction="none"),
    "cross-entropy": lambda s, t: F.cross_entropy(s, t, reduction="none"),
    "margin": lambda a, b: F.margin_ranking_loss(a, b, ones(a), 1.0, reduction="none"),
    "logistic": lambda a, b: F.soft_margin_loss(a - b, ones(a), reduction="none"),
}


def test_every_loss_has_an_oracle():
    assert ORACLE.keys() == LOSSES.keys()
    assert {loss.task for loss in LOSSES.values()} == {"regression", "classification", "ranking"}


@pytest.mark.parametrize("name", LOSSES)
@given(seed=seeds)
def test_values_equal_torch(name, seed):
    first, second = arguments(name, seed)
    ours, theirs = LOSSES[name].value(first, second), ORACLE[name](first, second)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@given(seed=seeds)
def test_gradients_by_formula_equal_autograd_through_torch(name, seed):
    first, second = arguments(name, seed)
    ours = LOSSES[name].gradient(first, second)
    inputs = [first.requires_grad_()]
    if LOSSES[name].task == "ranking":
        inputs.append(second.requires_grad_())
    else:
        ours = (ours,)
    theirs = torch.autograd.grad(ORACLE[name](first, second).sum(), inputs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.detach(), b, rtol=1e-12, atol=1e-12)


@given(seed=seeds, delta=st.floats(0.01, 10))
def test_huber_with_any_delta(seed, delta):
    y, t = arguments("Huber", seed)
    value = losses.huber(y, t, delta)
    torch.testing.assert_close(value, F.huber_loss(y, t, reduction="none", delta=delta))
    y.requires_grad_()
    (theirs,) = torch.autograd.grad(F.huber_loss(y, t, reduction="sum", delta=delta), y)
    torch.testing.assert_close(losses.huber_gradient(y.detach(), t, delta), theirs)


@given(seed=seeds, margin=st.floats(0, 10))
def test_margin_of_any_width(seed, margin):
    a, b = arguments("margin", seed)
    theirs = F.margin_ranking_loss(a, b, ones(a), margin, reduction="none")
    torch.testing.assert_close(losses.margin_ranking(a, b, margin), theirs)
    up, down = losses.margin_ranking_gradient(a, b, margin)
    assert torch.equal(up, -(theirs > 0).to(F64))
    assert torch.equal(down, -up)


@pytest.mark.parametrize("name", LOSSES)
def test_our_values_are_differentiable_too(name):
    """A chapter may train with them: backpropagation through them gives the formula."""
    first, second = arguments(name, 3)
    first.requires_grad_()
    (ours,) = torch.autograd.grad(LOSSES[name].value(first, second).sum(), first)
    formula = LOSSES[name].gradient(first.detach(), second)
    formula = formula[0] if LOSSES[name].task == "ranking" else formula
    torch.testing.assert_close(ours, formula)


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_scores_of_any_size_give_finite_values_and_the_exact_limit(size):
    s = torch.tensor([size, -size, size, -size], dtype=F64)
    t = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=F64)
    assert losses.binary_cross_entropy(s, t).tolist() == [0, 0, size, size]
    assert losses.binary_cross_entropy_gradient(s, t).tolist() == [0, 0, 1, -1]
    pair = torch.stack([s, -s], dim=1)
    classes = torch.tensor([0, 0, 1, 1])
    assert losses.cross_entropy(pair, classes).tolist() == [0, 2 * size, 2 * size, 0]
    assert losses.cross_entropy_gradient(pair, classes).sum(dim=1).tolist() == [0, 0, 0, 0]
    assert losses.logistic_ranking(s, -s).tolist() == [0, 2 * size, 0, 2 * size]


@given(seed=seeds)
def test_the_best_constant_is_the_mean_or_the_median(seed):
    t = numbers(seed, 11)
    for best, gradient in (
        (t.mean(), losses.squared_gradient),
        (t.median(), losses.absolute_gradient),
    ):
        assert gradient(best.expand(11), t).sum().abs() < 1e-9


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("part", ["value", "gradient"])
def test_bad_shapes_and_integers_say_what_was_needed(name, part):
    function = getattr(LOSSES[name], part)
    first, second = arguments(name, 0)
    for bad in ((first, second[:-1]), (first.long(), second), (first, second.to(torch.int8))):
        with pytest.raises(ValueError, match=r"need .* float.*; got|need .*, got"):
            function(*bad)


def test_bad_classes_say_what_was_needed():
    scores = torch.randn(7, 5)
    with pytest.raises(ValueError, match=r"classes \(B,\) of int64, got \(7, 5\) .* torch.float32"):
        losses.cross_entropy(scores, torch.rand(7))
    with pytest.raises(ValueError, match=r"need scores \(B, C\)"):
        losses.cross_entropy(scores[0], torch.tensor(3))


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_bad_deltas_and_margins_say_what_was_needed(value):
    y = torch.zeros(2)
    for function in (losses.huber, losses.huber_gradient):
        with pytest.raises(ValueError, match=f"delta > 0 and finite, got {value}"):
            function(y, y, value)
    if value != 0:
        for function in (losses.margin_ranking, losses.margin_ranking_gradient):
            with pytest.raises(ValueError, match=f"margin >= 0 and finite, got {value}"):
                function(y, y, value)
