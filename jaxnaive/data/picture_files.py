"""Pictures in files: decoded, turned upright, put on white and stacked in one array.

Such files come from anywhere, and are not trusted. A picture is decoded only if its header, whatever its
suffix, names one of a few formats and not too many pixels, and nothing is read from a pipe, which might never
end. Of the metadata only the orientation is used.

White is the background of all pictures of a dataset, and of those that its network is asked about later: if
it depended on the picture, one colour would become different numbers.
"""

import io
import logging
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# As Pillow calls them; PGM and PBM are PPM to it.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF", "AVIF")
SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".gif", ".webp", ".ppm", ".pgm",
    ".pbm", ".pnm", ".tif", ".tiff", ".avif",
)  # fmt: skip
UNREAD = (".heic", ".heif")  # of pictures too: Pillow has no reader, and to pass them over would lose them
HEIC = re.compile(rb"....ftyp.{0,52}he[iv][cxms]", re.DOTALL)  # the first bytes of such a file
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I", "I;16", "I;16B", "I;16L")
JUNK = ("__macosx", "thumbs.db", "desktop.ini")  # which systems leave beside pictures

MAX_PIXELS = 50_000_000  # of one picture, as it is decoded
MAX_BYTES = 2**28  # of one picture's file
ENOUGH = 1000  # pictures, when they are of different sizes: the next ones are not counted
SAID = 3  # names or sizes in a message
TIFF_BITS, TIFF_ZERO, TIFF_TILE = 258, 262, (322, 323)  # tags: bits a number, what 0 is, a tile's sides
TIFF_BLACK = 1

logger = logging.getLogger("jaxnaive")


class PictureFile(NamedTuple):
    """A picture that is not read yet."""

    name: str  # in messages
    size: int  # bytes
    read: Callable[[], bytes]


class _RefusedError(Exception):
    """A picture that can be decoded, but is not."""


class Decoded(NamedTuple):
    """Pictures in one array, in which those that cannot be read are not written."""

    images: np.ndarray  # [count, ...]
    bad: dict[int, str]  # by place: why a picture cannot be read
    several: set[int]  # places of pictures of which each is the first of several in its file


class Stacked(NamedTuple):
    """Pictures in one array."""

    images: np.ndarray  # uint8 [n, height, width] or [n, height, width, 3]; uint16 if all have 16 bits
    kept: np.ndarray  # int64 [n]: which of the given pictures they are
    notes: tuple[str, ...]


def is_picture_file(path: Path) -> bool:
    """Whether a file's name is that of a picture."""
    return path.name.lower().endswith(SUFFIXES + UNREAD) and not is_junk(path.name)


def is_junk(name: str) -> bool:
    """Whether a file or a folder is hidden, or one that a system leaves beside pictures."""
    return name.startswith(".") or name.lower() in JUNK


def load_picture(path: Path) -> np.ndarray:
    """One picture, upright and on white: uint8 ``[height, width]`` if it is grey, or ``[height, width, 3]``.

    Raises:
      ValueError: it is no picture, or damaged, or has more than 50 million pixels.
      OSError: it cannot be read.
    """
    image = open_picture(path)
    with errors_named(str(path)):
        return _to_8_bits(_pixels(image))


def stack(contents: Sequence[tuple[str, bytes]], size: tuple[int, int] | None = None) -> Stacked:
    """Pictures in one array: grey if all of them are, otherwise in colour; upright and on white.

    Args:
      contents: for each picture a name, which messages use, and the bytes of its file.
      size: height and width to which they are resized. Default: they have to be of one size.

    Returns:
      Those that can be read.

    Raises:
      ValueError: more than half of them cannot be read, or they are of different sizes.
    """
    if not contents:
        raise ValueError("pictures: got none, expected at least one")
    files = [PictureFile(name, len(content), partial(bytes, content)) for name, content in contents]
    names = [file.name for file in files]
    decoded = decode_all("pictures", enumerate(files), len(names), size)
    return stacked("pictures", decoded, names, range(len(names)))


# --- one picture ---------------------------------------------------------------------------------------


def open_picture(path: Path, side: int | None = None) -> Any:
    """The picture of a file, decoded and turned upright, as a ``PIL.Image``; of several the first.

    Args:
      path: of a file.
      side: pixels, below which neither height nor width has to be kept: a large JPEG is decoded at down to an
        eighth of its size.

    Raises:
      ValueError: it is of another format, or damaged, or has more than 50 million pixels.
      OSError: it cannot be read.
    """
    check_is_no_pipe(path)
    file = PictureFile(str(path), path.stat().st_size, path.read_bytes)
    image, is_first_of_several = _decode(file, side)
    if is_first_of_several:
        logger.warning("%s: got several pictures in one file; the first is used", path)
    return image


def on_background(image: Any, colour: str) -> Any:
    """A ``PIL.Image`` in mode RGBA, with a background in place of what is transparent in it."""
    from PIL import Image

    return Image.alpha_composite(Image.new("RGBA", image.size, colour), image)


