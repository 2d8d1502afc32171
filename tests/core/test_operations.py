"""Rows S23 to S33 of the notes; and convolution."""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from jaxnaive import backprop, layers, operations

LENGTHS = (2, 3, 4, 5)
SHAPES = [LENGTHS[:rank] for rank in range(5)]  # every rank to 4
# Every shape that can be broadcast to (2, 3, 4, 5): its last axes, any of them shrunk to 1.
PARTS = [shape for rank in range(5) for shape in itertools.product(*((1, n) for n in LENGTHS[4 - rank :]))]


def random(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def primitives(jaxpr):
    """The names of the primitives in a program and all the programs in it."""
    for equation in jaxpr.eqns:
        inner = [value for value in equation.params.values() if hasattr(value, "jaxpr")]
        if not inner:
            yield equation.primitive.name
        for value in inner:
            yield from primitives(value.jaxpr)


def test_s23_a_network_is_tensor_operations():
    model = layers.mlp(784, 512, 10)
    params = model.init(jax.random.key(0))
    names = set(primitives(jax.make_jaxpr(model.forward)(params, jnp.ones((128, 784))).jaxpr))
    assert {"dot_general", "add", "select_n"} <= names  # dot, +, relu
    names -= {"optimization_barrier"}  # the identity
    assert names <= {"dot_general", "add", "select_n", "le", "reshape", "transpose", "broadcast_in_dim"}


# --- element by element ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [*SHAPES, (0,), (2, 0, 3)])
def test_s25_s26_s27_element_by_element_equals_numpy_at_every_rank(shape):
    x, y = random(shape), random(shape, seed=1)
    relu, add, multiply = jax.jit(
        lambda x, y: (operations.relu(x), operations.add(x, y), operations.multiply(x, y))
    )(x, y)
    for ours, loop, expected in (
        (relu, operations.loop_relu(x), np.maximum(x, 0)),
        (add, operations.loop_add(x, y), x + y),
        (multiply, x * y, x * y),
    ):
        assert ours.shape == expected.shape and ours.dtype == expected.dtype
        np.testing.assert_array_equal(ours, expected)
        np.testing.assert_array_equal(loop, expected)


def test_s26_relu_has_derivative_0_at_0_and_is_the_networks_own():
    x = jnp.array([-2.0, -0.0, 0.0, 1e-30, 3.0])
    np.testing.assert_array_equal(operations.relu(x), jax.nn.relu(x))
    np.testing.assert_array_equal(jax.vmap(jax.grad(operations.relu))(x), [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(operations.relu(jnp.array([-1, 0, 2])), [0, 0, 2])
    assert layers.relu is operations.relu


def test_s27_element_wise_means_that_an_entry_depends_on_one_entry():
    x = jnp.asarray(random((3, 4)))
    changed = x.at[1, 2].set(10.0)
    differs = np.asarray(operations.relu(x) != operations.relu(changed))
    assert differs.sum() == 1 and differs[1, 2]
    lifted = operations.elementwise(lambda a, b: a - 2 * b)
    np.testing.assert_allclose(lifted(x, changed), np.asarray(x) - 2 * np.asarray(changed), rtol=1e-6)
    seen = []
    operations.elementwise(lambda a: seen.append(a.shape) or a)(jnp.ones(LENGTHS))
    assert seen == [()]  # the function that is lifted never meets anything but a scalar


# --- broadcasting ------------------------------------------------------------------------------------


@functools.cache
def sums():
    """Of an array of each shape with one of its own and each later shape, so each pair once."""
    arrays = {shape: (random(shape), random(shape) + 1) for shape in PARTS}

    @jax.jit
    def add_all(arrays):
        return [[operations.add(x, y) for _, y in arrays[place:]] for place, (x, _) in enumerate(arrays)]

    return arrays, dict(zip(PARTS, add_all([*arrays.values()]), strict=True))


@pytest.mark.xdist_group("operations")  # one worker compiles all sums
@pytest.mark.parametrize("shape", PARTS, ids=str)
def test_s28_adding_equals_numpy_for_every_pair_of_shapes_to_rank_4(shape):
    arrays, all_ours = sums()
    x, _ = arrays[shape]
    ys = [arrays[other][1] for other in PARTS[PARTS.index(shape) :]]
    for y, ours in zip(ys, all_ours[shape], strict=True):
        expected = x + y
        assert ours.shape == expected.shape
        for pair in ((x.shape, y.shape), (y.shape, x.shape)):
            assert operations.broadcast_shape(*pair) == expected.shape
        np.testing.assert_array_equal(ours, expected)


def test_s28_the_two_steps_of_broadcasting():
    y = jnp.asarray(random((32, 10)))
    with_axes = operations.add_axes(y, 4)
    assert with_axes.shape == (1, 1, 32, 10)
    repeated = operations.repeat(with_axes, (64, 3, 32, 10))
    assert repeated.shape == operations.broadcast_shape((64, 3, 32, 10), (32, 10)) == (64, 3, 32, 10)
    np.testing.assert_array_equal(repeated, np.broadcast_to(np.asarray(y), (64, 3, 32, 10)))
    xs = list(map(random, PARTS))
    broadcast = jax.jit(lambda xs: [operations.broadcast(x, LENGTHS) for x in xs])(xs)
    for x, ours in zip(xs, broadcast, strict=True):
        expected = np.broadcast_to(x, LENGTHS)
        np.testing.assert_array_equal(ours, expected)
        np.testing.assert_array_equal(operations.loop_broadcast(x, LENGTHS), expected)


def test_s28_the_book_s_case_also_where_implicit_broadcasting_is_forbidden():
    x, y = random((32, 10)), random((10,))
    with jax.numpy_rank_promotion("raise"):
        with pytest.raises(ValueError, match="rank_promotion"):
            jnp.add(jnp.asarray(x), jnp.asarray(y))
        np.testing.assert_array_equal(operations.add(jnp.asarray(x), jnp.asarray(y)), x + y)


def test_s28_an_axis_of_length_0_stays_empty():
    assert operations.broadcast_shape((3, 1), (0,)) == np.broadcast_shapes((3, 1), (0,)) == (3, 0)
    assert operations.add(jnp.ones((3, 1)), jnp.ones(0)).shape == (3, 0)


@pytest.mark.optimise
def test_s28_compiled_no_copy_is_made():
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((512, 1024), (1024,))]
    memory = jax.jit(operations.add).lower(*arguments).compile().memory_analysis()
    assert memory is not None and memory.temp_size_in_bytes < 4 * 512 * 1024 / 100


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (
            operations.add,
            (jnp.ones((3, 2)), jnp.ones((3,))),
            r"got shapes \(3, 2\) and \(3,\), expected .* equal or 1 .*; axis -1 has 2 and 3",
        ),
        (operations.multiply, (jnp.ones((2, 1)), jnp.ones((3, 1))), r"axis -2 has 2 and 3"),
        (operations.broadcast_shape, ((4, 3, 2), (5, 3, 1)), r"axis -3 has 4 and 5"),
        (operations.add_axes, (jnp.ones((2, 3)), 1), r"got shape \(2, 3\), expected at most 1 axes"),
        (operations.repeat, (jnp.ones((2, 1)), (3, 4)), r"got shape \(2, 1\), .* to be 1 or as in \(3, 4\)"),
        (operations.repeat, (jnp.ones(4), (3, 4)), r"got shape \(4,\)"),
        (operations.broadcast, (jnp.ones((2, 3)), (3,)), r"expected at most 1 axes"),
    ],
)
def test_s28_shapes_that_cannot_be_broadcast_are_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


