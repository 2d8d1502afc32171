"""Flax NNX, with optax."""

import jax
import numpy as np
from experiments.peers.in_optax import make_loss, make_optimizer
from flax import nnx

from experiments.peers import CLASSES, HIDDEN, Data, Lap, Recipe, features


class Model(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(784, HIDDEN, rngs=rngs)
        self.output = nnx.Linear(HIDDEN, CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.output(nnx.relu(self.hidden(x)))


def train(data: Data, recipe: Recipe, seed: int, lap: Lap) -> np.ndarray:
    x, y = features(data.train_images), data.train_labels
    model = Model(nnx.Rngs(seed))
    optimizer = nnx.Optimizer(model, make_optimizer(recipe, len(y)), wrt=nnx.Param)
    mean_loss = make_loss(recipe)

    def loss_fn(model: Model, x: jax.Array, y: jax.Array) -> jax.Array:
        return mean_loss(model(x), y)

    @nnx.jit
    def step(model: Model, optimizer: nnx.Optimizer, x: jax.Array, y: jax.Array) -> None:
        optimizer.update(model, nnx.grad(loss_fn)(model, x, y))

    rng = np.random.default_rng(seed)
    for _ in range(recipe.epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            step(model, optimizer, x[batch], y[batch])
        jax.block_until_ready(nnx.state(model))
        lap()
    return np.asarray(nnx.jit(lambda model, x: model(x))(model, features(data.test_images))).argmax(axis=1)
