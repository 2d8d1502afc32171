"""The thirteen bugs of the notes, a function each: in plain JAX, in jaxnaive, and in a training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, one_hot, softmax

from experiments.pitfalls.naive import (
    BATCH_SIZE,
    DEFAULT_BATCH_SIZE,
    HIDDEN,
    KEY,
    LEARNING_RATE,
    BatchGenerator,
    Training,
    cross_entropy,
    flat,
    forward,
    initial_weights,
)
from jaxnaive import batches, data, layers, losses, optimizers, training
from jaxnaive.batches import Examples
from jaxnaive.data import Dataset

Change = Callable[[Training, Dataset], Training]


def unchanged(run: Training, dataset: Dataset) -> Training:
    """The training as it is."""
    return run


class Bug(NamedTuple):
    """A bug of the notes. What it does is not written here; ``pitfalls.py`` tries it."""

    id: str  # B1 to B13; variants of a bug share it
    title: str
    line: str  # as it stands in the notes
    correct: str
    in_jax: Callable[[Dataset], str]  # runs the line in plain JAX; returns what happens, or raises
    in_jaxnaive: Callable[
        [Dataset], Any
    ]  # does the same in jaxnaive; raises, or returns what happens instead
    broken: Change | None = None  # puts a silent bug into a training, to measure what it costs
    right: Change = unchanged  # makes the training that it is compared with


def network(dataset: Dataset) -> layers.Layer:
    """The notes' network in jaxnaive."""
    return layers.mlp(dataset.num_features, HIDDEN, len(dataset.class_names))


def recipe(dataset: Dataset, batch_size: int = BATCH_SIZE) -> training.Recipe:
    """The notes' training in jaxnaive."""
    return training.Recipe(network(dataset), optimizers.sgd(LEARNING_RATE), batch_size=batch_size)


def one_network(dataset: Dataset) -> list[jax.Array]:
    """Weights of one network for :func:`forward`."""
    return [w[0] for w in initial_weights(1, dataset.num_features, len(dataset.class_names))]


def first_examples(dataset: Dataset, count: int = BATCH_SIZE) -> tuple[jax.Array, jax.Array]:
    """The first images, flat and divided by 255, and their labels."""
    return flat(dataset.train.images[:count]) / 255, jnp.asarray(dataset.train.labels[:count])


# --- B1 to B3: a method in the place of a list, and the check that was commented out -------------------


class NaiveDense:
    """The notes' layer. Without ``@property`` above it, ``layer.weights`` is a method and not a list."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.w, self.b = jnp.zeros((inputs, outputs)), jnp.zeros(outputs)

    def weights(self) -> list[jax.Array]:
        return [self.w, self.b]


class NaiveSequential:
    """The notes' model, in which ``@property`` is missing too."""

    def __init__(self, *layers: Any) -> None:
        self.layers = layers

    def weights(self) -> list[jax.Array]:
        weights = []
        for layer in self.layers:
            weights += layer.weights
        return weights


def naive_layers(dataset: Dataset) -> tuple[NaiveDense, NaiveDense]:
    """The two layers of the notes' network."""
    return NaiveDense(dataset.num_features, HIDDEN), NaiveDense(HIDDEN, len(dataset.class_names))


def b1_weights_of_a_layer() -> Bug:
    """The method itself is handed on where its result is meant."""

    def in_jax(dataset: Dataset) -> str:
        def loss(weights: Any) -> Any:
            return (images @ weights[0] + weights[1]).mean()

        (images, _), (layer, _) = first_examples(dataset), naive_layers(dataset)
        return f"{len(jax.grad(loss)(layer.weights))} gradients"

    def in_jaxnaive(dataset: Dataset) -> Any:
        (images, _), (layer, _) = first_examples(dataset), naive_layers(dataset)
        return layers.mlp(dataset.num_features, HIDDEN).forward(layer.weights, images)

    return Bug(
        id="B1",
        title="a method for a layer's weights",
        line="def weights(self): return [self.w, self.b]",
        correct="@property above it; in jaxnaive parameters are values, which init returns",
        in_jax=in_jax,
        in_jaxnaive=in_jaxnaive,
    )


