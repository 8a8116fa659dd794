"""Fonts for the reader's own words."""

import warnings

import pytest

from bigmodel_lib.plots import fonts


@pytest.fixture(autouse=True)
def fresh():
    fonts.font_for.cache_clear()
    yield
    fonts.font_for.cache_clear()


def test_latin_and_formulas_need_no_other_font():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fonts.font_for("q·kᵀ / √d, β₁") == ["DejaVu Sans"]


def test_without_a_chinese_font_it_says_which_characters_are_missing(monkeypatch):
    monkeypatch.setattr(fonts, "CHINESE", ("No Such Font",))
    with pytest.warns(UserWarning, match="no font installed for 猫"):
        assert fonts.font_for("猫 a") == ["DejaVu Sans"]


def test_a_chinese_font_is_added_where_there_is_one():
    installed = {font.name for font in fonts.font_manager.fontManager.ttflist}
    if not installed & set(fonts.CHINESE):
        pytest.skip("no Chinese font installed")
    families = fonts.font_for("猫")
    assert families[0] == "DejaVu Sans"
    assert set(families[1:]) <= set(fonts.CHINESE)
    assert families[1:]
