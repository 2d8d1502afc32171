"""Reverse-mode differentiation from first principles: a walk backwards along the graph of a JAX function.

For every operation there is a rule (``rules``, ``control_flow``) from the cotangent of its output, ``g``, to
those of its operands: how fast the result of the whole function grows with each. The walk starts at the
result with ``g = 1``, takes the nodes in reverse topological order, and adds where paths meet. That is all of
backpropagation; :func:`grad` is equal to ``jax.grad``.
"""

import functools
import inspect
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from jaxnaive import control_flow
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
    type_of,
)
from jaxnaive.jaxprs import trace
from jaxnaive.rules import RULES as ARRAY_RULES
from jaxnaive.rules import Rule, Walk, flat, sum_over_repeats, zeros

Rules = Mapping[str, Rule]  # by the primitive's name, as jaxprs.trace shows it
RULES: Rules = ARRAY_RULES | control_flow.RULES


class Gradients(NamedTuple):
    """How fast the result grows with each value; without those that have no way to it, or are no floats."""

    outputs: dict[Output, Array]  # by the output of a node: the sum over the edges that leave it
    edges: dict[tuple[int, int], Array]  # by node and place among its operands: what this one use adds


# --- the transformations -----------------------------------------------------------------------------


def value_and_grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    rules: Rules | None = None,
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns the value and the gradient of a function. Equal to ``jax.value_and_grad``.

    Args:
      function: any that ``jax.jit`` would take, and that returns one floating-point number; or, with
        ``has_aux``, a pair of it and a pytree of arrays. It is traced: it does not print.
      argnums: the arguments, counted from 0, by which to differentiate: arrays, or pytrees of arrays.
      has_aux: whether the function returns such a pair.
      holomorphic: only ``False``: there are no rules for complex numbers.
      allow_int: whether integers may be differentiated by; their gradient is of dtype ``float0``.
      rules: your own rules, by the names of primitives; they come before those of :data:`RULES`. A rule is a
        function ``rule(g, y, *operands)`` of the cotangent of the output, the output and the operands. It
        returns a sequence with one cotangent an operand, ``None`` where there is none. What else it needs,
        such as the axes of a sum, it takes as keyword-only arguments by the names in the node's ``settings``.

    Returns:
      A function of the same arguments, that returns the value (or pair) and the gradient, a pytree like the
      argument, or a tuple of them if ``argnums`` is a sequence.

    Raises:
      TypeError: when called, if the function does not return a floating-point number, or is differentiated
        by something else; NotImplementedError, if it uses a primitive that has no rule.

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
        places = _places(argnums, len(args))

        def of_chosen(*chosen: Any) -> Any:
            full = list(args)
            for place, arg in zip(places, chosen, strict=True):
                full[place] = arg
            return _checked_result(function(*full, **kwargs), has_aux)

        chosen = tuple(args[place] for place in places)
        for leaf in jax.tree.leaves(chosen):
            _check_differentiable(leaf, allow_int)
        result, pullback = vjp(of_chosen, *chosen, rules=rules)
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
    rules: Rules | None = None,
) -> Callable[..., Any]:
    """A function that returns the gradient alone, or, with ``has_aux``, and the rest. Equal to ``jax.grad``.

    >>> print(grad(grad(lambda t: 4.9 * t**2))(1.0))
    9.8
    >>> straight_through = {"sign": lambda g, y, x: [g]}  # as if the slope of sign were 1
    >>> print(grad(lambda x: 3 * jnp.sign(x), rules=straight_through)(2.0))
    3.0
    """
    both = value_and_grad(function, argnums, has_aux, holomorphic, allow_int, rules)

    @functools.wraps(function)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        result, grads = both(*args, **kwargs)
        return (grads, result[1]) if has_aux else grads

    return gradient


