"""Chapter 4's attention explorer: picture, hover and keyboard."""

import re

from playwright.sync_api import expect

CHAPTER = "notebooks/04_mathematics.ipynb"
MINUTE = 60_000  # milliseconds
EXPLORER = ".jp-OutputArea-output:has(.bigmodel-heatmap)"


def test_the_explorer_follows_sliders_mouse_and_keys(reader, page):
    reader.open_widgets(CHAPTER, "AttentionExplorer(")
    reader.run_all()
    explorer = page.locator(EXPLORER).last
    expect(explorer).to_be_attached(timeout=MINUTE)
    reader.wait_until_idle(MINUTE)
    explorer.scroll_into_view_if_needed()
    picture = explorer.locator("img.widget-image")
    summary = explorer.locator(".widget-html-content").nth(1)

    before = picture.get_attribute("src")
    slider = explorer.locator(".widget-slider", has_text="head in detail").locator("[role=slider]")
    slider.focus()
    slider.press("ArrowRight")
    expect(summary).to_contain_text("head 2 of")
    expect(picture).not_to_have_attribute("src", before)

    grid, text = explorer.locator("canvas.bigmodel-heatmap"), explorer.locator("[aria-live]")
    grid.scroll_into_view_if_needed()
    expect(grid).to_have_attribute("aria-label", "weights of head 2")
    expect(text).to_contain_text("hover over a cell")
    grid.hover(position={"x": 5, "y": 5})
    first = text.text_content()
    assert re.fullmatch(r"1 .+ → 1 .+: (\d\.\d{4}|masked)", first)
    page.mouse.move(0, 0)
    expect(text).to_contain_text("hover over a cell")

    grid.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight"):
        grid.press(key)
    expect(text).to_contain_text(re.compile(r"2 .+ → 2 .+: (\d\.\d{4}|masked)"))
    assert page.errors == []