# --- dot ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "loop", "shapes", "result"),
    [
        (operations.dot, operations.loop_dot, ((5,), (5,)), ()),
        (operations.matrix_vector, operations.loop_matrix_vector, ((3, 5), (5,)), (3,)),
        (operations.matmul, operations.loop_matmul, ((3, 5), (5, 4)), (3, 4)),
    ],
)
def test_s24_s29_s30_a_dot_of_two_matrices_is_a_matrix_and_not_a_vector(function, loop, shapes, result):
    """The notes say: most often applied to two matrices, and the result is a vector. It is a matrix."""
    x, y = map(random, shapes)
    ours = jax.jit(function)(x, y)
    assert ours.shape == result == np.shape(loop(x, y))
    np.testing.assert_allclose(ours, x @ y, atol=1e-5)
    np.testing.assert_allclose(loop(x, y), x @ y, atol=1e-5)


@pytest.mark.parametrize(
    ("left", "right"),
    [(left, right) for left in SHAPES[1:] for right in ((), (6,), (6, 7), (6, 7, 8))],
    ids=str,
)
def test_s29_the_last_axis_of_any_tensor_with_the_first_of_another(left, right):
    x, y = random(left), random((left[-1], *right))
    ours = jax.jit(operations.tensor_dot)(x, y)
    assert ours.shape == (*left[:-1], *right)
    np.testing.assert_allclose(ours, np.tensordot(x, y, axes=1), atol=1e-5)


