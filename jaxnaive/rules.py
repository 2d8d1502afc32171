"""Reverse-mode rules, one a primitive: each takes the cotangent of its output to those of its operands.

A rule is a vector-Jacobian product. Given ``g``, how fast the result of the whole function grows with the
operation's output ``y``, it returns how fast the result grows with each operand. :data:`RULES` is the table.
Longer ones of linear operations are in ``linear_rules``, those of calls, loops and branches, which have
functions in them, in ``control_flow``.

The rules are written in ``jax.numpy``, so they have graphs of their own: a gradient can be compiled,
vectorised, and differentiated again.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxnaive.graph import Graph, Output, Values
from jaxnaive.jaxprs import trace

# rule(g, y, *operands, settings by name) -> for each operand its cotangent, or None. For a primitive that
# returns a tuple, g and y are tuples, and g has None for an output that the result does not depend on.
Rule = Callable[..., Sequence[Any]]


class Walk(NamedTuple):
    """The walk, for a rule that asks for it by the keyword ``walk`` to go on inside a function."""

    forward: Callable[..., Values]  # graph, *operands -> its values
    apply: Callable[..., tuple[Any, ...]]  # node, operands -> its outputs, and what is kept with them
    back: Callable[..., list[Any]]  # graph, values, g, wanted -> for each input its cotangent, or None
    back_along_tangents: Callable[..., list[Any]]  # linear graph, arrays like its inputs, g -> the same
    moving: Callable[[Graph, Sequence[bool]], set[Output]]  # the values that move with the wanted inputs


# --- what several rules need -------------------------------------------------------------------------


def sum_over_repeats(g: Array, shape: tuple[int, ...]) -> Array:
    """The cotangent of a value that was repeated from this shape to that of ``g``: the sum over its uses."""
    if g.shape == shape:
        return g
    if not shape:
        return g.sum()
    return g.sum([axis for axis, size in enumerate(shape) if g.shape[axis] != size], keepdims=True)


def is_float(value: Any) -> bool:
    """Whether a value or type has a gradient: real and complex floating-point numbers do."""
    dtype = value.dtype if hasattr(value, "dtype") else jnp.result_type(value)
    return jnp.issubdtype(dtype, jnp.inexact)


def zeros(like: Any) -> Array | None:
    """The cotangent where there is no path; ``None`` for what is not a float."""
    return jnp.zeros(like.shape, like.dtype) if is_float(like) else None


def filled(g: Sequence[Any], y: Sequence[Any]) -> list[Any]:
    """``g`` with zeros for the values that the result does not depend on, for rules that need them all."""
    return [zeros(part) if one is None else one for one, part in zip(g, y, strict=True)]


def _others(x, axes):
    return [axis for axis in range(x.ndim) if axis not in axes]


def _by_parts(function, g, x, walk):
    """By the rules of the operations that make it up."""
    graph = trace(function, x)
    return walk.back(graph, walk.forward(graph, x), [g], [True])


def flat(g, y, *operands):
    """The slope is 0 wherever there is one."""
    return [None for _ in operands]


# --- rules of several lines --------------------------------------------------------------------------


def _abs(g, y, x):
    """The sign; of a complex number the conjugate of its direction, and 0 at 0."""
    if jnp.iscomplexobj(x):
        return [lax.complex(g, jnp.zeros_like(g)) * lax.conj(x / jnp.where(y == 0, 1, y).astype(x.dtype))]
    return [jnp.where(x >= 0, g, -g)]


def _pow(g, y, a, b):
    """``d a^b / da = b a^(b-1)`` and ``d a^b / db = a^b log a``, which are 0 for ``0^0``."""
    b = b.astype(y.dtype)  # it may be an integer
    da = g * b * lax.pow(a, jnp.where((a == 0) & (b == 0), 1, b - 1))
    return [da, g * y * jnp.log(jnp.where(a == 0, 1, a))]


def _clamp(g, y, low, x, high):
    """The operand that is the result gets all; at a tie, none."""
    return [
        jnp.where((low > x) & (low < high), g, 0),
        jnp.where((x > low) & (x < high), g, 0),
        jnp.where(high < x, g, 0),
    ]


def _extremum(g, y, a, b):
    """Of ``max`` or ``min``: the operand that is the result gets all; at a tie, each gets half."""
    return [
        g * jnp.where(a == y, jnp.where(b == y, 0.5, 1), 0).astype(g.dtype),
        g * jnp.where(b == y, jnp.where(a == y, 0.5, 1), 0).astype(g.dtype),
    ]


def _reduce_extremum(g, y, x, *, axes):
    """The largest element, or the smallest, gets all; equal ones get equal parts."""
    chosen = (x == jnp.expand_dims(y, axes)).astype(g.dtype)
    return [jnp.expand_dims(g / chosen.sum(axes), axes) * chosen]


def _reduce_prod(g, y, x, *, axes, walk):
    """By the products of pairs, of pairs of these, and so on: nothing is divided, so 0 is like any other."""

    def product(x):
        count = math.prod(x.shape[axis] for axis in axes)
        factors = x.transpose(*axes, *_others(x, axes)).reshape(count, *y.shape)
        while len(factors) > 1:
            half = (len(factors) + 1) // 2
            ones = jnp.ones((2 * half - len(factors), *y.shape), x.dtype)
            factors = factors[:half] * jnp.concatenate([factors[half:], ones])
        return factors[0] if count else jnp.ones_like(y)

    return _by_parts(product, g, x, walk)


def _cumulative(combine):
    """Of a running product, maximum, ...: by the rules of the operation that is repeated."""

    def rule(g, y, x, *, axis, reverse, walk):
        def running(x):
            return lax.associative_scan(combine, x, reverse=reverse, axis=axis)

        return _by_parts(running, g, x, walk)

    return rule


def _broadcast_in_dim(g, y, x, *, broadcast_dimensions):
    """What was repeated is used as often as it was repeated: sum."""
    return [sum_over_repeats(lax.reduce_sum(g, _others(g, broadcast_dimensions)), x.shape)]


def _tile(g, y, x, *, reps):
    """As for a broadcast, with the repetitions on axes of their own."""
    pairs = [size for pair in zip(reps, x.shape, strict=True) for size in pair]
    return [g.reshape(pairs).sum(range(0, 2 * x.ndim, 2))]


def _convert_element_type(g, y, x):
    """The same slope in the operand's dtype; of a real number, the real part."""
    return [(g if jnp.iscomplexobj(x) or not jnp.iscomplexobj(g) else lax.real(g)).astype(x.dtype)]


