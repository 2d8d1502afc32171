"""Tensors: how to describe and slice them, and made-up data of five kinds.

By convention axis 0 counts the samples. What the other axes count depends on the data, so they have names.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, Key, Shaped, UInt8

AnyArray = Array | np.ndarray
Shape = tuple[int, ...]


# --- describing --------------------------------------------------------------------------------------


class Description(NamedTuple):
    """The attributes of a tensor."""

    rank: int  # the number of axes
    shape: Shape  # the length of each axis
    dtype: str
    axes: tuple[str, ...]  # what each axis counts; empty if it was not given
    bytes: int

    def __str__(self) -> str:
        names = f" = ({', '.join(self.axes)})" if self.axes else ""
        return f"rank {self.rank}, shape {self.shape}{names}, {self.dtype}, {_readable(self.bytes)}"


def describe(x: Any, axes: tuple[str, ...] = ()) -> Description:
    """The rank, shape, dtype, axes and size of anything that is a tensor.

    Args:
      x: an array of JAX or NumPy, a ``jax.ShapeDtypeStruct``, a number, or numbers in nested lists. The last
        two are described as the arrays that JAX makes of them.
      axes: a name for each axis.

    Raises:
      ValueError: a list is ragged, the entries are not numbers, or the names are not as many as the axes.

    >>> print(describe(np.zeros((60_000, 28, 28), np.uint8), ("samples", "height", "width")))
    rank 3, shape (60000, 28, 28) = (samples, height, width), uint8, 47.0 MB
    >>> print(describe(12))
    rank 0, shape (), int32, 4 B
    """
    if not hasattr(x, "dtype"):
        _nested_shape(x, "x")
        x = jnp.asarray(x)
    if x.dtype.kind in "OUS":
        raise ValueError(f"tensor: got an array of {x.dtype}, expected numbers")
    if axes and len(axes) != len(x.shape):
        raise ValueError(f"axes: got {len(axes)} names {axes}, expected one for each axis of shape {x.shape}")
    size = math.prod(x.shape) * x.dtype.itemsize
    return Description(len(x.shape), tuple(x.shape), str(x.dtype), tuple(axes), size)


def depth(nested: Any) -> int:
    """How deep the brackets are nested, which is the rank. Raises ``ValueError`` for a ragged list.

    >>> depth([[5, 78, 2], [6, 79, 3]])
    2
    """
    return len(_nested_shape(nested, "x"))


def _nested_shape(nested: Any, name: str) -> Shape:
    if not isinstance(nested, list | tuple):
        if not isinstance(nested, int | float | complex) and not hasattr(nested, "shape"):
            raise ValueError(f"tensor: got {nested!r} at {name}, expected a number")
        return np.shape(nested)
    shapes = [_nested_shape(part, f"{name}[{i}]") for i, part in enumerate(nested)]
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(
                f"ragged list: got shape {shape} at {name}[{i}], expected {shapes[0]} as at {name}[0]"
            )
    return (len(shapes), *shapes[0]) if shapes else (0,)


def _readable(count: int) -> str:
    power = min((len(str(count)) - 1) // 3, 3)
    return f"{count / 1000**power:,.1f} {' kMG'[power]}B" if power else f"{count} B"


# --- slices ------------------------------------------------------------------------------------------


def bottom_right(
    images: Shaped[AnyArray, "samples height width"], size: int
) -> Shaped[AnyArray, "samples size size"]:
    """The bottom right corner of every image: ``x[:, 14:, 14:]`` for 28 x 28 pixels and size 14."""
    _, height, width = _check_size(images, size)
    return images[:, height - size :, width - size :]


def centre(
    images: Shaped[AnyArray, "samples height width"], size: int
) -> Shaped[AnyArray, "samples size size"]:
    """The centre of every image, to half a pixel: ``x[:, 7:-7, 7:-7]`` for 28 x 28 pixels and size 14."""
    _, height, width = _check_size(images, size)
    top, left = (height - size) // 2, (width - size) // 2
    return images[:, top : top + size, left : left + size]


def batch(x: Shaped[AnyArray, "samples ..."], n: int, size: int = 128) -> Shaped[AnyArray, "batch ..."]:
    """Batch number ``n``, counted from 0: ``x[n * size : (n + 1) * size]``. The last one may be shorter.

    Raises:
      ValueError: there is no such batch. The slice would be empty, and ``jax.lax.dynamic_slice`` would
        return the last ``size`` samples once more.
    """
    if size < 1:
        raise ValueError(f"batch size: got {size}, expected 1 or more")
    batches = -(-x.shape[0] // size)
    if not 0 <= n < batches:
        raise ValueError(
            f"batch: got number {n}, expected 0 to {batches - 1}: {x.shape[0]} samples in batches of {size}"
        )
    return x[n * size : (n + 1) * size]


def _check_size(images: AnyArray, size: int) -> Shape:
    if images.ndim != 3 or not 1 <= size <= min(images.shape[1:]):
        raise ValueError(
            f"slice: got size {size} and shape {images.shape}, expected [samples, height, width] and a size "
            "from 1 to the shorter of the last two"
        )
    return images.shape


# --- made-up data of five kinds ----------------------------------------------------------------------

AXES = {
    "vectors": ("samples", "features"),
    "time series": ("samples", "timesteps", "features"),
    "text": ("samples", "tokens"),
    "images": ("samples", "height", "width", "channels"),
    "video": ("samples", "frames", "height", "width", "channels"),
}


def vectors(key: Key[Array, ""], people: int = 1000) -> Float32[Array, "samples features"]:
    """People: age, sex (0 or 1), income. Incomes are log-normal, and rise with age."""
    keys = jax.random.split(key, 3)
    age = jax.random.uniform(keys[0], (people,), jnp.float32, 18, 90).round()
    sex = jax.random.bernoulli(keys[1], 0.5, (people,)).astype(jnp.float32)
    income = 20_000 * jnp.exp(age / 100 + 0.5 * jax.random.normal(keys[2], (people,), jnp.float32))
    return jnp.stack([age, sex, income.round()], axis=1)


def time_series(
    key: Key[Array, ""], hours: int = 30, minutes: int = 60, ticks: int = 10
) -> Float32[Array, "samples timesteps features"]:
    """A price that moves at random: the highest and the lowest of each minute, and a sample for each hour."""
    steps = 2e-4 * jax.random.normal(key, (hours * minutes * ticks,), jnp.float32)
    price = 100 * jnp.exp(jnp.cumsum(steps)).reshape(hours, minutes, ticks)
    return jnp.stack([price.max(axis=2), price.min(axis=2)], axis=2)


def text(
    key: Key[Array, ""], samples: int = 32, tokens: int = 64, vocabulary: int = 10_000
) -> Int32[Array, "samples tokens"]:
    """Texts with a number from 1 on for each word, filled up to one length with 0, which is no word.

    The words follow Zipf's law: word ``n`` is about ``1 / n`` times as frequent as word 1.
    """
    words, lengths = jax.random.split(key)
    exponents = jax.random.uniform(words, (samples, tokens), jnp.float32)
    numbers = (float(vocabulary) ** exponents).astype(jnp.int32).clip(1, vocabulary - 1)
    length = jax.random.randint(lengths, (samples, 1), 1, tokens + 1)
    return jnp.where(jnp.arange(tokens) < length, numbers, 0)


def images(
    key: Key[Array, ""], samples: int = 128, height: int = 28, width: int = 28
) -> UInt8[Array, "samples height width channels"]:
    """Pictures of a coloured spot with soft edges: the first frames of :func:`video`."""
    return video(key, samples, 1, height, width)[:, 0]


def video(
    key: Key[Array, ""], samples: int = 4, frames: int = 240, height: int = 144, width: int = 256
) -> UInt8[Array, "samples frames height width channels"]:
    """Films of a spot that drifts. Four, as in the book, are 106,168,320 numbers.

    >>> jax.eval_shape(video, jax.random.key(0)).shape  # the shape alone, without the numbers
    (4, 240, 144, 256, 3)
    """
    times, rows, columns = (jnp.linspace(0, 1, length) for length in (frames, height, width))

    def film(key: Key[Array, ""]) -> UInt8[Array, "frames height width channels"]:
        start, drift, colour, radius = jax.random.uniform(key, (4, 3), jnp.float32, 0.2, 0.8)

        def pixel(t: Array, y: Array, x: Array) -> Array:
            away = jnp.stack([y, x]) - (1 - t) * start[:2] - t * drift[:2]
            return (300 * colour * jnp.exp(-20 * jnp.sum((away / radius[0]) ** 2) / 9)).astype(jnp.uint8)

        across = jax.vmap(pixel, in_axes=(None, None, 0))
        down = jax.vmap(across, in_axes=(None, 0, None))
        return jax.vmap(down, in_axes=(0, None, None))(times, rows, columns)

    return jax.vmap(film)(jax.random.split(key, samples))
