"""Your own picture of a digit, made into what a network that was trained on MNIST expects.

MNIST's images are not what a camera sees. Each digit was inverted, scaled so that its longer side is 20
pixels, and moved so that its centre of mass is in the middle of 28 x 28. A network that has seen nothing else
is lost on a digit that is larger, elsewhere or dark on light. :func:`read`, :func:`find_ink` and
:func:`normalise` do to a picture what was done to MNIST; ``pages/templates/playground.html`` has
:func:`normalise` a second time, in JavaScript.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
1998; Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

import math
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8

SIDE, BOX = 28, 20  # pixels of an image, and of the box that its digit fills
MIDDLE = 14  # the pixel, of 0 to 27, that each MNIST image has its centre of mass in
MAX_PIXELS = 50_000_000
LONGEST = 400  # pixels of a picture's longer side: it is reduced to them, which averages noise away
PAPER = 1 / 4  # of the shorter side: what is narrower may be ink; what is wider is paper, or a shadow on it
CONTRAST = 0.1  # of ink to paper, at least; 1 is black on white
CLEAR = 1.5  # times as much as the paper's own grain, at least
FAINT = 0.1  # of full ink: what is fainter is an edge's blur, and would make the digit's box too large
REACH = 0.07  # of a shape's longer side: half of the gap beside which a part still belongs to a digit
UPWARDS = 0.3  # as far as sidewards: the bar of a 5 may float above it, but digits stand beside each other
SPECK = 0.1  # of the largest shape's ink: what has less is dirt
WIDEST = 2.2  # times as wide as high; the widest of MNIST's test images is 2.0


def has_size_of_mnist(image_shape: tuple[int, ...]) -> bool:
    """Whether examples of this shape are images of MNIST's size."""
    return tuple(image_shape) in ((SIDE, SIDE), (SIDE, SIDE, 1))


def read(path: Path) -> Float32[np.ndarray, "height width"]:
    """The grey values of a picture, 0 black to 1 white: upright, on white, at most 400 pixels long.

    Args:
      path: a PNG or JPEG file.

    Raises:
      ValueError: it is something else, or damaged, or has more than 50 million pixels.
      OSError: it cannot be read.
    """
    from PIL import Image, ImageOps

    if path.exists() and not path.is_file() and not path.is_dir():  # reading from a pipe would wait for ever
        raise ValueError(f"{path}: not a file")
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a picture that is too large; and of oddities that do no harm
        try:
            image = Image.open(file, formats=("PNG", "JPEG"))
            too_large = image.width * image.height > MAX_PIXELS
            if not too_large:
                image.draft(None, (LONGEST, LONGEST))  # a JPEG is decoded at down to an eighth of its size
                image = ImageOps.exif_transpose(image)
        except Image.UnidentifiedImageError as error:
            raise ValueError(f"{path}: not a PNG or JPEG picture") from error
        except Image.DecompressionBombError as error:
            raise ValueError(f"{path}: expected at most {MAX_PIXELS:,} pixels ({error})") from error
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise ValueError(f"{path}: a damaged picture ({error})") from error
    if too_large:
        size = f"{image.width:,} x {image.height:,}"
        raise ValueError(f"{path}: got {size} pixels, expected at most {MAX_PIXELS:,} in all")
    scale = min(1, LONGEST / max(image.size))
    size = (max(1, round(scale * image.width)), max(1, round(scale * image.height)))
    if image.mode.startswith("I"):  # 16 bits, which convert("L") would cut off
        image = Image.fromarray(np.asarray(image).astype(np.float32) / 257)
    elif image.has_transparency_data:
        image = image.convert("RGBA").resize(size, Image.Resampling.BOX)
        image = Image.alpha_composite(Image.new("RGBA", size, "white"), image)
    grey = image.convert("F" if image.mode == "F" else "L").resize(size, Image.Resampling.BOX)
    return np.asarray(grey, np.float32) / 255


