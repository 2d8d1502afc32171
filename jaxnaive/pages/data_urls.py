"""Weights as small pictures in a page: data URLs, which hold the picture, so that no other file is needed."""

import numpy as np
from jaxtyping import Float, UInt8

from jaxnaive.data import looks
from jaxnaive.data.looks import MAX_SIDE

SHADES = 31  # of each of the two colours of weights


def of_weights(weights: Float[np.ndarray, "height width"], largest: float) -> str:
    """Weights in colours: from blue, ``-largest``, over white to orange."""
    from PIL import Image

    drawn = Image.fromarray(weights.astype(np.float32))
    drawn.thumbnail((MAX_SIDE, MAX_SIDE))
    levels = np.clip(np.round(np.asarray(drawn) / largest * SHADES), -SHADES, SHADES)
    coloured = Image.fromarray((levels + SHADES).astype(np.uint8))
    coloured.putpalette(_palette().tobytes())
    return looks.image_as_data_url(coloured)


def _palette() -> UInt8[np.ndarray, "levels 3"]:
    white, blue, orange = np.array([255, 255, 255]), np.array([0, 114, 178]), np.array([213, 94, 0])
    level = np.linspace(-1, 1, 2 * SHADES + 1)[:, None]
    return np.round(white + np.abs(level) * (np.where(level < 0, blue, orange) - white)).astype(np.uint8)
