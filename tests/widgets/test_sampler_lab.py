"""SamplerLab on a small untrained GPT, driven over the range of all of its controls."""

import numpy as np
import pytest
import torch

from bigmodel_lib.models.bpe import train
from bigmodel_lib.models.transformer import GPT, GPTConfig
from bigmodel_lib.widgets import SamplerLab
from bigmodel_lib.widgets.base import RefusedError
from tests.driving import PNG, tick, values_of

# an untrained model draws bytes of any script
pytestmark = [
    pytest.mark.filterwarnings("ignore:no font installed"),
    pytest.mark.filterwarnings("ignore:Glyph"),
]


@pytest.fixture
def lab():
    torch.manual_seed(0)
    encoding = train("the cat sat on the mat and the dog sat on the log " * 3, 263)
    model = GPT(GPTConfig(V=263, T=128, L=2, D=12, H=3))
    torch.nn.init.normal_(model.tokens.weight)  # so that it prefers some tokens
    return SamplerLab(model, encoding, length=5, prompt="the cat")


SLIDERS = ("temperature", "k", "p", "min_p", "width", "length", "seed")


@pytest.mark.parametrize("name", SLIDERS)
def test_each_control_over_its_range(lab, name):
    for value in values_of(lab.controls[name]):
        lab.controls[name].value = value
        lab.run()
        assert bytes(lab.picture.value).startswith(PNG)


def test_every_control_is_driven_by_some_test(lab):
    assert set(lab.controls) == {*SLIDERS, "prompt"}


def test_filters_leave_what_they_should(lab):
    assert lab.compute().kept == 263
    lab.controls["k"].value = 7
    lab.run()
    view = lab.compute()
    assert view.kept == 7
    assert (view.drawn > 0).sum() == 7
    assert view.drawn.sum() == pytest.approx(1)
    assert view.entropy[1] < view.entropy[0]
    assert "7 tokens can be drawn" in lab.summary.value


@pytest.mark.parametrize(("name", "value"), [("temperature", 0.0), ("min_p", 1.0), ("k", 1)])
def test_where_one_token_is_left_sampling_is_greedy(lab, name, value):
    lab.controls[name].value = value
    lab.run()
    view = lab.compute()
    assert (view.kept, view.entropy[1]) == (1, 0)
    assert view.texts[0] == view.texts[1]


def test_beam_of_width_one_is_greedy_and_the_seed_decides_what_is_drawn(lab):
    lab.controls["width"].value = 1
    lab.controls["length"].value = 20
    lab.run()
    first = lab.compute().texts
    assert first[0] == first[2]
    assert lab.compute().texts == first
    lab.controls["seed"].value = 1
    lab.run()
    assert lab.compute().texts[0] == first[0]
    assert lab.compute().texts[1] != first[1]


@pytest.mark.parametrize("prompt", [" ", "猫坐在", "a $x$ \\frac", "x" * 90])
def test_any_prompt_within_the_limits(lab, prompt):
    lab.controls["prompt"].value = prompt
    lab.run()
    assert lab.compute().prompt == prompt


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [("", "at least one character"), ("ab" * 70, "at most 96 tokens, got 140"), ("\ud800", "half")],
)
def test_a_prompt_that_cannot_be_turns_red(lab, prompt, reason):
    before = bytes(lab.picture.value)
    lab.controls["prompt"].value = prompt
    with pytest.raises(RefusedError, match=reason):
        lab.run()
    assert lab.controls["prompt"].layout.border_top
    assert reason in lab.status.value
    assert bytes(lab.picture.value) == before


def test_a_bad_first_choice_is_told(lab):
    with pytest.raises(ValueError, match="got 'top_k'"):
        SamplerLab(lab._model, lab._encoding, top_k=2)
    with pytest.raises(ValueError, match="encoding of 263 tokens, got 256"):
        SamplerLab(lab._model, train("", 256))


def same(one, other) -> bool:
    """Whether two views show the same."""
    drawn = np.array_equal(one.by_model, other.by_model) and np.array_equal(one.drawn, other.drawn)
    return drawn and (one.tokens, one.texts) == (other.tokens, other.texts)


def test_whatever_moved_the_picture_is_that_of_a_new_lab(lab):
    moves = {"temperature": 0.5, "width": 2, "length": 7, "prompt": "the dog", "seed": 4, "k": 9}
    for name, value in moves.items():
        lab.controls[name].value = value
        lab.run()
        fresh = {name: control.value for name, control in lab.controls.items()}
        assert same(lab.compute(), SamplerLab(lab._model, lab._encoding, **fresh).compute())


def test_how_a_token_is_drawn_asks_for_the_sampled_text_alone(lab):
    asked = []
    lab._model.register_forward_hook(lambda *_: asked.append(1))
    for name, value in {"temperature": 0.5, "k": 9, "p": 0.8, "min_p": 0.1, "seed": 3}.items():
        asked.clear()
        lab.controls[name].value = value
        tick(lab)
        assert len(asked) == lab.controls["length"].value
    asked.clear()
    lab.controls["width"].value = 2
    tick(lab)
    assert len(asked) == 2 * lab.controls["length"].value  # and the beam


def test_a_model_that_learned_since_is_asked_again(lab):
    before = lab.compute()
    torch.nn.init.normal_(lab._model.tokens.weight)
    after = lab.compute()
    assert not np.array_equal(before.by_model, after.by_model)
    assert before.texts[0] != after.texts[0]
