"""Is one method better than another, or was it luck? The answer of a test, and one such test."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Comparison:
    """A mean difference, and whether chance alone would make one.

    Attributes:
        difference: the mean, in the unit of what was compared.
        low, high: its 95 % interval.
        statistic: the difference over its standard error (and corrections).
        p: probability of a statistic at least as extreme, if there were no difference.
    """

    difference: float
    low: float
    high: float
    statistic: float
    p: float


def corrected_resampled_t(differences, test_over_train: float) -> Comparison:
    """Compare two methods by the folds of a repeated cross-validation, where folds share rows.

    t = d̄ / √((1/J + n₂/n₁) s²), Student's t with J − 1 degrees of freedom
    -- Nadeau & Bengio 2003, Inference for the generalization error, Machine Learning 52.

    d̄ and s² are mean and variance of the J differences. The plain t test has 1/J alone: it
    takes overlapping training sets for independent ones and is far too sure.

    Args:
        differences: score of one method less that of the other, on each fold (J,), J >= 2.
        test_over_train: n₂/n₁, test rows over training rows of a fold: 1/4 for five folds.

    Raises:
        ValueError: other shapes, a share that is not positive, or differences all alike.
    """
    d = np.asarray(differences, float)
    if d.ndim != 1 or len(d) < 2 or not test_over_train > 0:
        got = f"{d.shape} and {test_over_train}"
        raise ValueError(f"need differences (J,), J >= 2, and test_over_train > 0; got {got}")
    J, variance = len(d), d.var(ddof=1)
    error = math.sqrt((1 / J + test_over_train) * variance)
    return compared(d.mean(), error, d.mean() / error if error else math.nan, stats.t(J - 1))


def compared(difference: float, error: float, statistic: float, law) -> Comparison:
    """A two-sided comparison from a standard error.

    Args:
        law: of the statistic if there is no difference, a distribution of `scipy.stats`.

    Raises:
        ValueError: an error that is not positive and finite: all differences are alike.
    """
    if not 0 < error < math.inf:
        raise ValueError(f"need differences that vary, got a standard error of {error}")
    reach = float(law.ppf(0.975)) * error
    p = 2 * float(law.sf(abs(statistic)))
    low, high = float(difference - reach), float(difference + reach)
    return Comparison(float(difference), low, high, float(statistic), p)
