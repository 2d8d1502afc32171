"""Pictures in files: what they become, how folders and archives are laid out, and what is refused."""

import io
import os
import shutil
import socket
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps, features

from jaxnaive.data import picture_files, picture_folders, schema, sources, unlabelled
from jaxnaive.networks import handwriting

GREY = np.random.default_rng(0).integers(0, 256, (5, 4), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (5, 4, 3), np.uint8)


def encoded(pixels, kind="PNG", **more):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def flat(grey, shape=(5, 4)):
    """A picture that is known by its grey value."""
    return encoded(np.full(shape, grey, np.uint8))


def laid_out(folder, files):
    """Files by their paths, written below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, members, mode: Any = "w"):
    """A tar of files by their names, or of members as tarfile describes them."""
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.name = name
            member.size = 0 if member is content else len(content)
            archive.addfile(member, None if member is content else io.BytesIO(content))
    return path


def directory(tags, extra=b"", order="<"):
    """A TIFF's header and only directory, as EXIF has it too: tags by number, each (kind, count, bytes)."""
    entries = [
        struct.pack(f"{order}HHI", tag, kind, count) + value.ljust(4, b"\0")
        for tag, (kind, count, value) in sorted(tags.items())
    ]
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return start + b"".join(entries) + bytes(4) + extra


def tiff(width, height, content, bits=8, zero=1, more=()):
    """A TIFF of grey values, in one strip unless there are more tags that say otherwise."""
    numbers = {256: width, 257: height, 258: bits, 259: 1, 262: zero, 277: 1, 278: height, 279: len(content)}
    numbers |= {273: 14 + 12 * len({*numbers, 273, *dict(more)})} | dict(more)
    return directory({tag: (4, 1, struct.pack("<I", value)) for tag, value in numbers.items()}, content)


TWO = {"cats/1.png": flat(1), "cats/2.png": flat(2), "dogs/3.png": flat(3)}


def greys(raw):
    """The grey values of flat pictures."""
    return raw.inputs.reshape(len(raw.inputs), -1)[:, 0].tolist()


def refusal(error, function, *args):
    with pytest.raises(error) as caught:
        function(*args)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- one picture ---------------------------------------------------------------------------------------


AVIF = pytest.param(
    "AVIF", marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "PPM", "WEBP", "TIFF", AVIF])
def test_a_grey_picture_is_its_pixels(tmp_path, kind):
    path = tmp_path / "picture"
    exact = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}}.get(kind, {})
    path.write_bytes(encoded(GREY, kind, **exact))
    read = picture_files.load_picture(path)
    assert read.dtype == np.uint8
    # WEBP knows no grey: it gives three equal channels
    np.testing.assert_array_equal(read, np.stack([GREY] * 3, axis=-1) if kind == "WEBP" else GREY)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "WEBP", "TIFF"])
def test_a_picture_in_colour_is_its_pixels(tmp_path, kind):
    path = tmp_path / "picture"
    path.write_bytes(encoded(COLOUR, kind, **({"lossless": True} if kind == "WEBP" else {})))
    np.testing.assert_array_equal(picture_files.load_picture(path), COLOUR)


def test_a_jpeg_is_nearly_its_pixels_and_stands_upright(tmp_path):
    ramp = np.add.outer(np.arange(0, 160, 10), np.arange(0, 80, 10)).astype(np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter to the right
    (tmp_path / "a.jpg").write_bytes(encoded(np.rot90(ramp).copy(), "JPEG", exif=turned, quality=95))
    assert abs(picture_files.load_picture(tmp_path / "a.jpg").astype(int) - ramp).max() < 10


SIX = (3, 1, struct.pack("<H", 6))  # an orientation: to be turned by a quarter to the right
AFTER = struct.pack("<I", 8 + 2 + 2 * 12 + 4)  # the place after a directory of two tags
EMPTY = (2, 1, b"\0")  # a text


@pytest.mark.parametrize(
    ("exif", "is_turned"),
    [
        (directory({0x112: SIX}), True),
        (directory({0x112: (3, 1, struct.pack(">H", 6))}, order=">"), True),
        (directory({0x112: SIX, 0x11A: (10, 1, AFTER)}, struct.pack("<ii", -72, 1)), True),
        (directory({0x112: SIX, 0x11A: (12, 1, AFTER)}, struct.pack("<d", float("nan"))), True),
        (directory({0x112: SIX, 0x100: (9, 1, struct.pack("<i", -5))}), True),
        (directory({0x112: SIX, 0x11A: EMPTY, 0x128: SIX}), False),  # Pillow's reader of JPEG raises an error
        (directory({0x112: (2, 2, b"6")}), False),
        (directory({0x112: (3, 1, struct.pack("<H", 200))}), False),
        (directory({0x112: (12, 1, struct.pack("<I", 2**31))}), False),
        (directory({0x112: SIX})[:12], False),
        (b"II*\0\xff\xff\xff\x7f", False),
        (bytes(range(60)), False),
    ],
)
def test_strange_exif_is_no_reason_to_refuse_a_picture(exif, is_turned):
    jpeg = encoded(COLOUR, "JPEG", exif=b"Exif\0\0" + exif)
    expected = np.asarray(Image.open(io.BytesIO(encoded(COLOUR, "JPEG"))))
    (read,) = picture_files.stack([("a", jpeg)]).images
    np.testing.assert_array_equal(read, np.rot90(expected, -1) if is_turned else expected)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_an_avif_with_strange_exif_is_read_and_turned_as_it_says_itself():
    resolution = struct.pack("<HHI", 0x11A, 5, 1), struct.pack("<Ii", 72, 1)
    strange = struct.pack("<HHI", 0x11A, 10, 1), struct.pack("<ii", -72, 1)
    exif = b"Exif\0\0" + directory({0x112: SIX, 0x11A: (5, 1, AFTER)}, resolution[1])
    plain = encoded(COLOUR, "AVIF", quality=100, exif=exif)
    odd = plain.replace(resolution[0], strange[0]).replace(resolution[1], strange[1])
    assert odd != plain
    read, expected = picture_files.stack([("odd", odd), ("plain", plain)]).images
    assert read.shape == (4, 5, 3)
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_is_that_of_pillow_also_in_a_tiff_which_is_turned_once(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(COLOUR, "PNG", exif=exif)))))
    for kind in ("PNG", "TIFF"):
        (read,) = picture_files.stack([("a", encoded(COLOUR, kind, exif=exif))]).images
        np.testing.assert_array_equal(read, expected)


