"""How fast models have grown: an exponential over the years, with its uncertainty."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Growth:
    """Exponential growth, fitted: log₂ of the size is a line over the years.

    Attributes:
        slope: doublings a year.
        slope_range: its confidence interval.
        intercept: log₂ of the size in year 0 of the calendar.
        level: of the interval.
    """

    slope: float
    slope_range: tuple[float, float]
    intercept: float
    level: float

    @property
    def doubling_time(self) -> float:
        """Years; negative where sizes shrink."""
        return 1 / self.slope if self.slope else np.inf

    @property
    def doubling_range(self) -> tuple[float, float]:
        """Confidence interval of the doubling time; infinite at the far end if growth is unsure.

        Raises:
            ValueError: not even the upper end of the slope's interval is growth.
        """
        low, high = self.slope_range
        if high <= 0:
            raise ValueError(f"need growth, got {low:.3g} to {high:.3g} doublings a year")
        return 1 / high, (1 / low if low > 0 else np.inf)

    def size(self, year):
        """The fitted size in a year, numbers or arrays."""
        return 2.0 ** (self.intercept + self.slope * np.asarray(year, float))


def fit_growth(years, sizes, level: float = 0.95) -> Growth:
    """Fit a doubling time by linear regression of log₂ size on the year.

    slope ± t · standard error, with Student's t for n − 2 degrees of freedom. The interval is
    that of a regression whose residuals are independent; landmark models are chosen by hand, so
    it speaks of these models and not of all that were built.

    Args:
        years, sizes: of n models; sizes positive.
        level: of the confidence interval.

    Raises:
        ValueError: fewer than three models, all of one year, or a size that is not positive.
    """
    years, sizes = np.asarray(years, float), np.asarray(sizes, float)
    if not (sizes > 0).all():
        raise ValueError(f"need sizes above 0, got {sizes}")
    if len(years) < 3 or len(np.unique(years)) < 2:
        raise ValueError(f"need three models or more, not all of one year; got years {years}")
    fit = stats.linregress(years, np.log2(sizes))
    reach = stats.t.ppf((1 + level) / 2, len(years) - 2) * fit.stderr
    span = float(fit.slope - reach), float(fit.slope + reach)
    return Growth(float(fit.slope), span, float(fit.intercept), level)
