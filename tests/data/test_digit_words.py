"""Words of digits, and their letters."""

import pytest
import torch

from bigmodel_lib.data.digit_words import (
    DIGIT_WORDS,
    LEARNED,
    LETTERS,
    UNSEEN,
    digit_words,
    encode_words,
)


def test_every_language_has_ten_words_and_one_role():
    assert all(len(set(words)) == 10 for words in DIGIT_WORDS.values())
    assert sorted(LEARNED + UNSEEN) == sorted(DIGIT_WORDS)


def test_letters_can_be_read_back():
    words, _ = digit_words(tuple(DIGIT_WORDS))
    for word, row in zip(words, encode_words(words), strict=True):
        assert "".join(LETTERS[i - 1] for i in row.tolist() if i) == word
        assert row[-1] > 0  # padded in front


def test_words_and_their_meanings():
    words, meanings = digit_words(("German", "Pinyin"))
    assert words[3] == "drei"
    assert words[13] == "san"
    assert torch.equal(meanings, torch.arange(20) % 10)


@pytest.mark.parametrize("word", ["", "Ten", "fünf", "a" * 11])
def test_other_words_are_refused(word):
    with pytest.raises(ValueError, match="letters a … z"):
        encode_words([word])
