"""Backpropagation by hand against ``jax.grad``, central differences, and the book's worked example."""

import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_trees_close
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from jaxnaive import backprop, graph, jaxprs, layers, optimizers, training
from jaxnaive.batches import Batch

RNG = np.random.default_rng(0)
V = RNG.uniform(0.2, 0.9, 5)  # away from the kinks, and from the ends of every function's domain
W = RNG.uniform(-0.9, -0.2, 5)
M = RNG.normal(size=(3, 4))
N = RNG.normal(size=(4, 2))
T = RNG.normal(size=(2, 3, 4))
TIES = np.array([0.5, 0.2, 0.5, 0.2])
CUBES = RNG.normal(size=(3, 4, 3, 2))
PLACES = np.array([2, 0, 2, -1])
S = 0.7
ZERO_AND_ONE = np.array([0.0, 1.0])


@jax.custom_jvp
def with_own_jvp(x, y):
    return jnp.sin(x) * y


with_own_jvp.defjvp(
    lambda at, move: (with_own_jvp(*at), 3 * move[0] * at[1] + jnp.sin(at[0]) * move[1])
)  # 3 and not cos(x), so that a rule that looks into the function instead is found out


@jax.custom_jvp
def scaled_by_integer(x, n):
    return x * n.astype(x.dtype), n


scaled_by_integer.defjvp(
    lambda at, move: (scaled_by_integer(*at), (5 * move[0] * at[1].astype(at[0].dtype), move[1]))
)


@jax.custom_vjp
def with_own_vjp(x, n):
    return x * x, n


with_own_vjp.defvjp(lambda x, n: (with_own_vjp(x, n), x), lambda x, g: (7 * g[0] * x, None))


def power_by_scan(x, factors):
    def step(carry, factor):
        count, product = carry
        return (count + 1, product * x * factor), (jnp.sin(product), count)

    (_, product), (sines, _) = lax.scan(step, (0, jnp.ones_like(x)), factors)
    return product, sines


def power_of_integers(a):
    with jax.numpy_dtype_promotion("standard"):
        return lax.pow(a, jnp.array([0, 1, 2, 3, -2]))


def scan_with_qr(x):
    fixed = jnp.eye(2)
    return lax.scan(lambda c, v: (c + v * jnp.linalg.qr(fixed)[1][0, 0], c), 0.0, x)