def find_ink(grey: Float[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """The ink of one digit, 0 none to 1 full, from a picture that is drawn or photographed.

    Ink is what the frame of the picture is not: dark on light, or light on dark. The paper is what is left
    when everything narrower than a quarter of the picture is filled with the grey around it, an opening of
    light ink or a closing of dark ink: that follows uneven light and passes over strokes. Ink is what differs
    from the paper by more than the paper's own grain.

    Args:
      grey: 0 black to 1 white.

    Raises:
      ValueError: there is no ink; or more than one digit; or something that is wider than any digit.
    """
    return _only_shape(_stroke_values(grey))


def normalise(ink: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "28 28"]:
    """What MNIST's makers did to a digit: scaled to a box of 20 pixels, centred by mass in 28 x 28.

    A pixel of the result is the mean of the square of ink that it covers. Images that were made so stay as
    they are, however often, and however much larger they come.

    Args:
      ink: 0 none to 1 full.

    Raises:
      ValueError: there is no ink.
    """
    rows, columns = ink.sum(axis=1, dtype=float), ink.sum(axis=0, dtype=float)
    if not ink.any():
        raise ValueError("got no ink, expected a digit")
    scale = max(len(np.trim_zeros(rows)), len(np.trim_zeros(columns))) / BOX
    down, across = _to_pixels(rows, scale), _to_pixels(columns, scale)
    return np.floor(255 * (down @ ink @ across.T) + 0.5).astype(np.uint8)


def _stroke_values(grey: np.ndarray) -> np.ndarray:
    """How much of each pixel is ink."""
    from scipy import ndimage

    light = grey if _is_light_on_dark(grey) else 1 - grey
    shorter = min(grey.shape)
    smooth = ndimage.uniform_filter(light, 1 + 2 * (shorter // 100))
    size = 1 + 2 * math.ceil(PAPER / 2 * shorter)
    above = light - ndimage.grey_opening(smooth, size=(size, size), mode="nearest")
    threshold = _otsu(above)
    full = float(np.percentile(above[above > threshold], 90)) if (above > threshold).any() else 0.0
    paper = above[above <= threshold]
    grain = float(np.median(paper) + 6 * np.median(abs(paper - np.median(paper))))
    if full < max(CONTRAST, CLEAR * grain):
        raise ValueError("got a blank picture, expected a digit that stands out from its background")
    return np.clip((above - grain) / (full - grain), 0, 1, dtype=np.float32)


def _only_shape(ink: np.ndarray) -> np.ndarray:
    """The ink without dirt and blur, when what remains is one digit."""
    from scipy import ndimage

    strokes = ink > 0.5
    pieces, _ = ndimage.label(strokes, np.ones((3, 3)))
    longest = max(max(s.stop - s.start for s in box) for box in ndimage.find_objects(pieces))
    away = np.asarray(ndimage.distance_transform_edt(~strokes, sampling=(UPWARDS, 1)))
    shapes, count = ndimage.label(away <= max(1, REACH * longest))
    amounts = ndimage.sum_labels(ink, shapes, np.arange(1, count + 1))
    large = 1 + np.flatnonzero(amounts > SPECK * amounts.max())
    if len(large) > 1:
        raise ValueError(f"got {len(large)} separate shapes, expected one digit")
    ink = np.where((shapes == large[0]) & (ink >= FAINT), ink, 0)
    ((rows, columns),) = ndimage.find_objects((ink > 0).astype(int))
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if width > WIDEST * height:
        raise ValueError(f"got a shape {width / height:.1f} times as wide as high, expected one digit")
    return ink


def _to_pixels(profile: np.ndarray, scale: float) -> np.ndarray:
    """``[28, length]``: the share that each part of a picture's side has in each pixel of the result."""
    inked = np.flatnonzero(profile)
    first, last = inked[0], inked[-1] + 1
    places = np.arange(len(profile))
    centre = ((places + 0.5) @ profile / profile.sum() - first) / scale
    # So that the box's edge is a pixel's edge. The 1e-6 is for Python and JavaScript to agree in a tie.
    offset = np.clip(math.ceil(MIDDLE - centre - 1e-6), 0, SIDE - math.ceil((last - first) / scale))
    start = first + scale * (np.arange(SIDE)[:, None] - offset)
    overlap = np.minimum(start + scale, places + 1) - np.maximum(start, places)
    return np.maximum(overlap, 0) / scale


def _is_light_on_dark(grey: np.ndarray) -> bool:
    """Whether a picture differs upwards from what its frame is like, by the best quadric through it."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, length) for length in grey.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    frame = np.maximum(abs(x), abs(y)) > 0.9
    surface = terms @ np.linalg.lstsq(terms[frame], grey[frame])[0]
    return bool(((grey - surface) ** 3).sum() > 0)


def _otsu(values: np.ndarray) -> float:
    """The threshold that splits values into the two classes that lie farthest apart.

    Source: N. Otsu, "A threshold selection method from gray-level histograms", 1979.
    """
    counts, edges = np.histogram(values, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * centres)
    above = np.maximum(below[-1] - below, 1)
    between = below * above * (total / np.maximum(below, 1) - (total[-1] - total) / above) ** 2
    return float(edges[1 + between.argmax()])
