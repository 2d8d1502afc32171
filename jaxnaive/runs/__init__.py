"""A run on disk that cannot be lost: locked, logged, checkpointed, and continued to the same end.

    with runs.open(Path("runs/mine"), config) as run:
        state = run.restore(training.start(key, recipe))
        for _ in range(run.epoch, epochs):
            state, loss = training.train_epoch(state, examples, recipe)
            run.save(state, loss)

A run is a folder: ``config.json``; ``metrics.jsonl``, a line a step; ``checkpoints``, from that of epoch 0
on, of which the last two and the best are kept; and whatever the program adds. A checkpoint records how long
the log was when it was made, so that both always agree. A program that has parts instead of epochs, such as
the chunks of a sweep, gives each of them to ``run.remember``, which keeps it in ``parts``. At every moment,
also when the process is killed or the power fails, the folder holds all that was saved. Only one process at a
time may be in it.
"""

import contextlib
import json
import logging
import math
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np

from jaxnaive.disk import checkpoints, files
from jaxnaive.disk.files import StrPath
from jaxnaive.plain import plain
from jaxnaive.runs import locks, signals

CONFIG, LOG, CHECKPOINTS, PARTS = "config.json", "metrics.jsonl", "checkpoints", "parts"
LATEST = 2  # how many of the last checkpoints are kept; the best, by its mean loss, is kept too
VALIDATION = "validation_loss"  # in the log
MAY_GROW = "epochs"  # what may be larger when a run is continued; all else has to be the same

FORMAT = 1  # of the folder; checkpoints have a format of their own

Tree = TypeVar("Tree")
logger = logging.getLogger("jaxnaive")


class RefusedError(ValueError):
    """A run may not be begun, or not be continued, in this folder with this configuration."""


class Stopped(SystemExit):
    """The run was asked to stop, and what it had is saved. The status is 128 and the signal's number."""


class Saved(NamedTuple):
    """What a run has on disk."""

    epoch: int  # the last one
    log_bytes: int  # of the log, up to this epoch's end
    losses: dict[int, float]  # of the epochs whose checkpoints are there: validation, or mean of training


