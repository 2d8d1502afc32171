"""What a reader does with a toy in a page, and what it says."""

import contextlib
import json

from jaxnaive.pages import toys

STYLE = """
* { box-sizing: border-box; }
:root { --ink: #111; --paper: #fff; --faint: #888; --blue: #06c; --orange: #c60; --green: #080; --red: #c00; }
html[lang=en] [lang=zh], html[lang=zh] [lang=en] { display: none; }
"""


def page(name: str, numbers: dict) -> str:
    """A page with one toy and nothing else."""
    styles = "".join(toys.styles([name]))
    scripts = "".join(f"<script>{script}</script>" for script in toys.scripts([name]))
    return (
        "<!DOCTYPE html><html lang='en'><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}{styles}</style>"
        f"<div data-toy='{name}'><script type='application/json'>{json.dumps(numbers)}</script></div>"
        f"{scripts}<script>jaxnaive.start()</script>"
    )


@contextlib.contextmanager
def screen(browser, width, height=812, ratio=2, mobile=True):
    """A browser has a screen of this size inside the block; by default a phone's."""
    size = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


class Toy:
    """A toy that a browser shows. Words are the English ones."""

    def __init__(self, browser):
        self.browser = browser

    def call(self, code, *args):
        """The value of an expression of JavaScript in ``toys`` and ``args``."""
        return self.browser.execute_script(
            f"const {{toys}} = jaxnaive, args = [...arguments]; return {code}", *args
        )

    def all(self, selector):
        return self.browser.find_elements("css selector", f"[data-toy] {selector}")

    def texts(self, selector):
        """What all elements say that are seen, in one call, as each takes a while."""
        return self.call(
            "[...document.querySelectorAll(args[0])].filter(one => one.getClientRects().length)"
            ".map(one => (one.innerText ?? one.textContent).trim()).filter(text => text)",
            f"[data-toy] {selector}",
        )

    @property
    def said(self):
        """What it says in words."""
        return " ".join(self.texts(".said"))

    @property
    def wrong(self):
        """What it says of a wrong input."""
        return " ".join(self.texts(".wrong"))

    @property
    def cells(self):
        """The tables that are seen, row by row."""
        return self.call(
            "[...document.querySelectorAll('[data-toy] tbody tr')].filter(row => row.offsetParent)"
            ".map(row => [...row.cells].map(cell => cell.innerText.trim()))"
        )

    def button(self, text):
        found = self.browser.find_elements("xpath", f"//button[span/span[@lang='en']='{text}']")
        return next(one for one in found if one.is_displayed())

    def press(self, text):
        self.button(text).click()

    def walk(self):
        """What it says at each step, from the first to the last."""
        lines, forward = [self.said], self.button("Next")
        while forward.is_enabled():
            forward.click()
            lines.append(self.said)
        return lines

    def choose(self, text):
        """One of several, or a box."""
        self.browser.find_element("xpath", f"//label[span/span[@lang='en']='{text}']").click()

    def write(self, text, place=0):
        """Replace the text of an input and press Enter."""
        field = self.all("input[type=text]")[place]
        self.browser.execute_script("arguments[0].value = ''", field)
        field.send_keys(text + "\n")

    def slide(self, place, value):
        """Move a slider, of all that there are, as the keyboard does."""
        self.browser.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))",
            self.all("input[type=range]")[place],
            value,
        )

    @property
    def fits_a_phone(self):
        """Whether nothing is wider than a screen of 375 pixels."""
        with screen(self.browser, 375):
            return self.call("document.documentElement.scrollWidth") == 375
