"""Inputs as they come, made into numbers that a network learns from: one scale for all, or one a column.

Pixels are all of one kind, so one scale serves them all, and their differences in contrast are kept. The
columns of a table are not: an age and an income are comparable only in units of their own deviations.
"""

import logging
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from jaxnaive.data.columns import picture_shape
from jaxnaive.data.rows import Rows, on_disk, parts
from jaxnaive.data.schema import GREY, Column, Columns, Scale, width

Scaling = Literal["range", "columns", "none"]
Array = np.ndarray | Rows

MIN_PIXELS = 16  # fewer columns are those of a table, whatever their ranges
SPAN = 0.9  # of the whole range: what a column has to cover to count as one of the same kind as the others
MIN_ROWS = 10  # fewer do not say in which units they are
MAX_LEVELS = 16  # uint8 up to this counts something, such as ink; beyond it is grey
MAX_CATEGORIES = 20  # of a text column
SMALL = 1 / 20  # of the range of the training examples: values of another unit
OFF = 3.0  # deviations between the means of two sets of examples: they are in different units
FAR = 10.0  # times their range, or their deviation: values of another unit, too

logger = logging.getLogger("jaxnaive")


def learn(inputs: Any, scaling: Scaling | None = None) -> tuple[Scale | Columns, list[str], list[str]]:
    """How inputs become numbers of about one size; lines about it for the user, and warnings.

    Args:
      inputs: the training examples: an array ``[examples, ...]`` of numbers or bools, or a pyarrow.Table.
      scaling: ``range``: one scale for all numbers; ``columns``: one for each column of a table; ``none``:
        the numbers as they are. Default: ``columns`` for a table, unless at least half of 16 or more columns
        cover the same range, as the pixels of a picture do.

    Raises:
      ValueError: values are not finite or no numbers, or all of them are the same.
    """
    if not isinstance(inputs, np.ndarray | Rows):
        return _learn_table(inputs, scaling)
    array = as_numbers(inputs)
    if scaling == "none":
        return as_they_are(array), [], []
    if scaling == "columns" or (scaling is None and array.ndim == 2 and not _is_of_one_kind(array)):
        if array.ndim != 2:
            raise ValueError(
                f"scaling: got 'columns' for examples of shape {array.shape[1:]}, expected a table"
            )
        names = [f"{place}" for place in range(array.shape[1])]
        return _learn_columns(names, list(np.asarray(array).T))
    scale = _learn_scale(array)
    return scale, _said(scale, is_table=array.ndim == 2), []


def encode(inputs: Any, learned: Scale | Columns, what: str = "inputs") -> Any:
    """Inputs as a network gets them: uint8 if they are grey values, 0 to 255; otherwise float32.

    Args:
      inputs: an array ``[examples, ...]``; or a pyarrow.Table, whose columns may stand in any order.
      learned: from the training examples.
      what: the inputs are called in an error.

    Raises:
      ValueError: they are not of the shape, or not in the range, that the training examples had; or columns
        are missing.
    """
    if isinstance(learned, Columns):
        return _encode_columns(inputs, learned, what)
    if not isinstance(inputs, np.ndarray | Rows):
        inputs = _matrix(inputs, learned.columns or inputs.column_names, what)
    array = as_numbers(inputs, what)
    if array.shape[1:] != learned.shape:
        array = _reshaped(array, learned.shape, what)
    _check_range(array, learned, what)
    if (learned.low, learned.high) == (0.0, GREY) and _are_grey(array):
        return array if array.dtype == np.uint8 else _in_chunks(array, lambda part: part, np.uint8)
    if (learned.low, learned.high) == (0.0, 1.0) and array.dtype == np.float32:
        return array
    span = learned.high - learned.low
    return _in_chunks(array, lambda part: (part.astype(np.float64) - learned.low) / span, np.float32)


def odd_units(encoded: Any, learned: Scale | Columns, what: str) -> str:
    """What says that many columns are in other units than those of training, or scaled twice; or nothing.

    Args:
      encoded: examples.
      learned: from the training examples.
      what: the examples are called.
    """
    if not isinstance(learned, Columns) or len(encoded) < MIN_ROWS:
        return ""
    places = np.cumsum([0, *map(width, learned.columns)])
    numbers = [place for place, column in zip(places, learned.columns, strict=False) if column.deviation > 0]
    odd = [
        place
        for place in numbers
        if not 1 / FAR < encoded[:, place].std() < FAR or abs(encoded[:, place].mean()) > OFF
    ]
    if len(odd) < max(2, len(numbers) / 2):
        return ""
    return (
        f"{what}: got {len(odd)} of {len(numbers)} columns in other units than the training examples have, "
        "expected the same; scale neither, or both"
    )


