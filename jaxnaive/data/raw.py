"""What a file holds before anything is decided: inputs and labels as they came."""

from __future__ import annotations

from typing import Any, NamedTuple


class Raw(NamedTuple):
    """Inputs and labels as a file, or a user's program, has them."""

    inputs: Any  # an array [examples, ...] of any dtype, perhaps memory-mapped; or a pyarrow.Table
    labels: Any  # an array [examples] or [examples, k]: numbers, strings, bools, one-hot rows
    class_names: tuple[str, ...] | None = None  # if the source names them; then its labels count from 0
    label_names: tuple[str, ...] | None = None  # of the columns that the labels are
    test: Raw | None = None  # if the source comes with a test set
    notes: tuple[str, ...] = ()  # what a user should be told, a line each
