"""Laws against the papers' own tables, and closed forms against SciPy's numerical optimum."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from bigmodel_lib.counting import approximate_training_flops
from bigmodel_lib.scaling import (
    BESIROGLU,
    BESIROGLU_ERRORS,
    HOFFMANN,
    HOFFMANN_FLOPS,
    HOFFMANN_PRINTED,
    HOFFMANN_SIZES,
    KAPLAN,
    KAPLAN_OVERFITTING,
    LAWS,
    PF_DAY,
    Frontier,
    OnePassLoss,
    ParametricLoss,
    frontier_through,
    interval,
)

GOPHER = 5.76e23  # FLOPs; Hoffmann et al. 2022, table 3
# Hoffmann et al. 2022, table 3 (approach 1) and table A3 (approaches 2 and 3): tokens
TOKENS = {
    1: (8.0e9, 20.2e9, 205.1e9, 1.5e12, 3.7e12, 5.9e12, 11.0e12, 21.2e12, 216.2e12),
    2: (7.7e9, 20.0e9, 219.5e9, 1.7e12, 4.3e12, 7.1e12, 13.4e12, 26.5e12, 292.0e12),
    3: (9.2e9, 27.1e9, 410.1e9, 4.1e12, 12.0e12, 20.1e12, 43.5e12, 94.1e12, 1425.5e12),
}
SURFACES = {
    "Hoffmann": HOFFMANN,
    "Hoffmann, printed": HOFFMANN_PRINTED,
    "Besiroglu": BESIROGLU,
    "Kaplan": OnePassLoss(),
    "primes": ParametricLoss(E=2.0, A=31.0, B=7.0, alpha=0.5, beta=0.2),
}


def approach(number: int) -> Frontier:
    return LAWS[f"Hoffmann 2022, approach {number}"].frontier


# --- frontiers


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("C", [1e17, 3e20, 7e25])
def test_the_closed_form_is_the_numerical_optimum(name, C):
    loss = SURFACES[name]

    def at(log_N):
        N = math.exp(log_N)
        return loss(N, C / (6 * N))

    found = minimize_scalar(at, bounds=(0, math.log(C / 6)), options={"xatol": 1e-10})
    size, tokens = loss.frontier.optimum(C)
    assert size == pytest.approx(math.exp(found.x), rel=1e-4)
    assert loss(size, tokens) == pytest.approx(found.fun, rel=1e-10)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_an_optimum_spends_the_budget_and_can_be_inverted(law):
    C = np.array([1e18, 1e21, 1e26])
    N, D = law.frontier.optimum(C)
    spent = [approximate_training_flops(n, d) for n, d in zip(N, D, strict=True)]
    assert spent == pytest.approx(C)
    assert law.frontier.budget(N) == pytest.approx(C)
    assert law.frontier.tokens(N) == pytest.approx(D)
    growth = np.diff(np.log([N, D])) / np.diff(np.log(C))
    assert growth == pytest.approx(np.array([[law.frontier.a] * 2, [law.frontier.b] * 2]))


def test_a_frontier_is_found_again_from_its_points():
    truth = Frontier(k=0.3, a=0.53)
    C = np.array([2e19, 3e21, 5e22, 7e25])
    found = frontier_through(truth.optimum(C)[0], C)
    assert (found.k, found.a) == (pytest.approx(truth.k), pytest.approx(truth.a))


def test_a_frontier_through_one_budget_is_refused():
    with pytest.raises(ValueError, match="two different budgets"):
        frontier_through([2, 3], [5e20, 5e20])


# --- Hoffmann et al. 2022


@pytest.mark.parametrize("number", HOFFMANN_FLOPS)
def test_the_tables_are_6nd(number):
    """Also the entry of 175B by approach 3, which the paper misprints by a power of ten."""
    product = 6 * np.array(HOFFMANN_SIZES) * TOKENS[number]
    # tokens have two digits at least; the printed 67B stands for what Gopher's budget gives
    assert product == pytest.approx(np.array(HOFFMANN_FLOPS[number]), rel=0.05)


@pytest.mark.parametrize(("number", "exponent"), [(1, 0.50), (2, 0.49), (3, 0.46)])
def test_exponents_are_those_of_table_2(number, exponent):
    assert approach(number).a == pytest.approx(exponent, abs=0.005)
    assert approach(number).b == pytest.approx(1 - exponent, abs=0.005)


@pytest.mark.parametrize(("number", "tolerance"), [(1, 0.08), (2, 0.08), (3, 0.20)])
def test_budgets_and_tokens_are_those_of_tables_3_and_a3(number, tolerance):
    """Approaches 1 and 2 are lines through the table; approach 3 comes from eq. 4 alone."""
    N = np.array(HOFFMANN_SIZES)
    assert approach(number).budget(N) == pytest.approx(
        np.array(HOFFMANN_FLOPS[number]), rel=tolerance
    )
    assert approach(number).tokens(N) == pytest.approx(np.array(TOKENS[number]), rel=tolerance)


def test_two_printed_digits_are_too_few_for_table_a3():
    off = HOFFMANN_PRINTED.frontier.budget(np.array(HOFFMANN_SIZES)) / HOFFMANN_FLOPS[3]
    assert (off > 1.5).all()
    assert off[-1] > 2
    assert round(HOFFMANN_PRINTED.frontier.a, 2) == 0.45  # the paper says 0.46
    assert round(HOFFMANN.frontier.a, 2) == 0.46


def test_printed_and_full_digits_are_the_same_law():
    for name in ("E", "A", "B", "alpha", "beta"):
        full, printed = getattr(HOFFMANN, name), getattr(HOFFMANN_PRINTED, name)
        assert printed == pytest.approx(full, abs=0.005)


def test_the_best_model_for_gophers_budget():
    """40 to 70 billion parameters (section 4), 40 billion by approach 3 (figure 4)."""
    sizes = {number: approach(number).optimum(GOPHER)[0] for number in (1, 2, 3)}
    assert sizes[1] == pytest.approx(67e9, rel=0.02)
    assert sizes[3] == pytest.approx(40e9, rel=0.02)
    assert all(40e9 <= size <= 70e9 for size in sizes.values())


def test_the_head_to_head_at_1e21_flops():
    """Section D.4: 4.68 billion parameters by Kaplan et al., 2.86 billion by approach 1."""
    assert KAPLAN.frontier.optimum(1e21)[0] == pytest.approx(4.68e9, rel=0.002)
    assert approach(1).optimum(1e21)[0] == pytest.approx(2.86e9, rel=0.04)


def test_a_loss_by_hand():
    loss = ParametricLoss(E=2.0, A=3.0, B=5.0, alpha=0.5, beta=1.0)
    assert loss(9.0, 7.0) == pytest.approx(2 + 3 / 3 + 5 / 7)
    assert loss(np.array([9.0, 81.0]), 7.0) == pytest.approx([3 + 5 / 7, 2 + 1 / 3 + 5 / 7])


# --- Besiroglu et al. 2024


def test_the_refit_agrees_with_approaches_1_and_2_and_not_with_3():
    """The paper: about 20 tokens a parameter where approach 3 as printed says about 70."""
    C = 6 * 70e9 * 1.4e12  # Chinchilla
    ratios = {}
    for loss in (BESIROGLU, HOFFMANN):
        size, tokens = loss.frontier.optimum(C)
        ratios[loss] = tokens / size
    assert ratios[BESIROGLU] == pytest.approx(20, rel=0.15)
    assert 55 < ratios[HOFFMANN] < 75
    low, high = LAWS["Besiroglu 2024"].a_range
    assert low < approach(1).a < high
    assert low < approach(2).a < high
    assert not low < approach(3).a < high


def test_the_refits_exponent_and_interval():
    assert BESIROGLU.frontier.a == pytest.approx(0.5126, abs=5e-5)
    low, high = interval(BESIROGLU.frontier.a, BESIROGLU_ERRORS["a"])
    narrow = LAWS["Hoffmann 2022, approach 3"].a_range
    assert (high - low) / (narrow[1] - narrow[0]) == pytest.approx(46, abs=1)
    assert set(BESIROGLU_ERRORS) == {"E", "A", "B", "alpha", "beta", "a"}


def test_an_interval_holds_the_truth_as_often_as_it_says():
    truth, error, random = 3.0, 0.7, np.random.default_rng(0)
    estimates = random.normal(truth, error, 20_000)
    for level in (0.8, 0.95):
        low, high = interval(estimates, error, level)
        assert ((low < truth) & (truth < high)).mean() == pytest.approx(level, abs=0.01)


# --- Kaplan et al. 2020


def test_doubling_the_size_multiplies_the_loss_by_0_95():
    """Section 1.2."""
    assert KAPLAN.loss_of_size(2e9) / KAPLAN.loss_of_size(1e9) == pytest.approx(0.95, abs=0.002)


def test_each_power_law_is_1_at_its_scale_and_falls_with_its_exponent():
    for loss, scale, alpha in [
        (KAPLAN.loss_of_size, KAPLAN.N_c, 0.076),
        (KAPLAN.loss_of_data, KAPLAN.D_c, 0.095),
        (KAPLAN.loss_of_compute, KAPLAN.C_c * PF_DAY, 0.050),
    ]:
        assert loss(scale) == pytest.approx(1)
        assert loss(scale / 10**5) == pytest.approx(10 ** (5 * alpha))


@pytest.mark.parametrize("laws", [KAPLAN, KAPLAN_OVERFITTING])
def test_with_one_of_size_and_data_infinite_the_other_law_is_left(laws):
    N, D = np.array([1e6, 1e9]), np.array([3e8, 3e11])
    assert laws.loss_of_size_and_data(N, math.inf) == pytest.approx(laws.loss_of_size(N))
    assert laws.loss_of_size_and_data(math.inf, D) == pytest.approx(laws.loss_of_data(D))
    both = laws.loss_of_size_and_data(N, D)
    assert (both > laws.loss_of_size(N)).all()
    assert (both > laws.loss_of_data(D)).all()


def test_overfitting_costs_2_percent_where_the_paper_says():
    """Section 4.2: D ≥ 5e3 N^0.74 keeps it within 0.02, by the constants of table 2."""
    N = 1e8
    converged = KAPLAN_OVERFITTING.loss_of_size(N)
    extra = KAPLAN_OVERFITTING.loss_of_size_and_data(N, 5e3 * N**0.74) / converged - 1
    assert extra == pytest.approx(0.02, abs=0.01)


def test_the_critical_batch_at_the_papers_loss():
    """Section 3 and figure 10: it doubles for each 13 % that the loss falls."""
    ratio = KAPLAN.critical_batch(0.87 * 3) / KAPLAN.critical_batch(3)
    assert ratio == pytest.approx(2, rel=0.05)


def test_least_compute():
    batch = KAPLAN.critical_batch(2.5)
    assert KAPLAN.least_compute(1e20, batch, 2.5) == pytest.approx(5e19)
    assert KAPLAN.least_compute(1e20, batch / 99, 2.5) == pytest.approx(0.99e20)


def test_the_measured_frontier_is_table_6():
    """1.3e9 parameters and 2e10 tokens for one PF-day of least compute.

    Eq. 6.7 gives 2 C_min / 6N, which is 2.2e10, and prints it as 4e10.
    """
    size, tokens = KAPLAN.frontier.optimum(2 * PF_DAY)
    assert size == pytest.approx(1.3e9)
    assert round(tokens / 1e10) == 2
    assert [KAPLAN.frontier.a, KAPLAN.frontier.b] == pytest.approx([0.73, 0.27])


def test_the_one_pass_loss_solves_its_equation():
    loss = OnePassLoss()
    for N, D in [(1e3, 1e6), (1e3, 1e15), (7e8, 2e10), (1e14, 1e7), (1e13, 1e14)]:

        def gap(L, N=N, D=D):
            S_min = D / (2 * loss.B_star / L ** (1 / loss.alpha_B))
            return (loss.N_c / N) ** loss.alpha_N + (loss.S_c / S_min) ** loss.alpha_S - L

        assert loss(N, D) == pytest.approx(brentq(gap, 1e-3, 1e4, xtol=1e-12), rel=1e-9)


def test_the_predicted_frontier_has_the_papers_exponents():
    """Eq. B.7: the loss falls with C^0.052, which eq. 6.4 rounds to 0.054, and 0.71 in 6.5."""
    loss = OnePassLoss()
    assert loss.frontier.a == pytest.approx(0.052 / 0.077, abs=0.01)
    assert loss.frontier.a == pytest.approx(0.71, abs=0.03)
    low, high = (loss(*loss.frontier.optimum(C)) for C in (1e20, 1e22))
    assert math.log10(low / high) / 2 == pytest.approx(0.052, abs=0.001)


def test_compute_efficient_training_stops_10_percent_above_convergence():
    """Eq. B.5: α_N/α_S above the loss of the same model after infinitely many steps."""
    loss = OnePassLoss()
    N, D = loss.frontier.optimum(1e21)
    assert loss(N, D) / (loss.N_c / N) ** loss.alpha_N == pytest.approx(1 + 0.077 / 0.76)


# --- all together


def test_which_law_says_what():
    assert [name for name, law in LAWS.items() if not law.embeddings] == [
        "Kaplan 2020, measured",
        "Kaplan 2020, predicted",
    ]
    assert all("arXiv:" in law.source for law in LAWS.values())
    for law in LAWS.values():
        if law.loss is not None:
            assert law.loss.frontier == law.frontier


@pytest.mark.parametrize("bad", [0, -1.0, math.nan, [3.0, 0.0]])
@pytest.mark.parametrize(
    "use",
    [
        HOFFMANN.frontier.optimum,
        HOFFMANN.frontier.budget,
        HOFFMANN.frontier.tokens,
        lambda bad: HOFFMANN(bad, 1e9),
        lambda bad: OnePassLoss()(1e9, bad),
        lambda bad: frontier_through([1, 2], bad),
        KAPLAN.loss_of_size,
        KAPLAN.loss_of_data,
        KAPLAN.loss_of_compute,
        lambda bad: KAPLAN.loss_of_size_and_data(bad, 1e9),
        KAPLAN.critical_batch,
        lambda bad: KAPLAN.least_compute(bad, 1e5, 2.0),
    ],
)
def test_what_is_not_positive_is_refused(use, bad):
    with pytest.raises(ValueError, match="above 0"):
        use(bad)