def sixteen_bits(image: Any) -> np.ndarray:
    """Grey values, 0 to 65535, of a ``PIL.Image`` whose mode begins with I; what is transparent is white.

    ``convert("L")`` would cut them off.
    """
    numbers = np.asarray(image).astype(np.float32)
    transparent = image.info.get("transparency")
    return numbers if transparent is None else np.where(numbers == transparent, np.float32(65535), numbers)


def check_is_no_pipe(path: Path) -> None:
    """Raise ``ValueError`` for a pipe or a device, reading from which might never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path}: not a file")


@contextmanager
def errors_named(name: str) -> Iterator[None]:
    """Raise ``ValueError`` in one line for whatever a decoder of pictures raises inside the block."""
    from PIL import Image

    try:
        yield
    except _RefusedError as error:
        raise ValueError(f"{name}: {error}") from error
    except Image.UnidentifiedImageError as error:
        expected = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise ValueError(f"{name}: not a {expected} picture, or cut off; save it as PNG or JPEG") from error
    except Image.DecompressionBombError as error:
        expected = f"expected at most {MAX_PIXELS:,} pixels"
        raise ValueError(f"{name}: {expected} ({error}); make it smaller") from error
    except MemoryError as error:
        raise ValueError(f"{name}: does not fit into memory; make it smaller") from error
    except Exception as error:  # decoders raise whatever a damaged picture leads them to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{name}: a damaged picture ({reason})") from error


def _decode(file: PictureFile, side: int | None) -> tuple[Any, bool]:
    """A picture that stands upright, and whether it is the first of several in its file."""
    if file.size > MAX_BYTES:
        raise ValueError(f"{file.name}: got {file.size:,} bytes, expected at most {MAX_BYTES:,}")
    content = file.read()
    with errors_named(file.name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pictures that are too large, and of harmless oddities
        image = _opened(content)
        stored = image.size
        if side:
            image.draft(None, (side, side))
        _check_size(image, stored)
        _check_range(image)
        image.load()
        # The others in a phone's JPEG are its previews and maps.
        is_first_of_several = image.format != "MPO" and getattr(image, "is_animated", False)
        return _upright(image), is_first_of_several


def _opened(content: bytes) -> Any:
    from PIL import Image

    if HEIC.match(content):
        raise _RefusedError("a HEIC picture, which cannot be read here; save it as JPEG or PNG")
    Image.init()
    formats = [kind for kind in FORMATS if kind in Image.OPEN]  # an older Pillow knows no AVIF
    try:
        return Image.open(io.BytesIO(content), formats=formats)
    except Exception:
        # Pillow reads some EXIF here, and may stumble over it: then without.
        without = content.replace(b"Exif", b"exif")
        if without == content:
            raise
        return Image.open(io.BytesIO(without), formats=formats)


def _check_size(image: Any, stored: tuple[int, int]) -> None:
    """Raise an error if what is decoded, which may be more than is kept, takes too much memory."""
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(TIFF_TILE[0], 0), tags.get(TIFF_TILE[1], 0)
    decoded = stored if image.info.get("progressive") else image.size
    for width, height in (decoded, tile):
        if width * height > MAX_PIXELS:
            raise _RefusedError(
                f"got {width:,} x {height:,} pixels, expected at most {MAX_PIXELS:,} in all; make it smaller"
            )


def _check_range(image: Any) -> None:
    """Raise an error if it is not known which of its numbers are black and white."""
    tags = getattr(image, "tag_v2", {})
    is_known = not tags or (image.mode != "I" and tags[TIFF_BITS] == (16,) and tags[TIFF_ZERO] == TIFF_BLACK)
    if image.mode not in MODES or (image.mode.startswith("I") and not is_known):
        raise _RefusedError(
            f"got {image.format} of Pillow's mode {image.mode}, expected grey values or colours of a "
            "known range; save it as PNG"
        )


def _upright(image: Any) -> Any:
    """A picture turned as its orientation says, or as it is stored if that cannot be read."""
    from PIL import ExifTags, Image

    turn = Image.Transpose
    turns = (
        turn.FLIP_LEFT_RIGHT, turn.ROTATE_180, turn.FLIP_TOP_BOTTOM, turn.TRANSPOSE, turn.ROTATE_270,
        turn.TRANSVERSE, turn.ROTATE_90,
    )  # fmt: skip
    try:
        number = range(2, 9).index(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # it raises whatever strange EXIF leads it to
        return image
    return image.transpose(turns[number])


def _pixels(image: Any, size: tuple[int, int] | None = None) -> np.ndarray:
    """uint8 ``[height, width]`` or ``[height, width, 3]``, or uint16 ``[height, width]``."""
    from PIL import Image

    if image.mode.startswith("I"):
        deep = Image.fromarray(sixteen_bits(image))
        return np.rint(np.asarray(_resized(deep, size))).astype(np.uint16)
    is_grey, has_palette = image.mode in ("1", "L", "LA", "La"), image.mode in ("P", "PA")
    if image.has_transparency_data:
        image = _on_white(image.convert("RGBA"))
    pixels = np.asarray(_resized(image.convert("L" if is_grey else "RGB"), size))
    if has_palette and (pixels == pixels[..., :1]).all():  # a palette of greys
        return pixels[..., 0]
    return pixels


def _on_white(image: Any) -> Any:
    shown, (least, most) = on_background(image, "white"), image.getextrema()[3]
    if least < 255 and most > 0 and all(low == 255 for low, _ in shown.getextrema()):
        raise _RefusedError("got white on transparency, of which nothing is left on white; save it on black")
    return shown


def _resized(image: Any, size: tuple[int, int] | None) -> Any:
    from PIL import Image

    if size is None:
        return image
    height, width = size
    is_reduced = height <= image.height and width <= image.width
    return image.resize((width, height), Image.Resampling.BOX if is_reduced else Image.Resampling.BILINEAR)


def _to_8_bits(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


# --- many pictures ---------------------------------------------------------------------------------------


def decode_all(
    what: Any, coming: Iterable[tuple[int, PictureFile]], count: int, size: tuple[int, int] | None
) -> Decoded:
    """Pictures in one array.

    Args:
      what: they are of, in an error.
      coming: the pictures in any order, each with its place in the array.
      count: of all of them.
      size: height and width to which they are resized. Default: they have to be of one size.

    Raises:
      ValueError: they are of different sizes, or do not fit into memory.
    """
    if size is not None and min(size) < 1:
        raise ValueError(f"size: got {tuple(size)}, expected a height and a width of at least 1")
    images, bad, several, sizes = np.zeros(0, np.uint8), {}, set(), Counter()
    for place, file in coming:
        try:
            image, is_first_of_several = _decode(file, max(size) if size else None)
            with errors_named(file.name):
                pixels = _pixels(image, size)
        except ValueError as error:
            bad[place] = str(error)
            continue
        if is_first_of_several:
            several.add(place)
        if not sizes:
            images = _room(what, count, pixels)
        sizes[pixels.shape[:2]] += 1
        if len(sizes) == 1:
            images = _widened(images, pixels)
            images[place] = _like(pixels, images)
        elif sizes.total() >= ENOUGH:
            break
    _check_of_one_size(what, sizes)
    return Decoded(images, bad, several)


def _room(what: Any, count: int, pixels: np.ndarray) -> np.ndarray:
    try:
        return np.empty((count, *pixels.shape), pixels.dtype)
    except MemoryError as error:
        shown = _size(pixels.shape[:2])
        raise ValueError(
            f"{what}: got {count:,} pictures of {shown}, which do not fit into memory; resize on request: "
            "size=(64, 64) (--size 64 64)"
        ) from error


def _widened(images: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Images of a kind that can also hold these pixels: of 8 bits, or in colour."""
    if pixels.dtype == np.uint8:
        images = _to_8_bits(images)
    return np.repeat(images[..., None], 3, axis=-1) if pixels.ndim == 3 == images.ndim else images


