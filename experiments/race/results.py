"""The results of a race: a table, a picture, and all numbers as JSON."""

import importlib.metadata
import os
import platform
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

from experiments.race.processes import ENTRANTS, JAXNAIVE, Measured
from experiments.race.search import describe
from experiments.race.specification import Hyperparameters
from jaxnaive.disk import files
from jaxnaive.pictures import plots
from jaxnaive.runs import timings

WHOLE = ("same recipe", "own recipe", "as the book")  # the tasks of which the whole process is timed
COLUMNS = ("import", "data", "first epoch", "epoch", "epoch ratio", *WHOLE)
PACKAGES = (
    "jax", "jaxlib", "optax", "numpy", "scikit-learn", "keras", "tensorflow", "tensorflow-cpu", "torch",
    "flax", "equinox", "tinygrad", "mlx",
)  # fmt: skip

Plan = dict[str, dict[str, Hyperparameters]]
"""For each entrant, the hyperparameters of each of its tasks: ``epoch``, and those in :data:`WHOLE`."""


class Result(NamedTuple):
    """The result of a race."""

    measured: dict[str, dict[str, list[Measured]]]  # for each entrant and task, its processes
    gigaflops: float  # the highest rate of a float32 matrix product
    fraction_of_limit: float  # what an epoch would take at that rate, by what jaxnaive's epoch takes


def rows_of(result: Result) -> dict[str, dict[str, Any]]:
    """The table: a row for each entrant, with what was not equal in its runs."""
    jaxnaive = result.measured[JAXNAIVE]
    return {
        name: {"differs": ENTRANTS[name].differs} | row_of(tasks, jaxnaive)
        for name, tasks in result.measured.items()
    }


def row_of(tasks: dict[str, list[Measured]], jaxnaive: dict[str, list[Measured]]) -> dict[str, Any]:
    """An entrant's row of the table: medians, without the tasks that it cannot do.

    Args:
      tasks: for each task, the entrant's processes.
      jaxnaive: the same of jaxnaive, for the ratios.
    """
    row: dict[str, Any] = {
        task: summary(tasks[task], jaxnaive.get(task) or jaxnaive["same recipe"])
        for task in WHOLE
        if tasks.get(task)
    }
    if epoch := tasks["epoch"]:
        row |= {
            "import": median(one.imports for one in epoch),
            "data": median(one.data for one in epoch),
            "first epoch": median(one.epochs[0] for one in epoch),
            "epoch": epoch_seconds(epoch),
            "epoch ratio": epoch_seconds(epoch) / epoch_seconds(jaxnaive["epoch"]),
        }
    return row


def epoch_seconds(measured: list[Measured]) -> float:
    """Median seconds of an epoch, without the first epoch of each process, which compiles."""
    return median(epoch for one in measured for epoch in one.epochs[1:])


def summary(measured: list[Measured], jaxnaive: list[Measured]) -> dict[str, Any]:
    """Median, minimum and maximum of whole processes, and the ratio of the median to that of jaxnaive."""
    seconds = [one.seconds for one in measured]
    return {
        "seconds": median(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "ratio": median(seconds) / median(one.seconds for one in jaxnaive),
        "megabytes": median(one.megabytes for one in measured),
        "accuracy": fmean(one.accuracy for one in measured),
        "runs": len(measured),
    }


def print_table(plan: Plan, rows: dict[str, dict[str, Any]]) -> None:
    """Print the rows, and below them hyperparameters, accuracy and memory of the whole processes."""
    print(
        "\nmedian seconds; in brackets: divided by those of jaxnaive in the same task, as the book: with the"
    )
    print("same recipe; last: what was not as in jaxnaive's run")
    print(f"{'':28}" + "".join(f"{column:>16}" for column in COLUMNS))
    for name, row in rows.items():
        cells = "".join(f"{cell(row.get(column)):>16}" for column in COLUMNS)
        print(f"{name:28}{cells}  {row['differs']}".rstrip())
    for name, row in rows.items():
        for task in WHOLE:
            if task in row:
                print(f"{name}, {task}: {describe(plan[name][task])}; test accuracy", end=" ")
                print(f"{row[task]['accuracy']:.4f}, {row[task]['megabytes']:.0f} MB")


def cell(value: Any) -> str:
    """An entry of the table."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else f"{value['seconds']:.2f} ({value['ratio']:.2f})"


def save(out: Path, plan: Plan, rows: dict[str, dict[str, Any]], result: Result) -> None:
    """Write ``race.json`` and ``race.png`` into a folder."""
    described = machine_and_versions() | {
        "gigaflops": result.gigaflops,
        "fraction_of_limit": result.fraction_of_limit,
        "recipes": {name: {task: one._asdict() for task, one in own.items()} for name, own in plan.items()},
        "entrants": rows,
        "measured": {
            name: {task: [one._asdict() for one in found] for task, found in tasks.items()}
            for name, tasks in result.measured.items()
        },
    }
    files.write_json(out / "race.json", described)
    plots.race(out / "race.png", rows, f"784-512-10 on MNIST, {timings.processor()}")
    print(f"saved {out}/: race.json, race.png, processes.jsonl")


def machine_and_versions() -> dict[str, Any]:
    """What the numbers of a race depend on."""
    return {
        "machine": {
            "processor": timings.processor(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
        },
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def version(package: str) -> str | None:
    """The version of a package, or ``None`` if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
