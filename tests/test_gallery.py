"""Stills from small cells made here, and from the executed chapters for every widget there is."""

import base64
import io

import pytest
from PIL import Image

from bigmodel_lib import widgets
from bigmodel_lib.chapters import Section, executed_cells
from bigmodel_lib.gallery import WIDTH, page, stills

HERE = Section("04_x.ipynb", "4.2", "4.2 The game")


def picture(width=613, height=211, colour="orange"):
    png = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(png, "png")
    return png.getvalue()


def shown(said, png=None):
    data = {"text/plain": [said]}
    data |= {"image/png": base64.b64encode(png).decode()} if png else {}
    return {"outputs": [{"output_type": "execute_result", "data": data}]}, HERE


def test_takes_the_first_still_of_each_widget_that_is_asked_for():
    red, blue = picture(colour="red"), picture(colour="blue")
    cells = [
        shown("GANLab: no picture"),
        shown("GANLab: step 3: both learn", red),
        shown("GANLab: step 9", blue),
        shown("A figure: not a widget", blue),
        shown("VAELab: step 1", blue),
    ]
    first, second = stills(cells, ["VAELab", "GANLab"])
    assert (first.name, first.summary, first.png) == ("GANLab", "step 3: both learn", red)
    assert (second.name, second.section) == ("VAELab", HERE)


def test_says_which_widget_has_no_still():
    with pytest.raises(ValueError, match=r"found none of \['VAELab'\]"):
        stills([shown("GANLab: step 3", picture())], ["GANLab", "VAELab"])


def test_a_thumbnail_is_small_and_keeps_its_proportions():
    (still,) = stills([shown("GANLab: x", picture(613, 211))], ["GANLab"])
    small = Image.open(io.BytesIO(still.thumbnail()))
    assert small.size == (WIDTH, round(WIDTH * 211 / 613))
    assert len(small.getcolors()) <= 32


def test_the_page_leads_to_each_section_and_escapes_what_a_summary_says():
    cells = [shown(f"{name}: a < b", picture()) for name in ("GANLab", "VAELab")]
    html = page(stills(cells, ["GANLab", "VAELab"]), columns=1)
    assert html.count("<tr>") == 2
    assert html.count('href="04_x.ipynb#4.2-The-game"') == 2
    assert 'alt="a &lt; b"' in html
    with pytest.raises(ValueError, match="need at least one still"):
        page([])


def test_every_widget_has_a_still_in_an_executed_chapter():
    found = stills(executed_cells(), widgets.__all__)
    assert {still.name for still in found} == set(widgets.__all__)
