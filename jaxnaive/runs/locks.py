"""One process at a time in a folder: by the kernel's lock, or by a file where the file system has no locks.

The kernel's lock ends with its process. Some file systems of clusters and clouds refuse it (Lustre, NFS,
FUSE). There, a file that only one process can make says which process is in the folder. A killed process
leaves the file behind; the next process on the same host notices that, and another host cannot.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxnaive.disk.files import StrPath

LOCK, HOLDER = ".lock", ".holder"
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
ATTEMPTS, PAUSE = 10, 0.05  # seconds, where other processes come and go

logger = logging.getLogger("jaxnaive")


class Process(NamedTuple):
    """A process that is in a folder."""

    number: int
    host: str
    started: str  # in the system's words, as numbers are used again; "" if it does not say

    def __str__(self) -> str:
        return f"process {self.number} on {self.host}"


@contextlib.contextmanager
def hold(folder: StrPath) -> Iterator[None]:
    """Keep a folder for this process alone until the block ends.

    Raises:
      BlockingIOError: another process is in it.
      OSError: the folder cannot be written to.
    """
    folder = Path(folder)
    own = Process(os.getpid(), platform.node(), _started(os.getpid()) or "")
    with contextlib.ExitStack() as stack:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 1000).decode(errors="replace") or "another process"
            raise BlockingIOError(f"{folder}: in use by {holder}") from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            _take(folder / HOLDER, own)
            stack.callback(_remove, folder / HOLDER, own)
            logger.warning("%s: the file system has no locks; the file %s is used instead", folder, HOLDER)
        os.truncate(descriptor, 0)
        os.write(descriptor, str(own).encode())  # only for the message
        yield


def _take(path: Path, own: Process) -> None:
    """Make the file, or replace that of a process which has ended."""
    for _ in range(ATTEMPTS):
        with contextlib.suppress(FileExistsError), path.open("x") as file:
            json.dump(own, file)
            return
        holder = _read(path)
        if holder is not None and _may_live(holder):
            raise BlockingIOError(
                f"{path.parent}: in use by {holder}; if that process has ended, remove {path}"
            )
        if holder is not None and _replace(path, holder, own):
            return
        time.sleep(PAUSE)  # others are making the file, or removing it, or replacing it
    raise BlockingIOError(f"{path}: names no process; if none is in the folder, remove {path}*")


def _replace(path: Path, holder: Process, own: Process) -> bool:
    """Whether this process has replaced the file of one that has ended, which only one process may do."""
    replacing = path.with_name(f"{path.name}.replacing")
    try:
        replacing.open("x").close()
    except FileExistsError:
        return False
    try:
        if _read(path) != holder:  # another process was first
            return False
        path.write_text(json.dumps(own))
        return True
    finally:
        replacing.unlink()


def _remove(path: Path, own: Process) -> None:
    if _read(path) == own:  # and not that of a process which was told that this one has ended
        path.unlink()


def _read(path: Path) -> Process | None:
    try:
        number, host, started = json.loads(path.read_text())
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return Process(number, host, started)


def _may_live(holder: Process) -> bool:
    if holder.host != platform.node():
        return True
    started = _started(holder.number)
    return started is not None and started == holder.started


def _started(process: int) -> str | None:
    """When a process of this host began, "" where the system does not say; ``None`` if it has ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # another user's
        pass
    try:
        # Linux: after the program's name in brackets come the state, Z for one that has ended, and numbers.
        state, *numbers = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return None if state == "Z" else numbers[18]
