"""What the tests of pages share: a browser, and a page with a toy in it."""

import shutil

import pytest
from shell import toys


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A browser without a screen, that writes down what its console says."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for name in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "disable-sync", "no-first-run",
        "disable-background-networking", "disable-component-update", "window-size=1280,1000",
        f"user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):  # fmt: skip
        options.add_argument(f"--{name}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # The driver is given, so that none is looked for or downloaded.
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield browser
    browser.quit()


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page with one toy, ``show("ball")``; its numbers are keywords. The console stays empty.

    The reader prefers no motion, so that what moves is at its end at once.
    """

    def open_page(name, **numbers):
        path = tmp_path / "page.html"
        path.write_text(toys.page(name, numbers), encoding="utf-8")
        browser.get(path.as_uri())
        return toys.Toy(browser)

    preference = {"name": "prefers-reduced-motion", "value": "reduce"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})
    yield open_page
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert not browser.get_log("browser")
