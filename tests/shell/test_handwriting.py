"""Pictures of digits as a user has them: what is found in them, what is made of it, and what is refused."""

import contextlib
import json
import os
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from shell.strokes import OTHER, PLAIN, SLANTED, strokes

from experiments import predict
from jaxnaive import command, data, networks, runs, training
from jaxnaive.data import schema
from jaxnaive.networks import fitting, handwriting


def picture(digit="5", size=120, width=8, parts=None):
    """A digit in black on white, 0 to 255."""
    image = Image.new("L", (size, size), 255)
    for points in parts or strokes(PLAIN[int(digit)]):
        ImageDraw.Draw(image).line(
            [(size * x, size * y) for x, y in points], fill=0, width=width, joint="curve"
        )
    return np.asarray(image)


def see(grey):
    return handwriting.normalise(handwriting.find_ink(grey / 255))


# --- the normalisation -------------------------------------------------------------------------------


def test_mnists_own_images_stay_as_they_are(mnist):
    images = np.asarray(mnist.test.images[:1000])
    for number, image in enumerate(images):
        np.testing.assert_array_equal(handwriting.normalise(image / 255), image)
        if number % 10 == 0:
            enlarged = np.pad(np.kron(image, np.ones((4, 4))), (0, 50))
            np.testing.assert_array_equal(handwriting.normalise(enlarged / 255), image)


def test_a_box_by_hand():
    ink = np.zeros((70, 90))
    ink[5:45, 60:80] = 0.5  # 40 x 20: two pixels become one, and its centre comes to the edge 14, or below it
    expected = np.zeros((28, 28), np.uint8)
    expected[4:24, 9:19] = 128
    np.testing.assert_array_equal(handwriting.normalise(ink), expected)


