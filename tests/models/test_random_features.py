"""Exact solutions against torch's and scikit-learn's, features against the kernel they estimate."""

import math

import pytest
import torch
from sklearn.linear_model import Ridge

from bigmodel_lib.models.random_features import least_squares, random_relu

F64 = torch.float64


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, dtype=F64, generator=generator)


@pytest.mark.parametrize(("n", "N"), [(31, 7), (7, 31), (13, 13)])
def test_without_a_penalty_it_is_the_pseudoinverse(draw, n, N):
    features, targets = draw(2, n, N), draw(2, n, 3)
    (found,) = least_squares(features, targets)
    torch.testing.assert_close(found, torch.linalg.pinv(features) @ targets)


def test_more_features_than_examples_fit_exactly_and_no_other_fit_is_shorter(draw):
    features, targets = draw(7, 31), draw(7, 2)
    (found,) = least_squares(features, targets)
    torch.testing.assert_close(features @ found, targets)
    away = draw(31, 2)
    away -= torch.linalg.pinv(features) @ (features @ away)  # changes no answer
    torch.testing.assert_close(features @ (found + away), targets)
    assert (found + away).norm() > found.norm()


@pytest.mark.parametrize(("n", "N"), [(31, 7), (7, 31)])
def test_with_penalties_it_is_ridge_regression(draw, n, N):
    features, targets, penalties = draw(n, N), draw(n, 3), (0.1, 10.0)
    found = least_squares(features, targets, penalties)
    assert found.shape == (2, N, 3)
    for weights, penalty in zip(found, penalties, strict=True):
        oracle = Ridge(alpha=penalty, fit_intercept=False).fit(features, targets)
        torch.testing.assert_close(weights, torch.from_numpy(oracle.coef_.T))


def test_features_that_repeat_others_change_no_answer(draw):
    features, targets = draw(11, 5), draw(11, 2)
    twice = torch.cat([features, features], dim=1)  # of rank 5: half of its values are zero
    (once,), (both,) = least_squares(features, targets), least_squares(twice, targets)
    torch.testing.assert_close(twice @ both, features @ once)


def test_features_that_hardly_vary_still_count(draw):
    features, wanted = draw(11, 5) * 10.0 ** -torch.arange(0, 10, 2), draw(5, 3)
    (found,) = least_squares(features, features @ wanted)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_the_unit_of_the_features_does_not_matter_not_even_of_one_in_a_batch(draw, scale):
    features, targets = draw(2, 11, 5), draw(2, 11, 3)
    features = torch.cat([features, features], dim=-1)  # zeros among the values, in each unit
    (wanted,) = least_squares(features, targets)
    units = torch.tensor([1.0, scale], dtype=F64)[:, None, None]
    (found,) = least_squares(features * units, targets)
    torch.testing.assert_close(found * units, wanted)


def test_several_hidden_layers_are_drawn_at_once(draw):
    x, weights = draw(7, 5), draw(3, 5, 11)
    each = torch.stack([random_relu(x, one) for one in weights])
    torch.testing.assert_close(random_relu(x, weights), each)


def test_many_features_estimate_the_arc_cosine_kernel(draw):
    # Cho & Saul 2009, eq. 6, order 1: E[relu(w·x) relu(w·y)] = |x||y| (sin θ + (π − θ) cos θ) / 2π
    x = draw(2, 5)
    features = random_relu(x, draw(5, 200_000))
    a, b = x.norm(dim=1)
    angle = torch.acos(x[0] @ x[1] / (a * b))
    kernel = a * b * (angle.sin() + (math.pi - angle) * angle.cos()) / (2 * math.pi)
    found = (features[0] @ features[1]) / 200_000 * 5  # x was divided by √5
    torch.testing.assert_close(found, kernel, rtol=0.03, atol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random_relu(torch.ones(2, 3), torch.ones(4, 5)), r"got x \(2, 3\)"),
        (lambda: least_squares(torch.ones(2, 3), torch.ones(4, 1)), "as many targets"),
        (lambda: least_squares(torch.ones(2, 3), torch.ones(2, 1), [-1.0]), "at least 0"),
    ],
)
def test_refuses_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
