"""The hyperparameters as an optimizer and a loss of optax, for the entrants that use optax."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from experiments.race.specification import CLASSES, Hyperparameters


def make_optimizer(hyperparameters: Hyperparameters, examples: int) -> optax.GradientTransformation:
    """The optimizer with its learning rate."""
    rate = hyperparameters.rate(examples, jnp.minimum)
    if hyperparameters.optimizer == "adam":
        return optax.adam(rate)
    if hyperparameters.optimizer == "nesterov":
        return optax.sgd(rate, 0.9, nesterov=True)
    return optax.sgd(rate)


def make_loss(hyperparameters: Hyperparameters) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The loss as a function of logits and labels, averaged over a batch."""
    if not hyperparameters.label_smoothing:
        return lambda logits, y: optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def loss(logits: jax.Array, y: jax.Array) -> jax.Array:
        targets = optax.smooth_labels(jax.nn.one_hot(y, CLASSES), hyperparameters.label_smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean()

    return loss