def b2_weights_of_the_model() -> Bug:
    """The model adds methods to its list where it should add what they return."""

    def model(dataset: Dataset) -> NaiveSequential:
        return NaiveSequential(*naive_layers(dataset))

    return Bug(
        id="B2",
        title="a method for the model's weights",
        line="weights += layer.weights",
        correct="the same line, with @property above both methods",
        in_jax=lambda dataset: f"{len(model(dataset).weights())} arrays",
        in_jaxnaive=lambda dataset: network(dataset).forward(
            model(dataset).weights, first_examples(dataset)[0]
        ),
    )


def b3_check_of_the_weights() -> Bug:
    """The check would catch B2, and any list that is too short, such as one made by ``=`` for ``+=``."""

    def in_jax(dataset: Dataset) -> str:
        def loss(weights: list[jax.Array]) -> jax.Array:
            return cross_entropy(forward(first.weights() + weights, images), labels).mean()

        (images, labels), (first, last) = first_examples(dataset), naive_layers(dataset)
        weights = []
        for layer in (first, last):
            weights = layer.weights()
        return f"gradients of {len(jax.grad(loss)(weights))} arrays of 4; the others keep their first values"

    def in_jaxnaive(dataset: Dataset) -> Any:
        model = network(dataset)
        return model.forward(model.init(KEY)[1:], first_examples(dataset)[0])

    return Bug(
        id="B3",
        title="a layer is missing in the list of weights",
        line="#assert len(model.weights) == 4",
        correct="assert len(model.weights) == 4",
        in_jax=in_jax,
        in_jaxnaive=in_jaxnaive,
        broken=lambda run, dataset: run._replace(num_trained=2),
    )


# --- B4: unequal numbers of images and labels ----------------------------------------------------------


def b4_more_labels() -> Bug:
    """The notes' loop on what the notes give it: the test images with the labels of the training images."""

    def in_jax(dataset: Dataset) -> str:
        generator = BatchGenerator(flat(dataset.test.images), dataset.train.labels)
        weights = one_network(dataset)
        for count in range(generator.num_batches):
            images, labels = generator.next()
            try:
                cross_entropy(forward(weights, images / 255), labels)
            except TypeError as error:
                raise TypeError(f"only in batch {count}, after {count} of wrong pairs: {error}") from error
        return f"{generator.num_batches} batches"

    return Bug(
        id="B4",
        title="more labels than images",
        line="#assert len(images) == len(labels)",
        correct="assert len(images) == len(labels)",
        in_jax=in_jax,
        in_jaxnaive=lambda dataset: data.from_arrays(dataset.test.images, dataset.train.labels),
    )


def b4_first_label_lost() -> Bug:
    """Every image gets the label of the next one. JAX clamps the index of the label that is not there."""

    def in_jax(dataset: Dataset) -> str:
        labels, last = jnp.asarray(dataset.train.labels[1:]), len(dataset.train.images) - 1
        return f"labels[{last}] of {len(labels)} labels is {labels[last]}, as if there were one"

    return b4_more_labels()._replace(
        title="the first label lost, examples shuffled",
        in_jax=in_jax,
        in_jaxnaive=lambda dataset: data.from_arrays(dataset.train.images, dataset.train.labels[1:]),
        broken=lambda run, dataset: run._replace(labels=run.labels[1:]),
    )


# --- B5: a loss for one-hot targets, and integer labels ------------------------------------------------


def one_hot_loss(logits: Any, labels: Any) -> Any:
    """``-sum_j y_j log p_j`` for one-hot ``y``. With JAX_NUMPY_RANK_PROMOTION=raise JAX refuses integers."""
    return -(labels * log_softmax(logits)).sum(axis=1)


def b5_integer_labels(batch_size: int, broken: Change | None = None) -> Bug:
    """Labels [batch] times log-probabilities [batch, classes]: JAX broadcasts when both are of one length."""

    def in_jax(dataset: Dataset) -> str:
        images, labels = first_examples(dataset, batch_size)
        logits = forward(one_network(dataset), images)
        got, right = one_hot_loss(logits, labels), cross_entropy(logits, labels)
        return f"a loss of {got.mean():.1f}, of the expected shape {got.shape}; right is {right.mean():.1f}"

    def in_jaxnaive(dataset: Dataset) -> jax.Array:
        images, labels = first_examples(dataset, batch_size)
        return losses.cross_entropy_one_hot(forward(one_network(dataset), images), labels)

    return Bug(
        id="B5",
        title=f"one-hot loss of integers, batch of {batch_size}",
        line="categorical_crossentropy(labels_batch, predictions)",
        correct="sparse_categorical_crossentropy(labels_batch, predictions)",
        in_jax=in_jax,
        in_jaxnaive=in_jaxnaive,
        broken=broken,
    )


