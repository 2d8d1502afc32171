"""What every experiment's command line shares: options from a dataclass, one-line errors, compile cache.

Exit status: 0 success, 1 failure, 2 wrong usage, 130 interrupted, 143 terminated.
"""

import contextlib
import hashlib
import io
import itertools
import logging
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import jax
import jaxlib
import tyro

from jaxnaive import runs

Options = TypeVar("Options")


class UsageError(ValueError):
    """An option has a value that it cannot have."""


class MissedError(Exception):
    """An experiment ran, and its result is not what it promises."""


def run(
    main: Callable[[Options], Any],
    options: type[Options],
    defaults: Callable[[Options], Options | None] = lambda options: None,
) -> None:
    """Read the options from the command line, call ``main`` with them, and exit.

    Args:
      main: the experiment.
      options: a frozen dataclass; its docstrings are the help.
      defaults: given the options, others to take the place of the defaults where nothing was said; such as
        those of a run that is resumed.
    """
    logging.getLogger("jaxnaive").addHandler(_stderr_handler())
    try:
        use_compile_cache()
        parsed = _parse(options)
        default = defaults(parsed)
        main(parsed if default is None else _parse(options, default))
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except (UsageError, runs.RefusedError) as error:
        _fail(f"error: {error}", 2)
    except BrokenPipeError:  # whoever read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (MissedError, ValueError, FloatingPointError, OSError, ImportError, RuntimeError) as error:
        _fail(f"error: {describe(error)}", 1)


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """Inside it a ``ValueError`` is about the options, not about data, as is a file in a folder's place."""
    try:
        yield
    except (ValueError, NotADirectoryError) as error:
        raise UsageError(str(error)) from error


def check_at_least(name: str, value: int | None, least: int) -> None:
    """Raise ``ValueError`` when an option is below the least it can be; ``None``, a default, passes."""
    if value is not None and value < least:
        raise ValueError(f"{name}: got {value}, expected {least} or more")


def use_compile_cache() -> None:
    """Keep compiled programs for the next process, in ``~/.cache/jaxnaive`` (or under ``XDG_CACHE_HOME``).

    JAX's own settings take precedence: ``JAX_COMPILATION_CACHE_DIR``, ``JAX_ENABLE_COMPILATION_CACHE=0``.
    """
    if jax.config.jax_compilation_cache_dir is None:  # pyrefly: ignore[missing-attribute]
        cache_home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        # A program compiled for another processor would be rejected at best.
        folder = cache_home / "jaxnaive" / f"jaxlib-{jaxlib.__version__}-{_processor()}"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _parse(options: type[Options], default: Options | None = None) -> Options:
    captured = io.StringIO()
    try:
        with contextlib.redirect_stderr(captured):
            return tyro.cli(options, default=default)
    except SystemExit as error:
        if not error.code:
            raise
        # tyro explains in a box of several lines; what stands above its first rule is the message.
        lines = re.findall(r"^[│|] (.*?) *[│|]$", captured.getvalue(), re.MULTILINE)
        message = " ".join(itertools.takewhile(lambda line: line[:1] not in ("─", "-"), lines))
        _fail(f"error: {message.partition('  Got errors')[0].rstrip('.')}; see --help", 2)


def describe(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename2 or error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _fail(message: str, status: int) -> NoReturn:
    print(f"jaxnaive: {message}", file=sys.stderr)
    sys.exit(status)


def _stderr_handler() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("jaxnaive: %(message)s"))
    return handler


def _processor() -> str:
    try:
        described = re.findall(r"^(?:model name|flags)\b.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        described = [platform.machine()]
    return hashlib.sha256("".join(sorted(set(described))).encode()).hexdigest()[:8]
