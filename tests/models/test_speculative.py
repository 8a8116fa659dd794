"""Speculative decoding draws as the large model does: by enumeration, by statistics, by formula."""

import itertools

import pytest
import torch
from scipy import stats

from bigmodel_lib.models.chance import Chance, outcomes
from bigmodel_lib.models.speculative import (
    acceptance,
    gpt_checker,
    overlap,
    residual,
    speculate,
    speculative,
    speedup,
    tokens_a_step,
)
from bigmodel_lib.models.transformer import GPT, GPTConfig

V = 3


def table(seed: int, spread: float = 1.5):
    """Distributions that depend on the last two tokens: (V + 1, V, V) with V for 'none yet'."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(V + 1, V, V, generator=generator, dtype=torch.float64)
    return (spread * logits).softmax(-1)


def model(probabilities):
    """Next-token probabilities of a table behind tokens."""
    return lambda ids: probabilities[ids[-2] if len(ids) > 1 else V, ids[-1]]


def checker(probabilities):
    look = model(probabilities)
    return lambda ids, n: torch.stack([look(ids[: len(ids) - n + i]) for i in range(n + 1)])


def first_tokens(p, q, n: int, length: int, chance: Chance) -> tuple[int, ...]:
    ids: list[int] = []
    for new in speculative(checker(p), model(q), [0], n, chance):
        ids += new
        if len(ids) >= length:
            return tuple(ids[:length])
    raise AssertionError("it never ends")


@pytest.mark.parametrize(("n", "length"), [(1, 3), (2, 2), (3, 1)])  # thousands of paths each
def test_exactly_the_distribution_of_the_large_model(n, length):
    p, q = table(0), table(1)
    found = outcomes(lambda chance: first_tokens(p, q, n, length, chance))
    look = model(p)
    for tokens in itertools.product(range(V), repeat=length):
        ids, expected = [0], 1.0
        for token in tokens:
            expected *= float(look(ids)[token])
            ids.append(token)
        assert found[tokens] == pytest.approx(expected, abs=1e-12)


def test_a_guesser_that_excludes_a_token_loses_nothing():
    p, q = table(0), table(1)
    q[..., 1] = 0
    q /= q.sum(-1, keepdim=True)
    found = outcomes(lambda chance: first_tokens(p, q, 2, 1, chance))
    for token in range(V):
        assert found[(token,)] == pytest.approx(float(p[V, 0, token]), abs=1e-12)


def test_always_keeping_the_guess_would_be_wrong():
    # what the enumeration must be able to see
    p, q = table(0), table(1)
    found = outcomes(lambda chance: chance.draw(model(q)([0])))
    assert max(abs(found[t] - float(p[V, 0, t])) for t in range(V)) > 0.05


def test_frequencies_of_a_gpt():
    torch.manual_seed(0)
    large, small = (GPT(GPTConfig(V=4, T=8, L=1, D=8, H=2)).eval() for _ in range(2))
    for net, scale in ((large, 20), (small, 10)):
        with torch.no_grad():
            net.tokens.weight.mul_(scale)
    check, guess_all = gpt_checker(large), gpt_checker(small)
    chance, runs = Chance(torch.Generator().manual_seed(1)), 300
    counts = torch.zeros(4, dtype=torch.float64)
    for _ in range(runs):  # the second token: it follows a kept guess, or begins another step
        steps, tokens = speculative(check, lambda ids: guess_all(ids, 0)[0], [3, 2], 2, chance), []
        while len(tokens) < 2:
            tokens += next(steps)
        counts[tokens[1]] += 1
    with torch.no_grad():
        first = large(torch.tensor([[3, 2]]))[0, -1].softmax(-1)
        second = large(torch.tensor([[3, 2, token] for token in range(4)]))[:, -1].softmax(-1)
    expected = runs * (first @ second).double()
    assert expected.min() > 5  # the test needs it
    assert stats.chisquare(counts, expected / expected.sum() * runs).pvalue > 1e-3


def test_the_checker_equals_whole_passes_whatever_fell_before():
    torch.manual_seed(0)
    net = GPT(GPTConfig(V=11, T=16, L=2, D=8, H=2)).eval()
    check = gpt_checker(net, temperature=0.7)
    for ids, n in (
        ([3, 1, 4], 2),
        ([3, 1, 5, 9, 2], 2),
        ([3, 1, 5, 9, 2], 4),
        ([3, 1, 5, 9, 2, 6, 5], 0),
        ([8], 0),
    ):
        expected = (net(torch.tensor([ids]))[0, -n - 1 :] / 0.7).softmax(-1)
        torch.testing.assert_close(check(ids, n), expected)


def test_a_step_is_one_to_n_plus_one_tokens_and_ends_early_where_a_guess_falls():
    p, q = table(0), table(1)
    found = outcomes(lambda chance: len(speculate(checker(p), model(q), [0], 3, chance)))
    assert set(found) == {1, 2, 3, 4}
    assert found[1] == pytest.approx(1 - float(overlap(p[V, 0], q[V, 0])), abs=1e-12)


def test_the_same_model_as_guesser_is_always_right():
    p = table(0)
    found = outcomes(lambda chance: len(speculate(checker(p), model(p), [0], 3, chance)))
    assert found == pytest.approx({4: 1.0})


def test_tokens_a_step_by_enumeration_where_acceptance_is_constant():
    p, q = torch.tensor([[0.7, 0.3], [0.4, 0.6]], dtype=torch.float64)
    check = lambda ids, n: p.expand(n + 1, 2)  # noqa: E731
    for n in (1, 2, 4):
        found = outcomes(lambda chance, n=n: len(speculate(check, lambda ids: q, [0], n, chance)))
        mean = sum(length * probability for length, probability in found.items())
        assert mean == pytest.approx(tokens_a_step(float(overlap(p, q)), n), rel=1e-12)


def test_the_speedup_formula():
    assert speedup(0.8, 5, 0.0) == pytest.approx((1 - 0.8**6) / (1 - 0.8))
    assert speedup(1.0, 4, 0.25) == pytest.approx(5 / 2)
    assert speedup(0.0, 4, 0.25) == pytest.approx(1 / 2)


def test_acceptance_and_residual_make_up_p():
    p, q = table(0)[0, 0], table(1)[0, 0]
    kept = torch.tensor([float(q[x]) * acceptance(p, q, x) for x in range(V)]).double()
    total = kept + (1 - kept.sum()) * residual(p, q)
    torch.testing.assert_close(total, p)
    assert torch.equal(residual(p, p), p)


def test_no_guess():
    with pytest.raises(ValueError, match="need at least one guess, got 0"):
        speculate(checker(table(0)), model(table(1)), [0], 0, Chance())
