"""Daily returns: made ones, whose volatility is known, and the reader's own prices.

Symbols: T days, r return in percent, σ² its variance given all days before, in percent squared.
"""

import csv
import itertools
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

FEWEST_PRICES = 250  # a year of trading days: with fewer nothing of the chapter can be measured


@dataclass(frozen=True)
class Garch:
    """Returns that nobody can predict, of a volatility that anybody can.

    r_t = σ_t ε_t,  σ²_t = ω + (α + γ 1[r_{t−1} < 0]) r²_{t−1} + β σ²_{t−1}
    -- GARCH(1,1) of Bollerslev 1986; γ of Glosten, Jagannathan & Runkle 1993; ε of Student's
    t with ν degrees of freedom, scaled to variance 1, of Bollerslev 1987.

    ε is drawn anew each day, so the mean of r_t given the past is 0: the best forecast of a
    return is 0, by construction.

    Args:
        omega: ω > 0, in percent squared.
        alpha, beta, gamma: α, β >= 0, α + γ >= 0; a day's shock, yesterday's variance, and what
            a fall adds to a shock (the *leverage effect*).
        nu: ν > 2; the fewer, the more extreme days.

    Raises:
        ValueError: values out of these ranges, or α + γ/2 + β >= 1: no variance in the long run.
    """

    omega: float = 0.02
    alpha: float = 0.08
    beta: float = 0.9
    gamma: float = 0.0
    nu: float = 6.0

    def __post_init__(self):
        shocks = min(self.alpha, self.alpha + self.gamma, self.beta)
        if not (self.omega > 0 and shocks >= 0 and self.persistence < 1 and self.nu > 2):
            raise ValueError(f"need ω > 0, α, α + γ, β >= 0, α + γ/2 + β < 1, ν > 2; got {self}")

    @property
    def persistence(self) -> float:
        """α + γ/2 + β: what is left after a day of a distance from the long-run variance."""
        return self.alpha + self.gamma / 2 + self.beta

    @property
    def long_run_variance(self) -> float:
        """The variance of a return of which nothing is known: ω / (1 − α − γ/2 − β)."""
        return self.omega / (1 - self.persistence)

    @property
    def half_life(self) -> float:
        """Days until half of a distance from the long-run variance is gone, on average."""
        return math.log(0.5) / math.log(self.persistence) if self.persistence > 0 else 0.0

    def next_variance(self, r: float, variance: float) -> float:
        """σ² of the day after one of return r and variance σ²."""
        return self.omega + (self.alpha + self.gamma * (r < 0)) * r * r + self.beta * variance


@dataclass(frozen=True, eq=False)
class Market:
    """Returns of T days in a row.

    Attributes:
        returns: (T,) in percent: 100 times the change of the price's logarithm.
        variance: (T,) in percent squared: the true σ² of made returns; None of real ones, where
            nobody knows it.
        dates: of real returns, the day that each ends with; None of made ones.
    """

    returns: np.ndarray
    variance: np.ndarray | None = None
    dates: tuple[date, ...] | None = None

    @property
    def prices(self) -> np.ndarray:
        """(T,), at the end of each day; 100 before the first."""
        return 100 * np.exp(np.cumsum(self.returns) / 100)


def make_market(
    days: int = 4000, garch: Garch | None = None, *, seed: int = 0, forget: int = 500
) -> Market:
    """Returns drawn from a GARCH process, and the variance that each was drawn with.

    Args:
        days: T.
        garch: the process; `Garch()` if not given.
        seed: of the innovations ε.
        forget: days before the first one, so that it is like any other.

    Raises:
        ValueError: days < 1 or forget < 0.
    """
    if days < 1 or forget < 0:
        raise ValueError(f"need days >= 1 and forget >= 0, got {days} and {forget}")
    garch = garch or Garch()
    scale = math.sqrt((garch.nu - 2) / garch.nu)  # Student's t has the variance ν / (ν − 2)
    epsilon = scale * np.random.default_rng(seed).standard_t(garch.nu, size=days + forget)
    returns, variance = np.empty(days + forget), np.empty(days + forget)
    now = garch.long_run_variance
    for t in range(days + forget):
        variance[t], returns[t] = now, math.sqrt(now) * epsilon[t]
        now = garch.next_variance(returns[t], now)
    return Market(returns[forget:], variance[forget:])


def read_prices(path: str | Path, date_column: str = "Date", price_column: str = "Close") -> Market:
    """Returns from a table of daily prices of your own: CSV, a line a day, oldest first.

    Use prices that are adjusted for dividends and splits, or those days look like crashes.

    Args:
        path: the file; its first line names the columns.
        date_column: of dates such as 2024-03-01.
        price_column: of prices, above 0.

    Raises:
        ValueError: a column that is not there, a line that cannot be read, dates that do not
            rise, or fewer than 250 prices; it names the line.
        FileNotFoundError: no such file.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        missing = {date_column, price_column} - set(table.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: need columns {sorted(missing)}, got {table.fieldnames}")
        rows = [
            _day(row, date_column, price_column, f"{path}, line {table.line_num}") for row in table
        ]
    days, prices = [day for day, _ in rows], np.array([price for _, price in rows])
    for before, after in itertools.pairwise(days):
        if after <= before:
            raise ValueError(f"{path}: need dates that rise, each once; got {after} after {before}")
    if len(rows) < FEWEST_PRICES:
        raise ValueError(f"{path}: need at least {FEWEST_PRICES} prices, got {len(rows)}")
    return Market(100 * np.diff(np.log(prices)), dates=tuple(days[1:]))


def _day(row: dict, date_column: str, price_column: str, where: str) -> tuple[date, float]:
    try:
        day, price = date.fromisoformat(row[date_column]), float(row[price_column])
    except (TypeError, ValueError) as error:  # TypeError: the line is too short
        got = f"{row[date_column]!r} and {row[price_column]!r}"
        raise ValueError(f"{where}: need a date as 2024-03-01 and a price, got {got}") from error
    if not 0 < price < math.inf:
        raise ValueError(f"{where}: need a price above 0, got {price}")
    return day, price


def past_variances(
    returns: np.ndarray, spans: tuple[int, ...] = (1, 5, 22, 66), *, falls: bool = False
) -> np.ndarray:
    """What the last days, weeks and months say of the next day's variance.

    Mean of r² over the last n days, for each n  -- the horizons of the heterogeneous
    autoregression, Corsi 2009, which has realised variances in the place of r².

    Args:
        returns: (T,).
        spans: n, in days.
        falls: as many columns again, in which only days of a negative return count.

    Returns:
        (T − max(spans) + 1, columns); row i is known at the end of day max(spans) + i, and its
        last row is for the day that has not come yet.

    Raises:
        ValueError: a span below 1 or above T.
    """
    returns = np.asarray(returns, float)
    longest = max(spans)
    if min(spans) < 1 or longest > len(returns):
        raise ValueError(f"need spans from 1 to T = {len(returns)}, got {spans}")
    squares = [returns**2] + ([np.minimum(returns, 0) ** 2] if falls else [])
    columns = []
    for square in squares:
        sums = np.concatenate([[0.0], np.cumsum(square)])
        ends = np.arange(longest, len(returns) + 1)
        columns += [(sums[ends] - sums[ends - n]) / n for n in spans]
    return np.column_stack(columns)