# --- B6 to B8: one wrong name, three consequences ------------------------------------------------------


def b6_test_images() -> Bug:
    """The test images take the place of the training images, whose labels stay."""

    def in_jax(dataset: Dataset) -> str:
        images, labels = flat(dataset.test.images), dataset.train.labels
        batch, batch_labels = BatchGenerator(images / 255, labels).next()
        loss = cross_entropy(forward(one_network(dataset), batch), batch_labels).mean()
        return f"{len(images):,} images, {len(labels):,} labels of others; batch 0 has a loss of {loss:.1f}"

    def in_jaxnaive(dataset: Dataset) -> Any:
        examples = Examples(dataset.test.images, dataset.train.labels)
        return training.train(KEY, examples, recipe(dataset), epochs=1)

    def broken(run: Training, dataset: Dataset) -> Training:
        images = flat(dataset.test.images)
        return run._replace(images=images, epochs=[rows % len(images) for rows in run.epochs])

    return Bug(
        id="B6",
        title="test images in place of training images",
        line="train_images = test_images.reshape((10000, 28 * 28))",
        correct="test_images = test_images.reshape((10000, 28 * 28))",
        in_jax=in_jax,
        in_jaxnaive=in_jaxnaive,
        broken=broken,
    )


def b7_rows_and_columns() -> Bug:
    """The test images are never made flat."""

    def images(dataset: Dataset) -> jax.Array:
        return jnp.asarray(dataset.test.images) / 255

    return Bug(
        id="B7",
        title="test images keep their rows and columns",
        line="predictions = model(test_images)",
        correct="the same line, after test_images.reshape((10000, 28 * 28))",
        in_jax=lambda dataset: f"{forward(one_network(dataset), images(dataset)).shape}",
        in_jaxnaive=lambda dataset: network(dataset).forward(network(dataset).init(KEY), images(dataset)),
    )


def b8_grey_values() -> Bug:
    """The images stay integers up to 255. With JAX_NUMPY_DTYPE_PROMOTION=strict JAX refuses the product."""

    def in_jax(dataset: Dataset) -> str:
        images, w1 = flat(dataset.train.images[:8]), one_network(dataset)[0]
        return f"{images.dtype} @ {w1.dtype} is {(images @ w1).dtype}, of pixels up to {images.max()}"

    def in_jaxnaive(dataset: Dataset) -> Any:
        return network(dataset).forward(network(dataset).init(KEY), flat(dataset.train.images[:8]))

    return Bug(
        id="B8",
        title="grey values 0 to 255, not divided",
        line="train_images = test_images.reshape(...), after the line that divides by 255",
        correct='train_images.astype("float32") / 255',
        in_jax=in_jax,
        in_jaxnaive=in_jaxnaive,
        broken=lambda run, dataset: run._replace(pixels=lambda images: images),
    )


# --- B9 to B11: batches --------------------------------------------------------------------------------


def b9_batch_size() -> Bug:
    """``fit`` does not hand its batch size on, so the generator's default is used."""

    def in_jax(dataset: Dataset) -> str:
        asked = len(dataset.train.labels) + 1
        generator = BatchGenerator(dataset.train.images, dataset.train.labels)
        return f"asked for batches of {asked:,}, got {len(generator.next()[0])}"

    def in_jaxnaive(dataset: Dataset) -> Any:
        asked = len(dataset.train.labels) + 1
        return training.train(KEY, dataset.train, recipe(dataset, asked), epochs=1)

    def broken(run: Training, dataset: Dataset) -> Training:
        def cut(rows: Any) -> Any:
            seeds, steps = len(rows), rows[0].size // DEFAULT_BATCH_SIZE
            used = rows.reshape(seeds, -1)[:, : steps * DEFAULT_BATCH_SIZE]
            return used.reshape(seeds, steps, DEFAULT_BATCH_SIZE)

        return run._replace(epochs=[cut(rows) for rows in run.epochs])

    return Bug(
        id="B9",
        title="fit ignores batch_size",
        line="batch_generator = BatchGenerator(images, labels)",
        correct="batch_generator = BatchGenerator(images, labels, batch_size)",
        in_jax=in_jax,
        in_jaxnaive=in_jaxnaive,
        broken=broken,
    )


