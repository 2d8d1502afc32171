"""The drawing pad, in a browser without a screen: the network's own numbers, and digits by hand."""

import base64
import json
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest
from shell.strokes import OTHER, PLAIN, SLANTED, strokes
from shell.toys import screen

from experiments import playground as experiment
from jaxnaive import command, layers, networks, rejection, runs, training
from jaxnaive.data import schema
from jaxnaive.job import Job
from jaxnaive.networks import handwriting
from jaxnaive.pages import playground

pytestmark = pytest.mark.xdist_group("mnist")  # one worker has the browser and the run
STYLES = {  # size, and corner, in the pad
    "plain": (PLAIN, 0.7, 0.15, 0.15),
    "slanted": (SLANTED, 0.95, 0.02, 0.02),
    "other, small in a corner": (OTHER, 0.4, 0.55, 0.05),
}
RECOGNISED = 27  # of 30
AS_THEY_ARE = schema.Schema(schema.Scale((784,), 0, 1, is_range=False), schema.Classes(tuple("0123456789")))
CLEAR, UNDO, NORMALISED = "button:nth-of-type(1)", "button:nth-of-type(2)", ".checkbox input"


@pytest.fixture(scope="module")
def network(mnist_run):
    return networks.load(mnist_run)


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
        "const box = document.querySelector('.sheet').getBoundingClientRect();"
        "return [box.left, box.top, box.width, box.height]"
    )
    builder = ActionBuilder(browser, mouse=PointerInput(kind, kind), duration=0)
    pointer = builder.pointer_action
    for points in lines:
        at = [(round(box[0] + x * box[2]), round(box[1] + y * box[3])) for x, y in points]
        pointer.move_to_location(*at[0])
        pointer.pointer_down()
        for point in at[1:]:
            pointer.move_to_location(*point)
        pointer.pointer_up()
    builder.perform()
    settle(browser)


def settle(browser):
    browser.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
    )


def click(browser, selector):
    browser.find_element("css selector", selector).click()
    settle(browser)


def said(browser):
    return browser.find_element("class name", "said").text


def python_and_page(browser, ink):
    """The same ink through the two normalisations."""
    theirs = browser.execute_script(
        "return Array.from(jaxnaive.toys.pad.normalise(...arguments))",
        ink.ravel().tolist(), ink.shape[1], ink.shape[0],
    )  # fmt: skip
    return handwriting.normalise(ink).astype(int), np.reshape(theirs, (28, 28))


def test_s45_the_pages_network_is_the_trained_one(pad, network, mnist):
    images = np.asarray(mnist.test.images[:200]).reshape(200, 784)
    theirs = pad.execute_script(
        "return arguments[0].map(image => pad.activations(image).map(layer => Array.from(layer)))",
        images.tolist(),
    )
    sizes = (784, *(layer["b"].size for layer in network.params))
    x = jnp.asarray(images.astype(np.float32) / 255)
    hidden, logits = layers.activations(layers.mlp_layers(*sizes), network.params, x)
    np.testing.assert_allclose([one[0] for one in theirs], hidden, atol=1e-4, rtol=0)
    np.testing.assert_allclose([one[1] for one in theirs], logits, atol=1e-4, rtol=0)
    expected = training.predict(network.params, images, network.model)
    np.testing.assert_allclose([one[1] for one in theirs], expected, atol=1e-4, rtol=0)
    one = pad.execute_script(
        "const logits = pad.activations(arguments[0]).at(-1);"
        "return [logits, jaxnaive.toys.pad.softmax(logits)].map(values => Array.from(values))",
        images[0].tolist(),
    )
    np.testing.assert_allclose(one, [expected[0], layers.softmax(expected[0])], atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(28, 28), (200, 150), (13, 90), (90, 13), (1, 1), (40, 40)])
