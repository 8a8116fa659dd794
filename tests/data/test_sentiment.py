"""Reviews whose truth is composed: the rules by hand, and a split that words alone do not cross."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigmodel_lib.data.sentiment import (
    ADJECTIVES,
    ALTHOUGH,
    AND,
    BUT,
    INTENSITIES,
    NEGATIONS,
    SUBJECTS,
    Clause,
    Review,
    is_held_out,
    reviews,
)

CLAUSES = st.builds(
    Clause,
    *(st.sampled_from(list(table)) for table in (SUBJECTS, NEGATIONS, INTENSITIES, ADJECTIVES)),
)
COMBINATIONS = list(itertools.product(NEGATIONS, INTENSITIES, ADJECTIVES))


@pytest.mark.parametrize(
    ("clause", "text", "value"),
    [
        (("the food", "", "", "good"), "the food was good", 1.0),
        (("the food", "", "very", "bad"), "the food was very bad", -1.5),
        (("the view", "not", "", "good"), "the view was not good", -0.5),
        (("the view", "never", "extremely", "dull"), "the view was never extremely dull", 1.0),
        (("the room", "not", "a bit", "nice"), "the room was not a bit nice", -0.25),
    ],
)
def test_a_clause_by_hand(clause, text, value):
    assert (Clause(*clause).text, Clause(*clause).value) == (text, value)


GOOD, BAD = Clause("the food", "", "", "good"), Clause("the view", "", "", "bad")


@pytest.mark.parametrize(
    ("review", "text", "value"),
    [
        (Review(GOOD), "the food was good", 1.0),
        (Review(GOOD, BAD, AND), "the food was good , and the view was bad", 0.0),
        (Review(GOOD, BAD, BUT), "the food was good , but the view was bad", -0.75),
        (Review(GOOD, BAD, ALTHOUGH), "the food was good , although the view was bad", 0.75),
        (Review(BAD, GOOD, BUT), "the view was bad , but the food was good", 0.75),
    ],
)
def test_a_review_by_hand(review, text, value):
    assert (review.text, review.value, review.is_positive) == (text, value, value > 0)


@given(CLAUSES, CLAUSES)
def test_what_the_rules_imply(a, b):
    plain = Clause(a.subject, "", a.intensity, a.adjective)
    assert (a.value > 0) == ((plain.value > 0) != bool(a.negation))
    assert abs(a.value) <= 2
    assert Review(a, b, BUT).value == Review(b, a, ALTHOUGH).value
    assert Review(a, b, AND).value == Review(b, a, AND).value == a.value + b.value
    assert Review(a).clauses + Review(b).clauses == Review(a, b).clauses


def test_every_word_is_seen_in_training_and_worth_as_much_in_both_parts():
    for adjective in ADJECTIVES:
        mine = [each for each in COMBINATIONS if each[2] == adjective]
        held_out = [each for each in mine if is_held_out(each)]
        assert Counter(negation for negation, *_ in held_out) == {"": 1, "not": 1, "never": 1}
        assert ("", "", adjective) not in held_out
    known = [each for each in COMBINATIONS if not is_held_out(each)]
    assert {word for each in known for word in each} == {w for each in COMBINATIONS for w in each}


@pytest.mark.parametrize("held_out", [False, True])
def test_reviews_are_balanced_different_and_of_one_part(held_out):
    drawn = reviews(400, held_out=held_out)
    assert sum(review.is_positive for review in drawn) == 200
    assert len({review.text for review in drawn}) == 400
    assert all(review.value for review in drawn)
    combinations = [clause.combination for review in drawn for clause in review.clauses]
    assert {is_held_out(each) for each in combinations} == {held_out}
    share = sum(bool(negation) for negation, *_ in combinations) / len(combinations)
    assert 0.2 < share < 0.4
    assert [r.text for r in drawn] == [r.text for r in reviews(400, held_out=held_out)]
    assert drawn != reviews(400, held_out=held_out, seed=1)


@pytest.mark.parametrize("count", [0, 3])
def test_a_count_that_cannot_be_halved(count):
    with pytest.raises(ValueError, match=f"even count of at least 2, got {count}"):
        reviews(count, held_out=False)