def _concatenate(g, y, *operands, dimension):
    """Each operand gets its part."""
    ends = np.cumsum([operand.shape[dimension] for operand in operands])
    return jnp.split(g, ends[:-1], dimension)


def _pad(g, y, x, value, *, padding_config):
    """What was inside goes to the operand, the rest to the padding's value."""
    inside = lax.pad(g, jnp.zeros([], g.dtype), [(-low, -high, 0) for low, high, _ in padding_config])
    inside = lax.slice(inside, [0] * x.ndim, inside.shape, [between + 1 for _, _, between in padding_config])
    return [inside, g.sum() - inside.sum()]


def _slice(g, y, x, *, start_indices, strides):
    """Zeros where the slice was not."""
    if 0 in g.shape:
        return [jnp.zeros_like(x)]
    strides = strides or (1,) * x.ndim
    config = [
        (start, size - (start + (taken - 1) * stride + 1), stride - 1)
        for start, stride, taken, size in zip(start_indices, strides, g.shape, x.shape, strict=True)
    ]
    return [lax.pad(g, jnp.zeros([], g.dtype), config)]


def _dynamic_slice(g, y, x, *starts):
    """Zeros where the slice was not."""
    return [lax.dynamic_update_slice(jnp.zeros_like(x), g, starts), *(None for _ in starts)]


