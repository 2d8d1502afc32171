"""A function as data: the graph of its operations, which one can walk, evaluate and print.

Every argument, constant and operation is a node, and every use of a value is an edge. The nodes stand in the
order in which they were made, so each comes after those it takes its operands from.
:func:`jaxnaive.jaxprs.trace` makes the graph of a function.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array


class Output(NamedTuple):
    """One of the outputs of a node. An edge of the graph leads from such an output to an operand."""

    node: int  # place of the node in the graph
    index: int = 0  # which of the node's outputs


class Input(NamedTuple):
    """An argument of the function, or one leaf of it."""

    name: str  # such as "params[0]['w']"
    type: jax.ShapeDtypeStruct
    operands = ()

    @property
    def types(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        return (self.type,)


class Constant(NamedTuple):
    """A value that does not depend on the arguments."""

    value: Array | np.ndarray
    operands = ()

    @property
    def name(self) -> str:
        if not is_number(self):
            return "constant"
        return f"{self.value:.4g}" if jnp.issubdtype(self.value.dtype, jnp.floating) else str(self.value)

    @property
    def types(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        return (jax.ShapeDtypeStruct(self.value.shape, self.value.dtype),)


class Operation(NamedTuple):
    """One application of a primitive, or of another function kept as one node."""

    primitive: str  # JAX's name for what is done: "dot_general", "add", "jit"
    name: str  # of the function, where another one is called; otherwise the primitive
    operands: tuple[Output, ...]
    types: tuple[jax.ShapeDtypeStruct, ...]  # shape and dtype of each of its outputs
    settings: Mapping[str, Any]  # what else defines it, such as the axes of a sum; functions in it are Graphs
    returns_many: bool  # whether it returns a tuple, possibly of one, and not an array
    apply: Callable[..., tuple[Array, ...]]  # operands -> outputs
    where: Callable[[], str] = str  # in the program, such as " in model.py:12, in loss"; "" if not known


Node = Input | Constant | Operation


class Graph(NamedTuple):
    """A function, as the nodes that compute it. Being in topological order, it has no cycles."""

    nodes: tuple[Node, ...]  # inputs first, in the order of the arguments' leaves
    outputs: tuple[Output, ...]  # what the function returns, leaf by leaf
    structure: Any  # how the leaves make up what the function returns; a jax.tree_util.PyTreeDef


Values = Sequence[tuple[Any, ...]]  # for each node, its outputs, and after them what is kept with them


def evaluate(
    graph: Graph,
    *leaves: ArrayLike | None,
    known: Mapping[int, tuple[Array, ...]] | None = None,
    apply: Callable[[Operation, tuple[Array, ...]], tuple[Any, ...]] | None = None,
) -> Values:
    """Run the graph forwards, keeping every value.

    Args:
      graph: of a function.
      leaves: of the function's arguments, in their order.
      known: by the place of a node its outputs, which are not computed again.
      apply: from an operation and its operands to its outputs, and after them whatever is to be kept with
        them; by default what the operation does.

    Returns:
      The outputs of every node.

    Raises:
      ValueError: not as many leaves as the function has.

    >>> from jaxnaive.jaxprs import trace
    >>> [float(value) for (value,) in evaluate(trace(lambda x: x * x + x, 3.0), 3.0)]
    [3.0, 9.0, 12.0]
    """
    if len(leaves) != len(inputs_of(graph)):
        raise ValueError(f"evaluate: got {len(leaves)} leaves, expected {len(inputs_of(graph))}")
    values: list[tuple[Any, ...]] = []
    known = known or {}
    for place, node in enumerate(graph.nodes):
        if place in known:
            values.append(known[place])
        elif isinstance(node, Input):
            values.append((jnp.asarray(leaves[place]),))
        elif isinstance(node, Constant):
            values.append((jnp.asarray(node.value),))
        else:
            operands = operands_of(node, values)
            values.append(apply(node, operands) if apply else node.apply(*operands))
    return values


def operands_of(node: Node, values: Values) -> tuple[Array, ...]:
    """The values that a node takes."""
    return tuple(values[operand.node][operand.index] for operand in node.operands)


def results_of(graph: Graph, values: Values) -> list[Array]:
    """The leaves of what the function returns."""
    return [values[output.node][output.index] for output in graph.outputs]


def inputs_of(graph: Graph) -> list[Input]:
    """The leaves of the function's arguments, in their order; input ``i`` is node ``i`` of the graph."""
    return [node for node in graph.nodes if isinstance(node, Input)]


