"""How well a network does, in a line; and whether it learned anything at all."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxnaive import losses, regression
from jaxnaive.data.schema import Schema
from jaxnaive.training import History

IMBALANCED = 2  # times as many examples in the largest class as in the smallest: then each class is shown
MAX_SHOWN = 12  # classes in a line
CHANCE = 1.1  # sum of the accuracies of the classes: 1 is that of drawing one of them, or of always the same
MIN_EXAMPLES = 10  # fewer say nothing about chance


class Measures(NamedTuple):
    """How a network does on examples."""

    loss: float  # mean; in a regression of the targets in units of their deviation
    accuracy: float  # fraction that is classified correctly; nan in a regression
    r_squared: float  # 1 - squared error / variance, mean over the targets; nan in a classification
    by_class: dict[
        str, tuple[int, int]
    ]  # of each class how many are right, and how many there are; of all seeds
    deviation: float | None  # of accuracy, or of r_squared, over several seeds
    only: str | None  # the class that all predictions are, if they are all the same

    def __repr__(self) -> str:
        name, value = self.score
        spread = "" if self.deviation is None else f" ± {self.deviation:.4f}"
        classes = f" ({self.classes})" if self.classes else ""
        return f"{name} {value:.4f}{spread}{classes}, loss {self.loss:.4f}"

    @property
    def score(self) -> tuple[str, float]:
        """What counts: the accuracy, or R2 in a regression."""
        return ("R2", self.r_squared) if math.isnan(self.accuracy) else ("accuracy", self.accuracy)

    @property
    def classes(self) -> str:
        """The accuracy of each class, if some have many more examples than others; otherwise nothing."""
        counts = [count for _, count in self.by_class.values() if count]
        if not counts or max(counts) <= IMBALANCED * min(counts) or len(counts) > MAX_SHOWN:
            return ""
        return ", ".join(
            f"{name} {right / count:.2f}" for name, (right, count) in self.by_class.items() if count
        )

    @property
    def majority(self) -> float:
        """The accuracy of always saying the class that is most frequent."""
        counts = [count for _, count in self.by_class.values()]
        return max(counts) / sum(counts) if counts else 0.0

    @property
    def is_chance(self) -> bool:
        """Whether the classes, each by itself, are recognised no better than by drawing one of them."""
        found = [right / count for right, count in self.by_class.values() if count]
        return len(found) > 1 and sum(found) <= CHANCE


def measure(
    outputs: Float[np.ndarray, "seeds examples outputs"], labels: Any, schema: Schema, loss: Any
) -> Measures:
    """How outputs agree with labels.

    Args:
      outputs: of a network, for each of several seeds, or of one.
      labels: ``[examples]``, or targets ``[examples, targets]``, as the network's dataset has them.
      schema: of the dataset.
      loss: outputs and labels -> one value an example.
    """
    metric = regression.r_squared if schema.is_regression else losses.accuracy
    found = np.array([_loss_and_score(own, np.asarray(labels), loss, metric) for own in outputs], float)
    mean_loss, scores = float(found[:, 0].mean()), found[:, 1]
    deviation = float(scores.std(ddof=1)) if len(scores) > 1 else None
    if schema.is_regression:
        return Measures(mean_loss, math.nan, float(scores.mean()), {}, deviation, None)
    predicted = outputs.argmax(axis=-1)
    only = schema.class_names[predicted.flat[0]] if (predicted == predicted.flat[0]).all() else None
    every = np.tile(np.asarray(labels), len(predicted))
    by_class = right_by_class(predicted.ravel(), every, schema.class_names)
    return Measures(mean_loss, float(scores.mean()), math.nan, by_class, deviation, only)


@partial(jax.jit, static_argnames=("loss", "metric"))  # one program in the place of twenty: 0.1 s less
def _loss_and_score(outputs: Any, labels: Any, loss: Any, metric: Any) -> tuple[Any, Any]:
    outputs, labels = jnp.asarray(outputs), jnp.asarray(labels)  # NumPy's without jit
    return jnp.mean(loss(outputs, labels)), metric(outputs, labels)


def right_by_class(
    predicted: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """Of each class how many are right, and how many there are."""
    count = np.bincount(labels, minlength=len(names))
    right = np.bincount(labels[predicted == labels], minlength=len(names))
    return {name: (int(r), int(c)) for name, r, c in zip(names, right, count, strict=True)}


def problem(measures: Measures, history: History) -> str:
    """What says that nothing was learned, and what to try; or nothing."""
    epochs = np.mean(history.loss, axis=-1) if np.size(history.loss) else np.zeros(0)
    if not epochs.size:
        return ""
    first, last = float(np.mean(epochs[..., 0])), float(np.mean(epochs[..., -1]))
    score = measures.score[1]
    examples = sum(count for _, count in measures.by_class.values())
    if epochs.shape[-1] > 1 and last >= first:
        found = f"the loss did not fall: {first:.3g} in the first epoch, {last:.3g} in the last"
    elif examples >= MIN_EXAMPLES and measures.only is not None and measures.is_chance:
        found = f"all predictions are {measures.only}"
    elif examples >= MIN_EXAMPLES and score <= measures.majority and measures.is_chance:
        found = f"accuracy {score:.3f} is no better than always saying the same, {measures.majority:.3f}"
    elif math.isnan(measures.accuracy) and score <= 0:
        found = f"R2 {score:.3f} is no better than always saying the mean"
    else:
        return ""
    return f"it did not learn: {found}; try a lower learning rate, more epochs, or look at the data"
