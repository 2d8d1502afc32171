"""Examples that a device has no room for: they stay where they are, and come to it some updates at a time."""

import inspect
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import splits, training
from jaxnaive.batches import Examples, IndexTable
from jaxnaive.data import rows
from jaxnaive.layers import Layer, Params
from jaxnaive.training import Evaluation, Recipe, State

SHARE = 1 / 4  # of the memory that there is: what examples may take by default
COPIES = 4  # of a chunk, at most: the one that is trained on, the next one, and what is made of them

train_steps = jax.jit(training.train_steps, static_argnames="recipe")


def select(examples: Examples, index: np.ndarray) -> Examples:
    """The examples at these places; those of a large file are not read yet."""
    return jax.tree.map(lambda array: rows.select(array, index), examples)


def on_device(examples: Examples) -> Examples:
    """All of them on the device."""
    return jax.device_put(_in_memory(examples))


def make_epoch(
    recipe: Recipe, examples: Examples, state: State, seeds: int, memory: int | None
) -> Callable[[State], tuple[State, Any]]:
    """An epoch as a function of the state alone, compiled: all examples at once if they have room.

    Raises:
      ValueError: there is no room for them, and several seeds.
    """
    if not _has_room(examples, memory):
        if seeds > 1:
            raise ValueError(f"seeds: got {seeds} and more examples than memory, expected 1; or more memory")
        return lambda state: train_in_chunks(state, examples, recipe, memory)
    there = on_device(examples)

    def train_epoch(state: State, examples: Examples) -> Any:
        return inspect.unwrap(training.train_epoch)(state, examples, recipe)

    # In a function of its own, so that the program goes with it: JAX keeps those of training.train_epoch.
    every = jax.vmap(train_epoch, in_axes=(0, None)) if seeds > 1 else train_epoch
    config: Any = jax.config
    program: Any = jax.jit(every)
    if not config.jax_disable_jit:  # or else it is called as it is, and there is nothing to compile
        program = program.lower(state, there).compile()
    return lambda state: program(state, there)


def train_in_chunks(
    state: State, examples: Examples, recipe: Recipe, memory: int | None = None
) -> tuple[State, np.ndarray]:
    """As :func:`jaxnaive.training.train_epoch`, with no more of the examples on the device than have room."""
    table = training.epoch_table(state.key, state.epoch, len(examples.labels), recipe)
    index = np.asarray(table.index)
    batch_bytes = recipe.batch_size * _nbytes(examples) // len(examples.labels)
    steps = max(1, (memory or _default_memory()) // COPIES // batch_bytes)
    losses = []
    for first in range(0, len(index), steps):
        places = index[first : first + steps]
        in_chunk = jnp.arange(places.size, dtype=jnp.int32).reshape(places.shape)
        part = IndexTable(in_chunk, table.weight[first : first + steps])
        state, loss = train_steps(state, _read(examples, places.ravel()), part, recipe)
        losses.append(loss)
        jax.block_until_ready(losses[-2:][0])  # one chunk is read while another is trained on, and no more
    return state._replace(epoch=state.epoch + 1), np.concatenate(losses)


def make_validation(
    recipe: Recipe, examples: Examples | None, seeds: int, memory: int | None
) -> Callable[[Params], Any]:
    """The loss on held-out examples as a function of the parameters: a number, one for each seed, or None."""
    if examples is None:
        return lambda params: None

    @jax.jit
    def validation_loss(params: Params, part: Examples) -> jax.Array:
        return training.evaluate(params, part, recipe).loss

    every = jax.vmap(validation_loss, in_axes=(0, None)) if seeds > 1 else validation_loss
    total = len(examples.labels)
    count = max(1, (memory or _default_memory()) // COPIES * total // _nbytes(examples))
    there = on_device(examples) if count >= total else examples

    def validate(params: Params) -> Any:
        loss: Any = 0.0
        for first in range(0, total, count):
            part = there if count >= total else splits.select(there, slice(first, first + count))
            loss += np.asarray(every(params, part)) * (len(part.labels) / total)
        return loss if seeds > 1 else float(loss)

    return validate


def predict(params: Params, images: Any, model: Layer, seeds: int = 1) -> np.ndarray:
    """The outputs of a network for images, a part of them at a time: ``[examples, outputs]``.

    With several seeds ``[seeds, examples, outputs]``.
    """
    every = partial(training.predict, model=model)
    if seeds > 1:
        every = jax.vmap(every, in_axes=(0, None))
    return np.concatenate([np.asarray(every(params, jnp.asarray(part))) for part in rows.parts(images)], -2)


def evaluate(params: Params, examples: Examples, recipe: Recipe, memory: int | None = None) -> Evaluation:
    """As :func:`jaxnaive.training.evaluate`; of more examples than have room, a part of them at a time."""
    if _has_room(examples, memory):
        return training.evaluate(params, _in_memory(examples), recipe)
    logits = jnp.asarray(predict(params, examples.images, recipe.model))
    return training.measure(logits, jnp.asarray(examples.labels), recipe)


def _in_memory(examples: Examples) -> Examples:
    return jax.tree.map(lambda array: np.asarray(array) if isinstance(array, rows.Rows) else array, examples)


def _has_room(examples: Examples, memory: int | None) -> bool:
    return _nbytes(examples) <= (memory or _default_memory())


def _nbytes(examples: Examples) -> int:
    return sum(array.nbytes for array in examples if array is not None)


def _default_memory() -> int:
    """Bytes that examples may take: a share of the device's memory, or of the machine's."""
    of_device = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    total = of_device or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(SHARE * total)


def _read(examples: Examples, places: np.ndarray) -> Examples:
    """The examples at these places, read in the order in which they lie on disk."""
    order = np.argsort(places, kind="stable")
    back = np.argsort(order, kind="stable")
    return jax.tree.map(lambda array: np.asarray(array[places[order]])[back], examples)