def test_s30_dot_is_not_the_product_of_entries_and_its_order_counts():
    x, y = jnp.array([[1, 2], [3, 4]]), jnp.array([[0, 1], [1, 0]])
    assert operations.multiply(x, y).tolist() == [[0, 2], [3, 0]]
    assert operations.matmul(x, y).tolist() == [[2, 1], [4, 3]]
    assert operations.matmul(y, x).tolist() == [[3, 4], [1, 2]]


def test_s30_whole_numbers_keep_their_dtype():
    x = jnp.array([100, 100], jnp.int8)
    assert operations.dot(x, x).dtype == jnp.int8 == jnp.dot(x, x).dtype
    assert operations.dot(x, x) == jnp.dot(x, x)


def test_s30_an_inner_axis_of_length_0_gives_zeros():
    assert operations.matmul(jnp.ones((2, 0)), jnp.ones((0, 3))).tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize(
    ("function", "left", "right", "ranks"),
    [
        (operations.dot, (2,), (3,), "1 and 1"),
        (operations.dot, (2, 2), (2,), "1 and 1"),
        (operations.matrix_vector, (2, 3), (2,), "2 and 1"),
        (operations.matmul, (2, 3), (2, 3), "2 and 2"),
        (operations.matmul, (2, 3), (3,), "2 and 2"),
        (operations.tensor_dot, (2, 3, 4), (3, 4), "3 and 2"),
        (operations.tensor_dot, (), (3,), "1 and 1"),
    ],
)
def test_s30_shapes_that_do_not_contract_are_refused(function, left, right, ranks, as_a_user):
    message = (
        rf"dot: got shapes {re.escape(str(left))} and {re.escape(str(right))}, expected ranks {ranks}, "
        "and the last axis of the first as long as the first axis of the second"
    )
    with pytest.raises(ValueError, match=message):
        function(jnp.ones(left), jnp.ones(right))
    loops = {
        operations.dot: operations.loop_dot,
        operations.matrix_vector: operations.loop_matrix_vector,
        operations.matmul: operations.loop_matmul,
    }
    if function in loops:
        with pytest.raises(ValueError, match=message):
            loops[function](np.ones(left), np.ones(right))


def test_s25_a_loop_over_two_shapes_is_refused():
    with pytest.raises(ValueError, match=r"loop_add: got shapes \(3,\) and \(5,\), expected the same"):
        operations.loop_add(np.ones(3), np.ones(5))


# --- convolution -------------------------------------------------------------------------------------

CONVOLUTIONS = [  # image, kernels, stride
    ((5, 5, 1), (3, 3, 1, 1), 1),
    ((28, 28, 1), (5, 5, 1, 4), 2),
    ((9, 7, 3), (2, 4, 3, 5), 3),
    ((6, 8, 2), (6, 8, 2, 3), 1),  # one place
    ((6, 5, 2), (1, 1, 2, 3), 2),
    ((7, 7, 2), (2, 2, 2, 2), 4),  # pixels between the windows that none of them holds
]


def xla_convolution(image, kernels, stride):
    numbers = ("NHWC", "HWIO", "NHWC")
    strides = (stride, stride)
    return jax.lax.conv_general_dilated(image[None], kernels, strides, "VALID", dimension_numbers=numbers)[0]


