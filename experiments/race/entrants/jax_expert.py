"""JAX as one who knows it writes it: each epoch is one compiled scan, its state donated, the images uint8."""

from functools import partial

import jax
import numpy as np
import optax

from experiments.race.entrants.plain_jax import forward, init
from experiments.race.specification import Data, Hyperparameters, Lap
from experiments.race.specification_optax import make_loss, make_optimizer


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    size, (examples, *_) = hyperparameters.batch_size, data.train_images.shape
    optimizer, mean_loss = make_optimizer(hyperparameters, examples), make_loss(hyperparameters)
    rng, whole = np.random.default_rng(seed), examples - examples % size

    def logits_of(params, images):
        return forward(params, images.reshape(len(images), -1) / np.float32(255))

    @partial(jax.jit, donate_argnums=0)
    def epoch(state, images, labels, order):
        def step(state, batch):
            params, moments = state
            grads = jax.grad(lambda params: mean_loss(logits_of(params, images[batch]), labels[batch]))(
                params
            )
            updates, moments = optimizer.update(grads, moments, params)
            return (optax.apply_updates(params, updates), moments), None

        state, _ = jax.lax.scan(step, state, order[:whole].reshape(-1, size))
        return step(state, order[whole:])[0] if whole < examples else state

    images, labels = jax.device_put((data.train_images, data.train_labels))
    state = jax.jit(lambda key: (params := init(key), optimizer.init(params)))(jax.random.key(seed))
    for _ in range(hyperparameters.epochs):
        state = jax.block_until_ready(epoch(state, images, labels, rng.permutation(examples)))
        lap()
    return np.asarray(jax.jit(logits_of)(state[0], data.test_images)).argmax(axis=1)
