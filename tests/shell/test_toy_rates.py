"""The toy rates, in a browser without a screen: what it says of the curves is what Python computes."""

import numpy as np
import pytest

from jaxnaive import statistics

pytestmark = pytest.mark.xdist_group("toys")  # one worker has the browser
SEEDS, POINTS = 4, 12
RATES = [0.001, 0.01, 0.1, 1.0, 10.0]
KINDS = ["slow", "slow", "good", "diverged", "diverged"]


@pytest.fixture
def numbers():
    """Curves that fall the faster, the higher the learning rate; at 10, two seeds are lost."""
    epochs = np.linspace(0.25, 3, POINTS)
    noise = np.random.default_rng(0).uniform(0.9, 1.1, (len(RATES), SEEDS, POINTS))
    losses = (2.3 * np.exp(-np.outer([0.01, 0.1, 1, 0.02, -3], epochs))[:, None] * noise).round(4).tolist()
    losses[4][1][5:] = [None] * 7
    losses[4][3][7:] = [None] * 5
    return {"rates": RATES, "losses": losses, "epochs": epochs.tolist(), "kinds": KINDS}


def test_s54_a_learning_rate_is_summarised_as_in_python(show, numbers):
    toy = show("rates", **numbers)
    for i, curves in enumerate(numbers["losses"]):
        found = toy.call("toys.rates.summary(args[0])", curves)
        curves = np.array(curves, float)  # NaN for None
        last = curves[np.isfinite(curves[:, -1]), -1]
        expected = statistics.summarise(last)
        assert found["last"] == pytest.approx(expected.mean)
        assert found["deviation"] == pytest.approx(expected.sd)
        assert found["first"] == pytest.approx(curves[:, 0].mean())
        assert found["highest"] == np.nanmax(curves)
        assert (found["lost"], found["lostAt"]) == ((2, 5) if i == 4 else (0, -1))


def test_an_axis_is_whole_powers_of_ten_and_ends_in_time(show, numbers):
    toy = show("rates", **numbers)
    axis = toy.call("toys.rates.decades(args[0])", [0.03, 40, 0])
    assert axis == {"from": pytest.approx(0.01), "to": 100, "log": True}
    assert toy.call("toys.rates.decades([2, 1e9], 4)") == {"from": 1, "to": 10**4, "log": True}
    assert toy.call("toys.rates.decades([10])") == {"from": 10, "to": 100, "log": True}


def test_a_slider_and_a_click_choose_a_learning_rate_and_it_is_told_in_words(show, numbers):
    toy = show("rates", **numbers)
    last = [statistics.summarise([curve[-1] for curve in curves]) for curves in numbers["losses"][:4]]
    first = np.mean([curve[0] for curve in numbers["losses"][2]])
    assert toy.said == (
        f"Learning rate 0.1: good. Loss at epoch 0.25: {first:.3g}. At epoch 3: {last[2].mean:.3g} ± "
        f"{last[2].sd:.2g} (mean ± standard deviation of 4 seeds)."
    )
    assert toy.texts(".legend > span") == ["slow: 0.001 to 0.01", "good: 0.1", "diverged: 1 to 10"]
    slider = toy.all("input[type=range]")[0]
    slider.send_keys("\ue014")  # the arrow to the right
    highest = np.max(numbers["losses"][3])
    assert toy.texts("output") == ["1"] and toy.said.endswith(f" The highest is {highest:.3g}.")
    slider.send_keys("\ue014")
    highest = max(loss for curve in numbers["losses"][4] for loss in curve if loss is not None)
    assert toy.said.endswith(
        f" of 2 seeds). The highest is {float(f'{highest:.3g}'):g}. "
        "In 2 of 4 seeds the loss is no finite number, first at epoch 1.5."
    )
    # A click into the second picture, near the left end of the axis
    from selenium.webdriver import ActionChains

    canvas = toy.all("canvas")[1]
    ActionChains(toy.browser).move_to_element_with_offset(
        canvas, 50 - canvas.size["width"] // 2, 0
    ).click().perform()
    assert toy.said.startswith("Learning rate 0.001: slow. ") and slider.get_property("value") == "0"


def drawn(toy, colour):
    """In how many places of the two pictures there is such a colour."""
    return toy.call(
        "[...document.querySelectorAll('canvas')].map(canvas => {"
        "  const {width, height} = canvas, copy = new OffscreenCanvas(width, height).getContext('2d');"
        "  copy.drawImage(canvas, 0, 0);"
        "  const pixels = new Uint32Array(copy.getImageData(0, 0, width, height).data.buffer);"
        "  return pixels.filter(pixel => pixel === args[0]).length; })",
        colour,
    )


def test_the_chosen_curves_have_the_colour_of_their_kind(show, numbers):
    toy = show("rates", **numbers)
    colours = {"slow": 0xFFFE0000, "good": 0xFF00FE00, "diverged": 0xFF0000FE}  # opaque; blue, green, red
    style = "--blue: #0000fe; --green: #00fe00; --red: #fe0000"
    toy.call("document.documentElement.setAttribute('style', args[0])", style)
    for i, kind in enumerate(KINDS):
        toy.slide(0, i)
        found = {name: drawn(toy, colour) for name, colour in colours.items()}
        assert {name for name, (curves, _) in found.items() if curves > 100} == {kind}
        assert all(last > 5 for _, last in found.values())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"rates": [1, 2, 2, 3, 4]}, "rates[2]: got 2, expected > 2"),
        ({"rates": [0, 1, 2, 3, 4]}, "rates[0]: got 0, expected > 0"),
        ({"rates": [1, 2, 3]}, "losses.length: got 5, expected 3 = rates.length"),
        ({"kinds": ["slow"]}, "kinds.length: got 1, expected 5 = rates.length"),
        ({"kinds": [*KINDS[:4], "bad"]}, "kinds[4]: got “bad”, expected slow, good, diverged"),
        ({"epochs": [1, 2]}, "losses[0][0].length: got 12, expected 2 = epochs.length"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused_in_one_line(show, numbers, change, line):
    assert show("rates", **(numbers | change)).wrong == line


def test_it_fits_a_phone(show, numbers):
    assert show("rates", **numbers).fits_a_phone
