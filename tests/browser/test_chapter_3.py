"""Chapter 3's explorers: one control of each, moved by a reader."""

import re

import pytest
from playwright.sync_api import expect

CHAPTER = "notebooks/03_algorithms.ipynb"
MINUTE = 60_000  # milliseconds
LAB = ".jp-OutputArea-output:has(button:text-is('Keep for comparison'))"
STEPPER = ".jp-OutputArea-output:has(.widget-dropdown:has-text('formula'))"


@pytest.mark.timeout(600)  # the whole chapter runs first: two minutes on a busy machine
def test_a_control_of_each_explorer(reader, page):
    reader.open(CHAPTER)
    reader.run_all()
    expect(page.locator(LAB)).to_be_attached(timeout=5 * MINUTE)
    reader.wait_until_idle(5 * MINUTE)
    assert page.locator(".jp-RenderedText[data-mime-type*='stderr']").count() == 0
    step_back_and_forth(page.locator(STEPPER))
    train_on_raw_data(page.locator(LAB))
    assert page.errors == []


def step_back_and_forth(stepper):
    """BackpropStepper takes one step for each press."""
    stepper.scroll_into_view_if_needed()
    picture, summary = stepper.locator("img.widget-image"), stepper.locator(".widget-html-content")
    before, told = picture.get_attribute("src"), summary.last.text_content()
    stepper.get_by_role("button", name="Step", exact=True).click()
    expect(summary.last).not_to_have_text(told)
    expect(picture).not_to_have_attribute("src", before)


def train_on_raw_data(lab):
    """PipelineLab trains anew when the scaling changes, and the kept run stays behind."""
    lab.scroll_into_view_if_needed()
    picture = lab.locator("img.widget-image")
    status, summary = lab.locator(".widget-html-content").all()
    expect(summary).to_contain_text("breast cancer, standardised")
    lab.get_by_role("button", name="Keep for comparison").click()
    expect(status).to_contain_text("kept")
    before = picture.get_attribute("src")
    lab.locator(".widget-dropdown", has_text="scaling").locator("select").select_option("raw")
    expect(summary).to_contain_text("now: breast cancer, raw")
    expect(status).to_contain_text("trained to step 300", timeout=MINUTE)
    expect(summary).to_contain_text(re.compile("step 300: accuracy.*kept: breast cancer, standard"))
    expect(picture).not_to_have_attribute("src", before)
