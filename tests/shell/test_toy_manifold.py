"""The toy manifold, in a browser without a screen: what is drawn and said is what it was fed."""

from itertools import product

import numpy as np
import pytest

pytestmark = pytest.mark.xdist_group("toys")  # one worker has the browser
EPOCHS = [0, 1, 5, 20]
POINTS = np.random.default_rng(0).normal(size=(4, 3, 6, 2)) * np.array([1, 3, 0.5])[:, None, None]
ACCURACY = [[0.5, 0.5, 0.55], [0.5, 0.6, 0.7], [0.5, 0.725, 0.9], [0.5, 0.85, 1]]
NUMBERS = {"epochs": EPOCHS, "points": POINTS.tolist(), "classes": [0, 1, 1, 0, 0, 1], "accuracy": ACCURACY}


@pytest.fixture
def toy(show):
    return show("manifold", **NUMBERS)


def test_s42_points_move_on_straight_ways_from_epoch_to_epoch(toy):
    for layer, place in product(range(3), [0, 0.25, 1, 2.5, 3]):
        theirs = toy.call("toys.manifold.between(args[0], args[1], args[2])", POINTS.tolist(), layer, place)
        expected = [
            [np.interp(place, range(4), POINTS[:, layer, i, axis]) for axis in (0, 1)] for i in range(6)
        ]
        np.testing.assert_allclose(theirs, expected, rtol=1e-12)


def test_a_layer_stays_in_one_frame_with_the_same_scale_on_both_axes(toy):
    for layer, aspect in product(range(3), [0.5, 1, 2]):
        box = np.array(
            toy.call("toys.manifold.bounds(args[0], args[1], args[2])", POINTS.tolist(), layer, aspect)
        )
        points = POINTS[:, layer].reshape(-1, 2)
        assert (points > box[:, 0]).all() and (points < box[:, 1]).all()
        np.testing.assert_allclose(box.mean(axis=1), (points.min(axis=0) + points.max(axis=0)) / 2)
        width, height = box[:, 1] - box[:, 0]
        assert width / height == pytest.approx(aspect)
        filled = np.ptp(points, axis=0) / (width, height)
        assert max(filled) == pytest.approx(1 / 1.1)


def test_a_reader_moves_through_epochs_and_layers(toy):
    words = "the best linear classifier there is right for"
    assert toy.said == f"Epoch 20, hidden 2: {words} 100.0 % of new points."
    toy.slide(0, 2)
    toy.slide(1, 1)
    assert toy.said == f"Epoch 5, hidden 1: {words} 72.5 % of new points."
    assert toy.cells == [["linear classifier", "50.0 %", "72.5 %", "90.0 %"]]
    assert toy.texts(".chosen") == ["72.5 %"] and toy.texts("output") == ["5", "hidden 1"]
    toy.all("input")[0].send_keys("\ue012")  # the arrow to the left
    assert toy.said.startswith("Epoch 1, hidden 1: ")
    toy.slide(1, 0)
    assert toy.said == f"Epoch 1, input: {words} 50.0 % of new points."
    toy.press("Run")  # a reader who prefers no motion sees the end
    assert toy.said.startswith("Epoch 20, input: ") and toy.button("Run").is_displayed()


@pytest.mark.parametrize(("label", "color"), [(0, "blue"), (1, "orange")])
def test_points_have_the_colour_of_their_class(show, label, color):
    toy = show("manifold", **{**NUMBERS, "classes": [label] * 6})
    found = toy.call(
        "(() => { const {width, height} = document.querySelector('canvas'), found = {blue: 0, orange: 0};"
        "const context = document.querySelector('canvas').getContext('2d');"
        "const {data} = context.getImageData(0, 0, width, height);"
        "for (let i = 0; i < data.length; i += 4) {"
        "  found.blue += data[i + 2] > data[i] + 60; found.orange += data[i] > data[i + 2] + 60; }"
        "return found; })()"
    )
    assert found.pop(color) > 100 and set(found.values()) == {0}
    assert toy.texts(".legend")[0].startswith(f"class {label}")


def test_it_runs_and_stops_where_motion_is_welcome(toy):
    many = {**NUMBERS, "epochs": list(range(100)), "points": [POINTS[0].tolist()] * 100}
    many["accuracy"] = [[0.5, 0.6, 0.7]] * 100
    toy.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    toy.call("document.querySelector('[data-toy]').replaceChildren()")
    toy.call("toys.manifold.start(document.querySelector('[data-toy]'), args[0])", many)
    before = toy.said
    assert before.startswith("Epoch 99, ")
    toy.press("Run")
    assert toy.said == before and toy.texts("output")[0] != "99"
    toy.press("Stop")
    assert toy.said != before and toy.said.startswith(f"Epoch {toy.texts('output')[0]}, ")


@pytest.mark.parametrize(
    ("name", "value", "got"),
    [
        ("classes", [0, 1], "epochs [4], points [4,3,6,2], classes [2], accuracy [4,3]"),
        ("points", [[1]], "epochs [4], points [1,1], classes [6], accuracy [4,3]"),
        ("accuracy", [[1, 1, 1], [1]] * 2, "epochs [4], points [4,3,6,2], classes [6], accuracy [4,?]"),
        ("epochs", None, "epochs [], points [4,3,6,2], classes [6], accuracy [4,3]"),
    ],
)
def test_arrays_of_other_shapes_are_refused_in_one_line(show, name, value, got):
    toy = show("manifold", **{**NUMBERS, name: value})
    assert toy.wrong == f"manifold: got the shapes {got}, expected [E], [E,L,P,2], [P], [E,L]."
    assert not toy.all("canvas")


def test_it_fits_a_phone(toy):
    assert toy.fits_a_phone
