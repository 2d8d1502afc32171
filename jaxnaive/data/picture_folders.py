"""Pictures in a folder or an archive with a folder for each class.

An archive comes from anywhere, and is not trusted: it is read in memory and never unpacked to the disk.
Nothing is read from outside the folder that was named.
"""

import errno
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxnaive.data.picture_files import (
    SUFFIXES,
    PictureFile,
    check_is_no_pipe,
    decode_all,
    is_junk,
    is_picture_file,
    some,
    stacked,
)
from jaxnaive.data.raw import Raw
from jaxnaive.data.split_names import split_of

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
LAYOUT = "CLASS/*.png, or train/CLASS/*.png and test/CLASS/*.png"

MAX_UNPACKED = 20 * 10**9  # bytes of all that an archive holds
MAX_RATIO = 1000  # times as many bytes unpacked as packed: more is a trap, unless it is small
SMALL = 10**8  # bytes
MAX_LOOKED_AT = 10_000  # files, none of which is a picture: the next ones are not looked at


class _Entry(NamedTuple):
    """What a folder or an archive holds under one name."""

    name: str  # from the top, such as "cats/1.png"
    kind: Literal["file", "folder", "other"]
    size: int = 0  # bytes
    read: Callable[[], bytes] = bytes


class _Content(NamedTuple):
    """The pictures of a folder or an archive by name, in the order in which they come."""

    pictures: dict[str, PictureFile]
    folders: set[str]
    notes: list[str]


class _Layout(NamedTuple):
    """The names of pictures by class, and of the classes in their order."""

    train: dict[str, list[str]]
    test: dict[str, list[str]]
    notes: list[str]


def is_picture_folder(path: Path) -> bool:
    """Whether there is a picture among the first files in a folder and the folders below it."""
    looked_at = 0
    for _, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not is_junk(name)]
        if any(is_picture_file(Path(name)) for name in names):
            return True
        looked_at += 1 + len(names)
        if looked_at > MAX_LOOKED_AT:
            break
    return False


def read(path: Path, size: tuple[int, int] | None = None) -> Raw:
    """Pictures that lie in a folder for each class, perhaps with folders ``train`` and ``test`` above those.

    Args:
      path: of a folder, or of a ``.zip`` or a ``.tar``, also a compressed one.
      size: height and width to which they are resized. Default: they have to be of one size.

    Returns:
      The pictures as :func:`jaxnaive.data.picture_files.stack` makes them, and the name of its class for
      each: class by class, and in a class by name, 9 before 10.

    Raises:
      ValueError: they lie otherwise, or cannot be stacked; or an archive is damaged, encrypted or a trap, or
        something leads out of it.
      OSError: it cannot be read.
    """
    with _opened(path) as entries:
        content = _sorted_out(path, entries)
        layout = _lay_out(path, content)
        labels = [name for part in layout[:2] for name, members in part.items() for _ in members]
        names = [name for part in layout[:2] for members in part.values() for name in members]
        places = {name: place for place, name in enumerate(names)}
        # As they come, since to go back in a compressed archive is to unpack it from its beginning.
        coming = ((places[name], file) for name, file in content.pictures.items() if name in places)
        decoded = decode_all(path, coming, len(names), size)
    count = sum(map(len, layout.train.values()))
    train, test = (stacked(path, decoded, names, span) for span in (range(count), range(count, len(names))))
    of = np.array(labels)
    notes = (*content.notes, *layout.notes, *train.notes, *test.notes)
    test_set = Raw(test.images, of[test.kept]) if layout.test else None
    return Raw(train.images, of[train.kept], test=test_set, notes=notes)


# --- folders of classes ------------------------------------------------------------------------------------


def _lay_out(path: Path, content: _Content) -> _Layout:
    """Which pictures are of which class, as the folders that they lie in say."""
    names = sorted(content.pictures, key=_natural)
    top = "" if path.is_dir() else _common_top(names)
    parts = [_parts(name.removeprefix(top)) for name in names]
    has_splits = _has_splits(parts)
    found: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}, "validation": {}, "": {"": []}}
    for name, part in zip(names, parts, strict=True):
        split, kind = _split_and_class(part, has_splits)
        found[split].setdefault(kind, []).append(name)
    train, test = found["train"], found["test"] or found["validation"]
    _check_classes(path, train, test, names)
    lowest = {name.rpartition("/")[0] for name in names}
    filled = {str(folder) for name in lowest for folder in PurePosixPath(name, "picture").parents}
    folders = [_parts(f"{folder}/".removeprefix(top)) for folder in content.folders - filled]
    empty = [
        kind
        for split, kind in (_split_and_class(folder, has_splits) for folder in folders)
        if kind not in found[split]
    ]
    return _Layout(train, test, _left_out(found, sorted(set(empty), key=_natural)))


