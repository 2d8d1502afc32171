"""What the four steps of the training loop cost, and how far a step may go (rows S50 and S52 of the notes).

    python experiments/steps.py

The notes say that the first step is only input, that the second and third are only tensor operations, and
that the fourth is the hard one: here they are timed one by one, for the network of the notes on random data.

The notes also say that the gradient describes the curvature around a point. It does not, it is the slope:
curvature is what it leaves out, and the error that makes grows with the square of the step.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import batches, command, layers, optimizers, training

REPEATS, CALLS = 15, 40


@dataclass(frozen=True)
class Options:
    """Time the four steps of the training loop, and compare the gradient's promise with the loss."""

    batch_size: int = 128
    """examples a batch"""


def main(options: Options) -> dict[str, float]:
    """Returns the microseconds of each step."""
    with command.usage():
        batches.check_batch_size(options.batch_size, 10_000)
    rng = np.random.default_rng(0)
    examples = batches.Examples(
        jnp.asarray(rng.integers(0, 256, (10_000, 28, 28), np.uint8)),
        jnp.asarray(rng.integers(0, 10, 10_000, np.int32)),
    )
    recipe = training.Recipe(layers.mlp(784, 512, 10), optimizers.sgd(0.1), batch_size=options.batch_size)
    params = recipe.model.init(jax.random.key(0))
    order = batches.epoch_order(jax.random.key(1), 0, 10_000)
    row = jax.tree.map(lambda column: column[0], batches.index_table(order, options.batch_size))

    take, loss = jax.jit(batches.take), jax.jit(training.mean_loss, static_argnames="recipe")
    grad = jax.jit(jax.grad(training.mean_loss), static_argnames="recipe")

    @jax.jit
    def update(params: Any, grads: Any) -> Any:
        updates, _ = recipe.optimizer.update(grads, recipe.optimizer.init(params), params)
        return optimizers.apply_updates(params, updates)

    batch = take(examples, row)
    grads = grad(params, batch, recipe)
    data, forward, both, step = medians(
        lambda: take(examples, row),
        lambda: loss(params, batch, recipe),
        lambda: grad(params, batch, recipe),
        lambda: update(params, grads),
    )
    costs = {
        "1 take a batch": data,
        "2, 3 run forward, loss": forward,
        "4a gradient": both - forward,
        "4b update": step,
    }
    total = sum(costs.values())
    print(f"784-512-10, batch {options.batch_size}, on {jax.devices()[0].device_kind}")
    for name, microseconds in costs.items():
        print(f"{name:24}{microseconds:8.0f} us{microseconds / total:8.0%}")
    print("\nalong the gradient     promised        came   error / step^2")
    for step, promised, came in promises(lambda params: training.mean_loss(params, batch, recipe), params):
        print(f"step {step:<12g}{promised:14.6f}{came:12.6f}{(came - promised) / step**2:14.2f}")
    return costs


def promises(loss: Callable[[Any], Any], params: Any) -> list[tuple[float, float, float]]:
    """For steps of halving size against the gradient: the change of the loss by its slope, and its change."""
    before, grads = jax.value_and_grad(loss)(params)
    length = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(grads)))
    rows = []
    for step in (0.2, 0.1, 0.05, 0.025):
        moved = jax.tree.map(lambda w, g, step=step: w - step * g / length, params, grads)
        rows.append((step, float(-step * length), float(loss(moved) - before)))
    return rows


def medians(*functions: Callable[[], Any]) -> list[float]:
    """Median microseconds a call, the functions timed in turn so that a slow moment hits all of them."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(REPEATS + 1):
        for function, record in zip(functions, times, strict=True):
            start = time.perf_counter()
            for _ in range(CALLS):
                jax.block_until_ready(function())
            record.append((time.perf_counter() - start) / CALLS * 1e6)
    return [statistics.median(record[1:]) for record in times]  # the first call compiled


if __name__ == "__main__":
    command.run(main, Options)