# Name: function, arguments. Every float among the arguments is differentiated by.
FUNCTIONS = {
    # one number at a time
    "neg": (lambda x: -x, V),
    "abs": (jnp.abs, W),
    "abs at 0": (jnp.abs, 0.0),
    "square": (jnp.square, W),
    "integer_pow": (lambda x: x**3 + x**-2, W),
    "integer_pow 0, 1, 2 at 0": (lambda x: lax.integer_pow(x, 0) + lax.integer_pow(x, 1) + x**2, 0.0),
    "sqrt": (jnp.sqrt, V),
    "rsqrt": (lax.rsqrt, V),
    "cbrt": (jnp.cbrt, W),
    "exp": (jnp.exp, W),
    "exp2": (jnp.exp2, W),
    "expm1": (jnp.expm1, W),
    "log": (jnp.log, V),
    "log1p": (jnp.log1p, W),
    "logistic": (jax.nn.sigmoid, W),
    "sin, cos, tan": (lambda x: (jnp.sin(x), jnp.cos(x), jnp.tan(x)), W),
    "asin": (jnp.arcsin, W),
    "acos": (jnp.arccos, W),
    "atan": (jnp.arctan, W),
    "sinh": (jnp.sinh, W),
    "cosh": (jnp.cosh, W),
    "tanh": (jnp.tanh, W),
    "asinh": (jnp.arcsinh, W),
    "acosh": (lambda x: jnp.arccosh(1 + x), V),
    "atanh": (jnp.arctanh, W),
    "erf": (lax.erf, W),
    "erfc": (lax.erfc, W),
    "erf_inv": (lax.erf_inv, W),
    "lgamma": (lax.lgamma, V),
    "polygamma": (lambda x: lax.polygamma(jnp.ones_like(x), x), V),
    "sign, floor, ceil, round": (lambda x: x * (jnp.sign(x) + jnp.floor(x) + jnp.ceil(x) + jnp.round(x)), W),
    # two or three numbers at a time
    "add": (jnp.add, V, W),
    "sub": (jnp.subtract, V, W),
    "mul": (jnp.multiply, V, W),
    "div": (jnp.divide, V, W),
    "rem": (lambda a, b: lax.rem(4 * a, b), V, W),
    "atan2": (jnp.arctan2, V, W),
    "pow": (jnp.power, V, W),
    "pow of 0": (lambda b: jnp.power(jnp.zeros(5), b) + jnp.power(b, 0.0), V),
    "pow, integer exponents": (power_of_integers, W),
    "max": (jnp.maximum, V, V[::-1]),
    "min": (jnp.minimum, V, V[::-1]),
    "max at a tie": (lambda x: jnp.maximum(x, 0.5), TIES),
    "clamp": (lax.clamp, np.full(5, 0.3), V, np.full(5, 0.6)),
    "clip by numbers": (lambda x: jnp.clip(x, -0.5, -0.3), W),
    # broadcasting pairs
    "array + number": (jnp.add, V, S),
    "number * array": (jnp.multiply, S, V),
    "matrix + row": (jnp.add, M, M[0]),
    "column * row": (jnp.multiply, M[:, :1], M[:1]),
    "matrix / column": (jnp.divide, M, 3 + M[:, :1]),
    "number to matrix": (lambda s: jnp.broadcast_to(s, (3, 4)), S),
    # uses
    "one variable, used twice": (lambda x: x * x + x, 3.0),
    "one variable, used often": (lambda x: functools.reduce(lambda y, _: y * jnp.sin(x) + y, range(6), x), S),
    "an argument that is not used": (lambda x, y: x**2, V, W),
    "a constant": (lambda x: jnp.ones(3), V),
    "the argument itself": (lambda x: x, V),
    "an integer argument": (lambda x, n: x[n], V, np.array([1, 3])),
    "rounded to integers": (lambda x: x * x.astype(int).astype(x.dtype), 4 * V),
    "where": (lambda x: jnp.where(x > 0.5, x**2, jnp.sin(x)), V),
    "where with NaN in the dead branch": (lambda x: jnp.where(x > 0, jnp.log(x), x), W),
    "where with infinity in the dead branch": (lambda x: jnp.where(x > 0, jnp.sqrt(x), x), ZERO_AND_ONE),
    "where, both safe": (lambda x: jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), x), ZERO_AND_ONE),
    "select_n of three": (lambda a, b, c: lax.select_n(jnp.array([0, 1, 2, 1, 0]), a, b, c), V, W, V * W),
    "stop_gradient": (lambda x: lax.stop_gradient(x) * x, V),
    "nextafter of nothing": (lambda x: x + lax.nextafter(lax.stop_gradient(x), jnp.ones_like(x)), V),
    # reductions and running ones
    "sum": (lambda x: (x.sum(), x.sum(0), x.sum((0, 2))), T),
    "mean, variance": (lambda x: (x.mean(1), x.var(axis=(0, 2)), x.std()), T),
    "max and min of an axis": (lambda x: (x.max(1), x.min((0, 2)), x.max()), T),
    "max of equal ones": (jnp.max, TIES),
    "min of equal ones": (jnp.min, TIES),
    "prod": (lambda x: (x.prod(1), x.prod((0, 2)), x.prod()), T),
    "prod with a zero": (jnp.prod, np.array([0.0, 2.0, 3.0])),
    "cumsum": (lambda x: (jnp.cumsum(x, 1), lax.cumsum(x, 0, reverse=True)), M),
    "cumprod": (lambda x: (jnp.cumprod(x, 1), lax.cumprod(x, 0, reverse=True)), M),
    "cumprod with a zero": (jnp.cumprod, np.array([2.0, 0.0, 3.0])),
    "cummax": (lambda x: (lax.cummax(x, 1), lax.cummax(x, 0, reverse=True)), M),
    "cummin": (lambda x: lax.cummin(x, 1), M),
    "cumlogsumexp": (lambda x: (lax.cumlogsumexp(x, 1), lax.cumlogsumexp(x, 0, reverse=True)), M),
    "norm": (jnp.linalg.norm, V),
    "logsumexp": (jax.nn.logsumexp, V),
    # products
    "matrix @ matrix": (jnp.matmul, M, N),
    "matrix @ vector": (jnp.matmul, M, N[:, 0]),
    "vector @ vector": (jnp.dot, V, W),
    "batched": (jnp.matmul, T, RNG.normal(size=(2, 4, 2))),
    "einsum, axes in disorder": (lambda a, b: jnp.einsum("bij,kjib->kb", a, b), T, CUBES),
    "dot_general, two sums": (lambda a, b: lax.dot_general(a, b, (((2, 1), (2, 1)), ((), ()))), T, T[:1]),
    "outer": (jnp.outer, V, W),
    # shapes and types
    "reshape": (lambda x: x.reshape(6, 4), T),
    "squeeze": (lambda x: lax.squeeze(x, (0,)), T[:1]),
    "transpose": (lambda x: x.transpose(2, 0, 1), T),
    "rev": (lambda x: x[::-1, ::-1], M),
    "expand_dims": (lambda x: jnp.expand_dims(x, (0, 2)), M),
    "broadcast_in_dim": (lambda x: jnp.broadcast_to(x[:, :1, None], (2, 3, 4, 5)), M),
    "tile": (lambda x: jnp.tile(x, (2, 3)), M),
    "repeat": (lambda x: jnp.repeat(x, 2, axis=0), M),
    "concatenate": (lambda a, b: jnp.concatenate([a, b, a], axis=1), M, N.T[:1].repeat(3, 0)),
    "stack": (lambda a, b: jnp.stack([a, b, a * b], axis=1), V, W),
    "split": (lambda x: jnp.split(x, [1, 3], axis=1)[1:], M),
    "unstack": (lambda x: jnp.unstack(x, axis=1)[2:], M),
    "pad": (lambda x, v: lax.pad(x, v, [(1, 2, 1), (-1, 0, 2)]), M, S),
    "convert": (lambda x: x.astype(jnp.float32).astype(jnp.float64) ** 2, V),
    "reduce_precision": (lambda x: lax.reduce_precision(x, 8, 23), V),
    "copy": (jnp.copy, V),
    "name": (lambda x: checkpoint_name(x, "x") ** 2, V),
    "optimization_barrier": (lambda a, b: lax.optimization_barrier((a, b)), V, W),
    "device_put": (lambda x: jax.device_put(x) ** 2, V),
    # places
    "slice": (lambda x: x[1:3, ::2], M),
    "one element": (lambda x: x[-1], V),
    "dynamic_slice": (lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 2)), M, 1),
    "dynamic_slice past the end": (lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 2)), M, 7),
    "dynamic_update_slice": (lambda x, u: lax.dynamic_update_slice(x, u, (1, 2)), M, N[:2]),
    "gather": (lambda x: x[PLACES], V),
    "gather rows": (lambda x: x[PLACES], M.T),
    "gather pairs": (lambda x: x[PLACES[:2], PLACES[1:3]], M),
    "take along": (lambda x: jnp.take_along_axis(x, jnp.argsort(x, axis=1), axis=1), M),
    "gather past the end": (lambda x: x.at[np.array([1, 9])].get(mode="fill", fill_value=2.0), V),
    "scatter": (lambda x, u: x.at[np.array([3, 0])].set(u), V, W[:2]),
    "scatter, one place twice": (lambda x, u: x.at[PLACES].set(u), V, W[:4]),
    "scatter rows": (lambda x, u: x.at[np.array([2, 0])].set(u), M, RNG.normal(size=(2, 4))),
    "scatter past the end": (lambda x, u: x.at[np.array([1, 9])].set(u), V, W[:2]),
    "scatter-add": (lambda x, u: x.at[PLACES].add(u), V, W[:4]),
    "scatter-add rows": (lambda x, u: x.at[PLACES].add(u), M, RNG.normal(size=(4, 4))),
    "scatter-sub": (lambda x, u: x.at[PLACES].subtract(u), V, W[:4]),
    "scatter-mul": (lambda x, u: x.at[np.array([3, 0])].multiply(u, unique_indices=True), V, W[:2]),
    "sort": (lambda x: jnp.sort(x, axis=0), M),
    "sort by a key": (lambda k, x: lax.sort((k, x, jnp.arange(5)), num_keys=1)[:2], V, W),
    "median": (jnp.median, V),
    "top_k": (lambda x: lax.top_k(x, 2)[0], M),
    # functions
    "jit": (jax.jit(lambda x, y: jnp.sin(x) * y), V, W),
    "checkpoint": (jax.checkpoint(lambda x: jnp.sin(jnp.sin(x))), V),
    "vmap": (jax.vmap(lambda row: jnp.dot(row, row) * row), M),
    "custom_jvp": (with_own_jvp, V, W),
    "custom_jvp with an integer": (lambda x: scaled_by_integer(x, jnp.array(2))[0], V),
    "custom_vjp": (lambda x: with_own_vjp(x, jnp.array(2))[0], V),
    "jax.nn.relu": (jax.nn.relu, np.array([-1.0, 0.0, 2.0])),
    "jax.nn.gelu, silu, softmax": (lambda x: (jax.nn.gelu(x), jax.nn.silu(x), jax.nn.softmax(x)), W),
    "cond": (lambda x: lax.cond(x.sum() > 0, jnp.sin, lambda x: x**2, x), V),
    "switch": (lambda x, i: lax.switch(i, [jnp.sin, jnp.cos, jnp.exp], x), V, 2),
    "scan": (power_by_scan, S, V),
    "scan, outputs not used": (lambda x: lax.scan(lambda c, v: (c * v, jnp.sqrt(v * 0)), 1.0, x)[0], V),
    "scan, late": (lambda x: lax.scan(lambda c, v: ((c[1], c[0] * v), c), (1.0, 1.0), x), V),
    "scan, a constant without a rule": (scan_with_qr, V),
    "checkpoint, outputs not used": (lambda x: jax.checkpoint(lambda x: (x * 2, jnp.sqrt(x * 0)))(x)[0], V),
    "an empty slice": (lambda x: x[2:2:2], V),
    "product of nothing": (lambda x: (x.prod(0), x.prod(1)), np.zeros((0, 3))),
    "complex where it does not matter": (lambda x: jnp.where(jnp.abs(jnp.fft.fft(x)) > 1, x, 2 * x), V),
    "scan backwards": (lambda x: lax.scan(lambda c, v: (c * v + v, c), 1.0, x, reverse=True), V),
    "fori_loop": (lambda x: lax.fori_loop(0, 5, lambda i, y: y * jnp.cos(x) + i, x), S),
    "a while of constants": (lambda x: x * lax.while_loop(lambda n: n < 9.0, lambda n: n * 2, 1.0), V),
    "a gradient by JAX inside": (jax.grad(lambda x: jnp.sum(x * x * jnp.sin(x))), V),
    "associative_scan": (lambda x: lax.associative_scan(jnp.multiply, x), V),
}  # fmt: skip


