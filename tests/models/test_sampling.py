"""Sampling and beam search: properties, and an exhaustive search as oracle."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from bigmodel_lib.models.sampling import (
    GREEDY,
    Sampler,
    beam_search,
    cached_next_logits,
    generate,
    length_penalty,
    min_p,
    next_logits,
    top_k,
    top_p,
)
from bigmodel_lib.models.transformer import GPT, GPTConfig

LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=13).map(torch.tensor)
SHARES = st.floats(0.001, 1)


def kept(logits: torch.Tensor) -> set[int]:
    return set(logits.isfinite().nonzero()[:, 0].tolist())


# --- filters


@given(LOGITS, st.integers(1, 15))
def test_top_k_keeps_the_k_highest(logits, k):
    left = top_k(logits, k)
    assert len(kept(left)) == min(k, len(logits))
    assert sorted(left[left.isfinite()]) == sorted(logits)[-k:]


@given(LOGITS, SHARES)
def test_top_p_keeps_the_fewest_that_hold_p(logits, p):
    left, probabilities = kept(top_p(logits, p)), logits.double().softmax(0)
    inside = probabilities[list(left)]
    assert inside.sum() >= p - 1e-6
    assert inside.sum() - inside.min() < p + 1e-6, "one fewer would do"
    outside = [q for i, q in enumerate(probabilities) if i not in left]
    assert not outside or max(outside) <= inside.min() * (1 + 1e-6)


@given(LOGITS, SHARES)
def test_min_p_keeps_what_is_probable_enough_beside_the_best(logits, p):
    left, probabilities = kept(min_p(logits, p)), logits.double().softmax(0)
    for i, probability in enumerate(probabilities / probabilities.max()):
        if abs(probability - p) > 1e-5 * p:
            assert (i in left) == (probability > p)
    assert int(logits.argmax()) in left


def test_min_p_of_none_keeps_all():
    logits = torch.tensor([0.0, -80.0, 50.0])
    assert_close(min_p(logits, 0.0), logits)


def test_each_row_is_filtered_alone():
    logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    for keep in (lambda x: top_k(x, 2), lambda x: top_p(x, 0.6), lambda x: min_p(x, 0.3)):
        rows = torch.stack([torch.stack([keep(row) for row in table]) for table in logits])
        assert torch.equal(keep(logits), rows)


# --- the sampler

SETTINGS = st.builds(
    Sampler,
    temperature=st.floats(0, 100),
    k=st.none() | st.integers(1, 20),
    p=SHARES,
    min_p=st.floats(0, 1),
)


@given(LOGITS, SETTINGS)
def test_probabilities_sum_to_one_and_the_best_stays_the_best(logits, sampler):
    probabilities = sampler.probabilities(logits)
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-5)
    assert (probabilities >= 0).all()
    assert probabilities[logits.argmax()] == probabilities.max()


@given(LOGITS)
def test_the_plain_sampler_is_the_softmax_and_temperature_zero_the_highest(logits):
    assert_close(Sampler().probabilities(logits), logits.softmax(0))
    assert GREEDY(logits[None]).item() == logits.argmax().item()
    assert_close(Sampler(temperature=2.5).probabilities(logits), (logits / 2.5).softmax(0))


@pytest.mark.parametrize("sampler", [GREEDY, Sampler()])
def test_scores_that_are_no_numbers_are_refused(sampler):
    with pytest.raises((ValueError, RuntimeError), match=r"(?i)nan"):
        sampler(torch.tensor([[0.0, 1.0], [torch.nan, 2.0]]))


def test_temperature_comes_before_the_filters():
    logits = torch.tensor([0.6, 0.3, 0.1]).log()
    assert kept(Sampler(p=0.55).probabilities(logits).log()) == {0}
    assert kept(Sampler(temperature=3.0, p=0.55).probabilities(logits).log()) == {0, 1}


def test_it_draws_as_often_as_it_says():
    logits, sampler = torch.tensor([1.0, 0.5, 0.0, -0.5, -1.0]), Sampler(temperature=0.7, k=4)
    drawn = sampler(logits.expand(20_000, 5), torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=5) / 20_000
    assert shares[4] == 0
    assert_close(shares, sampler.probabilities(logits), atol=0.015, rtol=0)


# --- generation

# V, T, L, D, H
CONFIG = GPTConfig(V=101, T=13, L=2, D=21, H=3)


@pytest.fixture(scope="module")
def model() -> GPT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT(CONFIG).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return model


PROMPTS = torch.tensor([[3, 5, 7], [11, 2, 90]])


def text(function, sampler=GREEDY, steps=20, seed=0) -> list[list[int]]:
    """So many tokens behind the prompts: further than the window of the model."""
    generator = torch.Generator().manual_seed(seed)
    tokens = generate(function, PROMPTS, sampler, generator=generator)
    return torch.stack(list(itertools.islice(tokens, steps)), dim=1).tolist()


@pytest.mark.parametrize("sampler", [GREEDY, Sampler(temperature=2.0, k=17, p=0.9, min_p=0.01)])
def test_the_cache_changes_no_token(model, sampler):
    plain, cached = (text(f(model), sampler) for f in (next_logits, cached_next_logits))
    assert plain == cached
    assert plain[0] != plain[1], "it says the same whatever the prompt: no test"


def test_the_cache_saves_passes_until_the_window_moves(model):
    lengths = []
    hook = model.register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[1]))
    text(cached_next_logits(model), steps=13)
    hook.remove()
    assert lengths == [3] + 10 * [1] + 2 * [13]  # 3 prompt, 13 window


def test_a_cached_function_is_a_function(model):
    """Whatever was asked before, the answer is the same."""
    function = cached_next_logits(model)
    long = torch.tensor([[3, 5, 7, 9], [11, 2, 90, 1]])
    for ids in (PROMPTS, long, PROMPTS, long[:1], long.flip(0), long, long):
        with torch.no_grad():
            assert_close(function(ids), model(ids)[:, -1])


def test_the_same_seed_gives_the_same_text(model):
    sampler = Sampler(temperature=2.0)
    assert text(next_logits(model), sampler, seed=1) == text(next_logits(model), sampler, seed=1)
    assert text(next_logits(model), sampler, seed=1) != text(next_logits(model), sampler, seed=2)


# --- beam search on a Markov chain with V = 4 tokens, of which 3 may be the end

V, STEPS = 4, 5
CHAIN = torch.randn(V, V, generator=torch.Generator().manual_seed(3)).double() * 1.5
CHAIN[1, 2] = -math.inf  # 2 never follows 1


def chain(ids: torch.Tensor) -> torch.Tensor:
    return CHAIN[ids[:, -1]]


def every_answer(end: int | None, alpha: float) -> dict[tuple[int, ...], float]:
    """The score of each sequence that ends, or has STEPS tokens, by trying all of them."""
    log_p, scores = CHAIN.log_softmax(dim=-1), {}
    for length in range(1, STEPS + 1):
        for ids in itertools.product(range(V), repeat=length):
            is_open = end not in ids
            if (is_open and length == STEPS) or (not is_open and ids.index(end) == length - 1):
                total = sum(log_p[a, b].item() for a, b in itertools.pairwise((0, *ids)))
                scores[ids] = total / length_penalty(length, alpha)
    return {ids: score for ids, score in scores.items() if score > -math.inf}


@pytest.mark.parametrize("end", [None, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_what_exhaustive_search_finds(end, alpha):
    oracle = every_answer(end, alpha)
    answers = beam_search(chain, torch.tensor([0]), V**STEPS, STEPS, end=end, alpha=alpha)
    assert {answer.ids for answer in answers} == set(oracle)
    for answer in answers:
        assert answer.score == pytest.approx(oracle[answer.ids])
        penalty = length_penalty(len(answer.ids), alpha)
        assert answer.log_probability == pytest.approx(answer.score * penalty)
    assert answers == sorted(answers, key=lambda answer: -answer.score)


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_it_stops_early_only_where_nothing_better_is_left(alpha):
    """On a chain, a beam as wide as V keeps the best path to every state: nothing is lost."""
    oracle = every_answer(3, alpha)
    best = beam_search(chain, torch.tensor([0]), V * V, STEPS, end=3, alpha=alpha)[0]
    assert best.score == pytest.approx(max(oracle.values()))


def test_it_stops_early():
    calls = []
    sure = torch.tensor([[-9.0, 0.0], [0.0, 0.0]])  # 1 is the end, and nearly certain

    def counted(ids):
        calls.append(len(ids))
        return sure[ids[:, -1]]

    answers = beam_search(counted, torch.tensor([0]), 2, 100, end=1)
    assert [answer.ids for answer in answers] == [(1,), (0, 1)]
    assert len(calls) == 2


def test_a_beam_finds_more_than_greedy_where_greed_misleads():
    # 0 → 1 is a bit more probable than 0 → 2, but behind 1 all is open, and behind 2 all is clear
    table = torch.tensor([[0, 0.55, 0.45, 0], [0.25] * 4, [0, 0, 0, 1.0], [0, 0, 0, 1.0]]).log()
    function = lambda ids: table[ids[:, -1]]  # noqa: E731
    narrow, wide = (beam_search(function, torch.tensor([0]), w, 3)[0] for w in (1, 2))
    assert (narrow.ids[0], wide.ids) == (1, (2, 3, 3))
    assert wide.log_probability == pytest.approx(math.log(0.45))


def test_the_end_takes_no_place_in_the_beam_and_a_longer_answer_may_overtake():
    # ending at once has 0.51, going on 0.49; the penalty of the second token makes up for it
    table = torch.tensor([[0.0, 0.49, 0.51], [0.0, 0.0, 1.0]]).log()
    function = lambda ids: table[ids[:, -1]]  # noqa: E731
    best = {a: beam_search(function, torch.tensor([0]), 1, 9, end=2, alpha=a) for a in (0.0, 2.0)}
    assert [[answer.ids for answer in answers] for answers in best.values()] == [[(2,)], [(1, 2)]]


def test_width_one_is_greedy(model):
    greedy = [
        token.item()
        for token in itertools.islice(generate(next_logits(model), PROMPTS[:1], GREEDY), 9)
    ]
    assert beam_search(next_logits(model), PROMPTS[0], 1, 9)[0].ids == tuple(greedy)


def test_the_length_penalty_by_hand():
    assert length_penalty(1, 0.7) == 1
    assert length_penalty(7, 1.0) == 2
    assert length_penalty(19, 0.5) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: top_k(torch.zeros(3), 0), "k of at least 1, got 0"),
        (lambda: top_p(torch.zeros(3), 0), r"p in \(0, 1\], got 0"),
        (lambda: min_p(torch.zeros(3), 1.1), r"p in \[0, 1\], got 1.1"),
        (lambda: Sampler(temperature=-1), "temperature of at least 0, got -1"),
        (lambda: Sampler(temperature=math.nan), "temperature of at least 0, got nan"),
        (lambda: Sampler(k=0), "k of at least 1, got 0"),
        (lambda: Sampler(p=math.nan), r"p in \(0, 1\], got nan"),
        (lambda: beam_search(chain, torch.tensor([0]), 0, 3), "of at least 1, got 0 and 3"),
        (lambda: beam_search(chain, torch.tensor([[0]]), 2, 3), r"prompt \(T,\), got \(1, 1\)"),
        (lambda: beam_search(chain, torch.tensor([0]), 2, 3, alpha=-1), "alpha of at least 0"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_top_p_of_one_keeps_tokens_that_rounding_would_lose():
    logits = torch.full((2, 263), -30.0)  # e⁻³⁰ is lost beside 1 in float32
    logits[:, 5] = 0.0
    assert torch.equal(top_p(logits, 1.0), logits)
