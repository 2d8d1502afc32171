"""The walk of backpropagation: backwards along a graph, from the results to the inputs.

It starts with how fast the final result grows with each result of the graph, takes the nodes in reverse
topological order, asks the rule of each for the cotangents of its operands, and adds where paths meet.
"""

import functools
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxnaive import control_flow, linear_rules, rules, tangents
from jaxnaive.graph import (
    Graph,
    Input,
    Operation,
    Output,
    Values,
    evaluate,
    functions_in,
    operands_of,
    primitives,
    type_of,
)
from jaxnaive.rules import Rule, Walk, flat, is_float, sum_over_repeats

Rules = Mapping[str, Rule]  # by the primitive's name, as jaxprs.trace shows it
RULES: Rules = rules.RULES | linear_rules.RULES | control_flow.RULES
NOT_RUN = ("custom_lin",)  # linear operations that JAX only transposes


class Gradients(NamedTuple):
    """How fast the result grows with each value; without those that have no way to it, or are no floats."""

    outputs: dict[Output, Array]  # by the output of a node: the sum over the edges that leave it
    edges: dict[tuple[int, int], Array]  # by node and place among its operands: what this one use adds


class How(NamedTuple):
    """Which rules a walk takes."""

    own: Rules  # the caller's; they come before those of the table
    linear: bool  # whether an operation without a rule is transposed


def backward(
    graph: Graph,
    values: Values,
    g: Sequence[ArrayLike | None],
    wanted: Sequence[bool] | None = None,
    rules: Rules | None = None,
    linear: bool = False,
) -> Gradients:
    """The walk: cotangents along every edge of the graph, from its results to its inputs.

    Args:
      graph: of the function.
      values: of its nodes, from :func:`jaxnaive.graph.evaluate`.
      g: for each leaf of what the function returns, how fast the final result grows with it.
      wanted: the inputs by which to differentiate; by default all.
      rules: your own, by the names of primitives; they come before those of :data:`RULES`.
      linear: whether the graph is linear in the wanted inputs, as that of a function's tangents is. Then an
        operation without a rule is transposed; otherwise it is differentiated by its tangents.

    Raises:
      What JAX raises, if a primitive on the way has no rule and JAX does not differentiate it either.
    """
    how = How(rules or {}, linear)
    moving = _moving(graph, wanted, how)
    cotangents, edges = {}, {}

    def arrive(output: Output, one: Array) -> None:
        cotangents[output] = cotangents[output] + one if output in cotangents else one

    for output, one in zip(graph.outputs, g, strict=True):
        if one is not None and output in moving:
            arrive(output, jnp.asarray(one))
    for place in reversed(range(len(graph.nodes))):
        node = graph.nodes[place]
        of_outputs = [cotangents.get(Output(place, index)) for index in range(len(node.types))]
        if not isinstance(node, Operation) or all(one is None for one in of_outputs):
            continue
        uses = [operand in moving for operand in node.operands]
        of_operands = _through(node, of_outputs, values[place], operands_of(node, values), uses, how)
        for slot, (operand, one, used) in enumerate(zip(node.operands, of_operands, uses, strict=True)):
            if one is not None and used:
                edges[place, slot] = _of_operand(one, type_of(graph, operand), node)
                arrive(operand, edges[place, slot])
    return Gradients(cotangents, edges)


def forward(graph: Graph, *leaves: Any, rules: Rules | None = None) -> Values:
    """The values of a graph, and with those of a loop what its rule wants for the way back."""
    return evaluate(graph, *leaves, apply=functools.partial(_apply, How(rules or {}, linear=False)))


def values_at_zero(graph: Graph, *like: ArrayLike) -> Values:
    """The values of a linear graph where its inputs are 0.

    Args:
      graph: of a function that is linear in all of its arguments.
      like: arrays of the types of these.
    """
    linear = {
        output.node: tuple(jnp.zeros(type_.shape, type_.dtype) for type_ in graph.nodes[output.node].types)
        for output in _moving(graph, None, How({}, linear=True))
        if graph.nodes[output.node].name in NOT_RUN
    }
    return evaluate(graph, *map(jnp.zeros_like, like), known=linear)


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
        for edges, slopes in _ways(graph, values, start, result, _moving(graph, None, How({}, linear=False)))
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
    slopes = _through(node, [one], values[end.node], operands_of(node, values), uses, How({}, linear=False))
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
    y: tuple[Any, ...],
    operands: tuple[Array, ...],
    uses: Sequence[bool],
    how: How,
) -> Sequence[Any]:
    """The node's rule: from the cotangents of its outputs to those of its operands."""
    rule = _rule_of(node, how)
    if how.own and rule is tangents.by_tangents and node.primitive not in RULES:
        unused = how.own.keys() & set().union(*map(primitives, functions_in(node)))
        if unused:
            raise NotImplementedError(f"rules: those of {sorted(unused)} are not used in {node.primitive!r}")
    if node.primitive in how.own:
        y = y[: len(node.types)]  # what is kept with them is for the rule of the table
    first = (tuple(g), y) if node.returns_many else (g[0], y[0])
    found = rule(*first, *operands, **_asked_for(rule, node, uses, how))
    if not isinstance(found, Sequence) or len(found) != len(node.operands):
        raise TypeError(f"rule of {node.primitive!r}: got {found}, expected {len(node.operands)} gradients")
    return found


