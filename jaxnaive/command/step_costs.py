"""What the four steps of the training loop cost, and how near that is to the limit of the machine.

Matrix products cannot be had faster than at the best rate that the machine reaches with a large one, by XLA
or by NumPy. What a step takes beyond that is what is left to gain.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import batches, layers, optimizers, training
from jaxnaive.command import benchmark

ROUNDS, CALLS = 15, 40
LARGE = 2048  # rows and columns of the matrices whose product is the limit
INPUTS, HIDDEN, CLASSES = 784, 512, 10
EXAMPLES = 10_000  # random ones
NAMES = ("1 take a batch", "2, 3 run forward, loss", "4a gradient", "4b update")


class Costs(NamedTuple):
    """Of one training step, by its parts."""

    seconds: dict[str, float]
    least: dict[str, float]  # seconds of their matrix products at the best rate
    rate: float  # best rate of a float32 matrix product, FLOP a second


def measure(batch_size: int = 128, rounds: int = ROUNDS) -> Costs:
    """Time the four steps one by one, for the network of the notes on random data.

    Args:
      batch_size: examples a batch.
      rounds: in which everything is timed once; of these the medians are taken.

    Raises:
      ValueError: the batch size is not between 1 and 10,000.
    """
    batches.check_batch_size(batch_size, EXAMPLES)
    square, product = jnp.ones((LARGE, LARGE)), jax.jit(jnp.matmul)
    data, forward, both, step, large = benchmark.medians(
        *_steps(batch_size), lambda: product(square, square), rounds=rounds, calls=(*[CALLS] * 4, 1)
    )
    host = np.asarray(square)  # apart: NumPy's threads stay busy for a while, and slow XLA's down
    (by_numpy,) = benchmark.medians(lambda: host @ host, rounds=rounds)
    rate = 2 * LARGE**3 / min(large, by_numpy)
    least_forward, least_gradient = (
        2 * count / rate for count in multiplications(batch_size, INPUTS, HIDDEN, CLASSES)
    )
    return Costs(
        dict(zip(NAMES, (data, forward, both - forward, step), strict=True)),
        dict(zip(NAMES, (0.0, least_forward, least_gradient, 0.0), strict=True)),
        rate,
    )


def multiplications(batch_size: int, *sizes: int) -> tuple[int, int]:
    """How many the matrix products of a step have: of the forward pass, and of the gradient.

    The gradient has two products a layer, of which the first layer needs one: nobody asks for the images'.

    Args:
      batch_size: examples a batch.
      sizes: of the network, as :func:`jaxnaive.layers.mlp` takes them.

    >>> multiplications(1, 784, 512, 10) == (784 * 512 + 512 * 10, 784 * 512 + 2 * 512 * 10)
    True
    """
    first, *others = (inputs * outputs for inputs, outputs in pairwise(sizes))
    return batch_size * (first + sum(others)), batch_size * (first + 2 * sum(others))


def _steps(batch_size: int) -> list[Any]:
    """Functions that take a batch, compute its loss, its gradient too, and make an update."""
    rng = np.random.default_rng(0)
    examples = batches.Examples(
        jnp.asarray(rng.integers(0, 256, (EXAMPLES, 28, 28), np.uint8)),
        jnp.asarray(rng.integers(0, CLASSES, EXAMPLES, np.int32)),
    )
    model = layers.mlp(INPUTS, HIDDEN, CLASSES)
    recipe = training.Recipe(model, optimizers.sgd(0.1), batch_size=batch_size)
    params = model.init(jax.random.key(0))
    order = batches.epoch_order(jax.random.key(1), 0, EXAMPLES)
    row = jax.tree.map(lambda column: column[0], batches.index_table(order, batch_size))
    take, loss = jax.jit(batches.take), jax.jit(training.mean_loss, static_argnames="recipe")
    grad = jax.jit(jax.grad(training.mean_loss), static_argnames="recipe")

    @jax.jit
    def update(params: Any, grads: Any) -> Any:
        updates, _ = recipe.optimizer.update(grads, recipe.optimizer.init(params), params)
        return optimizers.apply_updates(params, updates)

    batch = take(examples, row)
    grads = grad(params, batch, recipe)
    return [
        lambda: take(examples, row),
        lambda: loss(params, batch, recipe),
        lambda: grad(params, batch, recipe),
        lambda: update(params, grads),
    ]


def to_text(costs: Costs) -> str:
    """A row a step: its time, its share, and the time of its matrix products at the best rate."""
    total, least = sum(costs.seconds.values()), sum(costs.least.values())
    rows = [
        f"{name:24}{1e6 * seconds:8.0f}{seconds / total:8.0%}{1e6 * costs.least[name]:14.0f}"
        for name, seconds in costs.seconds.items()
    ]
    return "\n".join(
        [
            f"product of two {LARGE} x {LARGE} matrices: {costs.rate / 1e9:.0f} GFLOP/s",
            f"{'':24}{'us':>8}{'share':>8}{'at that rate':>14}",
            *rows,
            f"{'a step':24}{1e6 * total:8.0f}{1:8.0%}{1e6 * least:14.0f}, {least / total:.0%} of the time",
        ]
    )
