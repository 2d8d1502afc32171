"""Drawn graphs: nothing overlaps, values flow one way, and the files are pictures."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import graph, jaxprs, layers, optimizers, pictures, training, walk
from jaxnaive.batches import Batch
from jaxnaive.pictures import diagrams, layout

RECIPE = training.Recipe(layers.mlp(6, 5, 3), optimizers.sgd(0.1))


def loss(params, images, labels, weight):
    return training.mean_loss(params, Batch(images, labels, weight), RECIPE)


@pytest.fixture(scope="module")
def traced_loss():
    params = jax.eval_shape(RECIPE.model.init, jax.random.key(0))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), params)
    images, labels = np.zeros((4, 6), np.float32), np.zeros(4, np.int32)
    return jaxprs.trace(loss, zeros, images, labels, np.ones(4, np.float32))


def shown(traced):
    return [place for place, node in enumerate(traced.nodes) if not graph.is_number(node)]


def test_the_layout_has_every_node_once_no_two_overlap_and_edges_go_down(traced_loss):
    traced = traced_loss
    assert 20 <= len(shown(traced)) <= 50
    sizes = {place: 1 + 0.1 * len(graph.label(traced, traced.nodes[place])) for place in shown(traced)}
    positions = layout.positions(traced, sizes, gap=0.25)
    layer = {point.item: point.layer for point in positions if isinstance(point.item, int)}
    at = {point.item: place for point, place in positions.items() if isinstance(point.item, int)}
    assert sorted(layer) == shown(traced)
    for one, other in itertools.combinations(layer, 2):
        if layer[one] == layer[other]:
            assert abs(at[one] - at[other]) >= (sizes[one] + sizes[other]) / 2 + 0.25 - 1e-9
    for place in shown(traced):
        for operand in traced.nodes[place].operands:
            if operand.node in layer:
                assert layer[operand.node] < layer[place]


def test_a_long_edge_has_a_bend_in_every_layer_it_passes():
    traced = jaxprs.trace(lambda x: jnp.sin(jnp.sin(jnp.sin(x))) + x, 1.0)
    bends = [
        point
        for point in layout.positions(traced, dict.fromkeys(shown(traced), 1.0), 0.2)
        if isinstance(point.item, tuple)
    ]
    assert sorted(point.layer for point in bends) == [1, 2, 3]


def test_edges_that_need_not_cross_do_not():
    def f(a, b, c, d):
        return jnp.sin(d), jnp.sin(c), jnp.sin(b), jnp.sin(a)

    traced = jaxprs.trace(f, 1.0, 1.0, 1.0, 1.0)
    at = {
        point.item: place
        for point, place in layout.positions(traced, dict.fromkeys(shown(traced), 1.0), 0.2).items()
    }
    for sine in range(4, 8):
        (argument,) = (operand.node for operand in traced.nodes[sine].operands)
        assert at[sine] == pytest.approx(at[argument])


@pytest.mark.parametrize("to_the_right", [False, True])
def test_png_and_svg_are_written_and_the_svg_has_all_the_words(tmp_path, to_the_right):
    traced = jaxprs.trace(lambda x, w: jnp.sin(x * w) + 2, 1.0, 1.0)
    png, svg = tmp_path / "graph.png", tmp_path / "graph.svg"

    def text(node, slot):
        return diagrams.EdgeText(f"value {node} {slot}", f"gradient {node} {slot}")

    figure = diagrams.draw(traced, text, "a title", to_the_right)
    for path in (png, svg):
        pictures.save(figure, path)
    assert png.read_bytes().startswith(b"\x89PNG")
    words = svg.read_text()
    for word in ("a title", "sin", "×", "+ 2", "value 3 0", "gradient 2 1"):
        assert f"<!-- {word} -->" in words


def test_a_picture_is_the_same_every_time(tmp_path, traced_loss):
    sizes = dict.fromkeys(shown(traced_loss), 1.0)
    assert layout.positions(traced_loss, sizes, 0.2) == layout.positions(traced_loss, sizes, 0.2)
    traced = jaxprs.trace(lambda x, w: jnp.sin(x * w) + x, 1.0, 1.0)
    for kind in ("png", "svg"):
        paths = [tmp_path / f"{name}.{kind}" for name in ("one", "two")]
        for path in paths:
            pictures.save(diagrams.draw(traced), path)
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_function_that_does_nothing_can_be_drawn(tmp_path):
    figure = diagrams.draw(jaxprs.trace(lambda x: x, 1.0))
    assert [text.get_text() for text in figure.axes[0].texts] == ["", "x"]


def test_the_numbers_on_the_edges_are_the_values_and_the_gradients():
    traced = jaxprs.trace(lambda x, w: x * w + jnp.ones(2).sum(), 2.0, 3.0)
    values = graph.evaluate(traced, 2.0, 3.0)
    text = diagrams.numbers(traced, values, walk.backward(traced, values, [1.0]).edges)
    place = [node.name for node in traced.nodes].index("mul")
    assert [text(place, slot) for slot in (0, 1)] == [("2", "3"), ("3", "2")]


WORDS = {
    "dot": lambda x: x @ x,
    "relu": lambda x: jnp.maximum(x, 0),
    "max(_, 1)": lambda x: jnp.maximum(x, 1),
    "+": lambda x: x + x,
    "1 −": lambda x: 1 - x,
    "÷ 3": lambda x: x / 3,
    "square": lambda x: x**2,
    "^ 3": lambda x: x**3,
    "> 0.5": lambda x: x > 0.5,
    "sum": lambda x: x.sum(),
    "sigmoid": jax.nn.sigmoid,
    "exp": jnp.exp,
}


@pytest.mark.parametrize("word", WORDS)
def test_an_operation_is_called_as_its_reader_would_and_as_jax_does_on_request(word):
    traced = jaxprs.trace(WORDS[word], np.ones(2, np.float32))
    for figure, name in (
        (diagrams.draw(traced), word),
        (diagrams.draw(traced, names=graph.label), graph.label(traced, traced.nodes[-1])),
    ):
        assert {text.get_text() for text in figure.axes[0].texts} == {"", "[2]", "x", name}


def test_backprop_draws_any_function_with_its_values_and_gradients():
    params = {"w": np.array([[1, 2], [3, 4]], np.float32), "b": np.array([5, -60], np.float32)}
    x = np.ones((1, 2), np.float32)

    def loss(params, x):
        return jnp.square(jnp.maximum(x @ params["w"] + params["b"], 0)).sum()

    texts = [text.get_text() for text in diagrams.backprop(loss, params, x).axes[0].texts]
    assert texts[0].replace("\n", " ") == "Above: the values; below, bold: the gradients; the result: 81"
    gradients = jax.grad(loss, argnums=(0, 1))(params, x)
    for leaf in jax.tree.leaves((params, x, gradients)):
        assert diagrams.summary(leaf) in texts
    assert {"params['w']", "params['b']", "x", "dot", "relu", "square"} <= {*texts}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, r"returns float32 \[2\], expected one float, such as a mean"),
        (lambda x: (x[0], x[1]), r"returns float32 \[\], float32 \[\], expected one float"),
        (lambda x: (x > 0).sum(), r"returns int32 \[\], expected one float"),
        (
            lambda x: jnp.sin(sum([x[0]] * 120)),
            "function of 123 operations, expected at most 100; give jax.jit",
        ),
    ],
)
def test_backprop_refuses_what_it_cannot_draw(function, message):
    with pytest.raises(ValueError, match=message):
        diagrams.backprop(function, np.ones(2, np.float32))
