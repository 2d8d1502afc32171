"""IDX files, the format that MNIST and its relatives come in."""

import gzip
import math
import re
import string
import struct
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxnaive.data.raw import Raw
from jaxnaive.data.reading import check_is_file, check_no_bomb
from jaxnaive.data.spellings import checked

CHUNK = 2**20  # bytes that are unpacked at a time
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}  # by their code in the format
IDX_RANKS = range(1, 5)
GZIP = b"\x1f\x8b"  # how its files start
IDX_NAME = re.compile(
    r"(?P<dataset>.*?)-?(?P<split>train|t10k|test)-(?P<part>images|labels)[-.]idx\d(-\w+)?(\.gz)?"
)
IDX_EXAMPLE = "train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz"
UPRIGHT = "EMNIST stores pictures with rows and columns swapped: they are swapped back"
# The other small letters look like large ones, and count as these.
MERGED = string.digits + string.ascii_uppercase + "abdefghnqrt"
EMNIST_CLASSES: dict[str, dict[int, str]] = {  # by the splits of EMNIST: what its labels stand for
    "letters": dict(enumerate(string.ascii_uppercase, start=1)),
    "digits": dict(enumerate(string.digits)),
    "mnist": dict(enumerate(string.digits)),
    "byclass": dict(enumerate(string.digits + string.ascii_uppercase + string.ascii_lowercase)),
    "bymerge": dict(enumerate(MERGED)),
    "balanced": dict(enumerate(MERGED)),
}


class IdxName(NamedTuple):
    """What the name of an IDX file says."""

    dataset: str  # such as emnist-letters; empty for MNIST and others that use its names
    split: str
    part: str


def is_idx(path: Path) -> bool:
    """Whether a file starts as one in the IDX format does, gzipped or not."""
    if not path.is_file():
        return False
    try:
        with gzip.open(path) if _is_zipped(path) else path.open("rb") as file:
            start = file.read(4)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    return _is_idx_start(start)


def is_idx_folder(path: Path) -> bool:
    """Whether a folder, or one called ``raw`` in it or in one of its folders, holds IDX files."""
    return bool(_idx_folders(path))


def read_idx_files(path: Path) -> Raw:
    """Inputs and labels in IDX files that stand beside each other, with a test set if there is one.

    Args:
      path: of one of the files; or of their folder, or of the one or two above, as torchvision makes them.

    Returns:
      The arrays as they are stored. But EMNIST's pictures are upright, and its labels the characters that
      they stand for; and QMNIST's labels are the classes alone.

    Raises:
      ValueError: a file is damaged or missing, or the files of several datasets are there.
      OSError: a file cannot be read.
    """
    folder, dataset, files = _idx_files(path)
    splits = [split for split in ("train", "test") if any(name.split == split for name in files)]
    parts = [_read_idx_split(folder, dataset, split, files) for split in splits]
    notes = []
    if dataset.startswith("emnist"):
        notes.append(UPRIGHT)
    if splits == ["test"]:
        notes.append("only the test files are there: they are used as all of the data")
    raw = parts[0]._replace(test=parts[1] if len(parts) > 1 else None, notes=tuple(notes))
    return checked(raw, path)


def read_idx(path: Path) -> np.ndarray:
    """The array of one IDX file, gzipped or not, as it is stored.

    Raises:
      ValueError: it is of another kind, or damaged.
      OSError: it cannot be read.
    """
    check_is_file(path)
    return parse_idx(unzip(path) if _is_zipped(path) else path.read_bytes(), path)


def unzip(path: Path) -> bytes:
    """The content of a gzip file.

    Raises:
      ValueError: it is none, is not whole, or would fill the memory.
      OSError: it cannot be read.
    """
    content, packed = bytearray(), path.stat().st_size
    try:
        with gzip.open(path) as file:
            while part := file.read(CHUNK):
                content += part
                check_no_bomb(len(content), packed, str(path))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path}: got what is not a whole gzip file ({error}), expected one; download it again"
        ) from error
    return bytes(content)