def _like(pixels: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Pixels that fit where images of this kind are."""
    if images.dtype == np.uint8:
        pixels = _to_8_bits(pixels)
    return pixels[..., None] if images.ndim == 4 and pixels.ndim == 2 else pixels


def _check_of_one_size(what: Any, sizes: Counter) -> None:
    if len(sizes) > 1:
        common = sizes.most_common()
        shown = ", ".join(f"{_size(size)} ({count:,})" for size, count in common[:SAID])
        more = ", ..." if len(common) > SAID else ""
        height, width = common[0][0]
        raise ValueError(
            f"{what}: got {len(common)} sizes in {sizes.total():,} pictures, height x width: {shown}{more}; "
            f"expected one; resize on request: size=({height}, {width}) (--size {height} {width})"
        )


def _size(size: tuple[int, ...]) -> str:
    return f"{size[0]:,} x {size[1]:,}"


def stacked(what: Any, decoded: Decoded, names: Sequence[str], span: range) -> Stacked:
    """Those pictures of a span that could be read, moved together.

    Args:
      what: they are of, in an error.
      decoded: the pictures, whose array is changed in place.
      names: of all of them.
      span: their places.

    Raises:
      ValueError: more than half of them cannot be read.
    """
    images, bad, several = decoded
    lost = [place for place in span if place in bad]
    if 2 * len(lost) > len(span):
        raise ValueError(
            f"{what}: got {len(lost):,} of {len(span):,} pictures that cannot be read, expected at most half "
            f"of them; the first: {bad[lost[0]]}"
        )
    kept = np.array([place for place in span if place not in bad], np.int64)
    notes = []
    if lost:
        for to, place in enumerate(kept, span.start):  # in place, because a copy may not fit into memory
            images[to] = images[place]
        lost_names = some([names[place] for place in lost])
        notes.append(f"{len(lost):,} of {len(span):,} pictures cannot be read and are left out: {lost_names}")
    if firsts := [names[place] for place in span if place in several]:
        shown = some(firsts)
        notes.append(
            f"{len(firsts):,} of {len(span):,} files hold several pictures; the first is used: {shown}"
        )
    return Stacked(images[span.start : span.start + len(kept)], kept, tuple(notes))


def some(names: Sequence[str]) -> str:
    """The first of the names, for a message."""
    return ", ".join(names[:SAID]) + (", ..." if len(names) > SAID else "")
