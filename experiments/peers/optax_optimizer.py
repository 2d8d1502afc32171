"""What a recipe means in optax, for the peers that use it."""

import jax.numpy as jnp
import optax

from experiments.peers import Recipe


def make_optimizer(recipe: Recipe, examples: int) -> optax.GradientTransformation:
    """The recipe's optimizer with its learning rate."""
    rate = recipe.rate(examples, jnp.minimum)
    if recipe.optimizer == "adam":
        return optax.adam(rate)
    return optax.sgd(rate, 0.9, nesterov=True) if recipe.optimizer == "nesterov" else optax.sgd(rate)
