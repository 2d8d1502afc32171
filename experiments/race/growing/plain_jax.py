"""A plain JAX loop: a jitted step, and batches from NumPy; several seeds under ``vmap``.

The parameters are donated, so that a step updates them in place. With several seeds the examples stay on the
device, because their batches, one for each seed, are too much to copy there at every step.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.race.specification import features
from experiments.race.specification_growth import LEARNING_RATE, Epoch, Params, Size


def init(key: jax.Array, size: Size) -> Params:
    initializer = jax.nn.initializers.he_normal()
    keys = jax.random.split(key, size.depth + 1)
    shapes = list(zip(size.layers, size.layers[1:], strict=False))
    return [(initializer(key, shape), jnp.zeros(shape[1])) for key, shape in zip(keys, shapes, strict=True)]


def loss_fn(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
    *hidden, (w, b) = params
    for w_hidden, b_hidden in hidden:
        x = jax.nn.relu(x @ w_hidden + b_hidden)
    return -jnp.take_along_axis(jax.nn.log_softmax(x @ w + b), y[:, None], axis=1).mean()


def update(params: Params, x: jax.Array, y: jax.Array) -> Params:
    grads = jax.grad(loss_fn)(params, x, y)
    return jax.tree.map(lambda w, g: w - LEARNING_RATE * g, params, grads)


def prepare(size: Size, images: np.ndarray, labels: np.ndarray) -> Epoch:
    x, y, rng = features(images), labels, np.random.default_rng(0)
    if size.seeds == 1:
        params, compiled = init(jax.random.key(0), size), jax.jit(update, donate_argnums=0)

        def orders() -> np.ndarray:
            return rng.permutation(size.examples)

        def step(params: Params, batch: np.ndarray) -> Params:
            return compiled(params, x[batch], y[batch])

    else:
        params = jax.vmap(lambda key: init(key, size))(jax.random.split(jax.random.key(0), size.seeds))
        on_device = jax.device_put((x, y))
        for_each_seed = jax.jit(
            jax.vmap(lambda params, batch, x, y: update(params, x[batch], y[batch]), (0, 0, None, None)),
            donate_argnums=0,
        )

        def orders() -> np.ndarray:
            return rng.permuted(np.tile(np.arange(size.examples), (size.seeds, 1)), axis=1)

        def step(params: Params, batch: np.ndarray) -> Params:
            return for_each_seed(params, batch, *on_device)

    return _epochs(params, step, orders, size)


def _epochs(
    params: Params, step: Callable[[Params, Any], Params], orders: Callable[[], np.ndarray], size: Size
) -> Epoch:
    order = orders()
    for length in {size.batch_size, size.examples % size.batch_size or size.batch_size}:  # compiles
        params = step(params, order[..., :length])

    def epoch() -> Params:
        nonlocal params
        order = orders()
        for start in range(0, size.examples, size.batch_size):
            params = step(params, order[..., start : start + size.batch_size])
        return jax.block_until_ready(params)

    return epoch