def vjp(
    function: Callable[..., PyTree[Array]], *args: PyTree[Any], rules: Rules | None = None
) -> tuple[PyTree[Array], Callable[[PyTree[Array | None]], tuple[Any, ...]]]:
    """The value of a function, and its pullback: from a cotangent of the value to those of the arguments.

    Args:
      function: returns arrays.
      args: where to differentiate.
      rules: as in :func:`value_and_grad`.

    Returns:
      The value; and a function of a pytree like it (with ``None`` for leaves that do not count), which
      returns one gradient an argument. Integers get ``float0``, as in ``jax.vjp``.
    """
    leaves, structure = jax.tree.flatten(args)
    graph = trace(function, *args)
    values = evaluate(graph, *leaves)

    def pullback(g: PyTree[Array | None]) -> tuple[Any, ...]:
        given = graph.structure.flatten_up_to(g)
        for one, output in zip(given, graph.outputs, strict=True):
            shape = type_of(graph, output).shape
            if one is not None and jnp.shape(one) != shape:
                raise ValueError(f"gradient by the result: got shape {jnp.shape(one)}, expected {shape}")
        found = _by_inputs(graph, backward(graph, values, given, rules=rules))
        return structure.unflatten(
            np.zeros(node.type.shape, jax.dtypes.float0) if one is None else one
            for one, node in zip(found, inputs_of(graph), strict=True)
        )

    return graph.structure.unflatten(results_of(graph, values)), pullback


def backward(
    graph: Graph,
    values: Values,
    g: Sequence[ArrayLike | None],
    wanted: Sequence[bool] | None = None,
    rules: Rules | None = None,
) -> Gradients:
    """The walk: cotangents along every edge of the graph, from its results to its inputs.

    Args:
      graph: of the function.
      values: of its nodes, from :func:`jaxnaive.graph.evaluate`.
      g: for each leaf of what the function returns, how fast the final result grows with it.
      wanted: the inputs by which to differentiate; by default all.
      rules: as in :func:`value_and_grad`.

    Raises:
      NotImplementedError: a primitive on the way has no rule, or makes complex numbers.
    """
    rules = {**RULES, **(rules or {})}
    moving = _moving(graph, wanted, rules)
    cotangents, edges = {}, {}

    def arrive(output: Output, one: Array) -> None:
        cotangents[output] = cotangents[output] + one if output in cotangents else one

    for output, one in zip(graph.outputs, g, strict=True):
        if one is not None and output in moving:
            arrive(output, jnp.asarray(one))
    for place in reversed(range(len(graph.nodes))):
        node = graph.nodes[place]
        outputs = [Output(place, index) for index in range(len(node.types))]
        if not isinstance(node, Operation) or not any(output in cotangents for output in outputs):
            continue
        _check_real(graph, node)
        uses = [operand in moving for operand in node.operands]
        of_outputs = [cotangents.get(output) for output in outputs]
        of_operands = _through(node, of_outputs, values[place], values, uses, rules)
        for slot, (operand, one, used) in enumerate(zip(node.operands, of_operands, uses, strict=True)):
            if one is not None and used:
                edges[place, slot] = _of_operand(one, type_of(graph, operand).shape, node)
                arrive(operand, edges[place, slot])
    return Gradients(cotangents, edges)


# --- paths -------------------------------------------------------------------------------------------


class GraphPath(NamedTuple):
    """One way from a value to the result of a function of numbers."""

    edges: tuple[tuple[int, int], ...]  # node and place among its operands, in the direction of the values
    slopes: tuple[Array, ...]  # how fast each edge's node grows with this operand
    product: Array  # of the slopes; the chain rule


def paths(graph: Graph, values: Values, start: Output) -> list[GraphPath]:
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
        GraphPath(edges, slopes, math.prod(slopes, start=one))
        for edges, slopes in _ways(graph, values, start, result, _moving(graph, None, RULES))
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
    uses = [operand in moving for operand in node.operands]
    slopes = _through(node, [one], values[end.node], values, uses, RULES)
    return [
        ((*edges, (end.node, slot)), (*before, slope))
        for slot, (operand, slope) in enumerate(zip(node.operands, slopes, strict=True))
        if slope is not None
        for edges, before in _ways(graph, values, start, operand, moving)
    ]


# --- the parts of the walk ---------------------------------------------------------------------------


