"""Some rows of an array that may be larger than the memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

LARGE = 2**28  # bytes: less than this is read at once
PART = 2**24  # bytes that are looked at, or changed, at a time


class Rows:
    """Rows of a memory-mapped array, read when they are asked for; otherwise like an array."""

    def __init__(self, array: np.ndarray, index: np.ndarray) -> None:
        self.array, self.index = array, index
        self.shape = (len(index), *array.shape[1:])
        self.dtype, self.ndim = array.dtype, array.ndim
        self.size = int(np.prod(self.shape))
        self.nbytes = self.size * array.dtype.itemsize

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Any) -> Any:
        return np.asarray(self.array[self.index[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.array[self.index], dtype)


def select(array: Any, index: np.ndarray) -> Any:
    """The rows of an array or a pyarrow.Table at these places; of a large file without reading it yet."""
    if hasattr(array, "column_names"):
        return array.take(index)
    if isinstance(array, Rows):
        return Rows(array.array, array.index[index])
    if on_disk(array) and array.nbytes >= LARGE:
        return Rows(array, index)
    return array[index]


def parts(array: Any) -> Iterator[Any]:
    """The array, some rows at a time."""
    count = max(1, PART // max(1, array.nbytes // max(1, len(array))))
    for start in range(0, len(array), count):
        yield array[start : start + count]


def on_disk(array: Any) -> Path | None:
    """The folder of the file that an array is mapped from; ``None`` if it is in memory."""
    if isinstance(array, Rows):
        return on_disk(array.array)
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    if array is None or array.filename is None:
        return None
    return Path(str(array.filename)).parent
