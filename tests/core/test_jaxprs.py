"""Functions traced to graphs: which calls are opened, what the nodes are called, and what is left out."""

import operator

import jax
import jax.numpy as jnp
from jax import lax

from jaxnaive import graph, jaxprs
from jaxnaive.graph import Operation, Output


def test_calls_are_opened_or_kept_as_the_caller_says():
    @jax.jit
    def twice(x):
        return 2 * jax.jit(jnp.sin)(x)

    def names(opened):
        return [n.name for n in jaxprs.trace(twice, 1.0, opened=opened).nodes if isinstance(n, Operation)]

    assert names(jaxprs.is_plain_call) == ["sin", "mul"]
    assert names(lambda call: False) == ["twice"]
    assert names(lambda call: call.name != "sin") == ["sin", "mul"]
    call = jaxprs.trace(twice, 1.0, opened=lambda call: False).nodes[1]
    assert isinstance(call, Operation)
    assert [node.name for node in graph.called(call).nodes] == ["argument 0", "sin", "2", "mul"]


def test_functions_with_a_derivative_of_their_own_stay_one_node():
    traced = jaxprs.trace(lambda x: jax.nn.relu(x) + jax.checkpoint(jnp.sin)(x), 1.0)
    assert [(n.primitive, n.name) for n in traced.nodes if isinstance(n, Operation)] == [
        ("custom_jvp_call", "relu"),
        ("remat2", "sin"),
        ("add", "add"),
    ]


def test_arguments_are_named_as_in_the_function_and_types_are_enough():
    shape = jax.ShapeDtypeStruct((2,), jnp.float32)
    traced = jaxprs.trace(lambda first, *rest: first["a"] + rest[1], {"a": shape}, shape, shape)
    assert [node.name for node in graph.inputs_of(traced)] == ["argument 0['a']", "argument 1", "argument 2"]
    traced = jaxprs.trace(lambda state, x: state[0] * x, (shape, shape), shape)
    assert [node.name for node in graph.inputs_of(traced)] == ["state[0]", "state[1]", "x"]


def test_inside_a_scan_it_is_said_what_is_what():
    traced = jaxprs.trace(lambda x, k: lax.scan(lambda c, v: (c * k + v, c), 0.0, x), jnp.ones(3), 2.0)
    (scan,) = (node for node in traced.nodes if isinstance(node, Operation) and node.name == "scan")
    assert [node.name for node in graph.inputs_of(scan.settings["jaxpr"])] == ["constant 0", "carry 0", "x 0"]


def test_arguments_of_a_function_that_does_not_name_them_are_numbered():
    traced = jaxprs.trace(operator.itemgetter("a"), {"a": 1.0, "b": 2.0})
    assert [node.name for node in graph.inputs_of(traced)] == ["argument 0['a']", "argument 0['b']"]


def test_what_the_result_does_not_depend_on_is_left_out_except_arguments():
    def f(x, y):
        jax.debug.print("{}", jnp.cos(x))
        return jnp.sin(x) * 2, jnp.exp(y)

    traced = jaxprs.trace(lambda x, y: f(x, y)[0], 1.0, 2.0)
    assert [node.name for node in traced.nodes] == ["x", "y", "sin", "2", "mul"]
    assert traced.outputs == (Output(4),)
