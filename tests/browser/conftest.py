"""JupyterLab on a copy of the notebooks, and a browser to look at it."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
import pytest
from playwright.sync_api import expect, sync_playwright

from tools.notebooks import imports_of

MINUTE = 60_000  # milliseconds
ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic"]
PATIENCE = 30_000  # milliseconds; a busy machine draws a long notebook slowly
OFFLINE = ["--no-first-run", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("need Chromium for the browser tests in CI, found none on PATH")
        pytest.skip("no Chromium on PATH")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS + OFFLINE)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder with a copy of the notebooks."""
    home = tmp_path_factory.mktemp("jupyter")
    shutil.copytree(ROOT / "notebooks", home / "notebooks")
    shutil.copy(ROOT / "jupytext.toml", home)
    return home


@pytest.fixture(scope="session")
def jupyter(home):
    """Address of a JupyterLab on 127.0.0.1 that serves that folder."""
    token = secrets.token_hex(16)
    command = [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", "--port=0", f"--IdentityProvider.token={token}"),
        f"--ServerApp.root_dir={home}",
    ]
    runtime = home / "runtime"
    own = {"JUPYTER_RUNTIME_DIR": str(runtime), "JUPYTER_CONFIG_DIR": str(home / "config")}
    with serving(command, runtime, home / "log", own) as address:
        yield f"{address}lab/tree/{{path}}?reset&token={token}"


@contextmanager
def serving(command, runtime: Path, log: Path, own: dict[str, str], patience: float = 60.0):
    """Run what starts a Jupyter server; its address, without a token, as soon as it listens.

    Args:
        command: that is run.
        runtime: the folder where the server will tell its address.
        log: a file for what it says.
        own: its environment variables, besides those that are set.
        patience: in seconds.
    """
    with log.open("w") as file:
        process = subprocess.Popen(
            command, env=os.environ | own, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            yield _address(process, runtime, log, patience)
        finally:
            _stop(process)


def _address(process, runtime: Path, log: Path, patience: float) -> str:
    end = time.monotonic() + patience
    while time.monotonic() < end and process.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            return json.loads(file.read_text())["url"]
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


def _stop(process) -> None:
    """End the server and its kernels, and wait until they are gone."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        if member.is_running():
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=10)
    for member in alive:
        member.kill()
    process.wait()


@pytest.fixture
def page(browser):
    """A page 1,000 pixels wide beside JupyterLab's side bar; remembers errors of its console."""
    page = browser.new_page(viewport={"width": 1320, "height": 1400})
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on(
        "console",
        lambda message: page.errors.append(message.text) if message.type == "error" else None,
    )
    yield page
    page.close()


class Reader:
    """Opens notebooks and runs them, as a reader does."""

    def __init__(self, page, address: str, home: Path):
        self.page, self.address, self.home = page, address, home

    def open(self, path: str) -> None:
        self.page.goto(self.address.format(path=path))
        expect(self.page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=MINUTE)

    def run_widgets(self, chapter: str, *calls: str, sliders: tuple[str, ...]) -> None:
        """Open the widgets of a chapter, run them, and wait until each slider is there."""
        self.open_widgets(chapter, *calls)
        self.run_all()
        for slider in sliders:
            expect(self.lab(slider)).to_be_attached(timeout=2 * MINUTE)
        self.wait_until_idle(MINUTE)
        assert self.page.locator(".jp-RenderedText[data-mime-type*='stderr']").count() == 0

    def open_widgets(self, chapter: str, *calls: str) -> None:
        """Open a notebook of that chapter's imports and of the cells that make these calls.

        nbval runs the whole chapter; here a reader meets its widgets without waiting for it.
        """
        notebook = nbformat.read(self.home / chapter, nbformat.NO_CONVERT)
        first, *cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        made = [cell for cell in cells if any(call in cell.source for call in calls)]
        missing = [call for call in calls if not any(call in cell.source for cell in made)]
        if missing:
            pytest.fail(f"need a cell that calls {missing} in {chapter}, found none")
        first.source = "\n".join([first.source, *map(imports_of, cells)])
        notebook.cells = [first, *made]
        path = f"widgets-{Path(chapter).name}"
        nbformat.write(notebook, self.home / path)
        self.open(path)

    def lab(self, slider: str):
        """The explorer that has a slider of this name."""
        return self.page.locator(f".jp-OutputArea-output:has(.widget-slider:has-text('{slider}'))")

    def press(self, lab, slider: str, *keys: str) -> None:
        """Press keys on a slider, and see that the picture follows."""
        lab.scroll_into_view_if_needed()
        picture = lab.locator("img.widget-image")
        before = picture.get_attribute("src")
        handle = lab.locator(".widget-slider", has_text=slider).locator("[role=slider]")
        handle.focus()
        for key in keys:
            handle.press(key)
        expect(picture).not_to_have_attribute("src", before)

    def run_all(self) -> None:
        self.wait_until_idle(MINUTE)
        self.page.wait_for_timeout(3000)  # ipykernel 7.3 loses what comes while it starts
        self.page.locator(".jp-Notebook").click()
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def scroll_through(self):
        """Go from the top to the end by a window's height; what is out of sight is not drawn."""
        panel = self.page.locator(".jp-WindowedPanel-outer")
        panel.evaluate("panel => panel.scrollTo(0, 0)")
        while True:
            self.page.wait_for_timeout(300)
            yield
            below = "panel => panel.scrollHeight - panel.scrollTop - panel.clientHeight"
            if panel.evaluate(below) < 2:
                return
            panel.evaluate("panel => panel.scrollBy(0, panel.clientHeight)")

    def wait_until_idle(self, timeout: float) -> None:
        indicator = self.page.locator(".jp-Notebook-ExecutionIndicator")
        expect(indicator).to_have_attribute("data-status", "idle", timeout=timeout)


@pytest.fixture
def reader(page, jupyter, home):
    return Reader(page, jupyter, home)
