"""A function as data: the graph of the operations that JAX traces, which one can walk, evaluate and print.

A function of arrays is run once on stand-ins that only know their shape and dtype, and what it does to them
is written down: a node for every argument, constant and operation, an edge for every use of a value. The
nodes stand in the order in which they were made, so each comes after those it takes its operands from.

JAX's own form of this, the jaxpr, differs between versions of JAX; this is the only module that reads it.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

CALLS = {"jit", "remat2", "custom_jvp_call", "custom_vjp_call"}  # the primitives that run a function, once
JAXPRS = (Jaxpr, ClosedJaxpr)


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


Node = Input | Constant | Operation


class Graph(NamedTuple):
    """A function, as the nodes that compute it. Being in topological order, it has no cycles."""

    nodes: tuple[Node, ...]  # inputs first, in the order of the arguments' leaves
    outputs: tuple[Output, ...]  # what the function returns, leaf by leaf
    structure: Any  # how the leaves make up what the function returns; a jax.tree_util.PyTreeDef


Values = Sequence[tuple[Array, ...]]  # for each node, its outputs


def is_plain_call(call: Operation) -> bool:
    """Whether a call only runs another function, and says nothing about its derivative or its memory."""
    return call.primitive == "jit"


def trace(
    function: Callable[..., PyTree[Array]],
    *args: PyTree[Any],
    opened: Callable[[Operation], bool] = is_plain_call,
) -> Graph:
    """The graph of a function at arguments of these shapes and dtypes.

    Args:
      function: anything that ``jax.jit`` would take.
      args: arrays, ``jax.ShapeDtypeStruct``s, or pytrees of them.
      opened: says of a call, as a node, whether the nodes of the called function take its place. By default
        calls of jitted functions are opened. Loops and branches always stay one node.

    Returns:
      The graph, without the operations of which nothing comes (so ``jax.debug.print`` is not in it).

    >>> print(to_text(trace(lambda x: x * x + x, 3.0)))
    0  x    float32 []
    1  mul  float32 []  of 0, 0
    2  add  float32 []  of 1, 0
    returns 2
    """
    jaxpr, result = jax.make_jaxpr(function, return_shape=True)(*args)
    return _graph(jaxpr, _leaf_names(function, args), jax.tree.structure(result), opened)


def evaluate(graph: Graph, *leaves: ArrayLike) -> Values:
    """Run the graph forwards, keeping every value.

    Args:
      graph: of a function.
      leaves: of the function's arguments, in their order.

    Returns:
      The outputs of every node.

    Raises:
      ValueError: not as many leaves as the function has.

    >>> [float(value) for (value,) in evaluate(trace(lambda x: x * x + x, 3.0), 3.0)]
    [3.0, 9.0, 12.0]
    """
    if len(leaves) != len(inputs_of(graph)):
        raise ValueError(f"evaluate: got {len(leaves)} leaves, expected {len(inputs_of(graph))}")
    values: list[tuple[Array, ...]] = []
    remaining = iter(leaves)
    for node in graph.nodes:
        if isinstance(node, Input):
            values.append((jnp.asarray(next(remaining)),))
        elif isinstance(node, Constant):
            values.append((jnp.asarray(node.value),))
        else:
            values.append(node.apply(*operands_of(node, values)))
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


def peak_bytes(graph: Graph) -> int:
    """The most bytes that the values take at a time when each is freed after its last use.

    Arguments and constants are not counted. A compiler that fuses operations needs less.
    """
    last_use = {output: place for place, node in enumerate(graph.nodes) for output in node.operands}
    last_use |= dict.fromkeys(graph.outputs, len(graph.nodes))
    freed_after: dict[int, int] = {}
    alive = peak = 0
    for place, node in enumerate(graph.nodes):
        if isinstance(node, Operation):
            inside = max(map(peak_bytes, functions_in(node)), default=0)
            sizes = [math.prod(type_.shape) * type_.dtype.itemsize for type_ in node.types]
            alive += sum(sizes)
            peak = max(peak, alive + inside)
            for index, size in enumerate(sizes):
                until = last_use.get(Output(place, index), place)
                freed_after[until] = freed_after.get(until, 0) + size
        alive -= freed_after.pop(place, 0)
    return peak


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


# --- from the jaxpr ----------------------------------------------------------------------------------


def _graph(
    jaxpr: Any,  # Jaxpr or ClosedJaxpr
    names: Sequence[str],  # of its arguments
    structure: Any,
    opened: Callable[[Operation], bool],
) -> Graph:
    consts, jaxpr = getattr(jaxpr, "consts", ()), _unwrapped(jaxpr)
    nodes: list[Node] = [Input(name, _type(var)) for name, var in zip(names, jaxpr.invars, strict=True)]
    where = {var: Output(place) for place, var in enumerate(jaxpr.invars)}

    def add(node: Node) -> list[Output]:
        nodes.append(node)
        return [Output(len(nodes) - 1, index) for index in range(len(node.types))]

    def find(atom: Any) -> Output:
        if isinstance(atom, Literal):
            return add(Constant(np.asarray(atom.val, _type(atom).dtype)))[0]
        return where[atom]

    def splice(graph: Graph, operands: Sequence[Output]) -> list[Output]:
        moved: list[list[Output]] = []
        for node in graph.nodes:
            if isinstance(node, Input):
                moved.append([operands[len(moved)]])
            elif isinstance(node, Constant):
                moved.append(add(node))
            else:
                moved.append(add(node._replace(operands=tuple(moved[i][j] for i, j in node.operands))))
        return [moved[i][j] for i, j in graph.outputs]

    for var, const in zip(jaxpr.constvars, consts, strict=True):
        where[var] = add(Constant(const))[0]
    for equation in jaxpr.eqns:
        operands = tuple(map(find, equation.invars))
        operation = _operation(equation, operands, opened)
        is_opened = operation.primitive in CALLS and opened(operation)
        outputs = splice(called(operation), operands) if is_opened else add(operation)
        where.update(zip(equation.outvars, outputs, strict=True))
    outputs = [find(atom) for atom in jaxpr.outvars]
    return _without_dead_ends(Graph(tuple(nodes), tuple(outputs), structure))


def _operation(
    equation: JaxprEqn, operands: tuple[Output, ...], opened: Callable[[Operation], bool]
) -> Operation:
    primitive = equation.primitive
    bind_params = primitive.get_bind_params(equation.params)

    def apply(*operands: ArrayLike) -> tuple[Array, ...]:
        outputs = primitive.bind(*operands, **bind_params)
        return tuple(outputs) if primitive.multiple_results else (outputs,)

    settings = {name: _setting(value, opened) for name, value in equation.params.items()}
    if primitive.name == "scan":
        settings |= _scan_settings(settings["jaxpr"], equation)
    return Operation(
        primitive.name,
        _call_name(equation) if primitive.name in CALLS else primitive.name,
        operands,
        tuple(map(_type, equation.outvars)),
        settings,
        primitive.multiple_results,
        apply,
    )


def _scan_settings(step: Graph, equation: JaxprEqn) -> dict[str, Any]:
    # Versions of JAX say in different ways which operands are what. In all of them constants come first, then
    # what is carried, then what is taken apart, and so has an axis more than in a step; so do the outputs.
    inputs, outputs = inputs_of(step), [type_of(step, output) for output in step.outputs]
    taken = sum(_type(var).ndim > node.type.ndim for var, node in zip(equation.invars, inputs, strict=True))
    carried = sum(_type(var).ndim == type_.ndim for var, type_ in zip(equation.outvars, outputs, strict=True))
    consts = len(inputs) - taken - carried
    counts = {"constant": consts, "carry": carried, "x": taken}
    names = [f"{kind} {place}" for kind, count in counts.items() for place in range(count)]
    named = tuple(node._replace(name=name) for node, name in zip(inputs, names, strict=True))
    step = step._replace(nodes=(*named, *step.nodes[len(named) :]))
    return {"jaxpr": step, "num_consts": consts, "num_carry": carried}


def _setting(value: Any, opened: Callable[[Operation], bool]) -> Any:
    if isinstance(value, JAXPRS):
        names = [f"argument {place}" for place in range(len(_unwrapped(value).invars))]
        return _graph(value, names, None, opened)
    if type(value) is tuple:
        return tuple(_setting(item, opened) for item in value)
    return value


def _call_name(call: JaxprEqn) -> str:
    (inner,) = (value for value in call.params.values() if isinstance(value, JAXPRS))
    described = getattr(_unwrapped(inner), "debug_info", None)
    return call.params.get("name") or getattr(described, "func_name", None) or call.primitive.name


def _unwrapped(jaxpr: Any) -> Any:
    # Before jax 0.12 a jaxpr and its constants are wrapped together; from then on it brings them itself.
    return getattr(jaxpr, "jaxpr", jaxpr)


def _type(atom: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype)


def _without_dead_ends(graph: Graph) -> Graph:
    alive = {output.node for output in graph.outputs}
    for place in reversed(range(len(graph.nodes))):
        if place in alive or isinstance(graph.nodes[place], Input):
            alive |= {place, *(operand.node for operand in graph.nodes[place].operands)}
    moved = {place: new for new, place in enumerate(sorted(alive))}

    def move(outputs: Sequence[Output]) -> tuple[Output, ...]:
        return tuple(Output(moved[node], index) for node, index in outputs)

    nodes = (graph.nodes[place] for place in sorted(alive))
    return graph._replace(
        nodes=tuple(n._replace(operands=move(n.operands)) if isinstance(n, Operation) else n for n in nodes),
        outputs=move(graph.outputs),
    )


def _leaf_names(function: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    try:
        names = list(inspect.signature(function).bind(*args).arguments)
    except (TypeError, ValueError):  # such as a built-in function, which may not tell its arguments' names
        names = []
    if len(names) != len(args):
        names = [f"argument {place}" for place in range(len(args))]
    return [
        names[place] + jax.tree_util.keystr(path)
        for place, arg in enumerate(args)
        for path, _ in jax.tree.leaves_with_path(arg)
    ]
