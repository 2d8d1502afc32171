"""Tables: files of text, Parquet and Arrow files, folders of them, and data frames.

pyarrow holds them all; a data frame of pandas or Polars is taken by Arrow's own protocol, without importing
either.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnaive.data import columns, csv_files
from jaxnaive.data.columns import Name
from jaxnaive.data.raw import Raw
from jaxnaive.data.reading import check_is_file, damage_named
from jaxnaive.data.split_names import split_of

TEXT = (".csv", ".tsv", ".txt", ".data")
ARROW = (".arrow", ".feather", ".ipc")
IN_FOLDERS = (".csv", ".tsv", ".parquet", *ARROW)  # a .txt or .data in a folder may be anything
LFS_POINTER = b"version https://git-lfs"


class Table(NamedTuple):
    """A table, and what its file says about it."""

    table: Any  # a pyarrow.Table
    class_names: tuple[str, ...] | None = None  # of the label column, if the file has them
    label: str | None = None  # the column that the file itself declares to be the labels
    has_header: bool = True  # whether the columns have names of their own, not "0", "1", ...
    notes: tuple[str, ...] = ()  # what a user should be told, a line each


# --- files -------------------------------------------------------------------------------------------


def read(path: Path) -> Table:
    """A table from a text file (``.csv``, ``.tsv``, ``.txt``, ``.data``), a Parquet file or an Arrow file.

    Raises:
      ValueError: it is damaged, or no table, or two of its columns have the same name.
      OSError: it cannot be read.
    """
    check_is_file(path)
    with path.open("rb") as file:
        head = file.read(len(LFS_POINTER))
    if head == LFS_POINTER:
        raise ValueError(f"{path}: got a pointer of Git LFS, expected the file itself; run git lfs pull")
    if _suffix(path) in TEXT:
        table, has_header, class_names, notes = csv_files.read(path)
    else:
        table, has_header, class_names, notes = _without_index(_read_arrow(path)), True, (), ()
    _check_names(table, str(path))
    if not table.num_rows:
        raise ValueError(f"{path}: got a table without rows, expected at least one")
    if class_names:
        return Table(table, class_names, table.column_names[-1], has_header)
    declared = _declared(table)
    label = next(iter(declared)) if len(declared) == 1 else None
    return Table(table, declared.get(label or ""), label, has_header, notes)


def is_table_folder(path: Path) -> bool:
    """Whether a folder has tables for training and testing, or nothing but one table."""
    return bool(_files(path))


def read_folder(path: Path) -> dict[str, Table]:
    """The tables of a folder by what they are for: "train", and perhaps "test" and "validation".

    A table may be in several files, ``train-00000-of-00002.parquet``. One that lacks a column of the training
    table is left out, with a note: in Kaggle's ``test.csv`` the labels are missing.

    Raises:
      ValueError: there is no table for training, or more than one, or a part of one is missing.
      OSError: a file cannot be read.
    """
    files = _files(path)
    if "train" not in files:
        raise ValueError(
            f"{path}: got tables for {' and '.join(files)}, expected one for training, train.csv"
        )
    tables = {split: _joined(path, split, parts) for split, parts in files.items()}
    train, notes = tables.pop("train"), []
    kept = {}
    for split, table in tables.items():
        missing = [name for name in train.table.column_names if name not in table.table.column_names]
        if missing:
            notes.append(f"{split}: left out, because it has no column {columns.shown(missing)}")
        else:
            kept[split] = table
    return {"train": train._replace(notes=(*train.notes, *notes)), **kept}


def _suffix(path: Path) -> str:
    """The end of a name that says what a file is, without that of its compression."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in csv_files.OPENERS else suffix


def _read_arrow(path: Path) -> Any:
    """A Parquet file, or an Arrow file of one of its two formats."""
    import pyarrow as pa
    from pyarrow import parquet

    suffix = _suffix(path)
    with path.open("rb") as file, damage_named(path, f"a {suffix} file"):
        if suffix == ".parquet":
            table = parquet.ParquetFile(file).read()
        else:
            is_file = file.read(6) == b"ARROW1"
            file.seek(0)
            with (pa.ipc.open_file if is_file else pa.ipc.open_stream)(file) as reader:
                table = reader.read_all()
        table.validate(full=True)
        return table


