"""What inputs and labels are called in a file that holds arrays by their names."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxnaive.data.raw import Raw
from jaxnaive.data.reading import damage_named

SPELLINGS = (  # inputs, labels, and those of a test set; upper or lower case
    ("X", "y", "X_test", "y_test"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("images", "labels", "test_images", "test_labels"),
    ("data", "target", "test_data", "test_target"),
    ("data", "labels", "test_data", "test_labels"),
    ("data", "label", "test_data", "test_label"),
    ("inputs", "targets", "test_inputs", "test_targets"),
    ("features", "labels", "test_features", "test_labels"),
)
CLASS_NAMES = ("class_names", "target_names")
SPELLED = frozenset(name.lower() for names in (*SPELLINGS, CLASS_NAMES) for name in names)
SAID = 12  # arrays in an error
PAIRS = "; ".join(f"{inputs} and {labels}" for inputs, labels, *_ in SPELLINGS)


def to_raw(shown: Mapping[str, str], read: Callable[[str], np.ndarray], path: Path) -> Raw:
    """The arrays of a file that are inputs and labels.

    Args:
      shown: what is said of each of its arrays, by their names.
      read: an array by its name.
      path: of the file.

    Raises:
      ValueError: no pair of them is called as inputs and labels are, or more than one.
    """
    names = _by_spelling(shown, path)
    spellings = complete(names)
    if not spellings:
        held = listed([f"{name} {about}" for name, about in shown.items()]) or "no arrays"
        raise ValueError(f"{path}: got {held}, expected a pair called {PAIRS}; give them such names")
    if len(spellings) > 1:
        pairs = "; ".join(
            f"{names[inputs.lower()]} and {names[labels.lower()]}" for inputs, labels, *_ in spellings
        )
        raise ValueError(f"{path}: got several pairs, {pairs}, expected one; give the others different names")
    used = [names[name.lower()] for name in spellings[0] if name.lower() in names]
    if len(used) == 3:
        raise ValueError(
            f"{path}: got {used[2]} alone, expected {' and '.join(spellings[0][2:])}, or neither"
        )
    raws = [Raw(read(inputs), read(labels)) for inputs, labels in zip(used[::2], used[1::2], strict=True)]
    class_names = None
    for name in (names[name] for name in CLASS_NAMES if name in names):
        if (array := read(name)).dtype.kind in "US":
            class_names = _texts(array, f"{path}: {name}")
            used.append(name)
    unused = [f"{name} {about}" for name, about in shown.items() if name not in used]
    notes = (f"not used: {listed(unused)}",) if unused else ()
    return raws[0]._replace(class_names=class_names, test=raws[1] if len(raws) > 1 else None, notes=notes)


def complete(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The spellings of which inputs and labels are among the names."""
    lower = {name.lower() for name in names}
    return [spelling for spelling in SPELLINGS if {spelling[0].lower(), spelling[1].lower()} <= lower]


def checked(raw: Raw, path: Path, what: str = "") -> Raw:
    """The same, if there is a label for each example.

    Raises:
      ValueError: there are more of one than of the other.
    """
    if raw.inputs.shape[:1] != raw.labels.shape[:1]:
        raise ValueError(
            f"{path}: got {what}inputs of shape {raw.inputs.shape} and {what}labels of shape "
            f"{raw.labels.shape}, expected a label for each input"
        )
    if raw.test:
        checked(raw.test, path, "test ")
    return raw


def listed(items: Sequence[str]) -> str:
    """The first of them in a line."""
    return ", ".join(items[:SAID]) + (", ..." if len(items) > SAID else "")


def _by_spelling(names: Iterable[str], path: Path) -> dict[str, str]:
    """Those names that mean something here, by their lower case."""
    found: dict[str, str] = {}
    for name in names:
        if name.lower() in SPELLED:
            if other := found.get(name.lower()):
                raise ValueError(
                    f"{path}: got both {other} and {name}, expected one of them; rename the other"
                )
            found[name.lower()] = name
    return found


def _texts(array: np.ndarray, what: str) -> tuple[str, ...]:
    with damage_named(what, "texts in UTF-8"):
        return tuple((np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array).ravel().tolist())
