"""Why does the copy not run? The thirteen bugs of the notes, one by one: each is made, caught, and paid for.

    python experiments/pitfalls.py

The notes' program stops at its bugs in turn, and TensorFlow says where. JAX lets more of them pass: it
broadcasts, it promotes, it clamps. So each line is run here as it stands, in plain JAX, and then handed to
jaxnaive. Where nothing stops it, networks are trained with it and without: that is what it costs.
"""

import math
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, one_hot, relu, softmax
from tqdm import tqdm

from jaxnaive import batches, command, data, layers, losses, optimizers, statistics, training
from jaxnaive.batches import Examples
from jaxnaive.command.options import DatasetName, Figures
from jaxnaive.data import Dataset
from jaxnaive.disk import files
from jaxnaive.job import check_at_least, epochs_for
from jaxnaive.pictures import plots

HIDDEN, LEARNING_RATE = 32, 0.05
BATCH_SIZE = 10  # as many as there are classes, which is what makes one of the bugs silent
DEFAULT_BATCH_SIZE = 128  # of the notes' BatchGenerator
MIN_UPDATES = 2000  # the 1,442 digits are seen more often than MNIST
KEY = jax.random.key(0)


@dataclass(frozen=True)
class Options:
    """Make the thirteen bugs of the notes, and see what catches them, or what they cost."""

    dataset: DatasetName = None
    examples: int = 20_000
    """how many of the training examples are trained on, the first ones, if there are as many"""
    epochs: int | None = None
    """how often they are seen; by default 2, or more when that makes fewer than 2,000 updates"""
    seeds: int = 8
    """networks trained with each bug, and without"""
    out: Figures = Path("runs/pitfalls")


# --- the notes' program, in plain JAX: nothing is checked ---------------------------------------------


class BatchGenerator:
    """The notes': the next examples at each call, without an end."""

    def __init__(self, images: Any, labels: Any, batch_size: int = DEFAULT_BATCH_SIZE) -> None:
        self.images, self.labels, self.batch_size, self.index = images, labels, batch_size, 0
        self.num_batches = math.ceil(len(images) / batch_size)

    def next(self) -> tuple[Any, Any]:
        batch = slice(self.index, self.index + self.batch_size)
        self.index += self.batch_size
        return self.images[batch], self.labels[batch]


def forward(weights: Any, x: Any) -> Any:
    """The notes' network without its softmax, of the weights ``w1, b1, w2, b2``."""
    w1, b1, w2, b2 = weights
    return relu(x @ w1 + b1) @ w2 + b2


def cross_entropy(logits: Any, labels: Any) -> Any:
    """One loss an example, done right."""
    return -(one_hot(labels, logits.shape[-1]) * log_softmax(logits)).sum(axis=1)


class Training(NamedTuple):
    """A training of the notes' network, for many seeds at a time. A bug is one part of it put wrongly."""

    images: Any  # [examples, pixels], uint8
    labels: Any  # [examples]
    epochs: list[Any]  # which examples each update sees: [seeds, updates, batch], an epoch each
    weights: list[Any]  # w1, b1, w2, b2 at the start: [seeds, ...]
    pixels: Callable[[Any], Any] = lambda images: images / 255
    loss: Callable[[Any, Any], Any] = cross_entropy
    listed: int = 4  # of the weights, from the last: those in the list that is updated


@partial(jax.jit, static_argnames=("pixels", "loss", "listed"))
@partial(jax.vmap, in_axes=(0, 0, None, None, None, None, None))
def train_epoch(
    weights: Any, rows: Any, images: Any, labels: Any, pixels: Any, loss: Any, listed: int
) -> Any:
    """The notes' loop over batches: forward, loss, gradient, update."""

    def step(weights: Any, row: Any) -> tuple[Any, None]:
        others, learning = weights[:-listed], weights[-listed:]

        def mean_loss(learning: Any) -> Any:
            return loss(forward(others + learning, pixels(images[row])), labels[row]).mean()

        gradients = jax.grad(mean_loss)(learning)
        return others + [w - LEARNING_RATE * g for g, w in zip(gradients, learning, strict=True)], None

    return jax.lax.scan(step, weights, rows)[0]