def _natural(name: str) -> tuple[list[str], str]:
    """A key by which 9 comes before 10, and a folder's files together."""
    return [re.sub(r"\d+", lambda number: number[0].zfill(20), part) for part in name.split("/")], name


def _common_top(names: Sequence[str]) -> str:
    """The folder that an archive has around everything, as "data/", if there is one."""
    tops = {name.split("/")[0] for name in names}
    is_around = len(tops) == 1 and any(name.count("/") > 1 for name in names)
    return f"{min(tops)}/" if is_around else ""


def _parts(name: str) -> list[str]:
    """The folders of a path, and its file; of train/train/CLASS, as some archives have it, train/CLASS."""
    first, *rest = name.split("/")
    return rest if len(rest) > 2 and rest[0] == first and split_of(first) else [first, *rest]


def _has_splits(paths: Iterable[Sequence[str]]) -> bool:
    """Whether the folders at the top divide the pictures into those for training and those for tests.

    A class may be called "train" too. So either all folders at the top say what they are for, or one that is
    not for training holds folders of the same classes.
    """
    tops: dict[str, set[str]] = {}
    for top, *below in paths:
        if below:
            tops.setdefault(top, set()).update(below[:-1][:1])
    train, test = (
        {kind for top, kinds in tops.items() if split_of(top) in splits for kind in kinds}
        for splits in (["train"], ["test", "validation"])
    )
    return bool(train) and (all(map(split_of, tops)) or not train.isdisjoint(test))


def _split_and_class(parts: Sequence[str], has_splits: bool) -> tuple[str, str]:
    """Of a path's parts; both are empty if it lies in no folder of a class."""
    split = (split_of(parts[0]) or "") if has_splits else "train"
    folders = parts[1:-1] if has_splits else parts[:-1]
    return (split, folders[0]) if split and folders else ("", "")


def _check_classes(path: Path, train: dict[str, Any], test: dict[str, Any], names: Sequence[str]) -> None:
    if not train:
        raise ValueError(f"{path}: got pictures in no class folder, such as {names[0]}; expected {LAYOUT}")
    if all(map(split_of, train)):
        raise ValueError(f"{path}: got pictures right below {', '.join(train)}; expected {LAYOUT}")
    if len(train) == 1:
        raise ValueError(
            f"{path}: got one class only, {min(train)}, expected a folder for each class: {LAYOUT}"
        )
    if unknown := [kind for kind in test if kind not in train]:
        raise ValueError(
            f"{path}: got test pictures of classes without training pictures, {some(unknown)}; expected "
            "the same folders in both"
        )


def _left_out(found: dict[str, dict[str, list[str]]], empty: Sequence[str]) -> list[str]:
    """What a user should be told about pictures that are used for nothing, and classes that have none."""
    notes = []
    if empty:
        notes.append(f"folders without a picture: {some(empty)}")
    if outside := found[""][""]:
        notes.append(f"{len(outside):,} pictures in no class folder are left out: {some(outside)}")
    if found["test"] and found["validation"]:
        count = sum(map(len, found["validation"].values()))
        notes.append(f"{count:,} pictures of a validation set are left out, since there is a test set")
    return notes


# --- what a folder or an archive holds ---------------------------------------------------------------------


def _sorted_out(path: Path, entries: Iterable[_Entry]) -> _Content:
    """The pictures among what there is, with lines about what is passed over."""
    content, unknown, special = _Content({}, set(), []), Counter(), []
    for entry in entries:
        parts = PurePosixPath(entry.name).parts
        if entry.name.startswith("/") or ".." in parts:
            raise ValueError(f"{path}: got an entry that leads out of it, {_printable(entry.name)}")
        if not parts or any(map(is_junk, parts)):  # a tar may begin with the folder itself, "./"
            continue
        name = _printable("/".join(parts))
        if entry.kind == "folder":
            content.folders.add(name)
        elif entry.kind == "other":
            special.append(name)
        elif is_picture_file(Path(name)):
            content.pictures[name] = PictureFile(name, entry.size, entry.read)
        else:
            unknown[PurePosixPath(name).suffix.lower() or "no suffix"] += 1
    if special:
        content.notes.append(f"links, pipes and devices are passed over: {some(special)}")
    if unknown:
        content.notes.append(f"{unknown.total():,} other files are passed over: {some(sorted(unknown))}")
    if not content.pictures:
        raise ValueError(_without_pictures(path, sorted(unknown)))
    return content