@pytest.mark.parametrize(("image", "kernels", "stride"), CONVOLUTIONS, ids=str)
def test_a_convolution_equals_scipy_s_correlation(image, kernels, stride):
    with jax.enable_x64(True):
        x, w = random(image).astype(np.float64), random(kernels, seed=1).astype(np.float64)
        ours = operations.convolution(jnp.asarray(x), jnp.asarray(w), stride)
    expected = [
        sum(signal.correlate(x[..., n], w[..., n, m], "valid", "direct") for n in range(x.shape[-1]))
        for m in range(w.shape[-1])
    ]
    expected = np.stack(expected, axis=-1)[::stride, ::stride]
    assert ours.shape == expected.shape and ours.dtype == np.float64
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("image", "kernels", "stride"), CONVOLUTIONS, ids=str)
def test_a_convolution_and_its_gradients_equal_xla_s(image, kernels, stride):
    x, w = jnp.asarray(random((2, *image))), jnp.asarray(random(kernels, seed=1))  # a batch of two

    def wavy(convolution):
        def loss(x, w):
            y = jax.vmap(lambda one: convolution(one, w, stride))(x)
            return jnp.sin(y).sum(), y

        return loss

    ours, theirs = wavy(operations.convolution), wavy(xla_convolution)
    expected = jax.jit(jax.grad(theirs, (0, 1), has_aux=True))(x, w)
    for grad in (jax.grad, backprop.grad):
        found = jax.jit(grad(ours, (0, 1), has_aux=True))(x, w)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("image", "kernels", "stride"),
    [
        ((5, 5), (3, 3, 1, 1), 1),
        ((2, 5, 5, 1), (3, 3, 1, 1), 1),
        ((5, 5, 1), (3, 3, 1), 1),
        ((5, 5, 1), (3, 3, 2, 4), 1),
        ((5, 5, 1), (6, 3, 1, 1), 1),
        ((5, 5, 1), (3, 6, 1, 1), 1),
        ((5, 5, 1), (3, 3, 1, 1), 0),
    ],
    ids=str,
)
def test_a_convolution_that_does_not_fit_is_refused(image, kernels, stride, as_a_user):
    message = (
        f"convolution: got shapes {image} and {kernels} and stride {stride}, expected [height, width, n]"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        operations.convolution(jnp.ones(image), jnp.ones(kernels), stride)


# --- reshape and transpose ---------------------------------------------------------------------------


@pytest.mark.parametrize("old", [(), (1,), (24,), (2, 12), (4, 6), (2, 3, 4), (2, 1, 3, 4), (0, 3)], ids=str)
def test_s32_reshape_equals_numpy_from_every_rank_to_every_rank(old):
    x = random(old)
    shapes = ((), (1,), (1, 1), (24,), (6, 4), (3, 2, 4), (2, 2, 2, 3), (3, 0, 2))
    possible = [new for new in shapes if np.prod(new) == x.size]
    reshaped = jax.jit(lambda x: [operations.reshape(x, new) for new in possible])(x)
    for ours, new in zip(reshaped, possible, strict=True):
        np.testing.assert_array_equal(ours, x.reshape(new))


def test_s32_the_book_s_reshapes():
    x = jnp.array([[0, 1], [2, 3], [4, 5]])
    assert operations.reshape(x, (6, 1)).tolist() == [[0], [1], [2], [3], [4], [5]]
    assert operations.reshape(x, (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]
    images = np.random.default_rng(0).integers(0, 256, (600, 28, 28), np.uint8)
    reshape = jax.jit(operations.reshape, static_argnums=1)
    np.testing.assert_array_equal(reshape(images, (600, 784)), images.reshape(600, 784))


@pytest.mark.parametrize("shape", [(4, 2), (7,), (-1, 6), (-2, -3), ()])
def test_s32_a_shape_for_more_entries_or_fewer_is_refused(shape):
    message = rf"reshape: got shapes \(3, 2\) and {re.escape(str(shape))}, expected as many entries in both"
    with pytest.raises(ValueError, match=message):
        operations.reshape(jnp.ones((3, 2)), shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_s33_transpose_equals_numpy_for_every_order_of_axes_to_rank_4(shape):
    x = random(shape)
    orders = [None, *itertools.permutations(range(x.ndim))]
    transposed = jax.jit(lambda x: [operations.transpose(x, axes) for axes in orders])(x)
    for ours, axes in zip(transposed, orders, strict=True):
        np.testing.assert_array_equal(ours, np.transpose(x, axes))


def test_s33_transpose_is_not_a_reshape():
    """The notes call it a special reshape. The shape is the same, and the order of the entries is not."""
    assert operations.transpose(jnp.ones((300, 20))).shape == (20, 300)
    x = jnp.array([[0, 1], [2, 3], [4, 5]])
    assert operations.transpose(x).tolist() == [[0, 2, 4], [1, 3, 5]]
    assert operations.reshape(x, (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("axes", [(0,), (0, 0), (1, 2), (-1, 0), (0, 1, 2)])
def test_s33_axes_that_are_not_its_own_are_refused(axes):
    with pytest.raises(
        ValueError, match=rf"got axes {re.escape(str(axes))} and shape \(3, 2\), expected each"
    ):
        operations.transpose(jnp.ones((3, 2)), axes)


def test_all_of_them_have_gradients():
    x, y = jnp.asarray(random((3, 4))), jnp.asarray(random((4, 2)))

    def ours(x, y):
        product = operations.relu(operations.add(operations.matmul(x, y), jnp.ones(2)))
        return operations.reshape(operations.transpose(product), (6,))[1:].sum()

    def theirs(x, y):
        return jax.nn.relu(x @ y + 1).T.reshape(6)[1:].sum()

    for a, b in zip(*(jax.jit(jax.grad(f, argnums=(0, 1)))(x, y) for f in (ours, theirs)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
