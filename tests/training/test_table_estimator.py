"""The network as an estimator of scikit-learn."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bigmodel_lib.data.tables import load_table
from bigmodel_lib.training.table_estimator import TableNetwork

WINE = load_table("wine")


def test_it_learns_wine_within_a_cross_validation():
    model = make_pipeline(StandardScaler(), TableNetwork())
    assert cross_val_score(model, WINE.x, WINE.y, cv=3).min() > 0.9


def test_a_search_sets_it_and_finds_that_too_much_decay_is_bad():
    grid = {"tablenetwork__weight_decay": [0.3, 300.0]}
    model = make_pipeline(StandardScaler(), TableNetwork(steps=20))
    search = GridSearchCV(model, grid, cv=2, scoring="neg_log_loss").fit(WINE.x, WINE.y)
    assert search.best_params_ == {"tablenetwork__weight_decay": 0.3}


def test_clone_copies_the_settings_alone():
    model = TableNetwork(width=7, weight_decay=0.1, lr=0.02, steps=3, seed=5)
    assert clone(model.fit(WINE.x, WINE.y)).get_params() == model.get_params()
    assert not hasattr(clone(model), "network_")


def test_probabilities_sum_to_one_and_classes_keep_their_names():
    names = np.array(["a", "c", "b"])[WINE.y]
    model = TableNetwork(steps=5).fit(WINE.x, names)
    p = model.predict_proba(WINE.x)
    assert p.shape == (178, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(WINE.x), np.array(["a", "b", "c"])[p.argmax(1)])


def test_the_same_seed_gives_the_same_network():
    one, two, other = (TableNetwork(steps=4, seed=seed).fit(WINE.x, WINE.y) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.predict_proba(WINE.x), two.predict_proba(WINE.x))
    assert not np.allclose(one.predict_proba(WINE.x), other.predict_proba(WINE.x))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones(4), np.array([0, 1, 0, 1]), "need finite rows"),
        (np.ones((4, 2)), np.array([0, 1]), "need finite rows"),
        (np.full((4, 2), np.nan), np.array([0, 1, 0, 1]), "need finite rows"),
        (np.ones((4, 2)), np.zeros(4), "two classes"),
    ],
)
def test_what_is_no_table_is_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        TableNetwork().fit(x, y)
