"""Kneser-Ney against its definition, read off the text without any table."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from bigmodel_lib.data.text import language_reference
from bigmodel_lib.models.ngram import KneserNey
from bigmodel_lib.models.sampling import GREEDY, generate

V, d = 5, 0.7
TEXTS = st.lists(st.integers(0, V - 1), min_size=4, max_size=40)
CONTEXTS = st.lists(st.integers(0, V - 1), max_size=6)


def by_definition(text: list[int], n: int, token: int, context: list[int], length: int) -> float:
    """p(token | the last `length` tokens of the context), counting in the text itself."""
    if length < 0:
        return 1 / V
    h = context[len(context) - length :]

    def count(c: int) -> int:
        grams = [text[i : i + length + 1] for i in range(len(text) - length)]
        if length == n - 1:
            return grams.count([*h, c])
        return len({text[i - 1] for i in range(1, len(grams)) if grams[i] == [*h, c]})

    counts = [count(c) for c in range(V)]
    below = by_definition(text, n, token, context, length - 1)
    if sum(counts) == 0:
        return below
    kinds = sum(c > 0 for c in counts)
    return (max(counts[token] - d, 0) + d * kinds * below) / sum(counts)


@given(TEXTS, CONTEXTS, st.integers(1, 4))
def test_every_probability_is_that_of_the_definition(text, context, n):
    model = KneserNey(text, n, V, d)
    length = min(n - 1, len(context))
    expected = [by_definition(text, n, token, context, length) for token in range(V)]
    assert model.distribution(context).tolist() == pytest.approx(expected)


@given(TEXTS, CONTEXTS, st.integers(1, 4), st.floats(0.01, 1))
def test_probabilities_sum_to_one_and_none_is_zero(text, context, n, discount):
    p = KneserNey(text, n, V, discount).distribution(context)
    assert p.sum().item() == pytest.approx(1)
    assert (p > 0).all() or discount == 1


def test_francisco_is_frequent_but_improbable_behind_anything_new():
    text = [*["San", "Francisco"] * 3, *"abcbacbca"]
    words = sorted(set(text))
    model = KneserNey([words.index(word) for word in text], 2, len(words))
    assert text.count("Francisco") == text.count("a")

    def p(word: str, context: str) -> float:
        return model.probability(words.index(word), [words.index(context)])

    assert p("Francisco", "San") > 0.6
    assert p("a", "Francisco") > p("Francisco", "b")


def test_nats_are_the_sum_over_the_text():
    text = list(language_reference()[:5000].encode())
    model, test = KneserNey(text[:4000], 4, 256), text[4000:]
    whole = -sum(math.log(model.probability(c, test[:i])) for i, c in enumerate(test))
    assert model.nats(test) == pytest.approx(whole)
    behind = -sum(math.log(model.probability(c, text[: 4000 + i])) for i, c in enumerate(test))
    assert model.nats(text, 4000) == pytest.approx(behind)


def test_longer_contexts_help_on_real_text():
    text = language_reference().encode()
    train, test = text[:90_000], text[90_000:100_000]
    costs = [KneserNey(train, n, 256).nats(test) / math.log(2) / len(test) for n in (1, 2, 3, 5)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 4
    assert costs[-1] < 2.6


def test_it_is_a_next_token_function():
    text = list(b"the cat sat on the mat. the cat sat on the mat. the cat sat on the mat.")
    model = KneserNey(text, 5, 256)
    prompts = torch.tensor([list(b"the c"), list(b"at on")])
    assert_close(model.next_logits(prompts)[1].exp().double(), model.distribution(b"at on"))
    tokens = list(itertools.islice(generate(model.next_logits, prompts, GREEDY), 6))
    assert bytes(torch.stack(tokens)[:, 0].tolist()) == b"at sat"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], 3, 5), "at least n tokens; got 3, 5 and 2"),
        (([0, 1], 0, 5), "n, V ≥ 1"),
        (([0, 1], 1, 0), "n, V ≥ 1"),
        (([0, 1], 1, 5, 0), r"discount in \(0, 1\], got 0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        KneserNey(*arguments)
