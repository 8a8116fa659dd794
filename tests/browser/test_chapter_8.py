"""Chapter 8's explorer: an attack grows under a reader's hand."""

from playwright.sync_api import expect

CHAPTER = "notebooks/08_summary.ipynb"
SLIDER = "steps of PGD"


def test_an_attack_grows_and_the_hardened_network_withstands_it_longer(reader, page):
    reader.run_widgets(CHAPTER, "AdversarialLab(", sliders=(SLIDER,))
    lab = reader.lab(SLIDER)
    summary = lab.locator(".widget-html-content").last
    reader.press(lab, "share of black to white", "Home")
    expect(summary).to_contain_text("ε = 0.00")
    reader.press(lab, "share of black to white", *["ArrowRight"] * 8)
    expect(summary).to_contain_text("ε = 0.08 on the standard network")
    lab.get_by_label("network", exact=True).select_option("hardened")
    expect(summary).to_contain_text("on the hardened network")
    assert page.errors == []