def in_order(run: Training, dataset: Dataset) -> Training:
    """Every epoch sees the examples in the order in which they are stored."""
    rows = run.epochs[0]
    ordered = jnp.sort(rows.reshape(len(rows), -1)).reshape(rows.shape)
    return run._replace(epochs=[ordered] * len(run.epochs))


def sorted_by_class(run: Training, dataset: Dataset) -> Training:
    """The same for examples that are stored class by class."""
    order = jnp.argsort(run.labels, stable=True)
    return in_order(run._replace(images=run.images[order], labels=run.labels[order]), dataset)


def b10_no_shuffling(title: str, broken: Change) -> Bug:
    """The same order in every epoch."""

    def in_jax(dataset: Dataset) -> str:
        numbers = range(len(dataset.train.labels))
        starts = [BatchGenerator(numbers, numbers).next()[0][:3] for _ in range(2)]
        return f"epochs 0 and 1 begin with images {' and '.join(str([*start]) for start in starts)}"

    def in_jaxnaive(dataset: Dataset) -> str:
        count = len(dataset.train.labels)
        first, second = (np.asarray(batches.epoch_order(KEY, epoch, count)) for epoch in (0, 1))
        moved = np.mean(first != second)
        return f"no error; in the second epoch {moved:.1%} of the places hold another example"

    return Bug(
        id="B10",
        title=title,
        line="images = self.images[self.index: self.index + self.batch_size]",
        correct="indices from a permutation, a new one each epoch",
        in_jax=in_jax,
        in_jaxnaive=in_jaxnaive,
        broken=broken,
    )


def b11_slices() -> Bug:
    """After the first epoch every slice is empty, and nothing is learnt any more."""

    def in_jax(dataset: Dataset) -> str:
        generator = BatchGenerator(flat(dataset.train.images), dataset.train.labels)
        for _ in range(generator.num_batches):
            generator.next()
        images, labels = generator.next()
        loss, gradients = jax.value_and_grad(
            lambda weights: cross_entropy(forward(weights, images / 255), labels).mean()
        )(one_network(dataset))
        largest = max(float(jnp.abs(gradient).max()) for gradient in gradients)
        result = f"{len(images)} images, a loss of {loss}, and a gradient of {largest:g}"
        return f"{result}: nothing is learnt any more"

    def broken(run: Training, dataset: Dataset) -> Training:
        first, *others = run.epochs
        return run._replace(epochs=[first, *(rows[..., :0] for rows in others)])

    return Bug(
        id="B11",
        title="one generator for all epochs, slices",
        line="def next(self): ..., which has no end",
        correct="an iterator with an end, or a table of indices",
        in_jax=in_jax,
        in_jaxnaive=lambda dataset: batches.check(
            Examples(*(array[len(array) :] for array in dataset.train))
        ),
        broken=broken,
    )


def b11_dynamic_slices() -> Bug:
    """``dynamic_slice`` clamps its start, so after the first epoch every batch is the last one."""

    def in_jax(dataset: Dataset) -> str:
        count = len(dataset.train.labels)
        begin = count // DEFAULT_BATCH_SIZE * DEFAULT_BATCH_SIZE
        got = jax.lax.dynamic_slice(jnp.arange(count), (begin,), (DEFAULT_BATCH_SIZE,))
        return (
            f"asked for images from {begin:,} on, got those from {got[0]:,}: {begin - got[0]} a second time"
        )

    def in_jaxnaive(dataset: Dataset) -> str:
        order = jnp.arange(len(dataset.train.labels), dtype=jnp.int32)
        rows, weight = batches.index_table(order, DEFAULT_BATCH_SIZE)
        return (
            f"no error; {len(rows)} rows and an end, {weight.sum():,.0f} images of weight 1, and "
            f"{(1 - weight).sum():.0f} to fill up the last row, of weight 0"
        )

    def broken(run: Training, dataset: Dataset) -> Training:
        first, *others = run.epochs
        return run._replace(epochs=[first, *(jnp.broadcast_to(first[:, -1:], first.shape) for _ in others)])

    return b11_slices()._replace(
        title="one generator for all epochs, dynamic_slice",
        in_jax=in_jax,
        in_jaxnaive=in_jaxnaive,
        broken=broken,
    )


