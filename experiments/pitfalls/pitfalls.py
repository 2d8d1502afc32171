"""The notes' thirteen bugs: which of them JAX reports, what jaxnaive says, and what the silent ones cost.

    python experiments/pitfalls/pitfalls.py

The notes' program stops at one bug after another, and TensorFlow names the line. JAX lets more of them
pass: it broadcasts shapes, promotes dtypes and clamps indices. So each line is run in plain JAX as it stands,
and then in jaxnaive. Where JAX reports nothing, networks are trained with the bug and without it.
"""

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from experiments.pitfalls import naive
from experiments.pitfalls.bugs import BUGS, Bug, Change
from jaxnaive import batches, command, data, statistics
from jaxnaive.command.options import DatasetName, Figures, Seeds
from jaxnaive.data import Dataset
from jaxnaive.disk import files
from jaxnaive.job import check_at_least, epochs_for
from jaxnaive.pictures import plots

MIN_UPDATES = 2000  # 2 epochs of the 1,442 digits would be 288


@dataclass(frozen=True)
class Options:
    """Run the thirteen bugs of the notes; show what reports them, and what the silent ones cost."""

    dataset: DatasetName = None
    examples: int = 20_000
    """number of training examples, the first ones; all of them if there are fewer"""
    epochs: int | None = None
    """how often every example is seen; default: 2, or as many as make 2,000 updates"""
    seeds: Seeds = 8
    out: Figures = Path("runs/pitfalls")


class Row(NamedTuple):
    """What a bug does."""

    bug: Bug
    in_jax: str  # the error, or what happens instead of one
    silent: bool  # whether there is no error
    in_jaxnaive: str  # the error, or what happens instead of one
    right: statistics.Summary | None  # test accuracy over seeds, without the bug
    broken: statistics.Summary | None  # and with it


def main(options: Options) -> list[Row]:
    """Returns what each bug does, in the order of the notes."""
    with command.usage():
        check_at_least("examples", options.examples, 2 * naive.DEFAULT_BATCH_SIZE)
        check_at_least("epochs", options.epochs, 2)
        check_at_least("seeds", options.seeds, 2)
        data.check_name(options.dataset)
        files.make_folder(options.out)
    dataset = data.load(options.dataset)
    with command.usage():
        check(dataset)
    run = without_bugs(options, dataset)
    # JAX's own defaults, whatever the environment sets.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        right = {change: measure(change, run, dataset) for change in {bug.right for bug in BUGS}}
        rows = [try_bug(bug, run, dataset, right[bug.right]) for bug in tqdm(BUGS, "pitfalls", unit="bug")]
    show(rows)
    pairs = [plots.Pair(f"{row.bug.id}  {row.bug.title}", row.right, row.broken, brief(row)) for row in rows]
    title = f"The bugs of the notes in JAX: {dataset.name}, {options.seeds} seeds"
    plots.pairs(options.out / "pitfalls.png", pairs, "test accuracy, with standard deviation", title)
    print(f"saved {options.out}/pitfalls.png")
    return rows


def check(dataset: Dataset) -> None:
    """Raise ``ValueError`` unless a dataset is like the notes', as some of the bugs need it to be."""
    classes, images = len(dataset.class_names), dataset.train.images
    if classes != naive.BATCH_SIZE or images.dtype != np.uint8:
        raise ValueError(
            f"dataset: got {images.dtype} in {classes} classes, expected grey values (uint8) in "
            f"{naive.BATCH_SIZE}, as in mnist, fashion_mnist, kmnist, digits"
        )


def without_bugs(options: Options, dataset: Dataset) -> naive.Training:
    """The training that the options describe."""
    train, _ = batches.split(dataset.train, options.examples)
    epochs = options.epochs or epochs_for(MIN_UPDATES, len(train.labels), naive.BATCH_SIZE, at_least=2)
    return naive.without_bugs(train, len(dataset.class_names), epochs, options.seeds)


def try_bug(bug: Bug, run: naive.Training, dataset: Dataset, right: statistics.Summary) -> Row:
    """Run a bug in JAX and in jaxnaive, and measure what it costs if it is silent."""
    in_jax, silent = outcome(bug.in_jax, dataset)
    in_jaxnaive, _ = outcome(bug.in_jaxnaive, dataset)
    if bug.broken is None:
        return Row(bug, in_jax, silent, in_jaxnaive, right=None, broken=None)
    return Row(bug, in_jax, silent, in_jaxnaive, right, measure(bug.broken, run, dataset))


def measure(change: Change, run: naive.Training, dataset: Dataset) -> statistics.Summary:
    """Test accuracy of a training with a change."""
    return statistics.summarise(naive.accuracies(change(run, dataset), dataset.test))


def outcome(action: Callable[[Dataset], Any], dataset: Dataset) -> tuple[str, bool]:
    """What an action returns, or the first line of the error it raises; and whether it raises none."""
    try:
        return str(action(dataset)), True
    except (TypeError, ValueError, SyntaxError) as error:
        first, *_ = re.sub(r"<[\w.]+\.(\w+) object at 0x\w+>", r"<\1>", str(error)).splitlines()
        return f"{type(error).__name__}: {first}", False


def brief(row: Row) -> str:
    """What plain JAX says to a bug, in two words."""
    return "silent" if row.silent else f"raises {row.in_jax.partition(':')[0]}"


def show(rows: list[Row]) -> None:
    """Print each bug in full, then a table of all."""
    for row in rows:
        print(f"\n{row.bug.id}  {row.bug.title}")
        for name, text in (
            ("notes", row.bug.line),
            ("should be", row.bug.correct),
            ("JAX", row.in_jax),
            ("jaxnaive", row.in_jaxnaive),
        ):
            print(textwrap.fill(f"{name:10}{text}", 110, initial_indent="    ", subsequent_indent=" " * 14))
    print(f"\n{'':51}{'in JAX':26}{'test accuracy, right':22}broken")
    for row in rows:
        numbers = [f"{s.mean:.4f} +- {s.sd:.4f}" for s in (row.right, row.broken) if s is not None]
        line = f"{row.bug.id:5}{row.bug.title:46}{brief(row):26}{''.join(f'{text:22}' for text in numbers)}"
        print(line.rstrip())
    print(f"{sum(row.silent for row in rows)} of {len(rows)} are silent in JAX")


if __name__ == "__main__":
    command.run(main, Options)