def test_the_page_normalises_as_python_does(pad, shape):
    rng = np.random.default_rng(sum(shape))
    ink = rng.random(shape) * (rng.random(shape) < 0.4)
    ink[shape[0] // 2, shape[1] // 2] = 1  # so that there is some
    ink[: shape[0] // 5] = 0
    ours, theirs = python_and_page(pad, ink)
    assert ours.max() > 0 and abs(ours - theirs).max() <= 1


def test_the_page_normalises_as_python_does_where_the_centre_is_between_two_pixels(pad):
    ink = np.zeros((60, 60))
    ink[7:47, 11:41] = 1
    ours, theirs = python_and_page(pad, ink)
    np.testing.assert_array_equal(ours, theirs)


def test_thirty_digits_by_hand_are_recognised_and_few_of_them_without_the_normalisation(pad):
    wrong, small = [], 0
    for style, (digits, scale, left, top) in STYLES.items():
        for digit, drawn in enumerate(digits):
            if style != "plain" or digit:
                click(pad, CLEAR)
            draw(pad, strokes(drawn, scale, left, top))
            if f"It says {digit}," not in said(pad):
                wrong.append(f"{digit}, {style}: {said(pad)}")
            if "corner" in style:
                click(pad, NORMALISED)
                small += f"It says {digit}," in said(pad)
                click(pad, NORMALISED)
    assert 30 - len(wrong) >= RECOGNISED, wrong
    assert small <= 5  # of 10


def test_a_finger_draws_what_is_seen_and_what_predict_would_see(pad, network, tmp_path):
    draw(pad, strokes(SLANTED[3], 0.6, 0.3, 0.2), kind="touch")
    ink = np.reshape(pad.execute_script("return Array.from(pad.ink())"), (420, 420))
    seen = np.reshape(
        pad.execute_script(
            "const seen = document.querySelector('.seen').getContext('2d');"
            "return Array.from(seen.getImageData(0, 0, 28, 28).data)"
        ),
        (28, 28, 4),
    )
    assert (seen[..., 3] == 255).all() and abs(
        seen[..., 0] - handwriting.normalise(ink).astype(int)
    ).max() <= 1
    picture = pad.execute_script("return document.querySelector('.sheet').toDataURL()").partition(",")[2]
    (tmp_path / "three.png").write_bytes(base64.b64decode(picture))
    saved = handwriting.normalise(handwriting.find_ink(handwriting.read(tmp_path / "three.png")))
    assert abs(seen[..., 0] - saved.astype(int)).mean() < 3
    logits = training.predict(network.params, saved[None], network.model)
    assert said(pad).startswith("It says 3,") and int(logits.argmax()) == 3
    rows = [row.text.split() for row in pad.find_elements("css selector", "tr")]
    assert [row[0] for row in rows] == list("0123456789")
    assert sum(float(row[1]) for row in rows) == pytest.approx(100, abs=0.5)
    assert (
        pad.find_element("css selector", ".hidden-layer p")
        .text.split(" ", 1)[1]
        .startswith("of 512 units are above")
    )


def test_strokes_are_undone_and_cleared_and_an_empty_pad_says_nothing(pad):
    assert said(pad) == "Draw one on the pad."
    assert not pad.find_element("css selector", UNDO).is_enabled()
    draw(pad, strokes(OTHER[9]))
    click(pad, UNDO)
    one_stroke = pad.execute_script("return pad.ink().reduce((a, b) => a + b)")
    click(pad, CLEAR)
    assert said(pad) == "Draw one on the pad."
    draw(pad, strokes(OTHER[9])[:1])
    assert pad.execute_script("return pad.ink().reduce((a, b) => a + b)") == pytest.approx(one_stroke)
    click(pad, UNDO)
    assert said(pad) == "Draw one on the pad." and "%" not in pad.find_element("css selector", "tr").text


def test_a_keyboard_draws_too_and_the_words_are_those_of_the_readers_language(pad):
    from selenium.webdriver.common.keys import Keys

    sheet = pad.find_element("css selector", ".sheet")
    sheet.send_keys(*[Keys.ARROW_UP] * 9, " ", *[Keys.ARROW_DOWN] * 18, " ", *[Keys.ARROW_LEFT] * 3)
    settle(pad)
    assert said(pad).startswith("It says 1,")
    assert pad.execute_script("return document.querySelector('.cursor').hidden") is False
    pad.execute_script("document.documentElement.lang = 'zh'")
    assert said(pad).startswith("它说是 1，")
    assert pad.find_element("css selector", "h1").text == "写一个数字"


def test_the_page_is_as_far_from_knowing_a_picture_as_python_is(pad, network, mnist):
    images = np.concatenate(
        [mnist.test.images[:40], np.random.default_rng(0).integers(0, 256, (9, 28, 28), np.uint8)]
    )
    says = np.asarray(training.predict(network.params, images, network.model)).argmax(axis=1)
    theirs = pad.execute_script(
        "const [images, says] = arguments; return images.map((image, i) => pad.distance(image, says[i]))",
        images.reshape(-1, 784).tolist(), says.tolist(),
    )  # fmt: skip
    np.testing.assert_allclose(theirs, rejection.distances(network.rejection, images, says), rtol=1e-4)


def test_of_what_is_no_digit_the_page_says_that_it_is_not_sure_in_both_languages(pad):
    draw(pad, strokes("20,20 80,80 | 80,20 20,80 | 50,10 50,90 | 10,50 90,50"))
    assert said(pad).startswith("Not sure: like nothing the network was trained on (") and "%)" in said(pad)
    pad.execute_script("document.documentElement.lang = 'zh'")
    assert said(pad).startswith("说不准：网络没有学过这样的东西（")
    click(pad, CLEAR)
    draw(pad, strokes(PLAIN[3]))
    assert said(pad).startswith("它说是 3，")


def test_a_network_of_dark_digits_sees_dark_digits(browser, tmp_path, mnist):
    images, labels = 255 - np.asarray(mnist.train.images[:600]), np.asarray(mnist.train.labels[:600])
    network = made(tmp_path, 3)._replace(rejection=rejection.learn(images, labels, 10))
    (tmp_path / "page.html").write_text(playground.to_html(network))
    browser.get((tmp_path / "page.html").as_uri())
    draw(browser, strokes(PLAIN[0]))
    ink, seen = browser.execute_script(
        "const seen = document.querySelector('.seen').getContext('2d').getImageData(0, 0, 28, 28).data;"
        "return [Array.from(pad.ink()), Array.from(seen).filter((_, i) => i % 4 === 0)]"
    )
    expected = handwriting.as_trained(handwriting.normalise(np.reshape(ink, (420, 420))), network.rejection)
    assert expected[0, 0] == 255 and abs(np.reshape(seen, (28, 28)) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(pad, scheme):
    def prefer(*features):
        pad.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    prefer({"name": "prefers-color-scheme", "value": scheme})
    try:
        with screen(pad, 375):
            width, page, text = pad.execute_script(
                "const style = getComputedStyle(document.body);"
                "return [document.documentElement.scrollWidth, style.backgroundColor, style.color]"
            )
            assert width == 375
            grey = [int(colour[4:-1].split(",")[0]) for colour in (page, text)]
            assert grey[0] > 200 > 50 > grey[1] if scheme == "light" else grey[0] < 50 < 200 < grey[1]
            draw(pad, strokes(SLANTED[2]), kind="touch")
            assert said(pad).startswith("It says 2,")
    finally:
        prefer()


def made(tmp_path, *hidden, names=tuple("0123456789"), image_shape=(28, 28)):
    """A network that was never trained."""
    sizes = (int(np.prod(image_shape)), *hidden, len(names))
    rng = np.random.default_rng(0)
    params = tuple(
        {
            "w": jnp.asarray(rng.normal(size=pair) / 20, jnp.float32),
            "b": jnp.asarray(rng.normal(size=pair[1]), jnp.float32),
        }
        for pair in pairwise(sizes)
    )
    job = Job("made", hidden)
    known = schema.of_grey(image_shape, names)
    return networks.Network(tmp_path, job, {}, layers.mlp(*sizes), params, known, "00000000")


@pytest.mark.parametrize("hidden", [(), (40, 12, 9)])
def test_a_network_may_have_any_number_of_layers_and_any_class_names(browser, tmp_path, hidden):
    names = ("</script><b>", "'\"", "{{ x }}")
    network = made(tmp_path, *hidden, names=names, image_shape=(28, 28, 1))
    (tmp_path / "page.html").write_text(playground.to_html(network))
    browser.get((tmp_path / "page.html").as_uri())
    image = np.random.default_rng(0).integers(0, 256, (1, 784), np.uint8)
    theirs = browser.execute_script(
        "return Array.from(pad.activations(arguments[0]).at(-1))", image[0].tolist()
    )
    ours = training.predict(network.params, image, network.model)[0]
    np.testing.assert_allclose(theirs, ours, atol=1e-4, rtol=0)
    draw(browser, strokes(PLAIN[0]))
    assert tuple(cell.text for cell in browser.find_elements("tag name", "th")) == names
    assert len(browser.find_elements("class name", "hidden-layer")) == len(hidden)
    assert not browser.get_log("browser")


def test_the_page_is_one_small_file(tmp_path):
    page = playground.to_html(made(tmp_path, 512))
    assert len(page.encode()) < 3e6
    page = page.replace("http://www.w3.org/2000/svg", "")  # the name of a language
    assert not any(word in page for word in ("http:", "https:", "src=", "href=", "@import", "url(", "fetch("))


def test_a_network_for_other_images_and_a_folder_as_page_are_refused(tmp_path, monkeypatch):
    options = experiment.Options(run=tmp_path)
    monkeypatch.setattr(networks, "load", lambda folder: made(tmp_path, 3, image_shape=(8, 8)))
    with pytest.raises(
        command.UsageError, match=r"got a network for images of 8 x 8, expected 28 x 28; train"
    ):
        experiment.main(options)
    monkeypatch.setattr(networks, "load", lambda folder: made(tmp_path, 3))
    with pytest.raises(
        command.UsageError, match=r"out: got the folder .*, expected a file, such as .*/playground.html"
    ):
        experiment.main(experiment.Options(run=tmp_path, out=tmp_path))
    assert not list(tmp_path.iterdir())
    assert experiment.main(options) == tmp_path / "playground.html"


def test_the_last_run_is_the_default_and_a_row_of_pixels_is_a_picture_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(runs.RefusedError, match="there is no run of digits of MNIST's size"):
        experiment.main(experiment.Options())
    monkeypatch.setattr(networks, "load", lambda folder: made(folder, 3, image_shape=(784,)))
    folder = tmp_path / "runs" / "flat-1"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"experiment": "mnist", "image_shape": [784]}))
    page = experiment.main(experiment.Options())
    assert (
        page.resolve() == folder / "playground.html"
        and "The network of flat-1, 784-3-10," in page.read_text()
    )


def test_a_saved_network_has_its_page_beside_it(tmp_path, monkeypatch):
    network = made(None, 3)
    monkeypatch.setattr(networks, "load", lambda path: network)
    page = experiment.main(experiment.Options(run=tmp_path / "network.safetensors"))
    assert page == tmp_path / "playground.html" and "The network of made, 784-3-10," in page.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"config": {"own_model": True}},
            "network: got a network with a model of one's own, expected one of",
        ),
        ({"seeds": 3}, "network: got 3 networks that differ by their seed, expected one"),
        (
            {"schema": AS_THEY_ARE},
            "network: got a network that does not classify by grey values, expected one",
        ),
    ],
)
def test_a_network_that_the_page_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        playground.to_html(made(None, 3)._replace(**change))
