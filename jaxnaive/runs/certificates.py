"""What a run can say of its own exactness, in numbers."""

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxnaive.disk import checkpoints, files
from jaxnaive.disk.files import StrPath
from jaxnaive.training import Evaluation, History, Recipe, State, epoch_table

CERTIFICATE, PARAMS = "certificate.json", "params.safetensors"
KEYS = {"epochs", "times_scheduled", "evaluated", "non_finite", "compiles", "params"}
PROBLEM = "did_not_learn"  # a key too, where it did not: what says so
FORMER_KEY = "times_seen"  # what times_scheduled was called before; it was computed in the same way
COMPILE = "/jax/core/compile/backend_compile_duration"  # also when the program comes out of the compile cache


@contextlib.contextmanager
def count_compiles() -> Iterator[Counter[str]]:
    """Count the programs that JAX compiles, or takes out of its cache, by their functions' names."""
    counts: Counter[str] = Counter()

    def listen(event: str, duration_secs: float, **kwargs: Any) -> None:
        if event == COMPILE:
            name = str(kwargs.get("fun_name"))
            counts[name.removeprefix("jit(").removesuffix(")")] += 1

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield counts
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def times_scheduled(key: Key[Array, ""], epochs: int, examples: int, recipe: Recipe) -> list[dict[str, int]]:
    """How many examples an epoch's index table holds once, twice, ... or not at all; for each epoch.

    This is the schedule of the run, and no record of it: the tables are computed again from the run's key by
    the function that computes them in training.
    """

    @jax.jit
    def weights(epoch: Array) -> Array:
        table = epoch_table(key, epoch, examples, recipe)
        return jnp.zeros(examples, jnp.float32).at[table.index].add(table.weight)

    found = []
    for epoch in range(epochs):
        weight = np.asarray(weights(jnp.int32(epoch)))
        times, counts = np.unique(weight, return_counts=True)
        found.append({str(int(time)): int(count) for time, count in zip(times, counts, strict=True)})
    return found


def certify(
    folder: StrPath,
    state: State,
    history: History,
    examples: int,
    test: Evaluation,
    recipe: Recipe,
    compiles: Counter[str],
    problem: str = "",
) -> dict[str, Any]:
    """The certificate of a run.

    Args:
      folder: of the run, with its ``params.safetensors``.
      state: at the end.
      history: of all epochs.
      examples: how many there are to train on.
      test: on the test examples.
      recipe: of the run.
      compiles: by the names of the functions.
      problem: what says that nothing was learned, if so.
    """
    values = [leaf for _, leaf in checkpoints.named_leaves((state.params, history.loss, test.logits))]
    return {
        "epochs": len(history.loss),
        "times_scheduled": times_scheduled(state.key, len(history.loss), examples, recipe),
        "evaluated": len(test.logits),
        "non_finite": sum(int(np.sum(~np.isfinite(value))) for value in values),
        "compiles": {name: compiles[name] for name in ("start", "train_epoch", "evaluate")},
        "params": _described(Path(folder)),
    } | ({PROBLEM: problem} if problem else {})


def write(folder: StrPath, certificate: dict[str, Any]) -> None:
    """Put a certificate into the folder of its run."""
    files.write_json(Path(folder) / CERTIFICATE, certificate)


def read(folder: StrPath) -> dict[str, Any] | None:
    """The certificate of a run that came to its end; ``None`` when there is none that can be read."""
    try:
        certificate = dict(json.loads((Path(folder) / CERTIFICATE).read_text()))
        if FORMER_KEY in certificate:
            certificate["times_scheduled"] = certificate.pop(FORMER_KEY)
        return certificate if certificate.keys() - {PROBLEM} == KEYS else None
    except (OSError, ValueError, TypeError):
        return None


def holds(folder: StrPath, certificate: dict[str, Any]) -> bool:
    """Whether a run's parameters are, byte for byte, those of its certificate."""
    try:
        return _described(Path(folder)) == certificate["params"]
    except OSError:
        return False


def _described(folder: Path) -> dict[str, Any]:
    saved = (folder / PARAMS).read_bytes()
    return {"bytes": len(saved), "sha256": hashlib.sha256(saved).hexdigest()}


def read_complete(folder: StrPath, epochs: int) -> dict[str, Any] | None:
    """The certificate of a run that ended after so many epochs and has the certified parameters, or None."""
    certificate = read(folder)
    if certificate is None or certificate["epochs"] != epochs or not holds(folder, certificate):
        return None
    return certificate


def remove(folder: StrPath) -> None:
    """Remove the certificate of a run that is continued."""
    (Path(folder) / CERTIFICATE).unlink(missing_ok=True)


def to_text(certificate: dict[str, Any]) -> str:
    """The certificate in three lines, or four."""
    epochs = certificate["times_scheduled"]
    odd = [number for number, times in enumerate(epochs) if list(times) != ["1"]]
    scheduled = f"examples {epochs[odd[0]]} times in epoch {odd[0]}" if odd else "each example once an epoch"
    params = certificate["params"]
    compiles = ", ".join(f"{name} {count}" for name, count in certificate["compiles"].items())
    return (
        f"scheduled: {scheduled}\n"
        f"counted: {certificate['evaluated']:,} evaluated, {certificate['non_finite']} values not finite, "
        f"compiled {compiles}\n"
        f"parameters: {params['bytes']:,} bytes, sha256 {params['sha256']}"
        + (f"\n{certificate[PROBLEM]}" if PROBLEM in certificate else "")
    )
