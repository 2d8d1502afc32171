"""Graphs: the order of their operations, what they compute, and how they are written down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxnaive import graph, jaxprs, layers, losses
from jaxnaive.graph import Constant, Input, Operation, Output


def two_layers(params, x, labels):
    """The notes' figure 2: dot, +, relu, dot, +, softmax, loss."""
    hidden = jax.jit(layers.relu)(x @ params["W1"] + params["b1"])
    probabilities = jax.jit(layers.softmax)(hidden @ params["W2"] + params["b2"])
    return jax.jit(losses.cross_entropy_of_probabilities)(probabilities, labels).mean()


PARAMS = {"W1": jnp.ones((4, 3)), "b1": jnp.zeros(3), "W2": jnp.ones((3, 2)), "b2": jnp.zeros(2)}
X, LABELS = jnp.linspace(-1, 1, 20).reshape(5, 4), jnp.array([0, 1, 0, 1, 1])


def nested(x):
    """Calls in calls, a loop, a branch, several outputs, and an argument that is returned as it is."""
    inner = jax.jit(lambda a: jnp.where(a > 0, a, jnp.sin(a)))
    total, running = lax.scan(lambda c, v: (c + inner(v), c), 0.0, x)
    return {"a": inner(x) * total, "b": lax.cond(total > 0, jnp.sort, jnp.cumsum, running)}, x


def test_s60_a_graph_has_no_cycles_and_every_node_comes_after_its_operands():
    traced = jaxprs.trace(two_layers, PARAMS, X, LABELS)
    for place, node in enumerate(traced.nodes):
        assert all(operand.node < place for operand in node.operands)
    used = {operand.node for node in traced.nodes for operand in node.operands} | {
        o.node for o in traced.outputs
    }
    assert used == set(range(len(traced.nodes)))  # and nothing is there for nothing


def test_s62_the_two_layers_of_figure_2():
    traced = jaxprs.trace(two_layers, PARAMS, X, LABELS, opened=lambda call: False)
    names = [node.name for node in traced.nodes]
    assert names[:6] == ["params['W1']", "params['W2']", "params['b1']", "params['b2']", "x", "labels"]
    steps = ["dot_general", "add", "relu", "dot_general", "add", "softmax", "cross_entropy_of_probabilities"]
    assert [name for name in names if name in steps] == steps
    types = {node.name: node.types[0] for node in traced.nodes}
    assert types["relu"].shape == (5, 3) and types["softmax"].shape == (5, 2)
    assert types["labels"].dtype == jnp.int32 and types["softmax"].dtype == jnp.float32


@pytest.mark.parametrize("opened", [jaxprs.is_plain_call, lambda call: False, lambda call: True])
@pytest.mark.parametrize(
    ("function", "args"), [(two_layers, (PARAMS, X, LABELS)), (nested, (jnp.linspace(-1, 1, 7),))]
)
def test_s61_a_graph_computes_what_the_function_does(function, args, opened):
    traced = jaxprs.trace(function, *args, opened=opened)
    values = graph.evaluate(traced, *jax.tree.leaves(args))
    got = traced.structure.unflatten(graph.results_of(traced, values))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, function(*args))
    for node, outputs in zip(traced.nodes, values, strict=True):
        assert [(v.shape, v.dtype) for v in outputs] == [(t.shape, t.dtype) for t in node.types]


def test_constants_are_nodes_too():
    table = np.arange(3.0, dtype=np.float32)
    traced = jaxprs.trace(lambda x: x * table + 2, jnp.ones(3))
    kinds = [type(node) for node in traced.nodes]
    assert kinds == [Input, Constant, Operation, Constant, Operation]
    assert [graph.is_number(node) for node in traced.nodes] == [False, False, False, True, False]
    assert graph.label(traced, traced.nodes[4]) == "add(_, 2)"


def test_text_has_a_line_a_node():
    def f(x, keys):
        values, order = lax.sort((x, keys), num_keys=1)
        return values * order.astype(x.dtype)

    assert graph.to_text(jaxprs.trace(f, jnp.ones(3), jnp.arange(3))) == "\n".join(
        [
            "0  x                     float32 [3]",
            "1  keys                  int32 [3]",
            "2  sort                  float32 [3], int32 [3]  of 0, 1",
            "3  convert_element_type  float32 [3]             of 2.1",
            "4  mul                   float32 [3]             of 2.0, 3",
            "returns 4",
        ]
    )


def test_mermaid_names_every_node_and_edge_and_escapes_its_own_signs():
    traced = jaxprs.trace(two_layers, PARAMS, X, LABELS)
    text = graph.to_mermaid(traced)
    shown = [place for place, node in enumerate(traced.nodes) if not graph.is_number(node)]
    edges = sum(operand.node in shown for place in shown for operand in traced.nodes[place].operands)
    assert text.count(" -- ") == edges + 1
    assert text.startswith("flowchart TD\n") and "n0([\"params['W1']\"])" in text

    def strange(x):
        return x

    strange.__name__ = 'a"<b>'
    traced = jaxprs.trace(lambda x: jax.jit(strange)(x) + 1, 1.0, opened=lambda call: False)
    assert '"a#quot;#lt;b#gt;"' in graph.to_mermaid(traced)


def test_type_of_one_of_several_outputs():
    traced = jaxprs.trace(lambda x: lax.top_k(x, 2), jnp.ones(3))
    assert [graph.type_of(traced, output).dtype for output in traced.outputs] == [jnp.float32, jnp.int32]
    assert traced.outputs == (Output(1, 0), Output(1, 1))


def test_keys_integers_and_results_that_are_numbers_can_be_written_down():
    key = jax.random.key(0)
    traced = jaxprs.trace(lambda x: x * jax.random.normal(key) + 12345678, 3.0)
    assert "constant" in graph.to_text(traced) and "1.235e+07" in graph.to_text(traced)
    assert graph.Constant(np.array(12345678)).name == "12345678"
    assert "n1 --" in graph.to_mermaid(jaxprs.trace(lambda x: 1.0, 2.0))
    assert 'n1(["1"])' in graph.to_mermaid(jaxprs.trace(lambda x: 1.0, 2.0))


def test_leaves_are_counted():
    with pytest.raises(ValueError, match="evaluate: got 1 leaves, expected 2"):
        graph.evaluate(jaxprs.trace(jnp.add, 1.0, 2.0), 1.0)
