"""Reverse-mode rules of operations that are linear in each operand: products, convolutions, places.

What such an operation does to one of its operands is a matrix, and the rule multiplies by its transpose: a
product of matrices by a product, a convolution by a convolution, taking by adding.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxnaive.rules import Rule

# --- products ----------------------------------------------------------------------------------------


def _dot_general(g, y, a, b, *, dimension_numbers, precision, preferred_element_type):
    """A matrix product is linear in each factor: ``dA = G B^T``, ``dB = A^T G``, over any dimensions."""
    (sum_a, sum_b), (batch_a, batch_b) = dimension_numbers
    free_a = [axis for axis in range(a.ndim) if axis not in (*sum_a, *batch_a)]
    free_b = [axis for axis in range(b.ndim) if axis not in (*sum_b, *batch_b)]
    batch_g, free_a_g, free_b_g = _consecutive(len(batch_a), len(free_a), len(free_b))  # the axes of g

    def product(left, right, summed, batched):
        return lax.dot_general(left, right, (summed, batched), precision, preferred_element_type)

    da = product(g, b, (free_b_g, free_b), (batch_g, batch_b))  # [batch, free_a, summed in the order of b]
    db = product(a, g, (free_a, free_a_g), (batch_a, batch_g))  # [batch, summed in the order of a, free_b]
    of_a = [*batch_a, *free_a, *(axis for _, axis in sorted(zip(sum_b, sum_a, strict=True)))]
    of_b = [*batch_b, *(axis for _, axis in sorted(zip(sum_a, sum_b, strict=True))), *free_b]
    return [
        da.transpose(np.argsort(of_a)).astype(a.dtype),
        db.transpose(np.argsort(of_b)).astype(b.dtype),
    ]


def _consecutive(*lengths):
    ends = np.cumsum(lengths)
    return [list(range(end - length, end)) for length, end in zip(lengths, ends, strict=True)]


# --- convolutions and windows ------------------------------------------------------------------------
#
# A window starts `low` before the first number of x and moves by `stride`. Backwards the numbers of g stand
# `stride` apart, and the window that collects for the first number of x ends `low` behind the first of g.


def _conv_general_dilated(
    g, y, x, kernel, *, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers,
    feature_group_count, batch_group_count, precision, preferred_element_type,
):  # fmt: skip
    """Linear in the image and in the kernel: ``dX = G * flipped K`` and ``dK = X * G``, by convolutions."""
    if g.size == 0:
        return [jnp.zeros_like(x), jnp.zeros_like(kernel)]
    (xb, xf, *xs), (ko, ki, *ks), (yb, yf, *ys) = dimension_numbers

    def convolution(left, right, strides, padding, dilations, numbers, feature_groups, batch_groups):
        return lax.conv_general_dilated(
            left.astype(g.dtype), right.astype(g.dtype), strides, padding, dilations[0], dilations[1],
            lax.ConvDimensionNumbers(*numbers), feature_groups, batch_groups, precision,
            preferred_element_type,
        )  # fmt: skip

    groups = max(feature_group_count, batch_group_count)
    paddings = _paddings(
        _span(np.take(x.shape, xs), lhs_dilation), _span(np.take(kernel.shape, ks), rhs_dilation),
        _span(np.take(g.shape, ys), window_strides), padding,
    )  # fmt: skip
    flipped = lax.rev(_with_groups_at(kernel, ko, ki, groups), ks)
    dx = convolution(
        g, flipped, lhs_dilation, [of_g for of_g, _ in paddings], (window_strides, rhs_dilation),
        ((yb, yf, *ys), (ki, ko, *ks), (xb, xf, *xs)), groups, 1,
    )  # fmt: skip
    dx = _with_groups_at(dx, xf, xb, batch_group_count)
    dk = convolution(
        x, g, rhs_dilation, [of_x for _, of_x in paddings], (lhs_dilation, window_strides),
        ((xf, xb, *xs), (yf, yb, *ys), (ki, ko, *ks)), batch_group_count, feature_group_count,
    )  # fmt: skip
    return [dx.astype(x.dtype), dk.astype(kernel.dtype)]


def _span(sizes, dilations):
    """How much room numbers take that stand this far apart."""
    return [
        int(size - 1) * dilation + 1 if size else 0 for size, dilation in zip(sizes, dilations, strict=True)
    ]


def _paddings(x, k, y, padding):
    """Along each axis the zeros around g for the gradient of x, and those around x for that of the kernel."""
    return [
        ((k - 1 - low, x + low - y), (low, k - 1 + y - x - low))
        for x, k, y, (low, _) in zip(x, k, y, padding, strict=True)
    ]


def _with_groups_at(array, old, new, groups):
    """The array with the groups, that make up one axis with others, moved to another axis."""
    if groups == 1:
        return array
    shape = list(array.shape)
    split = array.reshape(*shape[:old], groups, shape[old] // groups, *shape[old + 1 :])
    shape[old] //= groups
    shape[new] *= groups
    return jnp.moveaxis(split, old, new).reshape(shape)


def _reduce_window_sum(
    g, y, x, *, window_dimensions, window_strides, padding, base_dilation, window_dilation
):
    """As of a convolution with ones."""
    span_x, span_k = _span(x.shape, base_dilation), _span(window_dimensions, window_dilation)
    paddings = _paddings(span_x, span_k, _span(g.shape, window_strides), padding)
    around_g = [(*of_g, stride - 1) for (of_g, _), stride in zip(paddings, window_strides, strict=True)]
    padded, zero = lax.pad(g, jnp.zeros([], g.dtype), around_g), np.zeros([], g.dtype)
    return [
        lax.reduce_window(
            padded, zero, lax.add, window_dimensions, base_dilation, "VALID", None, window_dilation
        )
    ]


# --- places ------------------------------------------------------------------------------------------


def _gather(g, y, x, indices, *, dimension_numbers, indices_are_sorted, unique_indices, mode):
    """What was taken twice gets both: the opposite of taking is adding."""
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=dimension_numbers.offset_dims,
        inserted_window_dims=dimension_numbers.collapsed_slice_dims,
        scatter_dims_to_operand_dims=dimension_numbers.start_index_map,
        operand_batching_dims=dimension_numbers.operand_batching_dims,
        scatter_indices_batching_dims=dimension_numbers.start_indices_batching_dims,
    )
    dx = lax.scatter_add(
        jnp.zeros_like(x), indices, g, numbers,
        indices_are_sorted=indices_are_sorted, unique_indices=unique_indices, mode=mode,
    )  # fmt: skip
    return [dx, None]


def _taken(x, indices, updates, numbers, mode):
    """What stands in ``x`` where a scatter puts its updates; 0 for those that fall outside."""
    inserted = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    window = iter(updates.shape[axis] for axis in numbers.update_window_dims)
    return lax.gather(
        x,
        indices,
        lax.GatherDimensionNumbers(
            offset_dims=numbers.update_window_dims,
            collapsed_slice_dims=numbers.inserted_window_dims,
            start_index_map=numbers.scatter_dims_to_operand_dims,
            operand_batching_dims=numbers.operand_batching_dims,
            start_indices_batching_dims=numbers.scatter_indices_batching_dims,
        ),
        [1 if axis in inserted else next(window) for axis in range(x.ndim)],
        mode=mode,
        fill_value=0,
    )


def _scatter_add(sign):
    """The opposite of adding is taking; the operand is there all the same."""

    def rule(g, y, x, indices, updates, *, dimension_numbers, mode, update_jaxpr):
        return [g, None, sign * _taken(g, indices, updates, dimension_numbers, mode)]

    return rule


def _scatter(g, y, x, indices, updates, *, dimension_numbers, mode):
    """The operand is not used where an update is; of two updates of one element the one that stays counts."""
    zeros = jnp.zeros_like(updates)
    outside = lax.scatter(g, indices, zeros, dimension_numbers, mode=mode)
    number = jnp.arange(1, updates.size + 1).reshape(updates.shape)
    stays = lax.scatter(jnp.zeros(x.shape, number.dtype), indices, number, dimension_numbers, mode=mode)
    stays = _taken(stays, indices, updates, dimension_numbers, mode) == number
    return [outside, None, jnp.where(stays, _taken(g, indices, updates, dimension_numbers, mode), 0)]


def _scatter_mul(g, y, x, indices, updates, *, dimension_numbers, mode, unique_indices, update_jaxpr):
    """A product is linear in each factor; but two updates of one element cannot be told apart afterwards."""
    if not unique_indices:
        raise NotImplementedError("scatter-mul: expected unique_indices=True, as jax.grad does")
    dx = lax.scatter_mul(g, indices, updates, dimension_numbers, unique_indices=True, mode=mode)
    return [dx, None, _taken(g * x, indices, updates, dimension_numbers, mode)]


RULES: dict[str, Rule] = {
    "dot_general": _dot_general,
    "conv_general_dilated": _conv_general_dilated,
    "reduce_window_sum": _reduce_window_sum,
    "gather": _gather,
    "scatter": _scatter,
    "scatter-add": _scatter_add(1),
    "scatter-sub": _scatter_add(-1),
    "scatter-mul": _scatter_mul,
}
