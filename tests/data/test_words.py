"""Words as numbers."""

import pytest

from bigmodel_lib.data.words import PAD, UNKNOWN, Words, split_words


def test_words_and_signs():
    assert split_words("It wasn't good, 猫!") == ["it", "wasn't", "good", ",", "猫", "!"]


def test_numbers_go_by_frequency_and_padding_stands_in_front():
    words = Words(["b a b", "c b a"])
    assert words.words == ("b", "a", "c")
    assert words.V == 5
    assert words.encode(["a B d", "c"]).tolist() == [[3, 2, UNKNOWN], [PAD, PAD, 4]]


def test_rare_words_are_unknown():
    words = Words(["b a b"], least=2)
    assert words.words == ("b",)
    assert words.encode(["a"]).tolist() == [[UNKNOWN]]


@pytest.mark.parametrize("texts", [[], ["a", " "]])
def test_no_words_are_refused(texts):
    with pytest.raises(ValueError, match="at least one word"):
        Words(["a"]).encode(texts)
