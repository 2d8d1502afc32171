"""Reverse-mode differentiation from first principles: a walk backwards along the graph of a JAX function.

For every operation there is a rule, its vector-Jacobian product: given ``g``, how fast the result of the
whole function grows with the operation's output ``y``, it says how fast the result grows with each operand.
The walk starts at the result with ``g = 1``, takes the nodes in reverse topological order, and adds where
paths meet. That is all of backpropagation; :func:`grad` is equal to ``jax.grad``.

The rules are written in ``jax.numpy`` and so have graphs of their own: a gradient can be compiled,
vectorised, and differentiated again.
"""

import functools
import inspect
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from jaxnaive.graph import (
    Graph,
    Input,
    Operation,
    Output,
    Values,
    evaluate,
    inputs_of,
    operands_of,
    results_of,
    trace,
    type_of,
)

Rule = Callable[..., Sequence[Any]]  # g, y, *operands, settings by name -> one gradient, or None, an operand


class Gradients(NamedTuple):
    """How fast the result grows with each value; without those that have no way to it, or are no floats."""

    outputs: dict[Output, Array]  # by the output of a node: the sum over the edges that leave it
    edges: dict[tuple[int, int], Array]  # by node and place among its operands: the share of this one use


# --- the transformations -----------------------------------------------------------------------------


