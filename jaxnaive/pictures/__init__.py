"""Figures, and how they are saved. matplotlib is imported when the first one is drawn."""

import io
import itertools
import sys
from pathlib import Path
from typing import Any

from jaxnaive.disk import files
from jaxnaive.disk.files import StrPath

# Of lines: colours that people tell apart with any kind of colour vision (Okabe and Ito, "Color universal
# design", 2008), each with a mark and a dash of its own, as no colour says anything alone.
STYLES = [
    {"color": color, "marker": marker, "linestyle": dash}
    for color, marker, dash in (
        ("#0072B2", "o", "-"),
        ("#D55E00", "s", "--"),
        ("#009E73", "^", "-."),
        ("#CC79A7", "D", ":"),
        ("#E69F00", "v", (0, (5, 1))),
        ("#56B4E9", "P", (0, (3, 1, 1, 1))),
        ("#000000", "X", (0, (1, 1))),
    )
]
_numbers = itertools.count(1)  # of the figures that a script shows


def new(width: float, height: float) -> Any:
    """An empty figure, a ``matplotlib.figure.Figure``.

    Args:
      width: in inches.
      height: in inches.
    """
    # Not pyplot, which would look for a screen and keep every figure in a global list.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def write_title(figure: Any, title: str) -> None:
    """Write a title above a figure; one that is wider than the figure is broken into lines."""
    figure.suptitle(title, wrap=True)


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

            with rc_context({"svg.hashsalt": "jaxnaive"}):  # otherwise names in it are random
                figure.savefig(temporary, metadata={"Date": None})
        else:
            image(figure, dpi=120, colors=64).save(temporary, optimize=True)


def image(figure: Any, dpi: int, colors: int) -> Any:
    """The figure as a ``PIL.Image`` of so many colours."""
    # A palette is enough for a diagram, and makes the file a third of the size.
    from PIL import Image

    with io.BytesIO() as buffer:
        figure.savefig(buffer, dpi=dpi, format="png")
        return Image.open(buffer).convert("RGB").quantize(colors, dither=Image.Dither.NONE)


def as_png(figure: Any) -> bytes:
    """The figure as the content of a PNG file."""
    with io.BytesIO() as buffer:
        image(figure, dpi=96, colors=128).save(buffer, "PNG")
        return buffer.getvalue()


def show(figure: Any) -> None:
    """Show a figure below the cell of a notebook; a script saves it in ``runs/lessons`` and says so."""
    if in_notebook():
        from IPython.display import display

        display(image(figure, dpi=144, colors=128))
    else:
        path = Path("runs/lessons") / f"{Path(sys.argv[0]).stem}-{next(_numbers)}.png"
        files.make_folder(path.parent)
        save(figure, path)
        print(f"saved {path}")


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    return "ipykernel" in sys.modules
