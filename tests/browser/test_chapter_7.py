"""Chapter 7's explorers: a pad by mouse, by touch and by keyboard, and compression by a slider."""

import time

from playwright.sync_api import expect

CHAPTER = "notebooks/07_future.ipynb"
PRUNED = "pruned"


def test_a_digit_drawn_in_three_ways_and_a_network_made_smaller(reader, page):
    reader.run_widgets(CHAPTER, "DrawDigit(", "EfficiencyLab(", sliders=(PRUNED,))
    lab = page.locator(".jp-OutputArea-output:has(.bigmodel-pad)")
    for draw in (by_mouse, by_touch, by_keyboard):
        lab.locator(".bigmodel-pad").scroll_into_view_if_needed()
        with changing(lab):
            lab.get_by_role("button", name="clear the page").click()
        expect(lab).to_contain_text("an empty page")
        draw(lab, page)
    reader.press(reader.lab(PRUNED), PRUNED, "End")
    assert page.errors == []


class changing:
    """Wait until what was done within has changed the picture; `seconds` says how long it took."""

    def __init__(self, lab):
        self.picture = lab.locator("img.widget-image")

    def __enter__(self):
        self.before = self.picture.get_attribute("src")
        return self

    def __exit__(self, *error):
        start = time.monotonic()
        expect(self.picture).not_to_have_attribute("src", self.before)
        self.seconds = time.monotonic() - start


SEVEN = [(0.2, 0.2), (0.8, 0.2), (0.575, 0.525), (0.35, 0.85)]


def places(lab):
    """The points of a 7 on the screen."""
    box = lab.locator(".bigmodel-pad").bounding_box()
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]


def by_mouse(lab, page):
    first, *others = places(lab)
    page.mouse.move(*first)
    page.mouse.down()
    taken = []
    for place in others:
        with changing(lab) as step:  # the picture follows while the button is down
            page.mouse.move(*place, steps=8)
        taken.append(step.seconds)
    page.mouse.up()
    print("stroke to new picture, s:", [round(seconds, 3) for seconds in taken])
    expect(lab).to_contain_text("strokes: 1; CNN reads 7")
    page.mouse.move(*first)  # no button: nothing is drawn
    page.wait_for_timeout(300)
    expect(lab).to_contain_text("strokes: 1; CNN reads 7")


def by_touch(lab, page):
    browser = page.context.new_cdp_session(page)

    def touch(kind, *points):
        points = [{"x": x, "y": y} for x, y in points]
        browser.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    browser.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    pad = lab.locator(".bigmodel-pad")
    pad.evaluate("pad => pad.addEventListener('pointerdown', e => (pad.kind = e.pointerType))")
    first, *others = places(lab)
    top = pad.bounding_box()["y"]
    with changing(lab):
        touch("touchStart", first)
        for place in others:
            touch("touchMove", place)
        touch("touchEnd")
    assert pad.evaluate("pad => pad.kind") == "touch"
    expect(lab).to_contain_text("strokes: 1; CNN reads 7")
    assert pad.bounding_box()["y"] == top  # a finger that draws does not scroll


def by_keyboard(lab, page):
    pad = lab.locator(".bigmodel-pad")
    cells = page.locator(".jp-Notebook .jp-Cell")
    count = cells.count()
    pad.focus()
    for key in ["Shift+ArrowLeft", "ArrowLeft", "ArrowRight"]:
        pad.press(key)
    text = lab.locator(".bigmodel-pad-text")
    expect(text).to_contain_text("column 11, row 8 of 28 · pen up")
    with changing(lab):
        pad.press("Space")
        for key in [*["ArrowRight", "ArrowUp"] * 3, *["ArrowDown"] * 18]:  # a 1 and its serif
            pad.press(key)
    expect(text).to_contain_text("column 14, row 23 of 28 · pen down")
    pad.press("Space")
    expect(text).to_contain_text("pen up · strokes: 1")
    expect(lab).to_contain_text("strokes: 1; CNN reads 1")
    with changing(lab):
        pad.press("Backspace")
    expect(lab).to_contain_text("an empty page")
    pad.press("Space")
    pad.press("Space")
    expect(lab).to_contain_text("strokes: 1;")
    pad.press("Delete")
    expect(lab).to_contain_text("an empty page")
    assert cells.count() == count  # JupyterLab's own shortcuts stayed out of it
    assert pad.evaluate("pad => document.activeElement === pad")
