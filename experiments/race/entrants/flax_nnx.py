"""Flax NNX, with optax."""

import jax
import numpy as np
from flax import nnx

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap, features
from experiments.race.specification_optax import make_loss, make_optimizer


class Model(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(784, HIDDEN, rngs=rngs)
        self.output = nnx.Linear(HIDDEN, CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.output(nnx.relu(self.hidden(x)))


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    x, y = features(data.train_images), data.train_labels
    model = Model(nnx.Rngs(seed))
    optimizer = nnx.Optimizer(model, make_optimizer(hyperparameters, len(y)), wrt=nnx.Param)
    mean_loss = make_loss(hyperparameters)

    def loss_fn(model: Model, x: jax.Array, y: jax.Array) -> jax.Array:
        return mean_loss(model(x), y)

    @nnx.jit
    def step(model: Model, optimizer: nnx.Optimizer, x: jax.Array, y: jax.Array) -> None:
        optimizer.update(model, nnx.grad(loss_fn)(model, x, y))

    rng = np.random.default_rng(seed)
    for _ in range(hyperparameters.epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), hyperparameters.batch_size):
            batch = order[start : start + hyperparameters.batch_size]
            step(model, optimizer, x[batch], y[batch])
        jax.block_until_ready(nnx.state(model))
        lap()
    return np.asarray(nnx.jit(lambda model, x: model(x))(model, features(data.test_images))).argmax(axis=1)
