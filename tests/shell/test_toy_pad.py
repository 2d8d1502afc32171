"""The toy pad as a lesson plays it, in a browser without a screen; test_playground.py has it as a page."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import layers
from jaxnaive.networks import handwriting
from jaxnaive.pages import playground

pytestmark = pytest.mark.xdist_group("toys")  # one worker has the browser
UP, LEFT, DOWN = "\ue013", "\ue012", "\ue015"  # the arrow keys
NAMES = ("circle", "line", "<b>")


@pytest.fixture
def params():
    """Of a network that was never trained."""
    return layers.mlp(784, 20, 3).init(jax.random.key(0))


def settle(toy):
    """Wait for what is shown of a drawing."""
    toy.browser.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
    )


def test_it_says_what_python_says_to_the_same_drawing(show, params):
    toy = show("pad", network=playground.to_json(params, NAMES))
    assert toy.said == "Draw one on the pad." and not toy.button("Clear").is_enabled()
    (sheet,) = toy.all(".sheet")
    sheet.send_keys(" ", DOWN * 9, LEFT * 4, " ", UP)
    settle(toy)
    ink = toy.call(
        "Array.from(document.querySelector('.sheet').getContext('2d').getImageData(0, 0, 420, 420).data)"
        ".filter((_, i) => i % 4 === 3)"
    )
    image = handwriting.normalise(np.reshape(ink, (420, 420)) / 255)
    x = jnp.asarray(image.reshape(1, 784) / np.float32(255))
    hidden, logits = layers.activations(layers.mlp_layers(784, 20, 3), params, x)
    probabilities = np.asarray(layers.softmax(logits[0]))
    best = int(probabilities.argmax())
    assert toy.said == f"It says {NAMES[best]}, {100 * probabilities[best]:.1f} %"
    assert toy.texts("th") == list(NAMES)
    assert toy.texts("td:last-child") == [f"{100 * probability:.1f} %" for probability in probabilities]
    assert f"{(np.asarray(hidden) > 0).sum()} of 20 units are above zero" in toy.texts(".note")[-1]
    toy.press("Undo")
    settle(toy)
    assert toy.said == "Draw one on the pad."


def test_a_network_for_other_images_is_refused_in_one_line(show):
    params = layers.mlp(64, 3).init(jax.random.key(0))
    toy = show("pad", network=playground.to_json(params, NAMES))
    assert toy.wrong == "pad: got a network of 64 inputs, expected 784" and not toy.all("canvas")


def test_it_fits_a_phone(show, params):
    assert show("pad", network=playground.to_json(params, NAMES)).fits_a_phone
