"""Gradient descent: one example, some, or all of them a step; the learning rate; and the gradient of a run.

    python experiments/gradient_descent.py

Rows S53 to S56 of the notes. The three regimes are the same code with another batch size. Learning rates from
1e-4 to 10 are one compiled program. And since a run is a pure function, it can be differentiated as a whole.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import batches, command, data, ensembles, layers, optimizers, runs, statistics, training
from jaxnaive.batches import Examples
from jaxnaive.command.options import DatasetName, Out, Resume, Seeds
from jaxnaive.disk import files
from jaxnaive.job import check_at_least
from jaxnaive.pictures import plots
from jaxnaive.runs import sweeps

EXPERIMENT = "gradient-descent"
RATES = tuple(10 ** (exponent / 4) for exponent in range(-16, 5))  # 1e-4 to 10
REGIME_RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
BATCH_SIZE = 128
SHORT_RUN, DESCENT_STEPS, START = 40, 25, 3e-3  # the run that is differentiated, and the way down from there


@dataclass(frozen=True)
class Options:
    """Compare the regimes of gradient descent, sweep the learning rate, descend on the gradient of a run."""

    dataset: DatasetName = None
    hidden: int = 32
    """units of the hidden layer"""
    epochs: int = 2
    """how often every example is seen"""
    seeds: Seeds = 4
    out: Out = None
    resume: Resume = False


class Result(NamedTuple):
    """What the three parts come to."""

    regimes: dict[str, statistics.Summary]  # test accuracy at the best learning rate
    rates: dict[str, tuple[float, float]]  # first and last learning rate of each region
    found: float  # learning rate, by descending on the gradient of a run
    found_loss: float  # of the run with it
    best_loss: float  # of the runs with every learning rate tried


def main(options: Options) -> Result:
    with command.usage():
        check_at_least("hidden", options.hidden, 1)
        check_at_least("epochs", options.epochs, 1)
        check_at_least("seeds", options.seeds, 2)
        data.check_name(options.dataset)
        files.make_folder(options.out or command.RUNS)
    dataset = data.load(options.dataset)
    model = layers.mlp(dataset.num_features, options.hidden, len(dataset.class_names))
    print(f"{dataset.name}, {options.hidden} hidden units, {options.epochs} epochs, {options.seeds} seeds")
    with command.open_run(EXPERIMENT, options, {"fingerprint": data.fingerprint(dataset)}) as disk_run:
        regimes = compare_regimes(disk_run, options, dataset, model)
        rates = sweep_learning_rates(disk_run, options, dataset, model)
        found, found_loss, best_loss = descend_on_the_gradient_of_a_run(disk_run, options, dataset, model)
        print(f"saved {disk_run.folder}/: learning_rates.png, descent.png")
    return Result(regimes, rates, found, found_loss, best_loss)


def accuracies(
    disk_run: runs.Run,
    options: Options,
    dataset: data.Dataset,
    model: layers.Layer,
    batch_size: int,
    rates: tuple[float, ...],
) -> ensembles.Runs:
    """Runs of plain descent at every learning rate, for every seed."""

    def run(key: jax.Array, train: Examples, test: Examples, learning_rate: jax.Array) -> ensembles.Outcome:
        recipe = training.Recipe(model, optimizers.sgd(learning_rate), batch_size=batch_size)
        return ensembles.train_and_test(key, train, test, recipe, options.epochs)

    keys = jax.random.split(jax.random.key(0), options.seeds)
    shared = jax.device_put((dataset.train, dataset.test))
    part = f"batch-{batch_size}-rates-{len(rates)}"
    return sweeps.sweep(disk_run, part, run, keys, {"learning_rate": rates}, shared)


def compare_regimes(
    disk_run: runs.Run, options: Options, dataset: data.Dataset, model: layers.Layer
) -> dict[str, statistics.Summary]:
    """The same number of examples seen, in steps of one, of some, and of all."""
    n = len(dataset.train.labels)
    print(f"\n{'regime':12}{'batch':>8}{'updates':>10}{'best rate':>11}   test accuracy")
    regimes = {}
    for name, batch_size in (("true", 1), ("mini-batch", BATCH_SIZE), ("full batch", n)):
        found = accuracies(disk_run, options, dataset, model, batch_size, REGIME_RATES)
        summary = statistics.summarise(found.results.metrics["accuracy"][..., -1])
        best = int(np.argmax(summary.mean))
        regimes[name] = statistics.Summary(*(part[best] for part in summary))
        updates = batches.num_batches(n, batch_size) * options.epochs
        print(
            f"{name:12}{batch_size:>8,}{updates:>10,}{REGIME_RATES[best]:>11g}   "
            f"{regimes[name].mean:.4f} +- {regimes[name].sd:.4f}"
        )
    return regimes


def sweep_learning_rates(
    disk_run: runs.Run, options: Options, dataset: data.Dataset, model: layers.Layer
) -> dict[str, tuple[float, float]]:
    """Accuracy from 1e-4 to 10, and where it is slow, good, or lost."""
    found = accuracies(disk_run, options, dataset, model, BATCH_SIZE, RATES)
    accuracy = statistics.summarise(found.results.metrics["accuracy"][..., -1])
    rates = np.array(RATES)
    regions = {
        name: (rates[chosen].min(), rates[chosen].max())
        for name, chosen in kinds(found, accuracy).items()
        if chosen.any()
    }
    print(f"\n{len(rates) * options.seeds} runs as one program, learning rate {rates[0]:g} to {rates[-1]:g}")
    for name, (first, last) in regions.items():
        print(f"{name:12}{first:.1e} to {last:.1e}")
    title = f"{dataset.name}: plain gradient descent, {options.epochs} epochs"
    plots.learning_rates(disk_run.folder / "learning_rates.png", rates, accuracy, regions, title)
    return regions


def kinds(found: ensembles.Runs, accuracy: statistics.Summary) -> dict[str, np.ndarray]:
    """Which learning rates are good, within 2 % of the best; slow, below; or diverged in a run, above.

    A run that is right less than half as often as the best has diverged too: its loss need not be infinite,
    since relu units that are pushed below 0 for every example stay there.
    """
    final = found.results.metrics["accuracy"][..., -1]  # [rates, seeds]
    best = accuracy.mean.max()
    good = accuracy.mean > best - 0.02
    places, well = np.arange(len(good)), np.flatnonzero(good)
    lost = (found.diverged | (final < best / 2)).any(axis=-1)
    return {"slow": places < well.min(), "good": good, "diverged": lost & (places > well.max())}


def descend_on_the_gradient_of_a_run(
    disk_run: runs.Run, options: Options, dataset: data.Dataset, model: layers.Layer
) -> tuple[float, float, float]:
    """Adam on the logarithm of the learning rate of a short run, down its validation loss."""
    size = min(SHORT_RUN * BATCH_SIZE, len(dataset.train.labels) // 2)
    train, rest = jax.device_put(batches.split(dataset.train, size))
    _, held_out = batches.split(rest, max(0, len(rest.labels) - 2000))
    keys = jax.random.split(jax.random.key(0), options.seeds)

    def loss_after(log_rate: jax.Array, train: Examples, held_out: Examples) -> jax.Array:
        recipe = training.Recipe(model, optimizers.sgd(jnp.exp(log_rate)), batch_size=BATCH_SIZE)

        def one(key: jax.Array) -> jax.Array:
            params, _ = training.train(key, train, recipe, epochs=1)
            return training.evaluate(params, held_out, recipe).loss

        return jax.vmap(one)(keys).mean()

    log_rates = jnp.log(jnp.geomspace(START, 3.0, 25))
    curve = np.asarray(jax.jit(jax.vmap(loss_after, (0, None, None)))(log_rates, train, held_out))
    optimizer = optimizers.adam(0.3)

    @jax.jit
    def step(
        log_rate: jax.Array, state: Any, train: Examples, held_out: Examples
    ) -> tuple[jax.Array, Any, jax.Array]:
        loss, slope = jax.value_and_grad(loss_after)(log_rate, train, held_out)
        updates, state = optimizer.update(slope, state, log_rate)
        return optimizers.apply_updates(log_rate, updates), state, loss

    log_rate = jnp.asarray(np.log(START), jnp.float32)
    state, visited = optimizer.init(log_rate), []
    for _ in range(DESCENT_STEPS):
        following, state, loss = step(log_rate, state, train, held_out)
        visited.append((float(jnp.exp(log_rate)), float(loss)))
        log_rate = following
    rates, losses = np.array(visited).T
    plots.descent(disk_run.folder / "descent.png", np.exp(np.asarray(log_rates)), curve, rates, losses)
    # Where runs begin to diverge the loss is rough, and its gradient leads hither and thither.
    found, best = int(np.argmin(losses)), int(np.argmin(curve))
    steps = batches.num_batches(size, BATCH_SIZE)
    print(f"\nthe gradient of a run of {steps} steps with respect to its learning rate:")
    print(f"from {START:g}, loss {losses[0]:.3f}, {DESCENT_STEPS} steps lead to", end=" ")
    print(f"{rates[found]:.2f}, loss {losses[found]:.3f}")
    print(f"the best of {len(curve)} tried is {np.exp(log_rates[best]):.2f}, loss {curve[best]:.3f}")
    return rates[found], losses[found], float(curve[best])


if __name__ == "__main__":
    command.run(main, Options, partial(command.resumed, EXPERIMENT))
