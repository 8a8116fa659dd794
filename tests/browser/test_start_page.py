"""The start page opens in JupyterLab, and its check-up runs."""

from playwright.sync_api import expect

START = "notebooks/index.ipynb"


def test_start_page_lists_the_chapters_and_checks_the_machine(jupyter, page):
    page.goto(jupyter.format(path=START))
    expect(page.locator(".jp-RenderedMarkdown table tbody tr")).to_have_count(9, timeout=60_000)
    expect(page.locator(".jp-RenderedMarkdown a", has_text="Project")).to_be_visible()

    page.locator(".jp-Notebook").click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(page.locator(".jp-OutputArea-output")).to_contain_text("torch", timeout=60_000)
    assert page.errors == []
