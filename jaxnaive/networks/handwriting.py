"""Your own picture of a digit, made into what a network that was trained on MNIST expects.

MNIST's images are not what a camera sees. Each digit was inverted, scaled so that its longer side is 20
pixels, and moved so that its centre of mass is in the middle of 28 x 28. A network that was trained on such
images alone does not recognise a digit that is larger, off-centre or dark on light. :func:`read`,
:func:`find_ink` and :func:`normalise` do to a picture what was done to MNIST;
``pages/templates/playground.html`` has :func:`normalise` a second time, in JavaScript.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
1998; Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from jaxnaive import rejection
from jaxnaive.disk.files import StrPath
from jaxnaive.rejection import Rejection

SIDE, BOX = 28, 20  # pixels of an image, and of the box that its digit fills
MIDDLE = 14  # the pixel, of 0 to 27, that each MNIST image has its centre of mass in
MAX_SIDE = 400  # pixels of a picture's longer side: a larger picture is reduced, which averages noise away
MAX_STROKE = 1 / 4  # of the shorter side: what is narrower may be ink; what is wider is paper or a shadow
MAX_INKED = 3 / 4  # of a picture: if more of it is visible, that is the paper too
MAX_DARK = 0.05  # of what is visible: with more that is dark it does not disappear on white
MIN_CONTRAST = 0.1  # of ink to paper; 1 is black on white
MIN_INK_TO_GRAIN = 1.5  # times as far from the paper as the paper's own grain
MIN_INK = 0.1  # of full ink: what is fainter is an edge's blur, and would make the digit's box too large
HALF_GAP = 0.07  # of a shape's longer side: twice as far apart, two parts still belong to one digit
VERTICAL_WEIGHT = 0.3  # of a vertical gap: the bar of a 5 may float above it; digits stand beside each other
MIN_SHAPE = 0.1  # of the largest shape's ink: what has less is dirt
MIN_PIECE = 0.02  # of the largest piece's ink: what has less is a speck
MAX_AWAY = 1 / 20  # of a digit's longer side: fainter ink farther than this from full ink is not its blur
LINE_LENGTH, LINE_WIDTH = 0.7, 1 / 40  # of a side: a printed line is at least so long, and at most so wide
DARKEST_PAPER = 0.1  # a deeper shadow is not made lighter
MAX_ASPECT = 2.2  # times as wide as high; the widest of MNIST's test images is 2.0


def has_size_of_mnist(image_shape: Sequence[int]) -> bool:
    """Whether examples of this shape are images of MNIST's size, as pictures or as rows of their pixels."""
    return tuple(image_shape) in ((SIDE, SIDE), (SIDE, SIDE, 1), (SIDE * SIDE,))


def read(path: StrPath) -> Float32[np.ndarray, "height width"]:
    """The grey values of a picture, 0 black to 1 white: upright, at most 400 pixels long.

    What is transparent is white, or black if the ink is light. Of several pictures in a file the first is
    read, which is said.

    Args:
      path: a file of a format in :data:`jaxnaive.data.picture_files.FORMATS`, whatever its suffix.

    Raises:
      ValueError: it is another kind of file, or damaged, or has more than 50 million pixels.
      OSError: it cannot be read.
    """
    from PIL import Image

    from jaxnaive.data import picture_files

    image = picture_files.open_picture(Path(path), MAX_SIDE)
    with picture_files.errors_named(str(path)):
        scale = min(1, MAX_SIDE / max(image.size))
        size = (max(1, round(scale * image.width)), max(1, round(scale * image.height)))
        if image.mode.startswith("I"):
            image = Image.fromarray(picture_files.sixteen_bits(image) / 257)
        elif image.has_transparency_data:
            image = image.convert("RGBA").resize(size, Image.Resampling.BOX)
            image = picture_files.on_background(image, "black" if _is_light_ink(image) else "white")
        grey = image.convert("F" if image.mode == "F" else "L").resize(size, Image.Resampling.BOX)
        return np.asarray(grey, np.float32) / 255


