"""Fits against laws that made the numbers: published ones, and parabolas."""

import numpy as np
import pytest

from bigmodel_lib import isoflop
from bigmodel_lib.isoflop import fit_loss, fit_valley, predicted
from bigmodel_lib.scaling import BESIROGLU, HOFFMANN, ParametricLoss

SMALL = ParametricLoss(E=0.9, A=60.0, B=300.0, alpha=0.45, beta=0.4)
RUNS = [(n, c / (6 * n)) for c in (6e10, 5e11, 4e12) for n in (7e3, 2e4, 6e4, 2e5)]


def runs(law, noise=0.0, scale=1.0):
    N, D = np.array(RUNS).T * scale
    return N, D, law(N, D) * np.exp(noise * np.random.default_rng(0).normal(size=len(N)))


def test_a_valley_is_found_where_the_parabola_has_it():
    N = np.array([1e3, 3e3, 7e3, 2e4])
    L = 2.5 + 0.1 * np.log(N / 5e3) ** 2
    valley = fit_valley(N, L)
    assert (valley.size, valley.lowest) == (pytest.approx(5e3), pytest.approx(2.5))
    np.testing.assert_allclose(valley(N), L)


@pytest.mark.parametrize(
    ("N", "L", "message"),
    [
        ([1e3, 2e3], [1, 2], "3 sizes or more"),
        ([1e3, 1e3, 2e3], [1, 2, 1], "3 sizes or more"),
        ([1e3, 2e3, 4e3], [1, 2], r"got \(3,\) and \(2,\)"),
        ([1e3, 2e3, 4e3], [3, 2, 1], "a lowest loss between"),
        ([1e3, 2e3, 4e3], [3, 2, 1.5], "a lowest loss between"),
        ([1e3, 2e3, 4e3], [1.5, 2, 3], "a lowest loss between"),
        ([1e3, 2e3, 4e3], [1, 2, 1], "a lowest loss between"),
    ],
)
def test_where_there_is_no_valley_it_says_so(N, L, message):
    with pytest.raises(ValueError, match=message):
        fit_valley(N, L)


@pytest.mark.parametrize(
    ("law", "scale"), [(SMALL, 1), (HOFFMANN, 1e5), (BESIROGLU, 1e5)], ids=["small", "H", "B"]
)
def test_the_law_that_made_the_runs_is_found(law, scale):
    N, D, L = runs(law, scale=scale)
    found = fit_loss(N, D, L)
    assert found.alpha == pytest.approx(law.alpha, rel=0.01)
    assert found.beta == pytest.approx(law.beta, rel=0.01)
    assert pytest.approx(law.E, rel=0.01) == found.E
    np.testing.assert_allclose(found(N, D), L, rtol=1e-4)


def test_of_several_places_to_begin_the_best_one_counts(monkeypatch):
    N, D, L = runs(SMALL)
    stuck = [-20, 3, -20, 0.01, 2]  # so steep in D that no step leads out
    monkeypatch.setattr(isoflop, "STARTS", [stuck])
    assert np.abs(fit_loss(N, D, L)(N, D) / L - 1).max() > 0.1
    monkeypatch.setattr(isoflop, "STARTS", [stuck, [-0.1, -0.1, -0.1, 0.4, 0.4], stuck])
    np.testing.assert_allclose(fit_loss(N, D, L)(N, D), L, rtol=1e-4)


def test_one_wild_run_moves_the_law_little():
    N, D, L = runs(SMALL)
    L[5] *= 1.5
    assert fit_loss(N, D, L)(1e6, 1e7) == pytest.approx(SMALL(1e6, 1e7), rel=0.01)


def test_its_interval_holds_new_runs_as_often_as_it_says():
    N, D, L = runs(SMALL, noise=0.005)
    at, rng = (6e5, 4e6), np.random.default_rng(1)
    best, low, high = predicted(N, D, L, at, level=0.8, draws=60)
    new = SMALL(*at) * np.exp(0.005 * rng.normal(size=2000))
    assert low < best < high
    assert np.mean((low <= new) & (new <= high)) > 0.6
    assert high / low < 1.06
    _, wider, _ = predicted(N, D, L, at, level=0.98, draws=60)
    assert wider < low


@pytest.fixture
def one_start(monkeypatch):
    """One place to begin is enough for runs as orderly as these, and saves time."""
    monkeypatch.setattr(isoflop, "STARTS", isoflop.STARTS[-1:])


@pytest.mark.usefixtures("one_start")
def test_its_interval_knows_to_which_side_a_run_went_astray():
    N, D, L = runs(SMALL)
    L[5] *= 1.3  # more loss than the law has, and no run has less
    best, low, high = predicted(N, D, L, (6e4, 1e7), level=0.98, draws=60)
    assert high / best > 1.15 > best / low


@pytest.mark.usefixtures("one_start")
def test_its_interval_follows_from_the_seed_and_has_its_ends_in_order():
    N, D, L = runs(SMALL, noise=0.005)
    once, again, other = (
        predicted(N, D, L, (6e5, 4e6), level=0.3, draws=10, seed=seed) for seed in (1, 1, 2)
    )
    assert once == again != other
    assert once[1] < once[2]
    assert once[0] == other[0] == fit_loss(N, D, L)(6e5, 4e6)


@pytest.mark.parametrize("shapes", [(2, 2, 2), (7, 7, 6), (7, 6, 7), ((7, 2), (7, 2), (7, 2))])
def test_refuses_too_few_runs_and_other_shapes(shapes):
    with pytest.raises(ValueError, match="R >= 6"):
        fit_loss(*map(np.ones, shapes))


@pytest.mark.parametrize("which", range(3))
def test_refuses_values_that_are_not_positive(which):
    values = np.ones((3, 7))
    values[which, 4] = 0
    with pytest.raises(ValueError, match="positive"):
        fit_loss(*values)


@pytest.mark.parametrize("choice", [{"level": 1.0}, {"level": 0.0}, {"draws": 0}])
def test_an_interval_needs_a_level_and_draws(choice):
    with pytest.raises(ValueError, match=r"level in \(0, 1\) and a draw or more"):
        predicted(*runs(SMALL), (6e5, 4e6), **choice)
