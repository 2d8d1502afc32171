"""Rows S54, S57, S59 and S87 to S89 of the notes: by hand, and equal to optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import assert_trees_close

from jaxnaive import layers, optimizers, training

SCHEDULE = optax.linear_schedule(0.1, 0.0, 100)
PAIRS = {  # a row an optimizer: by hand, optax's
    "sgd": (optimizers.sgd(1e-3), optax.sgd(1e-3)),
    "sgd, large": (optimizers.sgd(0.5), optax.sgd(0.5)),
    "sgd, schedule": (optimizers.sgd(SCHEDULE), optax.sgd(SCHEDULE)),
    "nesterov": (optimizers.nesterov(0.05), optax.sgd(0.05, 0.9, nesterov=True)),
    "nesterov, little": (optimizers.nesterov(0.1, 0.1), optax.sgd(0.1, 0.1, nesterov=True)),
    "nesterov, schedule": (optimizers.nesterov(SCHEDULE), optax.sgd(SCHEDULE, 0.9, nesterov=True)),
}


def descend(optimizer, params, loss, steps):
    traces = []

    @jax.jit
    def step(params, state):
        traces.append(1)
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optimizers.apply_updates(params, updates), state

    state = optimizer.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    assert len(traces) == 1
    return params


def network_loss(toy):
    model = layers.mlp(6, 16, 3)
    batch = training.batches.take(toy, training.batches.index_table(jnp.arange(50, dtype=jnp.int32), 50))
    batch = jax.tree.map(lambda a: a[0], batch._replace(images=batch.images.reshape(1, 50, 6)))
    recipe = training.Recipe(model, optimizers.sgd(0.1))
    return model.init(jax.random.key(0)), lambda params: training.mean_loss(params, batch, recipe)


@pytest.mark.parametrize("name", PAIRS)
def test_s57_s59_s87_equal_to_optax_to_an_ulp_over_100_steps(name, toy):
    ours, theirs = PAIRS[name]
    params, loss = network_loss(toy)
    got, expected = (descend(optimizer, params, loss, 100) for optimizer in (ours, theirs))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_max_ulp(np.asarray(a), np.asarray(b), maxulp=1)
    assert loss(got) < loss(params)


@pytest.mark.parametrize("name", PAIRS)
def test_s57_equal_to_optax_in_float64(name, x64):
    ours, theirs = PAIRS[name]
    params = {"a": jnp.array([1.0, -2.0]), "b": (jnp.ones(()), [jnp.full((2, 2), 3.0, jnp.float64)])}

    def loss(p):
        return sum(((k + 1) * leaf**2).sum() for k, leaf in enumerate(jax.tree.leaves(p))) / 5

    assert_trees_close(
        descend(ours, params, loss, 100), descend(theirs, params, loss, 100), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("name", PAIRS)
def test_structure_shape_and_dtype_are_kept(name):
    optimizer, _ = PAIRS[name]
    params = ({"w": jnp.ones((2, 3)), "b": jnp.zeros(3, jnp.bfloat16)}, [jnp.array(1.0)], ())
    state = optimizer.init(params)
    updates, next_state = optimizer.update(params, state, params)
    for new, old in ((updates, params), (next_state, state)):
        assert jax.tree.map(lambda a: (a.shape, a.dtype), new) == jax.tree.map(
            lambda a: (a.shape, a.dtype), old
        )


def test_s54_the_update_is_minus_learning_rate_times_gradient():
    optimizer = optimizers.sgd(0.25)
    updates, _ = optimizer.update({"w": jnp.array([4.0, -8.0])}, optimizer.init({}), None)
    np.testing.assert_array_equal(updates["w"], [-1.0, 2.0])


def test_s68_updates_leave_the_old_parameters_as_they_were():
    params = {"w": jnp.array([1.0, 2.0])}
    new = optimizers.apply_updates(params, {"w": jnp.array([0.5, 0.5])})
    np.testing.assert_array_equal(params["w"], [1.0, 2.0])
    np.testing.assert_array_equal(new["w"], [1.5, 2.5])


@pytest.mark.parametrize("make", [optimizers.sgd, optimizers.nesterov])
@pytest.mark.parametrize(
    "rate", [0, -0.1, float("nan"), float("inf"), np.float32(-1), np.array(-1.0), jnp.float32(0)]
)
def test_s54_a_learning_rate_must_be_positive_and_finite(make, rate, as_a_user):
    with pytest.raises(ValueError, match=r"learning rate: got .*, expected a positive, finite number"):
        make(rate)


def test_s88_the_learning_rate_is_an_argument_and_may_be_traced(toy):
    def last_loss(rate):
        recipe = training.Recipe(layers.mlp(6, 8, 3), optimizers.sgd(rate), batch_size=10)
        return training.train(jax.random.key(0), toy, recipe, 3)[1].loss[-1].mean()

    rates = jnp.array([0.01, 0.3])
    together = jax.vmap(last_loss)(rates)
    np.testing.assert_allclose(together, [last_loss(0.01), last_loss(0.3)], rtol=1e-4)
    assert together[1] < together[0]