def _without_pictures(path: Path, suffixes: Sequence[str]) -> str:
    others = f" but {some(suffixes)}" if suffixes else ""
    hint = "" if path.is_dir() else "; if it holds other data, unpack it and load the folder"
    return f"{path}: holds no pictures{others}, expected {LAYOUT}, of {', '.join(SUFFIXES)}{hint}"


def _printable(name: str) -> str:
    """A name whose bytes are perhaps not UTF-8, which could not be printed."""
    return name.encode("utf-8", "backslashreplace").decode()


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[_Entry]]:
    """What there is, readable as long as the block lasts."""
    if path.is_dir():
        yield _walk(path, os.path.realpath(path), ())
        return
    check_is_no_pipe(path)
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        with _damage_named(str(path)):
            if path.name.lower().endswith(".zip"):
                entries = _list_zip(path, stack.enter_context(zipfile.ZipFile(file)))
            else:
                entries = _list_tar(path, stack.enter_context(tarfile.open(fileobj=file)))
        yield entries


def _walk(folder: Path, root: str, above: tuple[str, ...], prefix: str = "") -> Iterator[_Entry]:
    """What lies in a folder and below it; a link is followed if it leads to another place in there."""
    above = (*above, os.path.realpath(folder))
    with os.scandir(folder) as found:
        items = sorted(found, key=lambda item: item.name)
    for item in items:
        name, path = prefix + item.name, Path(item.path)
        if is_junk(item.name):
            continue
        real = os.path.realpath(path) if item.is_symlink() else item.path
        if item.is_symlink() and not Path(real).is_relative_to(root):
            raise ValueError(f"{path}: got a link that leads out of the folder; put a copy in its place")
        if path.is_dir() and real not in above:
            yield _Entry(name, "folder")
            yield from _walk(path, root, above, f"{name}/")
        elif path.is_file():
            yield _Entry(name, "file", item.stat().st_size, path.read_bytes)
        else:
            yield _Entry(name, "other")


def _list_zip(path: Path, archive: zipfile.ZipFile) -> list[_Entry]:
    entries = []
    for member in archive.infolist():
        name = member.filename.replace("\\", "/")  # as some programs for Windows write
        if member.flag_bits & 1:
            raise ValueError(f"{path}: got an encrypted archive; unpack it and load the folder")
        _check_is_no_trap(f"{path}: {name}", member.file_size, member.compress_size)
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        kind = "other" if is_link else "folder" if name.endswith("/") else "file"
        read_it = partial(_read_member, name, partial(archive.read, member))
        entries.append(_Entry(name, kind, member.file_size, read_it))
    _check_is_no_trap(f"{path}", sum(entry.size for entry in entries), path.stat().st_size)
    return entries


def _list_tar(path: Path, archive: tarfile.TarFile) -> list[_Entry]:
    entries, total, packed = [], 0, path.stat().st_size
    for member in archive:
        total += member.size
        _check_is_no_trap(f"{path}", total, packed)
        kind = "file" if member.isfile() else "folder" if member.isdir() else "other"
        read_it = partial(_read_member, member.name, partial(_read_tarred, archive, member))
        entries.append(_Entry(member.name, kind, member.size, read_it))
    _check_has_end(archive)
    return entries


def _check_has_end(archive: tarfile.TarFile) -> None:
    """Raise ``TarError`` unless there is the empty block by which a tar ends, whose lack tarfile accepts."""
    file: Any = archive.fileobj
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it has no end")


def _check_is_no_trap(what: str, size: int, packed: int) -> None:
    """Raise ``ValueError`` if something small is unpacked to something huge."""
    if size > MAX_UNPACKED or (size > SMALL and size > MAX_RATIO * packed):
        raise ValueError(
            f"{what}: got {packed:,} bytes that unpack to {size:,}, expected at most {MAX_UNPACKED:,}, and "
            f"{MAX_RATIO:,} times as many; if you trust it, unpack it and load the folder"
        )


def _read_tarred(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file: Any = archive.extractfile(member)
    return file.read()


def _read_member(name: str, read_it: Callable[[], bytes]) -> bytes:
    with _damage_named(name):
        return read_it()


@contextmanager
def _damage_named(what: str) -> Iterator[None]:
    """Raise ``ValueError`` for what the readers of archives raise when one is damaged."""
    try:
        yield
    except (
        zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, struct.error, zlib.error,
        lzma.LZMAError,
    ) as error:  # fmt: skip
        raise ValueError(_damaged(what, error)) from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # EINVAL: a place before the file's beginning
            raise
        raise ValueError(_damaged(what, error)) from error


def _damaged(what: str, error: Exception) -> str:
    reason = f"{error}".partition("\n")[0].rstrip(":")
    return f"{what}: a damaged archive, or one that is cut off ({reason})"
