"""The toy shapes, in a browser without a screen: its rules are those of NumPy and of jaxnaive.operations."""

# ruff: noqa: RUF001 - the toy reads Chinese commas

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import operations

pytestmark = pytest.mark.xdist_group("toys")  # one worker has the browser


@pytest.fixture
def toy(show):
    return show("shapes")


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


def test_s28_shapes_are_broadcast_as_by_numpy_or_their_rule_is_named(toy):
    pairs = pairs_of_shapes(300)
    code = "args[0].map(([a, b]) => [toys.shapes.broadcast(a, b), toys.shapes.broadcastSteps(a, b)])"
    found = toy.call(code, pairs)
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


def test_s30_dot_contracts_the_axes_that_tensor_dot_does_or_names_the_rule(toy):
    pairs = pairs_of_shapes(300)
    found = toy.call(
        "args[0].map(([a, b]) => [toys.shapes.dot(a, b).shape, toys.shapes.dotSteps(a, b)])", pairs
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
        assert list(ours) == toy.call("toys.shapes.dot(args[0], args[1]).shape", a, b)


def test_a_shape_is_read_as_python_writes_it(toy):
    for shape in [(), (5,), (64, 3, 32, 10), (0, 1)]:
        assert toy.call("toys.shapes.read(args[0])", str(shape)) == list(shape)
        assert toy.call("toys.shapes.tuple(args[0])", shape) == str(shape)


def test_two_shapes_are_followed_step_by_step(toy):
    assert toy.walk() == [
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


def test_it_fits_a_phone(toy):
    toy.press("All")
    assert toy.fits_a_phone
