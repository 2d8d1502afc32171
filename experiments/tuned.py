"""How far a plain 784-512-10 goes: the best recipe found on a validation split, over 8 seeds.

    python experiments/tuned.py

No augmentation, no dropout, no ensemble. Adam with weight decay (optax's), a one-cycle learning rate, label
smoothing; found with the last 10,000 training images, then run with all 60,000. The test set is read once.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import optax
from tyro.conf import OmitArgPrefixes

from jaxnaive import batches, command, data, job, layers, losses, optimizers, statistics, training
from jaxnaive.batches import Examples
from jaxnaive.command import datasets
from jaxnaive.command.options import DatasetName, Out, Reading, Resume, Seeds
from jaxnaive.disk import files
from jaxnaive.job import check_at_least
from jaxnaive.networks import chunks
from jaxnaive.runs import sweeps

EXPERIMENT = "tuned"
TARGET = 0.987


@dataclass(frozen=True)
class Options:
    """Train the tuned network with several seeds, and test it."""

    dataset: DatasetName = None
    reading: OmitArgPrefixes[Reading] = field(default_factory=Reading)
    """how files of yours are read"""
    hidden: int = 512
    """units of the hidden layer"""
    epochs: int = 15
    """how often every example is seen"""
    batch_size: int = 128
    """examples an update"""
    learning_rate: float = 0.004
    """at its highest"""
    weight_decay: float = 0.2
    """fraction of the weights that is taken away at each update, times the learning rate"""
    label_smoothing: float = 0.1
    """fraction of each target that is spread over all classes"""
    seeds: Seeds = 8
    out: Out = None
    resume: Resume = False


def main(options: Options) -> statistics.Summary:
    """Returns mean, deviation and interval of the test accuracy."""
    with command.usage():
        check(options)
        files.check_folder(options.out or command.RUNS)
    dataset = datasets.load_classes(options.dataset, vars(options.reading))
    examples = chunks.on_device(dataset.train), chunks.on_device(dataset.test)
    recipe = make_recipe(options, dataset)

    def run(key: jax.Array, train: Examples, test: Examples) -> jax.Array:
        params, _ = training.train(key, train, recipe, options.epochs)
        return training.evaluate(params, test, recipe).accuracy

    keys = jax.random.split(jax.random.key(0), options.seeds)
    about = datasets.describe(dataset, options.dataset)
    with command.open_run(EXPERIMENT, options, about) as folder:
        found = sweeps.sweep(folder, "seeds", run, keys, shared=examples)
    summary = statistics.summarise(found.results)
    print(f"{dataset.name}: test accuracy {summary.mean:.4f} +- {summary.sd:.4f}, {options.seeds} seeds")
    print(f"95 % interval of the mean {summary.low:.4f} to {summary.high:.4f}")
    as_promised = replace(options, dataset=None, out=None, resume=False) == Options()
    if dataset.source["dataset"] == "mnist" and as_promised and summary.mean < TARGET:
        raise command.MissedError(f"test accuracy: got {summary.mean:.4f}, expected {TARGET} or more")
    return summary


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    data.check_name(options.dataset, **vars(options.reading))
    shared = {name: getattr(options, name) for name in ("batch_size", "learning_rate", "label_smoothing")}
    job.check(job.Job(hidden=(options.hidden,), **shared))
    optimizers.check_not_negative("weight decay", options.weight_decay)
    check_at_least("epochs", options.epochs, 1)
    check_at_least("seeds", options.seeds, 2)


def make_recipe(options: Options, dataset: data.Dataset) -> training.Recipe:
    """What the options mean for this dataset."""
    updates = batches.num_batches(len(dataset.train.labels), options.batch_size) * options.epochs
    rate: Any = job.make_schedule("one-cycle", options.learning_rate, updates)
    return training.Recipe(
        layers.mlp(dataset.num_features, options.hidden, len(dataset.class_names)),
        optax.adamw(rate, weight_decay=options.weight_decay),
        losses.smoothed_cross_entropy(options.label_smoothing),
        options.batch_size,
    )


if __name__ == "__main__":
    command.run(main, Options, partial(command.resumed, EXPERIMENT))
