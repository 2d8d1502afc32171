"""jaxnaive: each epoch is one compiled scan, and the images stay uint8."""

import jax
import numpy as np

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap
from jaxnaive import layers, losses, optimizers, training
from jaxnaive.batches import Examples
from jaxnaive.command import compile_cache, garbage

garbage.freeze_imported_objects()
compile_cache.use()


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    rate = hyperparameters.rate(len(data.train_labels), jax.numpy.minimum)
    recipe = training.Recipe(
        layers.mlp(784, HIDDEN, CLASSES),
        getattr(optimizers, hyperparameters.optimizer)(rate),
        losses.smoothed_cross_entropy(hyperparameters.label_smoothing),
        batch_size=hyperparameters.batch_size,
    )
    examples = jax.device_put(Examples(data.train_images, data.train_labels))
    state = training.start(jax.random.key(seed), recipe)
    for _ in range(hyperparameters.epochs):
        state, loss = training.train_epoch(state, examples, recipe)
        loss.block_until_ready()
        lap()
    return np.asarray(training.predict(state.params, data.test_images, recipe.model)).argmax(axis=1)
