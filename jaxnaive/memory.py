"""How much memory a compiled function takes, estimated from its graph before it is compiled.

The values of a graph are made in their order, and each is freed after its last use. Of these a compiler
stores fewer:

- an operation that works entry by entry is fused with what uses it, if that does so too;
- a reshape is the same memory under another shape;
- a loop writes what it carries over what it was given.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import jax

from jaxnaive.graph import Graph, Node, Operation, Output, functions_in

VIEWS = {"expand_dims", "reshape", "squeeze", "stop_gradient"}
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

Size = Callable[[jax.ShapeDtypeStruct], int]


def nbytes(type_: jax.ShapeDtypeStruct) -> int:
    """The bytes of an array."""
    return math.prod(type_.shape) * type_.dtype.itemsize


def peak_bytes(graph: Graph, size: Size = nbytes) -> int:
    """The most bytes that the stored values take at a time. Arguments and constants are not counted.

    Args:
      graph: of a function.
      size: bytes of an array of this shape and dtype.

    >>> from jaxnaive.jaxprs import trace
    >>> x = jax.ShapeDtypeStruct((100, 100), "float32")
    >>> peak_bytes(trace(lambda x: 2 * x + 1, x)), peak_bytes(trace(lambda x: (2 * x + 1) @ x, x))
    (40000, 80000)
    """
    return _peak(graph, size, is_inside=False)


def _peak(graph: Graph, size: Size, is_inside: bool) -> int:
    """The same, of the whole function or of one inside of it, such as the step of a loop.

    A function inside writes its outputs to where its node has them, over what it was given.
    """
    users = _users(graph)
    last_use = {output: max(places) for output, places in users.items()}
    last_use |= dict.fromkeys(graph.outputs, len(graph.nodes))
    kept = () if is_inside else graph.outputs

    def is_free(operand: Output, place: int) -> bool:
        is_own = is_inside or isinstance(graph.nodes[operand.node], Operation)  # and not an argument
        return is_own and last_use[operand] == place

    stored: list[list[int]] = [[] for _ in graph.nodes]  # of each operation, which of its outputs
    for place, node in reversed(list(enumerate(graph.nodes))):
        if not isinstance(node, Operation):
            continue
        carried = _carried(node)
        for index in range(len(node.types)):
            output = Output(place, index)
            if _is_fused(node, [graph.nodes[user] for user in users[output]], output in kept):
                needed = node.operands  # it is computed where it is used, from these
            elif index in carried and is_free(carried[index], place):
                needed = (carried[index],)  # it is in the place of this one
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