def _through(
    node: Operation,
    g: Sequence[Array | None],
    y: tuple[Array, ...],
    values: Values,
    uses: Sequence[bool],
    rules: Rules,
) -> Sequence[Any]:
    """The node's rule: from the cotangents of its outputs to those of its operands."""
    rule = rules.get(node.primitive)
    if rule is None:
        raise NotImplementedError(
            f"the primitive {node.primitive!r} has no rule; give it one: "
            f"backprop.grad(..., rules={{{node.primitive!r}: lambda g, y, *operands: [one an operand]}})"
        )
    known = {**node.settings, "apply": node.apply, "wanted": uses, "walk": _walk(rules)}
    asked = _keywords(rule)
    if not known.keys() >= {*asked}:
        raise TypeError(f"rule of {node.primitive!r}: asks for {asked}, settings are {list(node.settings)}")
    first = (tuple(g), y) if node.returns_many else (g[0], y[0])
    found = rule(*first, *operands_of(node, values), **{name: known[name] for name in asked})
    if not isinstance(found, Sequence) or len(found) != len(node.operands):
        raise TypeError(f"rule of {node.primitive!r}: got {found}, expected {len(node.operands)} gradients")
    return found


@functools.lru_cache(1024)  # asking takes 20 us, and a rule is used at many nodes of many traces
def _keywords(rule: Rule) -> list[str]:
    """What a rule asks for by keyword."""
    parameters = inspect.signature(rule).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]


def _walk(rules: Rules) -> Walk:
    """This walk, for the rules of functions: they go on inside with the same rules."""
    return Walk(
        back=functools.partial(_back, rules),
        moving=lambda graph, wanted: _moving(graph, wanted, rules),
        vjp=functools.partial(vjp, rules=rules),
    )


def _back(
    rules: Rules,
    graph: Graph,
    operands: Sequence[Array],
    g: Sequence[Array | None],
    wanted: Sequence[bool],
) -> list[Array | None]:
    found = _by_inputs(graph, backward(graph, evaluate(graph, *operands), g, wanted, rules))
    return [one if want else None for one, want in zip(found, wanted, strict=True)]


def _moving(graph: Graph, wanted: Sequence[bool] | None, rules: Rules) -> set[Output]:
    """The floats that change with the wanted inputs: those reached without passing a flat operation."""
    moving: set[Output] = set()
    for place, node in enumerate(graph.nodes):
        if isinstance(node, Input):
            moves = wanted is None or wanted[place]
        elif isinstance(node, Operation) and rules.get(node.primitive) is flat:
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


def _by_inputs(graph: Graph, gradients: Gradients) -> list[Array | None]:
    return [
        gradients.outputs.get(Output(place), zeros(node.type)) for place, node in enumerate(inputs_of(graph))
    ]


def _of_operand(g: Array, shape: tuple[int, ...], node: Operation) -> Array:
    # What an operation repeats along an axis of length 1, or a number over an array, is used many times over.
    if g.shape == shape:
        return g
    if (shape and g.ndim != len(shape)) or g.shape not in {type_.shape for type_ in node.types}:
        raise TypeError(f"rule of {node.primitive!r}: got gradient of shape {g.shape}, expected {shape}")
    return sum_over_repeats(g, shape)


# --- checks ------------------------------------------------------------------------------------------


def _places(argnums: Sequence[int], count: int) -> list[int]:
    for place in argnums:
        if not -count <= place < count:
            raise ValueError(f"argnums: got {place}, but there are {count} arguments")
    places = [place % count for place in argnums]
    if len({*places}) != len(places):
        raise ValueError(f"argnums: got {argnums}, expected each argument once")
    return places


def _checked_result(result: Any, has_aux: bool) -> Any:
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


def _check_differentiable(leaf: Any, allow_int: bool) -> None:
    dtype = jnp.result_type(leaf)
    if jnp.issubdtype(dtype, jnp.floating) or (allow_int and not jnp.issubdtype(dtype, jnp.inexact)):
        return
    raise TypeError(f"differentiate by floating-point numbers: got {dtype} of shape {jnp.shape(leaf)}")


def _check_real(graph: Graph, node: Operation) -> None:
    for type_ in (*node.types, *(type_of(graph, operand) for operand in node.operands)):
        if jnp.issubdtype(type_.dtype, jnp.complexfloating):
            raise NotImplementedError(f"{node.name}: got {type_.dtype}, but complex numbers have no rules")
