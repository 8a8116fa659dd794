"""Fonts that have the characters of a text."""

import functools
import warnings

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

# Sans-serif fonts with Chinese characters: Linux, macOS, Windows.
CHINESE = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei"),
    *("PingFang SC", "Heiti SC", "Microsoft YaHei", "SimHei"),
)


@functools.lru_cache(maxsize=256)
def font_for(text: str) -> list[str]:
    """Font families that together show the text; warns of characters that none of them has.

    Returns:
        Families, for `FontProperties(family=…)`; matplotlib takes each character from the first
        that has it.
    """
    default = "DejaVu Sans"
    missing = _without(default, text)
    if not missing:
        return [default]
    families = {font.name for font in font_manager.fontManager.ttflist}
    chosen = [default, *(name for name in CHINESE if name in families)]
    for family in chosen[1:]:
        missing = _without(family, "".join(missing))
    if missing:
        warnings.warn(
            f"no font installed for {' '.join(sorted(missing))}: they show as boxes; "
            f"for Chinese install fonts-noto-cjk, or one of {', '.join(CHINESE)}",
            stacklevel=2,
        )
    return chosen


def _without(family: str, text: str) -> set[str]:
    """The characters that a font lacks."""
    known = _characters(font_manager.findfont(family))
    return {
        character for character in text if ord(character) not in known and character.isprintable()
    }


@functools.lru_cache(maxsize=32)
def _characters(path: str) -> frozenset[int]:
    return frozenset(FT2Font(path).get_charmap())