class Run:
    """A run on disk; :func:`open` makes it."""

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
        stored: dict[str, Any] | None,
        received: Sequence[signal.Signals],
    ) -> None:
        self.folder = folder
        self.config = config
        self.resumed = stored is not None
        self.began = 0  # the epoch that was saved when this process came
        self._stored = stored  # configuration on disk
        self._saved: Saved | None = None  # since restore()
        self._received = received  # signals

    @property
    def epoch(self) -> int:
        """How many epochs are saved."""
        return self._saved.epoch if self._saved else 0

    @property
    def log(self) -> Path:
        """The metrics: a line of JSON a step."""
        return self.folder / LOG

    def restore(self, state: Tree) -> Tree:
        """The state to go on from: of the last good checkpoint; or the one given, if the run is new.

        Raises:
          ValueError: the checkpoints are all damaged, or of another network or optimizer.
          OSError: the folder cannot be written to.
          RuntimeError: called twice.
        """
        if self._saved:
            raise RuntimeError("restore() was called before")
        (self.folder / CHECKPOINTS).mkdir(exist_ok=True)
        for folder in (self.folder, self.folder / CHECKPOINTS):
            files.remove_leftovers(folder)
        if self.resumed:
            state, self._saved = self._restored(state)
        else:
            files.write(self.log, b"")
            self._checkpoint(state, Saved(0, 0, {0: math.inf}), None)
        self.write_config()  # last, because this is what makes the folder a run
        self.began = self.epoch
        return state

    def remember(self, group: str, name: str, compute: Callable[[], Any], like: Any) -> Any:
        """A part of the run: computed and kept, or read if it was; then stop, if a signal asked for it.

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
        path = self.folder / PARTS / group / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.write_config()
        if path.exists():
            try:
                stored, about = checkpoints.load(path, {"part": like})
                if about["config"] == self.config:  # but for the number of epochs, it is
                    return stored["part"]
            except ValueError as error:
                logger.warning("%s; computing it again", error)
        part = compute()
        checkpoints.save(path, {"part": part}, {"config": self.config})
        self.stop_if_asked()
        return part

    def save(self, state: Any, loss: Any, validation_loss: float | None = None) -> None:
        """Log an epoch's losses and save the state after it; then stop, if a signal asked for it.

        Args:
          state: a pytree of arrays.
          loss: of each step; or one number.
          validation_loss: after the epoch. The best checkpoint is that with the smallest one; without them,
            that with the smallest mean of ``loss``.

        Raises:
          FloatingPointError: the loss or the state is not finite. The checkpoints before it are kept.
          OSError: the disk is full, or broken. The checkpoints before it are kept.
          RuntimeError: :meth:`restore` was not called.
          Stopped: SIGINT or SIGTERM came; the epoch is saved.
          ValueError: there are no losses, or the log has become shorter.
        """
        if self._saved is None:
            raise RuntimeError("call restore() before save(): it knows what is saved already")
        before = self._saved
        loss = np.ravel(np.asarray(loss))
        if not len(loss):
            raise ValueError("loss: got none, expected one or more")
        last_good = f"; the last good checkpoint is {_path(self.folder, before.epoch)}"
        check_finite(state, loss, before.epoch, last_good)
        _truncate(self.log, before)  # if an attempt before this one failed halfway
        lines = _lines(before.epoch, loss, validation_loss)
        files.append(self.log, lines)
        rank = float(loss.mean()) if validation_loss is None else validation_loss
        after = Saved(
            before.epoch + 1, before.log_bytes + len(lines), before.losses | {before.epoch + 1: rank}
        )
        self._checkpoint(state, after, rank)
        self._saved = _prune(self.folder, after)
        self.stop_if_asked()

    def losses(self) -> list[np.ndarray]:
        """The losses of all epochs so far, as the log has them.

        Raises:
          ValueError: a line of it is damaged.
        """
        return stored_losses(self.folder, self.epoch)

    def validation_losses(self) -> list[float]:
        """The validation losses of all epochs so far, as the log has them; none, if there are none.

        Raises:
          ValueError: a line of it is damaged.
        """
        return stored_validation_losses(self.folder, self.epoch)

    def best(self, state: Tree) -> Tree:
        """The state of the best epoch that is saved.

        Args:
          state: of the same structure, shapes and dtypes; it is returned if nothing was saved.

        Raises:
          ValueError, OSError: the checkpoint is damaged, or cannot be read.
        """
        if self._saved is None or not self.epoch:
            return state
        losses = self._saved.losses
        return checkpoints.load(_path(self.folder, min(losses, key=lambda epoch: losses[epoch])), state)[0]

    def stop_if_asked(self) -> None:
        """Raise :class:`Stopped` if SIGINT or SIGTERM came."""
        if self._received:
            number = self._received[0]
            after = f" after epoch {self.epoch}" if self._saved else ""
            logger.warning(
                "stopped by %s%s; to go on, open %s again (--resume --out %s)",
                number.name, after, self.folder, self.folder,
            )  # fmt: skip
            raise Stopped(128 + number)

    def write_config(self) -> None:
        """Make the folder a run, as :meth:`restore` and :meth:`remember` do.

        For a program that keeps its parts itself.

        Raises:
          OSError: it cannot be written.
        """
        if self.config != self._stored:
            files.write_json(self.folder / CONFIG, {"format": FORMAT} | self.config)
            self._stored = self.config

    def _checkpoint(self, state: Any, saved: Saved, loss: float | None) -> None:
        about = {"epoch": saved.epoch, "loss": loss, "log_bytes": saved.log_bytes, "config": self.config}
        checkpoints.save(_path(self.folder, saved.epoch), state, about)
        self._saved = saved

    def _restored(self, state: Tree) -> tuple[Tree, Saved]:
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
            saved = Saved(epoch, about["log_bytes"], {epoch: _mean(about)})
            break
        else:
            raise ValueError(f"{self.folder}: no readable checkpoint; begin again in another folder")
        _truncate(self.log, saved)
        for path in damaged:  # they would be replaced when their epochs come again
            path.rename(path.with_suffix(".damaged"))
        for epoch, path in found:
            if epoch < saved.epoch:
                with contextlib.suppress(ValueError, OSError):
                    saved.losses[epoch] = _mean(checkpoints.about(path))
        return state, saved


@contextlib.contextmanager
def open(folder: StrPath, config: Mapping[str, Any], resume: bool | None = None) -> Iterator[Run]:
    """A run in a folder, for this process alone until the block ends.

    Inside the block SIGINT and SIGTERM wait for the next :meth:`Run.save`, or the block's end, and then raise
    :class:`Stopped`; a second SIGINT raises ``KeyboardInterrupt`` at once; what was saved is kept. A process
    that is forked inside the block has the same lock and signal handlers: spawn others instead.

    Args:
      folder: is made if need be.
      config: all that the result depends on, as JSON can hold it; also numbers of NumPy, tuples and paths.
      resume: whether to go on with the run that is in the folder. By default, if there is one. It must have
        the same configuration, except that it may be given more ``epochs``. If a schedule depends on their
        number, it is from then on that of the longer run.

    Raises:
      RefusedError: there is a run and ``resume`` is false; there is none and it is true; or the run in the
        folder has another configuration.
      BlockingIOError: another process is in the folder.
      OSError: the folder cannot be written to.
      ValueError: JSON cannot hold the configuration; the error names what.
    """
    folder = Path(folder).expanduser()
    settings = json.loads(json.dumps(plain("", config)))  # as they will be read back
    if resume:
        stored_config(folder)  # or there is none, and no folder is made
    files.make_folder(folder)
    with locks.hold(folder):
        log = folder / LOG
        there = (folder / CONFIG).exists() or (log.exists() and log.stat().st_size > 0)
        if there and resume is False:
            raise RefusedError(
                f"{folder}: holds a run; go on with it by resume=True (--resume), or choose another folder"
            )
        stored = stored_config(folder) if resume or there else None
        if stored is not None:
            _check_same(folder, stored, settings)
        with signals.deferred() as received:
            run = Run(folder, settings, stored, received)
            yield run
        run.stop_if_asked()  # now that signals do again what they did before, so that none falls between


def stored_config(folder: StrPath) -> dict[str, Any]:
    """The configuration of the run in a folder.

    Raises:
      RefusedError: there is no run.
      ValueError: its configuration is damaged, or the run is of a later format.
    """
    folder = Path(folder).expanduser()
    path = folder / CONFIG
    if not path.is_file():
        raise RefusedError(f"{folder}: there is no run")
    try:
        config = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not a configuration ({error})") from error
    if (found := config.pop("format", FORMAT)) != FORMAT:
        raise ValueError(f"{path}: got a run of format {found}, expected {FORMAT}; another jaxnaive wrote it")
    return config


def stored_losses(folder: StrPath, epochs: int) -> list[np.ndarray]:
    """The losses of so many epochs, all that there are, as the log of the run in a folder has them.

    Raises:
      ValueError: a line of it is damaged.
      OSError: it cannot be read.
    """
    return [np.array(values, np.float32) for values in _logged(Path(folder), epochs, "loss")]


def stored_validation_losses(folder: StrPath, epochs: int) -> list[float]:
    """The validation losses of so many epochs, as the log of the run in a folder has them; or none.

    Raises:
      ValueError: a line of it is damaged.
      OSError: it cannot be read.
    """
    return [value for values in _logged(Path(folder), epochs, VALIDATION) for value in values]


def new_folder(parent: StrPath, name: str) -> Path:
    """Make ``name-1`` in a folder, or the first such one that is not there yet."""
    parent = Path(parent)
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


def last_folder(parent: StrPath, is_wanted: Callable[[dict[str, Any]], bool], what: str) -> Path:
    """The run in a folder that was begun last, of those that are wanted.

    Args:
      parent: the folder with the runs.
      is_wanted: whether a run with this configuration is.
      what: they are called in the error.

    Raises:
      RefusedError: there is none.
    """
    parent = Path(parent)
    found = []
    for path in parent.glob(f"*/{CONFIG}"):
        try:
            if is_wanted(stored_config(path.parent)):
                found.append((path.stat().st_mtime_ns, path.parent))
        except (ValueError, OSError) as error:
            logger.warning("%s; looking for another run", error)
    if not found:
        raise RefusedError(f"{parent}: there is no run of {what}")
    return max(found)[1]


def _lines(epoch: int, loss: np.ndarray, validation_loss: float | None) -> bytes:
    """What the log gets of an epoch."""
    rows: list[dict[str, Any]] = [
        {"epoch": epoch, "step": step, "loss": value} for step, value in enumerate(loss.tolist())
    ]
    if validation_loss is not None:
        rows.append({"epoch": epoch, VALIDATION: validation_loss})
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _logged(folder: Path, epochs: int, name: str) -> list[list[float]]:
    """The values of a name in the log, for each epoch."""
    log = folder / LOG
    found: list[list[float]] = [[] for _ in range(epochs)]
    for number, line in enumerate(log.read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line)
            values = found[row["epoch"]]
            if name in row:
                values.append(row[name])
            elif not {"loss", VALIDATION} & row.keys():
                raise KeyError(name)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{log}: line {number} is damaged ({error})") from error
    return found


def _numbers(parent: Path, name: str) -> list[int]:
    matches = (re.fullmatch(rf"{re.escape(name)}-(\d+)", path.name) for path in parent.glob(f"{name}-*"))
    return [int(match[1]) for match in matches if match]


def _path(folder: Path, epoch: int) -> Path:
    return folder / CHECKPOINTS / f"epoch-{epoch:06d}.safetensors"


def _checkpoints(folder: Path) -> dict[int, Path]:
    paths = (folder / CHECKPOINTS).glob("epoch-*.safetensors")
    numbered = ((re.fullmatch(r"epoch-(\d{6,})", path.stem), path) for path in paths)
    return {int(match[1]): path for match, path in numbered if match}


def _mean(about: dict[str, Any]) -> float:
    return math.inf if about["loss"] is None else about["loss"]


def _truncate(log: Path, saved: Saved) -> None:
    size = log.stat().st_size
    if size < saved.log_bytes:
        expected = f"expected the {saved.log_bytes:,} of epoch {saved.epoch}"
        raise ValueError(f"{log}: got {size:,} bytes, {expected}")
    if size > saved.log_bytes:
        os.truncate(log, saved.log_bytes)


def check_finite(state: Any, loss: np.ndarray, epoch: int, last_good: str = "") -> None:
    """Raise ``FloatingPointError`` if losses of an epoch, or the state after it, are not finite."""
    wrong = [
        f" ({name} has {np.size(leaf) - np.isfinite(leaf).sum():,} of {np.size(leaf):,})"
        for name, leaf in checkpoints.named_leaves(state)
        if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) and not np.isfinite(leaf).all()
    ]
    steps = np.flatnonzero(~np.isfinite(loss))
    if not len(steps) and not wrong:
        return
    begin = f"the loss is not finite from step {steps[0]} of" if len(steps) else "values are not finite after"
    raise FloatingPointError(
        f"{begin} epoch {epoch}{''.join(wrong[:1])}{last_good}; try a lower learning rate"
    )


def _prune(folder: Path, saved: Saved) -> Saved:
    best = min(saved.losses, key=lambda epoch: saved.losses[epoch])
    kept = {best, *sorted(saved.losses)[-LATEST:]}
    for epoch in saved.losses.keys() - kept:
        _path(folder, epoch).unlink(missing_ok=True)
    return saved._replace(losses={epoch: loss for epoch, loss in saved.losses.items() if epoch in kept})


def _check_same(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    for name in dict.fromkeys([*old, *new]):
        was, wanted = old.get(name), new.get(name)
        if was == wanted:
            continue
        if name == MAY_GROW and isinstance(was, int) and isinstance(wanted, int) and wanted > was:
            continue
        raise RefusedError(f"{name}: got {wanted}, but the run in {folder} has {was}")
