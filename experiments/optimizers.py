"""Is momentum really faster? Every optimizer on a real dataset, over learning rates and seeds.

    python experiments/optimizers.py

The learning rate of each optimizer is chosen on a validation split, and from inside its grid: where the best
is at an edge, the grid is made wider. Then it is trained with other seeds, and the test set is used once.
What the optimizers do on curves and in a valley is in ``lessons/optimizers.py``.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from tyro.conf import OmitArgPrefixes

from jaxnaive import command, data, ensembles, grids, job, layers, runs, splits, statistics, training
from jaxnaive.batches import Examples
from jaxnaive.command import datasets
from jaxnaive.command.options import DatasetName, Out, Reading, Resume
from jaxnaive.disk import files
from jaxnaive.job import Job, check_at_least
from jaxnaive.networks import chunks
from jaxnaive.pictures import plots
from jaxnaive.runs import sweeps

EXPERIMENT = "optimizers"
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)  # to begin with
FACTOR = 10**0.5  # from one to the next, and beyond
CHOICE_SEEDS = 4  # runs by which a learning rate is chosen
CHOOSE, MEASURE = 1, 0  # the keys that their seeds are split from


@dataclass(frozen=True)
class Options:
    """Compare optimizers with error bars."""

    dataset: DatasetName = None
    reading: OmitArgPrefixes[Reading] = field(default_factory=Reading)
    """how files of yours are read"""
    hidden: tuple[int, ...] = (64,)
    """units of the hidden layers"""
    optimizer: tuple[str, ...] = tuple(job.OPTIMIZERS)
    """two or more of them, or of optax's, such as optax.lion"""
    epochs: int = 8
    """how often every example is seen"""
    batch_size: int = 128
    """examples an update"""
    seeds: int = 16
    """runs of each optimizer with its best learning rate"""
    target: float = 0.97
    """the test accuracy to reach"""
    out: Out = None
    resume: Resume = False


class Result(NamedTuple):
    """What the comparison comes to."""

    choices: dict[str, grids.Choice]  # of a learning rate for each optimizer
    rates: dict[str, float]  # those that were chosen
    epochs: dict[str, np.ndarray]  # [seeds], to the target; infinite where it is not reached
    accuracy: dict[str, statistics.Summary]  # on the test set at the end


def main(options: Options) -> Result:
    with command.usage():
        check_comparison(options.hidden, options.optimizer, options.target)
        check_at_least("epochs", options.epochs, 1)
        check_at_least("batch size", options.batch_size, 1)
        check_at_least("seeds", options.seeds, 2)
        data.check_name(options.dataset, **vars(options.reading))
        files.check_folder(options.out or command.RUNS)
    dataset = datasets.load_classes(options.dataset, vars(options.reading))
    about = datasets.describe(dataset, options.dataset)
    with command.open_run(EXPERIMENT, options, about) as disk_run:
        choices = choose_rates(disk_run, options, dataset)
        rates = {name: choice.points[choice.best] for name, choice in choices.items()}
        examples = chunks.on_device(dataset.train), chunks.on_device(dataset.test)
        finals = {
            name: sweeps.sweep(
                disk_run,
                name,
                make_run(options, name, options.epochs, dataset),
                jax.random.split(jax.random.key(MEASURE), options.seeds),
                {"learning_rate": [rate]},
                examples,
            )
            for name, rate in rates.items()
        }
        curves = {name: found.results.metrics["accuracy"][0] for name, found in finals.items()}
        accuracy = {name: statistics.summarise(curve[:, -1]) for name, curve in curves.items()}
        epochs = {name: epochs_to(curve, options.target) for name, curve in curves.items()}
        report(options, dataset, rates, accuracy, epochs)
        draw(disk_run.folder, options, dataset, curves, accuracy)
        print(f"saved {disk_run.folder}/: rates.png, curves.png, ranking.png")
    return Result(choices, rates, epochs, accuracy)


def check_comparison(hidden: tuple[int, ...], names: tuple[str, ...], target: float) -> None:
    """Raise ``ValueError`` at a layer without units, an optimizer that there is not, or no accuracy."""
    if not 0 < target <= 1:
        raise ValueError(f"target: got {target}, expected more than 0 and at most 1")
    check_at_least("number of optimizers", len(set(names)), 2)
    for name in names:
        job.check(Job(hidden=hidden, optimizer=name))


def make_run(
    options: Options, name: str, epochs: int, dataset: data.Dataset
) -> Callable[..., ensembles.Outcome]:
    """A run with an optimizer, as a function of its learning rate."""
    model = layers.mlp(dataset.num_features, *options.hidden, len(dataset.class_names))
    make = job.find_optimizer(name)

    def run(key: jax.Array, train: Examples, test: Examples, learning_rate: jax.Array) -> ensembles.Outcome:
        recipe = training.Recipe(model, make(learning_rate), batch_size=options.batch_size)
        return ensembles.train_and_test(key, train, test, recipe, epochs)

    return run


