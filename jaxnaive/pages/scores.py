"""How a network does on the test examples: its loss, its confusions, its most confident mistakes.

In a regression: its R2, and a picture of the predictions over the truth.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxnaive import data, layers, losses, pictures, regression
from jaxnaive.data import Dataset
from jaxnaive.networks import Network, chunks
from jaxnaive.pictures import plots

MAX_MISTAKES = 30
MAX_SHADE = 0.6  # opacity of the strongest colour, on which text can still be read


class Mistake(NamedTuple):
    """A test example that was taken for another class."""

    image: np.ndarray
    truth: str
    predicted: str
    confidence: float


class Score(NamedTuple):
    """How a network does on the test examples."""

    loss: float
    confusion: Int[np.ndarray, "classes classes"]  # rows are the truth
    mistakes: list[Mistake]  # the most confident first

    @property
    def examples(self) -> int:
        """The number of test examples."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """The number that is classified correctly."""
        return int(self.confusion.trace())

    name = "accuracy"  # of the value

    @property
    def value(self) -> float:
        """The fraction that is classified correctly."""
        return self.right / self.examples


class RegressionScore(NamedTuple):
    """How a network of a regression does on the test examples."""

    loss: float
    value: float  # R2, the mean over the targets
    examples: int
    picture: bytes  # a PNG of the predictions over the truth

    name = "R2"  # of the value


class ClassScore(NamedTuple):
    """How a network does on the test examples of one class."""

    name: str
    examples: int
    right: int
    taken_for: str  # the class it is most often mistaken for, and how often

    @property
    def mistaken(self) -> float:
        """The fraction that is taken for another class."""
        return 1 - self.right / self.examples if self.examples else 0.0


def score(network: Network, dataset: Dataset) -> Score | RegressionScore:
    """The network on the test examples."""
    if network.schema.is_regression:
        return _regression_score(network, dataset)
    labels = np.asarray(dataset.test.labels)
    logits = jnp.asarray(chunks.predict(network.params, dataset.test.images, network.model))
    loss = losses.smoothed_cross_entropy(network.job.label_smoothing)
    probabilities = np.asarray(layers.softmax(logits))
    predicted, names = probabilities.argmax(axis=1), network.class_names
    _, wrong = data.right_and_wrong(probabilities, labels)
    return Score(
        loss=float(loss(logits, jnp.asarray(labels)).mean()),
        confusion=np.asarray(losses.confusion(logits, jnp.asarray(labels))),
        mistakes=[
            Mistake(
                np.asarray(dataset.test.images[i]),
                names[labels[i]],
                names[predicted[i]],
                float(probabilities[i, predicted[i]]),
            )
            for i in wrong[:MAX_MISTAKES]
        ],
    )


def _regression_score(network: Network, dataset: Dataset) -> RegressionScore:
    targets = jnp.asarray(dataset.test.labels)
    outputs = jnp.asarray(chunks.predict(network.params, dataset.test.images, network.model))
    return RegressionScore(
        loss=float(regression.squared_error(outputs, targets).mean()),
        value=float(regression.r_squared(outputs, targets)),
        examples=len(targets),
        picture=pictures.as_png(plots.scatter(dataset, np.asarray(outputs)), dpi=96),
    )


def by_class(test: Score, names: Sequence[str]) -> list[ClassScore]:
    """The classes one by one."""
    scores = []
    for name, row, right, wrong in zip(
        names, test.confusion, np.diag(test.confusion), _off_diagonal(test.confusion), strict=True
    ):
        taken_for = f"{names[wrong.argmax()]} ({wrong.max()})" if wrong.any() else "none"
        scores.append(ClassScore(name, int(row.sum()), int(right), taken_for))
    return scores


def shades(test: Score) -> Float[np.ndarray, "classes classes"]:
    """The opacity of each entry's colour: by its fraction of its row, and for mistakes as compared with the
    largest such fraction."""
    fraction = test.confusion / np.maximum(test.confusion.sum(axis=1, keepdims=True), 1)
    largest_mistake = max(_off_diagonal(fraction).max(), 1e-9)
    is_right = np.eye(len(fraction), dtype=bool)
    return MAX_SHADE * np.sqrt(fraction / np.where(is_right, 1, largest_mistake))


def confusions(test: Score) -> list[tuple[int, int, int]]:
    """Truth, prediction, and how often; the most frequent first."""
    wrong = _off_diagonal(test.confusion)
    order = np.argsort(-wrong, axis=None, kind="stable")
    pairs = (np.unravel_index(entry, wrong.shape) for entry in order[: np.count_nonzero(wrong)])
    return [(int(truth), int(predicted), int(wrong[truth, predicted])) for truth, predicted in pairs]


def _off_diagonal(matrix: np.ndarray) -> np.ndarray:
    return matrix - np.diag(np.diag(matrix))
