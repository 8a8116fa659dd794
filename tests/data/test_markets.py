"""Made markets against arch and against their formulas; a reader's prices, good and bad."""

import datetime
import math

import numpy as np
import pytest
from arch.univariate import GARCH, StudentsT

from bigmodel_lib.data.markets import (
    FEWEST_PRICES,
    Garch,
    Market,
    make_market,
    past_variances,
    read_prices,
)

LEVERED = Garch(omega=0.03, alpha=0.02, beta=0.88, gamma=0.16, nu=7)


# --- the process


@pytest.mark.parametrize("garch", [Garch(), LEVERED])
def test_returns_and_variances_are_those_of_arch_from_the_same_innovations(garch):
    days = 307
    scale = math.sqrt((garch.nu - 2) / garch.nu)
    epsilon = scale * np.random.default_rng(11).standard_t(garch.nu, size=days)
    ours = make_market(days, garch, seed=11, forget=0)
    process = GARCH(p=1, o=1, q=1)
    parameters = np.array([garch.omega, garch.alpha, garch.gamma, garch.beta])
    # arch starts with the long-run variance in the place of the first lags
    theirs = process.simulate(
        parameters, days, lambda _size: epsilon, burn=0, initial_value=garch.long_run_variance
    )
    np.testing.assert_allclose(ours.returns, theirs[0], rtol=1e-10)
    np.testing.assert_allclose(ours.variance, theirs[1], rtol=1e-10)


def test_arch_finds_the_likelihood_of_the_true_variance():
    market = make_market(1000)
    law = StudentsT()
    right = law.loglikelihood(np.array([6.0]), market.returns, market.variance)
    for factor in (0.7, 1.4):
        wrong = law.loglikelihood(np.array([6.0]), market.returns, factor * market.variance)
        assert wrong < right - 10


def test_long_run_variance_is_the_mean_of_many_days():
    garch = Garch(omega=0.1, alpha=0.05, beta=0.6, gamma=0.1, nu=30)  # few extreme days
    market = make_market(60_000, garch, seed=1)
    assert market.returns.var() == pytest.approx(garch.long_run_variance, rel=0.05)
    assert market.variance.mean() == pytest.approx(garch.long_run_variance, rel=0.05)


def test_half_life_halves_the_expected_distance_to_the_long_run():
    garch = Garch()
    excess = garch.persistence**garch.half_life
    assert excess == pytest.approx(0.5)
    assert Garch(alpha=0, beta=0).half_life == 0


def test_a_fall_raises_the_variance_by_gamma():
    up, down = LEVERED.next_variance(2.0, 1.0), LEVERED.next_variance(-2.0, 1.0)
    assert down - up == pytest.approx(4 * LEVERED.gamma)


def test_same_seed_same_market_and_prices_follow_returns():
    one, two, other = make_market(50), make_market(50), make_market(50, seed=1)
    np.testing.assert_array_equal(one.returns, two.returns)
    assert not np.allclose(one.returns, other.returns)
    np.testing.assert_allclose(100 * np.diff(np.log(one.prices)), one.returns[1:])
    assert one.prices[0] == pytest.approx(100 * math.exp(one.returns[0] / 100))


@pytest.mark.parametrize(
    "wrong",
    [
        {"omega": 0.0},
        {"alpha": -0.1},
        {"beta": -0.1},
        {"gamma": -0.1},  # α + γ < 0
        {"alpha": 0.1, "beta": 0.9},
        {"gamma": 0.04},
        {"nu": 2.0},
    ],
)
def test_a_process_without_a_variance_is_refused(wrong):
    with pytest.raises(ValueError, match="need ω > 0"):
        Garch(**wrong)


def test_no_days_are_refused():
    with pytest.raises(ValueError, match="need days >= 1"):
        make_market(0)
    with pytest.raises(ValueError, match="forget >= 0"):
        make_market(3, forget=-1)


# --- what the past says


def test_past_variances_equal_a_plain_loop():
    returns = np.random.default_rng(0).normal(size=23)
    spans = (1, 3, 7)
    found = past_variances(returns, spans, falls=True)
    assert found.shape == (23 - 7 + 1, 6)
    for i, row in enumerate(found):
        end = 7 + i
        last = [returns[end - n : end] for n in spans]
        wanted = [np.mean(part**2) for part in last]
        wanted += [np.mean(np.where(part < 0, part, 0) ** 2) for part in last]
        np.testing.assert_allclose(row, wanted, rtol=1e-9)


def test_past_variances_know_nothing_of_the_day_they_are_for():
    returns = np.random.default_rng(0).normal(size=40)
    changed = returns.copy()
    changed[30] += 5  # row i is for day 7 + i
    same = past_variances(returns, (1, 7)) == past_variances(changed, (1, 7))
    assert same[: 30 - 7 + 1].all()
    assert not same[30 - 7 + 1].any()


@pytest.mark.parametrize("spans", [(0, 3), (3, 24)])
def test_spans_that_do_not_fit_are_refused(spans):
    with pytest.raises(ValueError, match="need spans from 1 to T = 23"):
        past_variances(np.ones(23), spans)


# --- prices of one's own


def write(path, rows, header="Date,Open,Close"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return path


def lines(count=FEWEST_PRICES):
    start = datetime.date(2023, 12, 1)
    return [f"{start + datetime.timedelta(days=i)},1,{100 + i % 7}" for i in range(count)]


def test_prices_round_trip(tmp_path):
    made = make_market(400)
    start = datetime.date(2020, 1, 1)
    rows = [
        f"{start + datetime.timedelta(days=i)},0,{p!r}" for i, p in enumerate(made.prices.tolist())
    ]
    market = read_prices(write(tmp_path / "own.csv", rows))
    np.testing.assert_allclose(market.returns, made.returns[1:], atol=1e-9)
    assert isinstance(market, Market)
    assert market.variance is None
    assert len(market.dates) == len(market.returns)
    assert market.dates[0] == start + datetime.timedelta(days=1)


def test_columns_may_have_other_names(tmp_path):
    path = write(tmp_path / "own.csv", lines(), header="day,open,last")
    assert len(read_prices(path, "day", "last").returns) == FEWEST_PRICES - 1
    with pytest.raises(ValueError, match=r"need columns \['Close', 'Date'\], got \['day'"):
        read_prices(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2024-01-01x,1,100", "line 4: need a date"),
        ("2023-12-03,1,n/a", "line 4: need a date"),
        ("2023-12-03,1", "line 4: need a date"),
        ("2023-12-03,1,0", "line 4: need a price above 0, got 0"),
        ("2023-12-03,1,nan", "line 4: need a price above 0, got nan"),
        ("2023-12-02,1,100", "need dates that rise"),
        ("2022-12-02,1,100", "need dates that rise"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    rows = lines()
    rows[2] = line
    with pytest.raises(ValueError, match=message):
        read_prices(write(tmp_path / "own.csv", rows))


def test_too_few_prices_and_no_file(tmp_path):
    with pytest.raises(ValueError, match="need at least 250 prices, got 249"):
        read_prices(write(tmp_path / "own.csv", lines(249)))
    with pytest.raises(FileNotFoundError):
        read_prices(tmp_path / "none.csv")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(ValueError, match="got None"):
        read_prices(empty)
