"""What a student is called: the one rule for drawing numbers and for comparing names."""

import unicodedata


def known_as(student: str | None) -> str:
    """The name without differences of letter case, surrounding space or Unicode form."""
    return unicodedata.normalize("NFKC", student).strip().casefold() if student else ""
