"""Where does momentum help? Epochs and updates to a target accuracy, over batch sizes.

    python experiments/batch_sizes.py

Each optimizer gets its own best learning rate at each batch size: the one that reaches the target soonest on
a validation split, from inside its grid. Then it is trained with other seeds, and the test set is used once.
``optimizers.py`` compares more of them, at one batch size.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tyro.conf import OmitArgPrefixes

from experiments import optimizers
from experiments.optimizers import CHOICE_SEEDS, CHOOSE, FACTOR, MEASURE
from jaxnaive import batches, command, data, job, layers, runs, splits, statistics, training
from jaxnaive.batches import Examples
from jaxnaive.command import datasets
from jaxnaive.command.options import DatasetName, Out, Reading, Resume
from jaxnaive.disk import files
from jaxnaive.job import check_at_least
from jaxnaive.networks import chunks
from jaxnaive.pictures import plots
from jaxnaive.runs import sweeps

EXPERIMENT = "batch_sizes"
RATES = (0.03, 0.1, 0.3)  # to begin with, at the largest batch size
PATIENCE = 1.5  # times the epochs of the best learning rate so far, after which another is given up
DRAWS = 999  # of seeds, for the interval of a critical batch size


@dataclass(frozen=True)
class Options:
    """Compare optimizers over batch sizes with error bars."""

    dataset: DatasetName = None
    reading: OmitArgPrefixes[Reading] = field(default_factory=Reading)
    """how files of yours are read"""
    hidden: tuple[int, ...] = (64,)
    """units of the hidden layers"""
    optimizer: tuple[str, ...] = ("sgd", "momentum", "nesterov", "adam")
    """two or more; the others are compared with the first"""
    batch_size: tuple[int, ...] = (1, 8, 64, 512, 4096)
    """two or more numbers of examples an update"""
    epochs: int = 12
    """when a learning rate is chosen, a run sees every example at most so often, and later twice as often;"""
    updates: int = 3000
    """or as often as makes so many updates, if that is more"""
    seeds: int = 12
    """runs of each optimizer with its best learning rate, at each batch size"""
    target: float = 0.97
    """the accuracy to reach"""
    out: Out = None
    resume: Resume = False


class Result(NamedTuple):
    """What the comparison comes to; the sizes ascend."""

    rates: dict[str, np.ndarray]  # [sizes], that were chosen for each optimizer
    epochs: dict[str, np.ndarray]  # [sizes, seeds], to the target; infinite where it is not reached
    against_first: dict[tuple[int, str], statistics.Comparison]  # ratios, by size and optimizer; p corrected
    critical: dict[str, np.ndarray]  # batch size, and the ends of its interval; infinite beyond the largest


def main(options: Options) -> Result:
    with command.usage():
        check(options)
        files.check_folder(options.out or command.RUNS)
    options = replace(options, batch_size=tuple(sorted(set(options.batch_size))))
    dataset = datasets.load_classes(options.dataset, vars(options.reading))
    about = datasets.describe(dataset, options.dataset)
    with command.open_run(EXPERIMENT, options, about) as disk_run:
        rates, epochs = measure(disk_run, options, dataset)
        critical = {name: critical_interval(options.batch_size, times) for name, times in epochs.items()}
        result = Result(rates, epochs, compare(options, epochs), critical)
        report(options, dataset, result)
        draw(disk_run.folder / "batch_sizes.png", options, dataset, epochs)
        print(f"saved {disk_run.folder}/: batch_sizes.png")
    return result


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    data.check_name(options.dataset, **vars(options.reading))
    optimizers.check_comparison(options.hidden, options.optimizer, options.target)
    check_at_least("number of batch sizes", len(set(options.batch_size)), 2)
    for size in options.batch_size:
        check_at_least("batch size", size, 1)
    check_at_least("epochs", options.epochs, 1)
    check_at_least("updates", options.updates, 0)
    check_at_least("seeds", options.seeds, 2)


def measure(
    disk_run: runs.Run, options: Options, dataset: data.Dataset
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The learning rate of each optimizer at each batch size, and the epochs of its runs to the target.

    The largest size comes first. A smaller batch needs no larger learning rate, so its grid ends there.
    """
    whole = chunks.on_device(dataset.train), chunks.on_device(dataset.test)
    held_out = tuple(map(chunks.on_device, splits.hold_out(dataset.train)))
    keys = jax.random.split(jax.random.key(MEASURE), options.seeds)
    grids = dict.fromkeys(options.optimizer, RATES)
    rates, epochs = ({name: [] for name in options.optimizer} for _ in range(2))
    for size in reversed(options.batch_size):
        for name in options.optimizer:
            rate = choose_rate(disk_run, options, name, size, dataset, held_out, grids[name])
            most = 2 * most_epochs(options, size, dataset)  # a run that misses the target would leave a gap
            run = make_run(options, name, size, most, dataset)
            points = {"learning_rate": [rate], "most": [most]}
            found = sweeps.sweep(disk_run, f"{name}-{size}", run, keys, points, whole)
            epochs[name].insert(0, optimizers.epochs_to(found.results[0, 0], options.target))
            rates[name].insert(0, rate)
            grids[name] = (rate / FACTOR**2, rate / FACTOR, rate)
    by_size, times = ({name: np.array(rows) for name, rows in found.items()} for found in (rates, epochs))
    return by_size, times