def _check_names(table: Any, what: str) -> None:
    names = table.column_names
    if not names:
        raise ValueError(f"{what}: got no columns, expected at least one")
    if len(names) > csv_files.MAX_COLUMNS:
        raise ValueError(f"{what}: got {len(names):,} columns, expected at most {csv_files.MAX_COLUMNS:,}")
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"{what}: got several columns called {twice!r}, expected different names")


def _declared(table: Any) -> dict[str, tuple[str, ...]]:
    """The class names of the columns of which Hugging Face's own note in a file has them."""
    try:
        note = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
        features = note["info"]["features"]
        return {
            name: tuple(map(str, about["names"]))
            for name, about in features.items()
            if about.get("_type") == "ClassLabel" and name in table.column_names
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # another program's note, or none


def _without_index(table: Any) -> Any:
    """The same without the columns that pandas makes of the index of a data frame."""
    try:
        kept = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError):
        kept = []
    index = [name for name in kept if isinstance(name, str) and name in table.column_names]
    return table.drop_columns(index) if index else table


# --- folders -----------------------------------------------------------------------------------------


def _files(path: Path) -> dict[str, list[Path]]:
    """The files of each table of a folder; none if it holds something else."""
    folders = [entry for entry in _entries(path) if entry.is_dir()]
    known = [folder for folder in folders if folder.name == "data" or split_of(folder.name)]
    files = [
        entry
        for folder in (path, *known)
        for entry in _entries(folder)
        if _suffix(entry) in IN_FOLDERS and entry.is_file()
    ]
    found: dict[str, list[Path]] = {}
    for file in files:
        if split := split_of(file.name) or (file.parent != path and split_of(file.parent.name)):
            found.setdefault(split, []).append(file)
    if not found and len(set(map(_series, files))) == 1 and folders == known:
        found = {"train": files}
    return found


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, by name, without what is hidden."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _series(file: Path) -> tuple[Path, str]:
    """What the files of one table have in common: the name without a number at its end."""
    name = file.name.partition(".")[0]
    return file.parent, re.sub(r"[-_]?\d+(-of-\d+.*)?$", "", name) + _suffix(file)


def _joined(path: Path, split: str, files: Sequence[Path]) -> Table:
    """One table of several files."""
    import pyarrow as pa

    if len(set(map(_series, files))) > 1:
        names = ", ".join(str(file.relative_to(path)) for file in files[:5])
        raise ValueError(
            f"{path}: got several tables for {split}, {names}, expected one; give the path of the one"
        )
    count = re.search(r"-of-(\d+)", files[0].name)
    if count and int(count[1]) != len(files):
        raise ValueError(f"{path}: got {len(files)} of {int(count[1])} parts of {split}, expected all")
    parts = [read(file) for file in files]
    first = parts[0]
    for file, part in zip(files, parts, strict=True):
        if part.table.column_names != first.table.column_names:
            raise ValueError(f"{file}: got other columns than in {files[0].name}, expected the same")
    try:
        joined = pa.concat_tables([part.table for part in parts], promote_options="permissive")
    except pa.ArrowException as error:
        raise ValueError(
            f"{path}: got parts of {split} with different kinds of values ({error!s:.200}), expected the same"
        ) from error
    return first._replace(table=joined)


# --- inputs and labels -------------------------------------------------------------------------------


def to_raw(
    table: Any,
    label: Name | Sequence[Name] | None,
    ignore: Name | Sequence[Name],
    class_names: tuple[str, ...] | None,
    stack: Callable[[Sequence[tuple[str, bytes]]], Any],
) -> Raw:
    """Inputs and labels of a table.

    Args:
      table: a pyarrow.Table.
      label: the name of a column; or its place, from 0, or from the end if it is negative; or several of
        them, for several targets or one-hot rows. Default: the one that is called as labels are.
      ignore: the names or the places of columns that are left out.
      class_names: of labels that count from 0, unless the table itself has them.
      stack: makes pictures of the bytes of their files, each with a name, if the inputs are such a column.

    Returns:
      As inputs a pyarrow.Table of numbers, bools and texts; or an array ``[examples, ...]``, of columns that
      are pixels, or of a column of lists or of pictures.

    Raises:
      ValueError: there is no such column, or values are of a kind that cannot be learned from.
    """
    names = table.column_names
    ignored = {columns.found(names, name, "ignore") for name in _several(ignore)}
    if label is None:
        chosen = [columns.find_label([name for name in names if name not in ignored])]
    else:
        chosen = [columns.found(names, name, "label") for name in _several(label)]
    if both := [name for name in chosen if name in ignored]:
        raise ValueError(f"label: got {both[0]!r}, which is among those to ignore, expected another column")
    rest = table.select([name for name in names if name not in ignored and name not in chosen])
    index = [name for name in rest.column_names if columns.is_index(name, rest.column(name))]
    inputs, rows, notes = _inputs(rest.drop_columns(index), stack)
    raw = with_labels(inputs, table.select(chosen), rows)
    declared = _declared(table)
    if len(chosen) == 1:
        raw = raw._replace(class_names=declared.get(chosen[0]) if declared else class_names)
    if index:
        notes = (f"columns that number the rows, left out: {', '.join(map(repr, index))}", *notes)
    return raw._replace(notes=notes)


