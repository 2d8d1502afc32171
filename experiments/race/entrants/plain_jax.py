"""A plain JAX loop with optax: a jitted step, and batches from NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap, features
from experiments.race.specification_optax import make_loss, make_optimizer


def init(key: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
    initializer = jax.nn.initializers.glorot_uniform()
    keys, sizes = jax.random.split(key), [(784, HIDDEN), (HIDDEN, CLASSES)]
    return [(initializer(key, size), jnp.zeros(size[1])) for key, size in zip(keys, sizes, strict=True)]


def forward(params: list[tuple[jax.Array, jax.Array]], x: jax.Array) -> jax.Array:
    (w1, b1), (w2, b2) = params
    return jax.nn.relu(x @ w1 + b1) @ w2 + b2


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    x, y = features(data.train_images), data.train_labels
    optimizer, mean_loss = make_optimizer(hyperparameters, len(y)), make_loss(hyperparameters)
    params = init(jax.random.key(seed))
    state = optimizer.init(params)

    def loss_fn(params, x, y):
        return mean_loss(forward(params, x), y)

    @jax.jit
    def step(params, state, x, y):
        grads = jax.grad(loss_fn)(params, x, y)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    rng = np.random.default_rng(seed)
    for _ in range(hyperparameters.epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), hyperparameters.batch_size):
            batch = order[start : start + hyperparameters.batch_size]
            params, state = step(params, state, x[batch], y[batch])
        jax.block_until_ready(params)
        lap()
    return np.asarray(jax.jit(forward)(params, features(data.test_images))).argmax(axis=1)
