"""The drawing pad, in a browser without a screen: the network's own numbers, and digits drawn with a pointer."""

import shutil

import jax
import numpy as np
import pytest
from strokes import OTHER, PLAIN, SLANTED, strokes

from experiments import playground as experiment
from jaxnaive import command, handwriting, layers, playground, trained, training

STYLES = {  # size, and corner, in the pad
    "plain": (PLAIN, 0.7, 0.15, 0.15),
    "slanted": (SLANTED, 0.95, 0.02, 0.02),
    "other, small in a corner": (OTHER, 0.4, 0.55, 0.05),
}
RECOGNISED = 27  # of 30


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
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


@pytest.fixture(scope="module")
def network(mnist_run):
    return trained.load(mnist_run)


@pytest.fixture
def pad(browser, mnist_run, tmp_path_factory):
    """The page of the default run, freshly opened."""
    page = experiment.main(experiment.Options(run=mnist_run))
    browser.get(page.as_uri())
    yield browser
    assert not browser.get_log("browser")


def draw(browser, lines, kind="mouse"):
    """Move a pointer along strokes, and wait for what is shown."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    box = browser.execute_script(
        "const b = document.querySelector('#pad').getBoundingClientRect(); return [b.left, b.top, b.width, b.height]"
    )
    builder = ActionBuilder(browser, mouse=PointerInput(kind, kind), duration=0)
    pointer = builder.pointer_action
    for points in lines:
        at = [(round(box[0] + x * box[2]), round(box[1] + y * box[3])) for x, y in points]
        pointer.move_to_location(*at[0])
        pointer.pointer_down()
        for (x0, y0), (x1, y1) in zip(at, at[1:], strict=False):
            for part in (1 / 3, 2 / 3, 1):
                pointer.move_to_location(round(x0 + part * (x1 - x0)), round(y0 + part * (y1 - y0)))
        pointer.pointer_up()
    builder.perform()
    settle(browser)


def settle(browser):
    browser.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")


def click(browser, selector):
    browser.find_element("css selector", selector).click()
    settle(browser)


def said(browser):
    return browser.find_element("id", "answer").text