@pytest.mark.parametrize("shape", [(53, 31), (31, 53), (20, 20), (7, 11), (60, 26)])
def test_a_pixel_is_the_mean_of_what_it_covers(shape):
    ink = np.random.default_rng(0).random(shape)
    longer = max(shape)
    fine = np.kron(ink, np.ones((20, 20)))  # so that a pixel of the result covers longer x longer of these
    fine = np.pad(fine, [(0, -length % longer) for length in fine.shape])
    rows, columns = (length // longer for length in fine.shape)
    expected = 255 * fine.reshape(rows, longer, columns, longer).mean(axis=(1, 3))
    seen = handwriting.normalise(ink)
    top, left = (np.flatnonzero(seen.any(axis=axis))[0] for axis in (1, 0))
    np.testing.assert_allclose(seen[top : top + rows, left : left + columns], expected, atol=0.501)
    assert seen[top : top + rows, left : left + columns].sum() == seen.sum()


def test_the_centre_of_mass_is_in_the_middle_pixel_and_all_ink_in_the_picture():
    rng = np.random.default_rng(0)
    for _ in range(20):
        ink = np.zeros((100, 120))
        for _ in range(4):
            y, x = rng.integers(0, 80, 2)
            ink[y : y + rng.integers(3, 20), x : x + rng.integers(3, 20)] = rng.random()
        seen = handwriting.normalise(ink).astype(float)
        rows, columns = seen.sum(axis=1), seen.sum(axis=0)
        scale = 20 / max(np.ptp(np.flatnonzero(ink.any(axis=axis))) + 1 for axis in (0, 1))
        assert seen.sum() == pytest.approx(255 * ink.sum() * scale**2, rel=0.02)
        for profile in (rows, columns):
            centre = (np.arange(28) + 0.5) @ profile / profile.sum()
            inked = np.flatnonzero(profile)
            assert 13.9 < centre < 15.1 or inked[0] == 0 or inked[-1] >= 26


def test_no_ink_is_refused():
    with pytest.raises(ValueError, match="got no ink, expected a digit"):
        handwriting.normalise(np.zeros((5, 6)))


# --- pictures of MNIST's digits ------------------------------------------------------------------------


def recognised(network, images, labels):
    logits = training.predict(network.params, np.stack(images), network.model)
    return np.mean(logits.argmax(axis=1) == labels)


def seen_or_nothing(grey):
    try:
        return see(grey)
    except ValueError:
        return np.zeros((28, 28), np.uint8)


@pytest.mark.xdist_group("mnist")
def test_larger_elsewhere_and_inverted_they_are_recognised_but_not_without_the_normalisation(
    mnist, mnist_run
):
    network = networks.load(mnist_run)
    images, labels = np.asarray(mnist.test.images[:150]), np.asarray(mnist.test.labels[:150])
    pages = []
    for image in images:
        page = np.full((150, 110), 255, np.uint8)
        page[50:134, 3:87] = 255 - np.asarray(
            Image.fromarray(image).resize((84, 84), Image.Resampling.BICUBIC)
        )
        pages.append(page)
    small = [np.asarray(Image.fromarray(page).resize((28, 28), Image.Resampling.BOX)) for page in pages]
    original = recognised(network, images, labels)
    assert recognised(network, [seen_or_nothing(page) for page in pages], labels) > original - 0.02
    assert recognised(network, small, labels) < 0.3  # dark on light
    assert recognised(network, [255 - image for image in small], labels) < 0.6  # inverted, but not centred


@pytest.mark.xdist_group("mnist")
@pytest.mark.parametrize("dark", [True, False], ids=["paper", "blackboard"])
def test_photographed_in_uneven_light_they_are_recognised(mnist, mnist_run, dark):
    network = networks.load(mnist_run)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:130, :160] / 160
    images, labels = np.asarray(mnist.test.images[:80]), np.asarray(mnist.test.labels[:80])
    seen = []
    for image in images:
        ink = np.zeros((130, 160))
        ink[20:104, 30:114] = np.asarray(Image.fromarray(image).resize((84, 84))) / 255
        angle = rng.uniform(0, 2 * np.pi)
        light = 0.7 + 0.4 * (np.sin(angle) * (y - 0.4) + np.cos(angle) * (x - 0.5))
        page = light * (1 - 0.7 * ink if dark else 0.2 + 0.7 * ink) + rng.normal(0, 0.02, ink.shape)
        seen.append(seen_or_nothing(255 * np.clip(page, 0, 1)))
    assert recognised(network, seen, labels) >= 0.93


# --- what is found, and what is refused ----------------------------------------------------------------


def test_dark_on_light_and_light_on_dark_are_the_same():
    for digit in "0123456789":
        np.testing.assert_array_equal(see(picture(digit)), see(255 - picture(digit)))


def test_a_part_that_does_not_touch_belongs_to_the_digit_and_dirt_does_not():
    five = strokes(PLAIN[5])[0]
    apart = picture(parts=[five[1:], [(0.45, 0.06), (0.72, 0.04)]])
    assert (see(apart)[:8] > 0).any() and not np.array_equal(see(apart), see(picture(parts=[five[1:]])))
    dirty = picture().copy()
    dirty[110:113, 3:6] = 0
    np.testing.assert_array_equal(see(dirty), see(picture()))


@pytest.mark.parametrize(
    ("grey", "message"),
    [
        (np.full((40, 50), 200), "got a blank picture"),
        (np.full((1, 1), 200), "got a blank picture"),
        (np.full((3, 400), 0), "got a blank picture"),
        (200 + np.random.default_rng(0).normal(0, 5, (100, 80)), "got a blank picture"),
        (np.random.default_rng(0).integers(0, 256, (100, 80)), "got a blank picture"),
        (np.linspace(50, 250, 100)[:, None] * np.ones(80), "got a blank picture"),
        (np.hstack([picture("1"), picture("5"), picture("2")]), "got 3 separate shapes, expected one digit"),
        (picture(parts=[[(0.1, 0.5), (0.9, 0.5)]]), r"got a shape 1\d\.\d times as wide as high"),
    ],
)
def test_what_is_not_one_digit_is_refused(grey, message):
    with pytest.raises(ValueError, match=message):
        see(grey)


