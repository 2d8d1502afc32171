"""What a slope promises, slopes by trying, ways downhill, and the regions of the learning rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import descent, optimizers


def test_s52_what_the_slope_leaves_out_is_half_the_curvature_times_the_square_of_the_step(x64):
    def bowl(x):  # its second derivative is 3 everywhere
        return 1.5 * jnp.sum(x**2) + jnp.sum(x)

    made, curvature = descent.promises(bowl, jnp.array([2.0, -1.0]), [1e-1, 1e-3, 1e-5])
    assert curvature == pytest.approx(3)
    for step, promised, came in made:
        assert promised == pytest.approx(-step * np.hypot(7, -2))
        assert (came - promised) / step**2 == pytest.approx(1.5, rel=1e-4)


def test_s51_slopes_by_trying_each_coefficient_alone_are_the_gradient(x64):
    params = {"a": jnp.array([[1.0, -2.0]]), "b": jnp.array(0.5)}

    def loss(params):
        return jnp.sum(jnp.tanh(params["a"]) ** 2) * params["b"]

    grads = jax.grad(loss)(params)
    tried = descent.one_at_a_time(loss, params, jnp.arange(3), step=1e-4)
    np.testing.assert_allclose(tried, [*grads["a"].ravel(), grads["b"]], rtol=1e-6)


def test_the_way_of_an_optimizer_is_that_of_a_python_loop():
    w = jnp.array([2.0, 0.3])
    optimizer = optimizers.momentum(0.01)
    path = descent.follow(optimizer, descent.valley, w, 5)
    state = optimizer.init(w)
    for visited in path:
        np.testing.assert_allclose(visited, w, rtol=1e-6)
        updates, state = optimizer.update(jnp.array([1.0, 100.0]) * w, state)
        w = w + updates


def rests(loss, start):
    """Where plain descent and momentum come to rest."""
    return [
        float(descent.follow(optimizer, loss, jnp.asarray(start), 300)[-1])
        for optimizer in (optimizers.sgd(0.05), optimizers.momentum(0.05))
    ]


def test_s58_momentum_passes_a_local_minimum_but_not_always_and_not_always_for_the_better():
    shallow, deep, narrow = (
        descent.dented(*dent) for dent in ((0.8, 0.6, -1.0), (1.2, 0.6, -1.0), (1.4, 0.4, -0.5))
    )
    plain, heavy = rests(shallow, -2.5)
    assert plain == pytest.approx(-0.8, abs=0.05) and heavy == pytest.approx(2, abs=0.01)
    assert shallow(heavy) < shallow(plain)
    plain, heavy = rests(deep, -1.3)
    assert plain == pytest.approx(heavy, abs=0.01) and deep(heavy) > deep(2.0)
    plain, heavy = rests(narrow, -2.5)
    assert narrow(heavy) > narrow(plain) + 0.1  # plain descent finds the better place


def test_s58_in_an_ill_conditioned_valley_momentum_takes_fewer_steps():
    def steps(optimizer):
        loss = np.asarray(
            descent.valley(descent.follow(optimizer, descent.valley, jnp.array([2.0, 0.3]), 2000))
        )
        return np.flatnonzero(loss < 1e-6 * loss[0])[0]

    plain = steps(optimizers.sgd(0.018))
    assert steps(optimizers.momentum(0.01)) < plain / 2
    assert steps(optimizers.nesterov(0.01)) < plain / 4


def test_s54_learning_rates_fall_into_three_regions():
    accuracy = np.array(
        [[0.3, 0.4], [0.8, 0.8], [0.95, 0.96], [0.955, 0.95], [0.9, 0.9], [0.9, 0.1], [0.9, 0.9]]
    )
    diverged = np.zeros((7, 2), bool)
    diverged[6, 0] = True
    found = descent.regions(accuracy, diverged)
    places = {name: np.flatnonzero(chosen).tolist() for name, chosen in found.items()}
    assert places == {"slow": [0, 1], "good": [2, 3], "diverged": [5, 6]}  # 4 is neither
