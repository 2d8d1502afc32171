"""How long the same job takes here, now, in jaxnaive and in the frameworks that one would pick instead.

    python experiments/race.py
    python experiments/race.py --peers "Keras, JAX" PyTorch --rounds 3

784-512-10 on MNIST, each entrant in processes of its own, in turn: an epoch (batches of 128, plain descent);
the whole process to 98 % test accuracy with one recipe for all; the same with the recipe that suits the
entrant best, found by one search for everyone on a validation split; and Keras as the book does it. Peers are
in `experiments/peers`, and need `pip install -e '.[race]'`; what is not installed is left out by name.
"""

import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import fmean, median
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from experiments import steps
from experiments.peers import Recipe
from jaxnaive import command, data, runs
from jaxnaive.command.options import DataDir, ManualDir
from jaxnaive.disk import arrays as stored_arrays
from jaxnaive.disk import files
from jaxnaive.job import check_at_least
from jaxnaive.pictures import plots
from jaxnaive.runs import timings

NAME = "race"  # of its runs
TARGET = 0.98
EPOCHS = Recipe("sgd", 0.1, "constant", 128, 3)  # the first is apart: it compiles
SAME = Recipe("nesterov", 0.6, "one-cycle", 128, 2, 0.15)  # what jaxnaive is fastest with
BOOK = tuple(Recipe("adam", 0.001, "constant", 128, epochs) for epochs in (4, 5, 6, 7, 8))
CANDIDATES = (
    *(
        Recipe(optimizer, rate, "one-cycle", size, epochs, label_smoothing)
        for optimizer, rates in (("nesterov", (0.3, 0.6, 0.9, 1.2)), ("adam", (0.004, 0.006, 0.008, 0.01)))
        for rate, size in zip(rates, (64, 128, 256, 512), strict=True)
        for epochs in (1, 2, 3)
        for label_smoothing in (0.0, 0.15)
    ),
    *(Recipe("nesterov", 0.1, "constant", 128, epochs) for epochs in (6, 8, 10)),
    *BOOK,
)
SCREEN_SEEDS = 3
SCREEN_RUNS = 2  # of which the faster counts: the first may have to compile
WHOLE = ("same recipe", "own recipe", "as the book")  # jobs of which the whole process is timed
ROOT = Path(__file__).parent.parent


class Entrant(NamedTuple):
    """Who takes part."""

    module: str  # in experiments.peers
    needs: tuple[str, ...] = ()  # packages, besides those of jaxnaive
    environment: Mapping[str, str] = MappingProxyType({})


