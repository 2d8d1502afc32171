"""The toys graph, shapes and plane, in a browser without a screen: their numbers are Python's."""

# ruff: noqa: RUF001 - the toys write minus, times and Chinese as a reader expects them

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import backprop, graph, operations, pages
from jaxnaive.graph import Output
from jaxnaive.jaxprs import trace

pytestmark = pytest.mark.xdist_group("toys")  # one worker has the browser
TOYS = Path(pages.__file__).parent / "templates" / "notes" / "toys"
NUMBERS = {
    "graph": {
        "expression": "abs(y_true - (x * w + b))",
        "leaves": {"x": 2, "w": 3, "b": 1, "y_true": 4},
    },
    "shapes": {},
}


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """A page with the toys and nothing else."""
    styles = "".join(path.read_text() for path in sorted(TOYS.glob("*.css")))
    scripts = "".join(
        f"<script>{(TOYS / f'{name}.js').read_text()}</script>" for name in ("common", *NUMBERS)
    )
    toys = "".join(
        f'<div data-toy="{name}"><script type="application/json">{json.dumps(numbers)}</script></div>'
        for name, numbers in NUMBERS.items()
    )
    path = tmp_path_factory.mktemp("toys") / "page.html"
    path.write_text(
        "<!DOCTYPE html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><style>* { box-sizing: border-box; }"
        f"html[lang=en] [lang=zh] {{ display: none; }} {styles}</style>"
        f"{toys}{scripts}<script>jaxnaive.start()</script>"
    )
    browser.get(path.as_uri())
    yield browser
    assert not browser.get_log("browser")


def call(page, code, *arguments):
    """The value of an expression of JavaScript in ``toys`` and ``args``."""
    return page.execute_script(f"const {{toys}} = jaxnaive, args = arguments; return {code}", *arguments)


class Toy:
    """What a reader does with a toy, and what it says."""

    def __init__(self, page, name):
        self.page, self.element = page, page.find_element("css selector", f"[data-toy={name}]")

    def all(self, selector):
        return self.element.find_elements("css selector", selector)

    def button(self, text):
        (found,) = self.element.find_elements("xpath", f".//button[span/span[@lang='en']='{text}']")
        return found

    def press(self, text):
        self.button(text).click()

    def texts(self, selector):
        """Of all elements, in one call: each takes a while."""
        found = "[...arguments[0].querySelectorAll(arguments[1])]"
        code = f"return {found}.map(one => one.innerText ?? one.textContent)"
        return [text for text in self.page.execute_script(code, self.element, selector) if text]

    def write(self, text, place=0):
        """Replace the text of an input and press Enter."""
        field = self.all("input[type=text]")[place]
        self.page.execute_script("arguments[0].value = ''", field)
        field.send_keys(text + "\n")

    @property
    def said(self):
        return self.all(".said")[0].text

    @property
    def wrong(self):
        return self.all(".wrong")[0].text