def scalar(f):
    """The function's results, each element with a weight of its own, summed to one number."""

    def weighted(*args):
        results = [leaf for leaf in jax.tree.leaves(f(*args)) if jnp.issubdtype(leaf.dtype, jnp.floating)]
        return sum(
            jnp.sum(leaf.astype(float) * jnp.cos(1 + jnp.arange(leaf.size, dtype=float)).reshape(leaf.shape))
            for leaf in results
        )

    return weighted


def gradients(transform, f, args, orders):
    """The gradient, and the gradient of a weighted sum of the gradient's elements, and so on."""
    places = tuple(p for p, arg in enumerate(args) if jnp.issubdtype(jnp.result_type(arg), jnp.floating))
    found = []
    for _ in range(orders):
        f = transform(scalar(f), places)
        found.append(f(*args))
    return found


def check(name, orders=2):
    """Compare first and second derivatives with JAX's."""
    f, *args = FUNCTIONS[name]
    got, expected = jax.jit(
        lambda *args: [gradients(grad, f, args, orders) for grad in (backprop.grad, jax.grad)]
    )(*args)
    assert_trees_close(got, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_s61_s65_equal_to_jax_and_so_is_the_gradient_of_the_gradient(name, x64):
    check(name)


# --- every rule is tested: broken, it is found out ---------------------------------------------------


def primitives(graph_):
    """All primitives of a graph, those of the functions in it too."""
    operations = [node for node in graph_.nodes if isinstance(node, graph.Operation)]
    inner = [function for node in operations for function in graph.functions_in(node)]
    return {node.primitive for node in operations}.union(*map(primitives, inner))


@functools.cache
def functions_by_primitive():
    """For every primitive the functions of the table that use it."""
    found = {"digamma": ["lgamma"]}  # whose derivative it is
    with jax.enable_x64(True):
        for name, (f, *args) in FUNCTIONS.items():
            for primitive in primitives(jaxprs.trace(f, *args)):
                found.setdefault(primitive, []).append(name)
    return found


def broken(rule, uses):
    """The rule with all it says one per cent too large; or, of one that says nothing, with something."""

    @functools.wraps(rule)
    def wrong(g, output, /, *operands, **settings):
        uses.append(1)
        shares = rule(g, output, *operands, **settings)
        if all(share is None for share in shares):
            return [g for _ in shares]
        return [None if share is None else share * 1.01 for share in shares]

    return wrong


@pytest.mark.parametrize("primitive", sorted({*backprop.RULES} - {"while", "jit"}))
def test_a_broken_rule_is_found_out(primitive, x64, monkeypatch):
    uses = []
    monkeypatch.setitem(backprop.RULES, primitive, broken(backprop.RULES[primitive], uses))
    for name in functions_by_primitive()[primitive]:
        f, *args = FUNCTIONS[name]
        for orders in (1, 2):
            jax.eval_shape(lambda *args, f=f, n=orders: gradients(backprop.grad, f, args, n), *args)
            if uses:
                with pytest.raises(AssertionError, match="Not equal to tolerance"):
                    check(name, orders)
                return
    pytest.fail("no function of the table uses this rule")


# --- the book's and the notes' examples --------------------------------------------------------------


@jax.jit
def distance(y_true, y):
    return jnp.abs(y_true - y)


def worked_example(x, w, b, y_true):
    return distance(y_true, x * w + b)


def traced_example(*arguments):
    example = jaxprs.trace(worked_example, *arguments, opened=lambda call: call.name != "distance")
    return example, graph.evaluate(example, *arguments)


def test_s63_the_worked_example_of_the_book():
    example, values = traced_example(2.0, 3.0, 1.0, 4.0)
    named = {node.name: float(value) for node, (value,) in zip(example.nodes, values, strict=True)}
    assert named == {"x": 2, "w": 3, "b": 1, "y_true": 4, "mul": 6, "add": 7, "distance": 3}
    gradients = backprop.backward(example, values, [jnp.ones([])])
    name = [node.name for node in example.nodes]
    w = backprop.paths(example, values, graph.Output(name.index("w")))
    b = backprop.paths(example, values, graph.Output(name.index("b")))
    assert [list(map(float, path.slopes)) for path in w] == [[2, 1, 1]]  # x1 by w, x2 by x1, loss by x2
    assert [list(map(float, path.slopes)) for path in b] == [[1, 1]]  # x2 by b, loss by x2
    assert gradients.outputs[graph.Output(name.index("w"))] == 2
    assert gradients.outputs[graph.Output(name.index("b"))] == 1


def test_s63_a_call_kept_as_one_node_has_the_gradients_of_the_opened_one(monkeypatch):
    arguments = (2.0, 3.0, 1.0, 4.0)
    kept, kept_values = traced_example(*arguments)
    gradients = backprop.backward(kept, kept_values, [jnp.ones([])]).outputs
    expected = jax.grad(worked_example, (0, 1, 2, 3))(*arguments)
    assert [gradients[graph.Output(place)] for place in range(4)] == list(expected)
    monkeypatch.setitem(backprop.RULES, "jit", broken(backprop.RULES["jit"], []))
    wrong = backprop.backward(kept, kept_values, [jnp.ones([])]).outputs
    assert wrong[graph.Output(0)] != expected[0]


def test_s64_the_gradient_is_the_sum_over_paths_of_the_products_along_them():
    def f(x):
        y = x * x + x
        return y * jnp.sin(y) + x

    traced = jaxprs.trace(f, 3.0)
    values = graph.evaluate(traced, 3.0)
    paths = backprop.paths(traced, values, graph.Output(0))
    assert len(paths) == 7  # x to y by 3 paths, y to the result by 2; and x itself
    for path in paths:
        np.testing.assert_allclose(path.product, np.prod(np.array(path.slopes)), rtol=1e-6)
    y, dy = 12.0, 7.0
    total = sum(path.product for path in paths)
    np.testing.assert_allclose(total, dy * (np.sin(y) + y * np.cos(y)) + 1, rtol=1e-5)
    gradients = backprop.backward(traced, values, [jnp.ones([])])
    into_x = [
        share
        for (place, slot), share in gradients.edges.items()
        if traced.nodes[place].operands[slot].node == 0
    ]
    np.testing.assert_allclose(gradients.outputs[graph.Output(0)], sum(into_x), rtol=1e-6)


def test_s64_two_paths_of_one_variable_make_seven():
    square = jaxprs.trace(lambda x: x * x + x, 3.0)
    paths = backprop.paths(square, graph.evaluate(square, 3.0), graph.Output(0))
    assert sorted(float(path.product) for path in paths) == [1, 3, 3]
    assert backprop.grad(lambda x: x * x + x)(3.0) == 7


def test_s64_paths_are_of_single_numbers():
    traced = jaxprs.trace(lambda x: (x * x).sum(), jnp.ones(3))
    with pytest.raises(ValueError, match="expected a single number"):
        backprop.paths(traced, graph.evaluate(traced, jnp.ones(3)), graph.Output(0))


def test_s65_derivatives_known_by_heart():
    assert backprop.grad(jnp.cbrt)(0.0) == jnp.inf
    assert backprop.grad(lambda x: 2 * x + 3)(11.0) == 2
    assert backprop.grad(lambda t: 4.9 * t**2)(2.0) == pytest.approx(19.6)
    assert backprop.grad(backprop.grad(lambda t: 4.9 * t**2))(2.0) == pytest.approx(9.8)


def test_s52_what_the_slope_leaves_out_is_half_the_curvature_times_the_square_of_the_step(x64):
    from experiments import backpropagation

    def bowl(x):  # its second derivative is 3 everywhere
        return 1.5 * jnp.sum(x**2) + jnp.sum(x)

    rows, curvature = backpropagation.promises(bowl, jnp.array([2.0, -1.0]))
    assert curvature == pytest.approx(3)
    for step, promised, came in rows:
        assert promised == pytest.approx(-step * np.hypot(7, -2))
        assert (came - promised) / step**2 == pytest.approx(1.5, rel=1e-4)


# --- on networks -------------------------------------------------------------------------------------

BY_JAX = training.Recipe(layers.mlp(784, 512, 10), optimizers.nesterov(0.1), batch_size=128)
BY_HAND = BY_JAX._replace(value_and_grad=backprop.value_and_grad)


def test_s51_s61_s86_the_gradient_of_the_mnist_loss_leaf_by_leaf(mnist):
    params = BY_JAX.model.init(jax.random.key(0))
    assert 2 * layers.count(params) == 814_100  # forward passes, to try every coefficient on both sides
    batch = Batch(
        jnp.asarray(mnist.train.images[:128]).reshape(128, 784).astype(jnp.float32) / 255,
        jnp.asarray(mnist.train.labels[:128]),
        jnp.ones(128),
    )
    value, got = backprop.value_and_grad(training.mean_loss)(params, batch, BY_JAX)
    expected_value, expected = jax.value_and_grad(training.mean_loss)(params, batch, BY_JAX)
    np.testing.assert_allclose(value, expected_value, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6 * float(jnp.abs(b).max()))


def test_s51_equal_to_trying_every_coefficient_one_at_a_time(toy, x64):
    model = layers.mlp(6, 5, 3)
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), model.init(jax.random.key(1)))
    batch = Batch(jnp.asarray(toy.images, jnp.float64), jnp.asarray(toy.labels), jnp.ones(50, jnp.float64))
    recipe = training.Recipe(model, optimizers.sgd(0.1))
    flat, unflatten = jax.flatten_util.ravel_pytree(params)

    def loss(flat):
        return training.mean_loss(unflatten(flat), batch, recipe)

    one_by_one = [(loss(flat.at[i].add(1e-6)) - loss(flat.at[i].add(-1e-6))) / 2e-6 for i in range(flat.size)]
    np.testing.assert_allclose(backprop.grad(loss)(flat), one_by_one, rtol=1e-6, atol=1e-8)


