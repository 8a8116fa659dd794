"""The text that ships with Python, its split, and compressors as a measure."""

import ast
import gzip
import lzma
import math
import random
import string
import textwrap

import pytest

from bigmodel_lib.data import text as text_module
from bigmodel_lib.data.text import (
    bits_per_character,
    compressed_bits,
    docstrings,
    language_reference,
    split_paragraphs,
)


def test_it_is_long_english_with_code():
    text = language_reference()
    assert 300_000 < len(text) < 500_000
    assert "The following" in text
    assert "def " in text


def test_no_paragraph_comes_twice():
    paragraphs = language_reference().split("\n\n")
    assert len(paragraphs) > 1500
    assert len(set(paragraphs)) == len(paragraphs)


# --- the docstrings


def words(text: str) -> str:
    return " ".join(text.split())


def test_docstrings_are_long_and_hold_what_python_itself_says():
    text = docstrings()
    assert 1_000_000 < len(text) < 3_000_000
    for thing in (textwrap.dedent, string.Template, textwrap.TextWrapper, ast.walk):
        assert words(thing.__doc__) in words(text)


def test_nothing_of_the_reference_is_in_them():
    """Neither a paragraph nor, of the held-out part, twenty words in a row."""
    text = words(docstrings())
    known = {words(p) for p in language_reference().split("\n\n")}
    assert not known & {words(p) for p in docstrings().split("\n\n")}
    _, held_out = split_paragraphs(language_reference())
    parts = [p.split() for p in held_out.split("\n\n")]
    runs = [" ".join(p[i : i + 20]) for p in parts for i in range(0, len(p) - 19, 20)]
    assert len(runs) > 50
    assert not [run for run in runs if run in text]


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A standard library of three files and of what is no part of it."""
    files = {
        "b.py": 'raise SystemExit  # no import\nclass B:\n    """Of the class."""\n',
        "a.py": '"""First.\n\nSays the\n   reference."""\nasync def f():\n    """Of f."""\n',
        "part/c.py": '"""Of f."""\nif True:\n    def g():\n        """Of g."""\n    x = """no"""\n',
        "test/d.py": '"""Of a test."""\n',
        "site-packages/e.py": '"""Of others."""\n',
        "notes.txt": '"""No source."""\n',
    }
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    monkeypatch.setattr(text_module.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(text_module, "language_reference", lambda: "Says the reference.\n\nMore")
    return docstrings.__wrapped__  # the cache keeps the true ones


def test_each_docstring_once_in_the_order_of_the_files(library):
    assert library().split("\n\n") == ["First.", "Of f.", "Of the class.", "Of g."]


# --- split


@pytest.mark.parametrize("held_out", [0.05, 0.1, 0.5])
def test_the_parts_share_no_paragraph_and_make_up_the_text(held_out):
    text = language_reference()
    first, second = split_paragraphs(text, held_out)
    assert first + second == text
    assert first.endswith("\n\n")
    assert held_out <= len(second) / len(text) < held_out + 0.02
    assert not set(first.split("\n\n")) & set(second.split("\n\n"))


@pytest.mark.parametrize(
    ("text", "held_out", "message"),
    [
        ("a\n\nb", 0.0, r"in \(0, 1\) to hold out, got 0.0"),
        ("a\n\nb\n\na", 0.5, "1 repeat others"),
        ("one paragraph", 0.5, "a paragraph that ends before"),
    ],
)
def test_splits_that_cannot_be(text, held_out, message):
    with pytest.raises(ValueError, match=message):
        split_paragraphs(text, held_out)


# --- bits


def test_bits_of_a_fair_coin():
    assert bits_per_character(10 * math.log(2), "0110100110") == pytest.approx(1)


@pytest.mark.parametrize("compressor", ["gzip", "xz"])
def test_compressors_find_no_order_in_noise_and_all_in_repeats(compressor):
    noise = "".join(random.Random(0).choices("0123456789abcdef", k=20_000))
    assert 4 < compressed_bits(compressor, noise) < 4.7  # 16 signs: 4 bits each
    assert compressed_bits(compressor, "ab" * 10_000) < 0.1
    assert compressed_bits(compressor, noise, known=noise) < 0.2


def test_they_are_the_files_that_the_formats_make():
    text = language_reference()[:9999]
    assert compressed_bits("gzip", text) == 8 * len(gzip.compress(text.encode(), 9)) / 9999
    assert compressed_bits("xz", text) <= 8 * len(lzma.compress(text.encode())) / 9999


def test_gzip_forgets_what_xz_remembers():
    noise = "".join(random.Random(0).choices("0123456789abcdef", k=50_000))
    between = "".join(random.Random(1).choices("0123456789abcdef", k=50_000))
    forgets, remembers = (compressed_bits(c, noise, noise + between) for c in ("gzip", "xz"))
    assert forgets > 4
    assert remembers < 0.1


def test_what_cannot_be_measured():
    with pytest.raises(ValueError, match=r"in \['gzip', 'xz'\] and a text, got 'zip' and 1"):
        compressed_bits("zip", "a")
    with pytest.raises(ValueError, match="got 'xz' and 0 characters"):
        compressed_bits("xz", "")
