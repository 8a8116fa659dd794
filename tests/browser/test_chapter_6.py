"""Chapter 6's five explorers: one control of each, moved by a reader."""

from playwright.sync_api import expect

CHAPTER = "notebooks/06_applications.ipynb"
MINUTE = 60_000  # milliseconds
MODELS = ("LanguageGPT().load(", "NumberTranslator().load(")
LABS = {  # an explorer, and a slider of it that no other has
    "SamplerLab(": "temperature",
    "TranslatorLab(": "tokens written",
    "DenoisingLab(": "look at step",
    "DetectorLab(": "score threshold",
    "SpectrogramLab(": "mel bands",
}


def test_a_slider_of_each_explorer(reader, page):
    reader.open_widgets(CHAPTER, *MODELS, *LABS)
    reader.run_all()
    for slider in LABS.values():
        expect(lab_with(page, slider)).to_be_attached(timeout=2 * MINUTE)
    reader.wait_until_idle(MINUTE)
    assert page.locator(".jp-RenderedText[data-mime-type*='stderr']").count() == 0
    for slider in LABS.values():
        move(lab_with(page, slider), slider)
    assert page.errors == []


def lab_with(page, slider: str):
    return page.locator(f".jp-OutputArea-output:has(.widget-slider:has-text('{slider}'))")


def move(lab, name: str):
    """The far left end changes the picture."""
    lab.scroll_into_view_if_needed()
    picture = lab.locator("img.widget-image")
    before = picture.get_attribute("src")
    slider = lab.locator(".widget-slider", has_text=name).locator("[role=slider]")
    slider.focus()
    slider.press("Home")
    expect(picture).not_to_have_attribute("src", before)
