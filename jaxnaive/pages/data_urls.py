"""Small images as data URLs, which hold the image itself, so that a page needs no other file."""

import base64
import io
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from jaxnaive import data

MAX_SIDE = 48  # pixels
SHADES = 31  # of each of the two colours of weights


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether an example of this shape is a picture: ``[h, w]``, or ``[h, w, colours]``."""
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3, 4))


def of_example(image: np.ndarray) -> str:
    """An example; one of a single colour is drawn dark on light."""
    from PIL import Image

    pixels = data.as_picture(image)
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = np.round(255 * pixels).astype(np.uint8)
    drawn = Image.fromarray(255 - pixels if pixels.ndim == 2 else pixels)
    drawn.thumbnail((MAX_SIDE, MAX_SIDE))
    return _of_image(drawn)


def of_weights(weights: Float[np.ndarray, "height width"], largest: float) -> str:
    """Weights in colours: from blue, ``-largest``, over white to orange."""
    from PIL import Image

    drawn = Image.fromarray(weights.astype(np.float32))
    drawn.thumbnail((MAX_SIDE, MAX_SIDE))
    levels = np.clip(np.round(np.asarray(drawn) / largest * SHADES), -SHADES, SHADES)
    coloured = Image.fromarray((levels + SHADES).astype(np.uint8))
    coloured.putpalette(_palette().tobytes())
    return _of_image(coloured)


def _palette() -> UInt8[np.ndarray, "levels 3"]:
    white, blue, orange = np.array([255, 255, 255]), np.array([0, 114, 178]), np.array([213, 94, 0])
    level = np.linspace(-1, 1, 2 * SHADES + 1)[:, None]
    return np.round(white + np.abs(level) * (np.where(level < 0, blue, orange) - white)).astype(np.uint8)


def _of_image(image: Any) -> str:
    with io.BytesIO() as buffer:
        image.save(buffer, "PNG", optimize=True)
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