CACHED = {
    "JAX_COMPILATION_CACHE_DIR": "",  # filled in
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
OURS, OURS_COLD = "jaxnaive", "jaxnaive, no compile cache"
ENTRANTS = {
    OURS: Entrant("ours", environment=CACHED),
    OURS_COLD: Entrant("ours", environment={"JAX_ENABLE_COMPILATION_CACHE": "0"}),
    "JAX": Entrant("plain_jax"),
    "JAX, compile cache": Entrant("plain_jax", environment=CACHED),
    "Equinox": Entrant("equinox_loop", ("equinox",)),
    "Flax NNX": Entrant("flax_nnx", ("flax",)),
    "Keras, JAX": Entrant("keras_fit", ("keras",), {"KERAS_BACKEND": "jax"}),
    "Keras, TensorFlow": Entrant("keras_fit", ("keras", "tensorflow"), {"KERAS_BACKEND": "tensorflow"}),
    "Keras, PyTorch": Entrant("keras_fit", ("keras", "torch"), {"KERAS_BACKEND": "torch"}),
    "TensorFlow, the notes' loop": Entrant(
        "tensorflow_notes", ("tensorflow",), {"KERAS_BACKEND": "tensorflow"}
    ),
    "PyTorch": Entrant("pytorch", ("torch",)),
    "PyTorch, compiled": Entrant("pytorch", ("torch",), {"PEER_COMPILED": "1"}),
    "NumPy": Entrant("numpy_by_hand"),
    "scikit-learn": Entrant("scikit_learn"),
}
VERSIONS = (
    "jax",
    "jaxlib",
    "optax",
    "numpy",
    "scikit-learn",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
    "flax",
    "equinox",
)


@dataclass(frozen=True)
class Options:
    """Race jaxnaive against the frameworks on MNIST."""

    peers: tuple[str, ...] = tuple(ENTRANTS)
    """who takes part besides jaxnaive"""
    rounds: int = 5
    """processes of each kind for each entrant; medians are reported"""
    search: bool = True
    """look for the recipe that suits each entrant best; takes as long as the rest"""
    data_dir: DataDir = None
    manual_dir: ManualDir = None
    out: Path | None = None
    """folder for the results; by default runs/race-1, or the first such one that is not there yet"""


class Measured(NamedTuple):
    """One process."""

    seconds: float  # from its start to its end
    megabytes: float  # of memory at its peak
    imports: float  # seconds, with the start of Python
    data: float
    epochs: list[float]  # seconds of each
    accuracy: float  # on the test set, or on the validation split


class Result(NamedTuple):
    """What the race comes to: for each entrant, by kind of job, its processes."""

    measured: dict[str, dict[str, list[Measured]]]
    gigaflops: float  # best rate of a float32 matrix product
    share: float  # of that rate, which an epoch of jaxnaive comes to


def main(options: Options) -> Result:
    with command.usage():
        check(options)
        files.make_folder(options.out or command.RUNS)
    mnist = data.load("mnist", data_dir=options.data_dir, manual_dir=options.manual_dir)
    out = options.out or runs.new_folder(command.RUNS, NAME)
    arrays = out / "arrays"
    if stored_arrays.read(arrays) is None:
        stored_arrays.write(
            arrays,
            {
                "train_images": np.asarray(mnist.train.images),
                "train_labels": np.asarray(mnist.train.labels),
                "test_images": np.asarray(mnist.test.images),
                "test_labels": np.asarray(mnist.test.labels),
            },
            {},
        )
    entrants = available(dict.fromkeys([OURS, *options.peers]))
    run = partial(process, arrays=arrays, log=out / "processes.jsonl")
    jobs = {name: {"epoch": EPOCHS, "same recipe": SAME} for name in entrants}
    held_out = len(mnist.train.labels) // 10
    add_book_recipe(jobs, run, held_out)
    if options.search:
        add_best_recipes(jobs, run, held_out)
    measured: dict[str, dict[str, list[Measured]]] = {
        name: {kind: [] for kind in jobs[name]} for name in jobs
    }
    turns = [
        (n, name, kind)
        for n in range(options.rounds)
        for name in jobs
        for kind, recipe in jobs[name].items()
        if kind != "own recipe" or recipe != SAME  # which is measured already
    ]
    for n, name, kind in tqdm(turns, desc="race", unit="process"):
        if (one := run(name, jobs[name][kind], 0, n)) is not None:
            measured[name][kind].append(one)
    for name in jobs:
        if jobs[name].get("own recipe") == SAME:
            measured[name]["own recipe"] = measured[name]["same recipe"]
    result = Result(measured, *limit(measured[OURS]["epoch"]))
    report(out, jobs, result)
    return result


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    check_at_least("rounds", options.rounds, 1)
    for name in options.peers:
        if name not in ENTRANTS:
            raise ValueError(f"peers: got {name!r}, expected one or more of {', '.join(map(repr, ENTRANTS))}")


def available(names: Any) -> list[str]:
    """Those whose packages are installed; the others are named."""
    found = []
    for name in names:
        missing = [package for package in ENTRANTS[name].needs if importlib.util.find_spec(package) is None]
        if missing:
            print(f"{name}: left out, {' and '.join(missing)} not installed (pip install -e '.[race]')")
        else:
            found.append(name)
    return found


def process(
    name: str, recipe: Recipe, held_out: int, seed: int, *, arrays: Path, log: Path
) -> Measured | None:
    """Train once in a process of its own; ``None``, with the reason on the screen, when it cannot.

    Args:
      name: of the entrant.
      recipe: how to train.
      held_out: so many training examples are set aside, and tested on instead of the test set.
      seed: of the run.
      arrays: folder with the data.
      log: gets a line of JSON.
    """
    entrant = ENTRANTS[name]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | dict(entrant.environment)
    if "JAX_COMPILATION_CACHE_DIR" in entrant.environment:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(arrays.parent / "compiled")
    arguments = [entrant.module, json.dumps(recipe), str(arrays), str(held_out), str(seed), str(time.time())]
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "experiments.peers", *arguments],
            cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        try:
            assert child.stdout
            with child.stdout:
                printed = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)  # which knows the memory of this child alone
        except BaseException:
            child.kill()
            raise
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            tqdm.write(f"{name}: {(errors.read().strip() or 'no output').splitlines()[-1]}")
            return None
    found = json.loads(printed.splitlines()[-1])
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    one = Measured(
        seconds, kilobytes / 1024, found["import"], found["data"], found["epochs"], found["accuracy"]
    )
    about = {"entrant": name, "recipe": recipe._asdict(), "held_out": held_out, "seed": seed}
    files.append(log, (json.dumps(about | one._asdict()) + "\n").encode())
    return one


