"""Gradient descent by hand, in optax's interface, so that these and optax's own are interchangeable.

``init(params)`` makes the state. ``update(grads, state, params)`` returns the updates, which are to be added
to the parameters, and the next state. Nothing is changed in place.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from jaxnaive.layers import Params

Schedule = Callable[[Array], Any]  # updates made so far, int32 [] -> learning rate, []
LearningRate = float | int | np.number | Float[Array, ""] | Schedule


class Optimizer(NamedTuple):
    """The pair of functions that optax calls a ``GradientTransformation``."""

    init: Callable[[Any], Any]  # params -> state
    update: Callable[..., tuple[Any, Any]]  # grads, state, params -> updates, state


class AnyOptimizer(Protocol):
    """An :class:`Optimizer`, or an ``optax.GradientTransformation``."""

    @property
    def init(self) -> Callable[..., Any]: ...

    @property
    def update(self) -> Callable[..., Any]: ...


class SgdState(NamedTuple):
    """State of :func:`sgd`."""

    count: Int32[Array, ""]  # updates made so far


class NesterovState(NamedTuple):
    """State of :func:`nesterov`."""

    count: Int32[Array, ""]  # updates made so far
    velocity: Params  # like the parameters


def sgd(learning_rate: LearningRate) -> Optimizer:
    """Stochastic gradient descent: ``w <- w - learning_rate * g``. Equal to ``optax.sgd``.

    Args:
      learning_rate: positive; or a schedule, a function of the number of updates made so far.

    Raises:
      ValueError: the learning rate is not positive and finite.
    """
    check_learning_rate(learning_rate)

    def init(params: Params) -> SgdState:
        del params
        return SgdState(jnp.zeros([], jnp.int32))

    def update(grads: Params, state: SgdState, params: Params | None = None) -> tuple[Params, SgdState]:
        del params
        return _descend(learning_rate, state.count, grads), SgdState(state.count + 1)

    return Optimizer(init, update)


def nesterov(learning_rate: LearningRate, decay: float = 0.9) -> Optimizer:
    """Momentum that looks ahead: ``v <- decay * v + g``, ``w <- w - learning_rate * (g + decay * v)``.

    Equal to ``optax.sgd(learning_rate, decay, nesterov=True)``. The velocity is a sum of gradients, so with
    ``decay=0.9`` a steady slope is followed ten times as fast as by :func:`sgd` at the same learning rate.

    Args:
      learning_rate: positive; or a schedule, a function of the number of updates made so far.
      decay: share of the velocity that is kept from one update to the next.

    Raises:
      ValueError: the learning rate is not positive and finite.

    Source: Y. Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k^2)",
    1983; in this form I. Sutskever et al., "On the importance of initialization and momentum in deep
    learning", 2013.
    """
    check_learning_rate(learning_rate)

    def init(params: Params) -> NesterovState:
        return NesterovState(jnp.zeros([], jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(
        grads: Params, state: NesterovState, params: Params | None = None
    ) -> tuple[Params, NesterovState]:
        del params
        velocity = jax.tree.map(lambda g, v: g + decay * v, grads, state.velocity)
        ahead = jax.tree.map(lambda g, v: g + decay * v, grads, velocity)
        return _descend(learning_rate, state.count, ahead), NesterovState(state.count + 1, velocity)

    return Optimizer(init, update)


def apply_updates(params: Params, updates: Params) -> Params:
    """``params + updates``, as new arrays: the old parameters are still what they were."""
    return jax.tree.map(jnp.add, params, updates)


def check_learning_rate(learning_rate: Any) -> None:
    """Raise ``ValueError`` unless it is positive and finite. A schedule or a traced number is let through."""
    if callable(learning_rate):
        return
    try:
        value = float(learning_rate)
    except jax.errors.ConcretizationTypeError:
        return
    if not 0 < value < math.inf:
        raise ValueError(f"learning rate: got {learning_rate}, expected a positive, finite number")


def _descend(learning_rate: LearningRate, count: Array, direction: Params) -> Params:
    rate = learning_rate(count) if callable(learning_rate) else learning_rate
    return jax.tree.map(lambda d: -jnp.asarray(rate, d.dtype) * d, direction)
