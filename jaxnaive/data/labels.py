"""Labels of any kind, made into classes that count from 0, or into a regression's targets."""

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from jaxnaive.data.schema import Classes, Kind, Targets

KINDS: dict[str, Kind] = {"i": "int", "u": "int", "b": "bool", "U": "str", "T": "str"}  # by those of NumPy
Task = Literal["classification", "regression"]

MANY = 100  # whole numbers that are different: more may always be quantities
FEW, PER_CLASS = (
    20,
    5,
)  # more whole numbers than this, each less often than that, may be classes or quantities
MAX_INT = np.iinfo(np.int64).max
SAID = 12  # class names in a note


def learn(
    labels: Any,
    class_names: Sequence[str] | None = None,
    task: Task | None = None,
    target_names: Sequence[str] | None = None,
) -> tuple[Classes | Targets, str, list[str]]:
    """What labels say: their classes, or their targets' names and scales; a line about it, and warnings.

    Numbers with a fraction are quantities. Whole numbers, strings, bools and one-hot rows are classes.

    Args:
      labels: ``[examples]`` or ``[examples, 1]``; one-hot rows, or several targets, ``[examples, k]``.
      class_names: in the order of the classes.
      task: decides where the labels do not.
      target_names: in the order of the targets, if it is a regression.

    Raises:
      ValueError: values are missing or of different kinds, there is one class only, or whole numbers may be
        classes or quantities.
    """
    array = as_labels(labels)
    if task == "regression" or (task is None and _are_quantities(array)):
        return _learn_targets(array, target_names)
    values = _class_values(array)
    kind: Kind = "str"
    if class_names is None:
        kind = KINDS[values.dtype.kind]
        if values.dtype == np.uint64 and values.max() > MAX_INT:
            raise ValueError(f"labels: got {values.max()}, expected at most {MAX_INT}; give them as texts")
        if task is None and values.dtype.kind in "iu":
            _check_not_ambiguous(values)
        classes = tuple(map(str, _sorted(np.unique(values))))
    else:
        classes = tuple(map(str, class_names))
        if not classes or len(set(classes)) < len(classes):
            raise ValueError(f"class names: got {_shown(classes) or 'none'}, expected another for each class")
    if len(classes) < 2:
        raise ValueError(f"labels: got one class only, {classes[0]}, expected two or more")
    counts = np.bincount(encode(array, Classes(classes)), minlength=len(classes))
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    warnings = [f"labels: no example of {_shown(empty)}"] if empty else []
    return Classes(classes, kind), f"labels: {len(classes)} classes: {_shown(classes)}", warnings


def encode(labels: Any, outputs: Classes | Targets, what: str = "labels") -> np.ndarray:
    """Labels as the loss takes them.

    Args:
      labels: as in :func:`learn`.
      outputs: that were learned.
      what: they are called in an error.

    Returns:
      int32 ``[examples]``, classes counted from 0; or float32 ``[examples, targets]``.

    Raises:
      ValueError: a label is of no class, or missing.
    """
    array = as_labels(labels, what)
    if isinstance(outputs, Targets):
        targets = _targets(array)
        if targets.shape[1] != len(outputs.names):
            raise ValueError(
                f"{what}: got {targets.shape[1]} targets an example, expected {len(outputs.names)}"
            )
        return ((targets - outputs.mean) / outputs.deviation).astype(np.float32)
    values = _class_values(array)
    number = {name: place for place, name in enumerate(outputs.names)}
    found, inverse = np.unique(values, return_inverse=True)
    if unknown := [value for value in found if str(value) not in number]:
        raise ValueError(f"{what}: got {unknown[0]}, expected one of {_shown(outputs.names)}")
    return np.array([number[str(value)] for value in found], np.int32)[inverse]


def by_name(labels: Any, names: Sequence[str]) -> np.ndarray:
    """The names of classes that labels count from 0; strings are names already.

    Raises:
      ValueError: a label is of no class.
    """
    array = as_labels(labels)
    if array.dtype.kind in "UT":
        return array
    numbers = _class_values(array).astype(np.int64)
    for label in (numbers.min(), numbers.max()):
        if not 0 <= label < len(names):
            raise ValueError(f"labels: got {label}, expected 0 to {len(names) - 1}, for {len(names)} classes")
    return np.array(names, str)[numbers]


def as_labels(labels: Any, what: str = "labels") -> np.ndarray:
    """Labels as an array of one axis, or of two; objects as the strings or numbers that they are.

    Raises:
      ValueError: they are ragged, missing in places, or of several kinds.
    """
    if np.ma.isMaskedArray(labels) and np.ma.is_masked(labels):
        raise ValueError(f"{what}: got masked labels, expected all of them")
    try:
        array = np.asarray(labels)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{what}: got a ragged list, or no array, expected one label an example") from error
    if array.dtype.kind in "UT" and isinstance(labels, list | tuple):
        array = np.asarray(labels, object)  # NumPy makes strings of the numbers among strings
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"{what}: got shape {array.shape}, expected one label an example")
    if array.dtype == object:
        array = _of_one_kind(array, what)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind not in "biufUT":
        raise ValueError(f"{what}: got {array.dtype}, expected numbers, strings or bools")
    if array.dtype.kind == "f" and (bad := np.count_nonzero(~np.isfinite(array))):
        raise ValueError(f"{what}: got {bad} of {array.size:,} missing or infinite, expected all of them")
    return array


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:SAID]) + (", ..." if len(names) > SAID else "")


