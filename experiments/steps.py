"""What the four steps of the training loop cost (row S50 of the notes), and how near that is to the limit.

    python experiments/steps.py

The notes say that the first step is only input, that the second and third are only tensor operations, and
that the fourth is the hard one: here they are timed one by one, for the network of the notes on random data.
Matrix products cannot be had faster than at the best rate that this machine reaches with a large one, by XLA
or by NumPy; what a step takes beyond that is what is left to gain.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import batches, command, layers, optimizers, training
from jaxnaive.command import benchmark

ROUNDS, CALLS = 15, 40
LARGE = 2048  # rows and columns of the matrices whose product is the limit
INPUTS, HIDDEN, CLASSES = 784, 512, 10


@dataclass(frozen=True)
class Options:
    """Time the four steps of the training loop."""

    batch_size: int = 128
    """examples a batch"""


class Costs(NamedTuple):
    """Of one training step, by its parts."""

    seconds: dict[str, float]
    least: dict[str, float]  # seconds of their matrix products at the best rate
    rate: float  # best rate of a float32 matrix product, FLOP a second


def main(options: Options) -> Costs:
    with command.usage():
        batches.check_batch_size(options.batch_size, 10_000)
    rng = np.random.default_rng(0)
    examples = batches.Examples(
        jnp.asarray(rng.integers(0, 256, (10_000, 28, 28), np.uint8)),
        jnp.asarray(rng.integers(0, 10, 10_000, np.int32)),
    )
    recipe = training.Recipe(
        layers.mlp(INPUTS, HIDDEN, CLASSES), optimizers.sgd(0.1), batch_size=options.batch_size
    )
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
    square, product = jnp.ones((LARGE, LARGE)), jax.jit(jnp.matmul)
    data, forward, both, step, large = benchmark.medians(
        lambda: take(examples, row),
        lambda: loss(params, batch, recipe),
        lambda: grad(params, batch, recipe),
        lambda: update(params, grads),
        lambda: product(square, square),
        rounds=ROUNDS,
        calls=(*[CALLS] * 4, 1),
    )
    host = np.asarray(square)  # apart: NumPy's threads stay busy for a while, and slow XLA's down
    (by_numpy,) = benchmark.medians(lambda: host @ host, rounds=ROUNDS)
    rate = 2 * LARGE**3 / min(large, by_numpy)
    multiplications = options.batch_size * HIDDEN * np.array([INPUTS + CLASSES, INPUTS + 2 * CLASSES])
    least_forward, least_gradient = (2 * multiplications / rate).tolist()
    names = ("1 take a batch", "2, 3 run forward, loss", "4a gradient", "4b update")
    costs = Costs(
        dict(zip(names, (data, forward, both - forward, step), strict=True)),
        dict(zip(names, (0.0, least_forward, least_gradient, 0.0), strict=True)),
        rate,
    )
    total = sum(costs.seconds.values())
    print(f"784-512-10, batch {options.batch_size}, on {jax.devices()[0].device_kind}", end="; ")
    print(f"product of two {LARGE} x {LARGE} matrices: {rate / 1e9:.0f} GFLOP/s")
    print(f"{'':24}{'us':>8}{'share':>8}{'at that rate':>14}")
    for name, seconds in costs.seconds.items():
        print(f"{name:24}{1e6 * seconds:8.0f}{seconds / total:8.0%}{1e6 * costs.least[name]:14.0f}")
    least = sum(costs.least.values())
    print(f"{'a step':24}{1e6 * total:8.0f}{1:8.0%}{1e6 * least:14.0f}, {least / total:.0%} of the time")
    return costs


if __name__ == "__main__":
    command.run(main, Options)