def _dynamic_update_slice(g, y, x, update, *starts):
    """The operand is not used where the update is."""
    outside = lax.dynamic_update_slice(g, jnp.zeros_like(update), starts)
    return [outside, lax.dynamic_slice(g, starts, update.shape), *(None for _ in starts)]


def _select_n(g, y, which, *cases):
    """The case that was selected gets all."""
    places, zero = range(len(cases)), jnp.zeros_like(g)
    return [None, *(lax.select_n(which, *(g if p == place else zero for p in places)) for place in places)]


def _sort(g, y, *operands, dimension, num_keys):
    """Each element gets the gradient of the place that it was moved to."""
    places = lax.broadcasted_iota(jnp.int32, operands[0].shape, dimension)
    *_, order = lax.sort((*operands, places), dimension, num_keys=num_keys)
    back = jnp.argsort(order, axis=dimension)
    return [None if one is None else jnp.take_along_axis(one, back, dimension) for one in g]


def _top_k(g, y, x, *, axis):
    """The chosen elements get theirs."""
    return [jnp.put_along_axis(jnp.zeros_like(x), y[1], g[0], axis, inplace=False)]


# --- the table ---------------------------------------------------------------------------------------

# Settings that no rule has to know: they say how, or what shapes and dtypes say too.
WITHOUT_EFFECT = frozenset({
    "accuracy", "axis_size", "dtype", "fill_value", "indices_are_sorted", "is_stable", "k", "limit_indices",
    "name", "new_dtype", "new_sizes", "shape", "sizes", "slice_sizes", "unique_indices", "weak_type",
    # of calls
    "ctx_mesh", "differentiated", "donated_invars", "in_layouts", "in_shardings", "out_layouts",
    "out_shardings", "policy", "prevent_cse",
})  # fmt: skip