def test_s61_mnist_trained_with_it_has_the_loss_curve_of_jax(mnist):
    some = jax.tree.map(lambda array: jnp.asarray(array[: 100 * 128]), mnist.train)
    (params, history), (expected_params, expected) = (
        training.train(jax.random.key(0), some, recipe, 1) for recipe in (BY_HAND, BY_JAX)
    )
    assert history.loss.shape == (1, 100)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-4)
    assert_trees_close(params, expected_params, rtol=1e-3, atol=1e-5)


def test_s61_it_differentiates_whole_runs_and_under_vmap(toy):
    recipe = training.Recipe(layers.mlp(6, 4, 3), optimizers.sgd(0.1), batch_size=10)
    batch = Batch(jnp.asarray(toy.images), jnp.asarray(toy.labels), jnp.ones(50, jnp.float32))

    def after_training(learning_rate):
        rate = recipe._replace(optimizer=optimizers.sgd(learning_rate))
        params, _ = training.train(jax.random.key(0), toy, rate, 2)
        return training.mean_loss(params, batch, recipe)

    rates = jnp.array([0.01, 0.3], jnp.float32)
    got = jax.vmap(backprop.grad(after_training))(rates)
    np.testing.assert_allclose(got, jax.vmap(jax.grad(after_training))(rates), rtol=1e-4)


