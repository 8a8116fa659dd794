"""The corrected test against SciPy's where they agree, and against its own promise where not."""

import numpy as np
import pytest
from scipy import stats

from bigmodel_lib.comparing import corrected_resampled_t


def test_without_shared_rows_it_is_the_t_test_of_scipy():
    d = np.random.default_rng(0).normal(0.3, 1, size=11)
    found, wanted = corrected_resampled_t(d, 1e-12), stats.ttest_1samp(d, 0)
    assert found.statistic == pytest.approx(wanted.statistic)
    assert found.p == pytest.approx(wanted.pvalue)
    low, high = wanted.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.difference == pytest.approx(d.mean())


def test_shared_rows_widen_the_interval_by_the_formula():
    d = np.random.default_rng(1).normal(size=10)
    plain, corrected = corrected_resampled_t(d, 1e-12), corrected_resampled_t(d, 1 / 4)
    widening = (corrected.high - corrected.low) / (plain.high - plain.low)
    assert widening == pytest.approx(((1 / 10 + 1 / 4) / (1 / 10)) ** 0.5)
    assert corrected.p > plain.p


def test_the_other_way_round_is_the_other_sign():
    d = np.random.default_rng(2).normal(0.2, 1, size=7)
    one, two = corrected_resampled_t(d, 0.25), corrected_resampled_t(-d, 0.25)
    assert one.statistic == pytest.approx(-two.statistic)
    assert one.low == pytest.approx(-two.high)
    assert one.p == pytest.approx(two.p)


@pytest.mark.parametrize(
    ("differences", "share"), [([0.1], 0.25), ([[0.1, 0.2]], 0.25), ([0.1, 0.2], 0.0)]
)
def test_what_is_no_comparison_is_refused(differences, share):
    with pytest.raises(ValueError, match="need differences"):
        corrected_resampled_t(differences, share)


def test_equal_differences_are_refused():
    with pytest.raises(ValueError, match="that vary"):
        corrected_resampled_t([0.0, 0.0, 0.0], 0.25)
