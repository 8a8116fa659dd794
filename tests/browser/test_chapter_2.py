"""Chapter 2: its two widgets and its diagrams, as a reader meets them."""

import re

from playwright.sync_api import expect

CHAPTER = "notebooks/02_concepts.ipynb"
MINUTE = 60_000  # milliseconds
BUILDER = ".jp-OutputArea-output:has(.widget-slider:has-text('layers L'))"
LAB = ".jp-OutputArea-output:has(.widget-slider:has-text('walk across'))"


def slider(widget, name: str):
    return widget.locator(".widget-slider", has_text=name).locator("[role=slider]")


def press(widget, name: str, key: str) -> None:
    slider(widget, name).focus()
    slider(widget, name).press(key)


def test_both_widgets_follow_a_slider(reader, page):
    reader.open(CHAPTER)
    reader.run_all()
    lab = page.locator(LAB)
    expect(lab).to_be_attached(timeout=6 * MINUTE)
    reader.wait_until_idle(3 * MINUTE)
    assert page.locator(".jp-RenderedText[data-mime-type*='stderr']").count() == 0

    builder = page.locator(BUILDER)
    builder.scroll_into_view_if_needed()
    summary, picture = builder.locator(".widget-html-content").last, builder.locator("img")
    expect(summary).to_contain_text("L = 12, D = 768")
    expect(summary).to_contain_text("124,439,808 parameters")
    before = picture.get_attribute("src")
    press(builder, "layers L", "ArrowRight")
    expect(summary).to_contain_text("L = 13, D = 768")
    expect(summary).to_contain_text(f"{124_439_808 + 12 * 768**2 + 13 * 768:,} parameters")
    expect(picture).not_to_have_attribute("src", before)

    lab.scroll_into_view_if_needed()
    summary, picture = lab.locator(".widget-html-content").last, lab.locator("img")
    before, said = picture.get_attribute("src"), summary.text_content()
    press(lab, "walk across", "ArrowRight")
    expect(picture).not_to_have_attribute("src", before)
    place = re.compile(r"z₁ = (-?\d\.\d+)")
    expect(summary).not_to_have_text(said)
    moved = float(place.search(summary.text_content())[1]) - float(place.search(said)[1])
    assert 0 < moved <= 0.5
    assert page.errors == []


def test_opened_without_running_it_draws_its_diagrams(reader, page):
    """Both Mermaid graphs are pictures, and none is an error message."""
    reader.open(CHAPTER)
    heading = page.get_by_role("heading", name=re.compile("Two families"))
    for _ in range(60):  # JupyterLab renders the cells that come into view
        if heading.count():
            break
        page.locator(".jp-WindowedPanel-outer").evaluate("panel => panel.scrollBy(0, 1000)")
        page.wait_for_timeout(100)
    heading.scroll_into_view_if_needed()
    diagrams = page.locator(".jp-RenderedMermaid")
    expect(diagrams).to_have_count(2, timeout=MINUTE)
    for diagram in diagrams.all():
        diagram.scroll_into_view_if_needed()
        image = diagram.locator("img")
        expect(image).to_be_visible()
        assert image.evaluate("image => image.complete && image.width > 300")
    assert page.locator(".jp-RenderedMermaid.jp-mod-warning").count() == 0
    assert page.errors == []
