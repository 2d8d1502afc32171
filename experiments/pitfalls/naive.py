"""The notes' program in plain JAX, where nothing is checked, as a training in which one part can be wrong."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, one_hot, relu

from jaxnaive import batches, layers
from jaxnaive.batches import Examples

HIDDEN, LEARNING_RATE = 32, 0.05
BATCH_SIZE = 10  # equal to the number of classes, which makes one of the bugs silent
DEFAULT_BATCH_SIZE = 128  # of the notes' BatchGenerator
KEY = jax.random.key(0)


class BatchGenerator:
    """The notes' generator: each call returns the next examples, and there is no end."""

    def __init__(self, images: Any, labels: Any, batch_size: int = DEFAULT_BATCH_SIZE) -> None:
        self.images, self.labels, self.batch_size, self.index = images, labels, batch_size, 0
        self.num_batches = math.ceil(len(images) / batch_size)

    def next(self) -> tuple[Any, Any]:
        batch = slice(self.index, self.index + self.batch_size)
        self.index += self.batch_size
        return self.images[batch], self.labels[batch]


def forward(weights: Any, x: Any) -> Any:
    """The notes' network up to its logits, for the weights ``w1, b1, w2, b2``."""
    w1, b1, w2, b2 = weights
    return relu(x @ w1 + b1) @ w2 + b2


def cross_entropy(logits: Any, labels: Any) -> Any:
    """The correct loss, one value an example."""
    return -(one_hot(labels, logits.shape[-1]) * log_softmax(logits)).sum(axis=1)


class Training(NamedTuple):
    """All that decides a training of the notes' network with several seeds. A bug changes one part of it."""

    images: Any  # [examples, pixels], uint8
    labels: Any  # [examples]
    epochs: list[Any]  # of each epoch, the examples that each update sees: [seeds, updates, batch]
    weights: list[Any]  # the initial w1, b1, w2, b2: [seeds, ...]
    pixels: Callable[[Any], Any] = lambda images: images / 255
    loss: Callable[[Any, Any], Any] = cross_entropy
    num_trained: int = 4  # so many of the weights are updated, counted from the last


def without_bugs(train: Examples, classes: int, epochs: int, seeds: int) -> Training:
    """The training without a bug: every example once an epoch, in a new order each time."""
    keys, images = jax.random.split(KEY, seeds), flat(train.images)
    return Training(
        images=images,
        labels=jnp.asarray(train.labels),
        epochs=[shuffled(keys, epoch, len(images)) for epoch in range(epochs)],
        weights=initial_weights(seeds, images.shape[1], classes),
    )


@partial(jax.jit, static_argnames="count")
@partial(jax.vmap, in_axes=(0, None, None))
def shuffled(key: jax.Array, epoch: int, count: int) -> jax.Array:
    """An epoch as a table [updates, batch]. The last, short batch is left out, as in most loops."""
    steps = count // BATCH_SIZE
    return batches.epoch_order(key, epoch, count)[: steps * BATCH_SIZE].reshape(steps, BATCH_SIZE)


def initial_weights(seeds: int, pixels: int, classes: int, widest: float | None = None) -> list[jax.Array]:
    """Initial ``w1, b1, w2, b2`` for every seed: He's, or from U[0, widest) as in the notes."""

    def draw(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
        return layers.he_normal(key, shape) if widest is None else jax.random.uniform(key, shape) * widest

    first, second = jax.random.split(KEY)
    w1 = [draw(key, (pixels, HIDDEN)) for key in jax.random.split(first, seeds)]
    w2 = [draw(key, (HIDDEN, classes)) for key in jax.random.split(second, seeds)]
    return [jnp.stack(w1), jnp.zeros((seeds, HIDDEN)), jnp.stack(w2), jnp.zeros((seeds, classes))]


@partial(jax.jit, static_argnames=("pixels", "loss", "num_trained"))
@partial(jax.vmap, in_axes=(0, 0, None, None, None, None, None))
def train_epoch(
    weights: Any, rows: Any, images: Any, labels: Any, pixels: Any, loss: Any, num_trained: int
) -> Any:
    """The notes' loop over batches: forward, loss, gradient, update."""

    def step(weights: Any, row: Any) -> tuple[Any, None]:
        fixed, trained = weights[:-num_trained], weights[-num_trained:]

        def mean_loss(trained: Any) -> Any:
            return loss(forward(fixed + trained, pixels(images[row])), labels[row]).mean()

        gradients = jax.grad(mean_loss)(trained)
        return fixed + [w - LEARNING_RATE * g for g, w in zip(gradients, trained, strict=True)], None

    return jax.lax.scan(step, weights, rows)[0]


def accuracies(run: Training, test: Examples) -> np.ndarray:
    """Train, then test on images that are always divided by 255. Returns one accuracy a seed."""
    weights = run.weights
    for rows in run.epochs:
        weights = train_epoch(weights, rows, run.images, run.labels, run.pixels, run.loss, run.num_trained)
    logits = jax.vmap(forward, (0, None))(weights, flat(test.images) / 255)
    return np.asarray((logits.argmax(axis=-1) == jnp.asarray(test.labels)).mean(axis=-1))


def flat(images: Any) -> jax.Array:
    """``images.reshape((60000, 28 * 28))``."""
    return jnp.asarray(images).reshape(len(images), -1)