def type_of(graph: Graph, output: Output) -> jax.ShapeDtypeStruct:
    """Shape and dtype of one output of a node."""
    return graph.nodes[output.node].types[output.index]


def functions_in(node: Operation) -> list[Graph]:
    """The functions among an operation's settings: of a call, a loop, or the branches of a condition."""
    settings = [value if type(value) is tuple else (value,) for value in node.settings.values()]
    return [function for values in settings for function in values if isinstance(function, Graph)]


def primitives(graph: Graph) -> set[str]:
    """All primitives of a graph, those of the functions in it too."""
    operations = [node for node in graph.nodes if isinstance(node, Operation)]
    inner = [function for node in operations for function in functions_in(node)]
    return {node.primitive for node in operations}.union(*map(primitives, inner))


def called(call: Operation) -> Graph:
    """The function that a call runs."""
    (graph,) = functions_in(call)
    return graph


def is_number(node: Node) -> bool:
    """Whether a node is a constant number, which a picture writes into the operation that takes it."""
    return (
        isinstance(node, Constant)
        and node.value.ndim == 0
        and not isinstance(node.value, jax.core.Tracer)
        and not jnp.issubdtype(node.value.dtype, jax.dtypes.extended)  # such as a random key
    )


# --- as text -----------------------------------------------------------------------------------------


def shown_nodes(graph: Graph) -> list[int]:
    """The places of the nodes that a picture shows: all but the numbers that are operands."""
    results = {output.node for output in graph.outputs}
    return [place for place, node in enumerate(graph.nodes) if place in results or not is_number(node)]


def type_text(type_: jax.ShapeDtypeStruct) -> str:
    """Dtype and shape, such as ``float32 [128, 10]``."""
    return f"{type_.dtype} [{', '.join(map(str, type_.shape))}]"


def label(graph: Graph, node: Node) -> str:
    """A node's name, with the numbers among its operands written out, as in ``le(_, 0)``."""
    numbers = [graph.nodes[operand.node] for operand in node.operands]
    if not any(map(is_number, numbers)):
        return node.name
    return f"{node.name}({', '.join(number.name if is_number(number) else '_' for number in numbers)})"


def to_text(graph: Graph) -> str:
    """The graph as one line a node: its place, name, outputs, and the places of its operands."""
    rows = []
    for place, node in enumerate(graph.nodes):
        operands = ", ".join(_output_text(operand, graph) for operand in node.operands)
        types = ", ".join(map(type_text, node.types))
        rows.append((str(place), node.name, types, f"of {operands}" if operands else ""))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = [
        "  ".join(
            (row[0].rjust(widths[0]), row[1].ljust(widths[1]), row[2].ljust(widths[2]), row[3])
        ).rstrip()
        for row in rows
    ]
    returned = ", ".join(_output_text(output, graph) for output in graph.outputs)
    return "\n".join([*lines, f"returns {returned}"])


def to_mermaid(graph: Graph) -> str:
    """The graph in the language of Mermaid, which many sites and editors draw.

    >>> from jaxnaive.jaxprs import trace
    >>> print(to_mermaid(trace(lambda x: 2 * x, 3.0)))
    flowchart TD
        n0(["x"])
        n2["mul(2, _)"]
        n0 -- "float32 []" --> n2
        n2 -- "float32 []" --> r0((" "))
    """
    lines = ["flowchart TD"]
    shown = shown_nodes(graph)
    for place in shown:
        node = graph.nodes[place]
        opening, closing = ("[", "]") if isinstance(node, Operation) else ("([", "])")
        lines.append(f'    n{place}{opening}"{_escaped(label(graph, node))}"{closing}')
        for operand in node.operands:
            if operand.node in shown:
                lines.append(f'    n{operand.node} -- "{type_text(type_of(graph, operand))}" --> n{place}')
    for place, output in enumerate(graph.outputs):
        lines.append(f'    n{output.node} -- "{type_text(type_of(graph, output))}" --> r{place}((" "))')
    return "\n".join(lines)


def _output_text(output: Output, graph: Graph) -> str:
    many = len(graph.nodes[output.node].types) > 1
    return f"{output.node}.{output.index}" if many else str(output.node)


def _escaped(text: str) -> str:
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
