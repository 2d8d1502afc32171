"""Train on up to eight virtual devices, and say in JSON how it went; a process of its own.

XLA_FLAGS=--xla_force_host_platform_device_count=8 python tests/processes/eight_devices.py
"""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnaive import layers, parallel, training
from jaxnaive.batches import Examples

KEY = jax.random.key(3)
EPOCHS = 4
COLLECTIVE = r"= (\S.*?) (all-\w+|reduce-scatter|collective-[\w-]+)(?:-start)?\("  # what comes out, and how


class Recorded(np.ndarray):
    """An array that remembers which rows were read."""

    read: list[tuple[int, int]] = []  # noqa: RUF012  (one list for all views of the array)

    def __getitem__(self, key):
        if isinstance(key, tuple) and isinstance(key[0], slice):
            self.read.append(key[0].indices(len(self))[:2])
        return super().__getitem__(key)


def toy():
    """96 examples, 12 for each of eight devices; batches of 40 are 40, 40 and 16."""
    images = np.random.default_rng(0).integers(0, 256, (96, 5, 5)).astype(np.uint8)
    return Examples(images, images[:, 0, :3].argmax(axis=1).astype(np.int32))


def recipe_with(optimizer, shards=8):
    return training.Recipe(layers.mlp(25, 16, 3), optimizer, batch_size=40, shards=shards)


def difference(got, expected):
    leaves = zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in leaves)


def main():
    examples, recipe = toy(), recipe_with(optax.adam(0.01))
    shared = {number: parallel.shard(examples, parallel.mesh(jax.devices()[:number])) for number in (4, 8)}
    alone = training.train(KEY, examples, recipe, EPOCHS)
    compiled = {n: training.train.lower(KEY, on, recipe, EPOCHS).compile() for n, on in shared.items()}
    many = {number: compiled[number](KEY, on) for number, on in shared.items()}
    shards = jnp.asarray(shared[8].images).addressable_shards
    parallel.shard(examples._replace(images=examples.images.view(Recorded)), parallel.mesh())
    try:
        parallel.shard(examples, parallel.mesh(jax.devices()[:5]))
        refused = ""
    except ValueError as error:
        refused = str(error)
    report = {
        "devices": jax.device_count(),
        "differences": {number: difference(result, alone) for number, result in many.items()},
        "again": difference(compiled[8](KEY, shared[8]), many[8]),
        "moved": difference(alone[0], training.start(KEY, recipe).params),
        "shapes": sorted({shard.data.shape for shard in shards}),
        "holders": len({shard.device for shard in shards}),
        "replicated": all(leaf.is_fully_replicated for leaf in jax.tree.leaves(many[8])),
        "collectives": re.findall(COLLECTIVE, str(compiled[8].as_text())),
        "read": sorted(Recorded.read),
        "refused": refused,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
