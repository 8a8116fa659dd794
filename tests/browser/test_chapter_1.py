"""Chapter 1 and its explorer, as a reader meets them."""

import math
import re

from playwright.sync_api import expect

CHAPTER = "notebooks/01_background.ipynb"
LAB = ".jp-OutputArea-output:has(.widget-dropdown:has-text('view'))"
MINUTE = 60_000  # milliseconds


def parts(lab):
    """Picture and summary line."""
    return lab.locator("img.widget-image"), lab.locator(".widget-html-content").last


def choose(lab, control, option):
    lab.get_by_label(control, exact=True).select_option(option)


def budget(summary):
    """FLOPs that the summary of the laws speaks of."""
    return float(re.search(r", (\S+) FLOPs: best with", summary.text_content())[1])


def test_both_views_follow_their_controls(reader, page):
    reader.open_widgets(CHAPTER, "ScalingLab(")
    reader.run_all()
    labs = page.locator(LAB)
    expect(labs).to_have_count(2, timeout=MINUTE)
    reader.wait_until_idle(MINUTE)
    assert page.locator(".jp-RenderedText[data-mime-type*='stderr']").count() == 0
    timeline, laws = labs.all()

    timeline.scroll_into_view_if_needed()
    picture, summary = parts(timeline)
    before = picture.get_attribute("src")
    expect(summary).to_contain_text("all families")
    choose(timeline, "family", "CNN")
    expect(summary).to_contain_text("CNN: doubling every")
    expect(picture).not_to_have_attribute("src", before)

    laws.scroll_into_view_if_needed()
    picture, summary = parts(laws)
    before, start = picture.get_attribute("src"), budget(summary)
    slider = laws.locator(".widget-slider", has_text="training compute").locator("[role=slider]")
    slider.focus()
    for _ in range(5):  # to the next tenth of a power of ten each
        slider.press("ArrowRight")
    tenths = math.floor(10 * math.log10(start)) + 5
    expect(summary).to_contain_text(f"{10 ** (tenths / 10):.2g} FLOPs: best with")
    expect(picture).not_to_have_attribute("src", before)

    before = picture.get_attribute("src")
    choose(laws, "law", "Kaplan 2020, measured")
    expect(summary).to_contain_text("Kaplan 2020, measured")
    expect(picture).not_to_have_attribute("src", before)
    assert page.errors == []
