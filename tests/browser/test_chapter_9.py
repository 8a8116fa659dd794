"""Chapter 9's calculator: published runs, and one that does not fit."""

from playwright.sync_api import expect

from tests.browser.conftest import MINUTE

CHAPTER = "notebooks/09_questions.ipynb"
SLIDER = "tokens D"


def test_a_published_run_is_met_and_too_large_a_model_is_refused(reader, page):
    reader.run_widgets(CHAPTER, "ResourceCalculator(", sliders=(SLIDER,))
    lab = reader.lab(SLIDER)
    summary, status = (lab.locator(".widget-html-content").nth(i) for i in (-1, 0))
    # The page has shown the sliders, and reported its nearest steps: it is still that run.
    expect(summary).to_contain_text("published figures met within")
    lab.get_by_label("published run", exact=True).select_option("GPT-3, 175 B")
    expect(summary).to_contain_text("10,000 × V100")
    reader.wait_until_idle(MINUTE)
    expect(summary).to_contain_text("published figures met within")
    reader.press(lab, SLIDER, "ArrowRight")
    expect(summary).not_to_contain_text("published")
    lab.get_by_label("device", exact=True).select_option("T4")
    expect(summary).to_contain_text("T4")
    handle = lab.locator(".widget-slider", has_text="devices n").locator("[role=slider]")
    handle.focus()
    handle.press("Home")
    expect(status).to_contain_text("at least")
    assert page.errors == []
