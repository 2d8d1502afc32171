"""The entrants, and the measurement of one run of one entrant in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from tqdm import tqdm

from experiments.race.specification import Hyperparameters
from jaxnaive.disk import files

ROOT = Path(__file__).parent.parent.parent
COMPILED = "compiled"  # the compile caches, a folder beside the arrays
KEY = ("entrant", "recipe", "held_out", "seed")  # the names in the log


class Entrant(NamedTuple):
    """One that takes part."""

    module: str  # in experiments.race.entrants
    differs: str = ""  # what is not as in jaxnaive's run, besides the framework; "": nothing
    needs: tuple[str, ...] = ()  # packages, besides those of jaxnaive
    programs: tuple[str, ...] = ()  # that are started while it trains
    environment: Mapping[str, str] = MappingProxyType({})
    cache: str = ""  # the variable with the folder of programs that earlier processes compiled; "": not used


CACHED = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
JAX_CACHE = "JAX_COMPILATION_CACHE_DIR"
ANEW, EAGER = "compiles anew", "not compiled"
COPY, WEIGHTS = "float32 images", "own initial weights"
KERAS = f"{COPY}, counts hits"  # its accuracy while it trains
JAXNAIVE = "jaxnaive"  # the entrant with which all others are compared
ENTRANTS = {
    JAXNAIVE: Entrant("jaxnaive_scan", environment=CACHED, cache=JAX_CACHE),
    "jaxnaive, no compile cache": Entrant(
        "jaxnaive_scan", ANEW, environment={"JAX_ENABLE_COMPILATION_CACHE": "0"}
    ),
    "JAX": Entrant("plain_jax", f"{ANEW}, {COPY}"),
    "JAX, compile cache": Entrant("plain_jax", COPY, environment=CACHED, cache=JAX_CACHE),
    "JAX, one scan, compile cache": Entrant("jax_expert", environment=CACHED, cache=JAX_CACHE),
    "Equinox": Entrant("equinox_loop", f"{ANEW}, {COPY}, {WEIGHTS}", ("equinox",)),
    "Flax NNX": Entrant("flax_nnx", f"{ANEW}, {COPY}, {WEIGHTS}", ("flax",)),
    "Keras, JAX": Entrant("keras_fit", f"{ANEW}, {KERAS}", ("keras",), environment={"KERAS_BACKEND": "jax"}),
    "Keras, TensorFlow": Entrant(
        "keras_fit",
        f"{ANEW}, {KERAS}",
        ("keras", "tensorflow"),
        environment={"KERAS_BACKEND": "tensorflow"},
    ),
    "Keras, PyTorch": Entrant(
        "keras_fit", f"{EAGER}, {KERAS}", ("keras", "torch"), environment={"KERAS_BACKEND": "torch"}
    ),
    "TensorFlow, the notes' loop": Entrant(
        "tensorflow_notes", f"{EAGER}, {COPY}", ("tensorflow",), environment={"KERAS_BACKEND": "tensorflow"}
    ),
    "PyTorch": Entrant("pytorch", f"{EAGER}, {COPY}, {WEIGHTS}", ("torch",)),
    "PyTorch, compiled": Entrant(
        "pytorch",
        f"{COPY}, {WEIGHTS}",
        ("torch",),
        environment={"RACE_TORCH_COMPILE": "1"},
        cache="TORCHINDUCTOR_CACHE_DIR",
    ),
    "tinygrad": Entrant("tinygrad_loop", WEIGHTS, ("tinygrad",), ("clang",), cache="XDG_CACHE_HOME"),
    "MLX": Entrant(
        "mlx_loop", f"{COPY}, {WEIGHTS}, on Linux a reference BLAS", ("mlx",), ("g++",), cache="TMPDIR"
    ),
    "NumPy": Entrant("numpy_by_hand", f"{EAGER}, {COPY}"),
    "scikit-learn": Entrant("scikit_learn", f"{EAGER}, {COPY}, constant rate, no label smoothing"),
}


class Measured(NamedTuple):
    """What was measured of one process."""

    seconds: float  # from its start to its end
    megabytes: float  # of memory at its peak
    imports: float  # seconds, including the start of Python
    data: float  # seconds
    epochs: list[float]  # seconds of each
    accuracy: float  # on the test set, or on the held-out examples


Key = tuple[str, Hyperparameters, int, int]
"""Of a process in the log: entrant, recipe, examples that are held out, seed."""
Measure = Callable[[str, Hyperparameters, int, int], Measured | None]
"""Trains once, as :func:`measure` with the folder given."""


class Finished(NamedTuple):
    """A process that has ended."""

    status: int
    output: str
    errors: str
    seconds: float
    megabytes: float


def logged(log: Path, measure: Measure) -> Measure:
    """The same, where each process that came to its end is a line of a log, and is not started again.

    Args:
      log: file of JSON lines. A last line that a kill has cut off is removed.
      measure: trains once.

    Raises:
      ValueError: a line of the log is damaged.
    """
    known = read_log(log)

    def measure_unless_known(
        name: str, hyperparameters: Hyperparameters, held_out: int, seed: int
    ) -> Measured | None:
        key = (name, hyperparameters, held_out, seed)
        if key not in known:
            if (measured := measure(*key)) is None:
                return None
            line = dict(zip(KEY, (name, hyperparameters._asdict(), held_out, seed), strict=True))
            files.append(log, (json.dumps(line | measured._asdict()) + "\n").encode())
            known[key] = measured
        return known[key]

    return measure_unless_known


def read_log(log: Path) -> dict[Key, Measured]:
    """The processes in a log; a last line that is cut off is removed from it."""
    if not log.exists():
        return {}
    content = log.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        files.write(log, whole)
    found = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            name, recipe, held_out, seed, *measured = json.loads(line).values()
            found[name, Hyperparameters(**recipe), held_out, seed] = Measured(*measured)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{log}: line {number} is damaged ({error})") from error
    return found


def measure(
    name: str, hyperparameters: Hyperparameters, held_out: int, seed: int, *, arrays: Path
) -> Measured | None:
    """Train once in a new process. If it fails, print the reason and return ``None``.

    Args:
      name: of the entrant.
      hyperparameters: how to train.
      held_out: if not 0, the last so many training examples take the place of the test set.
      seed: of the run.
      arrays: folder with the data.
    """
    arguments = [
        ENTRANTS[name].module, json.dumps(hyperparameters), str(arrays.resolve()), str(held_out), str(seed),
        str(time.time()),
    ]  # fmt: skip
    command = [sys.executable, "-m", "experiments.race.run_entrant", *arguments]
    finished = run(command, environment(name, arrays.parent))
    if finished.status:
        tqdm.write(f"{name}: {(finished.errors.strip() or 'no output').splitlines()[-1]}")
        return None
    found = json.loads(finished.output.splitlines()[-1])
    return Measured(
        finished.seconds,
        finished.megabytes,
        found["import"],
        found["data"],
        found["epochs"],
        found["accuracy"],
    )


def environment(name: str, folder: Path) -> dict[str, str]:
    """The environment of an entrant's process.

    Args:
      name: of the entrant.
      folder: of the race, where the compile caches are.
    """
    entrant = ENTRANTS[name]
    cache = {entrant.cache: str(folder.resolve() / COMPILED)} if entrant.cache else {}
    return os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | dict(entrant.environment) | cache


def run(command: list[str], environment: dict[str, str]) -> Finished:
    """Start a process, wait until it ends, and measure its time and its memory.

    Ctrl-C in a terminal does not reach it: it is in a process group of its own.
    On Linux the memory is never less than that of this process, because a child begins as a copy of it.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=errors,
            process_group=0,
        )  # fmt: skip
        try:
            assert child.stdout
            with child.stdout:
                output = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)  # the memory of this child alone, unlike getrusage
        except BaseException:
            child.kill()
            raise
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
        return Finished(child.returncode, output, errors.read(), seconds, kilobytes / 1024)
