"""A run on disk that cannot be lost: locked, logged, checkpointed, and continued to the same end.

    with runs.open(Path("runs/mine"), config) as run:
        state = run.restore(training.start(key, recipe))
        for _ in range(run.epoch, epochs):
            state, loss = training.train_epoch(state, examples, recipe)
            run.save(state, loss)

A run is a folder: ``config.json``; ``metrics.jsonl``, a line a step; ``checkpoints``, from that of epoch 0
on, of which the last two and the best are kept; and whatever the program adds. A checkpoint knows how long
the log was when it was made, so that both always tell the same story. A program that has parts instead of
epochs, such as the chunks of a sweep, gives each of them to ``run.remember``, which keeps it in ``parts``. At
every moment, also when the process is killed or the power fails, the folder holds all that was saved. There
may be one process in it at a time.
"""

import contextlib
import fcntl
import json
import logging
import math
import os
import platform
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from jaxnaive import checkpoints, files

LOG = "metrics.jsonl"
LATEST = 2  # how many of the last checkpoints are kept; the best, by its mean loss, is kept too
MAY_GROW = "epochs"  # what may be larger when a run is continued; all else has to be the same

FORMAT = 1  # of the folder; that of the checkpoints is their own
END = 0  # no signal has this number

State = TypeVar("State")
logger = logging.getLogger("jaxnaive")


class RefusedError(ValueError):
    """A run may not be begun, or not be continued, in this folder with this configuration."""


class Stopped(SystemExit):
    """The run was asked to stop, and what it had is saved. The status is 128 and the signal's number."""


