"""What every experiment's command line shares: options from a dataclass, one-line errors, compile cache.

Exit status: 0 success, 1 failure, 2 wrong usage, 130 interrupted, 143 terminated.
"""

import contextlib
import io
import itertools
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro

from jaxnaive import compile_cache, garbage, runs

RUNS = Path("runs")
ELSEWHERE = ("data_dir", "manual_dir", "out", "resume", "report")  # options that do not change the result

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
    garbage.spare()
    try:
        compile_cache.use()
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


def open_run(
    name: str, options: Any, about: Mapping[str, Any]
) -> contextlib.AbstractContextManager[runs.Run]:
    """The run of an experiment on disk: in ``--out``, or in the first of ``runs/NAME-1, -2, ...`` to be free.

    Args:
      name: of the experiment.
      options: a dataclass with ``out`` and ``resume``.
      about: what the result depends on besides the options, as :func:`jaxnaive.runs.open` takes it.
    """
    given = {option: value for option, value in asdict(options).items() if option not in ELSEWHERE}
    folder = options.out or runs.new_folder(RUNS, name)
    return runs.open(folder, {"experiment": name} | given | dict(about), options.resume)


def resumed(name: str, options: Options) -> Options | None:
    """What a run that goes on takes for its defaults: its own options.

    Args:
      name: of the experiment.
      options: as they were given, a dataclass with ``out`` and ``resume``.

    Raises:
      RefusedError: there is no run to go on with.
      ValueError: it is another experiment's, or damaged.
    """
    given: Any = options
    if not given.resume:
        return None
    folder = given.out or runs.last_folder(RUNS, name)
    stored = runs.stored_config(folder)
    if stored.get("experiment") != name:
        raise runs.RefusedError(f"{folder}: got a run of {stored.get('experiment')}, expected one of {name}")
    try:
        own = {
            field.name: _as_option(stored[field.name])
            for field in fields(given)
            if field.name not in ELSEWHERE
        }
    except KeyError as error:
        raise ValueError(f"{folder}: its configuration has no {error}; another jaxnaive wrote it") from error
    return type(options)(**own, out=folder, resume=True)


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


def _as_option(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


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
        message = " ".join(message.partition("  Got errors")[0].split())  # tyro indents what it lists
        _fail(f"error: {message.rstrip('.')}; see --help", 2)


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
