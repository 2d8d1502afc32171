"""Deep learning from first principles in JAX, as pure functions.

The core, in reading order: ``tensors``, ``operations``, ``geometry``, ``layers``, ``losses``, ``optimizers``,
``batches``, ``training``. Around it the shell, the only part that touches files, network and terminal:
``data``, ``checkpoints``, ``plots``.
"""

from jaxnaive import (
    batches,
    checkpoints,
    data,
    geometry,
    layers,
    losses,
    operations,
    optimizers,
    tensors,
    training,
)

__all__ = [
    "batches",
    "checkpoints",
    "data",
    "geometry",
    "layers",
    "losses",
    "operations",
    "optimizers",
    "tensors",
    "training",
]