def choose_rate(
    disk_run: runs.Run,
    options: Options,
    name: str,
    size: int,
    dataset: data.Dataset,
    held_out: tuple[Examples, ...],
    grid: Sequence[float],
) -> float:
    """The learning rate with which an optimizer reaches the target soonest on a validation split.

    The largest comes first. A rate is given up when it takes much longer than the best one so far.
    """
    keys = jax.random.split(jax.random.key(CHOOSE), CHOICE_SEEDS)
    most = most_epochs(options, size, dataset)
    run = make_run(options, name, size, most, dataset)

    def measure(rates: list[float]) -> np.ndarray:
        nonlocal most
        scores = []
        for rate in reversed(rates):
            points = {"learning_rate": [rate], "most": [most]}
            found = sweeps.sweep(disk_run, f"{name}-{size}-{rate:.3g}", run, keys, points, held_out)
            scores.insert(0, soonest(found.results[0, 0], options.target, most))
            most = min(most, math.ceil(PATIENCE * -scores[0].min()))
        return np.array(scores)

    choice = optimizers.choose_rate(f"{name}, batch size {size}", measure, grid)
    return choice.points[choice.best]


def most_epochs(options: Options, size: int, dataset: data.Dataset) -> int:
    """How many epochs a run is allowed by which a learning rate is chosen."""
    return job.epochs_for(options.updates, len(dataset.train.labels), size, options.epochs)


def make_run(
    options: Options, name: str, size: int, length: int, dataset: data.Dataset
) -> Callable[..., jax.Array]:
    """A run as a function of its learning rate and of its epochs at most.

    It returns ``[length]``, the accuracy after each epoch, and 0 for those after the target is reached.
    """
    model = layers.mlp(dataset.num_features, *options.hidden, len(dataset.class_names))
    make = job.find_optimizer(name)

    def run(
        key: jax.Array, train: Examples, test: Examples, learning_rate: jax.Array, most: jax.Array
    ) -> jax.Array:
        recipe = training.Recipe(model, make(learning_rate), batch_size=size)

        def goes_on(so_far: tuple[training.State, jax.Array]) -> jax.Array:
            state, accuracy = so_far
            return (state.epoch.astype(jnp.float32) < most) & (accuracy.max() < options.target)

        def epoch(so_far: tuple[training.State, jax.Array]) -> tuple[training.State, jax.Array]:
            state, _ = training.train_epoch(so_far[0], train, recipe)
            reached = training.evaluate(state.params, test, recipe).accuracy
            return state, so_far[1].at[state.epoch - 1].set(reached)

        return jax.lax.while_loop(goes_on, epoch, (training.start(key, recipe), jnp.zeros(length)))[1]

    return run


def soonest(accuracy: np.ndarray, target: float, most: int) -> np.ndarray:
    """How soon runs reach a target, the more the sooner; of those that do not, how close they come.

    Args:
      accuracy: ``[seeds, epochs]``.
      target: to be reached.
      most: epochs after which they were given up.

    Returns:
      ``[seeds, 1]``; a run that misses the target is worse than any that reaches it.
    """
    epochs, missed = optimizers.epochs_to(accuracy, target), most + target - accuracy.max(1)
    return -np.where(np.isfinite(epochs), epochs, missed)[:, None]


def compare(options: Options, epochs: dict[str, np.ndarray]) -> dict[tuple[int, str], statistics.Comparison]:
    """How many times the epochs of the first optimizer each other takes, where all runs reach the target."""
    first, *others = options.optimizer
    found = {
        (size, name): statistics.compare(np.log(ours), np.log(theirs))
        for name in others
        for size, ours, theirs in zip(options.batch_size, epochs[name], epochs[first], strict=True)
        if np.isfinite([ours, theirs]).all()
    }
    p_values = statistics.holm([comparison.p_value for comparison in found.values()])
    ratios = {place: np.exp(comparison[:3]).tolist() for place, comparison in found.items()}
    return {
        place: statistics.Comparison(ratio, low, high, p_value)
        for (place, (ratio, low, high)), p_value in zip(ratios.items(), p_values.tolist(), strict=True)
    }


