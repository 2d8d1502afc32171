"""Rows S13, S17, S18, S21, S53 and S79 to S81, and bugs B8 to B11, of the notes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import batches
from jaxnaive.batches import Examples

KEY = jax.random.key(0)
SIZES = [
    (60_000, 128, 469, 96),
    (10_000, 128, 79, 16),
    (50, 7, 8, 1),
    (50, 50, 1, 50),
    (50, 1, 50, 1),
    (6, 3, 2, 3),
]


@pytest.mark.parametrize(("examples", "size", "steps", "last"), SIZES)
def test_s13_s18_s80_s81_b11_every_example_once_in_batches_of_one_shape(examples, size, steps, last):
    table = jax.jit(lambda order: batches.index_table(order, size))(np.arange(examples, dtype=np.int32))
    assert table.index.shape == table.weight.shape == (steps, size)
    assert table.weight[-1].sum() == last and table.weight[:-1].all()
    seen = np.asarray(table.index)[np.asarray(table.weight) == 1]
    np.testing.assert_array_equal(seen, np.arange(examples))


@pytest.mark.parametrize("size", [0, -1])
def test_b9_a_batch_size_that_does_not_fit_is_refused(size):
    with pytest.raises(ValueError, match=rf"batch size: got {size}, expected 1 or more"):
        batches.index_table(jnp.arange(50, dtype=jnp.int32), size)


def test_s56_a_larger_batch_than_all_examples_is_all_of_them():
    larger, all_of_them = (batches.index_table(jnp.arange(50, dtype=jnp.int32), size) for size in (51, 50))
    np.testing.assert_array_equal(larger.index, all_of_them.index)
    assert larger.weight.sum() == 50


def test_s53_b10_the_order_is_a_permutation_of_key_and_epoch_alone():
    orders = [np.asarray(batches.epoch_order(KEY, epoch, 1000)) for epoch in range(3)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(1000))
    assert np.mean(orders[0] == orders[1]) < 0.01 and np.mean(orders[1] == orders[2]) < 0.01
    np.testing.assert_array_equal(batches.epoch_order(KEY, jnp.int32(2), 1000), orders[2])
    assert np.mean(np.asarray(batches.epoch_order(jax.random.key(1), 0, 1000)) == orders[0]) < 0.01


def test_s21_three_layouts_of_images_give_the_same_features():
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    expected = images.reshape(5, 784).astype(np.float32) / 255
    for layout in (images, images[..., None], images[:, None]):
        features = batches.as_features(layout)
        assert features.dtype == jnp.float32
        np.testing.assert_allclose(features, expected, rtol=1e-7)
    np.testing.assert_array_equal(batches.as_features(expected), expected)


def test_s18_a_row_of_the_table_takes_its_slice():
    images = np.arange(20, dtype=np.float32).reshape(10, 2)
    examples = Examples(images, np.arange(10, dtype=np.int32))
    table = batches.index_table(jnp.arange(10, dtype=jnp.int32), 4)
    for n in range(3):
        batch = batches.take(examples, jax.tree.map(lambda a, n=n: a[n], table))
        real = np.asarray(batch.weight) == 1
        np.testing.assert_array_equal(batch.images[real], images[4 * n : 4 * (n + 1)])
        np.testing.assert_array_equal(batch.labels[real], range(10)[4 * n : 4 * (n + 1)])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((10, 2), np.uint8), np.zeros(9, np.int32), "got 10 images and 9 labels"),  # B4
        (np.zeros((0, 2), np.uint8), np.zeros(0, np.int32), r"images: got shape \(0, 2\)"),
        (np.zeros(10, np.uint8), np.zeros(10, np.int32), r"images: got shape \(10,\)"),
        (np.zeros((10, 2), np.int32), np.zeros(10, np.int32), "images: got int32"),
        (np.zeros((10, 2), np.uint8), np.zeros(10, np.float32), "labels: got float32"),
        (np.zeros((10, 2), np.uint8), np.zeros((10, 3), np.int32), r"labels: got int32 of shape \(10, 3\)"),
    ],
)
def test_s79_b4_b5_b8_examples_that_do_not_fit_together_are_refused(images, labels, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        batches.check(Examples(images, labels))
