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
COMPILED = "compiled"  # the compile cache, a folder beside the arrays


class Entrant(NamedTuple):
    """One that takes part."""

    module: str  # in experiments.race.entrants
    needs: tuple[str, ...] = ()  # packages, besides those of jaxnaive
    environment: Mapping[str, str] = MappingProxyType({})
    has_cache: bool = False  # compiled programs of earlier processes are used


CACHED = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
JAXNAIVE = "jaxnaive"  # the entrant with which all others are compared
ENTRANTS = {
    JAXNAIVE: Entrant("jaxnaive_scan", environment=CACHED, has_cache=True),
    "jaxnaive, no compile cache": Entrant("jaxnaive_scan", environment={"JAX_ENABLE_COMPILATION_CACHE": "0"}),
    "JAX": Entrant("plain_jax"),
    "JAX, compile cache": Entrant("plain_jax", environment=CACHED, has_cache=True),
    "Equinox": Entrant("equinox_loop", ("equinox",)),
    "Flax NNX": Entrant("flax_nnx", ("flax",)),
    "Keras, JAX": Entrant("keras_fit", ("keras",), {"KERAS_BACKEND": "jax"}),
    "Keras, TensorFlow": Entrant("keras_fit", ("keras", "tensorflow"), {"KERAS_BACKEND": "tensorflow"}),
    "Keras, PyTorch": Entrant("keras_fit", ("keras", "torch"), {"KERAS_BACKEND": "torch"}),
    "TensorFlow, the notes' loop": Entrant(
        "tensorflow_notes", ("tensorflow",), {"KERAS_BACKEND": "tensorflow"}
    ),
    "PyTorch": Entrant("pytorch", ("torch",)),
    "PyTorch, compiled": Entrant("pytorch", ("torch",), {"RACE_TORCH_COMPILE": "1"}),
    "NumPy": Entrant("numpy_by_hand"),
    "scikit-learn": Entrant("scikit_learn"),
}


class Measured(NamedTuple):
    """What was measured of one process."""

    seconds: float  # from its start to its end
    megabytes: float  # of memory at its peak
    imports: float  # seconds, including the start of Python
    data: float  # seconds
    epochs: list[float]  # seconds of each
    accuracy: float  # on the test set, or on the held-out examples


Measure = Callable[[str, Hyperparameters, int, int], Measured | None]
"""The function :func:`measure` with the folder and the log given."""


class Finished(NamedTuple):
    """A process that has ended."""

    status: int
    output: str
    errors: str
    seconds: float
    megabytes: float


def measure(
    name: str, hyperparameters: Hyperparameters, held_out: int, seed: int, *, arrays: Path, log: Path
) -> Measured | None:
    """Train once in a new process. If it fails, print the reason and return ``None``.

    Args:
      name: of the entrant.
      hyperparameters: how to train.
      held_out: if not 0, the last so many training examples take the place of the test set.
      seed: of the run.
      arrays: folder with the data.
      log: file that gets one line of JSON.
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
    measured = Measured(
        finished.seconds,
        finished.megabytes,
        found["import"],
        found["data"],
        found["epochs"],
        found["accuracy"],
    )
    about = {"entrant": name, "recipe": hyperparameters._asdict(), "held_out": held_out, "seed": seed}
    files.append(log, (json.dumps(about | measured._asdict()) + "\n").encode())
    return measured


def environment(name: str, folder: Path) -> dict[str, str]:
    """The environment of an entrant's process.

    Args:
      name: of the entrant.
      folder: of the race, where the compile cache is.
    """
    entrant = ENTRANTS[name]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(folder.resolve() / COMPILED)} if entrant.has_cache else {}
    return os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | dict(entrant.environment) | cache


def run(command: list[str], environment: dict[str, str]) -> Finished:
    """Start a process, wait until it ends, and measure its time and its memory.

    On Linux the memory is never less than that of this process, because a child begins as a copy of it.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=errors
        )
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
