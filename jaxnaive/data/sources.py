"""What a path leads to: which reader reads it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnaive.data import array_files, columns, idx, matlab, picture_files, picture_folders, tables
from jaxnaive.data.raw import Raw

Name = str | int
Label = Name | Sequence[Name] | None
Size = tuple[int, int] | None

ARRAYS = {".npz": array_files.read_npz, ".npy": array_files.read_npy, ".mat": matlab.read_mat}
TABLES = (*tables.TEXT, ".parquet", *tables.ARROW)
PICKLES = (".pkl", ".pickle", ".p", ".pt", ".pth", ".joblib")
KINDS = (
    "an .npz, .npy or .mat file, a CSV, TSV, Parquet or Arrow table, IDX files, or a folder, zip or tar with "
    "a folder of pictures for each class"
)


def read(path: Path, label: Label = None, ignore: Sequence[Name] = (), size: Size = None) -> Raw:
    """Inputs and labels, as the file or the folder has them.

    Args:
      path: of a file or a folder.
      label: the column, or columns, of a table.
      ignore: columns of a table.
      size: height and width to which pictures are resized.

    Raises:
      ValueError: it is of no kind that is known, or damaged, or of a kind to which an option does not apply.
      OSError: it cannot be read.
    """
    if path.is_dir():
        return _read_folder(path, label, ignore, size)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file or folder")
    if not path.is_file():
        raise ValueError(f"{path}: got a pipe or a device, expected a file")
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz").removesuffix(".bz2")).suffix
    if suffix in PICKLES:
        array_files.refuse_pickle(path)
    if name.endswith(picture_folders.ARCHIVES):
        return _of_pictures(path, label, ignore, size)
    if suffix in ARRAYS:
        return _of_arrays(ARRAYS[suffix], path, label, ignore, size)
    if suffix in TABLES:
        return _of_table(tables.read(path), path, label, ignore, size)
    if idx.is_idx(path):
        return _of_arrays(idx.read_idx_files, path, label, ignore, size)
    raise ValueError(f"{path}: got a file of an unknown kind, expected {KINDS}")


def read_frame(frame: Any, label: Label = None, ignore: Sequence[Name] = (), size: Size = None) -> Raw:
    """Inputs and labels of a data frame, as :func:`read` of a table.

    Raises:
      ValueError: it has no such label, or a column of no kind that is known.
    """
    return _of_table(tables.Table(tables.from_frame(frame)), "a data frame", label, ignore, size)


def read_array(path: Path) -> np.ndarray:
    """The array of one file, ``.npy``, memory-mapped, or IDX.

    Raises:
      ValueError: it holds another thing, or is damaged.
      OSError: it cannot be read.
    """
    if path.suffix.lower() == ".npy":
        return array_files.open_npy(path)
    if path.is_file() and not idx.is_idx(path):
        raise ValueError(
            f"{path}: got a file of another kind, expected .npy or IDX; tables have their labels"
        )
    return idx.read_idx(path)


def is_path(name: str) -> bool:
    """Whether a string looks like a path, also if nothing is there."""
    return (
        "/" in name or Path(name).suffix.lower() in (*ARRAYS, *TABLES, *PICKLES, ".gz") or Path(name).exists()
    )


def _read_folder(path: Path, label: Label, ignore: Sequence[Name], size: Size) -> Raw:
    if idx.is_idx_folder(path):
        return _of_arrays(idx.read_idx_files, path, label, ignore, size)
    if array_files.is_npy_folder(path):
        return _of_arrays(array_files.read_npy, path, label, ignore, size)
    if tables.is_table_folder(path):
        return _of_tables(tables.read_folder(path), path, label, ignore, size)
    if picture_folders.is_picture_folder(path):
        return _of_pictures(path, label, ignore, size)
    raise ValueError(f"{path}: got a folder with nothing that is known, expected {KINDS}")


def _of_arrays(
    reader: Callable[[Path], Raw], path: Path, label: Label, ignore: Sequence[Name], size: Size
) -> Raw:
    _check_no_columns(path, label, ignore)
    _check_no_size(path, size)
    return reader(path)


def _of_pictures(path: Path, label: Label, ignore: Sequence[Name], size: Size) -> Raw:
    _check_no_columns(path, label, ignore)
    return picture_folders.read(path, size)


def _of_table(read: tables.Table, what: Any, label: Label, ignore: Sequence[Name], size: Size) -> Raw:
    def stack(contents: Sequence[tuple[str, bytes]]) -> picture_files.Stacked:
        return picture_files.stack(contents, size)

    if not any(map(columns.is_pictures, read.table.columns)):
        _check_no_size(what, size)
    label = read.label if label is None else label
    raw = tables.to_raw(read.table, label, ignore, read.class_names, stack)
    return raw._replace(notes=(*read.notes, *raw.notes))


def _of_tables(
    found: dict[str, tables.Table], path: Path, label: Label, ignore: Sequence[Name], size: Size
) -> Raw:
    raw = _of_table(found["train"], path, label, ignore, size)
    split = next((split for split in ("test", "validation") if split in found), None)
    if split is None:
        return raw
    left_out = found["validation"].table.num_rows if {"test", "validation"} <= found.keys() else 0
    notes = (f"{left_out:,} rows of a validation set are left out: there is a test set",) if left_out else ()
    test = _of_table(found[split], path, label, ignore, size)
    return raw._replace(test=test, notes=(*raw.notes, *notes))


def _check_no_columns(path: Path, label: Label, ignore: Sequence[Name]) -> None:
    for option, value in (("label", label), ("ignore", ignore or None)):
        if value is not None:
            raise ValueError(f"{option}: got {value!r} for {path}, which is no table, expected none")


def _check_no_size(what: Any, size: Size) -> None:
    if size is not None:
        raise ValueError(f"size: got {size} for {what}, which holds no files of pictures, expected none")