def test_of_several_pictures_in_a_file_the_first_is_used_which_is_said(tmp_path, caplog):
    other = Image.fromarray(255 - GREY)
    contents = [
        (kind, encoded(GREY, kind, save_all=True, append_images=[other], **more))
        for kind, more in (("GIF", {}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}))
    ]
    phone = encoded(COLOUR, "MPO", save_all=True, append_images=[Image.fromarray(COLOUR)])
    for name, content in (*contents, ("alone", encoded(GREY)), ("phone", phone)):
        (tmp_path / name).write_bytes(content)
        picture_files.open_picture(tmp_path / name)
    names = [name for name, _ in contents]
    said = "got several pictures in one file; the first is used"
    assert caplog.messages == [f"{tmp_path / name}: {said}" for name in names]
    stacked = picture_files.stack([*contents, ("alone", encoded(GREY)), ("phone", phone)])
    assert all((image == np.stack([GREY] * 3, axis=-1)).all() for image in stacked.images[:5])
    expected = "4 of 6 files hold several pictures; the first is used: GIF, PNG, TIFF, ..."
    assert stacked.notes == (expected,)
    grey = schema.Schema(schema.Scale((5, 4)), schema.Classes(("0", "1")))
    asked = (tmp_path / "GIF").rename(tmp_path / "a.gif")
    caplog.clear()
    unlabelled.encode([asked], grey)
    expected = f"inputs: 1 of 1 files hold several pictures; the first is used: {asked}"
    assert caplog.messages == [expected]


def test_white_of_which_nothing_is_left_on_white_is_refused():
    ink = np.dstack([np.full_like(GREY, 255), np.where(GREY > 100, 255, 0).astype(np.uint8)])
    message = refusal(ValueError, picture_files.stack, [("a", encoded(Image.fromarray(ink)))])
    assert message.endswith(
        "a: got white on transparency, of which nothing is left on white; save it on black"
    )
    ink[0, 0] = 254, 255
    assert picture_files.stack([("a", encoded(Image.fromarray(ink)))]).images.min() == 254
    for alpha in (0, 255):  # what is blank for another reason is a picture
        blank = np.full((5, 4, 2), 255, np.uint8)
        blank[..., 1] = alpha
        assert picture_files.stack([("a", encoded(Image.fromarray(blank)))]).images.min() == 255


