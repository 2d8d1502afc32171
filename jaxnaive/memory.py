"""How much memory a compiled function takes, estimated from its graph before it is compiled.

The values of a graph are made in their order, and each is freed after its last use. Of these a compiler
stores fewer:

- an operation that works entry by entry is fused with what uses it, if that does so too;
- a reshape is the same memory under another shape;
- a loop writes what it carries over what it was given.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxnaive.graph import Graph, Input, Node, Operation, Output, functions_in, inputs_of, type_of

VIEWS = {"expand_dims", "reshape", "squeeze"}
ENTRY_BY_ENTRY = VIEWS | {
    "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh",
    "bitcast_convert_type", "broadcast_in_dim", "cbrt", "ceil", "clamp", "conj",
    "convert_element_type", "copy", "copy_p", "cos", "cosh", "custom_jvp_call", "digamma", "div",
    "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge", "gt", "imag",
    "integer_pow", "iota", "is_finite", "le", "lgamma", "log", "log1p", "logistic", "lt", "max",
    "min", "mul", "ne", "neg", "nextafter", "not", "or", "pad", "population_count", "pow", "real",
    "rem", "rev", "round", "rsqrt", "select_n", "shift_left", "shift_right_arithmetic",
    "shift_right_logical", "sign", "sin", "sinh", "slice", "sqrt", "square", "sub", "tan", "tanh",
    "transpose", "xor",
}  # fmt: skip

Axes = frozenset[str]
Size = Callable[[jax.ShapeDtypeStruct], int]


class Vectorised(jax.ShapeDtypeStruct):
    """Shape and dtype of a value in one run, and the axes that ``vmap`` gives it besides."""

    def __init__(self, type_: jax.ShapeDtypeStruct, axes: Axes) -> None:
        super().__init__(type_.shape, type_.dtype)
        self.axes = axes


def nbytes(type_: jax.ShapeDtypeStruct) -> int:
    """The bytes of an array, without the axes that ``vmap`` gives it."""
    return math.prod(type_.shape) * type_.dtype.itemsize


def peak_bytes(graph: Graph, sizes: Mapping[str, int] | None = None) -> int:
    """The most bytes that the stored values take at a time. Arguments and constants are not counted.

    Args:
      graph: of a function.
      sizes: of the axes, if it is vectorised.

    >>> from jaxnaive.jaxprs import trace
    >>> x = jax.ShapeDtypeStruct((100, 100), "float32")
    >>> peak_bytes(trace(lambda x: 2 * x + 1, x)), peak_bytes(trace(lambda x: (2 * x + 1) @ x, x))
    (40000, 80000)
    """

    def size(type_: jax.ShapeDtypeStruct) -> int:
        axes = type_.axes if isinstance(type_, Vectorised) else ()
        return nbytes(type_) * math.prod((sizes or {})[axis] for axis in axes)

    return _peak(graph, size, is_inside=False)


def with_axes(graph: Graph, inputs: Sequence[Axes]) -> Graph:
    """The graph of a function under ``vmap``: each value has the axes of all that it depends on.

    It is for :func:`peak_bytes` alone: the operations stay those of one run. To trace the function under
    ``vmap`` takes four times as long.

    Args:
      graph: of the function.
      inputs: the axes of each leaf of its arguments.

    >>> from jaxnaive.jaxprs import trace
    >>> x = jax.ShapeDtypeStruct((100, 100), "float32")
    >>> graph = with_axes(trace(lambda x, y: x @ x + y, x, 2.0), [frozenset(), frozenset({"runs"})])
    >>> peak_bytes(graph, {"runs": 5})  # the product is the same for all runs, the sum is not
    240000
    """
    return _with_axes(graph, inputs)[0]


def _with_axes(graph: Graph, inputs: Sequence[Axes]) -> tuple[Graph, list[Axes]]:
    """The same, and the axes of the outputs."""
    found: dict[Output, Axes] = {}
    nodes: list[Node] = []
    of_inputs = iter(inputs)
    for place, node in enumerate(graph.nodes):
        axes = [Axes()]
        if isinstance(node, Operation):
            node, axes = _operation_with_axes(node, [found[operand] for operand in node.operands])
        elif isinstance(node, Input):
            axes = [next(of_inputs)]
            node = node._replace(type=Vectorised(node.type, axes[0]))
        nodes.append(node)
        found |= {Output(place, index): own for index, own in enumerate(axes)}
    return graph._replace(nodes=tuple(nodes)), [found[output] for output in graph.outputs]


def _operation_with_axes(node: Operation, operands: list[Axes]) -> tuple[Operation, list[Axes]]:
    everything = Axes().union(*operands)
    axes = [everything] * len(node.types)
    if node.primitive == "scan":
        first, count = node.settings["num_consts"], node.settings["num_carry"]
        step, axes = _with_axes(node.settings["jaxpr"], operands)
        carried = [before | after for before, after in zip(operands[first:], axes[:count], strict=False)]
        if carried != operands[first : first + count]:  # a step hands more axes on than it was given
            return _operation_with_axes(node, [*operands[:first], *carried, *operands[first + count :]])
        axes = [*carried, *axes[count:]]
        node = node._replace(settings={**node.settings, "jaxpr": step})
    elif functions_in(node):
        node = node._replace(
            settings={name: _setting_with_axes(value, everything) for name, value in node.settings.items()}
        )
    return node._replace(types=tuple(map(Vectorised, node.types, axes))), axes


def _setting_with_axes(value: Any, axes: Axes) -> Any:
    """Of a function among the settings, with these axes for all of its arguments; others as they are."""
    if type(value) is tuple:
        return tuple(_setting_with_axes(item, axes) for item in value)
    return with_axes(value, [axes] * len(inputs_of(value))) if isinstance(value, Graph) else value


def _peak(graph: Graph, size: Size, is_inside: bool) -> int:
    """The most bytes at a time, of the whole function or of one inside of it, such as the step of a loop.

    A function inside writes its outputs to where its node has them, over what it was given.
    """
    users = _users(graph)
    last_use = {output: max(places) for output, places in users.items()}
    last_use |= dict.fromkeys(graph.outputs, len(graph.nodes))
    kept = () if is_inside else graph.outputs

    def is_in_place(output: Output, operand: Output) -> bool:
        is_own = is_inside or isinstance(graph.nodes[operand.node], Operation)  # and not an argument
        is_as_large = size(type_of(graph, operand)) == size(type_of(graph, output))
        return is_own and is_as_large and last_use[operand] == output.node

    stored: list[list[int]] = [[] for _ in graph.nodes]  # of each operation, which of its outputs
    for place, node in reversed(list(enumerate(graph.nodes))):
        if not isinstance(node, Operation):
            continue
        carried = _carried(node)
        for index in range(len(node.types)):
            output = Output(place, index)
            if _is_fused(node, [graph.nodes[user] for user in users[output]], output in kept):
                needed = node.operands  # it is computed where it is used, from these
            elif index in carried and is_in_place(output, carried[index]):
                needed = (carried[index],)  # it is written over this one
            else:
                needed = ()
                stored[place].append(index)
            for operand in needed:
                last_use[operand] = max(last_use[operand], last_use.get(output, place))
    return _most_alive(graph, size, stored, last_use)


def _most_alive(
    graph: Graph, size: Size, stored: Sequence[Sequence[int]], last_use: dict[Output, int]
) -> int:
    """The most bytes at a time: of each stored output until its last use, and of what is inside a node."""
    freed_after: dict[int, int] = defaultdict(int)
    alive = peak = 0
    for place, node in enumerate(graph.nodes):
        if isinstance(node, Operation):
            inside = max((_peak(inner, size, is_inside=True) for inner in functions_in(node)), default=0)
            for index in stored[place]:
                alive += size(node.types[index])
                freed_after[last_use.get(Output(place, index), place)] += size(node.types[index])
            peak = max(peak, alive + inside)
        alive -= freed_after[place]
    return peak


def _users(graph: Graph) -> dict[Output, list[int]]:
    """The places of the nodes that use each output."""
    users = defaultdict(list)
    for place, node in enumerate(graph.nodes):
        for operand in node.operands:
            users[operand].append(place)
    return users


def _is_fused(node: Operation, users: Sequence[Node], is_kept: bool) -> bool:
    """Whether an output of a node is never stored: it is a view, or computed inside of what uses it."""
    if node.primitive in VIEWS:
        return True
    is_fusible = node.primitive in ENTRY_BY_ENTRY and not is_kept
    others = [user.primitive for user in users if isinstance(user, Operation)]
    return is_fusible and ENTRY_BY_ENTRY.issuperset(others)


def _carried(node: Operation) -> dict[int, Output]:
    """For each output that a loop carries, the operand that it begins with."""
    if node.primitive == "scan":
        first, count = node.settings["num_consts"], node.settings["num_carry"]
    elif node.primitive == "while":
        first, count = node.settings["cond_nconsts"] + node.settings["body_nconsts"], len(node.types)
    else:
        return {}
    return dict(enumerate(node.operands[first : first + count]))