def as_they_are(array: Array, columns: Sequence[str] = ()) -> Scale:
    """The scale that changes nothing."""
    return Scale(array.shape[1:], 0.0, 1.0, tuple(columns), is_range=False)


def as_numbers(values: Any, what: str = "inputs") -> Any:
    """Values as an array of finite numbers, one row an example.

    Raises:
      ValueError: they are ragged, no numbers, not finite, or there are none.
    """
    array = as_array(values, what)
    if array.dtype == object or array.dtype.kind in "UST":
        raise ValueError(
            f"{what}: got texts or objects in an array, expected numbers; give them as a data frame"
        )
    if array.ndim < 2 or array.size == 0:
        hint = "; one number each is X[:, None]" if array.ndim == 1 and array.size else ""
        raise ValueError(f"{what}: got shape {array.shape}, expected [examples, ...], at least one{hint}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what}: got {array.dtype}, expected numbers")
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            bad = sum(int(np.count_nonzero(~np.isfinite(part.astype(np.float32)))) for part in parts(array))
        if bad:
            raise ValueError(
                f"{what}: got NaN or infinity in {bad} places, expected finite float32 numbers; in a data "
                "frame missing numbers are filled"
            )
    return array


def as_array(values: Any, what: str = "inputs") -> Any:
    """Values as an array, or as the rows of one.

    Raises:
      ValueError: they are none, sparse, or masked in places.
    """
    if isinstance(values, Rows):
        return values
    if hasattr(values, "tocsr"):
        raise ValueError(f"{what}: got a sparse matrix, expected an array; .toarray() makes one")
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        raise ValueError(f"{what}: got masked numbers, expected all; in a data frame .filled(np.nan) does")
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{what}: got a ragged list, or no array, expected one ({reason:.100})") from error
    if array.dtype.kind == "V" and jnp.issubdtype(array.dtype, jnp.floating):
        return array.astype(np.float32)  # bfloat16
    return array


# --- one scale ---------------------------------------------------------------------------------------


def _is_of_one_kind(array: Array) -> bool:
    """Whether at least half of the columns that are not constant cover nearly the whole range of values."""
    if array.shape[1] < MIN_PIXELS:
        return False
    lows, highs = _lows(array), _highs(array)
    spans = highs - lows
    moving = spans > 0
    if not moving.any():
        return False
    return float(np.mean(spans[moving] >= SPAN * (highs.max() - lows.min()))) >= 0.5


def _lows(array: Array) -> np.ndarray:
    return np.min([part.min(axis=0) for part in parts(array)], axis=0).astype(np.float64)


def _highs(array: Array) -> np.ndarray:
    return np.max([part.max(axis=0) for part in parts(array)], axis=0).astype(np.float64)


def _learn_scale(array: Array, columns: Sequence[str] = ()) -> Scale:
    low, high = float(_lows(array).min()), float(_highs(array).max())
    if low == high:
        raise ValueError(f"inputs: got {low:g} in all places, expected different numbers")
    return Scale(array.shape[1:], *_range(low, high, array.dtype), tuple(columns))


def _range(low: float, high: float, dtype: np.dtype) -> tuple[float, float]:
    """The range that values are from, as far as those that were seen tell."""
    if low < 0:
        return (-1.0, 1.0) if low >= -1 and high <= 1 else (low, high)
    if dtype == np.uint8 and high > MAX_LEVELS:
        return 0.0, GREY
    if 0.5 < high <= 1:
        return 0.0, 1.0
    return 0.0, GREY if GREY / 2 < high <= GREY else high


def _said(scale: Scale, is_table: bool = False) -> list[str]:
    if is_table and scale.is_range:
        return [f"values: {scale.low:g} to {scale.high:g}, one scale for all columns"]
    if (scale.low, scale.high) in ((0.0, 1.0), (0.0, GREY)):
        return []
    return [f"values: {scale.low:g} to {scale.high:g}, scaled to 0 to 1"]


