"""Knowledge tracing against brute force, plain loops, and the worlds in which each is the truth."""

import itertools

import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.data.students import SkillRates, make_students
from bigmodel_lib.models.tracing import (
    DeepTracer,
    ItemResponse,
    counts,
    fit_items,
    fit_mastery,
    forecast_mastery,
    forward_backward,
    rows_of,
    share_so_far,
)


@pytest.fixture(scope="module")
def small():
    return make_students("mastery", N=13, T=11, K=3, per_skill=2, seed=2)


def test_share_so_far_by_hand():
    right = torch.tensor([[1.0, 1.0, 0.0, 1.0]])
    assert_close(share_so_far(right), torch.tensor([[1 / 2, 2 / 3, 3 / 4, 3 / 5]]))


def test_counts_equal_a_plain_loop(small):
    x = counts(small)
    assert x.shape == (13, 11, 6 + 2 * 3)
    for n, t in itertools.product(range(13), range(11)):
        expected = torch.zeros(12)
        expected[small.items[n, t]] = 1
        k = int(small.skills[n, t])
        earlier = [int(small.right[n, s]) for s in range(t) if small.skills[n, s] == k]
        expected[6 + k] = torch.tensor(float(sum(earlier))).log1p()
        expected[9 + k] = torch.tensor(float(len(earlier) - sum(earlier))).log1p()
        assert_close(x[n, t], expected)


def test_rows_hold_each_students_answers_to_each_skill(small):
    right, lengths, skill = rows_of(small)
    for row, (length, k) in enumerate(zip(lengths.tolist(), skill.tolist(), strict=True)):
        n = row // 3
        expected = small.right[n][small.skills[n] == k]
        assert torch.equal(right[row, :length], expected)


# --- item response theory


def test_items_are_found_again_and_abilities_with_their_uncertainty():
    made = make_students("ability", N=700, T=40, K=2, per_skill=3, seed=3)
    model = fit_items(ItemResponse(made.I, slopes=True), made, steps=20)
    assert_close(model.forecast(made), made.best, atol=0.06, rtol=0)
    mean, sd = model.ability(made)
    inside = ((made.ability - mean).abs() < 1.96 * sd).double().mean()
    assert 0.92 < inside < 0.98
    # posterior variance and spread of the means add up to the prior's variance
    assert float(sd.square().mean() + mean.var()) == pytest.approx(1.0, abs=0.1)


def test_rasch_orders_students_by_rights_alone_when_all_answer_the_same_items():
    made = make_students("ability", N=40, T=6, K=1, per_skill=6, seed=1)
    same = made.__class__(**{**vars(made), "items": torch.arange(6).repeat(40, 1)})
    ability, _ = ItemResponse(6).ability(same)
    rights = same.right.sum(1)
    for total in rights.unique():  # Rasch: the sum of right answers says all
        assert ability[rights == total].std(correction=0) < 1e-5
    assert torch.equal(ability.argsort(stable=True).sort()[0], torch.arange(40))
    means = [ability[rights == total].mean() for total in rights.unique()]
    assert all(a < b for a, b in itertools.pairwise(means))


# --- Bayesian knowledge tracing

ROW = SkillRates(*(torch.tensor([value]) for value in (0.3, 0.2, 0.25, 0.1)))


def paths(right):
    """(probability, first answer with mastery) of every hidden path of one row."""
    known, learn, guess, slip = (
        float(getattr(ROW, n)) for n in ("known", "learn", "guess", "slip")
    )
    n = len(right)
    for first in range(n + 1):
        p = known if first == 0 else (1 - known) * (1 - learn) ** (first - 1)
        p *= 1 if first == 0 else learn if first < n else 1
        for t, answer in enumerate(right):
            correct = 1 - slip if t >= first else guess
            p *= correct if answer else 1 - correct
        yield p, first


@pytest.mark.parametrize("right", list(itertools.product([0, 1], repeat=4)))
def test_forward_backward_is_the_sum_over_all_paths(right):
    padded = torch.tensor([[*right, 1.0, 0.0]]).float()
    mastered, learned, likelihood = forward_backward(padded, torch.tensor([4]), ROW)
    every = list(paths(right))
    whole = sum(p for p, _ in every)
    assert float(likelihood.exp()) == pytest.approx(whole, rel=1e-5)
    for t in range(4):
        has = sum(p for p, first in every if first <= t) / whole
        assert float(mastered[0, t]) == pytest.approx(has, rel=1e-4)
        here = sum(p for p, first in every if first == t + 1 and first < 4) / whole
        assert float(learned[0, t]) == pytest.approx(here, rel=1e-4, abs=1e-7)


def test_each_round_of_em_is_likelier_and_ends_near_the_best_forecast():
    train, test = make_students("mastery", N=1500, T=30, K=3, seed=4).split(1000)
    rates, history = fit_mastery(train, rounds=30)
    assert all(b >= a - 1e-2 for a, b in itertools.pairwise(history))
    assert history[-1] - history[0] > 100
    ours, best = (
        log_loss(test.right.flatten(), p.flatten())
        for p in (forecast_mastery(test, rates), test.best)
    )
    assert 0 <= ours - best + 1e-3 < 0.005


# --- deep knowledge tracing


def test_a_forecast_sees_only_what_was_before(small):
    model = DeepTracer(small.I, W=5)
    before = model(small.items, small.right)
    changed = small.right.clone()
    changed[:, 6:] = 1 - changed[:, 6:]
    after = model(small.items, changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_equals_torchs_gru(small):
    model = DeepTracer(small.I, W=5)
    theirs = nn.GRU(5, 5, batch_first=True)
    theirs.load_state_dict(model.body.state_dict())
    pairs = (small.items + small.I * small.right.long())[:, :-1]
    first = torch.full((13, 1), 2 * small.I)
    logits = model.out(theirs(model.table(torch.cat((first, pairs), 1)))[0])
    expected = torch.stack(
        [logits[:, t][torch.arange(13), small.items[:, t]] for t in range(11)], 1
    )
    assert_close(model(small.items, small.right), expected)
    assert_close(model.forecast(small), expected.sigmoid())