def value_and_grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns the value and the gradient of a function. Equal to ``jax.value_and_grad``.

    Args:
      function: any that ``jax.jit`` would take, and that returns one floating-point number; or, with
        ``has_aux``, a pair of it and a pytree of arrays. It is traced: it does not print.
      argnums: the arguments, counted from 0, by which to differentiate: arrays, or pytrees of arrays.
      has_aux: whether the function returns such a pair.
      holomorphic: only ``False``: there are no rules for complex numbers.
      allow_int: whether integers may be differentiated by; their gradient is of dtype ``float0``.

    Returns:
      A function of the same arguments, that returns the value (or pair) and the gradient, a pytree like the
      argument, or a tuple of them if ``argnums`` is a sequence.

    Raises:
      TypeError: when called, if the function does not return a floating-point number, or is differentiated
        by something else; NotImplementedError, if it uses a primitive that has no rule (see :func:`defvjp`).

    >>> value, gradient = value_and_grad(lambda x: x * x + x)(3.0)
    >>> print(value, gradient)  # x * x is reached by two paths, 3 + 3, and x by one, 1
    12.0 7.0
    """
    if holomorphic:
        raise NotImplementedError("holomorphic: got True, but there are no rules for complex numbers")
    is_one = not isinstance(argnums, Sequence)
    argnums = [operator.index(place) for place in ([argnums] if is_one else argnums)]

    @functools.wraps(function)
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        for place in argnums:
            if not -len(args) <= place < len(args):
                raise ValueError(f"argnums: got {place}, but there are {len(args)} arguments")
        places = [place % len(args) for place in argnums]
        if len({*places}) != len(places):
            raise ValueError(f"argnums: got {argnums}, expected each argument once")

        def of_those(*chosen: Any) -> Any:
            full = list(args)
            for place, arg in zip(places, chosen, strict=True):
                full[place] = arg
            return _checked(function(*full, **kwargs), has_aux)

        chosen = tuple(args[place] for place in places)
        for leaf in jax.tree.leaves(chosen):
            _check_differentiable(leaf, allow_int)
        result, pullback = vjp(of_those, *chosen)
        one = jnp.ones_like(result[0] if has_aux else result)
        gradient = pullback((one, jax.tree.map(lambda _: None, result[1])) if has_aux else one)
        return result, gradient[0] if is_one else gradient

    return value_and_gradient


def grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """A function that returns the gradient alone, or, with ``has_aux``, and the rest. Equal to ``jax.grad``.

    >>> print(grad(grad(lambda t: 4.9 * t**2))(1.0))
    9.8
    """
    both = value_and_grad(function, argnums, has_aux, holomorphic, allow_int)

    @functools.wraps(function)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        result, grads = both(*args, **kwargs)
        return (grads, result[1]) if has_aux else grads

    return gradient


def vjp(
    function: Callable[..., PyTree[Array]], *args: PyTree[Any]
) -> tuple[PyTree[Array], Callable[[PyTree[Array | None]], tuple[Any, ...]]]:
    """The value of a function, and its pullback, which takes a gradient by the value to one by the arguments.

    Args:
      function: returns arrays.
      args: where to differentiate.

    Returns:
      The value; and a function of a pytree like it (with ``None`` for leaves that do not count), which
      returns one gradient an argument. Integers get ``float0``, as in ``jax.vjp``.
    """
    leaves, structure = jax.tree.flatten(args)
    graph = trace(function, *args)
    values = evaluate(graph, *leaves)

    def pullback(g: PyTree[Array | None]) -> tuple[Any, ...]:
        given = graph.structure.flatten_up_to(g)
        for share, output in zip(given, graph.outputs, strict=True):
            shape = type_of(graph, output).shape
            if share is not None and jnp.shape(share) != shape:
                raise ValueError(f"gradient by the result: got shape {jnp.shape(share)}, expected {shape}")
        shares = _by_inputs(graph, backward(graph, values, given))
        return structure.unflatten(
            np.zeros(node.type.shape, jax.dtypes.float0) if share is None else share
            for share, node in zip(shares, inputs_of(graph), strict=True)
        )

    return graph.structure.unflatten(results_of(graph, values)), pullback


def backward(
    graph: Graph, values: Values, g: Sequence[ArrayLike | None], wanted: Sequence[bool] | None = None
) -> Gradients:
    """The walk: gradients along every edge of the graph, from its results to its inputs.

    Args:
      graph: of the function.
      values: of its nodes, from :func:`jaxnaive.graph.evaluate`.
      g: for each leaf of what the function returns, how fast the final result grows with it.
      wanted: the inputs by which to differentiate; by default all.

    Raises:
      NotImplementedError: a primitive on the way has no rule, or makes complex numbers.
    """
    moving = _moving(graph, wanted)
    gradients, edges = {}, {}

    def arrive(output: Output, share: Array) -> None:
        gradients[output] = gradients[output] + share if output in gradients else share

    for output, share in zip(graph.outputs, g, strict=True):
        if share is not None and output in moving:
            arrive(output, jnp.asarray(share))
    for place in reversed(range(len(graph.nodes))):
        node = graph.nodes[place]
        outputs = [Output(place, index) for index in range(len(node.types))]
        if not isinstance(node, Operation) or not any(output in gradients for output in outputs):
            continue
        _check_real(graph, node)
        uses = [operand in moving for operand in node.operands]
        shares = _through(node, [gradients.get(output) for output in outputs], values[place], values, uses)
        for slot, (operand, share, used) in enumerate(zip(node.operands, shares, uses, strict=True)):
            if share is not None and used:
                edges[place, slot] = _summed_to(share, type_of(graph, operand).shape, node)
                arrive(operand, edges[place, slot])
    return Gradients(gradients, edges)


def defvjp(primitive: str, rule: Rule) -> None:
    """Give a primitive its rule, or another rule.

    Args:
      primitive: its name, as :func:`jaxnaive.graph.trace` shows it.
      rule: ``rule(g, y, *operands)``, with the gradient by the primitive's output, this output, and its
        operands; returns a sequence with one gradient an operand, ``None`` where there is none. What else it
        needs to know, such as the axes of a sum, it takes as keyword-only arguments by the names in the
        node's ``settings``. For a primitive that returns a tuple ``g`` and ``y`` are tuples, and ``g`` has
        ``None`` for an output that the result does not depend on.

    >>> defvjp("sin", lambda g, y, x: [g * jnp.cos(x)])  # the rule that it has
    """
    RULES[primitive] = rule


# --- paths -------------------------------------------------------------------------------------------


class Path(NamedTuple):
    """One way from a value to the result of a function of numbers."""

    edges: tuple[tuple[int, int], ...]  # node and place among its operands, in the direction of the values
    slopes: tuple[Array, ...]  # how fast each edge's node grows with this operand
    product: Array  # of the slopes; the chain rule


def paths(graph: Graph, values: Values, start: Output) -> list[Path]:
    """Every path from a value to the result: the gradient is the sum of their products.

    There can be as many as 2 to the power of the number of nodes. :func:`backward` adds where paths meet
    and so takes each edge once, which is the whole difference between it and this.

    Args:
      graph: of a function that takes and returns single numbers.
      values: of its nodes, from :func:`jaxnaive.graph.evaluate`.
      start: where the paths start.

    Raises:
      ValueError: a value on the way is not a single number.
    """
    if len(graph.outputs) != 1:
        raise ValueError(f"paths: got a function with {len(graph.outputs)} results, expected one")
    (result,) = graph.outputs
    one = jnp.ones([], type_of(graph, result).dtype)
    return [
        Path(edges, slopes, math.prod(slopes, start=one))
        for edges, slopes in _ways(graph, values, start, result, _moving(graph))
    ]


def _ways(
    graph: Graph, values: Values, start: Output, end: Output, moving: set[Output]
) -> list[tuple[tuple[tuple[int, int], ...], tuple[Array, ...]]]:
    if start == end:
        return [((), ())]
    node = graph.nodes[end.node]
    if not isinstance(node, Operation) or end not in moving:
        return []
    if len(node.types) != 1 or node.types[0].shape:
        raise ValueError(f"paths: {node.name} returns {node.types}, expected a single number")
    one = jnp.ones([], node.types[0].dtype)
    slopes = _through(node, [one], values[end.node], values, [operand in moving for operand in node.operands])
    return [
        ((*edges, (end.node, slot)), (*before, slope))
        for slot, (operand, slope) in enumerate(zip(node.operands, slopes, strict=True))
        if slope is not None
        for edges, before in _ways(graph, values, start, operand, moving)
    ]


# --- the parts of the walk ---------------------------------------------------------------------------


def _through(
    node: Operation, g: Sequence[Array | None], y: tuple[Array, ...], values: Values, uses: Sequence[bool]
) -> Sequence[Any]:
    """The node's rule: from the gradients by its outputs to the gradients by its operands."""
    rule = RULES.get(node.primitive)
    if rule is None:
        raise NotImplementedError(
            f"the primitive {node.primitive!r} has no rule; give it one: "
            f"backprop.defvjp({node.primitive!r}, lambda g, y, *operands: [one gradient an operand])"
        )
    known = {**node.settings, "apply": node.apply, "wanted": uses}
    parameters = inspect.signature(rule).parameters.values()
    asked = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    if not known.keys() >= {*asked}:
        raise TypeError(f"rule of {node.primitive!r}: asks for {asked}, settings are {list(node.settings)}")
    first = (tuple(g), y) if node.returns_many else (g[0], y[0])
    shares = rule(*first, *operands_of(node, values), **{name: known[name] for name in asked})
    if not isinstance(shares, Sequence) or len(shares) != len(node.operands):
        raise TypeError(f"rule of {node.primitive!r}: got {shares}, expected {len(node.operands)} gradients")
    return shares


