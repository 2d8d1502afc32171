"""Options as plain data: what numbers of NumPy or JAX, tuples and paths are in a stored configuration."""

import math
from collections.abc import Mapping
from typing import Any


def plain(name: str, value: Any) -> Any:
    """A value as JSON holds it: Python's numbers and texts, and lists and dictionaries of them.

    Args:
      name: of the option, for the error.
      value: also numbers and arrays of NumPy or JAX, tuples and paths.

    Raises:
      ValueError: it is not finite, and so not equal to itself or no JSON; or it is of another type.

    >>> import numpy as np
    >>> plain("rates", (np.float64(0.5), np.int64(3), np.array([1, 2])))
    [0.5, 3, [1, 2]]
    """
    if isinstance(value, Mapping):
        return {key: plain(f"{name}.{key}" if name else str(key), one) for key, one in value.items()}
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, tuple | list):
        return [plain(name, one) for one in value]
    value = value.__fspath__() if hasattr(value, "__fspath__") else value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}: got {value}, expected a finite number")
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"{name}: got {value!r:.80}, expected a number, a text, or a list of them")
