"""Chapter 5 and its lab, as a reader meets them."""

import json
import re
from pathlib import Path

from playwright.sync_api import expect

ROOT = Path(__file__).parents[2]
CHAPTER = "notebooks/05_project.ipynb"
LAB = ".jp-OutputArea-output:has(button:text-is('Play'))"
MINUTE = 60_000  # milliseconds


def picture(lab):
    return lab.locator("img.widget-image").get_attribute("src")


def step(lab):
    return int(re.search(r"step (\d+)", lab.locator(".widget-html-content").last.text_content())[1])


def test_run_then_play_turn_a_knob_and_pause(reader, page):
    reader.open_widgets(CHAPTER, "GANLab(")
    reader.run_all()
    lab = page.locator(LAB)
    expect(lab).to_be_attached(timeout=MINUTE)
    reader.wait_until_idle(MINUTE)
    assert page.locator(".jp-RenderedText[data-mime-type*='stderr']").count() == 0
    lab.scroll_into_view_if_needed()

    start = step(lab)
    lab.get_by_role("button", name="Play", exact=True).click()
    expect(lab.locator(".widget-html-content").first).to_have_text("playing")
    page.wait_for_timeout(1500)
    playing = picture(lab)
    assert step(lab) > start

    slider = lab.locator(".widget-slider", has_text="learning rate of D").locator("[role=slider]")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    page.wait_for_timeout(1500)
    assert picture(lab) != playing
    assert "3.2e-3" in lab.locator(".widget-slider", has_text="learning rate of D").inner_text()

    lab.get_by_role("button", name="Pause", exact=True).click()
    status, summary = lab.locator(".widget-html-content").all()
    expect(status).to_contain_text("paused at step")
    stopped = int(re.search(r"paused at step (\d+)", status.text_content())[1])
    expect(summary).to_contain_text(f"step {stopped}:")
    page.wait_for_timeout(200)  # the picture comes in a message of its own
    still = picture(lab)
    page.wait_for_timeout(1000)
    assert (step(lab), picture(lab)) == (stopped, still)
    assert page.errors == []


def test_opened_without_running_it_shows_stills(reader, page):
    cells = json.loads((ROOT / CHAPTER).read_text(encoding="utf-8"))["cells"]
    pictures = sum("image/png" in o.get("data", {}) for c in cells for o in c.get("outputs", []))
    reader.open(CHAPTER)
    drawn = set()
    for _ in reader.scroll_through():
        images = page.locator(".jp-OutputArea img").all()
        drawn |= {
            image.get_attribute("src")
            for image in images
            if image.evaluate("image => image.complete && image.naturalWidth > 300")
        }
        assert "not found" not in page.locator(".jp-Notebook").text_content().lower()
    assert len(drawn) == pictures
    assert page.errors == []
