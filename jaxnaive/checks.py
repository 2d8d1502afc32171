"""What the functions that a user hands in have to return: said in a sentence, when their shapes are known.

Without it a loss of shape ``[batch, 1]`` would be broadcast with the weights to ``[batch, batch]``, and a
mean that is taken already would count what fills up the last batch.
"""

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree


def check_recipe(recipe: Any) -> None:
    """Raise ``TypeError`` unless the parts of a recipe are what they are called."""
    for name, part, attribute, example in (
        ("model", recipe.model, "forward", "a Layer, such as layers.mlp(784, 512, 10)"),
        ("optimizer", recipe.optimizer, "update", "one that is called, such as sgd(0.1)"),
        ("loss", recipe.loss, "__call__", "a function of outputs and labels, such as losses.cross_entropy"),
    ):
        if not hasattr(part, attribute):
            raise TypeError(f"{name}: got {part!r:.60}, expected {example}")
    for metric in recipe.metrics:
        if not callable(metric):
            raise TypeError(f"metrics: got {metric!r:.60}, expected functions of outputs and labels")


def hash_of(recipe: Any) -> int:
    """The hash of a recipe, whose metrics may be a list.

    Raises:
      TypeError: a part cannot be hashed, so JAX cannot know whether it has compiled this recipe before.
    """
    for name, part in zip(recipe._fields, recipe, strict=True):
        for one in part if name == "metrics" else [part]:
            if not isinstance(one, Hashable):
                raise TypeError(f"{name}: got a {type(one).__name__} without __hash__, expected one with it")
    return hash(tuple(tuple(part) if isinstance(part, list) else part for part in recipe))


def outputs(outputs: Any, examples: int) -> Any:
    """What a network returned; ``ValueError`` unless it has a row for each example."""
    shape = getattr(outputs, "shape", None)
    if shape is None or shape[:1] != (examples,):
        got = f"a {type(outputs).__name__}" if shape is None else f"shape {shape}"
        raise ValueError(f"forward: got {got} for {examples} examples, expected [{examples}, outputs]")
    return outputs


def losses(losses: Any, examples: int) -> Any:
    """What a loss returned; ``ValueError`` unless it is one value an example."""
    shape = jnp.shape(losses)
    if shape == (examples,):
        return losses
    advice = ""
    if not shape:
        advice = "; leave out the mean, it is taken later, without what fills up a batch"
    elif shape == (examples, 1):
        advice = "; remove the last axis by [:, 0]"
    raise ValueError(f"loss: got shape {shape} for {examples} examples, expected ({examples},){advice}")


def updates(updates: PyTree[Array], params: PyTree[Array]) -> PyTree[Array]:
    """What an optimizer returned; ``ValueError`` unless it is an update of the shape of each parameter."""
    if jax.tree.structure(updates) != jax.tree.structure(params):
        raise ValueError(
            f"optimizer: got updates {jax.tree.structure(updates)}, expected them as the parameters, "
            f"{jax.tree.structure(params)}"
        )
    for (path, param), update in zip(
        jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(updates), strict=True
    ):
        if jnp.shape(update) != jnp.shape(param):
            at = jax.tree_util.keystr(path)
            raise ValueError(
                f"optimizer: got an update of shape {jnp.shape(update)} for the parameters {at}, expected "
                f"{jnp.shape(param)}"
            )
    return updates


def named(metrics: Sequence[Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The metrics by name: that of the function, with the arguments of a partial; no two are equal.

    >>> def top(logits, labels, k): ...
    >>> list(named([functools.partial(top, k=3), functools.partial(top, k=5), top, lambda x, y: x, top]))
    ['top(k=3)', 'top(k=5)', 'top', '<lambda>', 'top 2']
    """
    found: dict[str, Callable[..., Any]] = {}
    for metric in metrics:
        name = base = _name(metric)
        number = 1
        while name in found:
            number += 1
            name = f"{base} {number}"
        found[name] = metric
    return found


def _name(metric: Any) -> str:
    while hasattr(metric, "__wrapped__") and not hasattr(metric, "__name__"):  # jitted, or decorated
        metric = metric.__wrapped__
    if isinstance(metric, functools.partial):
        arguments = [
            *map(repr, metric.args),
            *(f"{name}={value!r}" for name, value in metric.keywords.items()),
        ]
        return f"{_name(metric.func)}({', '.join(arguments)})"
    return getattr(metric, "__name__", type(metric).__name__)
