"""How every picture is made and saved. matplotlib is imported when the first one is drawn."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxnaive.disk import files


def new(width: float, height: float) -> Any:
    """An empty figure of so many inches; a ``matplotlib.figure.Figure``."""
    # Not pyplot, which would look for a screen and keep every figure in a global list.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write a PNG file, or an SVG file where the path ends in ``.svg``: whole, or not at all."""
    with files.replacing(path) as temporary:
        if path.suffix == ".svg":
            figure.savefig(temporary, metadata={"Date": None})
        else:
            image(figure, dpi=120, colors=64).save(temporary, optimize=True)


def save_animation(frames: Sequence[Any], path: Path) -> None:
    """Write images as an animated GIF file that waits at its end: whole, or not at all."""
    with files.replacing(path) as temporary:
        durations = [250] * (len(frames) - 1) + [2000]
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=durations, loop=0)


def image(figure: Any, dpi: int, colors: int) -> Any:
    """The figure as a ``PIL.Image`` of so many colours."""
    # A palette is all that a diagram needs, and makes the file a third of the size.
    from PIL import Image

    with io.BytesIO() as buffer:
        figure.savefig(buffer, dpi=dpi, format="png")
        return Image.open(buffer).convert("RGB").quantize(colors, dither=Image.Dither.NONE)
