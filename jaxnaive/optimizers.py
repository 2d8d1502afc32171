"""Gradient descent by hand, in optax's interface, so that these and optax's own are interchangeable.

``init(params)`` makes the state. ``update(grads, state, params)`` returns what to add to the parameters, and
the next state. Nothing is changed in place. Parameters may be complex: then ``g`` is the conjugate of what
``jax.grad`` returns, and ``g^2`` is ``|g|^2``, as in optax.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Num

from jaxnaive.layers import Params

Schedule = Callable[[Array], Any]  # updates made so far, int32 [] -> learning rate, [], or a number
Number = float | int | np.number | Num[Array, ""]
LearningRate = Number | Schedule
LAST_COUNT = 2**31 - 1  # the count of updates stops here; one more would make it negative


class Optimizer(NamedTuple):
    """The pair of functions that optax calls a ``GradientTransformation``."""

    init: Callable[[Any], Any]  # params -> state
    update: Callable[..., tuple[Any, Any]]  # grads, state, params -> updates, state


@runtime_checkable
class AnyOptimizer(Protocol):
    """An :class:`Optimizer`, or an ``optax.GradientTransformation``."""

    @property
    def init(self) -> Callable[..., Any]: ...

    @property
    def update(self) -> Callable[..., Any]: ...


class OptimizerState(NamedTuple):
    """State of every optimizer here."""

    count: Int32[Array, ""]  # updates made so far
    memory: tuple[Params, ...]  # what the rule remembers, as trees like the parameters


# --- the optimizers: each a rule for one array -------------------------------------------------------


def sgd(learning_rate: LearningRate) -> Optimizer:
    """Stochastic gradient descent: ``w <- w - learning_rate * g``. Equal to ``optax.sgd``.

    Args:
      learning_rate: 0 or more; or a schedule, a function of the number of updates made so far.

    Raises:
      ValueError: the learning rate is not a finite number, 0 or more.
    """
    return _lift(learning_rate, lambda count, g: (g,))


def momentum(learning_rate: LearningRate, decay: Number = 0.9) -> Optimizer:
    """The heavy ball: ``v <- decay * v + g``, ``w <- w - learning_rate * v``.

    Equal to ``optax.sgd(learning_rate, decay)``, and to PyTorch's without dampening. The velocity of the book
    and of Keras is ``-learning_rate * v``: the same while the learning rate is constant. When it falls,
    theirs goes on at the old speed. The book's listing of "naive momentum" is :func:`nesterov`.

    Args:
      learning_rate: 0 or more; or a schedule, a function of the number of updates made so far.
      decay: fraction of the velocity that is kept from one update to the next, in [0, 1). On a steady slope
        0.9 is ten times as fast as :func:`sgd` with the same learning rate.

    Raises:
      ValueError: a hyper-parameter is out of its range.

    Source: B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """
    check_fraction("decay", decay)

    def rule(count: Array, g: Array, velocity: Array) -> tuple[Array, ...]:
        velocity = g + decay * velocity
        return velocity, velocity

    return _lift(learning_rate, rule, jnp.zeros_like)


def nesterov(learning_rate: LearningRate, decay: Number = 0.9) -> Optimizer:
    """Momentum that looks ahead: ``v <- decay * v + g``, ``w <- w - learning_rate * (g + decay * v)``.

    Equal to ``optax.sgd(learning_rate, decay, nesterov=True)``, to PyTorch's ``nesterov=True``, and to
    Keras's while the learning rate is constant. The book's "naive momentum" is this too: it updates the
    velocity, and then adds ``decay * velocity - learning_rate * g``.

    Args:
      learning_rate: 0 or more; or a schedule, a function of the number of updates made so far.
      decay: fraction of the velocity that is kept from one update to the next, in [0, 1).

    Raises:
      ValueError: a hyper-parameter is out of its range.

    Source: Y. Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k^2)",
    1983; in this form I. Sutskever et al., "On the importance of initialization and momentum in deep
    learning", 2013.
    """
    check_fraction("decay", decay)

    def rule(count: Array, g: Array, velocity: Array) -> tuple[Array, ...]:
        velocity = g + decay * velocity
        return g + decay * velocity, velocity

    return _lift(learning_rate, rule, jnp.zeros_like)


def adagrad(
    learning_rate: LearningRate, initial_accumulator_value: Number = 0.1, eps: Number = 1e-7
) -> Optimizer:
    """``s <- s + g^2``, ``w <- w - learning_rate * g / sqrt(s + eps)``: smaller steps where it was steep.

    Equal to ``optax.adagrad``. Keras starts at 0.1 too and has ``eps`` in the root; PyTorch starts at 0 and
    adds ``eps = 1e-10`` to the root. From 0 the first update has the size ``learning_rate``.

    Args:
      learning_rate: 0 or more; or a schedule, a function of the number of updates made so far.
      initial_accumulator_value: where ``s`` starts, 0 or more.
      eps: keeps the root from 0, 0 or more.

    Raises:
      ValueError: a hyper-parameter is out of its range.

    Source: J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", 2011.
    """
    check_not_negative("initial accumulator value", initial_accumulator_value)
    check_not_negative("eps", eps)

    def rule(count: Array, g: Array, squares: Array) -> tuple[Array, ...]:
        squares = g * jnp.conj(g) + squares
        return jnp.where(squares > 0, jax.lax.rsqrt(squares + eps), 0) * g, squares

    return _lift(learning_rate, rule, lambda w: jnp.full_like(w, initial_accumulator_value))


def rmsprop(learning_rate: LearningRate, decay: Number = 0.9, eps: Number = 1e-8) -> Optimizer:
    """``s <- decay * s + (1 - decay) * g^2``, ``w <- w - learning_rate * g / sqrt(s + eps)``.

    Equal to ``optax.rmsprop``. Keras has ``eps = 1e-7`` in the root; PyTorch adds ``eps`` to the root, and
    has a decay of 0.99. As ``s`` starts at 0, the first update is ``1 / sqrt(1 - decay)`` learning rates.

    Args:
      learning_rate: 0 or more; or a schedule, a function of the number of updates made so far.
      decay: fraction of the mean square that is kept from one update to the next, in [0, 1).
      eps: keeps the root from 0, 0 or more.

    Raises:
      ValueError: a hyper-parameter is out of its range.

    Source: T. Tieleman, G. Hinton, "Lecture 6.5 - RMSProp", 2012.
    """
    check_fraction("decay", decay)
    check_not_negative("eps", eps)

    def rule(count: Array, g: Array, mean_square: Array) -> tuple[Array, ...]:
        mean_square = (1 - decay) * (g * jnp.conj(g)) + decay * mean_square
        return jax.lax.rsqrt(mean_square + eps) * g, mean_square

    return _lift(learning_rate, rule, jnp.zeros_like)


def adam(learning_rate: LearningRate, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8) -> Optimizer:
    """Momentum and RMSprop in one: ``w <- w - learning_rate * m' / (sqrt(s') + eps)``.

    ``m <- b1 * m + (1 - b1) * g`` and ``s <- b2 * s + (1 - b2) * g^2`` start at 0. Update ``t`` corrects
    for that: ``m' = m / (1 - b1^t)`` and ``s' = s / (1 - b2^t)``. Equal to ``optax.adam`` and PyTorch's;
    Keras's ``eps`` is 1e-7, and is added before the correction.

    Args:
      learning_rate: 0 or more; or a schedule, a function of the number of updates made so far.
      b1: fraction of the mean gradient that is kept from one update to the next, in [0, 1).
      b2: the same for the mean square.
      eps: keeps the divisor from 0, 0 or more.

    Raises:
      ValueError: a hyper-parameter is out of its range.

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization", 2015.
    """
    check_fraction("b1", b1)
    check_fraction("b2", b2)
    check_not_negative("eps", eps)

    def rule(count: Array, g: Array, mean: Array, mean_square: Array) -> tuple[Array, ...]:
        mean = (1 - b1) * g + b1 * mean
        mean_square = (1 - b2) * (g * jnp.conj(g)) + b2 * mean_square
        t = count.astype(jnp.float64 if jnp.finfo(g.dtype).bits == 64 else jnp.float32) + 1
        corrected = mean / (1 - b1**t).astype(g.dtype)
        corrected_square = mean_square / (1 - b2**t).astype(g.dtype)
        return corrected / (jnp.sqrt(corrected_square) + eps), mean, mean_square

    return _lift(learning_rate, rule, jnp.zeros_like, jnp.zeros_like)


def _lift(
    learning_rate: LearningRate,
    rule: Callable[..., tuple[Array, ...]],  # count, g, *memory -> direction, *memory; all for one array
    *starts: Callable[[Array], Array],  # array of parameters -> first value of a part of the memory
) -> Optimizer:
    """The optimizer of a tree of arrays that applies the rule to each."""
    check_not_negative("learning rate", 0.0 if callable(learning_rate) else learning_rate)

    def init(params: Params) -> OptimizerState:
        memory = tuple(jax.tree.map(start, params) for start in starts)
        return OptimizerState(jnp.zeros([], jnp.int32), memory)

    # A caller that does not know which optimizer it has, such as optax's wrappers, gives every one all that
    # some need: the parameters, and keywords such as ``value``. No rule here needs them.
    def update(
        grads: Params, state: OptimizerState, params: Params | None = None, **unused: Any
    ) -> tuple[Params, OptimizerState]:
        results = jax.tree.map(lambda g, *memory: rule(state.count, g, *memory), grads, *state.memory)
        direction, *memory = (
            jax.tree.map(lambda _, result, i=i: result[i], grads, results) for i in range(1 + len(starts))
        )
        rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
        updates = jax.tree.map(lambda d: -jnp.asarray(rate, d.dtype) * d, direction)
        count = jnp.minimum(state.count, LAST_COUNT - 1) + 1
        return updates, OptimizerState(count, tuple(memory))

    return Optimizer(init, update)


# --- using them --------------------------------------------------------------------------------------


def apply_updates(params: Params, updates: Params) -> Params:
    """``params + updates``, as new arrays; the old ones do not change."""
    return jax.tree.map(jnp.add, params, updates)


def check_learning_rate(learning_rate: Any) -> None:
    """Raise ``ValueError`` unless a run can learn with it: positive and finite.

    A schedule or a traced number passes. Optimizers themselves accept 0, with which nothing moves.
    """
    if not callable(learning_rate) and not 0 < _known(learning_rate, 1.0) < math.inf:
        raise ValueError(f"learning rate: got {learning_rate}, expected a positive, finite number")


def check_fraction(name: str, value: Any) -> None:
    """Raise ``ValueError`` unless it is in [0, 1). A traced number passes."""
    if not 0 <= _known(value, 0.0) < 1:
        raise ValueError(f"{name}: got {value}, expected at least 0 and less than 1")


def check_not_negative(name: str, value: Any) -> None:
    """Raise ``ValueError`` unless it is 0 or more, and finite. A traced number passes."""
    if not 0 <= _known(value, 0.0) < math.inf:
        raise ValueError(f"{name}: got {value}, expected a finite number, 0 or more")


def _known(value: Any, otherwise: float) -> float:
    """The number; or ``otherwise``, if it is traced and so not known yet; or NaN, if it is not a real number.

    No check lets NaN pass. A complex number without imaginary part is real: ``optax.inject_hyperparams``
    makes such ones of all hyper-parameters when a parameter is complex.
    """
    number = np.real_if_close(otherwise if isinstance(value, jax.core.Tracer) else value)
    is_real = number.shape == () and jnp.isdtype(number.dtype, ("integral", "real floating"))
    return float(number) if is_real else math.nan
