"""The same run on many devices: each holds a shard of the examples, and its own copy of all else.

    mesh = parallel.mesh()
    recipe = training.Recipe(model, optimizer, shards=mesh.size)
    params, history = training.train(key, parallel.shard(examples, mesh), recipe, epochs)

``train`` stays as it is, a function of whole arrays; JAX divides its work by where they lie. A step takes the
batch's part of every shard where that shard is, and one sum over all devices makes the gradient of the whole
batch, weighted by its examples. What a run comes to depends on the recipe's shards, and not on the devices:
on one device, or on any number that divides the shards, it is the same up to rounding.

The devices may belong to several processes, on several machines, once ``jax.distributed.initialize`` has
made them known to each other. All processes run the same program, and each reads only its devices' shards.
"""

from collections.abc import Sequence

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxnaive.batches import AnyArray, Examples

AXIS = "devices"


def mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Devices in a row; by default all there are, those of the other processes too."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def shard(examples: Examples, mesh: Mesh) -> Examples:
    """The examples as they are, except that each device of the mesh holds an equal part of them.

    Args:
      examples: all of them, the same in every process. Where they are memory-mapped, only the parts for the
        devices of this process are read.
      mesh: from :func:`mesh`.

    Raises:
      ValueError: the number of devices does not divide the number of examples.
    """
    if len(examples.labels) % mesh.size:
        raise ValueError(
            f"examples: got {len(examples.labels)}, expected a multiple of {mesh.size}, the number of devices"
        )
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))

    def divided(array: AnyArray) -> jax.Array:
        return jax.make_array_from_callback(array.shape, sharding, lambda part: array[part])

    return Examples(*map(divided, examples))
