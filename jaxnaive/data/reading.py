"""What every reader of a user's files does about damage, and about files made to do harm."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BOMB_BYTES, BOMB_RATIO = 10**9, 1000  # what is packed better than this, and larger, is made to fill a memory


def check_is_file(path: Path) -> None:
    """Check that there is a file, before it is opened: reading a pipe could wait for ever.

    Raises:
      FileNotFoundError: there is nothing.
      ValueError: it is something else.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not path.is_file():
        raise ValueError(f"{path}: got a folder, a pipe or a device, expected a file")


@contextmanager
def damage_named(what: Path | str, expected: str) -> Iterator[None]:
    """Whatever a library raises at damaged bytes becomes one line, of one kind.

    Args:
      what: is read.
      expected: what it should have been.

    Raises:
      ValueError: in place of all that a library raises.
      OSError: the system cannot read it.
    """
    try:
        yield
    except (ImportError, MemoryError):
        raise  # about this machine, not about the content
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # it is the system's, not about the content
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{what}: got a damaged file or one of another kind ({reason:.200}), expected {expected}; save "
            "or download it again"
        ) from error


def check_no_bomb(unpacked: int, packed: int, what: str) -> None:
    """Check that a packed file is not one of those that are made to fill a memory.

    Args:
      unpacked: its size in bytes, or a part of it.
      packed: its size in bytes.
      what: it is called in an error.

    Raises:
      ValueError: it is.
    """
    if unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * packed:
        raise ValueError(
            f"{what}: got {packed:,} bytes that unpack to {unpacked:,} or more, expected at most "
            f"{BOMB_RATIO:,} times as many; it may be made to fill the memory"
        )
