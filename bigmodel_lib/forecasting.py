"""How good is a forecast, and is it better than another one? Tests for series in time.

Symbols: n days that were forecast, h days ahead, e error of a forecast, d difference of losses.
"""

import math

import numpy as np
from scipy import stats

from bigmodel_lib.comparing import Comparison, compared


def qlike(proxy, forecast):
    """Loss of a forecast of a variance: log σ̂² + r²/σ̂²  -- QLIKE, Patton 2011.

    Its mean is least for the true variance even where r² stands in for it, which is right on
    average and wrong each day; a mean absolute error does not have this property.

    Args:
        proxy: r², or another unbiased measurement of the variance (n,), >= 0.
        forecast: σ̂² (n,), above 0, in the same unit.

    Raises:
        ValueError: values out of these ranges.
    """
    proxy, forecast = np.asarray(proxy, float), np.asarray(forecast, float)
    if not ((proxy >= 0).all() and (forecast > 0).all()):
        got = f"lowest proxy {proxy.min()}, lowest forecast {forecast.min()}"
        raise ValueError(f"need a proxy >= 0 and forecasts > 0, got {got}")
    return np.log(forecast) + proxy / forecast


def long_run_variance(x, lags: int, *, kernel: str = "Bartlett") -> float:
    """Variance of √n x̄ for a series that depends on its own past, "HAC".

    γ₀ + 2 Σ_{k=1}^{lags} w_k γ_k, with γ_k the autocovariance, a mean over n
    -- w_k = 1 − k/(lags + 1): Newey & West 1987; w_k = 1: Diebold & Mariano 1995.

    Args:
        x: (n,).
        lags: 0 to n − 1; 0 is the plain variance.
        kernel: "Bartlett", which is never negative, or "rectangular", which may be.

    Raises:
        ValueError: another shape, lags or kernel.
    """
    x = np.asarray(x, float)
    if x.ndim != 1 or not 0 <= lags < len(x) or kernel not in ("Bartlett", "rectangular"):
        got = f"{x.shape}, {lags}, {kernel!r}"
        raise ValueError(f'need x (n,), lags 0 … n − 1, "Bartlett" or "rectangular"; got {got}')
    x = x - x.mean()
    total = x @ x
    for k in range(1, lags + 1):
        weight = 1 - k / (lags + 1) if kernel == "Bartlett" else 1.0
        total += 2 * weight * (x[k:] @ x[:-k])
    return float(total / len(x))


def diebold_mariano(loss, other_loss, h: int = 1, *, lags: int | None = None) -> Comparison:
    """Do two forecasts differ in expected loss?  -- Diebold & Mariano 1995.

    DM = d̄ / √(V/n),  d = loss − other loss,  V the long-run variance of d.
    DM* = DM √((n + 1 − 2h + h(h − 1)/n) / n), Student's t with n − 1 degrees of freedom
    -- the correction for small samples of Harvey, Leybourne & Newbold 1997.

    Args:
        loss, other_loss: of each day (n,), of two forecasts that were made before it. A positive
            difference says that the other is better.
        h: days ahead. Forecasts of h days share h − 1 of them with the next one, so their errors
            depend on each other over h − 1 lags even if they are the best.
        lags: None for the rectangular window of h − 1 lags, as in the sources; a number for
            Newey and West's window of so many, where losses cluster for other reasons.

    Returns:
        The mean difference with its interval, DM*, and a two-sided p.

    Raises:
        ValueError: other shapes; h out of 1 … n; a variance that is not positive: then the
            losses do not differ at all, or `lags` must be given.
    """
    loss, other_loss = np.asarray(loss, float), np.asarray(other_loss, float)
    if loss.ndim != 1 or loss.shape != other_loss.shape or not 1 <= h <= len(loss):
        got = f"{loss.shape}, {other_loss.shape} and {h}"
        raise ValueError(f"need two losses (n,) and h from 1 to n, got {got}")
    d, n = loss - other_loss, len(loss)
    kernel, lags = ("rectangular", h - 1) if lags is None else ("Bartlett", lags)
    variance = long_run_variance(d, lags, kernel=kernel)
    if not variance > 0:
        raise ValueError(f"need a positive variance, got {variance} from {lags} lags, {kernel}")
    correction = math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    error = math.sqrt(variance / n) / correction
    return compared(d.mean(), error, d.mean() / error, stats.t(n - 1))


def clark_west(target, small, large, *, lags: int = 0) -> Comparison:
    """Does a larger model that contains a smaller one predict better?  -- Clark & West 2007.

    f = (y − ŷ_small)² − [(y − ŷ_large)² − (ŷ_small − ŷ_large)²],  f̄ / √(V/n) against N(0, 1)

    If the smaller model is the truth, the larger one has a larger squared error, since it fits
    noise: (ŷ_small − ŷ_large)² on average. So equal errors would be evidence *for* the larger
    one, which `diebold_mariano` misses; this takes the noise out. A significant result says that
    there is something to predict, not that the larger model's forecasts are the better ones.

    Args:
        target: y (n,).
        small, large: forecasts ŷ (n,) of both.
        lags: of Newey and West's window for V.

    Returns:
        The mean of f with its interval, the statistic, and a one-sided p: the larger is better.

    Raises:
        ValueError: other shapes, or forecasts that are all the same.
    """
    y, small, large = (np.asarray(v, float) for v in (target, small, large))
    if y.ndim != 1 or not y.shape == small.shape == large.shape:
        raise ValueError(f"need three arrays (n,), got {y.shape}, {small.shape}, {large.shape}")
    f = (y - small) ** 2 - ((y - large) ** 2 - (small - large) ** 2)
    error = math.sqrt(long_run_variance(f, lags) / len(f))
    both = compared(f.mean(), error, f.mean() / error if error else math.nan, stats.norm)
    p = float(stats.norm.sf(both.statistic))
    return Comparison(both.difference, both.low, both.high, both.statistic, p)
