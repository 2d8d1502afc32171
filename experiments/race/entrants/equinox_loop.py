"""Equinox, with optax."""

import equinox as eqx
import jax
import numpy as np

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap, features
from experiments.race.specification_optax import make_loss, make_optimizer


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    x, y = features(data.train_images), data.train_labels
    model = eqx.nn.MLP(784, CLASSES, HIDDEN, depth=1, key=jax.random.key(seed))
    optimizer, mean_loss = make_optimizer(hyperparameters, len(y)), make_loss(hyperparameters)
    state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))

    def loss_fn(model, x, y):
        return mean_loss(jax.vmap(model)(x), y)

    @eqx.filter_jit
    def step(model, state, x, y):
        grads = eqx.filter_grad(loss_fn)(model, x, y)
        updates, state = optimizer.update(grads, state, model)
        return eqx.apply_updates(model, updates), state

    rng = np.random.default_rng(seed)
    for _ in range(hyperparameters.epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), hyperparameters.batch_size):
            batch = order[start : start + hyperparameters.batch_size]
            model, state = step(model, state, x[batch], y[batch])
        jax.block_until_ready(eqx.filter(model, eqx.is_array))
        lap()
    logits = eqx.filter_jit(lambda model, x: jax.vmap(model)(x))(model, features(data.test_images))
    return np.asarray(logits).argmax(axis=1)