# --- pictures as people have them ---------------------------------------------------------------------


def speckled(grey, share):
    noise = np.random.default_rng(0).random(grey.shape)
    return np.where(noise < share / 2, 0, np.where(noise > 1 - share / 2, 255, grey))


def dithered(grey):
    """In uneven light, printed in black and white."""
    photo = np.uint8((0.25 + 0.6 * grey / 255) * np.linspace(200, 255, grey.shape[1]))
    return 255 * np.asarray(Image.fromarray(photo).convert("1"))


def boxed(grey, ink, margin):
    image, last = Image.fromarray(grey), len(grey) - margin
    ImageDraw.Draw(image).rectangle([margin, margin, last, last], outline=ink, width=2)
    return np.asarray(image)


def ruled(grey, ink, width, is_squared):
    page = grey.copy()
    for start in range(12, len(grey), 25):
        for lines in (page, page.T)[: 1 + is_squared]:
            lines[start : start + width] = np.minimum(lines[start : start + width], ink)
    return page


def shaded(grey, light):
    """Half of it in a shadow with a hard edge, across the digit."""
    y, x = np.mgrid[: len(grey), : len(grey)] / len(grey)
    return grey * np.where(x + 0.3 * y > 0.55, light, 1)


@pytest.mark.xdist_group("mnist")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda grey: grey,
        lambda grey: speckled(grey, 0.02), lambda grey: speckled(grey, 0.3),
        dithered,
        lambda grey: boxed(grey, 20, 6), lambda grey: boxed(grey, 120, 20),
        lambda grey: ruled(grey, 200, 1, True), lambda grey: ruled(grey, 80, 2, True),
        lambda grey: ruled(grey, 120, 2, False),
        lambda grey: shaded(grey, 0.7), lambda grey: shaded(grey, 0.4),
    ],
    ids=["clean", "few specks", "specks", "dithered", "box", "grey box", "faint squares", "squares", "lines",
         "shadow", "deep shadow"],
)  # fmt: skip
def test_a_picture_of_a_digit_is_recognised_or_the_network_is_not_sure(mnist_run, spoil):
    network, seen, digits = networks.load(mnist_run), [], []
    for style in (PLAIN, SLANTED, OTHER):
        for digit, drawn in enumerate(style):
            page = spoil(picture(size=200, width=13, parts=strokes(drawn, 0.7, 0.15, 0.15)))
            with contextlib.suppress(ValueError):  # one line that says what is wrong
                seen.append(see(page))
                digits.append(digit)
    logits = training.predict(network.params, np.stack(seen), network.model)
    right, sure = np.asarray(logits).argmax(axis=1) == digits, ~network.is_unlike(np.stack(seen))
    assert not (sure & ~right).any() and (sure & right).sum() >= 25  # of 30


def test_a_line_is_a_digit_where_there_is_nothing_else():
    thin = see(picture(parts=[[(0.5, 0.05), (0.5, 0.95)]], width=2))
    assert thin[:, 13:15].sum() > 0.9 * thin.sum() > 0
    tight = see(picture(parts=[[(0, 0.05), (1, 0.05), (0.4, 1)]], width=9))  # a 7 that fills the picture
    assert (tight > 128).sum(axis=1).max() >= 15


@pytest.mark.parametrize("slope", ["down", "across"])
def test_the_end_of_uneven_light_is_no_ink(slope):
    light = np.linspace(0.4, 1, 120)
    page = picture() * (light[:, None] if slope == "down" else light)
    assert abs(see(page).astype(int) - see(picture())).mean() < 4


# --- files -------------------------------------------------------------------------------------------------


def saved(tmp_path, image, name="digit.png", **more):
    path = tmp_path / name
    image.save(path, **more)
    return path


