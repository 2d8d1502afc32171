"""The optimizers where optax's own go: in its wrappers, with what these pass, and on complex parameters."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import assert_trees_close

from jaxnaive import optimizers

PAIRS = {  # by hand, optax's
    "sgd": (optimizers.sgd, optax.sgd),
    "momentum": (optimizers.momentum, functools.partial(optax.sgd, momentum=0.9)),
    "nesterov": (optimizers.nesterov, functools.partial(optax.sgd, momentum=0.9, nesterov=True)),
    "adagrad": (optimizers.adagrad, optax.adagrad),
    "rmsprop": (optimizers.rmsprop, optax.rmsprop),
    "adam": (optimizers.adam, optax.adam),
}
REAL = {"w": jnp.array([[1.0, -2.0], [0.5, 4.0]]), "b": [jnp.array([3.0, -0.25]), jnp.array(2.0)]}
COMPLEX = {"w": jnp.array([1 + 2j, -3 + 0.5j, 0.25j]), "b": [jnp.array(-2 + 0j)]}
MIXED = {"complex": COMPLEX, "real": REAL}
WRAPPERS = {  # an optimizer's maker -> the wrapper around it
    "chain": lambda make: optax.chain(optax.clip_by_global_norm(0.5), make(0.05)),
    "chain, weight decay": lambda make: optax.chain(optax.add_decayed_weights(0.1), make(0.05)),
    "chain, of what reads the loss": lambda make: optax.chain(
        make(0.05), optax.contrib.reduce_on_plateau(patience=1, rtol=0.5)
    ),
    "masked": lambda make: optax.chain(
        optax.masked(make(0.05), {"w": True, "b": [False, True]}),
        optax.masked(optax.set_to_zero(), {"w": False, "b": [True, False]}),
    ),
    "MultiSteps": lambda make: optax.MultiSteps(make(0.05), every_k_schedule=3),
    "inject_hyperparams": lambda make: optax.inject_hyperparams(make)(learning_rate=0.05),
    "inject_hyperparams, schedule": lambda make: optax.inject_hyperparams(make)(
        optax.linear_schedule(0.1, 0.0, 20)
    ),
    "multi_transform": lambda make: optax.multi_transform(
        {"fast": make(0.1), "slow": make(0.01)}, {"w": "slow", "b": ["fast", "slow"]}
    ),
}


def loss(params):
    """A bowl, steeper from leaf to leaf, with its bottom at 1 and 1 + i."""
    bottoms = [1 + 1j if jnp.iscomplexobj(leaf) else 1 for leaf in jax.tree.leaves(params)]
    squares = [
        (jnp.abs(leaf - bottom) ** 2).sum()
        for leaf, bottom in zip(jax.tree.leaves(params), bottoms, strict=True)
    ]
    return sum((place + 1) * square for place, square in enumerate(squares)) / 5


def descended(optimizers, params, steps):
    """The last parameters with each of the optimizers, which may read the loss as ``value``. One program."""

    def step(carry, _):
        moved = []
        for optimizer, (params, state) in zip(optimizers, carry, strict=True):
            value, grads = jax.value_and_grad(loss)(params)
            grads = jax.tree.map(jnp.conj, grads)
            updates, state = optimizer.update(grads, state, params, value=value)
            moved.append((optax.apply_updates(params, updates), state))
        return moved, None

    starts = [(params, optimizer.init(params)) for optimizer in optimizers]
    run = jax.jit(lambda starts: jax.lax.scan(step, starts, length=steps)[0])
    with jax.numpy_dtype_promotion("standard"):  # optax's adam raises a float to an integer
        return [last for last, _ in run(starts)]


def assert_equal_to_optax(wrap, params, steps):
    made = [wrap(make) for pair in PAIRS.values() for make in pair]
    last = descended([optax.with_extra_args_support(optimizer) for optimizer in made], params, steps)
    for ours, optaxs in zip(last[::2], last[1::2], strict=True):
        assert_trees_close(ours, optaxs, rtol=1e-5, atol=1e-6)
        assert loss(ours) < loss(params)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_around_ours_moves_as_around_optaxs(name):
    assert_equal_to_optax(WRAPPERS[name], REAL, 10)


@pytest.mark.parametrize("params", [COMPLEX, MIXED], ids=["complex", "mixed"])
def test_complex_parameters_move_as_with_optax_over_100_steps(params):
    assert_equal_to_optax(lambda make: make(0.05), params, 100)


def test_injected_hyper_parameters_are_complex_when_a_parameter_is(as_a_user):
    assert_equal_to_optax(WRAPPERS["inject_hyperparams"], COMPLEX, 10)


@pytest.mark.parametrize(
    ("optimizer", "size"),
    [
        (optimizers.sgd(0.1), 0.5),
        (optimizers.adagrad(0.1, 0.0, 0.0), 0.1),
        (optimizers.rmsprop(0.1, 0.99, 0.0), 1.0),
        (optimizers.adam(0.1, eps=0.0), 0.1),
    ],
)
def test_the_first_update_goes_against_a_complex_gradient(optimizer, size):
    """Rates adapt to the absolute value, 5, so every direction is reached with the same size of update."""
    directions = np.exp(1j * np.arange(7)).astype(np.complex64)
    g = jnp.asarray(5 * directions)
    updates, _ = optimizer.update(g, optimizer.init(g), g)
    np.testing.assert_allclose(updates, -size * directions, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_extra_keywords_change_nothing(name):
    optimizer: Any = PAIRS[name][0](0.05)
    state = optimizer.init(REAL)
    plain = optimizer.update(REAL, state, REAL)
    extra = {"value": loss(REAL), "grad": REAL, "value_fn": loss}
    assert_trees_close(optimizer.update(REAL, state, REAL, **extra), plain)
    assert_trees_close(optax.with_extra_args_support(optimizer).update(REAL, state, REAL, **extra), plain)
    assert_trees_close(optimizer.update(REAL, state), plain)


@pytest.mark.parametrize("name", PAIRS)
def test_an_injected_learning_rate_may_be_changed_between_updates(name):
    make: Any = PAIRS[name][0]
    injected: Any = optax.inject_hyperparams(make)(learning_rate=0.05)
    update = jax.jit(injected.update)
    with jax.numpy_dtype_promotion("standard"):
        state = injected.init(REAL)
        slow, _ = update(REAL, state, REAL)
        state.hyperparams["learning_rate"] = jnp.array(0.1)
        fast, _ = update(REAL, state, REAL)
        state.hyperparams["learning_rate"] = jnp.array(0.0)
        still, _ = update(REAL, state, REAL)
    assert_trees_close(fast, jax.tree.map(lambda leaf: 2 * leaf, slow), rtol=1e-6)
    assert_trees_close(still, jax.tree.map(jnp.zeros_like, REAL))