def add_best_recipes(jobs: dict[str, dict[str, Recipe]], run: Any, held_out: int) -> None:
    """Find the recipe that suits each entrant best.

    The network is the same for all, so jaxnaive says which recipes are good enough on the validation split:
    by two standard errors of an accuracy on so many examples, so that others do not miss the target. Of those
    in the shortlist, and the one that all are given, each entrant takes the one with which its own process
    reaches the target there in the shortest time.
    """
    enough = TARGET + 2 * math.sqrt(TARGET * (1 - TARGET) / held_out)
    progress = tqdm(CANDIDATES, desc="recipes", unit="recipe")
    accuracy = {recipe: validation_accuracy(recipe, run, held_out) for recipe in progress}
    good = [recipe for recipe in CANDIDATES if accuracy[recipe] >= enough]
    print(f"validation accuracy, by recipe; {enough:.4f} is enough:")
    for recipe in CANDIDATES:
        print(f"  {accuracy[recipe]:.4f}  {describe(recipe)}")
    tried = list(dict.fromkeys([SAME, *shortlist(good)]))
    for name, own in tqdm(jobs.items(), desc="best recipes", unit="entrant"):
        times = {}
        for recipe in tried:
            found = [run(name, recipe, held_out, SCREEN_SEEDS + n) for n in range(SCREEN_RUNS)]
            if all(one and one.accuracy >= TARGET for one in found):
                times[recipe] = min(one.seconds for one in found)
        if times:
            own["own recipe"] = min(times, key=lambda recipe: times[recipe])


def add_book_recipe(jobs: dict[str, dict[str, Recipe]], run: Any, held_out: int) -> None:
    """The book's recipe for Keras, with the least epochs that reach the target on the validation split.

    Without the margin of the search: if it errs, then in Keras's favour.
    """
    entrants = [name for name in jobs if ENTRANTS[name].module == "keras_fit"]
    if entrants:
        enough = (recipe for recipe in BOOK if validation_accuracy(recipe, run, held_out) >= TARGET)
        if recipe := next(enough, None):
            for name in entrants:
                jobs[name]["as the book"] = recipe


@cache
def validation_accuracy(recipe: Recipe, run: Any, held_out: int) -> float:
    """What jaxnaive reaches with a recipe, mean of a few seeds."""
    found = [run(OURS, recipe, held_out, seed) for seed in range(SCREEN_SEEDS)]
    return fmean(one.accuracy for one in found if one)


def shortlist(recipes: list[Recipe]) -> list[Recipe]:
    """Those that no other of the same optimizer and schedule beats in epochs and in updates."""

    def costs(recipe: Recipe) -> tuple[int, int]:
        return recipe.epochs, recipe.updates(60_000)

    return [
        recipe
        for recipe in recipes
        if not any(
            (other.optimizer, other.schedule) == (recipe.optimizer, recipe.schedule)
            and costs(other) != costs(recipe)
            and all(a <= b for a, b in zip(costs(other), costs(recipe), strict=True))
            for other in recipes
        )
    ]


