"""The doubling time: exact lines, SciPy's regression, and how often the interval holds."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression

from bigmodel_lib.growth import Growth, fit_growth

YEARS = np.array([1957, 1969, 1983, 2003, 2017])


def test_exact_doubling_is_found_without_uncertainty():
    growth = fit_growth(YEARS, 7 * 2.0 ** ((YEARS - 1957) / 1.5))
    assert growth.doubling_time == pytest.approx(1.5)
    assert growth.doubling_range == (pytest.approx(1.5), pytest.approx(1.5))
    assert growth.size(np.array([1957, 1960])) == pytest.approx([7, 28])


def test_the_line_is_least_squares():
    sizes = np.array([3e2, 5e3, 2e5, 7e6, 1e9])
    oracle = LinearRegression().fit(YEARS[:, None], np.log2(sizes))
    growth = fit_growth(YEARS, sizes)
    assert growth.slope == pytest.approx(oracle.coef_[0])
    assert growth.size(2011) == pytest.approx(2 ** oracle.predict([[2011]])[0])


def test_errors_are_those_of_scipys_regression():
    sizes = np.array([3e2, 5e3, 2e5, 7e6, 1e9])
    oracle, growth = (
        stats.linregress(YEARS - YEARS.mean(), np.log2(sizes)),
        fit_growth(YEARS, sizes),
    )
    t = stats.t.ppf(0.975, 3)
    assert growth.slope_range[1] - growth.slope == pytest.approx(t * oracle.stderr)
    assert growth.height_range[1] - growth.height == pytest.approx(t * oracle.intercept_stderr)
    assert (growth.height, growth.centre) == (pytest.approx(oracle.intercept), YEARS.mean())


def test_sizes_that_never_change_are_known_not_to_grow():
    growth = fit_growth(YEARS, [7] * 5)
    assert growth.slope_range == pytest.approx((0, 0), abs=1e-12)
    assert growth.size_range(2100) == pytest.approx((7, 7))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_holds_the_truth_as_often_as_it_says(level):
    """Five models only: with the normal's quantile in place of Student's t it would not."""
    random, held, times = np.random.default_rng(0), 0, 2000
    for noise in random.normal(0, 2, (times, len(YEARS))):
        growth = fit_growth(YEARS, 2.0 ** ((YEARS - 1957) / 3 + noise), level)
        assert growth.level == level
        held += growth.slope_range[0] < 1 / 3 < growth.slope_range[1]
    assert held / times == pytest.approx(level, abs=0.02)


def test_the_band_round_the_line_holds_the_truth_as_often_as_it_says():
    """At the ends and in the middle, by the regression's own theory."""
    random, years, times = np.random.default_rng(0), np.array([1950, 1991, 2030]), 2000
    truth, held = 2.0 ** ((years - 1957) / 3), np.zeros(3)
    for noise in random.normal(0, 2, (times, len(YEARS))):
        low, high = fit_growth(YEARS, 2.0 ** ((YEARS - 1957) / 3 + noise)).size_range(years)
        held += (low < truth) & (truth < high)
    assert held / times == pytest.approx(0.95, abs=0.02)


def test_doubling_range_is_in_order_and_holds_the_estimate():
    growth = fit_growth(YEARS, [3e2, 5e3, 2e5, 7e6, 1e9])
    low, high = growth.doubling_range
    assert low < growth.doubling_time < high < math.inf


def test_growth_that_is_unsure_has_no_upper_end():
    growth = fit_growth([2000, 2001, 2002], [1, 8, 2])
    assert growth.doubling_range[1] == math.inf
    assert 0 < growth.doubling_range[0] < growth.doubling_time


def test_shrinking_has_no_doubling_time():
    growth = fit_growth(YEARS, 2.0 ** (1957 - YEARS))
    assert growth.doubling_time == pytest.approx(-1)
    with pytest.raises(ValueError, match="need growth, got -1 to -1 doublings"):
        _ = growth.doubling_range


def test_no_growth_never_doubles():
    assert Growth(0.0, (-1.0, 1.0), 2000.0, 3.0, (2.0, 4.0), 0.95).doubling_time == math.inf


@pytest.mark.parametrize(
    ("years", "sizes", "message"),
    [
        ([2000, 2001], [1, 2], "three models"),
        ([2000, 2000, 2000], [1, 2, 3], "not all of one year"),
        ([2000, 2001, 2002], [1, 0, 2], "above 0"),
        ([2000, 2001, 2002], [1, math.nan, 2], "above 0"),
    ],
)
def test_too_little_to_fit_is_refused(years, sizes, message):
    with pytest.raises(ValueError, match=message):
        fit_growth(years, sizes)
