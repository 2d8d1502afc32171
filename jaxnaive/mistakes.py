"""The mistakes of the notes that raise no error in JAX: a small training, and what each of them costs it.

All that decides the training is a value in :class:`Training`, and a mistake replaces one or two of them. The
programs are therefore the same but for the loss and the size of a batch, and most are compiled once.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Shaped, UInt8

from jaxnaive import batches, layers, losses
from jaxnaive.batches import AnyArray, Examples

HIDDEN, LEARNING_RATE = 32, 0.05
DEFAULT_BATCH_SIZE = 128  # of the notes' BatchGenerator

Weights = tuple[Array, Array, Array, Array]  # w1, b1, w2, b2, of one network or of several
Number = float | Float[Array, ""]
Loss = Callable[[Array, Array], Array]  # logits, labels -> one value an example


class Training(NamedTuple):
    """A training of the notes' network with several seeds at once."""

    images: UInt8[Array, "examples pixels"]
    labels: Int[Array, " examples"]
    epochs: tuple[Int[Array, "seeds updates batch"], ...]  # which examples each update sees
    weights: Weights  # the initial ones: [seeds, ...]
    divisor: float = 255.0  # of the grey values
    trained: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)  # which of the weights are updated
    loss: Loss = losses.cross_entropy


Change = Callable[[Training, Shaped[AnyArray, "tests ..."]], Training]  # takes the test images too


class Mistake(NamedTuple):
    """One way to spoil a training silently."""

    row: str  # of the notes, B3 to B12
    title: str
    change: Change
    wide: bool = False  # whether both trainings, with it and without, start from wide weights


class Cost(NamedTuple):
    """The test accuracies without a mistake and with it."""

    mistake: Mistake
    right: Float[Array, " seeds"]
    wrong: Float[Array, " seeds"]


# --- the training ------------------------------------------------------------------------------------


def correct(key: Key[Array, ""], train: Examples, classes: int, epochs: int, seeds: int) -> Training:
    """The training without a mistake: every example once an epoch, in a new order each time.

    A batch has as many examples as there are classes, which is 10 for digits: that makes B5 silent. The last,
    short batch is left out, as in most loops by hand.

    Args:
      key: decides the first weights and the orders.
      train: uint8 images and labels.
      classes: the number of classes.
      epochs: how often every example is seen.
      seeds: how many networks to train.
    """
    key_weights, key_orders = jax.random.split(key)
    images = flat(train.images)
    return Training(
        images=images,
        labels=jnp.asarray(train.labels),
        epochs=tuple(_orders(key_orders, len(images), classes, epochs, seeds)),
        weights=_initial_weights(key_weights, seeds, (images.shape[1], HIDDEN, classes), layers.he_normal),
    )


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _orders(key: Array, examples: int, batch: int, epochs: int, seeds: int) -> list[Array]:
    """The table of every epoch, [seeds, updates, batch]."""
    updates = examples // batch

    def table(epoch: Array, key: Array) -> Array:
        order = batches.epoch_order(key, epoch, examples)
        return order[: updates * batch].reshape(updates, batch)

    over_seeds = jax.vmap(table, in_axes=(None, 0))
    tables = jax.vmap(over_seeds, in_axes=(0, None))(jnp.arange(epochs), jax.random.split(key, seeds))
    return [tables[epoch] for epoch in range(epochs)]


def forward(weights: Weights, x: Float[Array, "batch pixels"]) -> Float[Array, "batch classes"]:
    """The logits of the notes' network."""
    w1, b1, w2, b2 = weights
    return jax.nn.relu(x @ w1 + b1) @ w2 + b2


@partial(jax.jit, static_argnames="loss")
def train_epoch(
    weights: Weights,
    rows: Int[Array, "seeds updates batch"],
    images: UInt8[Array, "examples pixels"],
    labels: Int[Array, " examples"],
    divisor: Number,
    trained: tuple[Number, Number, Number, Number],
    loss: Loss,
) -> Weights:
    """The notes' loop over batches for every seed: forward, loss, gradient, update."""

    def mean_loss(weights: Weights, row: Array) -> Array:
        pixels = images[row].astype(jnp.float32) / divisor
        return loss(forward(weights, pixels), labels[row]).mean()

    def step(weights: Weights, row: Array) -> tuple[Weights, None]:
        gradients = jax.grad(mean_loss)(weights, row)
        moved = [w - LEARNING_RATE * on * g for w, on, g in zip(weights, trained, gradients, strict=True)]
        return (moved[0], moved[1], moved[2], moved[3]), None

    return jax.vmap(lambda weights, rows: jax.lax.scan(step, weights, rows)[0])(weights, rows)


def accuracies(run: Training, test: Examples) -> Float[Array, " seeds"]:
    """Train, then test on images that are always divided by 255."""
    weights = run.weights
    for rows in run.epochs:
        weights = train_epoch(weights, rows, run.images, run.labels, run.divisor, run.trained, run.loss)
    logits = jax.vmap(forward, (0, None))(weights, batches.as_features(test.images))
    return jnp.mean(logits.argmax(axis=-1) == jnp.asarray(test.labels), axis=-1)


def costs(run: Training, test: Examples) -> list[Cost]:
    """What every mistake costs a correct training, in the order of the notes."""
    starts = {False: run, True: with_wide_weights(run)}
    right = {wide: accuracies(start, test) for wide, start in starts.items()}
    return [
        Cost(
            mistake, right[mistake.wide], accuracies(mistake.change(starts[mistake.wide], test.images), test)
        )
        for mistake in MISTAKES
    ]


