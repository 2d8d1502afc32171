"""Which examples a step sees: the order of an epoch, cut into batches of one shape.

An epoch's order depends on (key, epoch) alone, so a resumed run sees what the uninterrupted one would have
seen. If the last batch is short, it is filled up with examples of weight 0. So every batch has the same
shape, one compiled program serves them all, and no example is dropped or counted twice.

The examples may be divided into shards, equal parts in their order, one for each device. Then each shard is
shuffled by itself, and every batch takes equally many examples of each: no device needs those of another.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int32, Key, Shaped

AnyArray = Array | np.ndarray


class Examples(NamedTuple):
    """Images, or any other inputs, with their labels."""

    images: Shaped[AnyArray, "examples ..."]  # uint8, or float
    labels: Shaped[AnyArray, "examples ..."]  # int32, classes counted from 0; or float32 targets
    weight: Shaped[AnyArray, " examples"] | None = None  # how much each counts in training; None: 1


class Batch(NamedTuple):
    """What one step sees."""

    images: Float[Array, "batch features"]
    labels: Shaped[Array, "batch ..."]
    weight: Float32[Array, " batch"]  # of each example; 0 for padding


class IndexTable(NamedTuple):
    """An epoch as a table with a row for each step: which examples, and with what weight."""

    index: Int32[Array, "steps batch"]
    weight: Float32[Array, "steps batch"]


def num_batches(examples: int, batch_size: int) -> int:
    """``ceil(examples / batch_size)``: 60,000 in batches of 128 are 469, the last one of 96."""
    return -(-examples // batch_size)


def epoch_order(
    key: Key[Array, ""], epoch: Int32[Array, ""] | int, examples: int, shards: int = 1
) -> Int32[Array, " examples"]:
    """A permutation of ``0 .. examples - 1`` that depends on the key and the epoch's number alone.

    With several shards each of them is permuted by itself.

    Each example gets one of 2**32 random numbers, and the examples are sorted by it. Two with the same one
    keep their order. ``jax.random.permutation`` sorts again to avoid that, which costs 3 % of an epoch.
    """
    bits = jax.random.bits(jax.random.fold_in(key, epoch), (shards, examples // shards), jnp.uint32)
    order = jnp.argsort(bits).astype(jnp.int32)  # with jax_enable_x64 it is int64
    return (order + jnp.arange(0, examples, examples // shards, jnp.int32)[:, None]).reshape(-1)


def index_table(order: Int32[Array, " examples"], batch_size: int, shards: int = 1) -> IndexTable:
    """Cut an order into ``ceil(examples / batch_size)`` rows, each with equally many examples of every shard.

    The last row is filled up with index 0 at weight 0. A batch has at most all examples.

    Raises:
      ValueError: the batch size is less than 1, or the shards are not equal.

    >>> table = index_table(jnp.arange(5), 2)
    >>> table.index.tolist()
    [[0, 1], [2, 3], [4, 0]]
    >>> table.weight.tolist()
    [[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]
    >>> index_table(jnp.arange(6), 4, shards=2).index.tolist()
    [[0, 1, 3, 4], [2, 0, 5, 0]]
    """
    (examples,) = order.shape
    check_batch_size(batch_size, examples, shards)
    batch_size = min(batch_size, examples)
    steps = num_batches(examples, batch_size)
    padding = ((0, 0), (0, (steps * batch_size - examples) // shards))

    def cut(values: Array) -> Array:
        parts = jnp.pad(values.reshape(shards, -1), padding).reshape(shards, steps, -1)
        return parts.swapaxes(0, 1).reshape(steps, batch_size)

    return IndexTable(cut(order), cut(jnp.ones(examples, jnp.float32)))


def take(examples: Examples, row: IndexTable, shards: int = 1) -> Batch:
    """The batch that one row of the table describes. Images become floats here, not before."""

    def rows(array: Array) -> Array:
        if shards == 1:
            return array[row.index]
        # Each part of the row is taken from its own shard, so devices that hold one shard each send nothing.
        parts = array.reshape(shards, -1, *array.shape[1:])
        places = row.index.reshape(shards, -1) % parts.shape[1]
        return jax.vmap(lambda part, place: part[place])(parts, places).reshape(-1, *array.shape[1:])

    images, labels, weight = jax.tree.map(lambda array: rows(jnp.asarray(array)), examples)
    return Batch(as_features(images), labels, row.weight if weight is None else row.weight * weight)


def as_features(images: Shaped[AnyArray, "batch ..."]) -> Float[Array, "batch features"]:
    """One row of floats for each example, from any layout: ``[n,28,28]``, ``[n,28,28,1]``, ``[n,1,28,28]``.

    uint8 is a grey value: 0..255 becomes 0..1. Floats are taken as they are.

    Raises:
      ValueError: the images are neither uint8 nor floats; how to scale other integers is not known.
    """
    _check_dtype(images)
    rows = jnp.asarray(images).reshape(images.shape[0], -1)
    return rows.astype(jnp.float32) / 255 if rows.dtype == jnp.uint8 else rows


def check_batch_size(batch_size: int, examples: int, shards: int = 1) -> None:
    """Raise ``ValueError`` unless the batch size is 1 or more, and shards divide it and the examples."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"batch size: got {batch_size!r}, expected 1 or more, an integer")
    for name, value in (("shards", shards), ("batch size", batch_size), ("examples", examples)):
        if shards < 1 or value % shards:
            expected = "1 or more" if shards < 1 else f"a multiple of {shards}, the number of shards"
            raise ValueError(f"{name}: got {value}, expected {expected}")


def check(examples: Examples) -> None:
    """Raise ``ValueError`` unless shapes and dtypes fit together. ``data`` checks the values."""
    images, labels, weight = examples
    if images.ndim < 2 or images.size == 0:
        raise ValueError(f"images: got shape {images.shape}, expected [examples, ...], at least one")
    _check_dtype(images)
    kind = jnp.integer if labels.ndim == 1 else jnp.floating
    if labels.ndim not in (1, 2) or not jnp.issubdtype(labels.dtype, kind):
        expected = "one integer an example, or float targets [examples, targets]"
        raise ValueError(f"labels: got {labels.dtype} of shape {labels.shape}, expected {expected}")
    if len(images) != len(labels):
        raise ValueError(f"got {len(images)} images and {len(labels)} labels, expected as many of each")
    if weight is not None and weight.shape != (len(labels),):
        raise ValueError(f"weight: got shape {weight.shape}, expected {(len(labels),)}")


def _check_dtype(images: AnyArray) -> None:
    if not (images.dtype == jnp.uint8 or jnp.issubdtype(images.dtype, jnp.floating)):
        raise ValueError(f"images: got {images.dtype}, expected uint8 or float32")
