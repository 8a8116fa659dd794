"""Simulated students: the best forecasts against brute force, the answers against their truth."""

import itertools

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch.testing import assert_close

from bigmodel_lib.data.students import (
    WORLDS,
    SkillRates,
    best_by_ability,
    best_by_mastery,
    best_in_chain,
    make_students,
)

RATES = SkillRates(
    torch.tensor([0.3, 0.6, 0.2]),
    torch.tensor([0.2, 0.35, 0.5]),
    torch.tensor([0.25, 0.1, 0.3]),
    torch.tensor([0.05, 0.15, 0.1]),
)
SKILLS = torch.tensor([[0, 1, 0, 2, 1, 2, 0], [2, 2, 1, 0, 0, 1, 1]])
RIGHT = torch.tensor([[1, 0, 1, 1, 1, 0, 0], [0, 1, 1, 0, 1, 1, 0]]).float()


def brute_force(skills, right, rates, chain):
    """P(last answer right | the others): a sum over every path of every skill's mastery."""
    K, T = len(rates.known), len(skills)
    totals = [0.0, 0.0]
    for start in itertools.product([0, 1], repeat=K):
        if chain and any(b > a for a, b in itertools.pairwise(start)):
            continue
        weight = 1.0
        for k, has in enumerate(start):
            if chain and k and not start[k - 1]:
                continue
            weight *= float(rates.known[k] if has else 1 - rates.known[k])
        for learns in itertools.product([0, 1], repeat=T - 1):
            p, state = weight, list(start)
            for t, k in enumerate(skills):
                correct = float(1 - rates.slip[k] if state[k] else rates.guess[k])
                if t == T - 1:
                    totals[0] += p * correct
                    totals[1] += p
                    break
                p *= correct if right[t] else 1 - correct
                can = not state[k] and not (chain and k and not state[k - 1])
                p *= float(rates.learn[k]) if learns[t] and can else 0.0 if learns[t] else 1.0
                if not learns[t] and can:
                    p *= float(1 - rates.learn[k])
                state[k] |= learns[t]
    return totals[0] / totals[1]


@pytest.mark.parametrize("chain", [False, True])
def test_the_best_forecast_is_the_sum_over_all_hidden_paths(chain):
    best = (best_in_chain if chain else best_by_mastery)(SKILLS, RIGHT, RATES)
    for row in range(2):
        for t in range(SKILLS.shape[1]):
            skills, right = SKILLS[row, : t + 1].tolist(), RIGHT[row, : t + 1].tolist()
            expected = brute_force(skills, right, RATES, chain)
            assert float(best[row, t]) == pytest.approx(expected, rel=1e-5)


def test_the_best_forecast_from_ability_is_an_integral():
    slope, difficulty = torch.tensor([0.7, 1.5, 1.0]), torch.tensor([-0.5, 0.3, 1.1])
    items, right = torch.tensor([[0, 1, 2]]), torch.tensor([[1.0, 0.0, 1.0]])
    best = best_by_ability(items, right, slope, difficulty)

    def p(i, theta):
        return 1 / (1 + torch.exp(-slope[i] * (theta - difficulty[i])).item())

    def before(theta):
        return norm.pdf(theta) * p(0, theta) * (1 - p(1, theta))

    expected = quad(lambda x: before(x) * p(2, x), -8, 8)[0] / quad(before, -8, 8)[0]
    assert float(best[0, 2]) == pytest.approx(expected, abs=1e-3)
    assert float(best[0, 0]) == pytest.approx(
        quad(lambda x: norm.pdf(x) * p(0, x), -8, 8)[0], abs=1e-3
    )


@pytest.mark.parametrize("world", WORLDS)
def test_answers_come_as_often_as_both_truths_say(world):
    made = make_students(world, N=2000, T=20, K=3, per_skill=2, seed=5)
    for p in (made.knows, made.best):
        assert_close((made.right - p).mean(), torch.tensor(0.0), atol=0.01, rtol=0)
        sure = p >= p.quantile(0.9)  # calibrated where it is surest, too
        assert_close((made.right - p)[sure].mean(), torch.tensor(0.0), atol=0.025, rtol=0)


@pytest.mark.parametrize("world", WORLDS[1:])
def test_mastery_stays_and_in_a_chain_comes_in_order(world):
    made = make_students(world, N=300, T=30, K=4, per_skill=1, seed=1)
    for who in range(300):
        has = torch.zeros(4, dtype=torch.bool)
        for k, mastered in zip(made.skills[who].tolist(), made.mastered[who].tolist(), strict=True):
            assert mastered or not has[k]
            has[k] = mastered
            if world == "chain" and mastered and k:
                has[:k] = True  # then those before it must be seen mastered from now on


def test_same_seed_same_students():
    a, b = (make_students("chain", 11, 7, seed=3) for _ in range(2))
    assert torch.equal(a.right, b.right)
    assert not torch.equal(a.items, make_students("chain", 11, 7, seed=4).items)


def test_split_and_sizes():
    made = make_students("mastery", N=11, T=7, K=3, per_skill=2)
    assert (made.I, made.K) == (6, 3)
    train, test = made.split(4)
    assert torch.equal(torch.cat((train.best, test.best)), made.best)
    assert make_students("ability", 5, 2).split(2)[0].mastered is None
    with pytest.raises(ValueError, match="need 1 … 10 students"):
        made.split(11)


@pytest.mark.parametrize("wrong", [{"world": "school"}, {"world": "chain", "N": 0}])
def test_unknown_worlds_and_sizes(wrong):
    with pytest.raises(ValueError, match="need a world"):
        make_students(**wrong)