class Run:
    """A run on disk; :func:`open` makes it."""

    def __init__(self, folder: Path, config: dict[str, Any], stored: dict[str, Any] | None) -> None:
        self.folder = folder
        self.config = config
        self.resumed = stored is not None
        self._stored = stored  # configuration of the run that is there, if there is one
        self.epoch = 0  # how many are saved
        self.began = 0  # how many were, when this process came
        self._ready = False  # since restore()
        self._beginning = threading.Lock()
        self._losses: dict[int, float] = {}  # means of the epochs whose checkpoints are there
        self._log_bytes = 0
        self._received: list[int] = []  # signals

    @property
    def log(self) -> Path:
        """The metrics: a line of JSON a step."""
        return self.folder / LOG

    def restore(self, state: State) -> State:
        """The state to go on from: of the last good checkpoint; or the one given, if the run is new.

        Raises:
          ValueError: the checkpoints are all damaged, or of another network or optimizer.
          OSError: the folder cannot be written to.
          RuntimeError: called twice.
        """
        if self._ready:
            raise RuntimeError("restore() was called before")
        (self.folder / "checkpoints").mkdir(exist_ok=True)
        for folder in (self.folder, self.folder / "checkpoints"):
            files.remove_leftovers(folder)
        if self.resumed:
            state = self._restored(state)
        else:
            files.write(self.log, b"")
            self._checkpoint(state, 0, None)
        self._begin()  # last, because this is what makes the folder a run
        self.began = self.epoch
        self._ready = True
        return state

    def remember(self, group: str, name: str, compute: Callable[[], Any], like: Any) -> Any:
        """A part of the run: computed and kept, or read if it was; then leave, if a signal asked for it.

        May be called from several threads, and instead of :meth:`restore` and :meth:`save`.

        Args:
          group: of parts, and their folder.
          name: of the part in it, and of its file.
          compute: makes it, a pytree of arrays.
          like: a tree of the same structure, shapes and dtypes.

        Raises:
          OSError: the part cannot be written. Those before it are kept.
          Stopped: SIGINT or SIGTERM came; the part is kept.
        """
        path = self.folder / "parts" / group / f"{name}.safetensors"
        with self._beginning:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._begin()
        if path.exists():
            try:
                kept, about = checkpoints.load(path, {"part": like})
                if about["config"] == self.config:  # but for the number of epochs, it is
                    return kept["part"]
            except ValueError as error:
                logger.warning("%s; computing it again", error)
        part = compute()
        checkpoints.save(path, {"part": part}, {"config": self.config})
        self.leave_if_asked()
        return part

    def _begin(self) -> None:
        if self.config != self._stored:
            files.write_json(self.folder / "config.json", {"format": FORMAT} | self.config)
            self._stored = self.config

    def save(self, state: Any, loss: Any) -> None:
        """Log an epoch's losses and save the state after it; then leave, if a signal asked for it.

        Args:
          state: a pytree of arrays.
          loss: of each step; or one number.

        Raises:
          FloatingPointError: the loss or the state is not finite. The checkpoints before it are kept.
          OSError: the disk is full, or broken. The checkpoints before it are kept.
          RuntimeError: :meth:`restore` was not called.
          Stopped: SIGINT or SIGTERM came; the epoch is saved.
          ValueError: there are no losses, or the log has become shorter.
        """
        if not self._ready:
            raise RuntimeError("call restore() before save(): it knows what is saved already")
        loss = np.ravel(np.asarray(loss))
        if not len(loss):
            raise ValueError("loss: got none, expected one or more")
        self._check_finite(state, loss)
        self._truncate_log()  # if an attempt before this one failed halfway
        rows = (
            {"epoch": self.epoch, "step": step, "loss": value} for step, value in enumerate(loss.tolist())
        )
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        files.append(self.log, lines)
        before, self._log_bytes = self._log_bytes, self._log_bytes + len(lines)
        try:
            self._checkpoint(state, self.epoch + 1, float(loss.mean()))
        except BaseException:
            self._log_bytes = before
            raise
        self._prune()
        self.leave_if_asked()

    def losses(self) -> list[np.ndarray]:
        """The losses of all epochs so far, as the log has them.

        Raises:
          ValueError: a line of it is damaged.
        """
        return stored_losses(self.folder, self.epoch)

    def leave_if_asked(self) -> None:
        """Raise :class:`Stopped` if SIGINT or SIGTERM came."""
        if self._received:
            name = signal.Signals(self._received[0]).name
            after = f" after epoch {self.epoch}" if self._ready else ""
            logger.warning("stopped by %s%s; resume with --resume --out %s", name, after, self.folder)
            raise Stopped(128 + self._received[0])

    def _restored(self, state: State) -> State:
        damaged = []
        found = sorted(_checkpoints(self.folder).items(), reverse=True)
        for epoch, path in found:
            try:
                state, about = checkpoints.load(path, state)
                if about.get("epoch") != epoch:
                    raise checkpoints.DamagedError(f"{path}: not the checkpoint of epoch {epoch}")
            except (checkpoints.DamagedError, OSError) as error:
                logger.warning("%s; using the one before", error)
                damaged.append(path)
                continue
            self.epoch, self._log_bytes = epoch, about["log_bytes"]
            self._remember(epoch, about["loss"])
            break
        else:
            raise ValueError(f"{self.folder}: no readable checkpoint; begin anew in another folder")
        self._truncate_log()
        for path in damaged:  # they would be replaced when their epochs come again
            path.rename(path.with_suffix(".damaged"))
        for epoch, path in found:
            if epoch < self.epoch:
                with contextlib.suppress(ValueError, OSError):
                    self._remember(epoch, checkpoints.about(path)["loss"])
        return state

    def _checkpoint(self, state: Any, epoch: int, loss: float | None) -> None:
        about = {"epoch": epoch, "loss": loss, "log_bytes": self._log_bytes, "config": self.config}
        checkpoints.save(_path(self.folder, epoch), state, about)
        self.epoch = epoch
        self._remember(epoch, loss)

    def _remember(self, epoch: int, loss: float | None) -> None:
        self._losses[epoch] = math.inf if loss is None else loss

    def _truncate_log(self) -> None:
        size = self.log.stat().st_size
        if size < self._log_bytes:
            expected = f"expected the {self._log_bytes:,} of epoch {self.epoch}"
            raise ValueError(f"{self.log}: got {size:,} bytes, {expected}")
        if size > self._log_bytes:
            os.truncate(self.log, self._log_bytes)

    def _check_finite(self, state: Any, loss: np.ndarray) -> None:
        wrong = [
            f" ({name} has {np.size(leaf) - np.isfinite(leaf).sum():,} of {np.size(leaf):,})"
            for name, leaf in checkpoints.named_leaves(state)
            if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) and not np.isfinite(leaf).all()
        ]
        steps = np.flatnonzero(~np.isfinite(loss))
        if not len(steps) and not wrong:
            return
        begin = (
            f"the loss is not finite from step {steps[0]} of" if len(steps) else "values are not finite after"
        )
        good = f"the last good checkpoint is {_path(self.folder, self.epoch)}"
        raise FloatingPointError(
            f"{begin} epoch {self.epoch}{''.join(wrong[:1])}; {good}; try a lower learning rate"
        )

    def _prune(self) -> None:
        best = min(self._losses, key=lambda epoch: self._losses[epoch])
        kept = {best, *sorted(self._losses)[-LATEST:]}
        for epoch in [*self._losses]:
            if epoch not in kept:
                _path(self.folder, epoch).unlink(missing_ok=True)
                del self._losses[epoch]