def test_every_kind_of_png_and_jpeg_is_read_alike(tmp_path):
    grey = picture()
    image = Image.fromarray(grey)
    transparent = Image.new("RGBA", image.size, (0, 0, 0, 0))
    transparent.putalpha(Image.fromarray(255 - grey))
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter to the right
    paths = [
        *(
            saved(tmp_path, image.convert(mode), f"{mode}.png")
            for mode in ("L", "LA", "P", "RGB", "RGBA", "1")
        ),
        saved(tmp_path, transparent, "transparent.png"),
        saved(tmp_path, Image.fromarray(grey.astype(np.uint16) * 257), "16.png"),
        saved(tmp_path, image, "first.png", save_all=True, append_images=[Image.new("L", image.size)]),
        saved(tmp_path, image, "grey.jpg", quality=95),
        saved(tmp_path, image.convert("CMYK"), "cmyk.jpg", quality=95),
        saved(tmp_path, image.transpose(Image.Transpose.ROTATE_90), "turned.jpg", exif=turned, quality=95),
    ]
    for path in paths:
        read = handwriting.read(path)
        assert read.shape == (120, 120) and read.dtype == np.float32, path
        assert abs(read - grey / 255).mean() < (
            0.01 if path.suffix == ".jpg" or path.name == "1.png" else 1e-6
        ), path


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
@pytest.mark.parametrize("name", ["digit", "digit.jpg", "digit.txt"])
def test_the_content_says_what_a_picture_is_whatever_its_name(tmp_path, kind, name):
    more = {"lossless": True} if kind == "WEBP" else {}
    path = saved(tmp_path, Image.fromarray(picture()), name, format=kind, **more)
    np.testing.assert_allclose(handwriting.read(path), picture() / 255, atol=0.005)


def drawn(colour, width=8):
    """The digit of :func:`picture` in one colour on transparency."""
    image = Image.new("RGB", (120, 120), colour)
    image.putalpha(Image.fromarray(255 - picture(width=width)))
    return image


@pytest.mark.parametrize(
    "colour", ["black", "white", "yellow", "cyan", "red", "blue", "orange", "#808080", "#c0c0c0"]
)
def test_ink_of_any_colour_on_transparency_is_found(tmp_path, colour):
    path = saved(tmp_path, drawn(colour))
    found = handwriting.normalise(handwriting.find_ink(handwriting.read(path)))
    assert abs(found.astype(int) - see(picture())).mean() < 1
    several = saved(tmp_path, drawn(colour, width=20), "wide.png")
    found = handwriting.normalise(handwriting.find_ink(handwriting.read(several)))
    assert abs(found.astype(int) - see(picture(width=20))).mean() < 1


@pytest.mark.parametrize("ink", [0, 150])
def test_a_photograph_with_rounded_corners_and_a_sticker_stay_on_white(tmp_path, ink):
    paper = np.where(picture() < 128, ink, 230).astype(np.uint8)
    y, x = np.mgrid[-59.5:60, -59.5:60]
    alphas = [np.hypot(np.maximum(abs(y) - 40, 0), np.maximum(abs(x) - 40, 0)) < 20]
    if ink == 0:  # a round sticker covers less than three quarters: it is not taken for ink as it has some
        alphas.append(np.hypot(y, x) < 57)
    for alpha in alphas:
        image = Image.fromarray(np.dstack([paper, np.where(alpha, 255, 0).astype(np.uint8)]))
        read = handwriting.read(saved(tmp_path, image))
        np.testing.assert_allclose(read * 255, np.where(alpha, paper, 255), atol=1)


