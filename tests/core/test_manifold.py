"""How a small network uncrumples two classes: rows S41 and S42."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import manifold

KEYS = jax.random.split(jax.random.key(0), 3)


@pytest.mark.optimise
def test_s41_s42_the_hidden_layers_uncrumple_what_no_line_separates():
    train, test = (manifold.spirals(key, 1000) for key in KEYS[:2])
    film = manifold.watch(KEYS[2], train, test, epochs=(0, 100))
    first, last = film.accuracy
    assert first.max() < 0.75
    assert last[0] == first[0]  # the input stays what it is
    assert last[1] > 0.9 and last[2:].min() > 0.98
    assert [points.shape for points in film.points] == [(2, 1000, 2)] * 4
    assert {grid.shape for grid in film.grids} == {(2, 24, 40, 2)}
    np.testing.assert_array_equal(film.points[0], [train.images] * 2)


def test_s42_the_linear_classifier_is_that_of_numpy():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 3)).astype(np.float32), rng.integers(0, 2, 200)
    weights = np.linalg.lstsq(np.column_stack([x, np.ones(200)]), 2 * y - 1, rcond=None)[0]
    expected = np.mean((np.column_stack([x, np.ones(200)]) @ weights > 0) == (y == 1))
    labels = jnp.asarray(y, jnp.int32)
    assert abs(manifold.linear_accuracy(jnp.asarray(x), labels, jnp.asarray(x), labels) - expected) < 0.006


def test_s42_points_are_drawn_on_the_plane_in_which_they_spread_most():
    flat = np.random.default_rng(0).normal(size=(100, 2)) * (3, 1)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    points = jnp.asarray(flat @ rotation[:2] + 7, jnp.float32)
    drawn = manifold.project(manifold.frame_of(points), points)
    away = np.linalg.norm(drawn[:, None] - drawn, axis=-1)
    np.testing.assert_allclose(away, np.linalg.norm(flat[:, None] - flat, axis=-1), atol=1e-4)
    assert drawn[:, 0].std() > 2 * drawn[:, 1].std()


@pytest.mark.parametrize("make", [manifold.spirals, manifold.moons])
def test_the_two_classes_are_equally_large_and_in_the_picture(make):
    points, labels, _ = make(KEYS[0], 200)
    assert points.shape == (200, 2) and np.bincount(labels).tolist() == [100, 100]
    assert np.abs(points).max() < 1.3


def test_a_layer_without_a_plane_is_refused():
    points = manifold.moons(KEYS[0], 100)
    for hidden in ((), (16, 1)):
        with pytest.raises(ValueError, match=r"hidden units: got \(.*\), expected 2 or more in each layer"):
            manifold.watch(KEYS[2], points, points, hidden)