def find_ink(grey: Float[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """The ink of one digit, 0 none to 1 full, from a picture that is drawn or photographed.

    Ink is dark on light or light on dark, as compared with what is around it. The paper is what is left when
    everything narrower than a quarter of the picture is filled with the grey around it, by an opening for
    light ink or a closing for dark ink: this follows uneven light and the edge of a shadow, and passes over
    strokes. Ink is what differs from the paper by more than the paper's own grain; dark ink as a fraction of
    the paper, which is the same in a shadow. Thin lines along most of the picture are printed on the paper.

    Args:
      grey: 0 black to 1 white.

    Raises:
      ValueError: there is no ink, or more than one digit, or something wider than any digit.
    """
    return _only_shape(_without_lines(_stroke_values(grey)))


def normalise(ink: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "28 28"]:
    """What MNIST's makers did to a digit: scaled to a box of 20 pixels, centred by mass in 28 x 28.

    A pixel of the result is the mean of the square of ink that it covers. An image that was made in this way
    stays as it is, also when it is enlarged first.

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


def as_trained(image: UInt8[np.ndarray, "28 28"], learned: Rejection | None) -> UInt8[np.ndarray, "28 28"]:
    """A normalised digit as a network's training pictures are: light on dark, or the other way round."""
    return 255 - image if learned is not None and rejection.is_light(learned) else image


def _is_light_ink(image: Any) -> bool:
    """Whether all that is visible of a ``PIL.Image`` in mode RGBA is light, and nothing but ink."""
    grey, alpha = np.moveaxis(np.asarray(image.convert("LA")) / 255, -1, 0)
    return bool(0 < alpha.mean() < MAX_INKED and np.average(grey < 0.5, weights=alpha) < MAX_DARK)


def _stroke_values(grey: np.ndarray) -> np.ndarray:
    """How much of each pixel is ink."""
    from scipy import ndimage

    shorter = min(grey.shape)
    half = math.ceil(MAX_STROKE / 2 * shorter)
    size, inner = (1 + 2 * half,) * 2, (slice(half, -half),) * 2
    # Widened first, or else the filters would take the edge of uneven light for ink.
    smooth = np.pad(ndimage.uniform_filter(grey, 1 + 2 * (shorter // 100)), half, mode="edge")
    if _is_light_on_dark(grey):
        above = grey - ndimage.grey_opening(smooth, size=size)[inner]
    else:
        paper = ndimage.grey_closing(smooth, size=size)[inner]
        above = (paper - grey) / np.maximum(paper, DARKEST_PAPER)
    threshold = _otsu(above)
    full = float(np.percentile(above[above > threshold], 90)) if (above > threshold).any() else 0.0
    rest = above[above <= threshold]
    grain = float(np.median(rest) + 6 * np.median(abs(rest - np.median(rest))))
    if full < max(MIN_CONTRAST, MIN_INK_TO_GRAIN * grain):
        raise ValueError("got a blank picture, expected a digit that stands out from its background")
    return np.clip((above - grain) / (full - grain), 0, 1, dtype=np.float32)


def _without_lines(ink: np.ndarray) -> np.ndarray:
    """The ink without the lines of a printed box, or of ruled or squared paper."""
    from scipy import ndimage

    there, width = ink > 2 * MIN_INK, 1 + max(1, round(LINE_WIDTH * min(ink.shape)))
    height, length = (max(width + 1, round(LINE_LENGTH * side)) for side in ink.shape)
    thick = ndimage.binary_opening(there, np.ones((width, width)))
    down, across = (ndimage.binary_opening(there, np.ones(size)) for size in ((height, 1), (1, length)))
    left = np.where((down | across) & ~thick, 0, ink)
    return left if (left > 0.5).any() else ink  # or else the lines are all there is: a 1 by a thin pen


def _only_shape(ink: np.ndarray) -> np.ndarray:
    """The ink without dirt and blur, when what remains is one digit."""
    from scipy import ndimage

    pieces, count = ndimage.label(ink > 0.5, np.ones((3, 3)))
    amounts = ndimage.sum_labels(ink, pieces, np.arange(count + 1))
    pieces[amounts[pieces] < MIN_PIECE * amounts[1:].max()] = 0
    strokes = pieces > 0
    longest = max(max(s.stop - s.start for s in box) for box in ndimage.find_objects(pieces) if box)
    away = np.asarray(ndimage.distance_transform_edt(~strokes, sampling=(VERTICAL_WEIGHT, 1)))
    shapes, count = ndimage.label(away <= max(1, HALF_GAP * longest))
    amounts = ndimage.sum_labels(np.where(strokes, ink, 0), shapes, np.arange(1, count + 1))
    large = 1 + np.flatnonzero(amounts > MIN_SHAPE * amounts.max())
    if len(large) > 1:
        raise ValueError(f"got {len(large)} separate shapes, expected one digit")
    is_near = np.asarray(ndimage.distance_transform_edt(~strokes)) <= max(1.5, MAX_AWAY * longest)
    ink = np.where((shapes == large[0]) & is_near & (ink >= MIN_INK), ink, 0)
    ((rows, columns),) = ndimage.find_objects((ink > 0).astype(int))
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if width > MAX_ASPECT * height:
        raise ValueError(f"got a shape {width / height:.1f} times as wide as high, expected one digit")
    return ink


def _to_pixels(profile: np.ndarray, scale: float) -> np.ndarray:
    """``[28, length]``: the fraction of each pixel of the result that a pixel of a picture's side covers."""
    inked = np.flatnonzero(profile)
    first, last = inked[0], inked[-1] + 1
    places = np.arange(len(profile))
    centre = ((places + 0.5) @ profile / profile.sum() - first) / scale
    # Rounded, so that the box's edge is a pixel's edge. With 1e-6 Python and JavaScript agree in a tie.
    offset = np.clip(math.ceil(MIDDLE - centre - 1e-6), 0, SIDE - math.ceil((last - first) / scale))
    start = first + scale * (np.arange(SIDE)[:, None] - offset)
    overlap = np.minimum(start + scale, places + 1) - np.maximum(start, places)
    return np.maximum(overlap, 0) / scale


def _is_light_on_dark(grey: np.ndarray) -> bool:
    """Whether ink is lighter than what is around it, the median of half the picture: a shadow has its own."""
    from scipy import ndimage

    step = max(1, min(grey.shape) // 40)
    small = ndimage.uniform_filter(grey, step)[step // 2 :: step, step // 2 :: step]
    around = ndimage.median_filter(small, [1 + 2 * (side // 4) for side in small.shape], mode="nearest")
    return bool(((small - around) ** 3).sum() > 0)


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