RULES: dict[str, Rule] = {
    # one number at a time
    "neg": lambda g, y, x: [-g],
    "abs": _abs,
    "square": lambda g, y, x: [g * 2 * x],
    "integer_pow": lambda g, _, x, *, y: [g * y * lax.integer_pow(x, y - 1) if y else jnp.zeros_like(x)],
    "sqrt": lambda g, y, x: [g / (2 * y)],
    "rsqrt": lambda g, y, x: [-g * y / (2 * x)],
    "cbrt": lambda g, y, x: [g / (3 * y * y)],
    "exp": lambda g, y, x: [g * y],
    "exp2": lambda g, y, x: [g * y * math.log(2)],
    "expm1": lambda g, y, x: [g * (y + 1)],
    "log": lambda g, y, x: [g / x],
    "log1p": lambda g, y, x: [g / (1 + x)],
    "logistic": lambda g, y, x: [g * y * (1 - y)],
    "sin": lambda g, y, x: [g * jnp.cos(x)],
    "cos": lambda g, y, x: [-g * jnp.sin(x)],
    "tan": lambda g, y, x: [g * (1 + y * y)],
    "asin": lambda g, y, x: [g / jnp.sqrt(1 - x * x)],
    "acos": lambda g, y, x: [-g / jnp.sqrt(1 - x * x)],
    "atan": lambda g, y, x: [g / (1 + x * x)],
    "sinh": lambda g, y, x: [g * jnp.cosh(x)],
    "cosh": lambda g, y, x: [g * jnp.sinh(x)],
    "tanh": lambda g, y, x: [g * (1 - y * y)],
    "asinh": lambda g, y, x: [g / jnp.sqrt(x * x + 1)],
    "acosh": lambda g, y, x: [g / jnp.sqrt((x - 1) * (x + 1))],
    "atanh": lambda g, y, x: [g / ((1 - x) * (1 + x))],
    "erf": lambda g, y, x: [g * 2 / math.sqrt(math.pi) * jnp.exp(-x * x)],
    "erfc": lambda g, y, x: [-g * 2 / math.sqrt(math.pi) * jnp.exp(-x * x)],
    "erf_inv": lambda g, y, x: [g * math.sqrt(math.pi) / 2 * jnp.exp(y * y)],
    "lgamma": lambda g, y, x: [g * lax.digamma(x)],
    "polygamma": lambda g, y, n, x: [None, g * lax.polygamma(n + 1, x)],
    "digamma": lambda g, y, x: [g * lax.polygamma(jnp.ones_like(x), x)],
    "bessel_i0e": lambda g, y, x: [g * (lax.bessel_i1e(x) - jnp.sign(x) * y)],
    # real and imaginary parts
    "real": lambda g, y, x: [lax.complex(g, jnp.zeros_like(g))],
    "imag": lambda g, y, x: [lax.complex(jnp.zeros_like(g), -g)],
    "complex": lambda g, y, a, b: [lax.real(g), -lax.imag(g)],
    "conj": lambda g, y, x, *, input_dtype: [lax.conj(g) if jnp.iscomplexobj(x) else lax.real(g)],
    # two or three numbers at a time
    "add": lambda g, y, a, b: [g, g],
    "add_any": lambda g, y, a, b: [g, g],
    "sub": lambda g, y, a, b: [g, -g],
    "mul": lambda g, y, a, b: [g * b, g * a],
    "div": lambda g, y, a, b: [g / b, -g * y / b],
    "rem": lambda g, y, a, b: [g, -g * jnp.sign(a / b) * jnp.floor(jnp.abs(a / b))],
    "atan2": lambda g, y, a, b: [g * b / (a * a + b * b), -g * a / (a * a + b * b)],
    "pow": _pow,
    "max": _extremum,
    "min": _extremum,
    "clamp": _clamp,
    "select_n": _select_n,
    # reductions and running ones
    "reduce_sum": lambda g, y, x, *, axes: [lax.broadcast_in_dim(g, x.shape, _others(x, axes))],
    "reduce_max": _reduce_extremum,
    "reduce_min": _reduce_extremum,
    "reduce_prod": _reduce_prod,
    "cumsum": lambda g, y, x, *, axis, reverse: [lax.cumsum(g, axis, reverse=not reverse)],
    "cumprod": _cumulative(jnp.multiply),
    "cummax": _cumulative(jnp.maximum),
    "cummin": _cumulative(jnp.minimum),
    "cumlogsumexp": _cumulative(jnp.logaddexp),
    # shapes and types
    "reshape": lambda g, y, x: [g.reshape(x.shape)],
    "squeeze": lambda g, y, x, *, dimensions: [g.reshape(x.shape)],
    "transpose": lambda g, y, x, *, permutation: [g.transpose(np.argsort(permutation))],
    "rev": lambda g, y, x, *, dimensions: [lax.rev(g, dimensions)],
    "broadcast_in_dim": _broadcast_in_dim,
    "tile": _tile,
    "concatenate": _concatenate,
    "split": lambda g, y, x, *, axis: [jnp.concatenate(filled(g, y), axis)],
    "stack": lambda g, y, *operands, axis: jnp.unstack(g, axis=axis),
    "unstack": lambda g, y, x, *, axis: [jnp.stack(filled(g, y), axis)],
    "pad": _pad,
    "convert_element_type": _convert_element_type,
    # places
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "sort": _sort,
    "top_k": _top_k,
    # nothing changes
    "copy": lambda g, y, x: [g],
    "name": lambda g, y, x: [g],
    "reduce_precision": lambda g, y, x, *, exponent_bits, mantissa_bits: [
        lax.reduce_precision(g, exponent_bits, mantissa_bits)
    ],
    "optimization_barrier": lambda g, y, *operands: g,
    # flat, or said to be
    "sign": flat,
    "floor": flat,
    "ceil": flat,
    "round": flat,
    "stop_gradient": flat,
}