def test_what_is_transparent_is_white_and_a_palette_of_greys_is_grey():
    half = np.dstack([COLOUR, np.full((5, 4), 102, np.uint8)])
    gone = np.dstack([GREY, np.where(GREY > 100, 255, 0).astype(np.uint8)])
    marked = Image.fromarray(np.array([[7, 9]], np.uint8))
    kept = picture_files.stack([("a", encoded(half))]).images[0]
    np.testing.assert_allclose(kept, 255 - 0.4 * (255 - COLOUR.astype(float)), atol=1)
    np.testing.assert_array_equal(
        picture_files.stack([("a", encoded(Image.fromarray(gone)))]).images[0],
        np.where(GREY > 100, GREY, 255),
    )
    assert picture_files.stack([("a", encoded(marked, transparency=7))]).images.tolist() == [[[255, 9]]]
    palette = encoded(Image.fromarray(COLOUR).quantize(16))
    assert picture_files.stack([("a", palette)]).images.shape == (1, 5, 4, 3)
    palette = encoded(Image.fromarray(GREY // 64 * 64).convert("RGB").quantize(16))
    np.testing.assert_array_equal(picture_files.stack([("a", palette)]).images[0], GREY // 64 * 64)


def test_one_bit_is_black_or_white_and_of_a_gif_the_first_picture_is_taken():
    bits = Image.fromarray(GREY > 100)
    assert set(np.unique(picture_files.stack([("a", encoded(bits))]).images)) == {0, 255}
    moving = encoded(GREY, "GIF", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    np.testing.assert_array_equal(picture_files.stack([("a", moving)]).images[0], GREY)


def test_sixteen_bits_are_kept_unless_another_picture_has_eight(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    png, pgm = encoded(deep), b"P5 4 5 65535\n" + deep.astype(">u2").tobytes()
    both = picture_files.stack([("a.png", png), ("b.pgm", pgm)]).images
    assert both.dtype == np.uint16
    np.testing.assert_array_equal(both, [deep, deep])
    for mixed in (
        [("a", png), ("b", encoded(GREY))],
        [("a", encoded(GREY)), ("b", png)],
    ):
        images = picture_files.stack(mixed).images
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, [GREY, GREY])
    (tmp_path / "a.png").write_bytes(png)
    np.testing.assert_array_equal(picture_files.load_picture(tmp_path / "a.png"), GREY)
    small = picture_files.stack([("a", encoded(np.full((4, 4), 60_000, np.uint16)))], (2, 2)).images
    assert small.tolist() == [[[60_000] * 2] * 2] and small.dtype == np.uint16


def test_what_is_transparent_in_sixteen_bits_is_white():
    deep = np.array([[500, 501]], np.uint16)
    assert picture_files.stack([("a", encoded(deep, transparency=500))]).images.tolist() == [[[65535, 501]]]


@pytest.mark.parametrize(
    "content",
    [
        encoded(GREY / np.float32(255), "TIFF"),
        encoded(GREY.astype(np.int32), "TIFF"),
        encoded(Image.fromarray(COLOUR).convert("LAB"), "TIFF"),
        tiff(2, 2, bytes(8), bits=16, zero=0),  # 0 is white, which Pillow passes over
        tiff(2, 2, bytes(6), bits=12),  # of 4095, which Pillow passes over
        b"Pf 1 1 -1\n\0\0\0\0",
    ],
    ids=["float", "32 bits", "lab", "white is 0", "12 bits", "pfm"],
)
def test_numbers_of_no_known_range_are_refused(content):
    message = refusal(ValueError, picture_files.stack, [("a", content)])
    assert "expected grey values or colours of a known range; save it as PNG" in message


def test_kinds_of_tiff_that_are_read():
    flat = np.full((2, 2), 16, np.uint8)
    for content, expected in (
        (tiff(2, 2, flat.tobytes()), flat),
        (tiff(2, 2, flat.tobytes(), zero=0), 255 - flat),
        (tiff(2, 2, (flat * np.uint16(257)).tobytes(), bits=16), flat * np.uint16(257)),
        (encoded(flat > 9, "TIFF", compression="group4"), np.full_like(flat, 255)),
        (encoded(Image.fromarray(COLOUR).convert("CMYK"), "TIFF"), COLOUR),
        (encoded(COLOUR, "TIFF", compression="tiff_lzw"), COLOUR),
        (encoded(Image.fromarray(np.dstack([GREY, GREY])), "TIFF"), 255 - GREY / 255 * (255.0 - GREY)),
    ):
        np.testing.assert_allclose(picture_files.stack([("a", content)]).images[0], expected, atol=1)


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heic_is_named(tmp_path, brand):
    content = b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(100)
    files = TWO | {f"{kind}/{number}.heic": content for kind in ("cats", "dogs") for number in range(2)}
    message = refusal(ValueError, picture_folders.read, laid_out(tmp_path, files))
    assert "got 4 of 7 pictures that cannot be read" in message
    assert message.endswith("cats/0.heic: a HEIC picture, which cannot be read here; save it as JPEG or PNG")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), struct.error("short"), SyntaxError("broken"), OSError(5, "no\nmore"), RecursionError(),
     AssertionError(), KeyError(7), OverflowError("large"), EOFError()],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_whatever_a_decoder_raises_the_other_pictures_are_read(tmp_path, monkeypatch, error):
    load, whole = ImageFile.ImageFile.load, encoded(GREY)

    def fail(image):
        if image.size == (1, 1):
            raise error
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    (tmp_path / "bad.png").write_bytes(encoded([[np.uint8(1)]]))
    for function in (handwriting.read, picture_files.load_picture):
        message = refusal(ValueError, function, tmp_path / "bad.png")
        assert message.startswith(f"{tmp_path}/bad.png: ") and not message.endswith(("()", ": "))
    stacked = picture_files.stack([("a", whole), ("bad", encoded([[np.uint8(1)]])), ("c", whole)])
    assert stacked.kept.tolist() == [0, 2]


def test_of_a_huge_jpeg_that_is_resized_only_what_is_decoded_is_counted(monkeypatch):
    monkeypatch.setattr(picture_files, "MAX_PIXELS", 10_000)
    ramp = np.add.outer(np.arange(400) / 4, np.arange(400) / 4).astype(np.uint8)
    huge, progressive = encoded(ramp, "JPEG"), encoded(ramp, "JPEG", progressive=True)
    (small,) = picture_files.stack([("a", huge)], (10, 20)).images
    assert abs(small - ramp.reshape(10, 40, 20, 20).mean(axis=(1, 3))).max() < 3
    # The parts of a progressive one are kept until the last has come.
    for content, size in ((huge, None), (progressive, (10, 20)), (encoded(ramp), (10, 20))):
        message = refusal(ValueError, picture_files.stack, [("a", content)], size)
        assert "got 400 x 400 pixels, expected at most 10,000 in all; make it smaller" in message


def test_a_small_tiff_of_huge_tiles_is_refused():
    packed = zlib.compress(bytes(10**6))
    for side, is_trap in ((1000, False), (8000, True)):
        tags = {259: 8, 322: side, 323: side, 324: 14 + 12 * 13, 325: len(packed)}
        content = [("a", tiff(16, 16, packed, more=tags.items()))]
        if is_trap:
            assert "got 8,000 x 8,000 pixels" in refusal(ValueError, picture_files.stack, content)
        else:
            assert picture_files.stack(content).images.shape == (1, 16, 16)


def test_a_picture_of_another_kind_a_damaged_a_huge_one_and_a_pipe_are_refused(tmp_path):
    huge = b"IHDR" + struct.pack(">IIBBBBB", 8000, 7000, 8, 0, 0, 0, 0)
    checked = struct.pack(">I", 13) + huge + struct.pack(">I", zlib.crc32(huge))
    path = tmp_path / "a.png"
    for content, message in (
        (
            b"hello",
            "not a PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF or AVIF picture, or cut off; save it as PNG or JPEG",
        ),
        (encoded(COLOUR, "EPS"), "not a PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF or AVIF picture"),
        (encoded(np.tile(COLOUR, (4, 4, 1)), "ICO"), "not a PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF or AVIF"),
        (encoded(COLOUR, "TIFF", compression="tiff_lzw")[:-20], ""),
        (encoded(np.tile(COLOUR, (50, 50, 1)), "JPEG")[:9000], "a damaged picture (image file is truncated"),
        (encoded(GREY)[:60], "a damaged picture ("),
        (
            b"\x89PNG\r\n\x1a\n" + checked + b"\0\0\0\0IDAT",
            "got 8,000 x 7,000 pixels, expected at most 50,000,000",
        ),
    ):
        path.write_bytes(content)
        assert refusal(ValueError, picture_files.load_picture, path).startswith(f"{path}: {message}")
    refusal(FileNotFoundError, picture_files.load_picture, tmp_path / "missing.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert refusal(ValueError, picture_files.load_picture, tmp_path / "pipe.png").endswith("not a file")


def test_handwriting_opens_pictures_here(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "MAX_PIXELS", 19)
    (tmp_path / "a.png").write_bytes(encoded(GREY))
    assert "got 4 x 5 pixels, expected at most 19" in refusal(
        ValueError, handwriting.read, tmp_path / "a.png"
    )


# --- many pictures ---------------------------------------------------------------------------------------


def test_greys_stay_grey_and_among_colours_they_become_colour():
    grey, colour = ("a", encoded(GREY)), ("b", encoded(COLOUR))
    as_colour = np.stack([GREY] * 3, axis=-1)
    alone = picture_files.stack([grey, grey])
    np.testing.assert_array_equal(alone.images, [GREY, GREY])
    assert alone.kept.tolist() == [0, 1] and alone.kept.dtype == np.int64 and alone.notes == ()
    np.testing.assert_array_equal(picture_files.stack([grey, colour]).images, [as_colour, COLOUR])
    np.testing.assert_array_equal(picture_files.stack([colour, grey]).images, [COLOUR, as_colour])


def test_those_that_cannot_be_read_are_left_out_counted_and_named(monkeypatch):
    good = [(f"{number}.png", flat(number)) for number in range(5)]
    bad = [(f"bad {number}", b"hello") for number in range(4)]
    stacked = picture_files.stack([bad[0], good[0], good[1], bad[1], good[2]])
    assert stacked.images[:, 0, 0].tolist() == [0, 1, 2] and stacked.kept.tolist() == [1, 2, 4]
    assert stacked.notes == ("2 of 5 pictures cannot be read and are left out: bad 0, bad 1",)
    many = picture_files.stack([*good, *bad])
    assert many.notes == ("4 of 9 pictures cannot be read and are left out: bad 0, bad 1, bad 2, ...",)
    half = refusal(ValueError, picture_files.stack, [good[0], *bad[:2]])
    assert half.startswith(
        "pictures: got 2 of 3 pictures that cannot be read, expected at most half of them; the "
        "first: bad 0: not a"
    )
    assert "got 1 of 1 pictures" in refusal(ValueError, picture_files.stack, bad[:1])
    assert refusal(ValueError, picture_files.stack, []) == "pictures: got none, expected at least one"
    monkeypatch.setattr(picture_files, "MAX_BYTES", len(good[0][1]) - 1)
    assert "bytes, expected at most" in refusal(ValueError, picture_files.stack, good[:1])


def test_different_sizes_are_refused_and_resized_on_request(monkeypatch):
    sizes = [(5, 4)] * 3 + [(6, 4)] * 2 + [(7, 4), (8, 4)]
    contents = [(f"{number}", flat(number, size)) for number, size in enumerate(sizes)]
    assert refusal(ValueError, picture_files.stack, contents) == (
        "pictures: got 4 sizes in 7 pictures, height x width: 5 x 4 (3), 6 x 4 (2), 7 x 4 (1), ...; expected "
        "one; resize on request: size=(5, 4) (--size 5 4)"
    )
    resized = picture_files.stack(contents, (3, 9)).images
    assert resized.shape == (7, 3, 9) and (resized == np.arange(7)[:, None, None]).all()
    assert "size: got (0, 4)" in refusal(ValueError, picture_files.stack, contents, (0, 4))
    monkeypatch.setattr(picture_files, "ENOUGH", 5)
    assert "got 2 sizes in 5 pictures" in refusal(ValueError, picture_files.stack, contents)


def test_made_smaller_a_pixel_is_the_mean_of_what_it_covers_and_made_larger_it_is_interpolated():
    fine = np.random.default_rng(0).integers(0, 256, (6, 8), np.uint8)
    (small,) = picture_files.stack([("a", encoded(fine))], (3, 2)).images
    np.testing.assert_allclose(small, fine.reshape(3, 2, 2, 4).mean(axis=(1, 3)), atol=0.51)
    (large,) = picture_files.stack([("a", encoded(np.array([[0, 200]], np.uint8)))], (1, 4)).images
    assert large.tolist() == [[0, 50, 150, 200]]


def test_a_large_jpeg_is_resized_as_if_it_were_decoded_in_full():
    ramp = np.add.outer(np.arange(400) / 4, np.arange(400) / 4).astype(np.uint8)
    (small,) = picture_files.stack([("a", encoded(ramp, "JPEG", quality=95))], (10, 20)).images
    expected = ramp.reshape(10, 40, 20, 20).mean(axis=(1, 3))
    assert abs(small - expected).max() < 3


def test_pictures_that_do_not_fit_into_memory_are_refused(monkeypatch):
    def no_room(*_):
        raise MemoryError

    contents = [("a", encoded(GREY)), ("b", encoded(GREY))]
    monkeypatch.setattr(np, "empty", no_room)
    message = refusal(ValueError, picture_files.stack, contents)
    assert message.startswith("pictures: got 2 pictures of 5 x 4, which do not fit into memory; resize on")


# --- folders of classes ------------------------------------------------------------------------------------


def test_a_folder_for_each_class(tmp_path):
    names = ["10/a.png", "9/10.PNG", "9/9.png", "9/deeper/1.png", "1/x.png"]
    raw = picture_folders.read(laid_out(tmp_path, {name: flat(grey) for grey, name in enumerate(names)}))
    assert raw.labels.tolist() == ["1", "9", "9", "9", "10"] and greys(raw) == [4, 2, 1, 3, 0]
    assert raw.inputs.shape == (5, 5, 4) and raw.inputs.dtype == np.uint8
    assert raw.class_names is None and raw.test is None and raw.notes == ()


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"), ("Train", "TEST"), ("train", "val"), ("train", "valid"), ("train", "Validation"),
        ("training", "testing"), ("Training", "Test"), ("seg_train", "seg_test"), ("train", "dev"),
        ("seg_train/seg_train", "seg_test/seg_test"), ("2-train-images", "1 (test)"),
    ],
)  # fmt: skip
def test_a_training_and_a_test_set(tmp_path, train, test):
    files = {f"{train}/{name}": content for name, content in TWO.items()}
    raw: Any = picture_folders.read(laid_out(tmp_path, files | {f"{test}/dogs/4.png": flat(4)}))
    assert raw.labels.tolist() == ["cats", "cats", "dogs"] and greys(raw) == [1, 2, 3]
    assert raw.test.labels.tolist() == ["dogs"] and greys(raw.test) == [4] and raw.notes == ()


def test_with_a_test_set_a_validation_set_is_left_out_and_so_is_what_is_in_no_class(tmp_path):
    files = {
        f"{split}/{name}": content for split in ("train", "val", "test") for name, content in TWO.items()
    }
    more = {"test/unknown.png": flat(9), "logo.png": flat(9), "extra/cats/1.png": flat(9)}
    raw = picture_folders.read(laid_out(tmp_path, files | more))
    assert greys(raw) == greys(raw.test) == [1, 2, 3]
    assert raw.notes == (
        "3 pictures in no class folder are left out: extra/cats/1.png, logo.png, test/unknown.png",
        "3 pictures of a validation set are left out, since there is a test set",
    )


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["train/1.png", "car/1.png"], ["car", "train"]),
        (["train/steam/1.png", "train/diesel/2.png", "car/red/3.png"], ["car", "train", "train"]),
        (["train/steam/1.png", "test tube/glass/2.png", "car/steam/3.png"], ["car", "test tube", "train"]),
        (["train/a/1.png", "train/train/2.png", "test/a/3.png"], ["a", "train"]),
    ],
)
def test_a_class_may_be_called_train(tmp_path, names, classes):
    raw = picture_folders.read(laid_out(tmp_path, dict.fromkeys(names, flat(1))))
    assert raw.labels.tolist() == classes


