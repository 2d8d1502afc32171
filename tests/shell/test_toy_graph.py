"""The toy graph, in a browser without a screen: its numbers are Python's."""

# ruff: noqa: RUF001 - the toy writes minus, times and Chinese as a reader expects them

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import backprop, graph, operations, walk
from jaxnaive.graph import Output
from jaxnaive.jaxprs import trace

pytestmark = pytest.mark.xdist_group("toys")  # one worker has the browser


@pytest.fixture
def toy(show):
    leaves = {"x": 2, "w": 3, "b": 1, "y_true": 4}
    return show("graph", expression="abs(y_true - (x * w + b))", leaves=leaves)


EXPRESSIONS = {
    "abs(y_true - (x * w + b))": {"x": 2, "w": 3, "b": 1, "y_true": 4},
    "x * x + x": {"x": 3},
    "a - b - c / d / 2": {"a": 1, "b": 5, "c": 3, "d": -4},
    "relu(x * w + b) * v": {"x": 2, "w": 3, "b": -1, "v": -0.5},
    "relu(x) + relu(-x) + relu(y)": {"x": 2, "y": 0},
    "exp(x) / (exp(x) + exp(y) + exp(z))": {"x": 0.5, "y": -1, "z": 2},
    "log(1 + exp(-x * t))": {"x": 1.5, "t": -1},
    "(1 - tanh(x * w)) * (1 + tanh(x / w))": {"x": 0.3, "w": -0.7},
    "abs(x) * abs(y) - abs(z)": {"x": -2, "y": 3, "z": 0},
    "-(x - -y) / -2.5e-1 + .5 * 3.": {"x": 1, "y": 7},
    "abs(2 * abs(x - y) - x * (y + 2 * (x + y)))": {"x": 1.25, "y": -2},
    "tanh(exp(log(x) * 2) / (x + x * x))": {"x": 1.7},
    "x": {"x": 5},
    "exp(log(2)) * x + log(3)": {"x": 1},
}
FUNCTIONS = {
    "relu": operations.relu, "exp": jnp.exp, "log": jnp.log, "tanh": jnp.tanh, "abs": jnp.abs,
}  # fmt: skip


def as_function(expression, leaves):
    """The function of the leaves that Python reads in an expression."""
    code = compile(expression, expression, "eval")
    return lambda *args: eval(code, FUNCTIONS, dict(zip(leaves, args, strict=True)))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_s63_an_expression_has_the_value_and_gradients_of_the_walk(toy, x64, expression):
    leaves = EXPRESSIONS[expression]
    nodes, values, gradients = toy.call(
        "(() => { const nodes = toys.graph.parse(args[0]), values = toys.graph.evaluate(nodes, args[1]);"
        "return [nodes, values, toys.graph.backward(nodes, values)]; })()",
        expression, leaves,
    )  # fmt: skip
    function, args = as_function(expression, leaves), [jnp.asarray(float(x)) for x in leaves.values()]
    places = tuple(range(len(args)))
    expected = backprop.grad(function, places)(*args)
    np.testing.assert_allclose(values[-1], function(*args), rtol=1e-12)
    named = {node["name"]: g for node, g in zip(nodes, gradients, strict=True) if node["op"] == "leaf"}
    found = [named[name] for name in leaves]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found, jax.grad(function, places)(*args), rtol=1e-12)


@pytest.mark.parametrize("expression", list(EXPRESSIONS)[:4])
def test_s64_every_path_has_the_product_of_its_slopes(toy, x64, expression):
    leaves = EXPRESSIONS[expression]
    found = toy.call(
        "(() => { const nodes = toys.graph.parse(args[0]), values = toys.graph.evaluate(nodes, args[1]);"
        "return args[2].map(name => toys.graph.paths(nodes, values,"
        "nodes.findIndex(node => node.name === name)).map(path => [path.slopes, path.product])); })()",
        expression, leaves, list(leaves),
    )  # fmt: skip
    args = [jnp.asarray(float(x)) for x in leaves.values()]
    traced = trace(as_function(expression, leaves), *args)
    values = graph.evaluate(traced, *args)
    for place, theirs in enumerate(found):
        ours = [float(path.product) for path in walk.paths(traced, values, Output(place))]
        np.testing.assert_allclose(sorted(product for _, product in theirs), sorted(ours), rtol=1e-12)
        for slopes, product in theirs:
            assert product == pytest.approx(np.prod(slopes))


