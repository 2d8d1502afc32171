"""The same run on many devices: each holds a shard of the examples, and a copy of everything else.

    mesh = parallel.mesh()
    recipe = training.Recipe(model, optimizer, shards=mesh.size)
    params, history = training.train(key, parallel.shard(examples, mesh), recipe, epochs)

``train`` does not change: it is a function of whole arrays, and JAX divides the work by where they lie. In a
step each device computes with those of the batch's examples that it holds, and one sum over all devices makes
the weighted gradient of the whole batch. The result depends on the recipe's shards and not on the devices: on
one device, or on any number that divides the shards, it is the same up to rounding.

After ``jax.distributed.initialize`` the devices may belong to several processes, on several machines. All
processes run the same program, and each reads only its devices' shards.
"""

from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxnaive.batches import Examples

AXIS = "devices"


def mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Devices in a row; by default all devices of all processes."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def shard(examples: Examples, mesh: Mesh) -> Examples:
    """The same examples, with an equal part of them on each device of the mesh.

    Args:
      examples: all of them, the same in every process. If they are memory-mapped, a process reads only the
        parts for its own devices.
      mesh: from :func:`mesh`.

    Raises:
      ValueError: the number of devices does not divide the number of examples.
    """
    if len(examples.labels) % mesh.size:
        raise ValueError(
            f"examples: got {len(examples.labels)}, expected a multiple of {mesh.size}, the number of devices"
        )
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))

    def divided(array: Any) -> jax.Array:
        def read(part: Any) -> Any:
            return array[part[:1]]  # only rows are divided; what is read from a file has no other index

        return jax.make_array_from_callback(array.shape, sharding, read)

    return jax.tree.map(divided, examples)