def test_training_pictures_alone_have_no_test_set(tmp_path):
    files = {f"train/{name}": content for name, content in TWO.items()}
    raw = picture_folders.read(laid_out(tmp_path, files | {"test/1.png": flat(9), "logo.png": flat(9)}))
    assert raw.labels.tolist() == ["cats", "cats", "dogs"] and raw.test is None
    assert raw.notes == ("2 pictures in no class folder are left out: logo.png, test/1.png",)


def test_a_tar_that_begins_with_the_folder_itself_has_no_folder_without_a_picture(tmp_path):
    made = shutil.make_archive(str(tmp_path / "made"), "tar", laid_out(tmp_path / "pets", TWO))
    with tarfile.open(made) as archive:
        assert archive.getnames()[0] == "."
    raw = picture_folders.read(Path(made))
    assert greys(raw) == [1, 2, 3] and raw.notes == ()


def test_other_files_are_passed_over_and_counted_unless_a_system_left_them(tmp_path):
    junk = (
        ".DS_Store",
        "cats/Thumbs.db",
        "cats/._1.png",
        "__MACOSX/cats/1.png",
        ".git/a/1.png",
        "desktop.ini",
    )
    files = dict.fromkeys(junk, b"junk") | {"README.txt": b"", "LICENSE": b"", "cats/1.TXT": b""}
    laid_out(tmp_path, TWO | files)
    (tmp_path / "mice").mkdir()
    raw = picture_folders.read(tmp_path)
    assert greys(raw) == [1, 2, 3]
    assert raw.notes == (
        "3 other files are passed over: .txt, no suffix",
        "folders without a picture: mice",
    )


