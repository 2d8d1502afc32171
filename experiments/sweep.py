"""Train a grid of networks as one program: learning rates, decays, optimizers, seeds.

    python experiments/sweep.py
    python experiments/sweep.py --learning-rate 0.01 0.03 0.1 --optimizer sgd nesterov --seeds 16
    python experiments/sweep.py --optimizer momentum --decay 0 0.5 0.9 0.99 --dataset digits
    python experiments/sweep.py --dataset iris.csv --label species

Accuracies are on a validation split, a tenth of the training examples; `--test` is for the end.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tyro.conf import OmitArgPrefixes

from jaxnaive import (
    batches,
    command,
    data,
    ensembles,
    job,
    layers,
    optimizers,
    runs,
    splits,
    statistics,
    training,
)
from jaxnaive.batches import Examples
from jaxnaive.command import datasets
from jaxnaive.command.options import DatasetName, Out, OwnFile, Resume
from jaxnaive.disk import files
from jaxnaive.job import check_at_least
from jaxnaive.networks import chunks
from jaxnaive.pictures import plots
from jaxnaive.runs import sweeps

EXPERIMENT = "sweep"


@dataclass(frozen=True)
class Options:
    """Train a grid of networks as one program, and show how well each does."""

    dataset: DatasetName = None
    reading: OmitArgPrefixes[OwnFile] = field(default_factory=OwnFile)
    """how files of yours are read"""
    hidden: tuple[int, ...] = (32,)
    """units of the hidden layers"""
    optimizer: tuple[str, ...] = ("sgd", "nesterov")
    """one or more of sgd, momentum, nesterov, adagrad, rmsprop, adam, or of optax's, such as optax.lion"""
    learning_rate: tuple[float, ...] = (0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3)
    """the highest of the schedule"""
    decay: tuple[float, ...] | None = None
    """of the optimizer, if it has one; default: the optimizer's own"""
    schedule: job.ScheduleName = "constant"
    """of the learning rate: linear and cosine fall to 0; one-cycle first rises for three tenths of the run"""
    batch_size: int = 128
    """examples in an update"""
    epochs: int = 2
    """how often every example is seen"""
    seeds: int = 8
    """runs at each point of the grid"""
    share_order: bool = False
    """all seeds see the same batches in the same order, and differ in their initial parameters alone"""
    test: bool = False
    """train on all training examples, and test on the test examples"""
    memory: int = ensembles.MEMORY
    """bytes that the runs may take at a time"""
    one_by_one: bool = False
    """also do the same runs one after another, and say how much longer that takes"""
    out: Out = None
    resume: Resume = False


def main(options: Options) -> dict[str, ensembles.Runs]:
    """Returns the runs of each optimizer."""
    with command.usage():
        check(options)
        files.make_folder(options.out or command.RUNS)
    dataset = datasets.load_classes(options.dataset, vars(options.reading))
    train, test = (dataset.train, dataset.test) if options.test else splits.hold_out(dataset.train)
    train, test = chunks.on_device(train), chunks.on_device(test)
    with command.usage():
        plans = make_plans(options, dataset, train, test)
    kind = "test" if options.test else "validation"
    print(f"{dataset.name}: {len(train.labels):,} training, {len(test.labels):,} {kind} examples")
    about = datasets.describe(dataset, options.dataset)
    with command.open_run(EXPERIMENT, options, about) as disk_run:
        found = {}
        for name, plan in plans.items():
            count = len(plan.points) * options.seeds
            print(f"{name}: {count} runs, about {plan.run_bytes:,} bytes each")
            started = time.perf_counter()
            found[name] = sweeps.carry_out(disk_run, name, plan)
            seconds = time.perf_counter() - started
            if options.one_by_one:
                alone = seconds_one_by_one(plan)
                print(f"{name}: {seconds:.1f} s as one program, {alone:.1f} s one by one", end=" ")
                print(f"(both with compiling): {alone / seconds:.2f} times as fast")
        show(disk_run, found, f"{dataset.name}: {kind} accuracy, mean of {options.seeds} seeds")
    return found


