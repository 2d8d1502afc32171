"""Parameters and whole states on disk, as safetensors: no pickle, and readable by the other frameworks.

A checkpoint is one file: the leaves of a state as tensors named by their paths (``params.0.w``), and in the
header's metadata, as JSON, the format's version, ``about`` (what the run notes beside the state), and the
SHA-256 of names, dtypes, shapes, bytes and ``about``. So nothing in it can change unseen, equal states make
equal files, and every program that reads safetensors reads it.

The field uses Orbax for arrays that are sharded over many hosts. For a few megabytes on one host it has no
checksum of the content, no fsync and no way back from a damaged file, and it writes a folder. One file can be
replaced by one rename, copied and mailed.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import PyTree

from jaxnaive.disk import files
from jaxnaive.disk.files import StrPath
from jaxnaive.layers import Params

FORMAT = 2  # in format 1 the SHA-256 is that of the file, with zeros in the digest's own place
TYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32",
    "I32": "int32", "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32",
    "F64": "float64",
}  # fmt: skip
KEY = "checkpoint"  # the only one, because safetensors writes several in no fixed order


class DamagedError(ValueError):
    """A file is no checkpoint, or not the one that was written."""


def save(path: StrPath, state: PyTree, about: dict[str, Any]) -> None:
    """Write a checkpoint.

    Args:
      path: the file; what was there is replaced at once, or is still there.
      state: a pytree of arrays, random keys and numbers.
      about: what to note beside the state, anything that JSON can hold.

    Raises:
      OSError: the file cannot be written. What was at ``path`` is still there.
      ValueError: two leaves have the same name; or one is not what JAX would read it as, such as a float64
        without ``jax_enable_x64``.
    """
    arrays = _arrays(state)
    manifest = {"format": FORMAT, "sha256": _digest(FORMAT, arrays, about), "about": about}
    files.write(path, safetensors.numpy.save(arrays, {KEY: json.dumps(manifest)}))


def load(path: StrPath, like: PyTree) -> tuple[Any, dict[str, Any]]:
    """Read a checkpoint, bit for bit as it was saved.

    Args:
      path: a file that :func:`save` wrote.
      like: a state of the same structure, shapes and dtypes.

    Returns:
      The state, and its ``about``.

    Raises:
      DamagedError: the file is not a checkpoint as it was written.
      ValueError: it is of a later format, or of another network or optimizer.
      OSError: the file cannot be read.
    """
    path = Path(path)
    arrays, about = _whole(path)
    return _filled(path, arrays, like), about


def about(path: StrPath) -> dict[str, Any]:
    """The ``about`` of a checkpoint.

    Raises:
      DamagedError, ValueError, OSError: as in :func:`load`.
    """
    return _whole(Path(path))[1]


def save_params(path: StrPath, params: PyTree) -> None:
    """Write parameters alone; the names are the paths in the tree, such as ``0.w``.

    Raises:
      OSError: the file cannot be written. What was at ``path`` is still there.
    """
    files.write(path, safetensors.numpy.save(_arrays(params)))


def load_params(path: StrPath, like: PyTree) -> Params:
    """Read parameters, bit for bit as they were saved.

    Args:
      path: a file that :func:`save_params` wrote.
      like: parameters of the same network, or their shapes: ``jax.eval_shape(model.init, key)``.

    Raises:
      DamagedError: the file is no safetensors file.
      ValueError: it holds another network's parameters.
      OSError: the file cannot be read.
    """
    path = Path(path)
    try:
        arrays = _read(path.read_bytes())
    except (safetensors.SafetensorError, KeyError) as error:
        raise DamagedError(f"{path}: not a whole safetensors file ({error})") from error
    return _filled(path, arrays, like)


def named_leaves(tree: PyTree) -> list[tuple[str, Any]]:
    """The leaves of a tree with the names they have in a file."""
    leaves = jax.tree.leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]


def _read(content: bytes) -> dict[str, np.ndarray]:
    # safetensors.numpy.load() knows no bfloat16, though its save() does.
    return {
        name: np.frombuffer(tensor["data"], jnp.dtype(TYPES[tensor["dtype"]])).reshape(tensor["shape"])
        for name, tensor in safetensors.deserialize(content)
    }


def _whole(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the ``about`` of a checkpoint, unless something in it has changed."""
    if path.exists() and not path.is_file():  # reading from a pipe would wait for ever
        raise DamagedError(f"{path}: not a file")
    content = path.read_bytes()
    try:
        manifest, arrays = _manifest(content), _read(content)
        version, digest, about = manifest["format"], manifest["sha256"], manifest["about"]
        found = _digest_of_format_1(content, digest) if version == 1 else _digest(version, arrays, about)
        if found != digest:
            raise ValueError(f"got the SHA-256 {found}, expected {digest}")
    except (
        safetensors.SafetensorError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise DamagedError(f"{path}: not a whole checkpoint, {len(content):,} bytes") from error
    if version > FORMAT:
        raise ValueError(f"{path}: format {version}, expected {FORMAT} or earlier; a later jaxnaive wrote it")
    return arrays, about


def _manifest(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])


def _digest(version: int, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> str:
    """The SHA-256 of what a checkpoint says."""
    sha = hashlib.sha256(json.dumps([version, about]).encode())
    for name, array in sorted(arrays.items()):
        sha.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _digest_of_format_1(content: bytes, digest: str) -> str:
    """The SHA-256 of the file, with zeros in the place of its digest."""
    return hashlib.sha256(content.replace(digest.encode(), b"0" * len(digest), 1)).hexdigest()


def _arrays(tree: PyTree) -> dict[str, np.ndarray]:
    # In C order, because safetensors writes the memory as it lies.
    named = [(name, _canonical(name, _plain(leaf))) for name, leaf in named_leaves(tree)]
    arrays = dict(named)
    if len(arrays) < len(named):
        names = [name for name, _ in named]
        raise ValueError(
            f"got two leaves of the name {max(names, key=names.count)}, expected different names"
        )
    return arrays


def _canonical(name: str, leaf: Any) -> np.ndarray:
    """As it will be read: a Python number, or an array of NumPy's, in the type that JAX gives it."""
    given = np.asarray(leaf, order="C")
    array = given.astype(jnp.result_type(leaf))
    if array.dtype != given.dtype and not (array == given).all():
        raise ValueError(
            f"{name}: got {given.dtype}, which is more than {array.dtype}, what it would be read as"
        )
    return array


def _filled(path: Path, arrays: dict[str, np.ndarray], like: PyTree) -> Any:
    """The tree with the arrays in the places of its leaves, which must fit."""
    named = dict(named_leaves(like))
    for name in [*named, *sorted(arrays.keys() - named.keys())]:
        got = _described(name, arrays[name]) if name in arrays else f"no {name}"
        expected = _described(name, _plain(named[name])) if name in named else f"no {name}"
        if got != expected:
            raise ValueError(f"{path}: got {got}, expected {expected}")
    leaves = [
        jax.random.wrap_key_data(jnp.asarray(arrays[name]), impl=jax.random.key_impl(leaf))
        if _is_key(leaf)
        else jnp.asarray(arrays[name])
        for name, leaf in named.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)


def _described(name: str, leaf: Any) -> str:
    return f"{name} {jnp.result_type(leaf)}{list(np.shape(leaf))}"