# --- graph -----------------------------------------------------------------------------------------------

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
def test_s63_an_expression_has_the_value_and_gradients_of_the_walk(page, x64, expression):
    leaves = EXPRESSIONS[expression]
    nodes, values, gradients = call(
        page,
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
def test_s64_every_path_has_the_product_of_its_slopes(page, x64, expression):
    leaves = EXPRESSIONS[expression]
    found = call(
        page,
        "(() => { const nodes = toys.graph.parse(args[0]), values = toys.graph.evaluate(nodes, args[1]);"
        "return args[2].map(name => toys.graph.paths(nodes, values,"
        "nodes.findIndex(node => node.name === name)).map(path => [path.slopes, path.product])); })()",
        expression, leaves, list(leaves),
    )  # fmt: skip
    args = [jnp.asarray(float(x)) for x in leaves.values()]
    traced = trace(as_function(expression, leaves), *args)
    values = graph.evaluate(traced, *args)
    for place, theirs in enumerate(found):
        ours = [float(path.product) for path in backprop.paths(traced, values, Output(place))]
        np.testing.assert_allclose(sorted(product for _, product in theirs), sorted(ours), rtol=1e-12)
        for slopes, product in theirs:
            assert product == pytest.approx(np.prod(slopes))


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        ("", "character 1: got the end, expected a number, a name, a function or “(”"),
        ("x + ", "character 5: got the end, expected a number, a name, a function or “(”"),
        ("x ** 2", "character 4: got “*”, expected a number, a name, a function or “(”"),
        ("2 x", "character 3: got “x”, expected an operation or the end"),
        ("abs(x + 1", "character 10: got the end, expected an operation or “)”"),
        ("(x + 1))", "character 8: got “)”, expected an operation or the end"),
        ("sin(x)", "character 1: got “sin”, expected one of the functions relu, exp, log, tanh, abs"),
        ("x + exp * 2", "character 9: got “*”, expected “(”"),
        ("x + 龙 $", "character 7: got “$”, expected an operation or the end"),
        ("x" * 201, "character 201: got “x”, expected at most 200 characters"),
    ],
)
def test_an_expression_that_is_not_understood_says_where_and_what_was_expected(page, expression, line):
    code = "(() => { try { toys.graph.parse(args[0]); } catch (error) { return error.message; } })()"
    assert call(page, code, expression) == line


def test_other_signs_of_the_same_operations_are_read(page):
    texts = ["|y − x × w| ÷ （2）", "abs(y - x * w) / (2)"]
    first, second = (call(page, "toys.graph.parse(args[0]).map(node => node.op)", text) for text in texts)
    assert first == second


def test_the_nodes_of_a_level_have_room_and_edges_go_up(page):
    for expression in EXPRESSIONS:
        nodes, spots = call(
            page,
            "(() => { const nodes = toys.graph.parse(args[0]);"
            "return [nodes, toys.graph.layout(nodes).spots.map(({level, row}) => [level, row])]; })()",
            expression,
        )
        for node, (level, _) in zip(nodes, spots, strict=True):
            assert all(spots[operand][0] < level for operand in node["operands"])
        for level in {level for level, _ in spots}:
            rows = sorted(row for other, row in spots if other == level)
            assert min(np.diff(rows), default=1) > 0.99