def choose_rates(disk_run: runs.Run, options: Options, dataset: data.Dataset) -> dict[str, grids.Choice]:
    """The learning rate of each optimizer: short runs with many, tested on a tenth of the training set."""
    examples = tuple(map(chunks.on_device, splits.hold_out(dataset.train)))
    epochs = max(1, options.epochs // 2)
    keys = jax.random.split(jax.random.key(CHOOSE), CHOICE_SEEDS)

    def accuracies(name: str) -> Callable[[list[float]], np.ndarray]:
        run, calls = make_run(options, name, epochs, dataset), itertools.count(1)

        def measure(rates: list[float]) -> np.ndarray:
            part = f"{name}-choice-{next(calls)}"
            found = sweeps.sweep(disk_run, part, run, keys, {"learning_rate": rates}, examples)
            return np.where(found.diverged[..., None], np.nan, found.results.metrics["accuracy"])

        return measure

    choices = {name: choose_rate(name, accuracies(name), RATES) for name in options.optimizer}
    title = f"{dataset.name}: validation accuracy after {epochs} epochs, mean of {CHOICE_SEEDS} runs"
    plots.choices(disk_run.folder / "rates.png", choices, ("learning rate", "validation accuracy"), title)
    return choices


def choose_rate(
    name: str, measure: Callable[[list[float]], np.ndarray], rates: Sequence[float]
) -> grids.Choice:
    """The learning rate of one optimizer; ``MissedError`` if none lies inside the grid.

    Args:
      name: of the optimizer.
      measure: learning rates -> how good they are, ``[rates, seeds, epochs]``.
      rates: to begin with.
    """
    try:
        return grids.choose(measure, rates, FACTOR)
    except ValueError as error:
        raise command.MissedError(f"learning rates of {name}: {error}") from None


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
    """A row an optimizer, the fastest first, and which of them can be told apart."""
    ranked = sorted(rates, key=lambda name: (epochs[name].mean(), -float(accuracy[name].mean)))
    reaching = [name for name in ranked if np.isfinite(epochs[name]).all()]
    p_values = _corrected(reaching, epochs)
    letters = _letters(reaching, p_values)
    heading = f"epochs to {options.target:.0%}"
    print(f"\n{dataset.name}, {describe(options.hidden)}, {options.seeds} seeds, mean and 95 % interval")
    print(f"{'optimizer':11}{'rate':>8}  {heading:22}{'group':8}accuracy at the end")
    for name in ranked:
        took = f"by {np.isfinite(epochs[name]).sum()} of {options.seeds}"
        if name in reaching:
            summary = statistics.summarise(epochs[name])
            took = f"{summary.mean:.2f} [{summary.low:.2f}, {summary.high:.2f}]"
        mean, _, low, high = accuracy[name]
        group = letters.get(name, "")
        print(f"{name:11}{rates[name]:>8.3g}  {took:22}{group:8}{mean:.4f} [{low:.4f}, {high:.4f}]")
    print("\nNo two of a group can be told apart: paired t-tests, p corrected by Holm's method, 0.05.")
    for (sooner, later), p_value in p_values.items():
        if sooner == reaching[0]:
            more, low, high, _ = statistics.compare(epochs[later], epochs[sooner])
            text = f"{more:.2f} [{low:.2f}, {high:.2f}] epochs more than {sooner}"
            print(f"{later}: {text}, p = {p_value:.2g}")


def describe(hidden: tuple[int, ...]) -> str:
    """The hidden layers in words."""
    return f"{' + '.join(map(str, hidden)) or 'no'} hidden units"


def _corrected(names: list[str], epochs: dict[str, np.ndarray]) -> dict[tuple[str, str], float]:
    """For every two of a ranking, how likely such a difference is if there is none."""
    pairs = list(itertools.combinations(names, 2))
    p_values = [statistics.compare(epochs[sooner], epochs[later]).p_value for sooner, later in pairs]
    return dict(zip(pairs, statistics.holm(p_values).tolist(), strict=True))


def _letters(names: list[str], p_values: dict[tuple[str, str], float]) -> dict[str, str]:
    """The groups that each of a ranking is in, as letters: no two of a group can be told apart."""
    differ = np.zeros((len(names), len(names)), bool)
    for (sooner, later), p_value in p_values.items():
        places = names.index(sooner), names.index(later)
        differ[places] = differ[places[::-1]] = p_value < 0.05
    groups = statistics.groups(differ)
    return {
        name: "".join(chr(ord("a") + number) for number, group in enumerate(groups) if place in group)
        for place, name in enumerate(names)
    }


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
