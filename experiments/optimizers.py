"""Is momentum really faster? Every optimizer on a real dataset, over learning rates and seeds.

    python experiments/optimizers.py

The learning rate of each optimizer is chosen on a validation split; the test set is used with the chosen one
only. What the optimizers do on curves and in a valley is in ``lessons/optimizers.py``.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tyro.conf import OmitArgPrefixes

from jaxnaive import command, data, ensembles, job, layers, runs, splits, statistics, training
from jaxnaive.batches import Examples
from jaxnaive.command import datasets
from jaxnaive.command.options import DatasetName, Out, Reading, Resume
from jaxnaive.disk import files
from jaxnaive.job import check_at_least
from jaxnaive.networks import chunks
from jaxnaive.pictures import plots
from jaxnaive.runs import sweeps

EXPERIMENT = "optimizers"
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
CHOICE_SEEDS = 2  # runs by which a learning rate is chosen


@dataclass(frozen=True)
class Options:
    """Compare all optimizers with error bars."""

    dataset: DatasetName = None
    reading: OmitArgPrefixes[Reading] = field(default_factory=Reading)
    """how files of yours are read"""
    hidden: int = 64
    """units of the hidden layer"""
    epochs: int = 6
    """how often every example is seen"""
    batch_size: int = 128
    """examples an update"""
    seeds: int = 8
    """runs of each optimizer with its best learning rate"""
    target: float = 0.97
    """the test accuracy to reach"""
    out: Out = None
    resume: Resume = False


class Result(NamedTuple):
    """What the comparison comes to."""

    rates: dict[str, float]  # chosen for each optimizer
    epochs: dict[str, np.ndarray]  # [seeds], to the target; infinite where it is not reached
    accuracy: dict[str, statistics.Summary]  # on the test set at the end


def main(options: Options) -> Result:
    with command.usage():
        check_at_least("hidden", options.hidden, 1)
        check_at_least("epochs", options.epochs, 1)
        check_at_least("seeds", options.seeds, 2)
        data.check_name(options.dataset, **vars(options.reading))
        files.make_folder(options.out or command.RUNS)
    dataset = datasets.load_classes(options.dataset, vars(options.reading))
    about = datasets.describe(dataset, options.dataset)
    with command.open_run(EXPERIMENT, options, about) as disk_run:
        rates = choose_rates(disk_run, options, dataset)
        train, test = chunks.on_device(dataset.train), chunks.on_device(dataset.test)
        finals = {
            name: sweep(disk_run, options, name, dataset, train, test, options.seeds, options.epochs, [rate])
            for name, rate in rates.items()
        }
        curves = {name: found.results.metrics["accuracy"][0] for name, found in finals.items()}
        accuracy = {name: statistics.summarise(curve[:, -1]) for name, curve in curves.items()}
        epochs = {name: epochs_to(curve, options.target) for name, curve in curves.items()}
        report(options, dataset, rates, accuracy, epochs)
        draw(disk_run.folder, options, dataset, curves, accuracy)
        print(f"saved {disk_run.folder}/: rates.png, curves.png, ranking.png")
    return Result(rates, epochs, accuracy)


def sweep(
    disk_run: runs.Run,
    options: Options,
    name: str,
    dataset: data.Dataset,
    train: Examples,
    test: Examples,
    seeds: int,
    epochs: int,
    rates: Any,
) -> ensembles.Runs:
    """Runs with an optimizer at these learning rates."""
    model = layers.mlp(dataset.num_features, options.hidden, len(dataset.class_names))

    def run(key: jax.Array, train: Examples, test: Examples, learning_rate: jax.Array) -> ensembles.Outcome:
        recipe = training.Recipe(model, job.OPTIMIZERS[name](learning_rate), batch_size=options.batch_size)
        return ensembles.train_and_test(key, train, test, recipe, epochs)

    keys = jax.random.split(jax.random.key(0), seeds)
    part = f"{name}-rates-{len(rates)}"
    return sweeps.sweep(disk_run, part, run, keys, {"learning_rate": rates}, (train, test))


def choose_rates(disk_run: runs.Run, options: Options, dataset: data.Dataset) -> dict[str, float]:
    """The best learning rate of each optimizer: short runs with each, and a tenth of the training set."""
    train, held_out = map(chunks.on_device, splits.hold_out(dataset.train))
    epochs = max(1, options.epochs // 2)
    accuracy = {}
    for name in job.OPTIMIZERS:
        found = sweep(disk_run, options, name, dataset, train, held_out, CHOICE_SEEDS, epochs, RATES)
        final = found.results.metrics["accuracy"][..., -1]
        accuracy[name] = np.where(found.diverged, np.nan, final).mean(axis=-1)
    plots.heat_map(
        disk_run.folder / "rates.png",
        np.array(list(accuracy.values())),
        list(accuracy),
        [f"{rate:g}" for rate in RATES],
        "learning rate",
        f"{dataset.name}: validation accuracy after {epochs} epochs, mean of {CHOICE_SEEDS} runs",
    )
    return {name: RATES[int(np.nanargmax(column))] for name, column in accuracy.items()}


def epochs_to(accuracy: np.ndarray, target: float) -> np.ndarray:
    """When each run first reaches the target, between epochs by a straight line.

    Args:
      accuracy: ``[seeds, epochs]``.
      target: to be reached.

    Returns:
      ``[seeds]``; infinite for a run that never reaches it, and 1 for one that has by its first epoch.
    """
    times = []
    for curve in accuracy:
        reached = np.flatnonzero(curve >= target)
        first = reached[0] if len(reached) else None
        if first is None:
            times.append(np.inf)
        elif first == 0:
            times.append(1.0)
        else:
            times.append(first + (target - curve[first - 1]) / (curve[first] - curve[first - 1]))
    return np.array(times)


def report(
    options: Options,
    dataset: data.Dataset,
    rates: dict[str, float],
    accuracy: dict[str, statistics.Summary],
    epochs: dict[str, np.ndarray],
) -> None:
    """A row an optimizer, the fastest first, with its difference to plain descent."""
    heading = f"epochs to {options.target:.0%}"
    print(f"\n{dataset.name}, {options.hidden} hidden units, {options.seeds} seeds, mean and 95 % interval")
    print(f"{'optimizer':11}{'rate':>6}  {heading:22}{'sooner than sgd by':22}accuracy at the end")
    for name in sorted(rates, key=lambda name: epochs[name].mean()):
        reached = np.isfinite(epochs[name])
        took, sooner = f"by {reached.sum()} of {len(reached)}", ""
        if reached.all():
            summary = statistics.summarise(epochs[name])
            took = f"{summary.mean:.2f} [{summary.low:.2f}, {summary.high:.2f}]"
            if name != "sgd" and np.isfinite(epochs["sgd"]).all():
                gain = statistics.compare(epochs["sgd"], epochs[name])
                sooner = f"{gain.difference:.2f} [{gain.low:.2f}, {gain.high:.2f}]"
        mean, _, low, high = accuracy[name]
        print(f"{name:11}{rates[name]:>6g}  {took:22}{sooner:22}{mean:.4f} [{low:.4f}, {high:.4f}]")


def draw(
    out: Path,
    options: Options,
    dataset: data.Dataset,
    curves: dict[str, np.ndarray],
    accuracy: dict[str, statistics.Summary],
) -> None:
    """Accuracy after each epoch, and at the end."""
    plots.bands(
        out / "curves.png",
        np.arange(1, options.epochs + 1),
        {name: statistics.summarise(curve, axis=0) for name, curve in curves.items()},
        ("epoch", "test accuracy"),
        f"{dataset.name}: mean of {options.seeds} seeds, and its 95 % interval",
    )
    ranked = dict(sorted(accuracy.items(), key=lambda item: -item[1].mean))
    title = f"{dataset.name}, {options.epochs} epochs, {options.seeds} seeds"
    plots.ranking(out / "ranking.png", ranked, "test accuracy, with 95 % interval", title)


if __name__ == "__main__":
    command.run(main, Options, partial(command.resumed, EXPERIMENT))
