"""What a user asks a network about, made into what the network gets."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnaive import batches
from jaxnaive.batches import Examples
from jaxnaive.data import columns, inputs, labels, picture_files, tables
from jaxnaive.data.rows import Rows
from jaxnaive.data.schema import Classes, Columns, Schema

LUMA = (0.299, 0.587, 0.114)  # how light red, green and blue are, as JPEG has it

logger = logging.getLogger("jaxnaive")


def encode(asked: Any, schema: Schema) -> np.ndarray:
    """Inputs of any kind as a network gets them.

    Args:
      asked: rows ``[examples, ...]``, or one of them, as the dataset's source has them; a data frame; a
        dictionary with a value for each column, or a list of them; the path of a table, or of a picture, or a
        list of paths of pictures.
      schema: of the network.

    Raises:
      ValueError: they are not what the network was trained on.
      OSError: a file cannot be read.
    """
    encoded = inputs.encode(_as_rows(asked, schema), schema.inputs)
    if odd := inputs.odd_units(encoded, schema.inputs, "inputs"):
        logger.warning("%s", odd)
    return encoded


def examples(asked: Any, answers: Any, schema: Schema) -> Examples:
    """Inputs and their labels of any kind as examples.

    Args:
      asked: as in :func:`encode`.
      answers: labels as the dataset's source has them; or places of classes that are texts, from 0.
      schema: of the network.

    Raises:
      ValueError, OSError: as in :func:`encode`; or labels are of no class, or not as many.
    """
    outputs, given = schema.outputs, labels.as_labels(answers)
    if isinstance(outputs, Classes) and outputs.kind == "str" and given.dtype.kind in "iu":
        given = labels.by_name(given, outputs.names)
    found = Examples(encode(asked, schema), labels.encode(given, outputs))
    batches.check(found)
    return found


def _as_rows(asked: Any, schema: Schema) -> Any:
    several = asked if isinstance(asked, list | tuple) else [asked]
    if several and all(isinstance(one, str | os.PathLike) for one in several):
        return _of_files([Path(one).expanduser() for one in several], schema)
    if several and all(isinstance(one, Mapping) for one in several):
        return _of_rows([dict(one) for one in several])
    if tables.is_frame(asked):
        return _of_table(tables.from_frame(asked), schema)
    if isinstance(asked, list | tuple) and not len(asked):
        raise ValueError("inputs: got none, expected one or more")
    array = asked if isinstance(asked, Rows) else inputs.as_array(asked)
    axes = 1 if isinstance(schema.inputs, Columns) else len(schema.shape)
    return array[None] if array.ndim == axes and not _are_flat(array, schema) else array


def _are_flat(array: Any, schema: Schema) -> bool:
    """Whether rows are examples without their axes: [n, 784] for 28 x 28 pixels."""
    return len(schema.shape) > 1 and array.ndim == 2 and array.shape[1] == schema.num_features


def _of_rows(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    for row in rows:
        if row.keys() != rows[0].keys():
            other = ", ".join(map(str, sorted(row.keys() ^ rows[0].keys(), key=str)))
            raise ValueError(
                f"inputs: got rows of which only some have {other}, expected the same columns in all"
            )
    try:
        return pa.Table.from_pylist(rows)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ValueError(
            f"inputs: got rows with values of several kinds in a column ({error!s:.200})"
        ) from error


def _of_files(paths: list[Path], schema: Schema) -> Any:
    if len(paths) == 1 and not picture_files.is_picture_file(paths[0]):
        return _of_table(tables.read(paths[0]).table, schema)
    for path in paths:
        picture_files.check_is_no_pipe(path)
    return _of_pictures([(str(path), path.read_bytes()) for path in paths], schema)


def _of_table(table: Any, schema: Schema) -> Any:
    """A table; or, for a network of whole arrays, what its one column of lists or of pictures holds."""
    whole = [name for name in table.column_names if columns.is_whole(table.column(name))]
    if isinstance(schema.inputs, Columns) or schema.inputs.columns or len(whole) != 1:
        return table
    name, column = whole[0], table.column(whole[0])
    if columns.is_array(column):
        return columns.array(name, column)
    return _of_pictures(columns.files(name, column), schema)


def _of_pictures(contents: Sequence[tuple[str, bytes]], schema: Schema) -> np.ndarray:
    """Pictures in the size, and in the colours, of those in training; from their names and contents."""
    size = (schema.shape[0], schema.shape[1]) if len(schema.shape) > 1 else None
    stacked = picture_files.stack(contents, size)
    if len(stacked.kept) < len(contents):
        raise ValueError(stacked.notes[0])
    for note in stacked.notes:
        logger.warning("inputs: %s", note)
    return _in_colours_of(stacked.images, schema)


def _in_colours_of(images: np.ndarray, schema: Schema) -> np.ndarray:
    """Grey pictures for a network of grey ones, coloured ones for one of coloured ones."""
    if len(schema.shape) == 2 and images.ndim == 4:
        return np.round(images @ np.array(LUMA)).astype(images.dtype)
    if len(schema.shape) == 3 and images.ndim == 3:
        return np.repeat(images[..., None], schema.shape[-1], axis=-1)
    return images
