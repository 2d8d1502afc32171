"""Deep learning from first principles in JAX, as pure functions.

The core, in reading order: ``tensors``, ``operations``, ``geometry``, ``graph``, ``backprop``, ``layers``,
``losses``, ``optimizers``, ``batches``, ``training``, ``ensembles``, ``parallel``. Around it the shell, the
only part that touches files, network and terminal: ``data``; ``checkpoints`` and ``runs`` on disk,
``certificates`` of what was counted, ``trained`` networks to be used, ``exports`` of them for other programs,
the ``report`` of their runs, ``handwriting`` of your own, a ``playground`` to draw on; and the pictures:
``plots`` of runs, ``drawings`` of ideas, ``diagrams`` of graphs.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxnaive import (
        backprop,
        batches,
        certificates,
        checkpoints,
        data,
        diagrams,
        drawings,
        ensembles,
        exports,
        geometry,
        graph,
        handwriting,
        layers,
        losses,
        operations,
        optimizers,
        parallel,
        playground,
        report,
        runs,
        tensors,
        trained,
        training,
    )

__all__ = [
    "backprop",
    "batches",
    "certificates",
    "checkpoints",
    "data",
    "diagrams",
    "drawings",
    "ensembles",
    "exports",
    "geometry",
    "graph",
    "handwriting",
    "layers",
    "losses",
    "operations",
    "optimizers",
    "parallel",
    "playground",
    "report",
    "runs",
    "tensors",
    "trained",
    "training",
]


def __getattr__(name: str) -> ModuleType:
    # A module is imported where it is first used: besides jax all of them take 0.09 s, those that train 0.02.
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