def _moving(graph: Graph, wanted: Sequence[bool] | None = None) -> set[Output]:
    """The values that move when the wanted inputs do: floats, with a way to them that is nowhere flat."""
    moving: set[Output] = set()
    for place, node in enumerate(graph.nodes):
        if isinstance(node, Input):
            moves = wanted is None or wanted[place]
        elif isinstance(node, Operation) and RULES.get(node.primitive) is _flat:
            moves = False
        else:
            moves = any(operand in moving for operand in node.operands)
        if moves:
            moving |= {
                Output(place, index)
                for index, type_ in enumerate(node.types)
                if jnp.issubdtype(type_.dtype, jnp.inexact)
            }
    return moving


def _check_real(graph: Graph, node: Operation) -> None:
    for type_ in (*node.types, *(type_of(graph, operand) for operand in node.operands)):
        if jnp.issubdtype(type_.dtype, jnp.complexfloating):
            raise NotImplementedError(f"{node.name}: got {type_.dtype}, but complex numbers have no rules")


def _checked(result: Any, has_aux: bool) -> Any:
    if has_aux and not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"has_aux: the function returned {type(result).__name__}, expected a pair")
    value: Any = result[0] if has_aux else result
    if jax.tree.structure(value) != jax.tree.structure(0):
        found, is_number = type(value).__name__, False
    else:
        found = f"{jnp.result_type(value)} of shape {jnp.shape(value)}"
        is_number = jnp.shape(value) == () and jnp.issubdtype(jnp.result_type(value), jnp.floating)
    if not is_number:
        raise TypeError(f"gradient: the function returned {found}, expected one floating-point number")
    return result


def _by_inputs(graph: Graph, gradients: Gradients) -> list[Array | None]:
    return [
        gradients.outputs.get(Output(place), _zeros(node.type)) for place, node in enumerate(inputs_of(graph))
    ]


