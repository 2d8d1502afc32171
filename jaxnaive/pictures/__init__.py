"""Figures, and how they are saved. matplotlib is imported when the first one is drawn."""

import io
import itertools
import logging
import sys
import unicodedata
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxnaive.disk import files
from jaxnaive.disk.files import StrPath

# Fonts with Chinese letters, of which a machine may have one; matplotlib's own has none.
FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei",
         "SimHei", "WenQuanYi Zen Hei")  # fmt: skip
NOTEBOOK_DPI = 144
TEXT_WIDTH = 36  # columns, of a name in a figure: what is longer is shortened
_numbers = itertools.count(1)  # of the figures that a script shows


def new(width: float, height: float) -> Any:
    """An empty figure, a ``matplotlib.figure.Figure``; a notebook shows it as the last value of a cell.

    Args:
      width: in inches.
      height: in inches.
    """
    # Not pyplot, which would look for a screen and keep every figure in a global list.
    from matplotlib.figure import Figure

    _add_fonts()
    figure: Any = Figure(figsize=(width, height), layout="constrained")
    figure._repr_png_ = partial(as_png, figure)  # IPython itself knows the figures of pyplot alone
    return figure


def _add_fonts() -> None:
    """Have matplotlib look for letters that its font lacks in those of :data:`FONTS` that there are."""
    from matplotlib import font_manager, rcParams

    installed, known = {font.name for font in font_manager.fontManager.ttflist}, rcParams["font.family"]
    if new := [font for font in FONTS if font in installed and font not in known]:
        rcParams["font.family"] = [*known, *new]
        # It would warn of every weight that they lack, also where no text needs them.
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def write_title(figure: Any, title: str) -> None:
    """Write a title above a figure; one that is wider than the figure is broken into lines."""
    figure.suptitle(" ".join(map(shortened, title.split(" "))), wrap=True)


def shortened(name: str, columns: int = TEXT_WIDTH) -> str:
    """A name, without its middle if it takes more columns; a Chinese letter takes two.

    What matplotlib would take for a formula, or cannot draw, is written so that it does neither.

    >>> shortened("/home/somebody/pictures/cats", 14)
    '/home/s…s/cats'
    """
    name = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return _without_middle(name, columns).replace("$", r"\$")


def _without_middle(name: str, columns: int) -> str:
    if _columns(name) <= columns:
        return name
    start, end = len(name) // 2, len(name) // 2
    while _columns(name[:start] + name[end:]) >= columns:
        start, end = (start - 1, end) if _columns(name[:start]) > _columns(name[end:]) else (start, end + 1)
    return f"{name[:start]}…{name[end:]}"


def _columns(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def text_width(text: str, points: float) -> float:
    """The width of a line of text in inches, in a font of so many points."""
    from matplotlib.textpath import TextPath

    return TextPath((0, 0), text, size=points).get_extents().width / 72 if text.strip() else 0.0


def save(figure: Any, path: StrPath) -> None:
    """Write a PNG file, or an SVG file if the path ends in ``.svg``: whole, or not at all."""
    path = Path(path)
    with files.replacing(path) as temporary:
        if path.suffix == ".svg":
            from matplotlib import rc_context

            _set_no_tex(figure)
            with rc_context({"svg.hashsalt": "jaxnaive"}):  # otherwise names in it are random
                figure.savefig(temporary, metadata={"Date": None})
        else:
            image(figure, dpi=120).save(temporary)


def _set_no_tex(figure: Any) -> None:
    """Have texts drawn by matplotlib itself, also where its settings ask for LaTeX, which may be missing."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_usetex(False)


def image(figure: Any, dpi: int = NOTEBOOK_DPI) -> Any:
    """The figure as a ``PIL.Image`` of 256 colours."""
    # They make a file smaller by a third; with fewer of them, the grey edges of letters get other colours.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    _set_no_tex(figure)
    # Not savefig, which lays the figure out twice and compresses what is taken apart again here.
    own, canvas = figure.dpi, FigureCanvasAgg(figure)
    figure.set_dpi(dpi)
    try:
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())
    finally:
        figure.set_dpi(own)
    return Image.fromarray(pixels).convert("RGB").quantize(256, dither=Image.Dither.NONE)


def as_png(figure: Any, dpi: int = NOTEBOOK_DPI) -> bytes:
    """The figure as the content of a PNG file."""
    with io.BytesIO() as buffer:
        image(figure, dpi).save(buffer, "PNG")
        return buffer.getvalue()


def show(figure: Any) -> None:
    """Show a figure below the cell of a notebook; a script saves it in ``runs/lessons`` and says so."""
    if in_notebook():
        from IPython.display import display

        display(image(figure))
    else:
        path = Path("runs/lessons") / f"{Path(sys.argv[0]).stem}-{next(_numbers)}.png"
        files.make_folder(path.parent)
        save(figure, path)
        print(f"saved {path}")


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    return "ipykernel" in sys.modules