def test_the_graph_is_walked_step_by_step_with_buttons_sliders_and_keys(page):
    toy = Toy(page, "graph")
    assert toy.said == "The leaves have their values. Next: forwards."
    lines = []
    forward = toy.button("Next")
    while forward.is_enabled():
        forward.click()
        lines.append(toy.said)
    assert lines == [
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


# --- shapes ----------------------------------------------------------------------------------------------


def pairs_of_shapes(count):
    """Pairs of which about half fit, with axes of length 0 and 1 and with none."""
    rng = np.random.default_rng(0)
    shapes = [tuple(map(int, rng.choice([0, 1, 2, 2, 3], rng.integers(5)))) for _ in range(2 * count)]
    return list(zip(shapes[::2], shapes[1::2], strict=True))


def or_none(function, *args):
    try:
        return list(function(*args))
    except ValueError:
        return None


def test_s28_shapes_are_broadcast_as_by_numpy_or_their_rule_is_named(page):
    pairs = pairs_of_shapes(300)
    code = "args[0].map(([a, b]) => [toys.shapes.broadcast(a, b), toys.shapes.broadcastSteps(a, b)])"
    found = call(page, code, pairs)
    expected = [or_none(np.broadcast_shapes, *pair) for pair in pairs]
    assert 80 < expected.count(None) < 200
    assert [one["shape"] for one, _ in found] == expected
    for pair, (result, steps) in zip(pairs, found, strict=True):
        last = steps[-1]
        if result["shape"] is None:
            axis = result["broken"] - max(map(len, pair))
            assert last["said"][0].startswith(f"Axis {axis}: ")
            with pytest.raises(ValueError, match="broadcasting: got shapes"):
                operations.broadcast_shape(*pair)
        else:
            assert result["shape"] == list(operations.broadcast_shape(*pair))
            assert [int(cell["text"]) for cell in last["rows"][2]] == result["shape"]
            assert (
                f"give {tuple(result['shape'])}: {np.prod(result['shape'], dtype=int)} entr"
                in last["said"][0]
            )


def test_s30_dot_contracts_the_axes_that_tensor_dot_does_or_names_the_rule(page):
    pairs = pairs_of_shapes(300)
    found = call(
        page, "args[0].map(([a, b]) => [toys.shapes.dot(a, b).shape, toys.shapes.dotSteps(a, b)])", pairs
    )
    fitting = [pair for pair, (shape, _) in zip(pairs, found, strict=True) if shape is not None]
    assert len(fitting) > 30 and sum((len(a), len(b)) == (2, 2) for a, b in fitting) > 2
    for (a, b), (shape, steps) in zip(pairs, found, strict=True):
        if a and b:  # NumPy's tensordot of numbers has other words for what is wrong
            assert shape == or_none(lambda a, b: np.tensordot(np.ones(a), np.ones(b), 1).shape, a, b)
        if len(a) == len(b) == 2:
            assert shape == or_none(lambda a, b: (np.ones(a) @ np.ones(b)).shape, a, b)
            assert shape == or_none(lambda a, b: np.dot(np.ones(a), np.ones(b)).shape, a, b)
        if shape is None:
            assert "must be equal" in steps[-1]["said"][0] or () in (a, b)
        else:
            assert f"gives {tuple(shape)}: " in steps[-1]["said"][0]
    for a, b in fitting[:4]:
        ours = jax.eval_shape(operations.tensor_dot, jnp.ones(a), jnp.ones(b)).shape
        assert list(ours) == call(page, "toys.shapes.dot(args[0], args[1]).shape", a, b)


@pytest.mark.parametrize("shape", [(), (5,), (64, 3, 32, 10), (0, 1)])
def test_a_shape_is_read_as_python_writes_it(page, shape):
    assert call(page, "toys.shapes.read(args[0])", str(shape)) == list(shape)
    assert call(page, "toys.shapes.tuple(args[0])", shape) == str(shape)


def test_two_shapes_are_followed_step_by_step(page):
    toy = Toy(page, "shapes")
    lines = [toy.said]
    forward = toy.button("Next")
    while forward.is_enabled():
        forward.click()
        lines.append(toy.said)
    assert lines == [
        "(64, 3, 32, 10) and (32, 10): do they fit?",
        "Align the shapes at their last axes.",
        "Add axes of length 1 in front of the second shape, until both have rank 4.",
        "Axis -1: both have length 10, and so has the result.",
        "Axis -2: both have length 32, and so has the result.",
        "Axis -3: 1 and 3: the one of length 1 is repeated 3 times.",
        "Axis -4: 1 and 64: the one of length 1 is repeated 64 times.",
        "(64, 3, 32, 10) and (32, 10) give (64, 3, 32, 10): 61440 entries.",
    ]
    assert toy.texts("tr:last-child .cell") == ["64", "3", "32", "10"]
    toy.write("31，10", 1)
    toy.press("All")
    assert toy.said == "Axis -2: 32 and 31 are different, and neither is 1. They cannot be broadcast."
    toy.write("31, ten", 1)
    assert toy.wrong == (
        "second shape: got “ten”, expected whole numbers with commas between them, such as 64, 3, 32, 10."
    )
    toy.all("input[type=radio]")[1].click()
    toy.press("All")
    assert toy.wrong == "" and toy.said.startswith(
        "(2, 3) · (3, 4) gives (2, 4): 8 entries, each a sum of 3 "
    )
    toy.write("2, 3", 1)
    toy.press("All")
    assert toy.said == (
        "The last axis of the first has length 3, the first axis of the second 2. They must be equal."
    )


# --- all -------------------------------------------------------------------------------------------------


def test_the_toys_fit_a_phone(page):
    size = {"width": 375, "height": 812, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") == 375
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
