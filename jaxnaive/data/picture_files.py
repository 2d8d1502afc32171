"""Pictures in files: decoded, turned upright, put on white and stacked in one array.

Such files come from anywhere, and are not trusted. A picture is decoded only if its header names one of a few
formats and not too many pixels, and nothing is read from a pipe, which might never end.
"""

import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")  # as Pillow calls them; PGM and PBM are PPM to it
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
JUNK = ("__macosx", "thumbs.db", "desktop.ini")  # which systems leave beside pictures

MAX_PIXELS = 50_000_000  # of one picture
MAX_BYTES = 2**28  # of one picture's file
ENOUGH = 1000  # pictures, when they are of different sizes: the next ones are not counted
SAID = 3  # names or sizes in a message


class PictureFile(NamedTuple):
    """A picture that is not read yet."""

    name: str  # in messages
    size: int  # bytes
    read: Callable[[], bytes]


class Stacked(NamedTuple):
    """Pictures in one array."""

    images: np.ndarray  # uint8 [n, height, width] or [n, height, width, 3]; uint16 if all have 16 bits
    kept: np.ndarray  # int64 [n]: which of the given pictures they are
    notes: tuple[str, ...]


def is_picture_file(path: Path) -> bool:
    """Whether a file's name is that of a picture."""
    return path.name.lower().endswith(SUFFIXES) and not is_junk(path.name)


def is_junk(name: str) -> bool:
    """Whether a file or a folder is hidden, or one that a system leaves beside pictures."""
    return name.startswith(".") or name.lower() in JUNK


def load_picture(path: Path) -> np.ndarray:
    """One picture, upright and on white: uint8 ``[height, width]`` if it is grey, or ``[height, width, 3]``.

    Raises:
      ValueError: it is no picture, or damaged, or has more than 50 million pixels.
      OSError: it cannot be read.
    """
    return _to_8_bits(_pixels(open_picture(path)))


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
    images, bad = decode_all("pictures", enumerate(files), len(names), size)
    return stacked("pictures", images, names, bad, range(len(names)))


# --- one picture ---------------------------------------------------------------------------------------


def open_picture(path: Path, formats: tuple[str, ...] = FORMATS, side: int | None = None) -> Any:
    """The picture of a file, decoded and turned upright, as a ``PIL.Image``.

    Args:
      path: of a file.
      formats: which are accepted, as Pillow calls them.
      side: pixels, below which neither height nor width has to be kept: a large JPEG is decoded at down to an
        eighth of its size.

    Raises:
      ValueError: it is of another format, or damaged, or has more than 50 million pixels.
      OSError: it cannot be read.
    """
    check_is_no_pipe(path)
    with path.open("rb") as file:
        return _decode(file, str(path), formats, side)