# --- the signature of jax.grad -----------------------------------------------------------------------


def test_argnums_and_auxiliary_values_and_keywords():
    def f(x, y, *, scale):
        return scale * jnp.sum(x["a"] * y), {"rows": jnp.array(len(y)), "twice": 2 * y}

    x, y = {"a": jnp.arange(3.0), "unused": jnp.ones(2)}, jnp.array([1.0, 4.0, 2.0])
    for argnums in (0, 1, -1, (1, 0), (0,)):
        got = backprop.value_and_grad(f, argnums, has_aux=True)(x, y, scale=2.0)
        assert_trees_close(got, jax.value_and_grad(f, argnums, has_aux=True)(x, y, scale=2.0))
        got = backprop.grad(f, argnums, has_aux=True)(x, y, scale=2.0)
        assert_trees_close(got, jax.grad(f, argnums, has_aux=True)(x, y, scale=2.0))


def test_integers_where_they_are_allowed():
    def f(n, x):
        return x * jnp.float32(2)

    got = backprop.grad(f, (0, 1), allow_int=True)(3, 2.0)
    expected = jax.grad(f, (0, 1), allow_int=True)(3, 2.0)
    assert got[0].dtype == expected[0].dtype == jax.dtypes.float0 and got[1] == expected[1]


@pytest.mark.parametrize(
    ("function", "argument", "error", "message"),
    [
        (jnp.sin, 3, TypeError, r"got int32 of shape \(\)"),
        (jnp.sin, 1j, TypeError, "got complex64"),
        (jnp.sin, np.ones(3), TypeError, r"returned float32 of shape \(3,\)"),
        (lambda x: (x > 0).any(), np.ones(3), TypeError, "returned bool"),
        (lambda x: jnp.abs(jnp.fft.fft(x)).sum(), np.ones(4), NotImplementedError, "got complex64"),
        (lambda x: jnp.linalg.qr(x)[0].sum(), np.eye(2), NotImplementedError, "has no rule; give it one"),
        (lambda x: lax.while_loop(lambda y: y < 9, jnp.square, x), 2.0, NotImplementedError, "use lax.scan"),
    ],
)  # fmt: skip
def test_what_it_does_not_do_it_says(function, argument, error, message):
    with pytest.raises(error, match=message):
        backprop.grad(function)(argument)


