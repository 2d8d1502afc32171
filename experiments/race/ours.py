"""jaxnaive: an epoch is one compiled scan, and the images stay uint8."""

import jax
import numpy as np

from experiments.peers import CLASSES, HIDDEN, Data, Lap, Recipe
from jaxnaive import layers, losses, optimizers, training
from jaxnaive.batches import Examples
from jaxnaive.command import compile_cache, garbage

garbage.freeze_imported_objects()
compile_cache.use()


def train(data: Data, recipe: Recipe, seed: int, lap: Lap) -> np.ndarray:
    rate = recipe.rate(len(data.train_labels), jax.numpy.minimum)
    job = training.Recipe(
        layers.mlp(784, HIDDEN, CLASSES),
        getattr(optimizers, recipe.optimizer)(rate),
        losses.smoothed_cross_entropy(recipe.label_smoothing),
        batch_size=recipe.batch_size,
    )
    examples = jax.device_put(Examples(data.train_images, data.train_labels))
    state = training.start(jax.random.key(seed), job)
    for _ in range(recipe.epochs):
        state, loss = training.train_epoch(state, examples, job)
        loss.block_until_ready()
        lap()
    return np.asarray(training.predict(state.params, data.test_images, job.model)).argmax(axis=1)