def _summed_to(share: Array, shape: tuple[int, ...], node: Operation) -> Array:
    # What an operation repeats along an axis of length 1, or a number over an array, is used many times over.
    if share.shape == shape:
        return share
    if (shape and share.ndim != len(shape)) or share.shape not in {type_.shape for type_ in node.types}:
        raise TypeError(f"rule of {node.primitive!r}: got gradient of shape {share.shape}, expected {shape}")
    return _sum_over_repeats(share, shape)


def _sum_over_repeats(share: Array, shape: tuple[int, ...]) -> Array:
    if not shape:
        return share.sum()
    return share.sum([axis for axis, size in enumerate(shape) if share.shape[axis] != size], keepdims=True)


def _zeros(like: Any) -> Array | None:
    """The gradient where there is no path; ``None`` for what is not a float."""
    return jnp.zeros(like.shape, like.dtype) if jnp.issubdtype(like.dtype, jnp.floating) else None


def _check_differentiable(leaf: Any, allow_int: bool) -> None:
    dtype = jnp.result_type(leaf)
    if jnp.issubdtype(dtype, jnp.floating) or (allow_int and not jnp.issubdtype(dtype, jnp.inexact)):
        return
    raise TypeError(f"differentiate by floating-point numbers: got {dtype} of shape {jnp.shape(leaf)}")


# --- rules: several lines ----------------------------------------------------------------------------


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


def _pow(g, y, a, b):
    """``d a^b / da = b a^(b-1)`` and ``d a^b / db = a^b log a``, which is 0 at ``a = 0`` and not NaN."""
    b = b.astype(y.dtype)  # it may be an integer
    da = g * b * lax.pow(a, jnp.where(b == 0, 1, b - 1))
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
    """The largest element, or the smallest, gets all; equal ones share."""
    chosen = (x == jnp.expand_dims(y, axes)).astype(g.dtype)
    return [jnp.expand_dims(g / chosen.sum(axes), axes) * chosen]


def _reduce_prod(g, y, x, *, axes):
    """Each element's slope is the product of all the others: those on its left times those on its right."""
    if 0 in x.shape:
        return [jnp.zeros_like(x)]
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    moved = x.transpose(*kept, *axes)
    flat = moved.reshape(*y.shape, -1)
    ones = jnp.ones((*y.shape, 1), x.dtype)
    left = jnp.concatenate([ones, jnp.cumprod(flat, axis=-1)[..., :-1]], axis=-1)
    right = jnp.concatenate([lax.cumprod(flat, flat.ndim - 1, reverse=True)[..., 1:], ones], axis=-1)
    return [(g[..., None] * left * right).reshape(moved.shape).transpose(np.argsort((*kept, *axes)))]


def _cumulative(combine):
    """Of a running product, maximum, ...: by the rules of the operations that make it up."""

    def rule(g, y, x, *, axis, reverse):
        def running(x):
            return lax.associative_scan(combine, x, reverse=reverse, axis=axis)

        return vjp(running, x)[1](g)

    return rule


def _broadcast_in_dim(g, y, x, *, broadcast_dimensions):
    """What was repeated is used as often as it was repeated: sum."""
    g = g.sum([axis for axis in range(g.ndim) if axis not in broadcast_dimensions])
    return [_sum_over_repeats(g, x.shape)]


def _tile(g, y, x, *, reps):
    """As for a broadcast, with the repetitions on axes of their own."""
    pairs = [size for pair in zip(reps, x.shape, strict=True) for size in pair]
    return [g.reshape(pairs).sum(range(0, 2 * x.ndim, 2))]


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
        jnp.zeros_like(x),
        indices,
        g,
        numbers,
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices,
        mode=mode,
    )
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

    def rule(g, y, x, indices, updates, *, dimension_numbers, mode):
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


def _scatter_mul(g, y, x, indices, updates, *, dimension_numbers, mode, unique_indices):
    """A product is linear in each factor; but two updates of one element are no longer told apart."""
    if not unique_indices:
        raise NotImplementedError("scatter-mul: expected unique_indices=True, as jax.grad does")
    dx = lax.scatter_mul(g, indices, updates, dimension_numbers, unique_indices=True, mode=mode)
    return [dx, None, _taken(g * x, indices, updates, dimension_numbers, mode)]