def accuracies(run: Training, test: Examples) -> np.ndarray:
    """Train, and test on the test images, which are always divided by 255. One accuracy a seed."""
    weights = run.weights
    for rows in run.epochs:
        weights = train_epoch(weights, rows, run.images, run.labels, run.pixels, run.loss, run.listed)
    logits = jax.vmap(forward, (0, None))(weights, flat(test.images) / 255)
    return np.asarray((logits.argmax(axis=-1) == jnp.asarray(test.labels)).mean(axis=-1))


def flat(images: Any) -> jax.Array:
    """``images.reshape((60000, 28 * 28))``."""
    return jnp.asarray(images).reshape(len(images), -1)


def start(seeds: int, pixels: int, classes: int, widest: float | None = None) -> list[jax.Array]:
    """First weights ``w1, b1, w2, b2``: by He, or from U[0, widest), as the notes do it."""

    def draw(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
        return layers.he_normal(key, shape) if widest is None else jax.random.uniform(key, shape) * widest

    first, second = jax.random.split(KEY)
    w1 = [draw(key, (pixels, HIDDEN)) for key in jax.random.split(first, seeds)]
    w2 = [draw(key, (HIDDEN, classes)) for key in jax.random.split(second, seeds)]
    return [jnp.stack(w1), jnp.zeros((seeds, HIDDEN)), jnp.stack(w2), jnp.zeros((seeds, classes))]


def as_it_should_be(options: Options, dataset: Dataset) -> Training:
    """The training without a bug: every example once an epoch, in a new order each time."""
    train, _ = batches.split(dataset.train, options.examples)
    count = len(train.labels)
    steps = count // BATCH_SIZE  # the last, short batch is left out, as in most loops
    epochs = options.epochs or epochs_for(MIN_UPDATES, count, BATCH_SIZE, at_least=2)

    @partial(jax.vmap, in_axes=(0, None))
    def order(key: jax.Array, epoch: int) -> jax.Array:
        return batches.epoch_order(key, epoch, count)[: steps * BATCH_SIZE].reshape(steps, BATCH_SIZE)

    keys = jax.random.split(KEY, options.seeds)
    return Training(
        images=flat(train.images),
        labels=jnp.asarray(train.labels),
        epochs=[order(keys, epoch) for epoch in range(epochs)],
        weights=start(options.seeds, dataset.num_features, len(dataset.class_names)),
    )


Change = Callable[[Training, Dataset], Training]  # puts a part of a training wrongly


class Pitfall(NamedTuple):
    """A bug of the notes. What it does is not told here but tried."""

    id: str
    title: str
    line: str  # as it stands in the notes
    correct: str
    in_jax: Callable[[Dataset], str]  # runs the line; returns what came of it, or raises
    guard: Callable[[Dataset], Any]  # hands the same to jaxnaive; raises, or returns what happens instead
    broken: Change | None = None  # of a silent bug, to measure what it costs
    right: Change = lambda run, dataset: run  # what to compare with


def network(dataset: Dataset) -> layers.Layer:
    """The same network in jaxnaive."""
    return layers.mlp(dataset.num_features, HIDDEN, len(dataset.class_names))


def recipe(dataset: Dataset, batch_size: int = BATCH_SIZE) -> training.Recipe:
    """The same training in jaxnaive."""
    return training.Recipe(network(dataset), optimizers.sgd(LEARNING_RATE), batch_size=batch_size)


def one_network(dataset: Dataset) -> list[jax.Array]:
    """Weights for :func:`forward`."""
    return [w[0] for w in start(1, dataset.num_features, len(dataset.class_names))]


def some(dataset: Dataset, count: int = 8) -> tuple[jax.Array, jax.Array]:
    """The first images and labels, as they should be."""
    return flat(dataset.train.images[:count]) / 255, jnp.asarray(dataset.train.labels[:count])


# --- B1 to B3: a method taken for a list, and the alarm that was switched off --------------------------


class NaiveDense:
    """The notes' layer. Without ``@property`` above it, ``layer.weights`` is a method and not a list."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.w, self.b = jnp.zeros((inputs, outputs)), jnp.zeros(outputs)

    def weights(self) -> list[jax.Array]:
        return [self.w, self.b]


class NaiveSequential:
    """The notes' model, with the same slip."""

    def __init__(self, *layers: Any) -> None:
        self.layers = layers

    def weights(self) -> list[jax.Array]:
        weights = []
        for layer in self.layers:
            weights += layer.weights
        return weights


def naive_layers(dataset: Dataset) -> tuple[NaiveDense, NaiveDense]:
    return NaiveDense(dataset.num_features, HIDDEN), NaiveDense(HIDDEN, len(dataset.class_names))


def gradient_of_a_method(dataset: Dataset) -> str:
    def loss(weights: Any) -> Any:
        return (images @ weights[0] + weights[1]).mean()

    (images, _), (layer, _) = some(dataset), naive_layers(dataset)
    return f"{len(jax.grad(loss)(layer.weights))} gradients"


def gradients_of_a_shorter_list(dataset: Dataset) -> str:
    """The alarm would have told of B2; it is needed for a list too short, such as by ``=`` for ``+=``."""

    def loss(weights: list[jax.Array]) -> jax.Array:
        return cross_entropy(forward(first.weights() + weights, images), labels).mean()

    (images, labels), (first, last) = some(dataset), naive_layers(dataset)
    weights = []
    for layer in (first, last):
        weights = layer.weights()
    return f"gradients of {len(jax.grad(loss)(weights))} arrays of 4; the others keep their first values"


B1 = Pitfall(
    "B1",
    "a method for a layer's weights",
    "def weights(self): return [self.w, self.b]",
    "@property above it; in jaxnaive parameters are values, which init returns",
    gradient_of_a_method,
    lambda dataset: layers.mlp(dataset.num_features, HIDDEN).forward(
        naive_layers(dataset)[0].weights, some(dataset)[0]
    ),
)
B2 = Pitfall(
    "B2",
    "a method for the model's weights",
    "weights += layer.weights",
    "the same line, with @property above both methods",
    lambda dataset: f"{len(NaiveSequential(*naive_layers(dataset)).weights())} arrays",
    lambda dataset: network(dataset).forward(
        NaiveSequential(*naive_layers(dataset)).weights, some(dataset)[0]
    ),
)
B3 = Pitfall(
    "B3",
    "a layer is missing in the list of weights",
    "#assert len(model.weights) == 4",
    "assert len(model.weights) == 4",
    gradients_of_a_shorter_list,
    lambda dataset: network(dataset).forward(network(dataset).init(KEY)[1:], some(dataset)[0]),
    broken=lambda run, dataset: run._replace(listed=2),
)


# --- B4: images and labels that are not as many -------------------------------------------------------


def batches_of_other_labels(dataset: Dataset) -> str:
    """The notes' loop on what the notes hand it: the test images, and the labels of the training images."""
    generator = BatchGenerator(flat(dataset.test.images), dataset.train.labels)
    weights = one_network(dataset)
    for count in range(generator.num_batches):
        images, labels = generator.next()
        try:
            cross_entropy(forward(weights, images / 255), labels)
        except TypeError as error:
            raise TypeError(f"only in batch {count}, after {count} of wrong pairs: {error}") from error
    return f"{generator.num_batches} batches"


def order_with_a_label_lost(dataset: Dataset) -> str:
    labels, last = jnp.asarray(dataset.train.labels[1:]), len(dataset.train.images) - 1
    return f"labels[{last}] of {len(labels)} labels is {labels[last]}, as if there were one"


B4 = Pitfall(
    "B4",
    "more labels than images",
    "#assert len(images) == len(labels)",
    "assert len(images) == len(labels)",
    batches_of_other_labels,
    lambda dataset: data.from_arrays(dataset.test.images, dataset.train.labels),
)
B4_SHUFFLED = B4._replace(
    title="the first label lost, examples shuffled",
    in_jax=order_with_a_label_lost,
    guard=lambda dataset: data.from_arrays(dataset.train.images, dataset.train.labels[1:]),
    broken=lambda run, dataset: run._replace(labels=run.labels[1:]),
)


# --- B5: one-hot loss, integer labels ------------------------------------------------------------------


def one_hot_loss(logits: Any, labels: Any) -> Any:
    """``-sum_j y_j log p_j``, as it is for one-hot ``y``. JAX_NUMPY_RANK_PROMOTION=raise would refuse it."""
    return -(labels * log_softmax(logits)).sum(axis=1)


def one_hot_loss_of_batch(size: int, dataset: Dataset) -> str:
    images, labels = some(dataset, size)
    logits = forward(one_network(dataset), images)
    wrong, right = one_hot_loss(logits, labels), cross_entropy(logits, labels)
    return f"a loss of {wrong.mean():.1f}, of the expected shape {wrong.shape}; right is {right.mean():.1f}"


def one_hot_loss_here(size: int, dataset: Dataset) -> jax.Array:
    images, labels = some(dataset, size)
    return losses.cross_entropy_one_hot(forward(one_network(dataset), images), labels)


B5 = Pitfall(
    "B5",
    "one-hot loss of integers, batch of 128",
    "categorical_crossentropy(labels_batch, predictions)",
    "sparse_categorical_crossentropy(labels_batch, predictions)",
    partial(one_hot_loss_of_batch, DEFAULT_BATCH_SIZE),
    partial(one_hot_loss_here, DEFAULT_BATCH_SIZE),
)
B5_SMALL = B5._replace(
    title="one-hot loss of integers, batch of 10",
    in_jax=partial(one_hot_loss_of_batch, BATCH_SIZE),
    guard=partial(one_hot_loss_here, BATCH_SIZE),
    broken=lambda run, dataset: run._replace(loss=one_hot_loss),
)


# --- B6 to B8: one wrong name, three consequences ------------------------------------------------------


def loss_of_other_images(dataset: Dataset) -> str:
    train_images, labels = flat(dataset.test.images), dataset.train.labels
    batch, its_labels = BatchGenerator(train_images / 255, labels).next()
    loss = cross_entropy(forward(one_network(dataset), batch), its_labels).mean()
    return f"{len(train_images):,} images, {len(labels):,} labels of others; batch 0 has a loss of {loss:.1f}"


def other_images(run: Training, dataset: Dataset) -> Training:
    images = flat(dataset.test.images)
    return run._replace(images=images, epochs=[rows % len(images) for rows in run.epochs])


def product_with_grey_values(dataset: Dataset) -> str:
    """JAX_NUMPY_DTYPE_PROMOTION=strict would refuse it, as TensorFlow does."""
    images, w1 = flat(dataset.train.images[:8]), one_network(dataset)[0]
    return f"{images.dtype} @ {w1.dtype} is {(images @ w1).dtype}, of pixels up to {images.max()}"


B6 = Pitfall(
    "B6",
    "test images in place of training images",
    "train_images = test_images.reshape((10000, 28 * 28))",
    "test_images = test_images.reshape((10000, 28 * 28))",
    loss_of_other_images,
    lambda dataset: training.train(
        KEY, Examples(dataset.test.images, dataset.train.labels), recipe(dataset), epochs=1
    ),
    broken=other_images,
)
B7 = Pitfall(
    "B7",
    "test images keep their rows and columns",
    "predictions = model(test_images)",
    "the same line, after test_images.reshape((10000, 28 * 28))",
    lambda dataset: f"{forward(one_network(dataset), jnp.asarray(dataset.test.images) / 255).shape}",
    lambda dataset: network(dataset).forward(
        network(dataset).init(KEY), jnp.asarray(dataset.test.images) / 255
    ),
)
B8 = Pitfall(
    "B8",
    "grey values 0 to 255, not divided",
    "train_images = test_images.reshape(...), after the line that divides by 255",
    'train_images.astype("float32") / 255',
    product_with_grey_values,
    lambda dataset: network(dataset).forward(network(dataset).init(KEY), flat(dataset.train.images[:8])),
    broken=lambda run, dataset: run._replace(pixels=lambda images: images),
)


# --- B9 to B11: batches --------------------------------------------------------------------------------


def fit_ignores(batch_size: int, dataset: Dataset) -> str:
    generator = BatchGenerator(dataset.train.images, dataset.train.labels)
    return f"asked for batches of {batch_size:,}, got {len(generator.next()[0])}"


def in_batches_of_128(run: Training, dataset: Dataset) -> Training:
    def cut(rows: Any) -> Any:
        steps = rows[0].size // DEFAULT_BATCH_SIZE
        return rows.reshape(len(rows), -1)[:, : steps * DEFAULT_BATCH_SIZE].reshape(
            len(rows), steps, DEFAULT_BATCH_SIZE
        )

    return run._replace(epochs=[cut(rows) for rows in run.epochs])


def in_order(run: Training, dataset: Dataset) -> Training:
    ordered = jnp.sort(run.epochs[0].reshape(len(run.weights[0]), -1)).reshape(run.epochs[0].shape)
    return run._replace(epochs=[ordered] * len(run.epochs))


def sorted_by_class(run: Training, dataset: Dataset) -> Training:
    order = jnp.argsort(run.labels, stable=True)
    return in_order(run._replace(images=run.images[order], labels=run.labels[order]), dataset)


def two_epochs_of_the_notes(dataset: Dataset) -> str:
    numbers = range(len(dataset.train.labels))
    starts = [BatchGenerator(numbers, numbers).next()[0][:3] for _ in range(2)]
    return f"epochs 0 and 1 begin with images {' and '.join(str([*start]) for start in starts)}"


def two_epochs_here(dataset: Dataset) -> str:
    count = len(dataset.train.labels)
    first, second = (np.asarray(batches.epoch_order(KEY, epoch, count)) for epoch in (0, 1))
    return f"no error; in the second epoch {np.mean(first != second):.1%} of the places hold another example"


def batch_after_the_last(dataset: Dataset) -> str:
    generator = BatchGenerator(flat(dataset.train.images), dataset.train.labels)
    for _ in range(generator.num_batches):
        generator.next()
    images, labels = generator.next()
    loss, gradients = jax.value_and_grad(
        lambda weights: cross_entropy(forward(weights, images / 255), labels).mean()
    )(one_network(dataset))
    largest = max(float(jnp.abs(gradient).max()) for gradient in gradients)
    return (
        f"{len(images)} images, a loss of {loss}, and a gradient of {largest:g}: nothing is learnt any more"
    )


def slice_after_the_last(dataset: Dataset) -> str:
    count = len(dataset.train.labels)
    begin = count // DEFAULT_BATCH_SIZE * DEFAULT_BATCH_SIZE
    got = jax.lax.dynamic_slice(jnp.arange(count), (begin,), (DEFAULT_BATCH_SIZE,))
    return f"asked for images from {begin:,} on, got those from {got[0]:,}: {begin - got[0]} a second time"


def nothing_after_the_first_epoch(run: Training, dataset: Dataset) -> Training:
    first, *others = run.epochs
    return run._replace(epochs=[first, *(rows[..., :0] for rows in others)])


def the_last_batch_for_ever(run: Training, dataset: Dataset) -> Training:
    first, *others = run.epochs
    return run._replace(epochs=[first, *(jnp.broadcast_to(first[:, -1:], first.shape) for _ in others)])


def no_batch_after_the_last(dataset: Dataset) -> str:
    count = len(dataset.train.labels)
    table = batches.index_table(jnp.arange(count, dtype=jnp.int32), DEFAULT_BATCH_SIZE)
    return (
        f"no error; {len(table.index)} rows and an end, {table.weight.sum():,.0f} images of weight 1, and "
        f"{(1 - table.weight).sum():.0f} to fill up the last row, of weight 0"
    )


B9 = Pitfall(
    "B9",
    "fit ignores batch_size",
    "batch_generator = BatchGenerator(images, labels)",
    "batch_generator = BatchGenerator(images, labels, batch_size)",
    lambda dataset: fit_ignores(len(dataset.train.labels) + 1, dataset),
    lambda dataset: training.train(
        KEY, dataset.train, recipe(dataset, len(dataset.train.labels) + 1), epochs=1
    ),
    broken=in_batches_of_128,
)
B10 = Pitfall(
    "B10",
    "no shuffling, in the order of the files",
    "images = self.images[self.index: self.index + self.batch_size]",
    "indices from a permutation, a new one each epoch",
    two_epochs_of_the_notes,
    two_epochs_here,
    broken=in_order,
)
B10_SORTED = B10._replace(title="no shuffling, files sorted by class", broken=sorted_by_class)
B11 = Pitfall(
    "B11",
    "one generator for all epochs, slices",
    "def next(self): ..., which has no end",
    "an iterator with an end, or a table of indices",
    batch_after_the_last,
    lambda dataset: batches.check(Examples(*(array[len(array) :] for array in dataset.train))),
    broken=nothing_after_the_first_epoch,
)
B11_CLAMPED = B11._replace(
    title="one generator for all epochs, dynamic_slice",
    in_jax=slice_after_the_last,
    guard=no_batch_after_the_last,
    broken=the_last_batch_for_ever,
)


# --- B12: softmax in the network, log in the loss -------------------------------------------------------


def log_of_softmax(logits: Any, labels: Any) -> Any:
    return -(one_hot(labels, logits.shape[-1]) * jnp.log(softmax(logits))).sum(axis=1)


def log_of_clipped_softmax(logits: Any, labels: Any) -> Any:
    """As Keras does it."""
    clipped = jnp.clip(softmax(logits), 1e-7, 1 - 1e-7)
    return -(one_hot(labels, logits.shape[-1]) * jnp.log(clipped)).sum(axis=1)


def at_logits_far_apart(loss: Callable[[Any, Any], Any], dataset: Dataset | None = None) -> str:
    """What a very wrong answer teaches."""
    logits, label = jnp.array([[200.0, 0.0]]), jnp.array([1], jnp.int32)
    value, gradient = jax.value_and_grad(lambda logits: loss(logits, label).sum())(logits)
    slope = (gradient + 0)[0].tolist()  # + 0 makes 0 of -0
    return f"at logits of 200 and 0, and label 1: a loss of {value:g}, and a gradient of {slope}"


def from_wide_weights(run: Training, dataset: Dataset) -> Training:
    """First weights from U[0, 1), ten times as wide as the notes', so that the logits lie far apart."""
    classes = run.weights[3].shape[1]
    return run._replace(weights=start(len(run.weights[3]), dataset.num_features, classes, widest=1.0))


B12 = Pitfall(
    "B12",
    "log after softmax",
    "activation=tf.nn.softmax, and the logarithm in the loss",
    "logits, and log-sum-exp in the loss",
    partial(at_logits_far_apart, log_of_softmax),
    lambda dataset: f"no error; {at_logits_far_apart(losses.cross_entropy)}",
    broken=lambda run, dataset: from_wide_weights(run, dataset)._replace(loss=log_of_softmax),
    right=from_wide_weights,
)
B12_CLIPPED = B12._replace(
    title="log after softmax, clipped as in Keras",
    in_jax=partial(at_logits_far_apart, log_of_clipped_softmax),
    broken=lambda run, dataset: from_wide_weights(run, dataset)._replace(loss=log_of_clipped_softmax),
)


# --- B13: the copy has lost its indentation ---------------------------------------------------------------

LISTING = """\
def weights(self):
return [self.w, self.b]
"""


def run_listing(text: str) -> str:
    compile(text, "notes", "exec")
    return "Python reads it"


B13 = Pitfall(
    "B13",
    "the indentation is lost",
    LISTING.replace("\n", " / ", 1).strip(),
    "four blanks before return",
    lambda dataset: run_listing(LISTING),
    lambda dataset: f"no error; {run_listing(LISTING.replace('return', '    return'))} when it is indented",
)

PITFALLS = (
    B1, B2, B3, B4, B4_SHUFFLED, B5, B5_SMALL, B6, B7, B8, B9, B10, B10_SORTED, B11, B11_CLAMPED, B12,
    B12_CLIPPED, B13,
)  # fmt: skip


# --- what becomes of them ---------------------------------------------------------------------------------


class Row(NamedTuple):
    """What became of a pitfall."""

    id: str
    title: str
    line: str
    correct: str
    in_jax: str  # the error, or what happened instead of one
    silent: bool  # whether it was no error
    guard: str  # the error in jaxnaive, or what happens instead
    right: statistics.Summary | None  # test accuracy, over seeds
    broken: statistics.Summary | None


def main(options: Options) -> list[Row]:
    """Returns what became of each, in order."""
    with command.usage():
        check_at_least("examples", options.examples, 2 * DEFAULT_BATCH_SIZE)
        check_at_least("epochs", options.epochs, 2)
        check_at_least("seeds", options.seeds, 2)
        data.check_name(options.dataset)
        files.make_folder(options.out)
    dataset = data.load(options.dataset)
    with command.usage():
        check(dataset)
    run = as_it_should_be(options, dataset)
    # What JAX does by itself, whatever is set around this program.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        right = {change: measure(change, run, dataset) for change in {pitfall.right for pitfall in PITFALLS}}
        rows = [
            become(pitfall, run, dataset, right[pitfall.right])
            for pitfall in tqdm(PITFALLS, desc="pitfalls", unit="bug")
        ]
    report(rows)
    pairs = [plots.Pair(f"{row.id}  {row.title}", row.right, row.broken, told(row)) for row in rows]
    title = f"The bugs of the notes in JAX: {dataset.name}, {options.seeds} seeds"
    plots.pairs(options.out / "pitfalls.png", pairs, "test accuracy, with standard deviation", title)
    print(f"saved {options.out}/pitfalls.png")
    return rows


def check(dataset: Dataset) -> None:
    """Raise ``ValueError`` unless it is like the notes' data: some of the bugs need just that."""
    classes, images = len(dataset.class_names), dataset.train.images
    if classes != BATCH_SIZE or images.dtype != np.uint8:
        raise ValueError(
            f"dataset: got {images.dtype} in {classes} classes, expected grey values (uint8) in "
            f"{BATCH_SIZE}, as in mnist, fashion_mnist, kmnist, digits"
        )


def become(pitfall: Pitfall, run: Training, dataset: Dataset, right: statistics.Summary) -> Row:
    """Make the bug in JAX and in jaxnaive, and measure what it costs where nothing stops it."""
    in_jax, silent = outcome(pitfall.in_jax, dataset)
    guard, _ = outcome(pitfall.guard, dataset)
    broken = None if pitfall.broken is None else measure(pitfall.broken, run, dataset)
    return Row(*pitfall[:4], in_jax, silent, guard, None if broken is None else right, broken)


def measure(change: Change, run: Training, dataset: Dataset) -> statistics.Summary:
    """Test accuracy with a part of the training changed."""
    return statistics.summarise(accuracies(change(run, dataset), dataset.test))


def outcome(action: Callable[[Dataset], Any], dataset: Dataset) -> tuple[str, bool]:
    """What an action returns, or the first line of the error it raises; and whether it raised none."""
    try:
        return str(action(dataset)), True
    except (TypeError, ValueError, SyntaxError) as error:
        first, *_ = re.sub(r" object at 0x\w+", "", str(error)).splitlines()
        return f"{type(error).__name__}: {first}", False


def told(row: Row) -> str:
    """What one is told of a bug in plain JAX."""
    return "silent" if row.silent else f"raises {row.in_jax.partition(':')[0]}"


def report(rows: list[Row]) -> None:
    """Each pitfall in full, then all of them in a line each."""
    for row in rows:
        print(f"\n{row.id}  {row.title}")
        for name, text in (
            ("notes", row.line), ("should be", row.correct), ("JAX", row.in_jax), ("jaxnaive", row.guard)
        ):  # fmt: skip
            print(textwrap.fill(f"{name:10}{text}", 110, initial_indent="    ", subsequent_indent=" " * 14))
    print(f"\n{'':51}{'in JAX':26}{'test accuracy, right':22}broken")
    for row in rows:
        numbers = [f"{s.mean:.4f} +- {s.sd:.4f}" for s in (row.right, row.broken) if s is not None]
        line = f"{row.id:5}{row.title:46}{told(row):26}{''.join(f'{number:22}' for number in numbers)}"
        print(line.rstrip())
    print(f"{sum(row.silent for row in rows)} of {len(rows)} are silent in JAX")


if __name__ == "__main__":
    command.run(main, Options)
