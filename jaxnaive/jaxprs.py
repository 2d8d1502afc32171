"""The graph of any JAX function: it is traced by JAX to a jaxpr, and the jaxpr becomes a graph.

A function of arrays is run once on stand-ins that only know their shape and dtype, and JAX writes down what
it does to them. The jaxpr differs between versions of JAX; this is the only file that reads it.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Primitive
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from jaxnaive.graph import Constant, Graph, Input, Node, Operation, Output, called, inputs_of, type_of

CALLS = {"jit", "remat2", "custom_jvp_call", "custom_vjp_call"}  # the primitives that run a function, once
REFS = {"new_ref", "empty_ref", "get", "swap", "addupdate", "run_state"}  # make, read or write a jax.Ref
JAXPRS = (Jaxpr, ClosedJaxpr)
LIBRARIES = (jax.__file__.removesuffix("__init__.py"), __file__.removesuffix("jaxprs.py"))


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
      The graph, with dead code removed (so ``jax.debug.print`` is not in it).

    Raises:
      NotImplementedError: the function writes into a ``jax.Ref``.

    >>> from jaxnaive.graph import to_text
    >>> print(to_text(trace(lambda x: x * x + x, 3.0)))
    0  x    float32 []
    1  mul  float32 []  of 0, 0
    2  add  float32 []  of 1, 0
    returns 2
    """
    jaxpr, result = jax.make_jaxpr(function, return_shape=True)(*args)
    return _to_graph(jaxpr, _leaf_names(function, args), jax.tree.structure(result), opened)


class _Builder:
    """The nodes made so far, and which of their outputs each variable of the jaxpr is."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.outputs: dict[Any, Output] = {}  # by variable

    def add(self, node: Node) -> list[Output]:
        self.nodes.append(node)
        return [Output(len(self.nodes) - 1, index) for index in range(len(node.types))]

    def find(self, atom: Any) -> Output:
        if isinstance(atom, Literal):
            return self.add(Constant(np.asarray(atom.val, _type(atom).dtype)))[0]
        return self.outputs[atom]

    def inline(self, graph: Graph, operands: Sequence[Output]) -> list[Output]:
        """Add the nodes of a called function, with these operands in the place of its arguments."""
        moved: list[list[Output]] = []
        for node in graph.nodes:
            if isinstance(node, Input):
                moved.append([operands[len(moved)]])
            elif isinstance(node, Constant):
                moved.append(self.add(node))
            else:
                moved.append(self.add(node._replace(operands=tuple(moved[i][j] for i, j in node.operands))))
        return [moved[i][j] for i, j in graph.outputs]


def _to_graph(
    jaxpr: Any,  # Jaxpr or ClosedJaxpr
    names: Sequence[str],  # of its arguments
    structure: Any,
    opened: Callable[[Operation], bool],
) -> Graph:
    consts, jaxpr = getattr(jaxpr, "consts", ()), _unwrapped(jaxpr)
    builder = _Builder()
    for name, var in zip(names, jaxpr.invars, strict=True):
        (builder.outputs[var],) = builder.add(Input(name, _type(var)))
    for var, const in zip(jaxpr.constvars, consts, strict=True):
        (builder.outputs[var],) = builder.add(Constant(const))
    for equation in jaxpr.eqns:
        operands = tuple(map(builder.find, equation.invars))
        operation = _operation(equation, operands, opened)
        is_opened = operation.primitive in CALLS and opened(operation)
        outputs = builder.inline(called(operation), operands) if is_opened else builder.add(operation)
        builder.outputs.update(zip(equation.outvars, outputs, strict=True))
    outputs = tuple(map(builder.find, jaxpr.outvars))
    return _without_dead_code(Graph(tuple(builder.nodes), outputs, structure))


def _operation(
    equation: JaxprEqn, operands: tuple[Output, ...], opened: Callable[[Operation], bool]
) -> Operation:
    primitive = equation.primitive
    if primitive.name in REFS:
        place = f"{primitive.name!r}{_where(equation.source_info.traceback)}"
        raise NotImplementedError(
            f"{place}: a graph has no place for values that are overwritten, as those in a jax.Ref are; "
            "use x.at[index].set(value), or what a scan carries"
        )
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
        partial(_apply, primitive, primitive.get_bind_params(equation.params)),
        partial(_where, equation.source_info.traceback),
    )


def _where(traceback: Any) -> str:
    """The innermost line of the program outside of JAX and of this package."""
    for frame in traceback.frames if traceback else ():
        if not frame.file_name.startswith(LIBRARIES):
            return f" in {frame.file_name}:{frame.line_num}, in {frame.function_name}"
    return ""


def _apply(primitive: Primitive, params: Mapping[str, Any], *operands: ArrayLike) -> tuple[Array, ...]:
    outputs = primitive.bind(*operands, **params)
    return tuple(outputs) if primitive.multiple_results else (outputs,)


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
        return _to_graph(value, names, None, opened)
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
    aval = atom.aval  # a token has neither shape nor dtype
    return jax.ShapeDtypeStruct(getattr(aval, "shape", ()), getattr(aval, "dtype", bool))


def _without_dead_code(graph: Graph) -> Graph:
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
