"""The examples in shards: an epoch takes each example once, and equally many of each shard."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import assert_trees_close
from processes import eight_devices
from processes.eight_devices import EPOCHS, KEY

from jaxnaive import batches, parallel, splits, training
from jaxnaive.data import rows

epoch_table = jax.jit(training.epoch_table, static_argnums=(2, 3))
take = jax.jit(batches.take, static_argnums=2)


def test_an_epoch_takes_each_example_once_and_equally_many_of_each_shard():
    recipe = eight_devices.recipe_with(optax.sgd(0.1))
    tables = [epoch_table(KEY, jnp.int32(epoch), 96, recipe) for epoch in (0, 1)]
    for index, weight in tables:
        assert index.shape == (3, 40)
        np.testing.assert_array_equal(np.sort(np.asarray(index)[np.asarray(weight) == 1]), np.arange(96))
        by_shard = np.where(weight, index // 12, -1).reshape(3, 8, 5)
        for row, each in zip(by_shard, (5, 5, 2), strict=True):
            np.testing.assert_array_equal(row, [[shard] * each + [-1] * (5 - each) for shard in range(8)])
        places = np.asarray(index[:2] % 12).reshape(2, 8, 5).swapaxes(0, 1).reshape(8, 10)
        assert len({tuple(shard) for shard in places.tolist()}) == 8  # each in an order of its own
    assert (tables[0].index != tables[1].index).mean() > 0.5


@pytest.mark.parametrize("shards", [1, 8])
def test_what_is_taken_of_each_shard_is_what_the_table_says(shards):
    examples = eight_devices.toy()
    table = epoch_table(KEY, jnp.int32(0), 96, eight_devices.recipe_with(optax.sgd(0.1), shards))
    for index, weight in ((table.index[step], table.weight[step]) for step in (0, 2)):
        batch = take(examples, batches.IndexTable(index, weight), shards)
        there = np.asarray(weight) == 1
        images = examples.images[np.asarray(index)].reshape(40, 25).astype(np.float32) / 255
        np.testing.assert_allclose(batch.images[there], images[there], rtol=1e-6)
        np.testing.assert_array_equal(batch.labels[there], examples.labels[np.asarray(index)[there]])


def test_training_with_shards_is_a_python_loop_over_the_table():
    examples, recipe = eight_devices.toy(), eight_devices.recipe_with(optax.sgd(0.3))
    state = training.start(KEY, recipe)
    params = state.params

    @jax.jit
    @jax.grad
    def gradient(params, images, labels):
        logits = recipe.model.forward(params, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    for epoch in range(EPOCHS):
        for index, weight in zip(*epoch_table(state.key, jnp.int32(epoch), 96, recipe), strict=True):
            seen = np.asarray(index)[np.asarray(weight) == 1]
            images = jnp.asarray(examples.images[seen].reshape(-1, 25).astype(np.float32) / 255)
            grads = gradient(params, images, examples.labels[seen])
            params = jax.tree.map(lambda w, g: w - 0.3 * g, params, grads)
    assert_trees_close(training.train(KEY, examples, recipe, EPOCHS)[0], params, rtol=1e-4, atol=1e-6)


def test_rows_of_a_file_are_read_when_they_are_divided(tmp_path):
    whole, places = eight_devices.toy(), np.array([5, 0, 90])
    np.save(tmp_path / "images.npy", whole.images)
    images: Any = rows.Rows(np.load(tmp_path / "images.npy", mmap_mode="r"), places)
    shared = parallel.shard(splits.select(whole, places)._replace(images=images), parallel.mesh())
    np.testing.assert_array_equal(shared.images, whole.images[places])


@pytest.mark.parametrize(
    ("examples", "batch_size", "shards", "message"),
    [
        (96, 40, 0, "shards: got 0, expected 1 or more"),
        (96, 39, 8, "batch size: got 39, expected a multiple of 8, the number of shards"),
        (95, 40, 8, "examples: got 95, expected a multiple of 8, the number of shards"),
        (96, 97, 8, "batch size: got 97, expected a multiple of 8, the number of shards"),
    ],
)
def test_shards_that_are_not_equal_are_refused(as_a_user, examples, batch_size, shards, message):
    recipe = eight_devices.recipe_with(optax.sgd(0.1), shards)._replace(batch_size=batch_size)
    toy = splits.select(eight_devices.toy(), slice(examples))
    with pytest.raises(ValueError, match=message):
        training.train(KEY, toy, recipe, 1)
