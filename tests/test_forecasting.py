"""Tests of forecasts: against SciPy and arch, and by how often they err under no difference."""

import numpy as np
import pytest
from arch.covariance.kernel import Bartlett
from scipy import stats

from bigmodel_lib.forecasting import clark_west, diebold_mariano, long_run_variance, qlike


def series(n=113, seed=0):
    generator = np.random.default_rng(seed)
    return np.convolve(generator.normal(size=n + 4), [1, 0.8, 0.5, 0.3, 0.1], "valid")


# --- the variance of a mean


@pytest.mark.parametrize("lags", [0, 1, 5, 17])
def test_newey_and_wests_variance_is_that_of_arch(lags):
    x = series()
    theirs = Bartlett(x, bandwidth=lags, df_adjust=0, center=True).cov.long_run
    assert long_run_variance(x, lags) == pytest.approx(float(np.squeeze(theirs)), rel=1e-9)


def test_the_rectangular_one_is_a_sum_of_autocovariances():
    x = series() - series().mean()
    wanted = np.mean(x * x) + 2 * sum((x[k:] * x[:-k]).sum() / len(x) for k in (1, 2, 3))
    assert long_run_variance(series(), 3, kernel="rectangular") == pytest.approx(wanted)


def test_it_finds_the_variance_of_a_moving_average():
    # Σ of the weights squared times the variance of the noise
    x = series(200_000)
    assert long_run_variance(x, 4, kernel="rectangular") == pytest.approx(2.7**2, rel=0.05)


@pytest.mark.parametrize(("lags", "kernel"), [(-1, "Bartlett"), (113, "Bartlett"), (1, "flat")])
def test_impossible_windows_are_refused(lags, kernel):
    with pytest.raises(ValueError, match="need x"):
        long_run_variance(series(), lags, kernel=kernel)


# --- Diebold and Mariano


def test_one_day_ahead_it_is_the_paired_t_test_of_scipy():
    one, two = series(seed=1) ** 2, series(seed=2) ** 2
    found, wanted = diebold_mariano(one, two), stats.ttest_rel(one, two)
    assert found.statistic == pytest.approx(wanted.statistic)  # the correction makes n − 1 of n
    assert found.p == pytest.approx(wanted.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval(0.95)))


def test_several_days_ahead_it_is_the_formula():
    one, two, n, h = series(seed=1) ** 2, series(seed=2) ** 2, 113, 4
    d = one - two
    variance = long_run_variance(d, 3, kernel="rectangular")
    plain = d.mean() / np.sqrt(variance / n)
    wanted = plain * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    assert diebold_mariano(one, two, h=h).statistic == pytest.approx(wanted)


def rejections(draw, test, times=400):
    return np.mean([test(*draw(np.random.default_rng(seed))).p < 0.05 for seed in range(times)])


def test_it_errs_in_five_of_a_hundred_cases_if_forecasts_are_equally_good():
    def two_forecasts(generator):  # of equal expected loss, h = 3 days ahead
        noise = generator.normal(size=(2, 302))
        errors = noise[:, 2:] + 0.7 * noise[:, 1:-1] + 0.4 * noise[:, :-2]
        return errors**2

    size = rejections(two_forecasts, lambda a, b: diebold_mariano(a, b, h=3))
    assert 0.02 < size < 0.09
    # taken for independent, the same losses look different far too often
    assert rejections(two_forecasts, diebold_mariano) > size + 0.04


def test_it_sees_a_better_forecast():
    def better(generator):
        return generator.normal(0, 1.2, size=300) ** 2, generator.normal(size=300) ** 2

    assert rejections(better, diebold_mariano, times=100) > 0.8


def test_losses_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="need two losses"):
        diebold_mariano(series(), series(50))
    with pytest.raises(ValueError, match="h from 1 to n"):
        diebold_mariano(series(), series(seed=1), h=114)
    with pytest.raises(ValueError, match="positive variance"):
        diebold_mariano(series(), series())
    swinging = np.tile([1.0, -1.0], 40)  # γ₁ = −γ₀, so γ₀ + 2γ₁ < 0
    with pytest.raises(ValueError, match="positive variance"):
        diebold_mariano(swinging, np.zeros(80), h=2)
    assert abs(diebold_mariano(swinging, np.zeros(80), h=2, lags=1).statistic) < 1


# --- Clark and West


def nested(generator, slope=0.0, train=60, n=200):
    """A random walk against a regression that was fitted on `train` days."""
    x, noise = generator.normal(size=(2, train + n))
    y = slope * x + noise
    fitted = (x[:train] @ y[:train]) / (x[:train] @ x[:train])
    return y[train:], np.zeros(n), fitted * x[train:]


def test_its_statistic_is_the_formula():
    y, small, large = nested(np.random.default_rng(0))
    f = y**2 - (y - large) ** 2 + large**2
    wanted = f.mean() / np.sqrt(f.var() / len(f))
    found = clark_west(y, small, large)
    assert found.statistic == pytest.approx(wanted)
    assert found.p == pytest.approx(stats.norm.sf(wanted))


def test_it_errs_seldom_and_sees_what_squared_errors_hide():
    assert rejections(nested, clark_west) < 0.08

    def hidden(generator):
        return nested(generator, slope=0.2)

    def by_loss(y, small, large):
        return diebold_mariano((y - small) ** 2, (y - large) ** 2)

    assert rejections(hidden, clark_west, 200) > rejections(hidden, by_loss, 200) + 0.1


def test_shapes_and_equal_forecasts_are_refused():
    y, small, large = nested(np.random.default_rng(0))
    with pytest.raises(ValueError, match="three arrays"):
        clark_west(y, small[1:], large)
    with pytest.raises(ValueError, match="that vary"):
        clark_west(y, small, small)


# --- QLIKE


def test_its_mean_is_least_for_the_true_variance_though_the_proxy_is_noisy():
    variance = np.exp(series(20_000))
    proxy = variance * np.random.default_rng(3).normal(size=20_000) ** 2
    losses = {scale: qlike(proxy, scale * variance).mean() for scale in (0.7, 0.9, 1, 1.1, 1.4)}
    assert min(losses, key=losses.get) == 1
    absolute = {scale: abs(proxy - scale * variance).mean() for scale in (0.5, 1)}
    assert absolute[0.5] < absolute[1]


def test_against_the_truth_it_is_the_divergence_of_two_normal_laws():
    # KL(N(0, v) ‖ N(0, w)) = (log w/v + v/w − 1) / 2
    v, w = np.array([0.5, 1.7]), np.array([0.9, 1.1])
    excess = qlike(v, w) - qlike(v, v)
    np.testing.assert_allclose(excess / 2, (np.log(w / v) + v / w - 1) / 2)


@pytest.mark.parametrize(("proxy", "forecast"), [([-0.1], [1.0]), ([0.1], [0.0]), ([1], [np.nan])])
def test_what_are_no_variances_is_refused(proxy, forecast):
    with pytest.raises(ValueError, match="need a proxy"):
        qlike(proxy, forecast)
