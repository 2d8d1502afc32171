"""Arrays in NumPy's files.

Nothing that a file holds is run, so pickles are refused. What a file says of its size is compared with the
file before memory is taken for it.
"""

import math
import zipfile
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from jaxnaive.data.raw import Raw
from jaxnaive.data.reading import check_is_file, check_no_bomb, damage_named
from jaxnaive.data.spellings import CLASS_NAMES, PAIRS, SPELLED, SPELLINGS, checked, complete, listed, to_raw

NPY_HEADERS = {  # by version
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Header(NamedTuple):
    """What an ``.npy`` file says of its array."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int  # of the first element, in bytes

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


def read_npz(path: Path) -> Raw:
    """Inputs and labels in an ``.npz`` file, under the names in :data:`jaxnaive.data.spellings.SPELLINGS`.

    Returns:
      The arrays as they are stored.

    Raises:
      ValueError: it is damaged, holds other names, Python objects, or arrays that would fill the memory.
      OSError: it cannot be read.
    """
    check_is_file(path)
    expected = "an .npz file, as np.savez writes it"
    with damage_named(path, expected):
        archive = zipfile.ZipFile(path)
    with archive:
        members = {
            member.filename.removesuffix(".npy"): member
            for member in archive.infolist()
            if member.filename.endswith(".npy")
        }
        headers = {}
        for name, member in members.items():
            with damage_named(f"{path}: {name}", expected), archive.open(member) as file:
                headers[name] = _npy_header(file)

        def read(name: str) -> np.ndarray:
            member, what = members[name], f"{path}: {name}"
            _check_header(headers[name], member.file_size, what)
            check_no_bomb(member.file_size, member.compress_size, what)
            with damage_named(what, expected), archive.open(member) as file:
                return np.lib.format.read_array(file, allow_pickle=False)

        return checked(to_raw({name: str(header) for name, header in headers.items()}, read, path), path)


def read_npy(path: Path) -> Raw:
    """Inputs and labels in ``.npy`` files that stand beside each other, memory-mapped.

    Args:
      path: of one of them, or of their folder. Their names are those of an ``.npz`` file's arrays.

    Returns:
      The arrays as they are stored, read from the disk where they are used.

    Raises:
      ValueError: they are damaged, or hold Python objects, or one of a pair is missing, or it is not clear
        which ones belong together.
      OSError: they cannot be read.
    """
    if not path.is_dir():
        check_is_file(path)
    folder = path if path.is_dir() else path.parent
    found = {file.stem: file for file in sorted(folder.iterdir()) if _is_npy(file)}
    spellings = [names for names in SPELLINGS if path.is_dir() or path.stem.lower() in map(str.lower, names)]
    wanted = {name.lower() for names in (*spellings, CLASS_NAMES) for name in names}
    files = {name: file for name, file in found.items() if name.lower() in wanted}
    if not complete(files):
        held = listed([file.name for file in found.values()])
        raise ValueError(
            f"{path}: got {held}, expected two .npy files in a folder, called {PAIRS}; or give the arrays "
            "themselves: load((x, y))"
        )
    arrays = {name: open_npy(file) for name, file in files.items()}
    shown = {name: f"{array.dtype} {array.shape}" for name, array in arrays.items()}
    return checked(to_raw(shown, arrays.__getitem__, path), path)


def is_npy_folder(path: Path) -> bool:
    """Whether a folder holds an ``.npy`` file with one of the names that :func:`read_npy` looks for."""
    return any(_is_npy(file) and file.stem.lower() in SPELLED for file in path.iterdir())


def open_npy(path: Path) -> np.ndarray:
    """The array of an ``.npy`` file, memory-mapped and read-only, so that it may be larger than the memory.

    Raises:
      ValueError: it is damaged, or holds Python objects.
      OSError: it cannot be read.
    """
    check_is_file(path)
    with damage_named(path, "an .npy file, as np.save writes it"), path.open("rb") as file:
        header = _npy_header(file)
    _check_header(header, path.stat().st_size, str(path))
    with damage_named(path, "an .npy file, as np.save writes it"):
        return np.lib.format.open_memmap(path, mode="r")


def refuse_pickle(path: Path) -> NoReturn:
    """Raise the error for a file that only running it can read.

    Raises:
      ValueError: always.
    """
    raise ValueError(
        f"{path}: got a pickle, which could run a program when it is read, expected plain arrays; save them "
        "where you trust it: np.savez('data.npz', X=..., y=...)"
    )


def _is_npy(path: Path) -> bool:
    return path.suffix.lower() == ".npy" and path.is_file()


def _npy_header(file: Any) -> Header:
    """The header that an open ``.npy`` file starts with."""
    version = np.lib.format.read_magic(file)
    if version not in NPY_HEADERS:
        raise ValueError(f"version {version} of the format")
    shape, _, dtype = NPY_HEADERS[version](file)
    return Header(shape, dtype, file.tell())


def _check_header(header: Header, size: int, what: str) -> None:
    """Raise ``ValueError`` if the array is of objects, or the file not as large as the array needs."""
    if header.dtype.hasobject:
        raise ValueError(
            f"{what}: holds Python objects (a pickle), which could run a program; save plain arrays: "
            "np.savez('data.npz', X=..., y=...)"
        )
    expected = header.offset + math.prod(header.shape) * header.dtype.itemsize
    if size != expected:
        raise ValueError(f"{what}: got {size:,} bytes, expected {expected:,} for {header}; save it again")
