"""The toy plane, in a browser without a screen: its maps are those of jaxnaive.geometry."""

# ruff: noqa: RUF001 - the toy writes minus as a reader expects it

from functools import partial, reduce

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import geometry
from jaxnaive.operations import relu

pytestmark = pytest.mark.xdist_group("toys")  # one worker has the browser
NAMES = ("degrees", "scaleX", "scaleY", "shear", "moveX", "moveY")
FIGURE = [[0, 0], [0, 2], [1, 2], [1, 1], [0.5, 1], [0.5, 0]]


@pytest.fixture
def toy(show):
    return show("plane", points=FIGURE)


def settings(count):
    """Of the sliders."""
    rng = np.random.default_rng(0)
    return [
        dict(zip(NAMES, (rng.uniform(-180, 180), *rng.uniform(-2, 2, 5)), strict=True)) for _ in range(count)
    ]


def ours(degrees, scaleX, scaleY, shear, moveX, moveY):  # noqa: N803 - as the toy names them
    steps = [
        geometry.shear(shear),
        geometry.scaling(jnp.array([scaleX, scaleY])),
        geometry.rotation(jnp.deg2rad(degrees)),
        geometry.translation(jnp.array([moveX, moveY])),
    ]
    return reduce(lambda inner, outer: geometry.compose(outer, inner), steps)


def evaluate(toy, value, *layers):
    """An expression in ``f``, two layers with these settings, and ``g``, with relu between them."""
    maps = "const {affine, apply, relu, best, distance} = toys.plane, [inner, outer] = args.map(affine);"
    both = "const f = x => apply(outer, apply(inner, x)), g = x => apply(outer, relu(apply(inner, x)));"
    return toy.call(f"(() => {{ {maps} {both} return {value}; }})()", *layers)


def assert_same_map(theirs, expected):
    np.testing.assert_allclose(theirs["matrix"], expected.matrix, atol=1e-12)
    np.testing.assert_allclose(theirs["offset"], expected.offset, atol=1e-12)


def test_s34_s35_s36_s38_the_sliders_make_the_maps_of_geometry(toy, x64):
    for one in settings(10):
        assert_same_map(toy.call("toys.plane.affine(args[0])", one), ours(**one))
        points = toy.call("args[1].map(x => toys.plane.apply(toys.plane.affine(args[0]), x))", one, FIGURE)
        np.testing.assert_allclose(points, geometry.apply(ours(**one), jnp.array(FIGURE)), atol=1e-12)


def test_s37_the_law_of_linear_maps_fails_by_what_python_says(toy, x64):
    rng = np.random.default_rng(1)
    for one in settings(10):
        x, y, (a, b) = rng.normal(size=(3, 2))
        theirs = toy.call(
            "toys.plane.gap(x => toys.plane.apply(toys.plane.affine(args[0]), x), ...args.slice(1))",
            one, x.tolist(), y.tolist(), a, b,
        )  # fmt: skip
        f = ours(**one)
        gap = geometry.linearity_gap(
            partial(geometry.apply, f), jnp.array(x), jnp.array(y), a.item(), b.item()
        )
        np.testing.assert_allclose(theirs, gap, atol=1e-12)
        np.testing.assert_allclose(theirs, (1 - a - b) * f.offset, atol=1e-12)


def test_s40_two_layers_collapse_into_the_one_of_python(toy, x64):
    layers = settings(2)
    inner, outer = (ours(**one) for one in layers)
    dense = geometry.collapse([{"w": f.matrix.T, "b": f.offset} for f in (inner, outer)])
    whole, best, distance = evaluate(
        toy,
        "(whole => [whole, best(f), distance(f, x => apply(whole, x))])(toys.plane.compose(outer, inner))",
        *layers,
    )
    assert_same_map(whole, geometry.compose(outer, inner))
    assert_same_map(whole, geometry.of_dense(dense))
    assert_same_map(best, geometry.of_dense(dense))
    assert distance < 1e-12


def test_s41_with_relu_the_best_single_layer_is_that_of_least_squares(toy, x64):
    grid = np.array(toy.call("toys.plane.GRID"))
    inputs = np.column_stack([grid, np.ones(len(grid))])
    for layers in zip(settings(6), settings(12)[6:], strict=True):
        best, distance = evaluate(toy, "(best => [best, distance(g, x => apply(best, x))])(best(g))", *layers)
        inner, outer = (ours(**one) for one in layers)
        outputs = geometry.apply(outer, relu(geometry.apply(inner, jnp.array(grid))))
        weights = np.linalg.lstsq(inputs, np.asarray(outputs))[0]
        assert_same_map(best, geometry.Affine(jnp.array(weights[:2].T), jnp.array(weights[2])))
        apart = np.linalg.norm(inputs @ weights - outputs, axis=1)
        assert distance == pytest.approx(np.sqrt(np.mean(apart**2)), rel=1e-9)


def test_a_reader_moves_the_origin_and_the_law_fails(toy):
    where = "x = (1, 0.5), y = (−0.5, 1): "
    assert toy.said == f"{where}the distance is 0, whatever a and b are. f is linear."
    toy.slide(4, 0.8)
    assert toy.said == f"{where}the distance is 0.8. f moves the origin, so it is affine and not linear."
    assert [row[-1] for row in toy.cells[-3:]] == ["(0.7, 1.67)", "(1.5, 1.67)", "0.8"]
    toy.slide(6, 0.3)
    toy.slide(7, 0.7)
    assert toy.said == (
        f"{where}the distance is 0, but only because a + b = 1. f moves the origin, so it is not linear."
    )
    toy.press("Identity")
    assert toy.said.endswith("f is linear.")
    assert [text.split() for text in toy.cells[0][1].split("\n")] == [["1.00", "0.00"], ["0.00", "1.00"]]


def test_a_reader_puts_relu_between_two_layers(toy):
    toy.choose("two layers")
    assert toy.said == "Two layers are one: its matrix is A₂A₁, its offset A₂t₁ + t₂, and the distance is 0."
    assert [row[-1] for row in toy.cells] == ["", "", "0", "0"] and toy.cells[2][:3] == [
        "A₂A₁, A₂t₁ + t₂", *toy.cells[3][1:3]
    ]  # fmt: skip
    toy.choose("relu between them")
    away = float(toy.cells[3][-1])
    assert 0 < away < float(toy.cells[2][-1]) and f"even the best single layer is {away} away" in toy.said
    toy.press("Identity")
    toy.slide(4, 2)
    toy.slide(5, 2)  # no point of the grid is below 0
    assert toy.said.startswith("A single layer still does the same on this grid.")
    toy.choose("the second layer")
    before = toy.cells
    toy.slide(0, 90)
    assert toy.cells[0] == before[0] and toy.cells[1] != before[1]


@pytest.mark.parametrize(
    ("numbers", "got"), [({"points": [[0, 1], [2]]}, "[2]"), ({"points": []}, "[]"), ({}, "null")]
)
def test_points_that_are_none_are_refused_in_one_line(show, numbers, got):
    toy = show("plane", **numbers)
    assert toy.wrong == f"plane: got {got}, expected points [[x, y], ...] of finite numbers."
    assert not toy.all("canvas")


def test_it_fits_a_phone(toy):
    assert toy.fits_a_phone
    toy.choose("two layers")
    assert toy.fits_a_phone
