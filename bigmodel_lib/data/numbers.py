"""Whole numbers in English words and in Chinese numerals: a translation whose truth is exact.

The two languages group digits differently, English by thousands, Chinese by 万 (ten thousands):
twelve | thousand three hundred is 一万 | 二千三百. So no word-by-word translation is right.

English is written the American way, without "and". Chinese has 二 throughout (in speech, 两 often
stands for it), 十 for 一十 at the very beginning only, and one 零 for the zeros between two
digits, but for none at the end of a group of four: 一百零五, 一百五十, 一万零五十, 一百万五千.
"""

import math
import re
import zlib

LIMIT = 10**12  # numbers are below

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
    *("seventeen", "eighteen", "nineteen"),
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
THOUSANDS = {10**9: "billion", 10**6: "million", 10**3: "thousand"}
DIGITS = "零一二三四五六七八九"
UNITS = {"千": 1000, "百": 100, "十": 10}
MYRIADS = {"亿": 10**8, "万": 10**4}

# What a model reads and writes. A tens word with a hyphen is a token of its own, so that tokens
# join to the text again.
PAD, END, TO_ENGLISH, TO_CHINESE = range(4)
VOCABULARY = (
    *("⟨pad⟩", "⟨end⟩", "⟨en⟩", "⟨zh⟩"),
    *ONES,
    *TENS,
    *(f"{tens}-" for tens in TENS),
    *("hundred", "thousand", "million", "billion"),
    *DIGITS,
    *UNITS,
    *MYRIADS,
)
_INDEX = {token: index for index, token in enumerate(VOCABULARY)}
_TOKEN = re.compile(r"[a-z]+-?|[^a-z\s]")


# --- English


def to_english(n: int) -> str:
    """1234 is "one thousand two hundred thirty-four".

    Raises:
        ValueError: n is not in 0 … LIMIT - 1.
    """
    _check(n)
    parts = []
    for size, name in THOUSANDS.items():
        if n >= size:
            parts += [_below_thousand(n // size), name]
            n %= size
    if n or not parts:
        parts.append(_below_thousand(n))
    return " ".join(parts)


def _below_thousand(n: int) -> str:
    hundreds, rest = divmod(n, 100)
    parts = [ONES[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        parts.append(TENS[tens - 2] + (f"-{ONES[ones]}" if ones else ""))
    elif rest or not hundreds:
        parts.append(ONES[rest])
    return " ".join(parts)


def from_english(text: str) -> int:
    """The number of a text that `to_english` writes.

    Raises:
        ValueError: any other text.
    """
    total = group = 0
    for word in re.split(r"[ -]", text):
        if word in ONES:
            group += ONES.index(word)
        elif word in TENS:
            group += 10 * (TENS.index(word) + 2)
        elif word == "hundred":
            group *= 100
        else:
            size = {name: size for size, name in THOUSANDS.items()}.get(word, 0)
            total, group = total + group * size, 0
    return _only_if_written_so(total + group, to_english, text)


def powers(text: str) -> list[int]:
    """The power of ten that each English word stands for, or counts.

    "twenty-five thousand six" is 4 3 3 0: two ten thousands, five thousands, a thousand, six ones.

    Raises:
        ValueError: a text that `to_english` does not write.
    """
    from_english(text)
    group, above, found = 0, 0, []
    for word in reversed(re.split(r"[ -]", text)):
        if word in THOUSANDS.values():
            group = {name: round(math.log10(size)) for size, name in THOUSANDS.items()}[word]
            above, power = 0, group
        elif word == "hundred":
            above = power = 2
            power += group
        else:
            power = group + above + (word in TENS)
        found.append(power)
    return found[::-1]


# --- Chinese


def to_chinese(n: int) -> str:
    """1234 is 一千二百三十四, 10050 is 一万零五十.

    Raises:
        ValueError: n is not in 0 … LIMIT - 1.
    """
    _check(n)
    text, was_skipped = "", False
    for size, name in [*((size, name) for name, size in MYRIADS.items()), (1, "")]:
        group = n // size % 10_000
        if group:
            needs_zero = text and (group < 1000 or was_skipped)
            text += ("零" if needs_zero else "") + _below_myriad(group) + name
        was_skipped = not group
    return text.removeprefix("一") if text.startswith("一十") else text or "零"


def _below_myriad(n: int) -> str:
    text = ""
    for unit, size in [*UNITS.items(), ("", 1)]:
        digit = n // size % 10
        if digit:
            text += DIGITS[digit] + unit
        elif text and n % size:  # zeros between two digits: 零, once
            text = text.removesuffix("零") + "零"
    return text


def from_chinese(text: str) -> int:
    """The number of a text that `to_chinese` writes.

    Raises:
        ValueError: any other text.
    """
    total = group = digit = 0
    for sign in f"一{text}" if text.startswith("十") else text:
        if sign in DIGITS:
            digit = DIGITS.index(sign)
        elif sign in UNITS:
            group, digit = group + digit * UNITS[sign], 0
        else:
            total, group, digit = total + (group + digit) * MYRIADS.get(sign, 0), 0, 0
    return _only_if_written_so(total + group + digit, to_chinese, text)


# --- tokens, and what is held out


def encode(text: str) -> list[int]:
    """English words or Chinese signs as indices into `VOCABULARY`.

    Raises:
        ValueError: something that is no number word.
    """
    tokens = _TOKEN.findall(text)
    unknown = [token for token in tokens if token not in _INDEX]
    if unknown:
        raise ValueError(f"need number words in English or Chinese, got {' '.join(unknown)}")
    return [_INDEX[token] for token in tokens]


def decode(ids: list[int]) -> str:
    """The text of tokens up to ⟨end⟩; what stands for no text is left out."""
    ids = ids[: ids.index(END)] if END in ids else ids
    tokens = [VOCABULARY[index] for index in ids if index > TO_CHINESE]
    return re.sub(r"- |(?<=[^a-z]) (?=[^a-z])", lambda gap: gap[0].strip(), " ".join(tokens))


def is_held_out(n: int) -> bool:
    """Whether a number is for testing only: one in ten, without any pattern in its digits."""
    return zlib.crc32(str(n).encode()) % 10 == 0


def _check(n: int) -> None:
    if not 0 <= n < LIMIT:
        raise ValueError(f"need a number from 0 to {LIMIT - 1:,}, got {n:,}")


def _only_if_written_so(n: int, write, text: str) -> int:
    if not n < LIMIT or write(n) != text:
        raise ValueError(f"need a number as {write.__name__} writes it, got {text!r}")
    return n