def on_white(image: Any) -> Any:
    """A ``PIL.Image`` in mode RGBA, without what is transparent in it."""
    from PIL import Image

    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def check_is_no_pipe(path: Path) -> None:
    """Raise ``ValueError`` for a pipe or a device, reading from which might never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path}: not a file")


def _decode(file: Any, name: str, formats: tuple[str, ...], side: int | None) -> Any:
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pictures that are too large, and of harmless oddities
        try:
            image = Image.open(file, formats=formats)
            if image.mode == "F":  # a PFM file, whose numbers have no fixed range
                raise Image.UnidentifiedImageError
            if image.width * image.height <= MAX_PIXELS:
                if side:
                    image.draft(None, (side, side))
                return ImageOps.exif_transpose(image)
        except Image.UnidentifiedImageError as error:
            expected = f"{', '.join(formats[:-1])} or {formats[-1]}"
            raise ValueError(f"{name}: not a {expected} picture") from error
        except Image.DecompressionBombError as error:
            raise ValueError(f"{name}: expected at most {MAX_PIXELS:,} pixels ({error})") from error
        except Exception as error:  # decoders raise whatever a damaged picture leads them to
            raise ValueError(f"{name}: a damaged picture ({error})") from error
    shown = f"{image.width:,} x {image.height:,}"
    raise ValueError(f"{name}: got {shown} pixels, expected at most {MAX_PIXELS:,} in all")


def _pixels(image: Any, size: tuple[int, int] | None = None) -> np.ndarray:
    """uint8 ``[height, width]`` or ``[height, width, 3]``, or uint16 ``[height, width]``."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits, which convert("L") would cut off
        deep = Image.fromarray(np.asarray(image).astype(np.float32))
        return np.rint(np.asarray(_resized(deep, size))).astype(np.uint16)
    is_grey, has_palette = image.mode in ("1", "L", "LA", "La"), image.mode in ("P", "PA")
    if image.has_transparency_data:
        image = on_white(image.convert("RGBA"))
    pixels = np.asarray(_resized(image.convert("L" if is_grey else "RGB"), size))
    if has_palette and (pixels == pixels[..., :1]).all():  # a palette of greys
        return pixels[..., 0]
    return pixels


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
) -> tuple[np.ndarray, dict[int, str]]:
    """Pictures in one array, of which those that cannot be read are not written.

    Args:
      what: they are of, in an error.
      coming: the pictures in any order, each with its place in the array.
      count: of all of them.
      size: height and width to which they are resized. Default: they have to be of one size.

    Returns:
      The array ``[count, ...]``, and by place why a picture cannot be read.

    Raises:
      ValueError: they are of different sizes, or do not fit into memory.
    """
    if size is not None and min(size) < 1:
        raise ValueError(f"size: got {tuple(size)}, expected a height and a width of at least 1")
    images, bad, sizes = np.zeros(0, np.uint8), {}, Counter()
    for place, file in coming:
        try:
            pixels = _pixels_of(file, size)
        except ValueError as error:
            bad[place] = str(error)
            continue
        if not sizes:
            images = _room(what, count, pixels)
        sizes[pixels.shape[:2]] += 1
        if len(sizes) == 1:
            images = _widened(images, pixels)
            images[place] = _like(pixels, images)
        elif sizes.total() >= ENOUGH:
            break
    _check_of_one_size(what, sizes)
    return images, bad


def _pixels_of(file: PictureFile, size: tuple[int, int] | None) -> np.ndarray:
    if file.size > MAX_BYTES:
        raise ValueError(f"{file.name}: got {file.size:,} bytes, expected at most {MAX_BYTES:,}")
    content = io.BytesIO(file.read())
    return _pixels(_decode(content, file.name, FORMATS, max(size) if size else None), size)


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


def stacked(what: Any, images: np.ndarray, names: Sequence[str], bad: dict[int, str], span: range) -> Stacked:
    """Those pictures of a span that could be read, moved together.

    Args:
      what: they are of, in an error.
      images: ``[count, ...]``, as :func:`decode_all` makes it, which is changed in place.
      names: of all of them.
      bad: by place why a picture cannot be read.
      span: their places.

    Raises:
      ValueError: more than half of them cannot be read.
    """
    lost = [place for place in span if place in bad]
    if 2 * len(lost) > len(span):
        raise ValueError(
            f"{what}: got {len(lost):,} of {len(span):,} pictures that cannot be read, expected at most half "
            f"of them; the first: {bad[lost[0]]}"
        )
    kept = np.array([place for place in span if place not in bad], np.int64)
    notes: tuple[str, ...] = ()
    if lost:
        for to, place in enumerate(kept, span.start):  # in place, because a copy may not fit into memory
            images[to] = images[place]
        lost_names = some([names[place] for place in lost])
        notes = (f"{len(lost):,} of {len(span):,} pictures cannot be read and are left out: {lost_names}",)
    return Stacked(images[span.start : span.start + len(kept)], kept, notes)


def some(names: Sequence[str]) -> str:
    """The first of the names, for a message."""
    return ", ".join(names[:SAID]) + (", ..." if len(names) > SAID else "")
