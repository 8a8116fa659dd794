"""The text that ships with Python."""

from bigmodel_lib.data.text import language_reference


def test_it_is_long_english_with_code():
    text = language_reference()
    assert 300_000 < len(text) < 500_000
    assert "The following" in text
    assert "def " in text


def test_no_paragraph_comes_twice():
    paragraphs = language_reference().split("\n\n")
    assert len(paragraphs) > 1500
    assert len(set(paragraphs)) == len(paragraphs)