def test_damaged_pictures_of_both_sets_are_left_out(tmp_path):
    files = {f"{split}/{name}": content for split in ("train", "test") for name, content in TWO.items()}
    raw: Any = picture_folders.read(
        laid_out(tmp_path, files | {"train/cats/1.png": b"", "test/cats/2.png": b""})
    )
    assert raw.labels.tolist() == ["cats", "dogs"] and greys(raw) == [2, 3]
    assert raw.test.labels.tolist() == ["cats", "dogs"] and greys(raw.test) == [1, 3]
    assert raw.notes == (
        "1 of 3 pictures cannot be read and are left out: train/cats/1.png",
        "1 of 3 pictures cannot be read and are left out: test/cats/2.png",
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["a.png", "b.png"],
            "got pictures in no class folder, such as a.png; expected CLASS/*.png, or train/",
        ),
        (
            ["cats/a.png", "cats/b.png"],
            "got one class only, cats, expected a folder for each class: CLASS/*.png",
        ),
        (
            ["train/a.png", "test/a.png"],
            "got pictures right below test, train; expected CLASS/*.png, or train/",
        ),
        (
            ["test/a/1.png", "val/a/1.png"],
            "got pictures right below test, val; expected CLASS/*.png, or train/",
        ),
        (
            ["train/a/1.png", "train/b/1.png", "test/c/1.png", "test/a/1.png"],
            "got test pictures of classes without training pictures, c; expected the same folders in both",
        ),
        (
            ["a.csv", "b.svg"],
            "holds no pictures but .csv, .svg, expected CLASS/*.png, or train/CLASS/*.png and",
        ),
        ([".hidden.png"], "holds no pictures, expected CLASS/*.png"),
    ],
)
def test_other_layouts_are_refused(tmp_path, names, message):
    folder = laid_out(tmp_path, {name: flat(1) for name in names})
    assert refusal(ValueError, picture_folders.read, folder).startswith(f"{folder}: {message}")