def _select_n(g, y, which, *cases):
    """The case that was selected gets all."""
    which = which.astype(jnp.int32)  # with two cases it is a bool
    return [None, *(jnp.where(which == number, g, 0) for number in range(len(cases)))]


def _sort(g, y, *operands, dimension, num_keys):
    """Each element gets the gradient of the place that it was moved to."""
    places = lax.broadcasted_iota(jnp.int32, operands[0].shape, dimension)
    *_, order = lax.sort((*operands, places), dimension, num_keys=num_keys)
    back = jnp.argsort(order, axis=dimension)
    return [None if share is None else jnp.take_along_axis(share, back, dimension) for share in g]


def _top_k(g, y, x, *, axis):
    """The chosen elements get theirs."""
    return [jnp.put_along_axis(jnp.zeros_like(x), y[1], g[0], axis, inplace=False)]


def _back_through(
    graph: Graph, operands: Sequence[Array], g: Sequence[Array | None], wanted: Sequence[bool]
) -> list[Array | None]:
    """From the gradients by a called function's results to those by its operands; runs it again for them."""
    shares = _by_inputs(graph, backward(graph, evaluate(graph, *operands), g, wanted))
    return [share if used else None for share, used in zip(shares, wanted, strict=True)]


def _call(g, y, *operands, jaxpr, wanted):
    """The walk through the called function."""
    return _back_through(jaxpr, operands, g, wanted)


def _custom_jvp_call(g, y, *operands, apply):
    """The author says how ``y`` moves when the operands do: a linear function, which is walked backwards."""
    is_float = [jnp.issubdtype(operand.dtype, jnp.floating) for operand in operands]
    still = [np.zeros(operand.shape, jax.dtypes.float0) for operand in operands]

    def motion(*moving):
        moving = iter(moving)
        tangents = [next(moving) if f else zero for f, zero in zip(is_float, still, strict=True)]
        _, dy = jax.jvp(apply, operands, tuple(tangents))
        return [part for part, share in zip(dy, g, strict=True) if share is not None]

    floats = [jnp.zeros_like(operand) for operand, f in zip(operands, is_float, strict=True) if f]
    shares = iter(vjp(motion, *floats)[1]([share for share in g if share is not None]))
    return [next(shares) if f else None for f in is_float]


def _custom_vjp_call(g, y, *operands, apply):
    """The function's author gives the rule itself."""
    shares = jax.vjp(apply, *operands)[1](
        tuple(
            np.zeros(part.shape, jax.dtypes.float0) if share is None else share
            for share, part in zip(_filled(g, y), y, strict=True)
        )
    )
    return [None if share.dtype == jax.dtypes.float0 else share for share in shares]


def _cond(g, y, index, *operands, branches, wanted):
    """The walk through the branch that was taken."""

    def back(branch):
        return lambda operands, g: _back_through(branch, operands, g, wanted[1:])

    return [None, *lax.switch(index, [back(branch) for branch in branches], operands, g)]


def _scan(g, y, *operands, jaxpr, length, reverse, num_consts, num_carry, wanted):
    """The walk through the steps from the last to the first, after running them again to keep the carries."""
    consts, carry, xs = _split(operands, num_consts, num_carry)
    of_carry, of_ys = list(g[:num_carry]), list(g[num_carry:])
    wanted = _with_carries(jaxpr, wanted, num_consts, num_carry)
    moves = wanted[num_consts : num_consts + num_carry]
    of_carry = [
        _zeros(part) if share is None and moving else share
        for part, share, moving in zip(carry, of_carry, moves, strict=True)
    ]
    of_consts = [_zeros(c) if used else None for c, used in zip(consts, wanted[:num_consts], strict=True)]

    def forward(carry, x):
        results = results_of(jaxpr, evaluate(jaxpr, *consts, *carry, *x))
        return results[:num_carry], carry

    def back(shares, step):
        of_consts, of_carry = shares
        carry, x, of_y = step
        new = _back_through(jaxpr, [*consts, *carry, *x], [*of_carry, *of_y], wanted)
        more_of_consts, of_carry, of_x = _split(new, num_consts, num_carry)
        return (jax.tree.map(jnp.add, of_consts, more_of_consts), of_carry), of_x

    _, carries = lax.scan(forward, carry, xs, length, reverse)
    (of_consts, of_carry), of_xs = lax.scan(
        back, (of_consts, of_carry), (carries, xs, of_ys), length, not reverse
    )
    return [*of_consts, *of_carry, *of_xs]


