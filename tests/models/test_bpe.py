"""Byte-pair encoding against Hugging Face's, and round trips of any text."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from bigmodel_lib.data.text import language_reference
from bigmodel_lib.models import bpe

TEXT = language_reference()[:60_000]
RUNS = st.text(alphabet="ab ", max_size=60)  # few letters: many ties, and pairs that overlap


def as_letters(piece: str) -> str:
    """Bytes as letters in the order of their values, so that Hugging Face numbers them alike."""
    return "".join(chr(0x100 + byte) for byte in piece.encode("utf-8"))


def hugging_face(text: str, V: int) -> Tokenizer:
    """Their byte-pair encoding, trained on the same pieces."""
    oracle = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=V,
        initial_alphabet=[chr(0x100 + byte) for byte in range(256)],
        show_progress=False,
    )
    oracle.train_from_iterator([as_letters(piece) for piece in bpe.pieces(text)], trainer)
    return oracle


def assert_equal(ours: bpe.BytePairEncoding, oracle: Tokenizer, text: str) -> None:
    theirs = {number: token for token, number in oracle.get_vocab().items()}
    assert [as_bytes(theirs[number]) for number in range(len(theirs))] == ours.tokens
    assert ours.encode(text) == [
        number for piece in bpe.pieces(text) for number in oracle.encode(as_letters(piece)).ids
    ]


def as_bytes(letters: str) -> bytes:
    return bytes(ord(letter) - 0x100 for letter in letters)


@pytest.mark.parametrize("V", [256, 257, 300, 1031])
def test_tokens_and_ids_equal_hugging_faces(V):
    ours = bpe.train(TEXT, V)
    assert ours.V == V
    assert_equal(ours, hugging_face(TEXT, V), TEXT[::-1] + " naïve 猫 🙂")


@given(RUNS)
def test_they_agree_on_ties_and_runs_too(text):
    assert_equal(bpe.train(text, 280), hugging_face(text, 280), text)


def test_pieces_are_those_of_gpt_2():
    theirs = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for text in (TEXT, "it's  we'll\n\n they've 12th_x  \t ", "naïve Straße, 猫坐 3.14 🙂\u00a0x"):
        ends = [end for _, (_, end) in theirs.pre_tokenize_str(text)]
        at, ours = 0, []
        for piece in bpe.pieces(text):
            ours.append(at := at + len(piece))
        assert ours == ends


@given(st.text())
def test_any_text_comes_back(text):
    assert "".join(bpe.pieces(text)) == text
    encoding = _trained()
    ids = encoding.encode(text)
    assert encoding.decode(ids) == text
    assert bpe.BytePairEncoding(encoding.merges).encode(text) == ids


_cache: list[bpe.BytePairEncoding] = []


def _trained() -> bpe.BytePairEncoding:
    if not _cache:
        _cache.append(bpe.train(TEXT, 400))
    return _cache[0]


def test_the_first_merge_is_the_most_frequent_pair_of_bytes():
    counts = Counter(pair for piece in bpe.pieces(TEXT) for pair in pairwise(piece.encode()))
    assert bpe.train(TEXT, 257).merges == [max(counts, key=counts.get)]


def test_more_merges_make_fewer_tokens():
    lengths = [len(bpe.train(TEXT, V).encode(TEXT)) for V in (256, 300, 500, 900)]
    assert lengths[0] == len(TEXT.encode())
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < 0.45 * lengths[0]


def test_it_ends_when_no_pair_is_left():
    encoding = bpe.train("abc abc", 1000)
    assert encoding.tokens[256:] == [b"ab", b"abc", b" abc"]
    assert bpe.train("", 300).V == 256


def test_bytes_that_are_a_token_already_are_no_second_one():
    # "abc" is made as ab + c first, as a + bc later
    encoding = bpe.BytePairEncoding([(97, 98), (256, 99), (98, 99), (97, 258)])
    assert encoding.tokens[256:] == [b"ab", b"abc", b"bc"]
    assert encoding.merges[-1] == (97, 258)


def test_half_a_character_is_shown_as_such():
    encoding = bpe.BytePairEncoding([])
    assert encoding.decode(encoding.encode("猫")[:2]) == "�"


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least the 256 bytes, got 255"):
        bpe.train("a", 255)
    with pytest.raises(ValueError, match=r"merges of tokens 0 … 255, got \(97, 256\)"):
        bpe.BytePairEncoding([(97, 256)])
    with pytest.raises(ValueError, match="surrogates not allowed"):
        bpe.BytePairEncoding([]).encode("\ud83d")