def flat(images: Shaped[AnyArray, "examples ..."]) -> Shaped[Array, "examples pixels"]:
    """One row for each image."""
    return jnp.asarray(images).reshape(len(images), -1)


# --- losses that are wrong -----------------------------------------------------------------------------


def one_hot_loss(
    logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Float[Array, " outcome"]:
    """``-sum_j y_j log p_j``, which is right for one-hot ``y``, applied to integers.

    With as many examples as classes the label of example ``j`` becomes the factor of class ``j``, for all
    examples. With another number of them, other than 1, JAX raises ``TypeError`` or ``ValueError``.
    """
    return -(labels.astype(jnp.float32) * jax.nn.log_softmax(logits)).sum(axis=1)


def log_of_softmax(
    logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """The logarithm of a probability that may be 0: then the loss is infinite and its gradient NaN."""
    return -jnp.log(jax.nn.softmax(logits)[jnp.arange(len(labels)), labels])


def log_of_clipped_softmax(
    logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """The same as in Keras, which clips probabilities: the loss stops at 16.1, with a gradient of 0."""
    return losses.cross_entropy_of_probabilities(layers.softmax(logits), labels)


# --- the mistakes ----------------------------------------------------------------------------------------


def with_wide_weights(run: Training) -> Training:
    """Initial weights from U[0, 1), ten times as wide as the notes', so that the logits lie far apart."""
    w1, _, w2, _ = run.weights
    sizes = (*w1.shape[1:], w2.shape[2])
    return run._replace(weights=_initial_weights(jax.random.key(1), len(w1), sizes, jax.random.uniform))


@partial(jax.jit, static_argnums=(1, 2, 3))
def _initial_weights(
    key: Array, seeds: int, sizes: tuple[int, int, int], draw: layers.Initializer
) -> Weights:
    inputs, hidden, classes = sizes
    first, second = jax.random.split(key)
    w1 = jax.vmap(lambda key: draw(key, (inputs, hidden)))(jax.random.split(first, seeds))
    w2 = jax.vmap(lambda key: draw(key, (hidden, classes)))(jax.random.split(second, seeds))
    return w1, jnp.zeros((seeds, hidden)), w2, jnp.zeros((seeds, classes))


def shifted_labels(run: Training, _: AnyArray) -> Training:
    """The first label is lost, so each image has that of the next. JAX gives the last one the last label."""
    return run._replace(labels=jnp.append(run.labels[1:], run.labels[-1]))


def images_of_others(run: Training, test_images: AnyArray) -> Training:
    """The test images in place of the training images, whose labels stay."""
    places = jnp.arange(len(run.images)) % len(test_images)
    return run._replace(images=flat(test_images)[places])


def batches_of_128(run: Training, _: AnyArray) -> Training:
    """The batches have the default size, whatever was asked for."""

    def cut(rows: Array) -> Array:
        seeds, examples = len(rows), rows[0].size // DEFAULT_BATCH_SIZE * DEFAULT_BATCH_SIZE
        return rows.reshape(seeds, -1)[:, :examples].reshape(seeds, -1, DEFAULT_BATCH_SIZE)

    return run._replace(epochs=tuple(cut(rows) for rows in run.epochs))


def stored_order(run: Training, _: AnyArray) -> Training:
    """Every epoch sees the examples in the order in which they are stored."""
    rows = run.epochs[0]
    ordered = jnp.sort(rows.reshape(len(rows), -1)).reshape(rows.shape)
    return run._replace(epochs=(ordered,) * len(run.epochs))


def order_of_classes(run: Training, test_images: AnyArray) -> Training:
    """The same for examples that are stored class by class."""
    order = jnp.argsort(run.labels, stable=True)
    return stored_order(run._replace(images=run.images[order], labels=run.labels[order]), test_images)


def one_epoch(run: Training, _: AnyArray) -> Training:
    """Later epochs see empty batches, whose gradient is 0."""
    return run._replace(epochs=run.epochs[:1])


def last_batch_again(run: Training, _: AnyArray) -> Training:
    """Later epochs see the last batch only, to which ``dynamic_slice`` clamps every start past the end."""
    first, *others = run.epochs
    return run._replace(epochs=(first, *(jnp.broadcast_to(first[:, -1:], first.shape) for _ in others)))


MISTAKES = (
    Mistake(
        "B3", "a layer is missing in the list", lambda run, _: run._replace(trained=(0.0, 0.0, 1.0, 1.0))
    ),
    Mistake("B4", "the first label is lost", shifted_labels),
    Mistake("B5", "one-hot loss of integer labels", lambda run, _: run._replace(loss=one_hot_loss)),
    Mistake("B6", "test images with training labels", images_of_others),
    Mistake("B8", "grey values 0 to 255, not divided", lambda run, _: run._replace(divisor=1.0)),
    Mistake("B9", "the batch size is ignored", batches_of_128),
    Mistake("B10", "not shuffled, in the order of the files", stored_order),
    Mistake("B10", "not shuffled, files sorted by class", order_of_classes),
    Mistake("B11", "no end: empty batches", one_epoch),
    Mistake("B11", "no end: dynamic_slice, the last batch", last_batch_again),
    Mistake("B12", "log after softmax", lambda run, _: run._replace(loss=log_of_softmax), wide=True),
    Mistake(
        "B12",
        "log after softmax, clipped",
        lambda run, _: run._replace(loss=log_of_clipped_softmax),
        wide=True,
    ),
)