def _with_carries(step: Graph, wanted: Sequence[bool], num_consts: int, num_carry: int) -> list[bool]:
    """The wanted inputs of a step, and the carries that move with them from some step on."""
    wanted, known = list(wanted), None
    while wanted != known:
        known, moving = list(wanted), _moving(step, wanted)
        for place, output in enumerate(step.outputs[:num_carry]):
            wanted[num_consts + place] |= output in moving
    floats = [jnp.issubdtype(node.type.dtype, jnp.floating) for node in inputs_of(step)]
    return [want and is_float for want, is_float in zip(wanted, floats, strict=True)]


def _split(items, first, second):
    return list(items[:first]), list(items[first : first + second]), list(items[first + second :])


def _while(g, y, *operands):
    raise NotImplementedError(
        "while: how often it runs is known only afterwards, so its steps cannot be kept for the way back; "
        "use lax.scan, or lax.fori_loop with fixed ends"
    )


def _filled(g: Sequence[Any], y: Sequence[Array]) -> list[Any]:
    """With zeros for the outputs that the result does not depend on, where a rule needs them all."""
    return [_zeros(part) if share is None else share for share, part in zip(g, y, strict=True)]


def _same(g, y, x):
    return [g]


def _flat(g, y, *operands):
    """The slope is 0 wherever there is one."""
    return [None for _ in operands]


# --- rules: one line ---------------------------------------------------------------------------------

RULES: dict[str, Rule] = {
    # one number at a time
    "neg": lambda g, y, x: [-g],
    "abs": lambda g, y, x: [jnp.where(x >= 0, g, -g)],
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
    "reduce_sum": lambda g, y, x, *, axes: [jnp.broadcast_to(jnp.expand_dims(g, axes), x.shape)],
    "reduce_max": _reduce_extremum,
    "reduce_min": _reduce_extremum,
    "reduce_prod": _reduce_prod,
    "cumsum": lambda g, y, x, *, axis, reverse: [lax.cumsum(g, axis, reverse=not reverse)],
    "cumprod": _cumulative(jnp.multiply),
    "cummax": _cumulative(jnp.maximum),
    "cummin": _cumulative(jnp.minimum),
    "cumlogsumexp": _cumulative(jnp.logaddexp),
    "dot_general": _dot_general,
    # shapes and types
    "reshape": lambda g, y, x: [g.reshape(x.shape)],
    "squeeze": lambda g, y, x: [g.reshape(x.shape)],
    "transpose": lambda g, y, x, *, permutation: [g.transpose(np.argsort(permutation))],
    "rev": lambda g, y, x, *, dimensions: [lax.rev(g, dimensions)],
    "broadcast_in_dim": _broadcast_in_dim,
    "tile": _tile,
    "concatenate": _concatenate,
    "split": lambda g, y, x, *, axis: [jnp.concatenate(_filled(g, y), axis)],
    "stack": lambda g, y, *operands, axis: jnp.unstack(g, axis=axis),
    "unstack": lambda g, y, x, *, axis: [jnp.stack(_filled(g, y), axis)],
    "pad": _pad,
    "convert_element_type": lambda g, y, x: [g.astype(x.dtype)],
    # places
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "scatter": _scatter,
    "scatter-add": _scatter_add(1),
    "scatter-sub": _scatter_add(-1),
    "scatter-mul": _scatter_mul,
    "sort": _sort,
    "top_k": _top_k,
    # functions
    "jit": _call,
    "remat2": _call,
    "custom_jvp_call": _custom_jvp_call,
    "custom_vjp_call": _custom_vjp_call,
    "cond": _cond,
    "scan": _scan,
    "while": _while,
    # nothing changes
    "copy": _same,
    "name": _same,
    "reduce_precision": lambda g, y, x, *, exponent_bits, mantissa_bits: [
        lax.reduce_precision(g, exponent_bits, mantissa_bits)
    ],
    "optimization_barrier": lambda g, y, *operands: g,
    "device_put": lambda g, y, *operands: g,
    # flat, or said to be
    "sign": _flat,
    "floor": _flat,
    "ceil": _flat,
    "round": _flat,
    "stop_gradient": _flat,
}
