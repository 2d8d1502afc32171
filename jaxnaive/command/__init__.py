"""What every command line has in common: options from a dataclass, one-line errors, the compile cache.

Exit status: 0 success, 1 failure, 2 wrong usage, 130 interrupted, 143 terminated.
"""

import builtins
import contextlib
import io
import itertools
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from jaxnaive import runs
from jaxnaive.command import compile_cache, garbage
from jaxnaive.job import is_stored

RUNS = Path("runs")
WITHOUT_EFFECT = (
    "data_dir",
    "manual_dir",
    "out",
    "resume",
    "report",
    "budget",
)  # options that do not change the result

Options = TypeVar("Options")


class UsageError(ValueError):
    """An option has an impossible value."""


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
      defaults: of the options as they were given, the values of those that were not; such as the options of a
        run that is resumed. ``None`` leaves the defaults as they are.
    """
    _open_standard_streams()
    handler = _stderr_handler()
    logging.getLogger("jaxnaive").addHandler(handler)
    garbage.freeze_imported_objects()
    # So that figures do not depend on a user's settings.
    os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
    try:
        compile_cache.use()
        parsed = _parse(options)
        default = defaults(parsed)
        main(parsed if default is None else _parse(options, default))
    except KeyboardInterrupt:
        _say("interrupted")
        _leave(130)
    except (UsageError, runs.RefusedError) as error:
        _fail(f"error: {error}", 2)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (MissedError, ValueError, FloatingPointError, OSError, ImportError, RuntimeError) as error:
        _fail(f"error: {describe(error)}", 1)
    finally:
        logging.getLogger("jaxnaive").removeHandler(handler)


def open_run(
    name: str, options: Any, about: Mapping[str, Any], folder_name: str | None = None
) -> contextlib.AbstractContextManager[runs.Run]:
    """The run of an experiment on disk: in ``--out``, or the first of ``runs/NAME-1, -2, ...`` that is free.

    Args:
      name: of the experiment.
      options: a dataclass with ``out`` and ``resume``.
      about: what the result depends on besides the options, as :func:`jaxnaive.runs.open` takes it.
      folder_name: NAME, if it is not that of the experiment.
    """
    folder = options.out or runs.new_folder(RUNS, (folder_name or name).replace("/", "-"))
    return runs.open(folder, {"experiment": name} | _with_effect(options) | dict(about), options.resume)


def resumed(name: str, options: Options) -> Options | None:
    """The options of the run that is to be resumed, which become the defaults; ``None`` without ``--resume``.

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
    folder = given.out or runs.last_folder(RUNS, lambda config: config.get("experiment") == name, name)
    stored = runs.stored_config(folder)
    if stored.get("experiment") != name:
        raise runs.RefusedError(f"{folder}: got a run of {stored.get('experiment')}, expected one of {name}")
    try:
        own = {option: _as_option(stored[option]) for option in _with_effect(given)}
    except KeyError as error:
        raise ValueError(f"{folder}: its configuration has no {error}; another jaxnaive wrote it") from error
    own |= {option: _as_option(stored[option]) for option in _added_later(given) if option in stored}
    return replace(_with(type(options)(), own), out=folder, resume=True)


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """Inside the block a ``ValueError`` means a wrong option (exit 2), as does a file in a folder's place."""
    try:
        yield
    except (ValueError, NotADirectoryError) as error:
        raise UsageError(str(error)) from error


def _with_effect(options: Any) -> dict[str, Any]:
    """The options on which the result depends, those of nested options beside the others."""
    found: dict[str, Any] = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            found |= _with_effect(value)
        elif field.name not in WITHOUT_EFFECT and is_stored(field, value):
            found[field.name] = value
    return found


def _added_later(options: Any) -> set[str]:
    """The names of the options that a stored run has only where they have not their defaults."""
    found: set[str] = set()
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            found |= _added_later(value)
        elif not is_stored(field, field.default):
            found.add(field.name)
    return found


def _with(options: Any, values: dict[str, Any]) -> Any:
    """The options with these values, wherever each is nested."""
    own = {}
    for field in fields(options):
        value = getattr(options, field.name)
        own[field.name] = _with(value, values) if is_dataclass(value) else values.get(field.name, value)
    return type(options)(**own)


def _as_option(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _parse(options: type[Options], default: Options | None = None) -> Options:
    import tyro

    captured = io.StringIO()
    try:
        with contextlib.redirect_stderr(captured):
            return tyro.cli(options, default=default)
    except SystemExit as error:
        if not error.code:
            raise
        # tyro explains in a box of several lines, without sides where the terminal is not UTF-8; what stands
        # above its first rule is the message.
        lines = re.findall(r"^(?:│ |  )(.*?) *│?$", captured.getvalue(), re.MULTILINE)
        message = " ".join(itertools.takewhile(lambda line: line[:1] not in ("─", "-"), lines))
        message = " ".join(message.partition("  Got errors")[0].split())  # tyro indents what it lists
        _fail(f"error: {message.rstrip('.')}; see --help", 2)


def describe(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename2 or error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _in_one_line(message: str) -> str:
    """A message with its line breaks and other control characters, as names may have them, escaped."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: repr(found[0])[1:-1], message)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _in_one_line(super().format(record))


def _fail(message: str, status: int) -> NoReturn:
    _say(message)
    sys.exit(status)


def _say(message: str) -> None:
    with contextlib.suppress(OSError):  # of standard error that cannot be written to
        print(f"jaxnaive: {_in_one_line(message)}", file=sys.stderr)


def _leave(status: int) -> NoReturn:
    """Exit without waiting for threads that still compute; a notebook, which runs scripts too, goes on."""
    if not hasattr(builtins, "get_ipython"):
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


def _open_standard_streams() -> None:
    """Make the standard streams ones that never fail for what is said.

    What the caller has closed, as by ``2>&-``, is opened: another file would get its number and its text.
    What a terminal cannot show, such as a name in Chinese where all is ASCII, is shown as ``\\u732b``.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  (as long as the process)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # and not what a notebook or a test has in its place
            with contextlib.suppress(OSError):  # of one that has become a pipe since it was opened
                stream.reconfigure(errors="backslashreplace")


def _stderr_handler() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("jaxnaive: %(message)s"))
    return handler
