"""The columns of a table: which of them are the labels, and what their values are as arrays."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxnaive.data.names import did_you_mean

LABELS = (  # what a label column is called
    "label", "labels", "target", "targets", "class", "classes", "y", "species", "variety", "diagnosis",
    "outcome", "survived", "category", "saleprice", "medv",
)  # fmt: skip
SHOWN = 12  # names in an error
INDEX = re.compile(
    r"|Unnamed: 0|index|.*(\b|_)id|.*(\b|_|[a-z])(Id|ID)"
)  # of the rows, or of whom they are about
DATE = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T]|$)|^\d{1,2}[/.]\d{1,2}[/.]\d{4}([ T]|$)"
PIXELS: tuple[Callable[[int, int], str], ...] = (  # what pixels of a square are called, by place and side
    lambda place, side: f"pixel{place}",
    lambda place, side: f"pixel{place + 1}",
    lambda place, side: f"{place // side}x{place % side}",
    lambda place, side: f"{place // side + 1}x{place % side + 1}",
    lambda place, side: f"pixel_{place // side}_{place % side}",
)

Name = str | int  # of a column: also its place, which counts from 0, or from the end if it is negative


def found(names: Sequence[str], name: Name, option: str) -> str:
    """The column that is meant by a name, or by a place.

    Raises:
      ValueError: there is none.
    """
    if name in names:
        return str(name)
    if isinstance(name, int) and str(name) in names and names[name : name + 1] != [str(name)]:
        raise ValueError(
            f"{option}: got the place {name}, and there is a column called {str(name)!r}, expected one of "
            f"them; say {str(name)!r}, or the name of the column at that place"
        )
    if re.fullmatch(r"-?\d+", str(name)):
        if not -len(names) <= int(name) < len(names):
            raise ValueError(f"{option}: got column {name}, expected one of {len(names)}, counted from 0")
        return names[int(name)]
    raise ValueError(
        f"{option}: got {name!r}, expected one of the columns {shown(names)}{did_you_mean(str(name), names)}"
    )


def find_label(names: Sequence[str]) -> str:
    """The column that is called as labels are.

    Raises:
      ValueError: there is none, or more than one.
    """
    lower = {name.lower() for name in names}
    # Beside an x, y is a coordinate.
    called = [name for name in names if name.lower() in LABELS and not (name.lower() == "y" and "x" in lower)]
    if len(called) == 1:
        return called[0]
    if called:
        raise ValueError(
            f"label: got {len(called)} columns that may be it; say which: label={called[0]!r} (--label), "
            f"one of: {shown(called)}"
        )
    raise ValueError(f"label: got no label column; say which: label='...' (--label), one of: {shown(names)}")


def shown(names: Sequence[str]) -> str:
    """The first of the names, and the last."""
    listed = list(map(repr, names))
    return ", ".join([*listed[: SHOWN - 1], "...", listed[-1]] if len(listed) > SHOWN else listed)


def is_index(name: str, column: Any) -> bool:
    """Whether a column numbers the rows, or whom they are about: all numbers are different."""
    import pyarrow as pa

    if not pa.types.is_integer(column.type) or column.null_count or not INDEX.fullmatch(name):
        return False
    return len(column.unique()) == len(column)


def is_array(column: Any) -> bool:
    """Whether its values are lists, such as pixels."""
    import pyarrow as pa

    kind = _storage(column.type)
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def is_pictures(column: Any) -> bool:
    """Whether its values are the bytes of files, or what Hugging Face makes of them."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and pa.types.is_binary(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def is_whole(column: Any) -> bool:
    """Whether each of its values is a whole example: a list, or a picture."""
    return is_array(column) or is_pictures(column)


def labels(name: str, column: Any) -> np.ndarray:
    """Labels ``[examples]``: numbers, bools, or objects that are texts; NaN or None where they are missing.

    Raises:
      ValueError: they are of another kind.
    """
    import pyarrow as pa

    column = _plain(column)
    kind = column.type
    if pa.types.is_temporal(kind):
        raise ValueError(f"label: got dates or times in column {name}, expected classes or numbers")
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif (
        pa.types.is_string(kind)
        or pa.types.is_null(kind)
        or (pa.types.is_boolean(kind) and column.null_count)
    ):
        return np.array(column.to_pylist(), object)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise ValueError(f"label: got {kind} in column {name}, expected classes or numbers")
    return column.to_numpy()


