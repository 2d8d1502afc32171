"""Tensor operations from scalars: functions of single numbers, lifted to arrays by ``vmap``, axis by axis.

Beside them are the Python loops of the book, on NumPy arrays. ``vmap`` says what is done to each number; a
loop also says in which order, and so leaves less to a compiler.
"""

import math
from collections.abc import Callable
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Num, Shaped

Shape = tuple[int, ...]


# --- element by element ------------------------------------------------------------------------------


def elementwise(scalar: Callable[..., Array]) -> Callable[..., Array]:
    """Lift a function of scalars to arrays of one shape: ``vmap`` it over every axis they have."""

    def lifted(*arrays: Array) -> Array:
        function = scalar
        for _ in range(arrays[0].ndim):
            function = jax.vmap(function)
        return function(*arrays)

    return lifted


def relu(x: Num[Array, "*shape"]) -> Num[Array, "*shape"]:
    """Rectified linear unit, ``max(x, 0)``, element by element. Its derivative at 0 is taken to be 0."""
    # jnp.maximum would split the derivative at 0 between its two arguments, and give 1/2. NaN <= 0 is false,
    # so NaN passes through, and a run that has diverged does not look healthy.
    return elementwise(lambda a: jnp.where(a <= 0, jnp.zeros_like(a), a))(x)


def add(x: Num[Array, "..."], y: Num[Array, "..."]) -> Num[Array, "..."]:
    """``x + y`` after broadcasting. Raises ``ValueError`` when the shapes do not fit."""
    shape = broadcast_shape(x.shape, y.shape)
    return elementwise(lambda a, b: a + b)(broadcast(x, shape), broadcast(y, shape))


def multiply(x: Num[Array, "..."], y: Num[Array, "..."]) -> Num[Array, "..."]:
    """``x * y`` after broadcasting, entry by entry; not the dot product. Raises as ``add`` does."""
    shape = broadcast_shape(x.shape, y.shape)
    return elementwise(lambda a, b: a * b)(broadcast(x, shape), broadcast(y, shape))


def loop_relu(x: np.ndarray) -> np.ndarray:
    """``relu`` as a loop."""
    result = x.copy()
    for at in np.ndindex(x.shape):
        result[at] = max(x[at], x.dtype.type(0))
    return result


