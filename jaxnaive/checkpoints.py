"""Parameters on disk, as safetensors: no pickle, and readable by the other frameworks."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import PyTree

from jaxnaive import files
from jaxnaive.layers import Params


def save_params(path: Path, params: PyTree) -> None:
    """Write parameters; the names are the paths in the tree, such as ``0.w``.

    Raises:
      OSError: the file cannot be written. What was at ``path`` is still there.
    """
    with files.replacing(path) as temporary:
        # Not save_file(), which makes files that nobody else may read.
        # In C order, because safetensors writes the memory as it lies.
        arrays = {name: np.asarray(leaf, order="C") for name, leaf in _named(params)}
        temporary.write_bytes(safetensors.numpy.save(arrays))


def load_params(path: Path, like: PyTree) -> Params:
    """Read parameters, bit for bit as they were saved.

    Args:
      path: a file that :func:`save_params` wrote.
      like: parameters of the same network, or their shapes: ``jax.eval_shape(model.init, key)``.

    Raises:
      ValueError: the file is no safetensors file, or holds another network's parameters.
      OSError: the file cannot be read.
    """
    try:
        arrays = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error})") from error
    expected = {name: (leaf.shape, str(leaf.dtype)) for name, leaf in _named(like)}
    got = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    if got != expected:
        raise ValueError(f"{path}: got {_describe(got)}, expected {_describe(expected)}")
    leaves = [jnp.asarray(arrays[name]) for name in expected]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _named(params: PyTree) -> list[tuple[str, Any]]:
    leaves = jax.tree.leaves_with_path(params)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]


def _describe(leaves: dict[str, tuple[tuple[int, ...], str]]) -> str:
    return ", ".join(f"{name} {dtype}{list(shape)}" for name, (shape, dtype) in sorted(leaves.items()))
