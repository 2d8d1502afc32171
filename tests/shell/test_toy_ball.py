"""The toy ball, in a browser without a screen: its optimizers go where Python's go."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import descent, optimizers
from jaxnaive.descent import dented, valley

pytestmark = pytest.mark.xdist_group("toys")  # one worker has the browser
STEPS = 50
BALLS = {  # the curve, and where the balls start
    "shallow": (dented(0.8, 0.6, -1.0), -2.5),
    "deep": (dented(1.2, 0.6, -1.0), -1.3),
    "best": (dented(1.4, 0.4, -0.5), -2.5),
}


@pytest.fixture
def toy(show):
    return show("ball")


def follow(optimizer, loss, start):
    """Where an optimizer of Python goes, in float64."""
    return descent.follow(optimizer, loss, jnp.asarray(start, jnp.float64), STEPS)


def test_s57_every_optimizer_of_the_page_goes_where_pythons_goes(toy, x64):
    theirs = toy.call(
        "Object.entries(toys.ball.TRACKS).map(([name, [, rate]]) => [name, rate,"
        "toys.ball.follow(name, rate, toys.ball.valleySlope, [2, 0.3], args[0])])",
        STEPS,
    )
    assert [name for name, *_ in theirs] == ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"]
    for name, rate, path in theirs:
        ours = follow(getattr(optimizers, name)(rate), valley, [2.0, 0.3])
        np.testing.assert_allclose(path, ours, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov"])
def test_s58_balls_roll_as_in_python_on_every_curve(toy, x64, name):
    curves = toy.call(
        "Object.values(toys.ball.CURVES).map(curve => [curve.start, toys.ball.follow(args[0], 0.05,"
        "([w]) => [toys.ball.slope(curve, w)], [curve.start], args[1], 0.8)])",
        name, STEPS,
    )  # fmt: skip
    for (loss, start), (their_start, path) in zip(BALLS.values(), curves, strict=True):
        options = () if name == "sgd" else (0.8,)
        ours = follow(getattr(optimizers, name)(0.05, *options), loss, start)
        assert their_start == start
        np.testing.assert_allclose(np.ravel(path), ours, rtol=1e-6, atol=1e-9)


def test_the_losses_of_the_page_are_pythons(toy, x64):
    places = np.linspace(-4, 6, 41)
    theirs = toy.call(
        "Object.values(toys.ball.CURVES).map(curve => args[0].map(w => toys.ball.loss(curve, w)))",
        places.tolist(),
    )
    ours = [loss(jnp.asarray(places)) for loss, _ in BALLS.values()]
    np.testing.assert_allclose(theirs, np.array(ours), atol=1e-12)
    points = np.random.default_rng(0).normal(size=(20, 2))
    np.testing.assert_allclose(toy.call("args[0].map(toys.ball.valley)", points.tolist()), valley(points))


def test_balls_run_step_and_return_and_the_toy_says_where_they_rest(toy):
    assert toy.said == "Step 0."
    toy.press("Step")
    assert toy.said == "Step 1." and toy.cells[0][1] != "-2.500"
    toy.press("Run")
    assert toy.said.startswith(
        "Plain descent rests in the dent, at -0.79, after 34 steps; "
        "heavy ball rests at the bottom of the bowl, at 2.00, after 115 steps"
    )
    toy.press("Reset")
    assert [row[1] for row in toy.cells] == ["-2.500"] * 3
    # The bowl's curvature is 0.3: plain descent is stable below 2 / 0.3, the heavy ball below 3.8 / 0.3, and
    # Nesterov's below 3.8 / (2.8 * 0.3).
    toy.slide(1, 1)
    toy.press("Run")
    plain, heavy, nesterov = toy.said.split(";")
    assert "flies away: the learning rate is too large" in plain and "flies away" in nesterov
    assert "rests at the bottom of the bowl" in heavy
    assert [row[1] for row in toy.cells] == ["∞", "2.000", "∞"]
    toy.choose("the dent is lowest")
    toy.slide(1, np.log10(0.05))
    toy.press("Run")
    assert "heavy ball rests at the bottom of the bowl" in toy.said


def test_a_step_to_rest_is_the_first_after_which_nothing_moves(toy):
    path = [[5 * 0.5**step] for step in range(100)]
    assert toy.call("toys.ball.restsAfter(args[0])", path) == 9  # 5 / 2^9 < 0.01 < 5 / 2^8
    assert toy.call("toys.ball.restsAfter(args[0])", [[step] for step in range(100)]) is None


def test_tracks_down_the_valley_are_chosen_and_their_learning_rates_scaled(toy):
    toy.choose("six optimizers in a valley")
    assert [row[0] for row in toy.cells] == ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"]
    assert [row[1] for row in toy.cells] == ["0.018", "0.01", "0.01", "0.3", "0.02", "0.1"]
    assert toy.said.startswith("Step 60: nesterov is lowest")
    for name in ("nesterov", "momentum", "adam"):
        toy.browser.find_element("xpath", f"//label[span='{name}']").click()
    assert toy.said.startswith("Step 60: adagrad is lowest")
    toy.slide(3, 1)
    assert toy.cells[0][1:] == ["0.18", "∞", ">3000"]


def test_it_fits_a_phone(toy):
    assert toy.fits_a_phone
    toy.choose("six optimizers in a valley")
    assert toy.fits_a_phone
