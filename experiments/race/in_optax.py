"""What a recipe means in optax, for the peers that use it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from experiments.peers import CLASSES, Recipe


def make_optimizer(recipe: Recipe, examples: int) -> optax.GradientTransformation:
    """The recipe's optimizer with its learning rate."""
    rate = recipe.rate(examples, jnp.minimum)
    if recipe.optimizer == "adam":
        return optax.adam(rate)
    return optax.sgd(rate, 0.9, nesterov=True) if recipe.optimizer == "nesterov" else optax.sgd(rate)


def make_loss(recipe: Recipe) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The recipe's loss of logits and labels, mean of a batch."""
    if not recipe.label_smoothing:
        return lambda logits, y: optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def loss(logits: jax.Array, y: jax.Array) -> jax.Array:
        targets = optax.smooth_labels(jax.nn.one_hot(y, CLASSES), recipe.label_smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean()

    return loss