@pytest.mark.parametrize("name", ["large.png", "large.jpg"])
def test_a_large_picture_is_made_smaller(tmp_path, name):
    large = Image.fromarray(picture(size=2000, width=130)).resize((3000, 1500))
    read = handwriting.read(saved(tmp_path, large, name))
    assert read.shape == (200, 400)
    expected = large.resize((400, 200), Image.Resampling.BOX)
    assert abs(read - np.asarray(expected) / 255).mean() < 0.01


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"hello",
            "not a PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF or AVIF picture, or cut off; save it as PNG or JPEG",
        ),
        (b"", "not a PNG, JPEG"),
        ("cut", "a damaged picture"),
        ("cut jpeg", "a damaged picture"),
        ((8000, 7000), "got 8,000 x 7,000 pixels, expected at most 50,000,000 in all"),
        ((30000, 30000), "expected at most 50,000,000 pixels"),
    ],
)
def test_what_is_not_a_picture_is_refused(tmp_path, content, message):
    path = tmp_path / "digit.png"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8))
    if isinstance(content, tuple):
        header = b"IHDR" + struct.pack(">IIBBBBB", *content, 8, 0, 0, 0, 0)
        checked = header + struct.pack(">I", zlib.crc32(header))
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header) - 4) + checked + b"\0\0\0\0IDAT"
        )
    elif isinstance(content, str):
        noise.save(path, "png" if content == "cut" else "jpeg")
        path.write_bytes(path.read_bytes()[:3000])
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        handwriting.read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        handwriting.read(tmp_path / "missing.png")
    with pytest.raises(IsADirectoryError):
        handwriting.read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: not a file"):
        handwriting.read(tmp_path / "pipe")


# --- the experiment --------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.xdist_group("mnist")
def test_predict_prints_the_three_likeliest_and_saves_what_was_seen(here, mnist_run, capsys):
    paths = tuple(saved(here, Image.fromarray(picture(digit)), f"{digit}.png") for digit in "374")
    capsys.readouterr()
    probabilities = predict.main(predict.Options(paths, run=mnist_run))
    lines = capsys.readouterr().out.splitlines()
    assert [p.argmax() for p in probabilities] == [3, 7, 4] and len(lines) == 3
    for number, (line, path, p) in enumerate(zip(lines, paths, probabilities, strict=True), 1):
        first, second, third = np.argsort(-p)[:3]
        figure = f"runs/predict/seen-{number}-{path.stem}.png"
        assert line == (
            f"{path}: {first} {p[first]:.1%}, {second} {p[second]:.1%}, {third} {p[third]:.1%}; "
            f"saved {figure}"
        )
        assert np.asarray(Image.open(here / figure)).ndim


@pytest.mark.xdist_group("mnist")
def test_predict_goes_on_after_a_picture_that_it_cannot_use(here, mnist_run, capsys, caplog):
    good = saved(here, Image.fromarray(picture("2")), "two.png")
    blank = saved(here, Image.new("L", (30, 30)), "blank.png")
    cut = here / "cut.webp"
    cut.write_bytes(saved(here, Image.fromarray(picture("7")), "whole.webp").read_bytes()[:99])
    last = saved(here, Image.fromarray(picture("4")), "four.tif")
    options = predict.Options((here / "missing.png", blank, good, cut, last, here), mnist_run, here / "out")
    with pytest.raises(IsADirectoryError):
        predict.main(options)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in lines] == [f"{good}:", f"{last}:"]
    assert f"{good}: 2 " in lines[0] and f"{last}: 4 " in lines[1]
    assert sorted(path.name for path in (here / "out").iterdir()) == ["seen-3-two.png", "seen-5-four.png"]
    assert caplog.messages[:2] == [
        f"error: {here}/missing.png: No such file or directory",
        f"error: {blank}: got a blank picture, expected a digit that stands out from its background",
    ]
    assert len(caplog.messages) == 3 and caplog.messages[2].startswith(f"error: {cut}: ")


def scribble():
    """Of no digit."""
    return picture(parts=[[(0.15, 0.2), (0.85, 0.8), (0.2, 0.75), (0.8, 0.15), (0.5, 0.9), (0.5, 0.1)]])


@pytest.mark.xdist_group("mnist")
def test_predict_is_not_sure_of_what_is_no_digit(here, mnist_run, capsys, monkeypatch):
    paths = (
        saved(here, Image.fromarray(scribble()), "no.png"),
        saved(here, Image.fromarray(picture("3")), "3.png"),
    )
    drawn = []
    monkeypatch.setattr(predict.plots, "seen", lambda *given: drawn.append(given[-1]))
    capsys.readouterr()
    first, second = predict.main(predict.Options(paths, run=mnist_run))
    no, three = capsys.readouterr().out.splitlines()
    best = first.argmax()
    assert no.startswith(
        f"{paths[0]}: not sure: like nothing the network was trained on ({best} {first[best]:.1%}, "
    )
    assert three.startswith(f"{paths[1]}: 3 {second[3]:.1%}, ") and "not sure" not in three
    assert drawn == [True, False]