def make_plans(
    options: Options, dataset: data.Dataset, train: Examples, test: Examples
) -> dict[str, ensembles.Plan]:
    """The grid of each optimizer, cut into chunks."""
    keys = jax.random.split(jax.random.key(0), options.seeds)
    grid = {"learning_rate": options.learning_rate}
    if options.decay is not None:
        grid["decay"] = options.decay
    plans = {}
    for name in options.optimizer:
        run = make_run(options, job.find_optimizer(name), dataset, len(train.labels))
        plans[name] = sweeps.plan(run, keys, grid, (train, test), options.memory)
    return plans


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    data.check_name(options.dataset, **vars(options.reading))
    for units in options.hidden:
        check_at_least("hidden units", units, 1)
    check_at_least("seeds", options.seeds, 2)
    check_at_least("epochs", options.epochs, 1)
    check_at_least("batch size", options.batch_size, 1)
    check_at_least("memory", options.memory, 1)
    for name, values in (("optimizer", options.optimizer), ("learning rate", options.learning_rate)):
        if not values:
            raise ValueError(f"{name}: got none, expected one or more")
    for rate in options.learning_rate:
        optimizers.check_learning_rate(rate)
    for name in options.optimizer:
        make = job.find_optimizer(name)
        if options.decay is not None and not job.has_parameter(make, "decay"):
            raise ValueError(f"decay: {name} has none")
    for decay in options.decay or ():
        optimizers.check_fraction("decay", decay)


def make_run(
    options: Options, make: Callable[..., Any], dataset: data.Dataset, examples: int
) -> Callable[..., ensembles.Outcome]:
    """A run, as a function of a key, what to train and test on, and hyper-parameters."""
    model = layers.mlp(dataset.num_features, *options.hidden, len(dataset.class_names))
    updates = batches.num_batches(examples, options.batch_size) * options.epochs
    order_key = jax.random.key(1) if options.share_order else None

    def run(
        key: jax.Array, train: Examples, test: Examples, learning_rate: jax.Array, **settings: jax.Array
    ) -> ensembles.Outcome:
        optimizer = make(job.make_schedule(options.schedule, learning_rate, updates), **settings)
        recipe = training.Recipe(model, optimizer, batch_size=options.batch_size)
        return ensembles.train_and_test(key, train, test, recipe, options.epochs, order_key)

    return run


def seconds_one_by_one(plan: ensembles.Plan) -> float:
    """How long the runs of a sweep take as calls of one compiled run."""
    started = time.perf_counter()
    alone = jax.jit(plan.run)
    for key, point in itertools.product(plan.keys, plan.points):
        jax.block_until_ready(alone(key, *plan.shared, **dict(zip(plan.axes, point, strict=True))))
    return time.perf_counter() - started


def table(sweeps: dict[str, ensembles.Runs]) -> list[dict[str, Any]]:
    """A row a point of the grid: final accuracy over seeds, the best first."""
    rows = []
    for name, found in sweeps.items():
        final = found.results.metrics["accuracy"][..., -1]
        for place in np.ndindex(final.shape[:-1]):
            summary = statistics.summarise(final[place])
            point = {axis: float(found.axes[axis][at]) for axis, at in zip(found.axes, place, strict=False)}
            numbers = {part: float(getattr(summary, part)) for part in summary._fields}
            rows.append({"optimizer": name, **point, **numbers, "diverged": int(found.diverged[place].sum())})
    return sorted(rows, key=lambda row: -row["mean"])


def show(disk_run: runs.Run, sweeps: dict[str, ensembles.Runs], title: str) -> None:
    """Print a line a point of the grid, the best first; save them, and a heat map."""
    rows = table(sweeps)
    width = max(9, *map(len, sweeps))
    *axes, _ = values = next(iter(sweeps.values())).axes
    seeds = len(values["seed"])
    print(f"\n{title}\n{'optimizer':{width}}" + "".join(f"{name:>15}" for name in axes))
    for row in rows:
        point = "".join(f"{row[name]:>15g}" for name in axes)
        lost = f"   {row['diverged']} of {seeds} diverged" if row["diverged"] else ""
        print(f"{row['optimizer']:{width}}{point}   {row['mean']:.4f} +- {row['sd']:.4f}{lost}")
    out = disk_run.folder
    files.write_json(out / "sweep.json", {"title": title, "config": disk_run.config, "rows": rows})
    draw(out / "sweep.png", sweeps, title)
    print(f"saved {out}/: sweep.json, sweep.png")


def draw(path: Path, sweeps: dict[str, ensembles.Runs], title: str) -> None:
    """Final accuracy over the learning rate (a column each) and all else (a row each)."""
    rows, values = [], []
    for name, found in sweeps.items():
        final = np.where(found.diverged, np.nan, found.results.metrics["accuracy"][..., -1]).mean(axis=-1)
        for place, line in enumerate(final.reshape(len(final), -1).T):
            decay = f", decay {found.axes['decay'][place]:g}" if "decay" in found.axes else ""
            rows.append(name + decay)
            values.append(line)
    columns = [f"{rate:g}" for rate in next(iter(sweeps.values())).axes["learning_rate"]]
    plots.heat_map(path, np.array(values), rows, columns, "learning rate", title)


if __name__ == "__main__":
    command.run(main, Options, partial(command.resumed, EXPERIMENT))