def test_different_sizes_of_training_and_test_set_are_refused(tmp_path):
    files = {f"train/{name}": content for name, content in TWO.items()} | {"test/cats/1.png": flat(4, (6, 6))}
    laid_out(tmp_path, files)
    message = refusal(ValueError, picture_folders.read, tmp_path)
    assert message.startswith(
        f"{tmp_path}: got 2 sizes in 4 pictures, height x width: 5 x 4 (3), 6 x 6 (1); "
    )
    raw = picture_folders.read(tmp_path, (3, 3))
    assert raw.inputs.shape == (3, 3, 3) and greys(raw.test) == [4]


def test_pictures_take_a_size_and_no_options_of_a_table(tmp_path):
    for path in (laid_out(tmp_path / "a", TWO), zipped(tmp_path / "a.zip", TWO)):
        assert sources.read(path, size=(3, 2)).inputs.shape == (3, 3, 2)
        expected = f"label: got 0 for {path}, which is no table, expected none"
        assert refusal(ValueError, sources.read, path, 0) == expected
        expected = f"ignore: got ['b'] for {path}, which is no table, expected none"
        assert refusal(ValueError, sources.read, path, None, ["b"]) == expected


def test_links_are_followed_only_inside(tmp_path):
    folder, outside = laid_out(tmp_path / "in", TWO), laid_out(tmp_path / "out", TWO)
    (folder / "mice").symlink_to(folder / "dogs")
    (folder / "dogs" / "again.png").symlink_to("../cats/1.png")
    (folder / "cats" / "round").symlink_to(folder)
    (folder / "cats" / "itself.png").symlink_to("itself.png")
    (folder / "cats" / "lost.png").symlink_to("nothing.png")
    raw = picture_folders.read(folder)
    assert raw.labels.tolist() == ["cats"] * 2 + ["dogs"] * 2 + ["mice"] * 2
    assert greys(raw) == [1, 2, 3, 1, 3, 1]
    assert raw.notes == (
        "links, pipes and devices are passed over: cats/itself.png, cats/lost.png, cats/round",
    )
    for link, target in (
        ("dogs/x.png", outside / "cats/1.png"),
        ("birds", outside / "cats"),
        ("up", tmp_path),
    ):
        (folder / link).symlink_to(target)
        message = refusal(ValueError, picture_folders.read, folder)
        assert message == f"{folder}/{link}: got a link that leads out of the folder; put a copy in its place"
        (folder / link).unlink()


