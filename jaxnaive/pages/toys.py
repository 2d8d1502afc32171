"""What a reader plays with in a page: a toy has a name, which the page's JavaScript knows, and numbers."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxnaive import pictures

MIME = "application/vnd.jaxnaive.toy+json"
FOLDER = Path(__file__).parent / "templates" / "notes" / "toys"
NAMES = ("graph", "shapes", "plane", "ball", "manifold", "rates", "pad")


def play(name: str, **numbers: Any) -> None:
    """Put a toy below the cell of a notebook: the page shows it, and everything else says where it is.

    Args:
      name: one of :data:`NAMES`.
      numbers: what the toy is fed; JSON can hold it.
    """
    if name not in NAMES:
        raise ValueError(f"toy: got {name!r}, expected one of {', '.join(NAMES)}")
    words = f"(to play with, in the page that experiments/notes.py makes: {name})"
    if not pictures.in_notebook():
        print(words)
        return
    from IPython.display import display

    display({"text/plain": words, MIME: {"name": name, "numbers": numbers}}, raw=True)


def rounded(array: ArrayLike) -> Any:
    """An array as nested lists for a toy: numbers to 4 digits, and ``None`` where they are not finite.

    >>> rounded(np.array([[1 / 3, np.nan], [12345.0, 2.0]]))
    [[0.3333, None], [12340.0, 2.0]]
    """
    array = np.asarray(array)
    if array.ndim:
        return [rounded(part) for part in array]
    return float(f"{array:.4g}") if np.isfinite(array) else None


def scripts(names: Collection[str]) -> list[str]:
    """The JavaScript of toys, with what all of them share first."""
    return [(FOLDER / f"{name}.js").read_text() for name in ("common", *_in_order(names))]


def styles(names: Collection[str]) -> list[str]:
    """The CSS of toys, with what all of them share first."""
    paths = [FOLDER / f"{name}.css" for name in ("toys", *_in_order(names))]
    return [path.read_text() for path in paths if path.exists()]


def _in_order(names: Collection[str]) -> list[str]:
    return [name for name in NAMES if name in names]