@contextlib.contextmanager
def open(folder: Path, config: Mapping[str, Any], resume: bool | None = None) -> Iterator[Run]:
    """A run in a folder, for this process alone until the block ends.

    Inside the block SIGINT and SIGTERM wait for the next :meth:`Run.save`, or the block's end, and then raise
    :class:`Stopped`; a second SIGINT ends the process at once. A signal that was ignored stays so; in another
    thread than the main one, where Python lets no signal be handled, they do what they did before. A process
    that is forked inside the block shares its lock and signals: spawn others instead.

    Args:
      folder: is made if need be.
      config: all that the result depends on, as JSON can hold it.
      resume: whether to go on with the run that is in the folder. By default, if there is one. It must have
        the same configuration, except that it may be given more ``epochs``. If a schedule depends on their
        number, it is from then on that of the longer run.

    Raises:
      RefusedError: there is a run and ``resume`` is false; there is none and it is true; or the run in the
        folder has another configuration.
      BlockingIOError: another process is in the folder.
      OSError: the folder cannot be written to.
    """
    settings = json.loads(json.dumps(config))  # lists for tuples, as they will be read back
    if resume:
        stored_config(folder)  # or there is none, and no folder is made
    files.make_folder(folder)
    with _locked(folder):
        log = folder / LOG
        there = (folder / "config.json").exists() or (log.exists() and log.stat().st_size > 0)
        if there and resume is False:
            raise RefusedError(f"{folder}: holds a run; go on with it by --resume, or choose another folder")
        stored = stored_config(folder) if resume or there else None
        if stored is not None:
            _check_same(folder, stored, settings)
        run = Run(folder, settings, stored)
        with _deferred_signals(run._received):
            yield run
        run.leave_if_asked()  # now that signals do again what they did before, so that none falls between


def stored_config(folder: Path) -> dict[str, Any]:
    """The configuration of the run in a folder.

    Raises:
      RefusedError: there is no run.
      ValueError: its configuration is damaged, or the run is of a later format.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise RefusedError(f"{folder}: there is no run")
    try:
        config = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not a configuration ({error})") from error
    if (found := config.pop("format", FORMAT)) != FORMAT:
        raise ValueError(f"{path}: got a run of format {found}, expected {FORMAT}; another jaxnaive wrote it")
    return config


def stored_losses(folder: Path, epochs: int) -> list[np.ndarray]:
    """The losses of so many epochs, all that there are, as the log of the run in a folder has them.

    Raises:
      ValueError: a line of it is damaged.
      OSError: it cannot be read.
    """
    log = folder / LOG
    losses: list[list[float]] = [[] for _ in range(epochs)]
    for number, line in enumerate(log.read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line)
            losses[row["epoch"]].append(row["loss"])
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{log}: line {number} is damaged ({error})") from error
    return [np.array(values, np.float32) for values in losses]


def new_folder(parent: Path, name: str) -> Path:
    """Make ``name-1`` in a folder, or the first such one that is not there yet."""
    files.make_folder(parent)
    number = 1 + max(_numbers(parent, name), default=0)
    while True:
        try:
            (parent / f"{name}-{number}").mkdir()
            files.sync(parent)
        except FileExistsError:  # another process was first
            number += 1
        else:
            return parent / f"{name}-{number}"


def last_folder(parent: Path, name: str) -> Path:
    """The last one that :func:`new_folder` made and that holds a run.

    Raises:
      RefusedError: there is none.
    """
    for number in sorted(_numbers(parent, name), reverse=True):
        if (parent / f"{name}-{number}" / "config.json").is_file():
            return parent / f"{name}-{number}"
    raise RefusedError(f"{parent / name}-1: there is no run")


def _numbers(parent: Path, name: str) -> list[int]:
    matches = (re.fullmatch(rf"{re.escape(name)}-(\d+)", path.name) for path in parent.glob(f"{name}-*"))
    return [int(match[1]) for match in matches if match]


def _path(folder: Path, epoch: int) -> Path:
    return folder / "checkpoints" / f"epoch-{epoch:06d}.safetensors"


def _checkpoints(folder: Path) -> dict[int, Path]:
    paths = (folder / "checkpoints").glob("epoch-*.safetensors")
    numbered = ((re.fullmatch(r"epoch-(\d{6,})", path.stem), path) for path in paths)
    return {int(match[1]): path for match, path in numbered if match}


def _check_same(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    for name in dict.fromkeys([*old, *new]):
        was, wanted = old.get(name), new.get(name)
        if was == wanted:
            continue
        if name == MAY_GROW and isinstance(was, int) and isinstance(wanted, int) and wanted > was:
            continue
        raise RefusedError(f"{name}: got {wanted}, but the run in {folder} has {was}")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # The lock is the kernel's and dies with the process; the file's content is only for the message.
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 1000).decode(errors="replace") or "another process"
            raise BlockingIOError(f"{folder}: in use by {holder}") from error
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _deferred_signals(received: list[int]) -> Iterator[None]:
    """Collect SIGINT and SIGTERM in a list; at the second SIGINT end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Python's own handlers wait until the main thread is out of XLA, which may take an epoch. What they write
    # to this pipe at once, a thread reads.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}

    def watch() -> None:
        while (number := os.read(reading, 1)[0]) != END:
            if number == signal.SIGINT and signal.SIGINT in received:
                with contextlib.suppress(OSError):  # there may be nobody left to read it
                    os.write(2, b"\njaxnaive: interrupted twice, left at once\n")
                os._exit(128 + signal.SIGINT)
            if number in before:
                received.append(number)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        for number in before:
            signal.signal(number, lambda *_: None)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        os.write(writing, bytes([END]))
        thread.join()
        os.close(writing)
        os.close(reading)