WRONG = {
    "": "character 1: got the end, expected a number, a name, a function or “(”",
    "x + ": "character 5: got the end, expected a number, a name, a function or “(”",
    "x ** 2": "character 4: got “*”, expected a number, a name, a function or “(”",
    "2 x": "character 3: got “x”, expected an operation or the end",
    "abs(x + 1": "character 10: got the end, expected an operation or “)”",
    "(x + 1))": "character 8: got “)”, expected an operation or the end",
    "sin(x)": "character 1: got “sin”, expected one of the functions relu, exp, log, tanh, abs",
    "x + exp * 2": "character 9: got “*”, expected “(”",
    "x + 龙 $": "character 7: got “$”, expected an operation or the end",
    "x" * 201: "character 201: got “x”, expected at most 200 characters",
}


def test_an_expression_that_is_not_understood_says_where_and_what_was_expected(toy):
    code = "(() => { try { toys.graph.parse(args[0]); } catch (error) { return error.message; } })()"
    assert {expression: toy.call(code, expression) for expression in WRONG} == WRONG


def test_other_signs_of_the_same_operations_are_read(toy):
    texts = ["|y − x × w| ÷ （2）", "abs(y - x * w) / (2)"]
    first, second = (toy.call("toys.graph.parse(args[0]).map(node => node.op)", text) for text in texts)
    assert first == second


def test_the_nodes_of_a_level_have_room_and_edges_go_up(toy):
    for expression in EXPRESSIONS:
        nodes, spots = toy.call(
            "(() => { const nodes = toys.graph.parse(args[0]);"
            "return [nodes, toys.graph.layout(nodes).spots.map(({level, row}) => [level, row])]; })()",
            expression,
        )
        for node, (level, _) in zip(nodes, spots, strict=True):
            assert all(spots[operand][0] < level for operand in node["operands"])
        for level in {level for level, _ in spots}:
            rows = sorted(row for other, row in spots if other == level)
            assert min(np.diff(rows), default=1) > 0.99


def test_the_graph_is_walked_step_by_step_with_buttons_sliders_and_keys(toy):
    lines = toy.walk()
    assert lines == [
        "The leaves have their values. Next: forwards.",
        "Forwards: x * w = 2 × 3 = 6.",
        "Forwards: x * w + b = 6 + 1 = 7.",
        "Forwards: y_true - (x * w + b) = 4 − 7 = −3.",
        "Forwards: abs(y_true - (x * w + b)) = abs(−3) = 3.",
        "The result is 3. Backwards starts here: its gradient by itself is 1.",
        "Backwards through abs(y_true - (x * w + b)): y_true - (x * w + b) gets 1 × (−1) = −1.",
        "Backwards through y_true - (x * w + b): y_true gets (−1) × 1 = −1; x * w + b gets (−1) × (−1) = 1.",
        "Backwards through x * w + b: x * w gets 1 × 1 = 1; b gets 1 × 1 = 1.",
        "Backwards through x * w: x gets 1 × 3 = 3; w gets 1 × 2 = 2. Done.",
    ]
    assert toy.texts("svg .value") == ["4", "2", "3", "6", "1", "7", "−3", "3"]
    assert toy.texts("svg .gradient") == ["−1", "3", "2", "1", "1", "1", "−1", "1"]
    toy.press("Back")
    assert toy.said == lines[-2]
    toy.all(".slider input")[1].send_keys("\ue014")  # the arrow to the right
    assert toy.texts(".slider output")[1] == "2.1"
    toy.press("All")
    assert toy.said.endswith("w gets 1 × 2.1 = 2.1. Done.")
    paths = toy.all(".paths button")
    paths[2].click()
    assert len(toy.all(".edge.marked")) == 4
    toy.write("x * x + x")
    assert toy.said == "The leaves have their values. Next: forwards."
    toy.press("All")
    assert toy.said == "Backwards through x * x: x gets 1 × 2.1 = 2.1 and 1 × 2.1 = 2.1, in all 5.2. Done."
    assert toy.texts(".paths p")[0] == "gradient by x: 2.1 + 2.1 + 1 = 5.2"
    toy.write("x * sin(2)")
    assert toy.wrong.startswith("character 5: got “sin”") and len(toy.all("svg")) == 1
    toy.write("log(0 - 1) + 2")
    toy.press("All")
    assert toy.wrong == "" and toy.said == "The result is NaN. It has no leaf, so there is no gradient."


def test_it_fits_a_phone(toy):
    toy.press("All")
    assert toy.fits_a_phone