def parse_idx(content: bytes, what: Path, types: Collection[int] = IDX_TYPES.keys()) -> np.ndarray:
    """The array in the content of an IDX file.

    The format: two zero bytes, the type of the elements, the rank, the length of each axis as a big-endian
    32-bit integer, the elements in row-major order, big-endian too.

    Args:
      content: unpacked.
      what: the content is called in an error.
      types: of the elements that are expected, by their codes.

    Returns:
      The array, in the machine's own order of bytes.

    Raises:
      ValueError: its start is another, or its size is not what its header says.
    """
    if not _is_idx_start(content[:4]) or content[2] not in types:
        expected = " or ".join(f"0x0000{code:02x}" for code in types)
        raise ValueError(
            f"{what}: starts with 0x{content[:4].hex()}, expected {expected}, and the rank, 1 to 4"
        )
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise ValueError(f"{what}: {len(content)} bytes, fewer than its header of {header}")
    shape = struct.unpack(f">{content[3]}I", content[4:header])
    dtype = np.dtype(IDX_TYPES[content[2]])
    if len(content) - header != math.prod(shape) * dtype.itemsize:
        raise ValueError(
            f"{what}: {len(content) - header} bytes after the header, which says "
            f"{math.prod(shape) * dtype.itemsize}, as shape {shape}"
        )
    array = np.frombuffer(content, dtype, offset=header).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _is_idx_start(start: bytes) -> bool:
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in IDX_TYPES and start[3] in IDX_RANKS


def _is_zipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def _idx_name(path: Path) -> IdxName | None:
    """What the name of a file says; ``None`` if it is not the name of an IDX file."""
    match = IDX_NAME.fullmatch(path.name.lower())
    if not match or not path.is_file():
        return None
    return IdxName(match["dataset"], "train" if match["split"] == "train" else "test", match["part"])


def _idx_folders(path: Path) -> list[Path]:
    """The folder itself, or the nearest below it, as torchvision names them, that hold IDX files."""
    for folders in ([path], [path / "raw"], sorted(path.glob("*/raw"))):
        found = [folder for folder in folders if folder.is_dir() and any(map(_idx_name, folder.iterdir()))]
        if found:
            return found
    return []


def _idx_files(path: Path) -> tuple[Path, str, dict[IdxName, Path]]:
    """The folder, the name of the dataset, and its files."""
    folders = _idx_folders(path) if path.is_dir() else [path.parent]
    if len(folders) != 1:
        found = ", ".join(map(str, folders)) or "no IDX files"
        raise ValueError(f"{path}: got {found}, expected one folder of IDX files; name that folder")
    # In reverse, so that a file takes the place of its gzipped self.
    files = {name: file for file in sorted(folders[0].iterdir(), reverse=True) if (name := _idx_name(file))}
    if path.is_dir():
        dataset = _only_dataset(path, files)
    else:
        check_is_file(path)
        own = _idx_name(path)
        if not own:
            raise ValueError(f"{path}: got IDX in a file of this name, expected names such as {IDX_EXAMPLE}")
        dataset, files[own] = own.dataset, path
    return folders[0], dataset, {name: file for name, file in files.items() if name.dataset == dataset}


def _only_dataset(path: Path, files: Mapping[IdxName, Path]) -> str:
    datasets = sorted({name.dataset for name in files})
    if len(datasets) > 1:
        shown = ", ".join(dataset or "one without a name" for dataset in datasets)
        raise ValueError(
            f"{path}: got the files of several datasets, {shown}, expected those of one; name one "
            f"of its files, such as {files[min(files)]}"
        )
    return datasets[0]


def _read_idx_split(folder: Path, dataset: str, split: str, files: Mapping[IdxName, Path]) -> Raw:
    """The images and labels of the files for training, or for testing."""
    images_path, labels_path = (files.get(IdxName(dataset, split, part)) for part in ("images", "labels"))
    if not images_path or not labels_path:
        missing = "labels" if images_path else "images"
        raise ValueError(
            f"{folder}: got no {missing} in the {split} files, expected two files such as {IDX_EXAMPLE}"
        )
    images, labels = read_idx(images_path), read_idx(labels_path)
    if dataset.startswith("qmnist") and labels.ndim == 2:
        labels = labels[:, 0]  # the other columns say who wrote the digit, and where it is in NIST's files
    if dataset.startswith("emnist"):
        images = images.swapaxes(1, 2) if images.ndim == 3 else images
        labels = _as_characters(labels, _emnist_classes(folder, dataset), labels_path)
    return Raw(images, labels)


def _emnist_classes(folder: Path, dataset: str) -> Mapping[int, str] | None:
    """The characters that EMNIST's labels stand for; ``None`` if nothing says."""
    path = folder / f"{dataset}-mapping.txt"
    if not path.is_file():
        return EMNIST_CLASSES.get(dataset.removeprefix("emnist-"))
    try:
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        return {int(label): chr(int(code)) for label, code, *_ in rows}
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path}: got {error}, expected lines of a label and a character's code") from error


def _as_characters(labels: np.ndarray, classes: Mapping[int, str] | None, path: Path) -> np.ndarray:
    if classes is None:
        return labels
    found, inverse = np.unique(labels, return_inverse=True)
    if unknown := [label for label in found.tolist() if label not in classes]:
        raise ValueError(f"{path}: got label {unknown[0]}, expected {min(classes)} to {max(classes)}")
    return np.array([classes[label] for label in found.tolist()], str)[inverse]
