"""How fast models have grown: an exponential over the years, with its uncertainty."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Growth:
    """Exponential growth, fitted: log₂ of the size is a line over the years.

    Attributes:
        slope: doublings a year.
        slope_range: its confidence interval.
        centre: mean year of the models, where the line is surest.
        height: log₂ of the fitted size in that year.
        height_range: its confidence interval.
        level: of the intervals.
    """

    slope: float
    slope_range: tuple[float, float]
    centre: float
    height: float
    height_range: tuple[float, float]
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
        return 2.0 ** self._log(year)

    def size_range(self, year):
        """Confidence interval of the line in a year: (low, high), each a number or an array.

        The errors of height and slope are independent, so their squares add up.
        """
        away = np.asarray(year, float) - self.centre
        reach = np.hypot(
            self.height_range[1] - self.height, (self.slope_range[1] - self.slope) * away
        )
        return 2.0 ** (self._log(year) - reach), 2.0 ** (self._log(year) + reach)

    def _log(self, year):
        return self.height + self.slope * (np.asarray(year, float) - self.centre)


def fit_growth(years, sizes, level: float = 0.95) -> Growth:
    """Fit a doubling time by linear regression of log₂ size on the year.

    Least squares; estimate ± t · standard error, with Student's t for n − 2 degrees of freedom,
    as if the residuals were independent. Landmark models are chosen by hand, so the interval
    speaks of these models and not of all that were built.

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
    x, y, n = years - years.mean(), np.log2(sizes), len(years)
    slope, height = x @ y / (x @ x), y.mean()
    rest = y - height - slope * x
    variance = rest @ rest / (n - 2)
    from scipy import special  # half a second, and plots and widgets import this module

    quantile = special.stdtrit(n - 2, (1 + level) / 2)  # of Student's t
    return Growth(
        slope=float(slope),
        slope_range=_around(slope, quantile * np.sqrt(variance / (x @ x))),
        centre=float(years.mean()),
        height=float(height),
        height_range=_around(height, quantile * np.sqrt(variance / n)),
        level=level,
    )


def _around(middle: float, reach: float) -> tuple[float, float]:
    return float(middle - reach), float(middle + reach)
