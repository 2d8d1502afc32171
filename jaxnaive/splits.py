"""Which examples are trained on, and which are kept to judge by: drawn at random, of every class alike.

By place would do only if the examples were mixed: files are often sorted by class.
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float32, Int, Shaped

from jaxnaive.batches import AnyArray, Examples


def split_indices(
    labels: Shaped[AnyArray, "examples ..."], fraction: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Which examples to keep, and which to hold out: of each class the same fraction, drawn at random.

    If anything is held out, a class with two examples or more gives at least one and keeps at least one; a
    class with one keeps it.

    Args:
      labels: classes counted from 0; or targets, of which the fraction is drawn without regard to them.
      fraction: to hold out, at least 0 and less than 1.
      seed: of the draw.

    Returns:
      Their places, each in increasing order.

    Raises:
      ValueError: the fraction is not in that range.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction: got {fraction}, expected at least 0 and less than 1")
    array = np.asarray(labels)
    is_class = np.issubdtype(array.dtype, np.integer)
    groups = (
        [np.flatnonzero(array == label) for label in np.unique(array)]
        if is_class
        else [np.arange(len(array))]
    )
    rng, is_held_out = np.random.default_rng(seed), np.zeros(len(array), bool)
    for group in groups:
        count = min(max(round(fraction * len(group)), int(fraction > 0)), len(group) - 1)
        is_held_out[rng.choice(group, count, replace=False)] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def select(examples: Examples, places: Any) -> Examples:
    """The examples at these places: an index array, or a slice."""
    return jax.tree.map(lambda array: array[places], examples)


def split(examples: Examples, first: int) -> tuple[Examples, Examples]:
    """The first ``first`` examples, and the others."""
    return select(examples, slice(first)), select(examples, slice(first, None))


def hold_out(examples: Examples, fraction: float = 0.1, seed: int = 0) -> tuple[Examples, Examples]:
    """Examples to train on, and others to choose hyper-parameters by; the test set is for the end.

    Args:
      examples: of all classes, in any order.
      fraction: to hold out, as in :func:`split_indices`.
      seed: as in :func:`split_indices`.

    Raises:
      ValueError: as in :func:`split_indices`.
    """
    kept, held_out = split_indices(examples.labels, fraction, seed)
    return select(examples, kept), select(examples, held_out)


def class_weights(labels: Int[AnyArray, " examples"], classes: int) -> Float32[np.ndarray, " examples"]:
    """A weight for each example with which every class counts the same, and the mean weight is 1.

    scikit-learn calls it ``compute_sample_weight("balanced", labels)``.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return weights[np.asarray(labels)].astype(np.float32)