def test_pipes_and_sockets_are_passed_over(tmp_path, monkeypatch):
    laid_out(tmp_path, TWO)
    os.mkfifo(tmp_path / "cats" / "pipe.png")
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("dogs/socket.png")
        raw = picture_folders.read(tmp_path)
    assert greys(raw) == [1, 2, 3]
    assert raw.notes == ("links, pipes and devices are passed over: cats/pipe.png, dogs/socket.png",)


def test_a_name_that_is_not_utf_8_can_be_printed(tmp_path):
    (tmp_path / "cats").mkdir()
    os.rename(tmp_path / "cats", os.fsencode(tmp_path) + b"/\xff")  # noqa: PTH104
    laid_out(tmp_path, {"dogs/1.png": flat(1)})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff/1.png")).write_bytes(flat(2))
    assert picture_folders.read(tmp_path).labels.tolist() == ["\\udcff", "dogs"]


# --- archives


@pytest.mark.parametrize("suffix", picture_folders.ARCHIVES)
@pytest.mark.parametrize("top", ["", "pets/"], ids=["as it is", "in a folder"])
def test_an_archive_is_as_its_folder(tmp_path, suffix, top):
    files = {f"{split}/{name}": content for split in ("train", "test") for name, content in TWO.items()} | {
        "train/cats/10.png": b"",
        "train/mice.txt": b"",
    }
    folder = laid_out(tmp_path / "folder", {f"{top}{name}": content for name, content in files.items()})
    (folder / top / "train" / "birds").mkdir()
    kind = {".zip": "zip", ".tar": "tar", ".tar.bz2": "bztar", ".tar.xz": "xztar"}.get(suffix, "gztar")
    made = Path(shutil.make_archive(str(tmp_path / "made"), kind, folder))
    path = made.rename(tmp_path / f"pets{suffix.upper()}")
    raw: Any = picture_folders.read(path)
    expected: Any = picture_folders.read(folder / top)
    for own, other in ((raw, expected), (raw.test, expected.test)):
        np.testing.assert_array_equal(own.inputs, other.inputs)
        np.testing.assert_array_equal(own.labels, other.labels)
    assert raw.notes == tuple(note.replace("train/cats/10", f"{top}train/cats/10") for note in expected.notes)
    assert len(raw.notes) == 3


def test_the_order_in_an_archive_does_not_matter(tmp_path):
    backwards = dict(reversed(TWO.items()))
    for path in (zipped(tmp_path / "a.zip", backwards), tarred(tmp_path / "a.tgz", backwards, "w:gz")):
        raw = picture_folders.read(path)
        assert raw.labels.tolist() == ["cats", "cats", "dogs"] and greys(raw) == [1, 2, 3]


def test_the_only_folder_of_an_archive_may_be_a_class(tmp_path):
    for files in ({"cats/1.png": flat(1)}, {"pets/cats/1.png": flat(1)}):
        path = zipped(tmp_path / "a.zip", files)
        assert "got one class only, cats" in refusal(ValueError, picture_folders.read, path)


def test_a_zip_of_windows_has_other_slashes(tmp_path):
    made = zipped(tmp_path / "a.zip", {name.replace("/", "!"): content for name, content in TWO.items()})
    made.write_bytes(made.read_bytes().replace(b"cats!", b"cats\\").replace(b"dogs!", b"dogs\\"))
    assert picture_folders.read(made).labels.tolist() == ["cats", "cats", "dogs"]


@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "cats/../../x.png", "../notes.txt"])
def test_a_path_that_leads_out_of_an_archive_is_refused(tmp_path, make, name):
    path = make(tmp_path / ("a.zip" if make is zipped else "a.tar"), TWO | {name: b""})
    expected = f"{path}: got an entry that leads out of it, {name}"
    assert refusal(ValueError, picture_folders.read, path) == expected