def loop_add(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``add`` of two arrays of one shape, as a loop."""
    if x.shape != y.shape:
        raise ValueError(f"loop_add: got shapes {x.shape} and {y.shape}, expected the same")
    result = x.copy()
    for at in np.ndindex(x.shape):
        result[at] = x[at] + y[at]
    return result


# --- broadcasting: add axes to the smaller array, then repeat it along them --------------------------


def broadcast_shape(a: Shape, b: Shape) -> Shape:
    """The shape to which two arrays can both be broadcast.

    Raises:
      ValueError: there is none.

    >>> broadcast_shape((64, 3, 32, 10), (32, 10))
    (64, 3, 32, 10)
    """
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    shape = []
    for axis, (m, n) in enumerate(pairs, -rank):
        if m != n and 1 not in (m, n):
            raise ValueError(
                f"broadcasting: got shapes {a} and {b}, expected lengths that are equal or 1 when "
                f"aligned at the last axis; axis {axis} has {m} and {n}"
            )
        shape.append(n if m == 1 else m)
    return tuple(shape)


def new_axis(x: Shaped[Array, "..."], axis: int, length: int) -> Shaped[Array, "..."]:
    """``x`` repeated along a new axis: ``vmap`` of a function that ignores its argument."""
    return jax.vmap(lambda _: x, out_axes=axis)(jnp.arange(length))


def add_axes(x: Shaped[Array, "..."], rank: int) -> Shaped[Array, "..."]:
    """The first step of broadcasting: axes of length 1 in front, until there are ``rank``."""
    if rank < x.ndim:
        raise ValueError(f"add axes: got shape {x.shape}, expected at most {rank} axes")
    for _ in range(rank - x.ndim):
        x = new_axis(x, 0, 1)
    return x


def repeat(x: Shaped[Array, "..."], shape: Shape) -> Shaped[Array, "..."]:
    """The second step: repeat ``x`` along its axes of length 1, until it has this shape of the same rank."""
    if x.ndim != len(shape) or any(n not in (1, wanted) for n, wanted in zip(x.shape, shape, strict=True)):
        raise ValueError(f"repeat: got shape {x.shape}, expected each length to be 1 or as in {shape}")
    for axis, (length, wanted) in enumerate(zip(x.shape, shape, strict=True)):
        if length != wanted:
            x = new_axis(jax.lax.index_in_dim(x, 0, axis, keepdims=False), axis, wanted)
    return x


def broadcast(x: Shaped[Array, "..."], shape: Shape) -> Shaped[Array, "..."]:
    """Both steps. Compiled together with the code that uses the result, it makes no copy.

    >>> broadcast(jnp.array([1, 2, 3]), (2, 3)).tolist()
    [[1, 2, 3], [1, 2, 3]]
    """
    return repeat(add_axes(x, len(shape)), shape)


def loop_broadcast(x: np.ndarray, shape: Shape) -> np.ndarray:
    """``broadcast`` as a loop."""
    result = np.empty(shape, x.dtype)
    for at in np.ndindex(shape):
        own = at[len(at) - x.ndim :]
        result[at] = x[tuple(0 if n == 1 else i for i, n in zip(own, x.shape, strict=True))]
    return result


# --- dot: sums of products ---------------------------------------------------------------------------


def dot(x: Num[Array, " n"], y: Num[Array, " n"]) -> Num[Array, ""]:
    """Vector . vector -> number: ``sum_i x_i y_i``. Raises ``ValueError`` unless the lengths are equal."""
    _check_dot(x, y, 1, 1)
    return jnp.sum(multiply(x, y), dtype=x.dtype)


def matrix_vector(x: Num[Array, "rows n"], y: Num[Array, " n"]) -> Num[Array, " rows"]:
    """Matrix . vector -> vector: ``dot`` mapped over the rows of ``x``."""
    _check_dot(x, y, 2, 1)
    return jax.vmap(dot, in_axes=(0, None))(x, y)


def matmul(x: Num[Array, "rows n"], y: Num[Array, "n columns"]) -> Num[Array, "rows columns"]:
    """Matrix . matrix -> matrix: ``dot`` mapped twice, over the rows of ``x`` and the columns of ``y``.

    >>> matmul(jnp.array([[1, 2], [3, 4]]), jnp.array([[0, 1], [1, 0]])).tolist()
    [[2, 1], [4, 3]]
    """
    _check_dot(x, y, 2, 2)
    return jax.vmap(matrix_vector, in_axes=(None, 1), out_axes=1)(x, y)


def tensor_dot(x: Num[Array, "*left n"], y: Num[Array, " n *right"]) -> Num[Array, "..."]:
    """``(a,b,c,d) . (d,e) -> (a,b,c,e)``: ``dot`` mapped over all axes but the two that are summed."""
    _check_dot(x, y, x.ndim, y.ndim)
    mapped = dot
    for _ in range(y.ndim - 1):
        mapped = jax.vmap(mapped, in_axes=(None, -1), out_axes=-1)
    for _ in range(x.ndim - 1):
        mapped = jax.vmap(mapped, in_axes=(0, None))
    return mapped(x, y)


def loop_dot(x: np.ndarray, y: np.ndarray) -> np.generic:
    """``dot`` as a loop."""
    _check_dot(x, y, 1, 1)
    total = x.dtype.type(0)
    for i in range(len(x)):
        total += x[i] * y[i]
    return total


def loop_matrix_vector(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``matrix_vector`` as a loop around ``loop_dot``."""
    _check_dot(x, y, 2, 1)
    result = np.empty(x.shape[0], x.dtype)
    for i in range(x.shape[0]):
        result[i] = loop_dot(x[i], y)
    return result


def loop_matmul(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``matmul`` as two loops around ``loop_dot``: three in all."""
    _check_dot(x, y, 2, 2)
    result = np.empty((x.shape[0], y.shape[1]), x.dtype)
    for i, j in product(range(x.shape[0]), range(y.shape[1])):
        result[i, j] = loop_dot(x[i], y[:, j])
    return result


def _check_dot(x: Array | np.ndarray, y: Array | np.ndarray, *ranks: int) -> None:
    if (x.ndim, y.ndim) != ranks or 0 in ranks or x.shape[-1] != y.shape[0]:
        raise ValueError(
            f"dot: got shapes {x.shape} and {y.shape}, expected ranks {ranks[0] or 1} and {ranks[1] or 1}, "
            "and the last axis of the first as long as the first axis of the second"
        )


# --- convolution: one small dot at every place of an image -------------------------------------------


def convolution(
    image: Num[Array, "height width n"], kernels: Num[Array, "rows columns n m"], stride: int = 1
) -> Num[Array, "down across m"]:
    """The dot of every kernel with the window of the image at every place: one function, mapped twice.

    ``y[i, j, m] = sum_abn image[stride * i + a, stride * j + b, n] * kernels[a, b, n, m]``. The windows lie
    inside the image, so there is no padding. For a batch of images, ``vmap`` it.

    In mathematics this is a correlation. A convolution has the kernels turned round, which makes no
    difference to kernels that are learned.

    Args:
      image: with ``n`` channels; a grey image has one.
      kernels: ``m`` of them, one for each channel of the result.
      stride: pixels from one window to the next, in both directions.

    Returns:
      An image with ``m`` channels. A side of ``h`` becomes ``(h - k) // stride + 1`` with kernels of ``k``.

    Raises:
      ValueError: ranks or channels do not fit, a kernel is larger than the image, or the stride is below 1.

    >>> convolution(jnp.arange(9).reshape(3, 3, 1), jnp.ones((2, 2, 1, 1), int))[:, :, 0].tolist()
    [[8, 12], [20, 24]]
    """
    _check_convolution(image, kernels, stride)
    rows, columns, _, outputs = kernels.shape
    matrix = kernels.reshape(-1, outputs)

    def at(row: Array, column: Array) -> Array:
        window = jax.lax.dynamic_slice(image, (row, column, 0), kernels.shape[:3])
        # One matrix product for all places. With dot, mapped over the kernels, the gradient takes 100 times
        # as long.
        return window.reshape(-1) @ matrix

    down = jnp.arange(0, image.shape[0] - rows + 1, stride)
    across = jnp.arange(0, image.shape[1] - columns + 1, stride)
    return jax.vmap(jax.vmap(at, in_axes=(None, 0)), in_axes=(0, None))(down, across)


def _check_convolution(image: Array, kernels: Array, stride: int) -> None:
    fit = (image.ndim, kernels.ndim) == (3, 4) and image.shape[2] == kernels.shape[2]
    if not fit or image.shape[0] < kernels.shape[0] or image.shape[1] < kernels.shape[1] or stride < 1:
        raise ValueError(
            f"convolution: got shapes {image.shape} and {kernels.shape} and stride {stride}, expected "
            "[height, width, n] and [rows, columns, n, m], no kernel larger than the image, stride 1 or more"
        )


# --- the same entries in another shape ---------------------------------------------------------------


def reshape(x: Shaped[Array, "..."], shape: Shape) -> Shaped[Array, "..."]:
    """The same entries in another shape. Read row by row, their order stays the same.

    Raises:
      ValueError: the number of entries of the shape is not that of ``x``.

    >>> reshape(jnp.array([[0, 1], [2, 3], [4, 5]]), (2, 3)).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    if min(shape, default=0) < 0 or math.prod(shape) != x.size:
        raise ValueError(f"reshape: got shapes {x.shape} and {shape}, expected as many entries in both")
    if x.size == 0:
        return jnp.zeros(shape, x.dtype)  # there is no entry to take

    def entries(first: Array | int, shape: Shape) -> Array:
        if not shape:
            return x[jnp.unravel_index(first, x.shape)]
        length, *rest = shape
        return jax.vmap(lambda i: entries(first + i * math.prod(rest), tuple(rest)))(jnp.arange(length))

    return entries(0, shape)


def transpose(x: Shaped[Array, "..."], axes: Shape | None = None) -> Shaped[Array, "..."]:
    """The axes in another order: ``vmap`` of the identity that takes one axis and returns it as another.

    It is not a reshape, though the notes say so: read row by row, the order of the entries changes.

    Args:
      x: any array.
      axes: the old axis that each new one is; by default all of them backwards.

    Raises:
      ValueError: ``axes`` does not name every axis once, counted from 0.

    >>> transpose(jnp.array([[0, 1], [2, 3], [4, 5]])).tolist()
    [[0, 2, 4], [1, 3, 5]]
    """
    axes = tuple(reversed(range(x.ndim))) if axes is None else axes
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError(f"transpose: got axes {axes} and shape {x.shape}, expected each of its axes once")
    if not axes:
        return x
    first, *rest = axes
    others = tuple(axis - (axis > first) for axis in rest)  # as they are numbered without the first
    return jax.vmap(lambda part: transpose(part, others), in_axes=first)(x)