def _reshaped(array: Array, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Examples that differ from what is expected by axes of length 1, or are flat."""
    squeezed = tuple(length for length in array.shape[1:] if length != 1)
    if squeezed in (tuple(length for length in shape if length != 1), (int(np.prod(shape)),)):
        return np.asarray(array).reshape(len(array), *shape)
    raise ValueError(f"{what}: got examples of shape {array.shape[1:]}, expected {shape}")


def _check_range(array: Array, scale: Scale, what: str) -> None:
    """Raise ``ValueError`` if values are so far from the range that they must be in another unit."""
    if not scale.is_range:
        return
    low, high = float(_lows(array).min()), float(_highs(array).max())
    span = scale.high - scale.low
    is_negative = scale.low == 0 and low < -span / 4
    is_small = high - low < SMALL * span and (low < 0 or (scale.high >= GREY and 0 < high <= 1))
    if is_negative or (is_small and scale.low == 0) or max(high - scale.high, scale.low - low) > FAR * span:
        raise ValueError(
            f"{what}: got values from {low:g} to {high:g}, expected {scale.low:g} to {scale.high:g}, as in "
            "the training examples"
        )


def _are_grey(array: Array) -> bool:
    """Whether all values are whole numbers from 0 to 255."""
    if array.dtype == np.uint8:
        return True
    return all(bool(((part >= 0) & (part <= GREY) & (part == np.round(part))).all()) for part in parts(array))


# --- a scale for each column -------------------------------------------------------------------------


def _learn_table(table: Any, scaling: Scaling | None) -> tuple[Scale | Columns, list[str], list[str]]:
    """As :func:`learn`, for a pyarrow.Table."""
    names = table.column_names
    columns = [table.column(name) for name in names]
    are_complete = all(_is_number(column) and not column.null_count for column in columns)
    if scaling != "columns" and are_complete:
        array, picture = _matrix(table, names, "inputs"), picture_shape(names)
        if scaling or picture or _is_of_one_kind(array):
            scale = as_they_are(array, names) if scaling == "none" else _learn_scale(array, names)
            return scale._replace(shape=picture or scale.shape), _said(scale, is_table=not picture), []
    if scaling in ("range", "none"):
        raise ValueError(
            f"scaling: got {scaling!r} for a table with text or missing values, expected 'columns'"
        )
    return _learn_columns(names, list(map(_values, columns)))


def _learn_columns(
    names: Sequence[str], values: Sequence[np.ndarray]
) -> tuple[Columns, list[str], list[str]]:
    columns = tuple(map(_learn_column, names, values))
    if not any(map(width, columns)):
        raise ValueError("inputs: got columns that are all constant, expected different numbers")
    numbers = [column for column in columns if column.deviation > 0]
    many = f"{len(numbers)} columns of numbers, each" if len(numbers) > 1 else "1 column of numbers,"
    notes = [f"values: {many} standardised"] if numbers else []
    notes += [
        f"column {column.name}: {len(column.categories)} categories, one number each"
        for column in columns
        if column.categories
    ]
    constant = [column.name for column in columns if not width(column)]
    warnings = [f"constant columns, left out: {', '.join(constant)}"] if constant else []
    for column, own in zip(columns, values, strict=True):
        if own.dtype.kind == "f" and (missing := int(np.isnan(own).sum())):
            warnings.append(
                f"column {column.name}: {missing:,} of {len(own):,} missing, filled with the mean, "
                f"{column.mean:.4g}"
            )
    return Columns(columns), notes, warnings


def _learn_column(name: str, values: np.ndarray) -> Column:
    if values.dtype == object:
        categories = tuple(sorted({_category(value) for value in values}))
        if len(categories) > MAX_CATEGORIES:
            raise ValueError(
                f"column {name}: got {len(categories):,} different texts in {len(values):,} examples, "
                f"expected {MAX_CATEGORIES} or fewer; leave it out with ignore=({name!r},) (--ignore), or "
                "make numbers of it"
            )
        return Column(name, categories=categories if len(categories) > 1 else ())
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if not len(known):
        return Column(name)
    if not np.isfinite(known).all():
        raise ValueError(f"column {name}: got infinity, expected finite numbers")
    known = known.astype(np.float64)
    is_constant = known.min() == known.max()  # the deviation of such numbers is not always 0
    return Column(name, float(known.mean()), 0.0 if is_constant else float(known.std()))


def _encode_columns(inputs: Any, learned: Columns, what: str) -> np.ndarray:
    columns = learned.columns
    if isinstance(inputs, np.ndarray | Rows):
        array = np.asarray(as_numbers(inputs, what))
        if array.shape[1:] != (len(columns),):
            raise ValueError(
                f"{what}: got examples of shape {array.shape[1:]}, expected {len(columns)} columns"
            )
        texts = [column.name for column in columns if column.categories]
        if texts:
            raise ValueError(
                f"{what}: got an array, expected a data frame, because column {texts[0]} is a text"
            )
        values: Sequence[np.ndarray] = list(array.T)
    else:
        _check_has(inputs, [column.name for column in columns], what)
        values = [_values(inputs.column(column.name)) for column in columns]
    encoded = np.zeros((len(values[0]), sum(map(width, columns))), np.float32)
    place = 0
    for column, own in zip(columns, values, strict=True):
        with np.errstate(over="ignore"):  # which is looked for below
            encoded[:, place : place + width(column)] = _encode_column(column, own, what)
        place += width(column)
    if not np.isfinite(encoded).all():
        raise ValueError(f"{what}: got numbers too large for float32, expected numbers as in training")
    return encoded


def _encode_column(column: Column, values: np.ndarray, what: str) -> np.ndarray:
    if column.categories:
        texts = np.array([_category(value) for value in values], object)
        encoded = texts[:, None] == np.array(column.categories, object)[None]
        if unknown := int((~encoded.any(axis=1)).sum()):
            logger.warning("%s: column %s: %d of an unknown category", what, column.name, unknown)
        return encoded.astype(np.float32)
    if not width(column):
        return np.zeros((len(values), 0), np.float32)
    if values.dtype == object:
        raise ValueError(f"{what}: column {column.name}: got texts, expected numbers")
    numbers = values.astype(np.float64)
    if np.isinf(numbers).any():
        raise ValueError(f"{what}: column {column.name}: got infinity, expected finite numbers")
    if missing := int(np.isnan(numbers).sum()):
        logger.warning("%s: column %s: %d missing, filled with the mean", what, column.name, missing)
    return np.nan_to_num((numbers - column.mean) / column.deviation, nan=0.0)[:, None]


def _category(value: Any) -> str:
    return "missing" if value is None or value != value else str(value)


def _is_number(column: Any) -> bool:
    import pyarrow as pa

    kind = column.type
    return (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    )


def _values(column: Any) -> np.ndarray:
    """A column of a pyarrow.Table: numbers, with NaN where they are missing; or objects, texts and None."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if not _is_number(column):
        return np.array(column.to_pylist(), object)
    if pa.types.is_decimal(kind) or pa.types.is_boolean(kind) or column.null_count:
        column = column.cast(pa.float64())
    return column.to_numpy()


def _matrix(table: Any, names: Sequence[str], what: str) -> np.ndarray:
    """Columns of numbers as one array ``[examples, columns]``."""
    _check_has(table, names, what)
    values = [_values(table.column(name)) for name in names]
    for name, own in zip(names, values, strict=True):
        if own.dtype == object or (own.dtype.kind == "f" and np.isnan(own).any()):
            raise ValueError(
                f"{what}: column {name}: got texts or missing values, expected numbers, as in training"
            )
    return as_numbers(np.column_stack(values), what)


def _check_has(table: Any, names: Sequence[str], what: str) -> None:
    there = set(table.column_names)
    if missing := [name for name in names if name not in there]:
        raise ValueError(
            f"{what}: got no column {', '.join(missing[:5])}, expected {len(names)} columns, as in the "
            "training examples"
        )


# --- arrays that may be larger than the memory -------------------------------------------------------


def _in_chunks(array: Array, change: Callable[[np.ndarray], np.ndarray], dtype: Any) -> np.ndarray:
    """The changed array; of a file, in a file without a name, which is gone after its last use."""
    folder = on_disk(array)
    changed = np.empty(array.shape, dtype) if folder is None else _in_file(folder, array.shape, dtype)
    start = 0
    for part in parts(array):
        changed[start : start + len(part)] = change(part)
        start += len(part)
    return changed


def _in_file(folder: Path, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array in a file without a name; in the system's temporary folder if the data's is read-only."""
    import tempfile

    with tempfile.TemporaryFile(dir=folder if os.access(folder, os.W_OK) else None) as file:
        # The room is taken now: a page that the disk has no room for later would end the process by SIGBUS.
        nbytes = math.prod(shape) * np.dtype(dtype).itemsize
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, nbytes)
        else:  # macOS
            file.truncate(nbytes)
        return np.memmap(file, dtype, "r+", shape=shape)
