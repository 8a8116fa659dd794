"""Chapter 3's explorers: one control of each, moved by a reader."""

from playwright.sync_api import expect

CHAPTER = "notebooks/03_algorithms.ipynb"
MINUTE = 60_000  # milliseconds
LAB = ".jp-OutputArea-output:has(button:text-is('Keep for comparison'))"


def test_the_pipeline_lab_trains_anew_when_the_scaling_changes(reader, page):
    reader.open(CHAPTER)
    reader.run_all()
    lab = page.locator(LAB)
    expect(lab).to_be_attached(timeout=3 * MINUTE)
    reader.wait_until_idle(3 * MINUTE)
    assert page.locator(".jp-RenderedText[data-mime-type*='stderr']").count() == 0
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
    expect(summary).to_contain_text("step 300: accuracy")
    expect(summary).to_contain_text("kept: breast cancer, standardised")
    expect(picture).not_to_have_attribute("src", before)
    assert page.errors == []
