"""Number words: known cases, both ways for any number, and nothing else accepted."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigmodel_lib.data import numbers
from bigmodel_lib.data.numbers import (
    LIMIT,
    VOCABULARY,
    decode,
    encode,
    from_chinese,
    from_english,
    is_held_out,
    to_chinese,
    to_english,
)

# log-uniform, so that short numbers come as often as long ones, and many have zeros
ANY = st.integers(0, 12).flatmap(lambda digits: st.integers(0, 10**digits - 1)) | st.builds(
    lambda a, i, b, j: (a * 10**i + b * 10**j) % LIMIT,
    *(st.integers(0, 9999), st.integers(0, 11), st.integers(0, 99), st.integers(0, 11)),
)

CASES = {
    0: ("zero", "零"),
    7: ("seven", "七"),
    10: ("ten", "十"),
    12: ("twelve", "十二"),
    20: ("twenty", "二十"),
    21: ("twenty-one", "二十一"),
    100: ("one hundred", "一百"),
    101: ("one hundred one", "一百零一"),
    110: ("one hundred ten", "一百一十"),
    115: ("one hundred fifteen", "一百一十五"),
    1000: ("one thousand", "一千"),
    1001: ("one thousand one", "一千零一"),
    1010: ("one thousand ten", "一千零一十"),
    1100: ("one thousand one hundred", "一千一百"),
    10_000: ("ten thousand", "一万"),
    10_001: ("ten thousand one", "一万零一"),
    10_050: ("ten thousand fifty", "一万零五十"),
    10_500: ("ten thousand five hundred", "一万零五百"),
    12_300: ("twelve thousand three hundred", "一万二千三百"),
    100_000: ("one hundred thousand", "十万"),
    120_003: ("one hundred twenty thousand three", "十二万零三"),
    1_005_000: ("one million five thousand", "一百万五千"),
    1_050_000: ("one million fifty thousand", "一百零五万"),
    10_000_000: ("ten million", "一千万"),
    100_000_000: ("one hundred million", "一亿"),
    100_000_001: ("one hundred million one", "一亿零一"),
    100_001_000: ("one hundred million one thousand", "一亿零一千"),
    100_010_000: ("one hundred million ten thousand", "一亿零一万"),
    110_010_001: ("one hundred ten million ten thousand one", "一亿一千零一万零一"),
    1_000_000_000: ("one billion", "十亿"),
    999_999_999_999: (
        "nine hundred ninety-nine billion nine hundred ninety-nine million "
        "nine hundred ninety-nine thousand nine hundred ninety-nine",
        "九千九百九十九亿九千九百九十九万九千九百九十九",
    ),
}


@pytest.mark.parametrize("n", CASES)
def test_known_cases(n):
    assert (to_english(n), to_chinese(n)) == CASES[n]


@given(ANY)
def test_both_ways_and_through_tokens(n):
    for write, read in ((to_english, from_english), (to_chinese, from_chinese)):
        text = write(n)
        assert read(text) == n
        assert decode(encode(text)) == text


def test_every_number_of_four_digits_and_every_myriad():
    for n in (*range(10_000), *range(10_000, 10**8, 9_973)):
        assert from_chinese(to_chinese(n)) == n == from_english(to_english(n))


@given(ANY)
def test_rules_of_the_chinese_zero(n):
    text = to_chinese(n)
    assert "零零" not in text
    assert not text.endswith("零") or n == 0
    assert not any(f"零{unit}" in text for unit in "十百千万亿")
    assert not text.startswith("一十")
    assert max(text.count("亿"), text.count("万")) <= 1


@given(ANY, ANY)
def test_different_numbers_have_different_names(a, b):
    assert (a == b) == (to_chinese(a) == to_chinese(b)) == (to_english(a) == to_english(b))


@given(st.lists(st.sampled_from(VOCABULARY[4:]), max_size=6))
def test_only_what_the_writers_write_is_read(tokens):
    for read, write in ((from_english, to_english), (from_chinese, to_chinese)):
        for text in ("".join(tokens), " ".join(tokens)):
            try:
                n = read(text)
            except ValueError:
                continue
            assert write(n) == text


@pytest.mark.parametrize(
    "text", ["一十", "二零", "一百五", "两百", "十万十万", "", "一万亿万", "abc"]
)
def test_what_is_no_numeral(text):
    with pytest.raises(ValueError, match="as to_chinese writes it"):
        from_chinese(text)


@pytest.mark.parametrize(
    "text", ["one and two", "twenty one", "hundred", "", "ten-one", "thousand thousand", "zero one"]
)
def test_what_is_no_number_word(text):
    with pytest.raises(ValueError, match="as to_english writes it"):
        from_english(text)


@pytest.mark.parametrize("n", [-1, LIMIT])
def test_numbers_out_of_range(n):
    for write in (to_english, to_chinese):
        with pytest.raises(ValueError, match=r"from 0 to 999,999,999,999, got -?1"):
            write(n)


def test_unknown_words_have_no_tokens():
    with pytest.raises(ValueError, match="in English or Chinese, got and 猫"):
        encode("two and 猫")
    assert decode([*encode("twenty-one"), numbers.END, 5, numbers.PAD]) == "twenty-one"


def test_one_in_ten_is_held_out_of_every_length():
    for digits in range(3, 8):
        low = 10 ** (digits - 1)
        some = [is_held_out(n) for n in range(low, 10 * low, max(1, low // 999))]
        assert 0.08 < sum(some) / len(some) < 0.12


def test_every_token_is_there_once():
    assert len(set(VOCABULARY)) == len(VOCABULARY) == 4 + 20 + 8 + 8 + 4 + 10 + 3 + 2


@pytest.mark.parametrize("n", [0, 7, 15, 40, 45, 100, 119, 342, 25_006, 1_203_040, 987_654_321])
def test_words_times_their_powers_of_ten_make_the_number(n):
    text = numbers.to_english(n)
    words = re.split("[ -]", text)
    powers = numbers.powers(text)
    values = [
        numbers.ONES.index(w) if w in numbers.ONES else numbers.TENS.index(w) + 2 for w in words
        if w in numbers.ONES or w in numbers.TENS
    ]  # fmt: skip
    counted = [
        p for w, p in zip(words, powers, strict=True) if w in numbers.ONES or w in numbers.TENS
    ]
    assert sum(v * 10**p for v, p in zip(values, counted, strict=True)) == n
    assert len(powers) == len(words)


def test_powers_of_the_units_themselves():
    assert numbers.powers("two hundred million three hundred thousand") == [8, 8, 6, 5, 5, 3]
    with pytest.raises(ValueError, match="as to_english writes it"):
        numbers.powers("hundred two")
