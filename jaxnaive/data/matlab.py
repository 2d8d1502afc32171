"""Arrays in MATLAB's files."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from jaxnaive.data.raw import Raw
from jaxnaive.data.reading import check_is_file, check_no_bomb, damage_named
from jaxnaive.data.spellings import checked, to_raw


def read_mat(path: Path) -> Raw:
    """Inputs and labels in a MATLAB file, under the names in :data:`jaxnaive.data.spellings.SPELLINGS`.

    Returns:
      The arrays with the types that they have in MATLAB. Examples along the last axis are moved to the first:
      the number of labels tells. Labels that count names of classes from 1, as MATLAB does, count from 0.

    Raises:
      ValueError: it is damaged, older than version 5, or holds other names, or other than full arrays.
      ImportError: it is of MATLAB's version 7.3, and h5py is not installed.
      OSError: it cannot be read.
    """
    check_is_file(path)
    with path.open("rb") as file:
        start = file.read(10)
    raw = _read_mat_hdf5(path) if start == b"MATLAB 7.3" else _read_mat_5(path)
    return checked(_from_0(_examples_first(raw)), path)


def _read_mat_5(path: Path) -> Raw:
    """As :func:`read_mat`, of MATLAB's versions 5 to 7."""
    from scipy import io

    expected = "a .mat file, as MATLAB's save -v7 writes it"
    with damage_named(path, expected):
        held = {name: (shape, f"{kind} {shape}") for name, shape, kind in io.whosmat(path)}

    def read(name: str) -> np.ndarray:
        shape, shown = held[name]
        check_no_bomb(8 * math.prod(shape), path.stat().st_size, f"{path}: {name}")
        with damage_named(f"{path}: {name}", expected):
            array = io.loadmat(path, variable_names=[name])[name]
        if not isinstance(array, np.ndarray):
            array = None  # of scipy.sparse
        elif shown.startswith("logical"):
            array = array.astype(bool)
        return _plain(_texts(array), shown, f"{path}: {name}")

    return to_raw({name: shown for name, (_, shown) in held.items()}, read, path)


def _texts(array: Any) -> Any:
    """A cell array of texts as texts, without the blanks that fill up those of a matrix of characters."""
    if array is None:
        return None
    if array.dtype == object and all(
        isinstance(cell, np.ndarray) and cell.dtype.kind == "U" for cell in array.flat
    ):
        return np.array(["".join(cell.ravel()) for cell in array.flat], str)
    return np.char.rstrip(array) if array.dtype.kind == "U" else array


def _read_mat_hdf5(path: Path) -> Raw:
    """As :func:`read_mat`, of MATLAB's version 7.3, which is HDF5 with all axes reversed."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path}: needs h5py: python -m pip install h5py") from error

    expected = "a .mat file, as MATLAB's save -v7.3 writes it"
    with damage_named(path, expected):
        file = h5py.File(path, "r")
    with file:
        with damage_named(path, expected):
            held = {name: file[name] for name in file if not name.startswith("#")}
            shown = {name: _shown_hdf5(held[name]) for name in held}

        def read(name: str) -> np.ndarray:
            if not isinstance(held[name], h5py.Dataset):
                return _plain(None, shown[name], f"{path}: {name}")
            with damage_named(f"{path}: {name}", expected):
                size = held[name].nbytes
            check_no_bomb(size, path.stat().st_size, f"{path}: {name}")
            with damage_named(f"{path}: {name}", expected):
                array = _of_hdf5(file, held[name])
            return _plain(array, shown[name], f"{path}: {name}")

        return to_raw(shown, read, path)


def _shown_hdf5(item: Any) -> str:
    """The class and the shape; a group is a struct, or a sparse array, which has a class of numbers."""
    if not hasattr(item, "shape"):
        return "sparse" if "MATLAB_sparse" in item.attrs else "struct"
    return f"{_matlab_class(item)} {item.shape[::-1]}"


def _matlab_class(item: Any) -> str:
    return bytes(item.attrs.get("MATLAB_class", b"")).decode()


def _of_hdf5(file: Any, dataset: Any) -> np.ndarray:
    """An array as MATLAB shows it; characters, and a cell array of texts, as texts."""
    array = np.atleast_1d(dataset[()]).T
    kind = _matlab_class(dataset)
    if kind == "char":
        return np.array([_text(row) for row in array], str)
    if kind == "cell":
        cells = [file[cell] for cell in array.flat]
        if all(_matlab_class(cell) == "char" for cell in cells):
            return np.array(["" if "MATLAB_empty" in cell.attrs else _text(cell[()]) for cell in cells], str)
    return array.astype(bool) if kind == "logical" else array


def _text(codes: np.ndarray) -> str:
    return codes.astype("<u2").tobytes().decode("utf-16-le").rstrip()


def _plain(array: np.ndarray | None, shown: str, what: str) -> np.ndarray:
    """The same, if it is of numbers or texts."""
    if array is None or array.dtype.kind not in "biufU":
        raise ValueError(
            f"{what}: got {shown}, expected full numbers, or a cell array of texts; save full(X), or "
            "cellstr(y)"
        )
    return array


def _examples_first(raw: Raw) -> Raw:
    """The examples along the first axis, if they are along the last one: the labels say."""
    inputs, labels = raw.inputs, raw.labels
    is_row = labels.ndim == 2 and len(labels) == 1
    is_last = labels.ndim == 2 and len(labels) != len(inputs) and labels.shape[1] == inputs.shape[-1]
    if is_row or is_last:
        labels = labels.T
    if len(inputs) != len(labels) == inputs.shape[-1]:
        inputs = np.moveaxis(inputs, -1, 0)
    return raw._replace(inputs=inputs, labels=labels, test=_examples_first(raw.test) if raw.test else None)


def _from_0(raw: Raw) -> Raw:
    """Labels that count the names of classes from 0, if they do so from 1."""
    is_number = raw.labels.dtype.kind in "iuf" and raw.labels.size > 0
    if raw.class_names is None or not is_number or raw.labels.min() < 1:
        return raw
    test = raw.test._replace(labels=raw.test.labels - 1) if raw.test else None
    return raw._replace(labels=raw.labels - 1, test=test)
