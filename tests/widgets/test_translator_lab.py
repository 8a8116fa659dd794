"""TranslatorLab with the cached translator, driven over the range of all of its controls."""

from collections import Counter

import numpy as np
import pytest
from matplotlib.axis import XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bigmodel_lib.cached.language import NumberTranslator
from bigmodel_lib.widgets import TranslatorLab
from bigmodel_lib.widgets.base import RefusedError
from tests.driving import PNG, click, pixels, values_of

MODEL, _ = NumberTranslator().load()


@pytest.fixture
def lab():
    return TranslatorLab(MODEL)


OTHERS = ("search", "width", "layer", "head", "step")


@pytest.mark.parametrize("name", OTHERS)
def test_each_control_over_its_range(lab, name):
    for value in values_of(lab.controls[name]):
        lab.controls[name].value = value
        lab.run()
        assert bytes(lab.picture.value).startswith(PNG)


def test_every_control_is_driven_by_some_test(lab):
    assert set(lab.controls) == {*OTHERS, "text", "to", "next"}


@pytest.mark.parametrize(
    ("to", "text", "translation"),
    [
        ("zh", "10050", "一万零五十"),
        ("zh", "10,050", "一万零五十"),
        ("zh", "Ten  thousand fifty", "一万零五十"),
        ("en", "10050", "ten thousand fifty"),
        ("en", "一万零五十", "ten thousand fifty"),
    ],
)
@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_digits_and_words_both_ways(lab, to, text, translation, search):
    for name, value in {"to": to, "text": text, "search": search}.items():
        lab.controls[name].value = value
    lab.run()
    assert lab.compute().text == translation
    assert f"{translation} (right)" in lab.summary.value


def test_step_by_step_the_alignment_grows(lab):
    lab.controls["step"].value = 0
    lab.run()
    whole = TranslatorLab(MODEL).compute()
    for count in range(4):
        view = lab.compute()
        assert view.written == whole.written[:count]
        assert view.guesses[0] == whole.written[count]
        assert view.weights.shape == (count, len(view.source))
        np.testing.assert_allclose(view.weights, whole.weights[:count], atol=1e-5)
        assert "written so far" in lab.summary.value
        click(lab, "next")
        lab.run()
    assert lab.controls["step"].value == 4
    np.testing.assert_allclose(whole.weights.sum(axis=1), 1, rtol=1e-5)


def test_the_button_stops_at_the_end(lab):
    count = len(lab.compute().written)
    assert lab.controls["step"].value == lab.controls["step"].max == count
    click(lab, "next")
    lab.run()
    assert lab.controls["step"].value == count


@pytest.mark.parametrize("to", ["zh", "en"])
def test_the_slider_of_tokens_reaches_from_none_to_all_that_there_are(lab, to):
    lab.controls["to"].value = to
    for text in ("5", "7777777", "20", "777777777777"):
        lab.controls["text"].value = text
        lab.run()
        view, slider = lab.compute(), lab.controls["step"]
        assert view.is_whole
        assert slider.value == slider.max == len(view.written)


def test_a_longer_number_leaves_a_step_on_the_way_where_it_is(lab):
    lab.controls["step"].value = 3
    lab.run()
    for text, step in (("7777777", 3), ("5", 2)):  # 五 and the end: there is no third
        lab.controls["text"].value = text
        lab.run()
        assert lab.controls["step"].value == step
        assert len(lab.compute().written) == step


def test_a_first_step_is_kept():
    assert TranslatorLab(MODEL, step=3).controls["step"].value == 3


def test_the_longest_number_fits(lab):
    lab.controls["text"].value = "777777777777"
    lab.run()
    assert "wrong, it is" in lab.summary.value  # no training number had more than seven digits


@pytest.mark.parametrize(
    ("to", "text", "reason"),
    [
        ("zh", " ", "need a number"),
        ("zh", "1000000000000", "at most twelve digits"),
        ("zh", "-5", "need digits, or words"),
        ("zh", "一百", "one hundred twenty-three"),
        ("en", "one hundred", "一百二十三"),
        ("zh", "hundred one", "got “hundred one”"),
    ],
)
def test_what_is_no_number_turns_red_and_the_picture_stays(lab, to, text, reason):
    lab.controls["to"].value = to
    lab.run()
    before = bytes(lab.picture.value)
    lab.controls["text"].value = text
    with pytest.raises(RefusedError, match=reason):
        lab.run()
    assert lab.controls["text"].layout.border_top
    assert reason in lab.status.value
    assert bytes(lab.picture.value) == before


def test_a_bad_first_choice_is_told():
    with pytest.raises(ValueError, match="got 'number'"):
        TranslatorLab(MODEL, number="5")


# --- what is kept from frame to frame ---


def test_names_are_drawn_anew_where_they_change_only_and_figures_never(lab, monkeypatch):
    drawn = Counter()
    monkeypatch.setattr(FigureCanvasAgg, "draw", lambda _canvas: drawn.update(["figure"]))
    draw = XAxis.draw
    monkeypatch.setattr(XAxis, "draw", lambda *args: drawn.update(["names"]) or draw(*args))
    for name, value in {"head": 1, "layer": 1, "step": 3}.items():
        lab.controls[name].value = value
        lab.run()
        assert drawn["names"] == (1 if name == "step" else 0), name
    assert not drawn["figure"]


def test_a_picture_reached_by_detours_is_that_of_a_new_lab(lab):
    for to, step, head in (("zh", 2, 1), ("zh", 5, 2), ("en", 2, 2), ("zh", 2, "mean")):
        for name, value in {"to": to, "step": step, "head": head}.items():
            lab.controls[name].value = value
        lab.run()
        new = TranslatorLab(MODEL, to=to, step=step, head=head)
        np.testing.assert_allclose(pixels(lab), pixels(new), atol=2)
