"""Rows S54, S57, S59 and S87 to S89 of the notes: by hand, and equal to optax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import assert_trees_close
from jax.flatten_util import ravel_pytree

from jaxnaive import job, layers, optimizers, training
from jaxnaive.batches import Batch

# One worker descends with all optimizers, for the test of each.
pytestmark = pytest.mark.xdist_group("optimizers")

SCHEDULE = optax.linear_schedule(0.125, 0.0, 128)  # exact in float32
PAIRS = {  # a row an optimizer: by hand, optax's
    "sgd": (optimizers.sgd(1e-3), optax.sgd(1e-3)),
    "sgd, large": (optimizers.sgd(0.5), optax.sgd(0.5)),
    "sgd, schedule": (optimizers.sgd(SCHEDULE), optax.sgd(SCHEDULE)),
    "momentum": (optimizers.momentum(0.05), optax.sgd(0.05, 0.9)),
    "momentum, none": (optimizers.momentum(0.1, 0), optax.sgd(0.1, 0.0)),
    "momentum, much": (optimizers.momentum(0.01, 0.99), optax.sgd(0.01, 0.99)),
    "momentum, schedule": (optimizers.momentum(SCHEDULE), optax.sgd(SCHEDULE, 0.9)),
    "nesterov": (optimizers.nesterov(0.05), optax.sgd(0.05, 0.9, nesterov=True)),
    "nesterov, little": (optimizers.nesterov(0.1, 0.1), optax.sgd(0.1, 0.1, nesterov=True)),
    "nesterov, schedule": (optimizers.nesterov(SCHEDULE), optax.sgd(SCHEDULE, 0.9, nesterov=True)),
    "adagrad": (optimizers.adagrad(0.1), optax.adagrad(0.1)),
    "adagrad, from 0": (optimizers.adagrad(0.1, 0.0, 1e-10), optax.adagrad(0.1, 0.0, 1e-10)),
    "adagrad, schedule": (optimizers.adagrad(SCHEDULE), optax.adagrad(SCHEDULE)),
    "rmsprop": (optimizers.rmsprop(0.01), optax.rmsprop(0.01)),
    "rmsprop, as Keras": (optimizers.rmsprop(1e-3, 0.9, 1e-7), optax.rmsprop(1e-3, 0.9, 1e-7)),
    "rmsprop, schedule": (optimizers.rmsprop(SCHEDULE, 0.99), optax.rmsprop(SCHEDULE, 0.99)),
    "adam": (optimizers.adam(0.01), optax.adam(0.01)),
    "adam, other means": (optimizers.adam(0.01, 0.5, 0.9, 1e-3), optax.adam(0.01, 0.5, 0.9, 1e-3)),
    "adam, schedule": (optimizers.adam(SCHEDULE), optax.adam(SCHEDULE)),
}


def descend(params, loss, steps):
    """By hand and by optax from the same parameters: for each row of the table a pair of the last ones.

    All rows are one program, and the gradients of all are one operation: what differs is the update.
    """
    both = {(name, side): optimizer for name, pair in PAIRS.items() for side, optimizer in enumerate(pair)}

    def step(carry, _):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(params for params, _ in carry.values()))
        grads = jax.vmap(jax.grad(loss))(stacked)
        moved = {}
        for place, (row, (params, state)) in enumerate(carry.items()):
            grad = jax.tree.map(lambda leaf, place=place: leaf[place], grads)
            updates, state = both[row].update(grad, state, params)
            moved[row] = optimizers.apply_updates(params, updates), state
        return moved, None

    @jax.jit
    @jax.numpy_dtype_promotion("standard")  # optax's adam raises a float to an integer
    def run(params):
        starts = {row: (params, optimizer.init(params)) for row, optimizer in both.items()}
        return jax.lax.scan(step, starts, length=steps)[0]

    last = run(params)
    return {name: [last[name, side][0] for side in (0, 1)] for name in PAIRS}


@functools.cache
def descended():
    """Start, loss and last parameters of a network; of these in one vector, which is compiled sooner."""
    images = np.random.default_rng(0).random((50, 6)).astype(np.float32)
    labels = images[:, :3].argmax(axis=1).astype(np.int32)
    batch = Batch(jnp.asarray(images), jnp.asarray(labels), jnp.ones(50))
    recipe = training.Recipe(layers.mlp(6, 16, 3), optimizers.sgd(0.1))
    params, unflatten = ravel_pytree(recipe.model.init(jax.random.key(0)))

    def loss(params):
        return training.mean_loss(unflatten(params), batch, recipe)

    return params, jax.jit(loss), descend(params, loss, 100)


@functools.cache
def descended_in_float64():
    params = {"a": jnp.array([1.0, -2.0]), "b": (jnp.ones(()), [jnp.full((2, 2), 3.0, jnp.float64)])}

    def loss(p):
        return sum(((k + 1) * leaf**2).sum() for k, leaf in enumerate(jax.tree.leaves(p))) / 5

    return descend(params, loss, 100)


@pytest.mark.parametrize("name", PAIRS)
def test_s57_s59_s87_equal_to_optax_over_100_steps(name):
    params, loss, last = descended()
    got, expected = last[name]
    if name.startswith("adam"):  # a quotient of two small numbers, which the compiler orders as it likes
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_array_max_ulp(np.asarray(got), np.asarray(expected), maxulp=1)
    assert loss(got) < loss(params)


@pytest.mark.parametrize("name", PAIRS)
def test_s57_equal_to_optax_in_float64(name, x64):
    assert_trees_close(*descended_in_float64()[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_structure_shape_and_dtype_are_kept(name):
    optimizer, _ = PAIRS[name]
    params = ({"w": jnp.ones((2, 3)), "b": jnp.zeros(3, jnp.bfloat16)}, [jnp.array(1.0)], ())
    state = jax.eval_shape(optimizer.init, params)
    updates, next_state = jax.eval_shape(optimizer.update, params, state, params)
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


MAKERS = [getattr(optimizers, name) for name in ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")]


@pytest.mark.parametrize("make", MAKERS)
def test_s57_it_finds_the_bottom_of_a_parabola_and_of_rosenbrocks_valley(make):
    rates = {"sgd": 2e-3, "momentum": 2e-4, "nesterov": 5e-4, "adagrad": 0.5, "rmsprop": 1e-3, "adam": 2e-2}
    optimizer = make(job.make_schedule("cosine", rates[make.__name__], 20_000))

    def parabola(p):
        return ((p["x"] - 3) ** 2 + 2 * p["y"] ** 2).sum()

    def valley(p):
        return (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2

    for loss, bottom in ((parabola, (3, 0)), (valley, (1, 1))):
        params = {"x": jnp.array(-1.0), "y": jnp.array(1.5)}
        (params, _), _ = jax.lax.scan(
            lambda carry, _, loss=loss: (step(optimizer, carry, loss), None),
            (params, optimizer.init(params)),
            length=20_000,
        )
        np.testing.assert_allclose([params["x"], params["y"]], bottom, atol=0.02)


def step(optimizer, carry, loss):
    params, state = carry
    updates, state = optimizer.update(jax.grad(loss)(params), state, params)
    return optimizers.apply_updates(params, updates), state


def test_s59_the_listing_of_the_book_is_nesterovs(x64):
    """velocity = past_velocity * momentum - rate * g; w = w + momentum * velocity - rate * g."""
    w, velocity, rate, decay = 5.0, 0.0, 0.1, 0.1
    optimizer = optimizers.nesterov(rate, decay)
    params, state = jnp.array(5.0), optimizer.init(jnp.array(5.0))
    for _ in range(10):
        g = 2 * w
        velocity = velocity * decay - rate * g
        w = w + decay * velocity - rate * g
        params, state = step(optimizer, (params, state), jnp.square)
        np.testing.assert_allclose(params, w, rtol=1e-12)


def test_s57_how_keras_and_pytorch_differ_is_as_the_docstrings_say(x64):
    g = jnp.array([3.0, -4.0])

    def first(optimizer):
        return optimizer.update(g, optimizer.init(g), g)[0]

    np.testing.assert_allclose(first(optimizers.adagrad(0.1, 0.0, 0.0)), [-0.1, 0.1])
    np.testing.assert_allclose(first(optimizers.rmsprop(0.1, 0.99, 0.0)), [-1, 1])  # 1 / sqrt(1 - 0.99) = 10
    np.testing.assert_allclose(first(optimizers.adam(0.1, eps=0.0)), [-0.1, 0.1])
    heavy, state = optimizers.momentum(0.1), None
    state = heavy.init(g)
    for _ in range(200):
        updates, state = heavy.update(g, state, g)
    np.testing.assert_allclose(updates, 10 * first(optimizers.sgd(0.1)), rtol=1e-8)


NO_RATES = [-0.1, float("nan"), float("inf"), np.float32(-1), np.array(-1.0), jnp.float32(-1)]
NO_NUMBERS = [None, "0.1", True, 0.1 + 1j, [0.1], jnp.ones(3)]


@pytest.mark.parametrize("rate", [0, 0.0, jnp.float32(0), *NO_RATES, *NO_NUMBERS])
def test_s54_a_learning_rate_must_be_positive_and_finite(rate, as_a_user):
    """That of a run, which is to learn."""
    with pytest.raises(ValueError, match=r"learning rate: got .*, expected a positive, finite number"):
        optimizers.check_learning_rate(rate)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("rate", [*NO_RATES, *NO_NUMBERS])
def test_the_learning_rate_of_an_optimizer_must_be_0_or_more_and_finite(make, rate, as_a_user):
    with pytest.raises(ValueError, match=r"learning rate: got .*, expected a finite number, 0 or more"):
        make(rate)


def first_updates(make, rate):
    grads = {"w": jnp.array([4.0, -8.0]), "half": jnp.ones(2, jnp.bfloat16)}
    optimizer = make(rate)
    return optimizer.update(grads, optimizer.init(grads), grads)[0]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "rate", [0, 0.0, np.float32(0), jnp.array(0.0), jnp.array(0), lambda _: 0, lambda _: 0.0]
)
def test_nothing_moves_at_a_learning_rate_of_0(make, rate):
    for leaf in jax.tree.leaves(first_updates(make, rate)):
        np.testing.assert_array_equal(leaf, jnp.zeros_like(leaf))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "kind", [float, int, np.float32, np.float64, np.int64, jnp.float32, jnp.int32, jnp.bfloat16]
)
def test_a_schedule_may_return_any_kind_of_number(make, kind):
    assert_trees_close(first_updates(make, lambda count: kind(2)), first_updates(make, 2.0))


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (optimizers.momentum, "decay", 1.0),
        (optimizers.nesterov, "decay", -0.1),
        (optimizers.rmsprop, "decay", float("nan")),
        (optimizers.rmsprop, "eps", -1e-8),
        (optimizers.adagrad, "eps", float("inf")),
        (optimizers.adagrad, "initial_accumulator_value", -0.1),
        (optimizers.adam, "b1", 1),
        (optimizers.adam, "b2", 2.0),
        (optimizers.adam, "eps", -1),
        (optimizers.momentum, "decay", None),
        (optimizers.nesterov, "decay", False),
        (optimizers.adagrad, "eps", None),
        (optimizers.rmsprop, "decay", "0.9"),
        (optimizers.adam, "b2", None),
    ],
)
def test_s57_hyper_parameters_out_of_range_are_refused(make, name, value, as_a_user):
    with pytest.raises(ValueError, match=f"{name.replace('_', ' ')}: got {value}, expected"):
        make(0.1, **{name: value})


def test_s88_the_learning_rate_is_an_argument_and_may_be_traced(toy):
    def last_loss(rate):
        recipe = training.Recipe(layers.mlp(6, 3), optimizers.sgd(rate), batch_size=10)
        return training.train(jax.random.key(0), toy, recipe, 3)[1].loss[-1].mean()

    rates = jnp.array([0.01, 0.3])
    together, apart = jax.jit(lambda rates: (jax.vmap(last_loss)(rates), [last_loss(0.01), last_loss(0.3)]))(
        rates
    )
    np.testing.assert_allclose(together, apart, rtol=1e-4)
    assert together[1] < together[0]


@pytest.mark.parametrize("make", job.OPTIMIZERS.values())
def test_the_count_of_updates_stops_at_its_largest(make):
    optimizer, params = make(0.1), {"w": jnp.ones(3)}
    state = optimizer.init(params)._replace(count=jnp.int32(2**31 - 2))
    for _ in range(3):
        updates, state = optimizer.update({"w": jnp.ones(3)}, state, params)
        assert np.isfinite(updates["w"]).all() and (updates["w"] < 0).all()
    assert state.count == 2**31 - 1