def test_links_and_devices_in_an_archive_are_passed_over(tmp_path):
    special = {}
    for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
        special[f"cats/{name}.png"] = member = tarfile.TarInfo()
        member.type, member.linkname = kind, "/etc/passwd"
    raw = picture_folders.read(tarred(tmp_path / "a.tar", TWO | special))
    assert greys(raw) == [1, 2, 3]
    assert raw.notes == (
        "links, pipes and devices are passed over: cats/link.png, cats/hard.png, cats/pipe.png",
    )
    link = zipfile.ZipInfo("cats/link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(zipped(tmp_path / "a.zip", TWO), "a") as archive:
        archive.writestr(link, "/etc/passwd")
    raw = picture_folders.read(tmp_path / "a.zip")
    assert greys(raw) == [1, 2, 3]
    assert raw.notes == ("links, pipes and devices are passed over: cats/link.png",)


def test_traps_are_refused(tmp_path, monkeypatch):
    bomb = TWO | {"cats/zeros.png": bytes(10**6)}
    paths = [
        zipped(tmp_path / "a.zip", bomb),
        tarred(tmp_path / "a.tgz", bomb, "w:gz"),
        tarred(tmp_path / "a.tar", bomb),
    ]
    assert all("cats/zeros.png" in picture_folders.read(path).notes[0] for path in paths)  # small: harmless
    monkeypatch.setattr(picture_folders, "SMALL", 10**5)
    monkeypatch.setattr(picture_folders, "MAX_RATIO", 100)
    assert refusal(ValueError, picture_folders.read, paths[0]) == (
        f"{paths[0]}: cats/zeros.png: got 1,000 bytes that unpack to 1,000,000, expected at most "
        "20,000,000,000, and 100 times as many; if you trust it, unpack it and load the folder"
    ).replace("1,000 bytes", f"{zipfile.ZipFile(paths[0]).getinfo('cats/zeros.png').compress_size:,} bytes")
    assert f"{paths[1]}: got " in refusal(ValueError, picture_folders.read, paths[1])
    assert len(picture_folders.read(paths[2]).inputs) == 3
    monkeypatch.setattr(picture_folders, "MAX_RATIO", 10**9)
    monkeypatch.setattr(picture_folders, "MAX_UNPACKED", 10**6)  # which all together have, and none alone
    for path in paths:
        assert "expected at most 1,000,000, and" in refusal(ValueError, picture_folders.read, path)


def test_an_encrypted_archive_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", TWO)
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # of a file, and of its line in the directory
        content[content.index(signature) + place] |= 1
    path.write_bytes(content)
    assert refusal(ValueError, picture_folders.read, path) == (
        f"{path}: got an encrypted archive; unpack it and load the folder"
    )


@pytest.mark.parametrize("suffix", picture_folders.ARCHIVES)
def test_an_archive_that_is_cut_off_or_something_else_is_refused(tmp_path, suffix):
    mode = {".zip": "", ".tar": "w", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}.get(suffix, "w:gz")
    path = tmp_path / f"a{suffix}"
    files = {f"{kind}/{number}.png": flat(number) for kind in "ab" for number in range(20)}
    whole = (tarred(path, files, mode) if mode else zipped(path, files)).read_bytes()
    lengths = [0, 1, 100, len(whole) // 2, 3 * len(whole) // 4 // 512 * 512]
    for content in (b"hello" * 200, *(whole[:length] for length in lengths)):
        path.write_bytes(content)
        message = refusal(ValueError, picture_folders.read, path)
        assert message.startswith(f"{path}: a damaged archive, or one that is cut off (")


def test_a_tar_that_is_cut_off_between_two_files_is_refused(tmp_path):
    path = tarred(tmp_path / "a.tar", TWO)
    path.write_bytes(path.read_bytes()[: 2 * 3 * 512])
    assert refusal(ValueError, picture_folders.read, path).endswith("(it has no end)")


def test_a_picture_that_is_damaged_in_a_zip_is_left_out(tmp_path):
    path = zipped(tmp_path / "a.zip", TWO)
    content = bytearray(path.read_bytes())
    content[content.index(b"cats/2.png") + 30] ^= 255
    path.write_bytes(content)
    raw = picture_folders.read(path)
    assert greys(raw) == [1, 3]
    assert raw.notes == ("1 of 3 pictures cannot be read and are left out: cats/2.png",)


def test_a_zip_that_names_places_before_its_beginning_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", TWO)
    content = bytearray(path.read_bytes())
    content[-6:-2] = struct.pack("<I", 100_000)  # where the directory begins, which moves all files
    path.write_bytes(content)
    message = refusal(ValueError, picture_folders.read, path)
    assert message.startswith(f"{path}: got 3 of 3 pictures that cannot be read") and "cut off" in message


def test_an_archive_without_pictures_says_what_to_do(tmp_path):
    path = zipped(tmp_path / "a.zip", {"train.csv": b"", "test.csv": b""})
    message = refusal(ValueError, picture_folders.read, path)
    assert message.startswith(f"{path}: holds no pictures but .csv, expected CLASS/*.png")
    assert message.endswith("; if it holds other data, unpack it and load the folder")


def test_what_is_not_there_and_what_may_not_be_read(tmp_path):
    refusal(FileNotFoundError, picture_folders.read, tmp_path / "a.zip")
    os.mkfifo(tmp_path / "b.zip")
    assert refusal(ValueError, picture_folders.read, tmp_path / "b.zip").endswith("not a file")


# --- what is a picture --------------------------------------------------------------------------------------


def test_a_picture_is_known_by_its_suffix():
    pictures = (
        "a.png",
        "b/c.JPG",
        "a.jpeg",
        "a.bmp",
        "a.gif",
        "a.webp",
        "a.pgm",
        "a.ppm",
        "a.tif",
        "a.avif",
        "a.HEIC",
    )
    assert all(picture_files.is_picture_file(Path(name)) for name in pictures)
    assert not any(
        picture_files.is_picture_file(Path(name)) for name in ("a", "png", "a.csv", "._a.png", "a.svg")
    )


def test_a_folder_of_pictures_is_known_by_one_picture(tmp_path, monkeypatch):
    laid_out(
        tmp_path, {"text/a.txt": b"", "hidden/.cache/a.png": b"", "deep/er/a.png": b"", "here/a.png": b""}
    )
    assert not picture_folders.is_picture_folder(tmp_path / "text")
    assert not picture_folders.is_picture_folder(tmp_path / "hidden")
    assert not picture_folders.is_picture_folder(tmp_path / "missing")
    assert picture_folders.is_picture_folder(tmp_path / "deep")
    assert picture_folders.is_picture_folder(tmp_path / "here")
    monkeypatch.setattr(picture_folders, "MAX_LOOKED_AT", 0)
    assert not picture_folders.is_picture_folder(tmp_path / "deep")
