"""Numbers in the place of classes: how wrong they are, and how much better than always saying the mean."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def squared_error(
    outputs: Float[Array, "batch targets"], targets: Float[Array, "batch targets"]
) -> Float[Array, " batch"]:
    """``mean_j (y_j - t_j)^2`` over an example's targets; Keras calls it ``MeanSquaredError``.

    Raises:
      ValueError: the targets do not have the shape of the outputs.
    """
    _check_targets(outputs, targets)
    return jnp.square(outputs - targets).mean(axis=-1)


def r_squared(
    outputs: Float[Array, "batch targets"], targets: Float[Array, "batch targets"]
) -> Float[Array, ""]:
    """``1 - sum (y - t)^2 / sum (t - mean t)^2``, mean over the targets; always saying the mean has 0.

    NaN if one of the targets is the same in all examples.

    Raises:
      ValueError: the targets do not have the shape of the outputs.
    """
    _check_targets(outputs, targets)
    around_mean = jnp.square(targets - targets.mean(axis=0, keepdims=True)).sum(axis=0)
    errors = jnp.square(outputs - targets).sum(axis=0)
    return jnp.mean(jnp.where(around_mean > 0, 1 - errors / around_mean, jnp.nan))


def _check_targets(outputs: Array, targets: Array) -> None:
    if targets.shape != outputs.shape:
        raise ValueError(f"targets: got shape {targets.shape}, expected that of the outputs, {outputs.shape}")
