"""Rows S34 to S42 of the notes: what tensor operations mean as movements of space."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_trees_close

from jaxnaive import geometry, layers
from jaxnaive.geometry import Affine

KEY = jax.random.key(0)
POINTS = jax.random.normal(KEY, (50, 2))
LINEAR = {
    "rotation": geometry.rotation(0.7),
    "scaling": geometry.scaling(jnp.array([2.0, -0.5])),
    "shear": geometry.shear(1.5),
    "linear": geometry.linear(jnp.array([[1.0, 2.0], [3.0, -1.0]])),
}
NOT_LINEAR = {
    "translation": geometry.translation(jnp.array([1.0, 0.25])),
    "affine": Affine(jnp.array([[1.0, 2.0], [3.0, -1.0]]), jnp.array([0.5, 0.0])),
}
ALL = LINEAR | NOT_LINEAR


def gap(f, a, b):
    x, y = POINTS[0], POINTS[1]
    return float(np.abs(geometry.linearity_gap(f, x, y, a, b)).max())


def test_s34_s35_translation_adds_a_vector():
    moved = geometry.apply(geometry.translation(jnp.array([1.0, 0.25])), jnp.array([0.5, 1.0]))
    np.testing.assert_array_equal(moved, [1.5, 1.25])


def test_s36_rotation_is_counter_clockwise_and_keeps_lengths():
    quarter = geometry.rotation(math.pi / 2)
    np.testing.assert_allclose(geometry.apply(quarter, jnp.array([1.0, 0.0])), [0, 1], atol=1e-6)
    turned = np.asarray(geometry.apply(geometry.rotation(0.7), POINTS))
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(POINTS, axis=1), rtol=1e-5)
    as_complex = np.exp(0.7j) * (np.asarray(POINTS)[:, 0] + 1j * np.asarray(POINTS)[:, 1])
    np.testing.assert_allclose(turned, np.stack([as_complex.real, as_complex.imag], axis=1), atol=1e-5)


def test_s36_rotations_add_up():
    both = geometry.compose(geometry.rotation(0.4), geometry.rotation(0.3))
    assert_trees_close(both, geometry.rotation(0.7), atol=1e-6)


@pytest.mark.parametrize("name", LINEAR)
def test_s37_maps_by_a_matrix_are_linear(name):
    f = ALL[name]
    assert gap(lambda x: geometry.apply(f, x), 2.0, -3.0) < 1e-5


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_s37_the_notes_are_wrong_translation_is_not_linear(name):
    f = ALL[name]
    assert gap(lambda x: geometry.apply(f, x), 2.0, -3.0) > 0.1
    assert gap(lambda x: geometry.apply(f, x), 4.0, -3.0) < 1e-4  # affine: it passes where a + b = 1
    assert gap(lambda x: geometry.apply(f, x), 1.0, 0.5) > 0.1


def test_s37_the_law_is_that_of_the_matrix_of_derivatives():
    for f in ALL.values():
        np.testing.assert_allclose(
            jax.jacobian(lambda x, f=f: geometry.apply(f, x))(POINTS[0]), f.matrix, atol=1e-6
        )


@pytest.mark.parametrize("name", ALL)
def test_s38_affine_maps_equal_their_homogeneous_matrix_on_one_dimension_more(name):
    f = ALL[name]
    lifted = np.column_stack([POINTS, np.ones(50)]) @ np.asarray(geometry.homogeneous(f), np.float64).T
    np.testing.assert_allclose(lifted[:, :2], geometry.apply(f, POINTS), atol=1e-5)
    np.testing.assert_array_equal(lifted[:, 2], 1)


@pytest.mark.parametrize("outer", ALL)
@pytest.mark.parametrize("inner", ALL)
def test_s38_composing_is_applying_in_turn_and_multiplying_homogeneous_matrices(outer, inner):
    both = geometry.compose(ALL[outer], ALL[inner])
    in_turn = geometry.apply(ALL[outer], geometry.apply(ALL[inner], POINTS))
    np.testing.assert_allclose(geometry.apply(both, POINTS), in_turn, atol=1e-4)
    product = np.asarray(geometry.homogeneous(ALL[outer])) @ np.asarray(geometry.homogeneous(ALL[inner]))
    np.testing.assert_allclose(geometry.homogeneous(both), product, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_the_inverse_takes_every_point_back(name):
    f = ALL[name]
    np.testing.assert_allclose(
        geometry.apply(geometry.inverse(f), geometry.apply(f, POINTS)), POINTS, atol=1e-5
    )
    expected = np.linalg.inv(np.asarray(geometry.homogeneous(f), np.float64))
    np.testing.assert_allclose(geometry.homogeneous(geometry.inverse(f)), expected, atol=1e-5)


def test_s39_a_dense_layer_without_activation_is_an_affine_map():
    layer = layers.dense(3, 2)
    params = {"w": jax.random.normal(KEY, (3, 2)), "b": jnp.array([1.0, -1.0])}
    x = jax.random.normal(jax.random.key(1), (7, 3))
    np.testing.assert_allclose(
        geometry.apply(geometry.of_dense(params), x), layer.forward(params, x), rtol=1e-5
    )


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_s40_a_chain_of_affine_layers_is_one_to_rounding(depth):
    sizes = [6, 8, 5, 7, 4, 3][: depth + 1]
    chain = [layers.dense(*pair) for pair in itertools.pairwise(sizes)]
    model = layers.sequential(*chain)
    x = jax.random.normal(jax.random.key(1), (20, 6))

    @jax.jit
    def both_ways(key):
        params = jax.tree.map(lambda a: a + 0.1, model.init(key))
        one = geometry.collapse(params)
        return one, layers.dense(6, sizes[-1]).forward(one, x), model.forward(params, x)

    one, got, expected = both_ways(KEY)
    assert one["w"].shape == (6, sizes[-1]) and one["b"].shape == (sizes[-1],)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_s41_with_relu_in_between_no_affine_map_does_it():
    model = layers.sequential(layers.dense(2, 16, layers.relu), layers.dense(16, 1))
    params = model.init(KEY)
    assert (
        gap(lambda x: model.forward(params, x), 4.0, -3.0) > 0.1
    )  # not affine: it fails even where a + b = 1


def test_maps_are_pytrees():
    angles = jnp.linspace(0.0, 1.0, 5)
    many = jax.vmap(geometry.rotation)(angles)
    assert many.matrix.shape == (5, 2, 2)
    turned = jax.vmap(geometry.apply, in_axes=(0, None))(many, POINTS)
    np.testing.assert_allclose(turned[4], geometry.apply(geometry.rotation(1.0), POINTS), atol=1e-6)
    slope = jax.grad(lambda angle: geometry.apply(geometry.rotation(angle), jnp.array([1.0, 0.0]))[1])(0.0)
    assert slope == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: geometry.rotation(math.nan), "rotation: got nan, expected a finite number"),
        (lambda: geometry.shear(math.inf), "shear: got inf, expected a finite number"),
        (lambda: geometry.rotation(jnp.zeros(2)), "rotation: got .*, expected a finite number"),
        (lambda: geometry.scaling(jnp.array([1.0, jnp.nan])), "scaling: got .* expected a vector of finite"),
        (lambda: geometry.translation(jnp.zeros((2, 2))), "translation: got .* expected a vector of finite"),
        (lambda: geometry.linear(jnp.zeros(2)), r"linear: got an array of shape \(2,\), expected a matrix"),
        (
            lambda: geometry.apply(ALL["shear"], jnp.zeros((4, 3))),
            r"points of shape \(4, 3\) .* \(2, 2\), expected 2",
        ),
        (lambda: geometry.apply(ALL["shear"], jnp.array(1.0)), r"points of shape \(\)"),
        (
            lambda: geometry.compose(ALL["shear"], geometry.linear(jnp.zeros((3, 2)))),
            r"compose: got matrices of shape \(2, 2\) after \(3, 2\)",
        ),
        (
            lambda: geometry.inverse(geometry.linear(jnp.zeros((3, 2)))),
            r"inverse: got .* \(3, 2\), expected a square",
        ),
        (lambda: geometry.inverse(geometry.scaling(jnp.array([1.0, 0.0]))), "inverse: got a singular matrix"),
        (lambda: geometry.collapse([]), "collapse: got no layers"),
        (
            lambda: geometry.collapse([layers.dense(2, 3).init(KEY), layers.dense(4, 1).init(KEY)]),
            r"compose: got matrices of shape \(1, 4\) after \(3, 2\)",
        ),
    ],
)
def test_bad_input_is_refused_with_both_shapes(call, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        call()