def describe(recipe: Recipe) -> str:
    """A recipe in a line."""
    return (
        f"{recipe.optimizer} {recipe.learning_rate:g} {recipe.schedule}, batch {recipe.batch_size}, "
        f"{recipe.epochs} epochs, label smoothing {recipe.label_smoothing:g}"
    )


def limit(measured: list[Measured]) -> tuple[float, float]:
    """The best rate of a matrix product, and the share of it that an epoch of jaxnaive comes to."""
    costs = steps.main(steps.Options(EPOCHS.batch_size))
    least = EPOCHS.updates(60_000) / EPOCHS.epochs * sum(costs.least.values())
    share = least / steady(measured)
    print(f"an epoch cannot take less than {least:.3f} s, and takes {steady(measured):.3f}: {share:.0%}")
    return costs.rate / 1e9, share


def steady(measured: list[Measured]) -> float:
    """Median seconds of an epoch after the first."""
    return median(epoch for one in measured for epoch in one.epochs[1:])


def report(out: Path, jobs: dict[str, dict[str, Recipe]], result: Result) -> None:
    """A table, a picture, and everything as JSON."""
    ours = result.measured[OURS]
    rows = {name: row_of(kinds, ours) for name, kinds in result.measured.items()}
    columns = ("import", "data", "first epoch", "epoch", "epoch ratio", *WHOLE)
    print("\nmedian seconds, and how many times ours\n" + f"{'':28}" + "".join(f"{c:>16}" for c in columns))
    for name, row in rows.items():
        print(f"{name:28}" + "".join(f"{cell(row.get(column)):>16}" for column in columns))
    for name, row in rows.items():
        for kind in WHOLE:
            if kind in row:
                print(f"{name}, {kind}: {describe(jobs[name][kind])}; test accuracy", end=" ")
                print(f"{row[kind]['accuracy']:.4f}, {row[kind]['megabytes']:.0f} MB")
    processor = timings.processor()
    described = {
        "machine": {"processor": processor, "cores": os.cpu_count(), "system": platform.platform()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in VERSIONS},
        "gigaflops": result.gigaflops,
        "share": result.share,
        "recipes": {name: {kind: job._asdict() for kind, job in own.items()} for name, own in jobs.items()},
        "entrants": rows,
        "measured": {
            name: {kind: [one._asdict() for one in found] for kind, found in kinds.items()}
            for name, kinds in result.measured.items()
        },
    }
    files.write_json(out / "race.json", described)
    plots.race(out / "race.png", rows, f"784-512-10 on MNIST, {processor}")
    print(f"saved {out}/: race.json, race.png, processes.jsonl")


def row_of(kinds: dict[str, list[Measured]], ours: dict[str, list[Measured]]) -> dict[str, Any]:
    """An entrant's row of the table: medians, without those jobs that it cannot do."""
    row: dict[str, Any] = {
        kind: summary(kinds[kind], ours["same recipe"]) for kind in WHOLE if kinds.get(kind)
    }
    if epoch := kinds["epoch"]:
        row |= {
            "import": median(one.imports for one in epoch),
            "data": median(one.data for one in epoch),
            "first epoch": median(one.epochs[0] for one in epoch),
            "epoch": steady(epoch),
            "epoch ratio": steady(epoch) / steady(ours["epoch"]),
        }
    return row


def cell(value: Any) -> str:
    """An entry of the table."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else f"{value['seconds']:.2f} ({value['ratio']:.2f})"


def summary(measured: list[Measured], ours: list[Measured]) -> dict[str, Any]:
    """Medians of whole processes, their spread, and how many times ours they take."""
    seconds = [one.seconds for one in measured]
    return {
        "seconds": median(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "ratio": median(seconds) / median(one.seconds for one in ours),
        "megabytes": median(one.megabytes for one in measured),
        "accuracy": fmean(one.accuracy for one in measured),
        "runs": len(measured),
    }


def version(name: str) -> str | None:
    """Of a package, if it is installed."""
    if name == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    command.run(main, Options)
