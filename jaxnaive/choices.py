"""Optimizers and learning-rate schedules by name, for command lines."""

import inspect
import math
from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from jaxnaive import optimizers

OPTIMIZERS = {
    "sgd": optimizers.sgd,
    "momentum": optimizers.momentum,
    "nesterov": optimizers.nesterov,
    "adagrad": optimizers.adagrad,
    "rmsprop": optimizers.rmsprop,
    "adam": optimizers.adam,
}
Schedule = Literal["constant", "linear", "cosine", "one-cycle"]
SCHEDULES = {  # shares of the run, and of the highest learning rate; straight lines between them
    "linear": ((0, 1.0), (1, 0.0)),
    "one-cycle": ((0, 0.1), (0.3, 1.0), (1, 0.0)),
    "cosine": tuple((x, (1 + math.cos(math.pi * x)) / 2) for x in np.linspace(0, 1, 65)),
}


def optimizer(name: str) -> Callable[..., Any]:
    """The optimizer of this name, as a function of the learning rate.

    Args:
      name: one of ``OPTIMIZERS``, or one of optax's, such as ``optax.lion``.

    Raises:
      ValueError: there is none, or it needs more than gradients and a learning rate.
    """
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    import optax  # takes 0.1 s

    try:
        make = getattr(optax, name.removeprefix("optax."))
        tried = make(lambda count: 0.1)
        params = jnp.ones(1)
        updates, _ = tried.update(params, tried.init(params), params)
        if not updates[0] < 0:
            raise ValueError("a positive gradient should make the parameter smaller")
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"optimizer: got {name!r}, expected {', '.join(OPTIMIZERS)}, or one of optax's that takes a "
            "learning rate, such as optax.lion"
        ) from error
    return make


def takes(make: Callable[..., Any], parameter: str) -> bool:
    """Whether an optimizer has a hyper-parameter of this name."""
    return parameter in inspect.signature(make).parameters


def schedule(name: Schedule, highest: Any, updates: int) -> optimizers.LearningRate:
    """The learning rate: a number, or a function of the updates made so far.

    Args:
      name: ``constant``, or one of those in ``SCHEDULES``.
      highest: learning rate of the run; may be traced.
      updates: of the whole run.
    """
    if name == "constant":
        return highest
    times, rates = np.array(SCHEDULES[name], np.float32).T
    return lambda count: jnp.interp(count.astype(jnp.float32), times * updates, highest * rates)
