"""The power law with a floor, on data whose law is known, and against SciPy's curve_fit."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from bigmodel_lib.power_law import PowerLaw, fit_power_law

N = np.array([130.0, 250, 490, 970, 1930, 3850, 7690])


@pytest.mark.parametrize("E", [0.0, 0.08, 1.69])
@pytest.mark.parametrize("alpha", [0.34, 1.7])
@pytest.mark.parametrize("scale", [0.3, 5.0])
def test_an_exact_law_is_found(E, alpha, scale):
    law = PowerLaw(E=E, A=scale * 500**alpha, alpha=alpha)
    found = fit_power_law(N, law(N))
    assert found(N) == pytest.approx(law(N), rel=1e-4)
    assert (found.E, found.alpha) == pytest.approx((E, alpha), rel=0.02, abs=2e-3)


def test_noisy_data_give_what_curve_fit_finds():
    noise = np.exp(0.1 * np.random.default_rng(0).standard_normal(len(N)))
    L = PowerLaw(E=0.1, A=3000.0, alpha=1.6)(N) * noise

    def log_law(N, E, log_A, alpha):
        return np.log(E + np.exp(log_A - alpha * np.log(N)))

    oracle, _ = curve_fit(log_law, N, np.log(L), p0=(0.08, 7.0, 1.4), maxfev=10_000)
    found = fit_power_law(N, L)
    assert (found.E, np.log(found.A), found.alpha) == pytest.approx(tuple(oracle), rel=1e-3)


def test_the_floor_is_never_below_zero():
    floor = fit_power_law(N, N**-0.5 - 0.005).E
    assert floor == pytest.approx(0, abs=1e-4)


def test_an_error_that_does_not_fall_is_all_floor():
    assert fit_power_law(N, np.full(len(N), 0.3))(1e9) == pytest.approx(0.3, rel=1e-3)


def test_where_it_saturates():
    law = PowerLaw(E=0.2, A=50.0, alpha=1.5)
    size = law.size_where(0.1)
    assert law(size) == pytest.approx(1.1 * 0.2)


@pytest.mark.parametrize(("E", "excess"), [(0.0, 0.1), (0.2, 0.0), (0.2, -1.0)])
def test_without_a_floor_nothing_saturates(E, excess):
    with pytest.raises(ValueError, match="need excess > 0 and a floor"):
        PowerLaw(E=E, A=50.0, alpha=1.5).size_where(excess)


@pytest.mark.parametrize(
    ("N", "L"),
    [
        ([1, 2, 3], [1, 2]),
        ([1, 2, 2], [3, 2, 1]),
        ([[1, 2, 3]], [[3, 2, 1]]),
        ([1, 2, 3], [3, 2, 0]),
        ([1, 2, 3], [3, np.nan, 1]),
        ([0, 2, 3], [3, 2, 1]),
    ],
)
def test_other_data_are_refused(N, L):
    with pytest.raises(ValueError, match="need "):
        fit_power_law(N, L)
