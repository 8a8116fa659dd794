"""Thresholds: counts against scikit-learn, costs against a search, benefit by definition."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from bigmodel_lib.decisions import (
    best_threshold,
    confusion,
    mean_cost,
    net_benefit,
    predictive_value,
)


@pytest.fixture(scope="module")
def cases():
    """Probabilities that can be believed: y is drawn with them."""
    generator = np.random.default_rng(0)
    p = generator.beta(0.6, 0.9, size=40_000)
    return p, (generator.random(len(p)) < p).astype(int)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5, 1.0])
def test_counts_are_those_of_scikit_learn(cases, threshold):
    p, y = cases
    (left, false), (missed, found) = confusion_matrix(y, p >= threshold, labels=[0, 1])
    wanted = {"found": found, "missed": missed, "false alarms": false, "left alone": left}
    assert confusion(p, y, threshold) == wanted


@pytest.mark.parametrize(("missed", "false_alarm"), [(1, 1), (9, 1), (1, 3)])
def test_the_best_threshold_costs_least_if_probabilities_can_be_believed(
    cases, missed, false_alarm
):
    p, y = cases
    thresholds = np.linspace(0.02, 0.98, 49)
    costs = [mean_cost(p, y, t, missed, false_alarm) for t in thresholds]
    best = best_threshold(missed, false_alarm)
    assert mean_cost(p, y, best, missed, false_alarm) < min(costs) * 1.01
    assert thresholds[np.argmin(costs)] == pytest.approx(best, abs=0.06)


def test_net_benefit_of_everybody_and_of_nobody():
    y = np.array([1, 0, 0, 1, 0])
    assert net_benefit(np.ones(5), y, 0.2) == pytest.approx(0.4 - 0.6 * 0.25)
    assert net_benefit(np.zeros(5), y, 0.2) == 0
    assert net_benefit(y.astype(float), y, 0.2) == pytest.approx(0.4)  # the most: the prevalence


def test_net_benefit_falls_as_cost_rises(cases):
    # cost with (1 − t, t) is (1 − t)(prevalence − net benefit), whatever the forecast
    p, y = cases
    for t in (0.1, 0.3):
        cost = mean_cost(p, y, t, missed=1 - t, false_alarm=t)
        assert cost == pytest.approx((1 - t) * (y.mean() - net_benefit(p, y, t)))


def test_predictive_value_counts_true_alarms():
    assert predictive_value(0.9, 0.8, 0.5) == pytest.approx(0.45 / 0.55)
    y = np.array([1] * 10 + [0] * 90)
    p = np.array([1.0] * 9 + [0.0] * 1 + [1.0] * 18 + [0.0] * 72)
    count = confusion(p, y, 0.5)
    share = count["found"] / (count["found"] + count["false alarms"])
    assert predictive_value(0.9, 0.8, 0.1) == pytest.approx(share)


@pytest.mark.parametrize(
    ("p", "y"),
    [([0.1, 0.2], [1]), ([[0.1]], [[1]]), ([], []), ([1.1], [1]), ([np.nan], [1]), ([0.5], [2])],
)
def test_what_are_no_cases_is_refused(p, y):
    with pytest.raises(ValueError, match="need p"):
        confusion(p, y, 0.5)


def test_thresholds_and_costs_out_of_range_are_refused():
    with pytest.raises(ValueError, match="threshold from 0 to 1"):
        confusion([0.5], [1], 1.2)
    with pytest.raises(ValueError, match="below 1"):
        net_benefit([0.5], [1], 1)
    with pytest.raises(ValueError, match="costs above 0"):
        best_threshold(0, 1)