def _asked_for(rule: Rule, node: Operation, uses: Sequence[bool], how: How) -> dict[str, Any]:
    """What the rule asks for by keyword."""
    found = {}
    for name in _keywords(rule):
        if name in node.settings:
            found[name] = node.settings[name]
        elif name in ("node", "wanted", "walk"):
            found[name] = {"node": node, "wanted": uses, "walk": _walk(how)}[name]
        else:
            expected = [*node.settings, "node", "wanted", "walk"]
            raise TypeError(f"rule of {node.primitive!r}: asks for {name!r}, expected one of {expected}")
    return found


def _rule_of(node: Operation, how: How) -> Rule:
    """The caller's; or that of the table, if it knows what the node is set to; or what JAX says."""
    if node.primitive in how.own:
        return how.own[node.primitive]
    rule = RULES.get(node.primitive, tangents.by_tangents)
    if unknown_settings(node, rule):
        rule = tangents.by_tangents
    return tangents.by_transposition if how.linear and rule is tangents.by_tangents else rule


def unknown_settings(node: Operation, rule: Rule) -> list[str]:
    """The settings that a rule does not ask for, and that are set to something that could matter to it."""
    known = _known_settings(rule)
    if rule is flat or "node" in known:
        return []
    return [name for name, value in node.settings.items() if name not in known and _is_set(value)]


@functools.lru_cache(1024)
def _known_settings(rule: Rule) -> frozenset[str]:
    return rules.WITHOUT_EFFECT | {*_keywords(rule)}


def _is_set(value: Any) -> bool:
    return value is not None and value is not False and not (isinstance(value, tuple) and len(value) == 0)


@functools.lru_cache(1024)  # asking takes 20 us, and a rule is used at many nodes of many traces
def _keywords(rule: Rule) -> list[str]:
    """What a rule asks for by keyword."""
    parameters = inspect.signature(rule).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]


def _walk(how: How) -> Walk:
    """This walk, for the rules of functions: they go on inside with the same rules."""
    return Walk(
        forward=functools.partial(forward, rules=how.own),
        apply=functools.partial(_apply, how),
        back=functools.partial(_back, how),
        back_along_tangents=functools.partial(_back_along_tangents, how._replace(linear=True)),
        moving=lambda graph, wanted: _moving(graph, wanted, how),
    )


def _apply(how: How, node: Operation, operands: tuple[Array, ...]) -> tuple[Any, ...]:
    if node.primitive not in control_flow.KEEPING:
        return node.apply(*operands)
    keep = control_flow.KEEPING[node.primitive]
    return keep(*operands, **_asked_for(keep, node, [], how))


def _back(
    how: How, graph: Graph, values: Values, g: Sequence[Array | None], wanted: Sequence[bool]
) -> list[Array | None]:
    gradients = backward(graph, values, g, wanted, *how)
    return [gradients.outputs.get(Output(place)) for place in range(len(wanted))]


def _back_along_tangents(
    how: How, graph: Graph, like: Sequence[Array], g: Sequence[Array | None]
) -> list[Array | None]:
    return _back(how, graph, values_at_zero(graph, *like), g, [True] * len(like))


def _moving(graph: Graph, wanted: Sequence[bool] | None, how: How) -> set[Output]:
    """The floats that change with the wanted inputs: those reached without passing a flat operation."""
    moving: set[Output] = set()
    for place, node in enumerate(graph.nodes):
        if isinstance(node, Input):
            moves = wanted is None or wanted[place]
        else:
            moves = any(operand in moving for operand in node.operands)
            moves = moves and not (isinstance(node, Operation) and _is_flat(node, how))
        if moves:
            types = enumerate(node.types)
            moving |= {Output(place, index) for index, type_ in types if is_float(type_)}
    return moving


def _is_flat(node: Operation, how: How) -> bool:
    return how.own.get(node.primitive, RULES.get(node.primitive)) is flat


def _of_operand(g: Any, type_: jax.ShapeDtypeStruct, node: Operation) -> Array:
    # What an operation repeats along an axis of length 1, or a number over an array, is used many times over.
    shape = type_.shape
    if not hasattr(g, "shape"):
        g = jnp.asarray(g, type_.dtype)  # a number of Python
    if g.shape != shape:
        if (shape and g.ndim != len(shape)) or g.shape not in {type_.shape for type_ in node.types}:
            raise TypeError(f"rule of {node.primitive!r}: got gradient of shape {g.shape}, expected {shape}")
        g = sum_over_repeats(g, shape)
    if g.dtype != type_.dtype:
        raise TypeError(f"rule of {node.primitive!r}: got gradient of {g.dtype}, expected {type_.dtype}")
    return g