def test_predict_turns_pictures_into_what_a_network_of_dark_digits_was_trained_on(here, mnist, caplog):
    dark = 255 - np.asarray(mnist.train.images[:3000])
    own = data.from_arrays(dark, mnist.train.labels[:3000])
    options = {"hidden": (64,), "epochs": 8, "optimizer": "adam", "learning_rate": 0.01, "progress": False}
    network = fitting.fit(own, **options)
    network.save(here / "dark.safetensors")
    paths = tuple(saved(here, Image.fromarray(picture(digit)), f"{digit}.png") for digit in "0236")
    found = predict.main(predict.Options(paths, run=here / "dark.safetensors"))
    assert [one.argmax() for one in found] == [0, 2, 3, 6] and not caplog.messages
    network._replace(rejection=None).save(here / "dark.safetensors")  # as of an earlier version
    predict.main(predict.Options(paths[:1], run=here / "dark.safetensors"))
    assert caplog.messages == [
        f'{here / "dark.safetensors"}: of an earlier version, without what it takes to say "not sure"; '
        "train it again to have that"
    ]


def test_predict_needs_pictures_and_a_run(here):
    with pytest.raises(command.UsageError, match="images: got none, expected one or more"):
        predict.main(predict.Options(()))
    with pytest.raises(runs.RefusedError, match="there is no run of digits of MNIST's size"):
        predict.main(predict.Options((here,)))


def test_predict_asks_the_last_run_that_takes_such_pictures(here):
    names = ("0", "1")
    grey = {"schema": schema.to_json(schema.Schema(schema.Scale((784,), 0, 1), schema.Classes(names)))}
    as_they_are = schema.Scale((784,), 0, 1, is_range=False)
    columns = schema.Columns((schema.Column("x", 0, 1),) * 784)
    targets = schema.Targets(("y",), (0,), (1,))
    others = [
        {"image_shape": [8, 8]}, {"image_shape": [28, 28], "own_model": True},
        *({"schema": schema.to_json(schema.Schema(inputs, outputs))} for inputs, outputs in (
            (as_they_are, schema.Classes(names)), (columns, schema.Classes(names)),
            (schema.Scale((28, 28)), targets),
        )),
    ]  # fmt: skip
    for number, more in enumerate([{"image_shape": [28, 28]}, {"image_shape": [28, 28, 1]}, grey, *others]):
        folder = here / "runs" / f"run-{number}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"format": 1, "experiment": "mnist"} | more))
        os.utime(folder / "config.json", (number, number))
        last = min(number, 2)
        with pytest.raises(runs.RefusedError, match=f"runs/run-{last}: the run is not complete"):
            predict.main(predict.Options((here,)))


def test_predict_asks_a_network_of_flat_pictures_of_any_range(here, mnist):
    train, largest = mnist.train, 3
    flat = train.images[:2000].reshape(-1, 784) / np.float32(255) * largest
    own = data.from_arrays(flat, train.labels[:2000])
    network = fitting.fit(own, hidden=(64,), epochs=8, out=here / "runs" / "own-1", progress=False)
    network.save(here / "network.safetensors")
    three = saved(here, Image.fromarray(picture("3")), "three.png")
    (found,) = predict.main(predict.Options((three,)))
    _, seen = predict.look(three)
    asked: Any = network.predict(seen.reshape(1, 784) / np.float32(255) * largest)
    assert asked.values == [3]
    np.testing.assert_allclose(found, asked.probabilities[0], atol=1e-5)
    (of_file,) = predict.main(predict.Options((three,), run=here / "network.safetensors"))
    np.testing.assert_array_equal(of_file, found)
