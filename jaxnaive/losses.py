"""How wrong a prediction is: one value an example. The mean over a batch is taken where it is used.

The losses work on logits, the network's output before any softmax. The notes take ``log`` after ``softmax``;
:func:`cross_entropy_of_probabilities` does the same, and says what is wrong with it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def log_sum_exp(logits: Float[Array, "*batch classes"]) -> Float[Array, "*batch"]:
    """``log(sum_j exp(z_j))`` over the last axis, as ``m + log(sum_j exp(z_j - m))`` with ``m = max(z)``.

    The largest exponent is then 0, so nothing overflows and the sum is at least 1.
    """
    largest = jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True))
    return largest[..., 0] + jnp.log(jnp.exp(logits - largest).sum(axis=-1))


def cross_entropy(
    logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """``-log p[label]`` with ``p = softmax(logits)``, which is ``log_sum_exp(z) - z[label]``.

    Keras calls it ``SparseCategoricalCrossentropy(from_logits=True)``, optax
    ``softmax_cross_entropy_with_integer_labels``.

    Args:
      logits: any finite numbers; the loss stays finite at +-1e4.
      labels: classes counted from 0. A label outside the classes gives NaN, never another class's loss.

    Raises:
      ValueError: the labels are not one integer an example.
    """
    _check_labels(logits, labels)
    return log_sum_exp(logits) - _at_label(logits, labels)


def cross_entropy_one_hot(
    logits: Float[Array, "batch classes"], targets: Float[Array, "batch classes"]
) -> Float[Array, " batch"]:
    """``-sum_j t_j log p_j`` for targets that are one-hot, or any distribution over the classes.

    Raises:
      ValueError: the targets do not have the shape of the logits.
    """
    if targets.shape != logits.shape:
        raise ValueError(f"targets: got shape {targets.shape}, expected that of the logits, {logits.shape}")
    return log_sum_exp(logits) * targets.sum(axis=-1) - (targets * logits).sum(axis=-1)


def smoothed_cross_entropy(amount: Any) -> Callable[[Array, Array], Array]:
    """Cross-entropy with smoothed targets, as a function of logits and labels.

    The target is ``1 - amount`` at the label plus ``amount / classes`` everywhere, so that the network is not
    driven to ever larger logits. Equal to :func:`cross_entropy_one_hot` of ``optax.smooth_labels``.

    Args:
      amount: fraction of the target that is spread over all classes, in [0, 1). May be traced.

    Raises:
      ValueError: the amount is out of its range.

    Source: C. Szegedy et al., "Rethinking the inception architecture for computer vision", 2016.
    """
    is_known = not isinstance(amount, jax.core.Tracer)
    if is_known and not 0 <= amount < 1:
        raise ValueError(f"label smoothing: got {amount}, expected at least 0 and less than 1")
    if is_known and not amount:
        return cross_entropy

    def loss(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, " batch"]:
        return (1 - amount) * cross_entropy(logits, labels) + amount * (
            log_sum_exp(logits) - logits.mean(axis=-1)
        )

    return loss


def cross_entropy_of_probabilities(
    probabilities: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """``-log p[label]`` from a network that ends in softmax, as in the notes. Prefer :func:`cross_entropy`.

    A probability that underflows to 0 has an infinite logarithm, so Keras clips ``p`` to [1e-7, 1 - 1e-7],
    and so does this function. Where ``p`` is clipped the loss stays at 16.1 and its gradient is exactly 0:
    nothing is learned from the examples that are most wrong.

    Raises:
      ValueError: the labels are not one integer an example.
    """
    _check_labels(probabilities, labels)
    return -jnp.log(_at_label(jnp.clip(probabilities, 1e-7, 1 - 1e-7), labels))


def accuracy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Fraction of the examples whose largest logit (or probability) is at their label.

    Raises:
      ValueError: the labels are not one integer an example.
    """
    _check_labels(logits, labels)
    return jnp.mean(logits.argmax(axis=-1).astype(jnp.int32) == labels, dtype=jnp.float32)


def confusion(
    logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Int[Array, "classes classes"]:
    """How many examples of each class (row) were predicted to be of each class (column).

    Raises:
      ValueError: the labels are not one integer an example.
    """
    _check_labels(logits, labels)
    classes = jnp.arange(logits.shape[-1])[None, :]
    truth, predicted = (
        which[:, None] == classes.astype(which.dtype) for which in (labels, logits.argmax(axis=-1))
    )
    return truth.T.astype(jnp.int32) @ predicted.astype(jnp.int32)


def _at_label(values: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, " batch"]:
    # By comparison, because an index past the end would silently be clamped to the last class.
    is_label = labels[:, None] == jnp.arange(values.shape[-1], dtype=labels.dtype)[None, :]
    exists = is_label.any(axis=-1)
    return jnp.where(exists, jnp.where(is_label, values, 0).sum(axis=-1), jnp.nan)


def _check_labels(logits: Array, labels: Array) -> None:
    if labels.shape != logits.shape[:-1] or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"labels: got {labels.dtype} of shape {labels.shape}, expected one integer for each of the "
            f"{logits.shape[0]} examples; one-hot targets go to cross_entropy_one_hot"
        )