def _of_one_kind(array: np.ndarray, what: str) -> np.ndarray:
    flat = array.ravel()
    missing = sum(map(_is_missing, flat))
    if missing:
        raise ValueError(f"{what}: got {missing} of {array.size:,} missing, expected all of them")
    kinds = {_kind(value) for value in flat}
    if len(kinds) > 1:
        raise ValueError(f"{what}: got a mixture of {' and '.join(sorted(kinds))}, expected one kind")
    return np.array(flat.tolist()).reshape(array.shape)


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError):  # the missing value of pandas compares with nothing
        return True


def _kind(value: Any) -> str:
    if isinstance(value, str | bytes):
        return "strings"
    return "bools" if isinstance(value, bool | np.bool_) else "numbers"


def _are_quantities(array: np.ndarray) -> bool:
    """Whether labels have fractions, or are several numbers an example that are not one-hot."""
    if array.ndim == 2:
        _check_no_shares(array)
        return not _is_one_hot(array) and array.dtype.kind in "iuf"
    return array.dtype.kind == "f" and bool((array != np.round(array)).any())


def _check_no_shares(array: np.ndarray) -> None:
    """Refuse rows of 0 and 1, or of shares of 1, that are neither classes nor quantities for certain."""
    if array.dtype.kind not in "biuf" or _is_one_hot(array):
        return
    are_flags = bool(((array == 0) | (array == 1)).all())
    are_shares = bool((array >= 0).all() and np.allclose(array.sum(axis=1), 1))
    if are_flags or are_shares:
        what = "several classes an example" if are_flags else "probabilities"
        raise ValueError(
            f"labels: got rows that may be {what}, expected one class an example; say task='regression' to "
            "learn them as numbers"
        )


def _is_one_hot(array: np.ndarray) -> bool:
    return (
        array.dtype.kind in "biuf"
        and bool(((array == 0) | (array == 1)).all())
        and bool((array.sum(axis=1) == 1).all())
    )


def _class_values(array: np.ndarray) -> np.ndarray:
    """One value an example: an integer, a bool or a string."""
    if array.ndim == 2:
        if not _is_one_hot(array):
            raise ValueError(
                f"labels: got {array.shape[1]} values an example, not one-hot, expected one label each"
            )
        return array.argmax(axis=1)
    if array.dtype.kind == "f":
        if (array != np.round(array)).any():
            raise ValueError("labels: got numbers with a fraction, expected classes; or task='regression'")
        return array.astype(np.int64)
    return array


def _check_not_ambiguous(values: np.ndarray) -> None:
    different = len(np.unique(values))
    if different > MANY or (different > FEW and len(values) < PER_CLASS * different):
        raise ValueError(
            f"labels: got {different} different whole numbers in {len(values):,} examples, which may be "
            "classes or quantities; say task='classification' or task='regression' (--task)"
        )


def _sorted(values: np.ndarray) -> list[Any]:
    """In the order of numbers, if all are; also if they are strings."""
    if values.dtype.kind in "UT" and all(_is_integer(value) for value in values):
        return sorted(values.tolist(), key=int)
    return values.tolist()


def _is_integer(value: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", value) is not None


def _targets(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"labels: got {array.dtype}, expected numbers for a regression")
    return array.reshape(len(array), -1).astype(np.float64)


def _learn_targets(array: np.ndarray, names: Sequence[str] | None) -> tuple[Targets, str, list[str]]:
    targets = _targets(array)
    count = targets.shape[1]
    numbered = ["target"] if count == 1 else [f"target {number}" for number in range(count)]
    called = tuple(map(str, numbered if names is None else names))
    if len(called) != count:
        raise ValueError(f"labels: got {len(called)} names for {count} targets, expected one each")
    mean, deviation = targets.mean(axis=0), targets.std(axis=0)
    is_constant = targets.min(axis=0) == targets.max(axis=0)
    if is_constant.any():
        constant = called[int(np.flatnonzero(is_constant)[0])]
        raise ValueError(f"labels: got the same number in all examples ({constant}), expected several")
    ranges = zip(called, targets.min(axis=0), targets.max(axis=0), strict=True)
    shown = ", ".join(f"{name}, {low:.4g} to {high:.4g}" for name, low, high in list(ranges)[:SAID])
    return Targets(called, tuple(mean.tolist()), tuple(deviation.tolist())), f"targets: {shown}", []
