"""What tensor operations do to space: they move, rotate and stretch it. Why affine layers collapse to one.

A map of space is a pytree, :class:`Affine`: ``x -> matrix @ x + offset``. A linear map has the offset 0, and
a translation the identity as its matrix. So three functions apply, compose and invert them all, and they can
be jitted, vmapped and differentiated like any other parameters.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Number = float | int | Float[Array, ""]


class Affine(NamedTuple):
    """The map ``x -> matrix @ x + offset``."""

    matrix: Float[Array, "outputs inputs"]
    offset: Float[Array, " outputs"]


def apply(f: Affine, points: Float[Array, "*points inputs"]) -> Float[Array, "*points outputs"]:
    """The mapped points. Points are rows, so this is ``points @ matrix.T + offset``, as in a dense layer.

    Raises:
      ValueError: the points do not have as many coordinates as the map takes.
    """
    expected = f.matrix.shape[1]
    if points.ndim == 0 or points.shape[-1] != expected:
        raise ValueError(
            f"apply: got points of shape {points.shape} for a matrix of shape {f.matrix.shape}, "
            f"expected {expected} coordinates on the last axis"
        )
    return points @ f.matrix.T + f.offset


def compose(outer: Affine, inner: Affine) -> Affine:
    """The affine map that applies ``inner`` and then ``outer``: ``A2 (A1 x + t1) + t2``.

    Raises:
      ValueError: ``outer`` does not take as many coordinates as ``inner`` gives.
    """
    if outer.matrix.shape[1] != inner.matrix.shape[0]:
        raise ValueError(
            f"compose: got matrices of shape {outer.matrix.shape} after {inner.matrix.shape}, "
            "expected as many columns in the outer one as rows in the inner one"
        )
    return Affine(outer.matrix @ inner.matrix, outer.matrix @ inner.offset + outer.offset)


def inverse(f: Affine) -> Affine:
    """The map that takes every point back: ``A^-1 (y - t)``.

    Raises:
      ValueError: the matrix is not square, or it is singular, so that several points are mapped to one.
    """
    rows, columns = f.matrix.shape
    if rows != columns:
        raise ValueError(f"inverse: got a matrix of shape {f.matrix.shape}, expected a square one")
    back = jnp.linalg.inv(f.matrix)
    if not _is_finite(back):
        raise ValueError(
            f"inverse: got a singular matrix of shape {f.matrix.shape}, expected one of full rank"
        )
    return Affine(back, -back @ f.offset)


def homogeneous(f: Affine) -> Float[Array, "outputs_and_1 inputs_and_1"]:
    """The matrix ``[[A, t], [0, 1]]``: a linear map of points ``(x, 1)``, in one more dimension."""
    rows, columns = f.matrix.shape
    last = jnp.zeros((1, columns + 1), f.matrix.dtype).at[0, columns].set(1)
    return jnp.concatenate([jnp.column_stack([f.matrix, f.offset.reshape(rows, 1)]), last])


# --- the maps -------------------------------------------------------------------------------------------


def translation(offset: Float[Array, " n"]) -> Affine:
    """Moves every point by the same vector. Not linear, as :func:`linearity_gap` shows."""
    _check_vector("translation", offset)
    return Affine(jnp.eye(len(offset), dtype=offset.dtype), offset)


def linear(matrix: Float[Array, "outputs inputs"]) -> Affine:
    """Multiplies every point by a matrix."""
    if matrix.ndim != 2 or not _is_finite(matrix):
        raise ValueError(f"linear: got an array of shape {matrix.shape}, expected a matrix of finite numbers")
    return Affine(matrix, jnp.zeros(matrix.shape[0], matrix.dtype))


def rotation(angle: Number) -> Affine:
    """Rotates the plane counter-clockwise by an angle in radians: ``[[cos, -sin], [sin, cos]]``."""
    angle = _finite_number("rotation", angle)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return linear(jnp.array([[cos, -sin], [sin, cos]]))


def scaling(factors: Float[Array, " n"]) -> Affine:
    """Stretches each coordinate by a factor of its own: a diagonal matrix."""
    _check_vector("scaling", factors)
    return linear(jnp.diag(factors))


def shear(amount: Number) -> Affine:
    """Moves each point sideways, in proportion to its height: ``(x, y) -> (x + amount * y, y)``."""
    amount = _finite_number("shear", amount)
    return linear(jnp.array([[1.0, 0.0], [0.0, 1.0]]).at[0, 1].set(amount))


# --- linear, affine, and neither ------------------------------------------------------------------------


def linearity_gap(
    f: Callable[[Array], Array], x: Float[Array, " n"], y: Float[Array, " n"], a: Number, b: Number
) -> Float[Array, " m"]:
    """``f(a x + b y) - (a f(x) + b f(y))``: 0 for all x, y, a, b exactly when ``f`` is linear.

    For an affine map it is 0 when ``a + b = 1``; for relu and softmax it is not 0 in general.
    """
    return f(a * x + b * y) - (a * f(x) + b * f(y))


def of_dense(params: dict[str, Array]) -> Affine:
    """A dense layer without activation, as an affine map. The layer has ``x @ w``, so ``matrix = w.T``."""
    return Affine(params["w"].T, params["b"])


def collapse(params: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """One dense layer that equals a chain of dense layers without activations.

    ``(x @ w1 + b1) @ w2 + b2 = x @ (w1 @ w2) + (b1 @ w2 + b2)``, and so on along the chain.

    Args:
      params: of each layer in order, as in :func:`jaxnaive.layers.sequential`.

    Raises:
      ValueError: there is no layer, or a layer takes more or fewer features than the one before it returns.
    """
    if not params:
        raise ValueError("collapse: got no layers, expected one or more")
    whole = reduce(lambda inner, layer: compose(of_dense(layer), inner), params[1:], of_dense(params[0]))
    return {"w": whole.matrix.T, "b": whole.offset}


def _check_vector(name: str, vector: Array) -> None:
    if vector.ndim != 1 or not _is_finite(vector):
        raise ValueError(f"{name}: got {np.asarray(vector).tolist()}, expected a vector of finite numbers")


def _finite_number(name: str, value: Number) -> Array:
    array = jnp.asarray(value, jnp.result_type(float))
    if array.ndim != 0 or not _is_finite(array):
        raise ValueError(f"{name}: got {value}, expected a finite number")
    return array


def _is_finite(array: Any) -> bool:
    try:
        return bool(np.isfinite(np.asarray(array)).all())
    except jax.errors.TracerArrayConversionError:  # a traced value is not known yet
        return True


def grid_lines(low: float, high: float, lines: int, points: int = 40) -> Float[Array, "lines points 2"]:
    """The lines of a square grid in the plane, each as a row of points."""
    along, across = jnp.linspace(low, high, points), jnp.linspace(low, high, lines)
    horizontal = jnp.stack(jnp.meshgrid(along, across), axis=-1)
    return jnp.concatenate([horizontal, horizontal[..., ::-1]])