def with_labels(inputs: Any, table: Any, rows: np.ndarray | None = None) -> Raw:
    """Inputs, and the columns of a table as their labels: one; or several, of targets or of one-hot rows.

    Args:
      inputs: of these rows of the table.
      table: a pyarrow.Table.
      rows: of the table. Default: all.

    Raises:
      ValueError: several columns are no numbers.
    """
    names = tuple(table.column_names)
    if len(names) == 1:
        labels, class_names = columns.labels(names[0], table.column(0)), None
    else:
        labels = columns.several_labels(table, names)
        is_one_hot = np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()
        class_names = names if is_one_hot else None
    return Raw(inputs, labels if rows is None else labels[rows], class_names, names)


def _several(names: Name | Sequence[Name]) -> Sequence[Name]:
    return [names] if isinstance(names, Name) else names


def _inputs(table: Any, stack: Callable[..., Any]) -> tuple[Any, np.ndarray | None, tuple[str, ...]]:
    """The inputs; which rows they are, if not all; and notes."""
    import pyarrow as pa

    names = table.column_names
    if not names:
        raise ValueError("got no column besides the labels, expected at least one to learn from")
    values = dict(zip(names, table.columns, strict=True))
    whole = [name for name in names if columns.is_whole(values[name])]
    if whole and len(names) > 1:
        others = [name for name in names if name != whole[0]]
        raise ValueError(
            f"column {whole[0]}: got lists or pictures beside {len(others)} other columns, expected them "
            f"alone; leave the others out with ignore={tuple(others)} (--ignore)"
        )
    if not whole:
        inputs = pa.table({name: columns.feature(name, column) for name, column in values.items()})
        return inputs, None, ()
    name, column = whole[0], values[whole[0]]
    if columns.is_array(column):
        return columns.array(name, column), None, ()
    stacked = stack(columns.files(name, column))
    return stacked.images, np.asarray(stacked.kept), tuple(stacked.notes)


# --- data frames -------------------------------------------------------------------------------------


def is_frame(values: Any) -> bool:
    """Whether it is a data frame of pandas or Polars, a table of pyarrow, or another of Arrow's tables."""
    has_columns = hasattr(values, "columns") or hasattr(values, "column_names")
    return has_columns and hasattr(values, "__arrow_c_stream__")


def from_frame(frame: Any) -> Any:
    """A data frame as a pyarrow.Table, without the index of pandas.

    Raises:
      ValueError: two columns have the same name, or one has values of several kinds.
    """
    import pyarrow as pa

    names = list(map(str, getattr(frame, "column_names", getattr(frame, "columns", ()))))
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ValueError(f"data frame: got several columns called {twice[0]!r}, expected different names")
    try:
        table = pa.table(frame)
    except (pa.ArrowException, ValueError, TypeError) as error:
        # pyarrow says which column it is in the last of the error's arguments
        column = re.search(r"for column (.*) with type", str(error.args[-1] if error.args else ""))
        what = f"column {column[1]}" if column else "data frame"
        reason = " ".join(str(error.args[0] if error.args else error).split())
        raise ValueError(f"{what}: got values of several kinds ({reason:.200}), expected one kind") from error
    table = _without_index(table)
    _check_names(table, "data frame")
    return table


def as_column(values: Any) -> Any:
    """A Series of pandas or Polars, or a column of pyarrow, as an array; anything else as it is."""
    if is_frame(values):
        return values
    if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
        import pyarrow as pa

        try:
            return columns.labels("labels", pa.chunked_array(values))
        except (pa.ArrowException, TypeError):
            return values.to_numpy()  # objects; what takes labels says what is wrong with them
    return values.to_numpy() if hasattr(values, "to_numpy") else values