# --- B12: softmax in the network, logarithm in the loss -------------------------------------------------


def log_of_softmax(logits: Any, labels: Any) -> Any:
    """The notes' loss: the logarithm of a probability that may be 0."""
    return -(one_hot(labels, logits.shape[-1]) * jnp.log(softmax(logits))).sum(axis=1)


def log_of_clipped_softmax(logits: Any, labels: Any) -> Any:
    """The same as in Keras, which clips probabilities."""
    clipped = jnp.clip(softmax(logits), 1e-7, 1 - 1e-7)
    return -(one_hot(labels, logits.shape[-1]) * jnp.log(clipped)).sum(axis=1)


def at_logits_far_apart(loss: Callable[[Any, Any], Any]) -> str:
    """The loss and the gradient of an answer that is very sure and wrong."""
    logits, label = jnp.array([[200.0, 0.0]]), jnp.array([1], jnp.int32)
    value, gradient = jax.value_and_grad(lambda logits: loss(logits, label).sum())(logits)
    slope = (gradient + 0)[0].tolist()  # + 0 makes 0 of -0
    return f"at logits of 200 and 0, and label 1: a loss of {value:g}, and a gradient of {slope}"


def from_wide_weights(run: Training, dataset: Dataset) -> Training:
    """Initial weights from U[0, 1), ten times as wide as the notes', so that the logits lie far apart."""
    seeds, classes = run.weights[3].shape
    return run._replace(weights=initial_weights(seeds, dataset.num_features, classes, widest=1.0))


def b12_log_after_softmax(title: str, loss: Callable[[Any, Any], Any]) -> Bug:
    """Where a probability is rounded to 0, or clipped, the gradient is lost."""
    return Bug(
        id="B12",
        title=title,
        line="activation=tf.nn.softmax, and the logarithm in the loss",
        correct="logits, and log-sum-exp in the loss",
        in_jax=lambda dataset: at_logits_far_apart(loss),
        in_jaxnaive=lambda dataset: f"no error; {at_logits_far_apart(losses.cross_entropy)}",
        broken=lambda run, dataset: from_wide_weights(run, dataset)._replace(loss=loss),
        right=from_wide_weights,
    )


# --- B13: the copy has lost its indentation ---------------------------------------------------------------


def b13_indentation() -> Bug:
    """Python itself refuses the listing."""
    listing = "def weights(self):\nreturn [self.w, self.b]\n"

    def read(text: str) -> str:
        compile(text, "notes", "exec")
        return "Python reads it"

    return Bug(
        id="B13",
        title="the indentation is lost",
        line=" / ".join(listing.splitlines()),
        correct="four blanks before return",
        in_jax=lambda dataset: read(listing),
        in_jaxnaive=lambda dataset: (
            f"no error; {read(listing.replace('return', '    return'))} when it is indented"
        ),
    )


BUGS = (
    b1_weights_of_a_layer(),
    b2_weights_of_the_model(),
    b3_check_of_the_weights(),
    b4_more_labels(),
    b4_first_label_lost(),
    b5_integer_labels(DEFAULT_BATCH_SIZE),
    b5_integer_labels(BATCH_SIZE, broken=lambda run, dataset: run._replace(loss=one_hot_loss)),
    b6_test_images(),
    b7_rows_and_columns(),
    b8_grey_values(),
    b9_batch_size(),
    b10_no_shuffling("no shuffling, in the order of the files", in_order),
    b10_no_shuffling("no shuffling, files sorted by class", sorted_by_class),
    b11_slices(),
    b11_dynamic_slices(),
    b12_log_after_softmax("log after softmax", log_of_softmax),
    b12_log_after_softmax("log after softmax, clipped as in Keras", log_of_clipped_softmax),
    b13_indentation(),
)