def test_arguments_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"argnums: got 1, but there are 1"):
        backprop.grad(jnp.sin, 1)(1.0)
    with pytest.raises(ValueError, match=r"argnums: got \[0, -1\], expected each argument once"):
        backprop.grad(jnp.sin, (0, -1))(1.0)
    with pytest.raises(TypeError, match="has_aux: the function returned list, expected a pair"):
        backprop.grad(lambda x: [x, x], has_aux=True)(1.0)
    with pytest.raises(TypeError, match="the function returned NoneType, expected one"):
        backprop.grad(lambda x: None)(1.0)
    with pytest.raises(ValueError, match=r"gradient by the result: got shape \(\), expected \(3,\)"):
        backprop.vjp(jnp.sin, jnp.ones(3))[1](jnp.ones([]))
    with pytest.raises(NotImplementedError, match="holomorphic: got True"):
        backprop.grad(jnp.sin, holomorphic=True)


def test_a_user_can_give_a_rule(monkeypatch):
    monkeypatch.setattr(backprop, "RULES", dict(backprop.RULES))
    backprop.defvjp("cholesky", lambda g, y, x: [jnp.full_like(x, 5)])
    by_cholesky = backprop.grad(lambda x: jnp.linalg.cholesky(x, symmetrize_input=False).sum())
    assert by_cholesky(jnp.eye(2)).tolist() == [[5, 5], [5, 5]]
    backprop.defvjp("sign", lambda g, y, x: [g])  # the straight-through estimator
    assert backprop.grad(lambda x: 3 * jnp.sign(x))(2.0) == 3


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda g, y, x: [jnp.ones(3)], r"rule of 'sin': got gradient of shape \(3,\), expected \(\)"),
        (lambda g, y, x: [g, g], "rule of 'sin': .* expected 1 gradients"),
        (lambda g, y, x: g, "rule of 'sin': .* expected 1 gradients"),
        (lambda g, y, x, *, axes: [g], r"rule of 'sin': asks for \['axes'\], settings are \['accuracy'\]"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_name(rule, message, monkeypatch):
    monkeypatch.setitem(backprop.RULES, "sin", rule)
    with pytest.raises(TypeError, match=message):
        backprop.grad(jnp.sin)(1.0)
