"""Stills from small cells made here, and from the executed chapters for every widget there is."""

import base64
import io
import re

import pytest
from PIL import Image

from bigmodel_lib import widgets
from bigmodel_lib.chapters import Section, executed_cells
from bigmodel_lib.gallery import WIDTH, Still, page, stills

HERE = Section("04_x.ipynb", "4.2", "4.2 The game")


def as_png(image):
    png = io.BytesIO()
    image.save(png, "png")
    return png.getvalue()


def picture(width=613, height=211, colour="orange"):
    return as_png(Image.new("RGB", (width, height), colour))


def opened(png):
    return Image.open(io.BytesIO(png))


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
        shown("VAELab", red),
        shown("VAELab: step 1", blue),
    ]
    first, second = stills(cells, ["VAELab", "GANLab"])
    assert (first.name, first.summary, first.png) == ("GANLab", "step 3: both learn", red)
    assert (second.name, second.png, second.section) == ("VAELab", blue, HERE)


def test_says_which_widget_has_no_still():
    with pytest.raises(ValueError, match=r"found none of \['VAELab'\]"):
        stills([shown("GANLab: step 3", picture())], ["GANLab", "VAELab"])


@pytest.mark.parametrize(
    ("size", "becomes"),
    [
        ((613, 211), (WIDTH, round(WIDTH * 211 / 613))),
        ((500, 1500), (WIDTH, 3 * WIDTH)),
        ((60, 35), (60, 35)),
    ],
)
def test_a_thumbnail_is_small_and_keeps_its_proportions(size, becomes):
    still = Still("GANLab", "x", picture(*size), HERE)
    assert opened(still.thumbnail()).size == becomes


def test_a_thumbnail_has_few_colours():
    still = Still("GANLab", "x", as_png(Image.radial_gradient("L").convert("RGBA")), HERE)
    assert len(opened(still.png).getcolors()) > 200
    assert 2 < len(opened(still.thumbnail()).getcolors()) <= 32


def test_the_page_leads_to_each_section_and_escapes_what_a_summary_says():
    names = ["GANLab", "VAELab", "SamplerLab", "HeatMap", "Player"]
    html = page([Still(name, "a < b", picture(), HERE) for name in names], columns=2)
    assert [row.count("<td") for row in html.split("<tr>")[1:]] == [2, 2, 1]
    assert re.findall(r"<b>(\w+)</b>, section 4\.2", html) == names
    assert html.count('href="04_x.ipynb#4.2-The-game"') == len(names)
    assert html.count('alt="a &lt; b"') == len(names)
    embedded = re.findall(r'base64,([^"]+)"', html)
    assert [opened(base64.b64decode(png)).width for png in embedded] == [WIDTH] * len(names)
    with pytest.raises(ValueError, match="need at least one still"):
        page([])


def test_every_widget_has_a_still_in_an_executed_chapter():
    found = stills(executed_cells(), widgets.__all__)
    assert {still.name for still in found} == set(widgets.__all__)
