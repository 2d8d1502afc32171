"""What the four steps of the training loop cost (row S50 of the notes).

    python experiments/steps.py

The notes say that the first step is only input, that the second and third are only tensor operations, and
that the fourth is the hard one: here they are timed one by one, for the network of the notes on random data.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import batches, command, layers, optimizers, timing, training

ROUNDS, CALLS = 15, 40


@dataclass(frozen=True)
class Options:
    """Time the four steps of the training loop."""

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
    times = timing.medians(
        lambda: take(examples, row),
        lambda: loss(params, batch, recipe),
        lambda: grad(params, batch, recipe),
        lambda: update(params, grads),
        rounds=ROUNDS,
        calls=CALLS,
    )
    data, forward, both, step = (1e6 * seconds for seconds in times)
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
    return costs


if __name__ == "__main__":
    command.run(main, Options)
