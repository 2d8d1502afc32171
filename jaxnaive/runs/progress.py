"""Progress bars on standard error, which never end a run: where they cannot be written, they are left out."""

import contextlib
import sys
import threading
from typing import Any


class _StandardError:
    """Standard error as a file that is not there, or is full, or that nobody reads any more, is no error."""

    @property
    def encoding(self) -> str:
        """By which the bar is drawn in blocks, or in ASCII."""
        return getattr(sys.stderr, "encoding", None) or "ascii"

    def write(self, text: str) -> None:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Show what was written."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(sys.stderr and sys.stderr.isatty())


def bar(total: int | None, description: str, unit: str, initial: int = 0, hidden: bool | None = False) -> Any:
    """A ``tqdm.tqdm`` for a ``with`` statement.

    Args:
      total: how many there are to do.
      description: what is done.
      unit: what is counted.
      initial: how many are done already.
      hidden: whether it is not shown; ``None``: only where standard error is no terminal.
    """
    from tqdm import tqdm

    # A new one for each bar: an interrupt in the middle of a refresh leaves the lock behind, for ever.
    tqdm.set_lock(threading.RLock())
    return tqdm(
        total=total, desc=description, unit=unit, initial=initial, disable=hidden, file=_StandardError()
    )
