"""DrawDigit, driven without a kernel over the range of all of its controls."""

import html
import math

import numpy as np
import pytest
import torch

from bigmodel_lib.attribution import METHODS, attribute, fits
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.data.strokes import parse_strokes, strokes_to_image
from bigmodel_lib.widgets import DrawDigit
from bigmodel_lib.widgets.base import RefusedError
from bigmodel_lib.widgets.draw_pad import DrawPad
from tests.driving import click, drive, tick

CONTROLS = ("network", "method", "explained", "pen", "index")
BUTTONS = ("load", "clear")
SEVEN = [[[0.3, 0.2], [0.7, 0.2], [0.4, 0.8]]]


@pytest.fixture(scope="module")
def models():
    return DrawDigit().models


@pytest.fixture
def lab(models):
    return DrawDigit(models)


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_over_its_range(lab, name):
    lab.controls["pad"].value = SEVEN
    drive(lab, name)


def test_every_control_is_driven_by_some_test(lab):
    assert set(lab.controls) == {*CONTROLS, *BUTTONS, "pad"}


@pytest.mark.parametrize("network", ["CNN", "ViT"])
def test_the_map_is_the_methods(lab, network):
    click(lab, "clear")
    lab.controls["network"].value, lab.controls["explained"].value = network, 4
    lab.run()
    lab.controls["pad"].value = SEVEN
    model = lab.models[network]
    image = strokes_to_image(parse_strokes(SEVEN), lab.controls["pen"].value / 100)
    for method in [name for name in METHODS if fits(model, name)]:
        lab.controls["method"].value = method
        lab.run()
        expected = attribute(model, image, torch.tensor([4]), method)[0]
        np.testing.assert_allclose(lab._picture._map.get_array(), expected, atol=1e-6)
        _check_colours(lab, float(expected.abs().max()), METHODS[method].signed)
    with torch.no_grad():
        expected = model(image)[0].softmax(0)
    widths = [bar.get_width() for bar in lab._picture._bars]
    np.testing.assert_allclose(widths, expected, atol=1e-6)


def _check_colours(lab, most, signed):
    shown, title = lab._picture._map, lab._picture._map_title.get_text()
    assert shown.get_clim() == pytest.approx((-most if signed else 0, most))
    assert shown.get_cmap().name == ("RdBu_r" if signed else "Purples")
    words = "red: for 4, blue: against" if signed else "dark: the score of 4 depends on it"
    assert words in title


def test_a_drawing_is_read_and_follows_the_pen(lab):
    click(lab, "clear")
    lab.run()
    pictures = []
    for end in (2, 3):
        lab.controls["pad"].value = [SEVEN[0][:end]]
        lab.run()
        pictures.append(bytes(lab.picture.value))
    assert pictures[0] != pictures[1]
    assert "strokes: 1; CNN reads 7" in lab.summary.value


def test_a_test_digit_can_be_shown_added_to_and_cleared(lab):
    digits = load_digits("digits", "test")
    lab.controls["index"].value = 5
    lab.run()
    page = digits.images[5, 0].numpy()
    np.testing.assert_array_equal(lab.compute().image, page)
    assert f"test digit 5, a {digits.labels[5]}" in lab.summary.value
    ink = np.frombuffer(lab.controls["pad"].backdrop, np.uint8).reshape(28, 28)
    np.testing.assert_allclose(ink / 127.5 - 1, page, atol=0.005)
    lab.controls["pad"].value = SEVEN
    lab.run()
    assert (lab.compute().image >= page).all()
    assert "strokes: 1" in lab.summary.value
    wipes = lab.controls["pad"].wipes
    click(lab, "clear")
    lab.run()
    assert (lab.compute().image == -1).all()
    assert lab.controls["pad"].wipes == wipes + 1
    assert (lab.controls["pad"].value, lab.controls["pad"].backdrop) == ([], b"")
    assert "an empty page" in lab.summary.value
    assert "the map is 0 everywhere" in lab.summary.value
    click(lab, "load")
    lab.run()
    np.testing.assert_array_equal(lab.compute().image, page)


def test_showing_a_digit_takes_the_strokes_away(lab):
    lab.controls["pad"].value = SEVEN
    lab.run()
    click(lab, "load")
    lab.run()
    assert lab.controls["pad"].value == []
    assert lab.compute().strokes == 0


def test_the_pad_knows_the_pens_width(lab):
    lab.controls["pen"].value = 30
    lab.run()
    assert lab.controls["pad"].pen == pytest.approx(0.3)


BAD = {  # what a page might send, and why it is refused
    "need a list of strokes, each a list of points [x, y], got str": "ink",
    "got NoneType": None,
    "got stroke 0: an array of shape (2,)": [[0.1, 0.2]],
    "got stroke 1: an array of shape (1, 3)": [[[0.1, 0.2]], [[0.1, 0.2, 0.3]]],
    "got stroke 0: points outside 0 to 1, or not finite": [[[math.nan, 0.2]]],
    "or not finite": [[[0.1, None]]],
    "points outside 0 to 1": [[[0.1, 7]]],
    "need at most 3000 points, got 5000": [[[0.5, 0.5]] * 5000],
}


def test_what_the_page_must_not_send_shows_in_the_status_line(lab):
    lab.controls["pad"].value = SEVEN
    tick(lab)
    before = lab.picture.value
    for reason, value in BAD.items():
        lab.controls["pad"].value = value
        tick(lab)
        assert f"drawing: need {'at most' if 'most' in reason else 'a list'}" in lab.status.value
        assert reason in html.unescape(lab.status.value)
        assert lab.picture.value == before
        assert lab.controls["pad"].layout.border_top is not None
    lab.controls["pad"].value = [[[0.2, 0.2], [0.2, 0.9]]]
    tick(lab)
    assert "need" not in lab.status.value
    assert lab.controls["pad"].layout.border_top is None
    assert lab.picture.value != before


def test_clearing_mends_a_bad_drawing(lab):
    lab.controls["pad"].value = "ink"
    tick(lab)
    click(lab, "clear")
    tick(lab)
    assert lab._refused == {}
    assert lab.controls["pad"].value == []


def test_a_method_that_does_not_fit_the_network_turns_red_and_mends(lab):
    lab.controls["network"].value = "ViT"
    tick(lab)
    before = lab.picture.value
    for method in ("guided backprop", "Grad-CAM"):
        lab.controls["method"].value = method
        tick(lab)
        assert f"{method} needs convolutions, and ViT has none" in lab.status.value
        assert lab.picture.value == before
    lab.controls["network"].value = "CNN"
    tick(lab)
    assert lab._refused == {}
    assert lab.controls["method"].layout.border_top is None
    assert lab.compute().method == "Grad-CAM"


def test_recipes(models):
    assert DrawDigit(models, index=7, method="occlusion").compute().method == "occlusion"
    with pytest.raises(ValueError, match="need settings in"):
        DrawDigit(models, colour="red")
    with pytest.raises(RefusedError, match="needs convolutions"):
        DrawDigit(models, network="ViT", method="Grad-CAM")


def test_its_script_and_style_ship_with_the_package():
    pad = DrawPad()
    assert "export default" in str(pad._esm)
    assert "touch-action: none" in str(pad._css)
    assert "http" not in str(pad._esm)  # nothing from the network
