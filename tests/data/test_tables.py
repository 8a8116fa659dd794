"""Tables: what is in them, honest splits, and preparation as scikit-learn does it."""

import numpy as np
import pytest
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from bigmodel_lib.data.tables import (
    SCALINGS,
    TABLES,
    condition_number,
    load_table,
    preprocess,
    random_labels,
    second_moments,
    split_rows,
)

SIZES = {
    "breast cancer": (569, 30, 2),
    "wine": (178, 13, 3),
    "digits": (1797, 64, 10),
    "noise": (120, 1000, 2),
}


@pytest.mark.parametrize("name", TABLES)
def test_each_table(name):
    table = load_table(name)
    rows, features, classes = SIZES[name]
    assert table.x.shape == (rows, features)
    assert sorted(set(table.y.tolist())) == list(range(classes))
    assert len(table.class_names) == classes
    assert len(np.unique(table.x, axis=0)) == rows  # a repeat could lie on both sides of a split


def test_an_unknown_table():
    with pytest.raises(ValueError, match="got 'iris'"):
        load_table("iris")


def test_noise_is_balanced_and_follows_from_its_seed():
    one, same, other = random_labels(97, 5, 3), random_labels(97, 5, 3), random_labels(97, 5, 4)
    assert (one.x == same.x).all()
    assert (one.y == same.y).all()
    assert (one.y != other.y).any()
    assert abs(np.bincount(one.y)[0] - 48.5) < 1


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("validation", "test"), [(0.05, 0.4), (0.2, 0.2), (0.4, 0.05)])
def test_a_split_shares_no_row_and_keeps_the_classes_shares(name, validation, test):
    y = load_table(name).y
    parts = split_rows(y, validation, test, seed=3)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(y)))
    shares = {"train": 1 - validation - test, "validation": validation, "test": test}
    for part, rows in parts.items():
        assert len(rows) == pytest.approx(shares[part] * len(y), abs=2)
        expected = np.bincount(y) * len(rows) / len(y)
        assert np.abs(np.bincount(y[rows]) - expected).max() < 2


def test_a_split_follows_from_its_seed():
    y = load_table("wine").y
    one, same, other = (split_rows(y, 0.2, 0.3, seed)["test"].tolist() for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("shares", [(0, 0.2), (0.2, 0), (0.5, 0.5), (-0.1, 0.2)])
def test_shares_that_cannot_be(shares):
    with pytest.raises(ValueError, match="need shares"):
        split_rows(load_table("wine").y, *shares)


# --- preparation ---


@pytest.mark.parametrize(
    ("scaling", "scaler"), [("normalised", MinMaxScaler), ("standardised", StandardScaler)]
)
@pytest.mark.parametrize("keep", [None, 5])
def test_preparation_is_scikit_learns_fitted_on_the_rows_seen(scaling, scaler, keep):
    table, seen = load_table("breast cancer"), np.arange(0, 569, 3)
    x, y = table.x, table.y
    select = SelectKBest(f_classif, k=keep or "all").fit(x[seen], y[seen])
    expected = scaler().fit(select.transform(x)[seen]).transform(select.transform(x))
    np.testing.assert_allclose(preprocess(x, y, seen, scaling, keep), expected, atol=1e-9)


def test_rows_that_are_not_seen_change_nothing():
    table = load_table("wine")
    seen = split_rows(table.y, 0.2, 0.2)["train"]
    elsewhere = np.setdiff1d(np.arange(len(table.y)), seen)
    changed = table.x.copy()
    changed[elsewhere] *= 100
    for scaling in SCALINGS:
        before, after = (preprocess(x, table.y, seen, scaling, 4) for x in (table.x, changed))
        np.testing.assert_array_equal(before[seen], after[seen])


def test_features_that_do_not_vary_are_never_kept_and_break_nothing():
    table = load_table("digits")  # whose corner pixels are all 0
    seen = np.arange(100)
    varied = int((np.ptp(table.x[seen], axis=0) > 0).sum())
    assert varied < 64
    assert np.isfinite(preprocess(table.x, table.y, seen, "standardised")).all()
    assert preprocess(table.x, table.y, seen, "raw", varied).shape == (1797, varied)
    with pytest.raises(ValueError, match=f"need 1 to {varied} features"):
        preprocess(table.x, table.y, seen, "raw", varied + 1)


@pytest.mark.parametrize(("scaling", "keep"), [("whitened", None), ("raw", 0), ("raw", 14)])
def test_preparation_that_cannot_be(scaling, keep):
    table = load_table("wine")
    with pytest.raises(ValueError, match="need "):
        preprocess(table.x, table.y, np.arange(178), scaling, keep)


# --- curvature ---


def test_second_moments_are_the_curvature_of_half_the_squared_error():
    """The Hessian by autograd, of a linear model with a bias."""
    import torch

    x = np.random.default_rng(0).normal(3, 2, size=(11, 5))
    with_one = torch.tensor(np.column_stack([x, np.ones(11)]))
    y = torch.randn(11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    hessian = torch.autograd.functional.hessian(
        lambda w: ((with_one @ w - y) ** 2).mean() / 2, torch.zeros(6, dtype=torch.float64)
    )
    np.testing.assert_allclose(second_moments(x), hessian.numpy(), atol=1e-12)


def test_condition_number_is_numpys():
    x = np.random.default_rng(0).normal(3, [1, 10, 100], size=(53, 3))
    with_one = np.column_stack([x, np.ones(53)])
    assert condition_number(x) == pytest.approx(np.linalg.cond(with_one) ** 2, rel=1e-6)


def test_condition_number_of_more_features_than_rows_is_that_of_second_moments():
    x = np.random.default_rng(0).normal(3, 2, size=(19, 53))
    values = np.linalg.eigvalsh(second_moments(x))
    assert condition_number(x) == pytest.approx(values[-1] / values[-19], rel=1e-6)
    x -= x.mean(axis=0)  # centred rows have one direction less, the constant has its own
    values = np.linalg.eigvalsh(second_moments(x))
    assert condition_number(x) == pytest.approx(values[-1] / values[-19], rel=1e-6)


def test_a_direction_in_which_no_row_differs_does_not_count():
    x = np.random.default_rng(0).normal(size=(53, 3))
    repeated = np.column_stack([x, x[:, :1]])
    assert condition_number(repeated) < 10 * condition_number(x)
