"""The toys ball, rates and manifold, in a browser without a screen: their numbers are Python's."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.optimizers import BALLS, valley
from jaxnaive import optimizers, pages

pytestmark = pytest.mark.xdist_group("toys")  # one worker has the browser
TOYS = Path(pages.__file__).parent / "templates" / "notes" / "toys"
STEPS = 50


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page with one toy; nothing may be said on the console."""

    def open_page(name, **numbers):
        script = "".join(f"<script>{(TOYS / f'{part}.js').read_text()}</script>" for part in ("common", name))
        (tmp_path / "page.html").write_text(
            "<!DOCTYPE html><html lang='en'><meta charset='utf-8'>"
            f"<style>html[lang=en] [lang=zh] {{ display: none; }} {(TOYS / 'toys.css').read_text()}</style>"
            f"<div data-toy='{name}'><script type='application/json'>{json.dumps(numbers)}</script></div>"
            f"{script}<script>jaxnaive.start()</script>"
        )
        browser.get((tmp_path / "page.html").as_uri())
        return browser

    # Whoever prefers no motion sees the end of an animation at once.
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    yield open_page
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert not browser.get_log("browser")


def call(page, code, *arguments):
    """The value of an expression of JavaScript in ``toys`` and ``args``."""
    return page.execute_script(f"const {{toys}} = jaxnaive, args = arguments; return {code}", *arguments)


def press(page, text):
    page.find_element("xpath", f"//button[span/span[@lang='en']='{text}']").click()


def choose(page, text):
    page.find_element("xpath", f"//label[span/span[@lang='en']='{text}']").click()


def slide(page, place, value):
    """Move a slider, as the keyboard does."""
    page.execute_script(
        "const slider = document.querySelectorAll('input[type=range]')[arguments[0]];"
        "slider.value = arguments[1]; slider.dispatchEvent(new Event('input'))",
        place, value,
    )  # fmt: skip


def said(page):
    """What all visible lines for the reader say."""
    return " ".join(line.text for line in page.find_elements("css selector", ".said, .wrong")).strip()


def cells(page):
    """The visible tables, row by row."""
    return page.execute_script(
        "return [...document.querySelectorAll('tbody tr')].filter(row => row.offsetParent)"
        ".map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )


def follow(optimizer, loss, start):
    """Where an optimizer of Python goes, in float64."""
    w = jnp.asarray(start, jnp.float64)
    state, path = optimizer.init(w), [w]
    step = jax.jit(lambda w, state: optimizer.update(jax.grad(loss)(w), state, w))
    for _ in range(STEPS):
        updates, state = step(w, state)
        w = optimizers.apply_updates(w, updates)
        path.append(w)
    return np.array(path)


# --- the ball ----------------------------------------------------------------------------------------


def test_s57_every_optimizer_of_the_page_goes_where_pythons_goes(show, x64):
    page = show("ball")
    theirs = call(page, "Object.entries(toys.ball.TRACKS).map(([name, [, rate]]) => [name, rate, "
                  f"toys.ball.follow(name, rate, toys.ball.valleySlope, [2, 0.3], {STEPS})])")  # fmt: skip
    assert [name for name, *_ in theirs] == ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"]
    for name, rate, path in theirs:
        ours = follow(getattr(optimizers, name)(rate), valley, [2.0, 0.3])
        np.testing.assert_allclose(path, ours, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov"])
def test_s58_balls_roll_as_in_python_on_every_curve(show, x64, name):
    page = show("ball")
    curves = call(page, "Object.values(toys.ball.CURVES).map(curve => [curve.start, toys.ball.follow("
                  f"'{name}', 0.05, ([w]) => [toys.ball.slope(curve, w)], "
                  f"[curve.start], {STEPS}, 0.8)])")  # fmt: skip
    for (loss, start), (their_start, path) in zip(BALLS.values(), curves, strict=True):
        options = () if name == "sgd" else (0.8,)
        ours = follow(getattr(optimizers, name)(0.05, *options), loss, start)
        assert their_start == start
        np.testing.assert_allclose(np.ravel(path), ours, rtol=1e-6, atol=1e-9)


def test_the_losses_of_the_page_are_pythons(show, x64):
    page, places = show("ball"), np.linspace(-4, 6, 41)
    theirs = call(page, "Object.values(toys.ball.CURVES).map("
                  "curve => args[0].map(w => toys.ball.loss(curve, w)))", places.tolist())  # fmt: skip
    ours = [loss(jnp.asarray(places)) for loss, _ in BALLS.values()]
    np.testing.assert_allclose(theirs, np.array(ours), atol=1e-12)
    points = np.random.default_rng(0).normal(size=(20, 2))
    np.testing.assert_allclose(call(page, "args[0].map(toys.ball.valley)", points.tolist()), valley(points))


def test_balls_run_step_and_return_and_the_toy_says_where_they_rest(show):
    page = show("ball")
    assert said(page).startswith("Step 0.")
    press(page, "Step")
    assert said(page).startswith("Step 1.") and cells(page)[0][1] != "-2.500"
    press(page, "Run")
    assert said(page).startswith("Plain descent rests in the dent, at -0.79, after 34 steps; "
                                 "heavy ball rests at the bottom of the bowl, at 2.00, after 115 steps")  # fmt: skip
    press(page, "Reset")
    assert [row[1] for row in cells(page)] == ["-2.500"] * 3
    # The bowl's curvature is 0.3: plain descent is stable below 2 / 0.3, the heavy ball below 3.8 / 0.3, and
    # Nesterov's below 3.8 / (2.8 * 0.3).
    slide(page, 1, 1)
    press(page, "Run")
    plain, heavy, nesterov = said(page).split(";")
    assert "flies away: the learning rate is too large" in plain and "flies away" in nesterov
    assert "rests at the bottom of the bowl" in heavy and [row[1] for row in cells(page)] == [
        "∞",
        "2.000",
        "∞",
    ]
    choose(page, "the dent is the best place")
    slide(page, 1, np.log10(0.05))
    press(page, "Run")
    assert "heavy ball rests at the bottom of the bowl" in said(page)


def test_a_step_to_rest_is_the_first_after_which_nothing_moves(show):
    path = [[5 * 0.5**step] for step in range(100)]
    page = show("ball")
    assert call(page, "toys.ball.restsAfter(args[0])", path) == 9  # 5 / 2^9 < 0.01 < 5 / 2^8
    assert call(page, "toys.ball.restsAfter(args[0])", [[step] for step in range(100)]) is None


def test_tracks_down_the_valley_are_chosen_and_their_learning_rates_scaled(show):
    page = show("ball")
    choose(page, "six optimizers in a valley")
    assert [row[0] for row in cells(page)] == ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"]
    assert [row[1] for row in cells(page)] == ["0.018", "0.01", "0.01", "0.3", "0.02", "0.1"]
    assert "Step 60: nesterov is lowest" in said(page)
    for name in ("nesterov", "momentum", "adam"):
        page.find_element("xpath", f"//label[span='{name}']").click()
    assert "Step 60: adagrad is lowest" in said(page)
    slide(page, 3, 1)
    assert cells(page)[0][1:] == ["0.18", "∞", "> 3000"]