def critical_batch_size(sizes: Sequence[int], epochs: np.ndarray) -> float:
    """The batch size at which a run sees twice as many examples as at the best one.

    Between two sizes it is on a straight line in logarithms.

    Args:
      sizes: ascending.
      epochs: ``[sizes, seeds]``, to the target; their geometric mean counts, where all runs reach it.

    Returns:
      The batch size; infinite if no size takes so many.
    """
    reached = np.isfinite(epochs).all(1)
    x, y = np.log(np.array(sizes)[reached]), np.log(epochs[reached]).mean(1)
    if not reached.any():
        return math.inf
    best = int(y.argmin())
    limit = y[best] + math.log(2)
    beyond = best + np.flatnonzero(y[best:] >= limit)
    if not len(beyond):
        return math.inf
    around = slice(beyond[0] - 1, beyond[0] + 1)
    return float(np.exp(np.interp(limit, y[around], x[around])))


def critical_interval(sizes: Sequence[int], epochs: np.ndarray) -> np.ndarray:
    """The critical batch size, and its 95 % interval: what it comes to with seeds drawn from those there are.

    Source: Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    seeds = epochs.shape[1]
    draws = np.random.default_rng(0).integers(seeds, size=(DRAWS, seeds))
    found = [critical_batch_size(sizes, epochs[:, draw]) for draw in draws]
    ends = np.quantile(found, [0.025, 0.975], method="nearest")
    return np.array([critical_batch_size(sizes, epochs), *ends])


def report(options: Options, dataset: data.Dataset, result: Result) -> None:
    """A row a batch size and optimizer; where optimizers can be told from the first; critical batch sizes."""
    first, *others = options.optimizer
    about = f"{dataset.name}, {optimizers.describe(options.hidden)}, {options.seeds} seeds"
    heading = f"epochs to {options.target:.0%}"
    print(f"\n{about}, geometric mean and 95 % interval")
    print(f"{'batch size':>10}  {'optimizer':11}{'rate':>8}  {heading:22}{'updates':>9}  times {first}'s")
    for place, size in enumerate(options.batch_size):
        for name in options.optimizer:
            epochs, rate = result.epochs[name][place], result.rates[name][place]
            print(f"{size:>10,}  {name:11}{rate:>8.2g}  {in_words(epochs, size, dataset)}", end="")
            if (size, name) in result.against_first:
                ratio, low, high, p_value = result.against_first[size, name]
                print(f"  {ratio:.2f} [{low:.2f}, {high:.2f}], p = {p_value:.2g}", end="")
            print()
    count = len(result.against_first)
    print(f"\np: paired t-tests of the logarithms, corrected by Holm's method for {count} comparisons.")
    for name in others:
        differ = {
            size: found.difference
            for (size, other), found in result.against_first.items()
            if other == name and found.p_value < 0.05
        }
        faster, slower = (
            ", ".join(f"{size:,}" for size, ratio in differ.items() if (ratio < 1) == is_faster) or "none"
            for is_faster in (True, False)
        )
        print(f"{name}: faster than {first} at batch sizes {faster}; slower at {slower}")
    print("Critical batch size, from where on a run sees twice the examples of its best batch size:")
    for name, (size, low, high) in result.critical.items():
        print(f"{name:11}{size:,.0f} [{low:,.0f}, {high:,.0f}]")


def in_words(epochs: np.ndarray, size: int, dataset: data.Dataset) -> str:
    """The epochs of runs, and their updates; or how many of them reach the target."""
    if not np.isfinite(epochs).all():
        return f"{f'by {np.isfinite(epochs).sum()} of {len(epochs)}':22}{'':9}"
    mean, _, low, high = geometric(epochs)
    updates = mean * batches.num_batches(len(dataset.train.labels), size)
    return f"{f'{mean:.2f} [{low:.2f}, {high:.2f}]':22}{updates:>9,.0f}"


def geometric(values: np.ndarray) -> statistics.Summary:
    """Geometric mean and standard deviation of the last axis, and the confidence interval of the mean."""
    return statistics.Summary(*map(np.exp, statistics.summarise(np.log(values))))


def draw(path: Path, options: Options, dataset: data.Dataset, epochs: dict[str, np.ndarray]) -> None:
    """Epochs and updates to the target over the batch size."""
    steps = [batches.num_batches(len(dataset.train.labels), size) for size in options.batch_size]
    sizes = np.array(options.batch_size)
    times, updates = {}, {}
    for name, values in epochs.items():
        shown = np.where(np.isfinite(values).all(1, keepdims=True), values, np.nan)
        times[name] = geometric(shown)
        updates[name] = geometric(shown * np.array(steps)[:, None])
    title = f"{dataset.name}, {optimizers.describe(options.hidden)}: to {options.target:.0%} test accuracy"
    plots.scaling(path, sizes, times, updates, f"{title}, mean of {options.seeds} seeds, 95 % interval")


if __name__ == "__main__":
    command.run(main, Options, partial(command.resumed, EXPERIMENT))