def several_labels(table: Any, names: Sequence[str]) -> np.ndarray:
    """Labels ``[examples, k]``: the targets of a regression, or one-hot rows.

    Raises:
      ValueError: they are no numbers.
    """
    values = [labels(name, table.column(name)) for name in names]
    for name, own in zip(names, values, strict=True):
        if own.dtype == object:
            raise ValueError(f"label: got no numbers in column {name}, expected numbers in several columns")
    return np.column_stack(values)


def feature(name: str, column: Any) -> Any:
    """A column of numbers, bools or texts, as pyarrow has them.

    Raises:
      ValueError: its values are dates, or of a kind that no network learns from.
    """
    import pyarrow as pa
    import pyarrow.compute

    compute: Any = pyarrow.compute  # type checkers see none of its functions

    column = _plain(column)
    kind = column.type
    is_text = pa.types.is_string(kind)
    are_dates = is_text and compute.all(compute.match_substring_regex(column, DATE)).as_py()
    if are_dates or pa.types.is_temporal(kind):
        raise ValueError(
            f"column {name}: got dates or times, expected numbers or texts; leave it out with "
            f"ignore=({name!r},) (--ignore), or make numbers of it"
        )
    if not (
        is_text
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        raise ValueError(
            f"column {name}: got {kind}, expected numbers or texts; leave it out with ignore=({name!r},) "
            "(--ignore)"
        )
    return column


def array(name: str, column: Any) -> np.ndarray:
    """Lists of one length ``k`` as an array ``[examples, k]``; lists of lists, ``[examples, h, w]``.

    Raises:
      ValueError: they are of different lengths, missing in places, or of no numbers.
    """
    import pyarrow as pa
    import pyarrow.compute

    compute: Any = pyarrow.compute  # type checkers see none of its functions

    column = pa.chunked_array([_stored(chunk) for chunk in column.chunks], _storage(column.type))
    shape = [len(column)]
    while is_array(column):
        lengths = compute.unique(compute.list_value_length(column)).to_pylist()
        if len(lengths) != 1 or None in lengths:
            some = ", ".join("missing" if length is None else str(length) for length in lengths[:3])
            raise ValueError(f"column {name}: got lists of lengths {some}, expected lists of one length")
        shape += lengths
        column = compute.list_flatten(column)
    kind = column.type
    if column.null_count or not (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    ):
        what = "missing values" if column.null_count else f"lists of {kind}"
        raise ValueError(f"column {name}: got {what}, expected lists of numbers")
    return column.to_numpy().reshape(shape)


def files(name: str, column: Any) -> list[tuple[str, bytes]]:
    """The bytes of each picture, and a name for it.

    Raises:
      ValueError: there are no bytes in a row.
    """
    contents = []
    for row, value in enumerate(column.to_pylist()):
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None:
            raise ValueError(
                f"column {name}: got no bytes of a picture in row {row}, expected a file in each"
            )
        path = value.get("path") if isinstance(value, dict) else None
        contents.append((path or f"row {row}", content))
    return contents


def picture_shape(names: Sequence[str]) -> tuple[int, ...] | None:
    """The shape of the pictures whose pixels, in their order, are called so; ``None``, if none are."""
    side = math.isqrt(len(names))
    if side < 2 or side * side != len(names):
        return None
    is_square = any(list(names) == [called(place, side) for place in range(len(names))] for called in PIXELS)
    return (side, side) if is_square else None


def _plain(column: Any) -> Any:
    """Texts of one kind; the categories of a data frame as the texts that they are."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return pa.chunked_array([_decoded(chunk) for chunk in column.chunks], pa.string())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    return column


def _decoded(chunk: Any) -> Any:
    import pyarrow as pa

    categories = [None if value is None else str(value) for value in chunk.dictionary.to_pylist()]
    return pa.array(categories, pa.string()).take(chunk.indices)


def _storage(kind: Any) -> Any:
    """How a type is stored that some library has made of one of Arrow's."""
    import pyarrow as pa

    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _stored(chunk: Any) -> Any:
    import pyarrow as pa

    return chunk.storage if isinstance(chunk.type, pa.BaseExtensionType) else chunk
