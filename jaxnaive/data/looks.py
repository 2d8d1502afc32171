"""What an example looks like, and what a dataset looks like in a notebook."""

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_SIDE = 48  # pixels of a small picture


def as_picture(image: np.ndarray) -> np.ndarray:
    """An example as it can be drawn: ``[h, w]`` or ``[h, w, colours]``; a strip, if it is no picture."""
    image = np.squeeze(image)
    if np.issubdtype(image.dtype, np.floating):
        image = (image - image.min()) / max(float(np.ptp(image)), 1e-30)
    is_picture = image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (3, 4))
    return image if is_picture else image.reshape(1, -1)  # a strip, so that it can be looked at all the same


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether an example of this shape is a picture: ``[h, w]``, or ``[h, w, colours]``."""
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3, 4))


def as_data_url(image: np.ndarray) -> str:
    """A small picture of an example as a data URL, which holds it; one of one colour is dark on light."""
    from PIL import Image

    pixels = as_picture(image)
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = np.round(255 * pixels).astype(np.uint8)
    drawn = Image.fromarray(255 - pixels if pixels.ndim == 2 else pixels)
    drawn.thumbnail((MAX_SIDE, MAX_SIDE))
    return image_as_data_url(drawn)


def image_as_data_url(image: Any) -> str:
    """A ``PIL.Image`` as a data URL."""
    with io.BytesIO() as buffer:
        image.save(buffer, "PNG", optimize=True)
        return png_as_data_url(buffer.getvalue())


def png_as_data_url(content: bytes) -> str:
    """The content of a PNG file as a data URL."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def as_html(text: str, images: Sequence[np.ndarray], captions: Sequence[str]) -> str:
    """Lines of text, and below them pictures with what is written under each."""
    style = f"width:{MAX_SIDE}px;image-rendering:pixelated"
    figure = f'<figure style="display:inline-block;margin:4px;text-align:center"><img style="{style}" '
    figure += 'src="{}"><br>{}</figure>'
    figures = (
        figure.format(as_data_url(image), html.escape(caption))
        for image, caption in zip(images, captions, strict=True)
    )
    return f"<pre>{html.escape(text)}</pre>{''.join(figures)}"
