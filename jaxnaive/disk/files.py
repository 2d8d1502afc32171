"""Files that are either whole or not there."""

import errno
import functools
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

StrPath = str | os.PathLike[str]  # a path, as the standard library takes it
CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EISDIR)

logger = logging.getLogger("jaxnaive")


@contextmanager
def replacing(path: StrPath) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well, the file written there takes the place of ``path``.

    At every moment ``path`` is either the old file or the complete new one, also after a crash or a power
    cut: the content reaches the disk before the name does.

    Raises:
      OSError: the file cannot be written. What was at ``path`` is still there.
    """
    path = Path(path)
    # The suffix stays, because some writers choose the format by it.
    temporary = path.with_name(f".{path.stem}.{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: StrPath, content: bytes) -> None:
    """Write a whole file: what was at ``path`` is replaced at once, or is still there.

    Raises:
      OSError: the file cannot be written. What was at ``path`` is still there.
    """
    with replacing(path) as temporary:
        _write_all(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, content)


def write_json(path: StrPath, value: Any) -> None:
    """Write what JSON can hold, a line an item, as :func:`write` does.

    Raises:
      OSError: the file cannot be written. What was at ``path`` is still there.
    """
    write(path, (json.dumps(value, indent=1) + "\n").encode())


def append(path: StrPath, content: bytes) -> None:
    """Add to the end of a file, and wait until it is on the disk.

    Raises:
      OSError: not all of it could be written; the file may end with a part of it.
    """
    _write_all(Path(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, content)
    sync(path)


def remove_leftovers(folder: StrPath) -> None:
    """Remove what :func:`replacing` leaves in a folder when its process is killed."""
    for path in Path(folder).iterdir():
        if re.fullmatch(r"\..*\.[0-9a-f]{32}(\..*)?", path.name):
            path.unlink(missing_ok=True)


def _write_all(path: Path, flags: int, content: bytes) -> None:
    descriptor = os.open(path, flags, 0o666)
    try:
        rest = memoryview(content)
        while rest:  # a call may write less than it is given
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def sync(path: StrPath) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Some file systems (CIFS, FUSE) cannot wait; then a warning says once what that means.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
        _say_cannot_sync(str(error.strerror))


@functools.cache
def _say_cannot_sync(reason: str) -> None:
    logger.warning(
        "the file system does not say when a file is on the disk (%s): a power cut may lose the last ones",
        reason,
    )


def make_folder(path: StrPath) -> None:
    """Make sure that ``path`` is a folder that can be written to.

    Raises:
      OSError: it is a file, or lies below one, or cannot be written to.
    """
    check_folder(path)
    Path(path).mkdir(parents=True, exist_ok=True)


def check_folder(path: StrPath) -> None:
    """Raise what :func:`make_folder` would, but make nothing.

    Raises:
      OSError: it is a file, or lies below one, or cannot be written to.
    """
    path = Path(path)
    there = next(folder for folder in (path, *path.absolute().parents) if os.path.lexists(folder))
    if not there.is_dir():
        raise NotADirectoryError(f"{path}: expected a folder, but there is a file in the way")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: the folder cannot be written to")
