"""Backpropagation by hand against ``jax.grad``, central differences, and the book's worked example."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_trees_close
from core.derivatives import broken
from jax import lax

from jaxnaive import backprop, graph, jaxprs, layers, optimizers, training, walk
from jaxnaive.batches import Batch

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
    gradients = walk.backward(example, values, [jnp.ones([])])
    name = [node.name for node in example.nodes]
    w = walk.paths(example, values, graph.Output(name.index("w")))
    b = walk.paths(example, values, graph.Output(name.index("b")))
    assert [list(map(float, path.slopes)) for path in w] == [[2, 1, 1]]  # x1 by w, x2 by x1, loss by x2
    assert [list(map(float, path.slopes)) for path in b] == [[1, 1]]  # x2 by b, loss by x2
    assert gradients.outputs[graph.Output(name.index("w"))] == 2
    assert gradients.outputs[graph.Output(name.index("b"))] == 1


def test_s63_a_call_kept_as_one_node_has_the_gradients_of_the_opened_one():
    arguments = (2.0, 3.0, 1.0, 4.0)
    as_one_node, values = traced_example(*arguments)
    gradients = walk.backward(as_one_node, values, [jnp.ones([])]).outputs
    expected = jax.grad(worked_example, (0, 1, 2, 3))(*arguments)
    assert [gradients[graph.Output(place)] for place in range(4)] == list(expected)
    rules = {"jit": broken(walk.RULES["jit"], [])}
    wrong = walk.backward(as_one_node, values, [jnp.ones([])], rules=rules).outputs
    assert wrong[graph.Output(0)] != expected[0]


def test_s64_the_gradient_is_the_sum_over_paths_of_the_products_along_them():
    def f(x):
        y = x * x + x
        return y * jnp.sin(y) + x

    traced = jaxprs.trace(f, 3.0)
    values = graph.evaluate(traced, 3.0)
    paths = walk.paths(traced, values, graph.Output(0))
    assert len(paths) == 7  # x to y by 3 paths, y to the result by 2; and x itself
    for path in paths:
        np.testing.assert_allclose(path.product, np.prod(np.array(path.slopes)), rtol=1e-6)
    y, dy = 12.0, 7.0
    total = sum(path.product for path in paths)
    np.testing.assert_allclose(total, dy * (np.sin(y) + y * np.cos(y)) + 1, rtol=1e-5)
    gradients = walk.backward(traced, values, [jnp.ones([])])
    into_x = [
        one for (place, slot), one in gradients.edges.items() if traced.nodes[place].operands[slot].node == 0
    ]
    np.testing.assert_allclose(gradients.outputs[graph.Output(0)], sum(into_x), rtol=1e-6)


def test_s64_two_paths_of_one_variable_make_seven():
    square = jaxprs.trace(lambda x: x * x + x, 3.0)
    paths = walk.paths(square, graph.evaluate(square, 3.0), graph.Output(0))
    assert sorted(float(path.product) for path in paths) == [1, 3, 3]
    assert backprop.grad(lambda x: x * x + x)(3.0) == 7


def test_s64_paths_are_of_single_numbers():
    traced = jaxprs.trace(lambda x: (x * x).sum(), jnp.ones(3))
    with pytest.raises(ValueError, match="expected a single number"):
        walk.paths(traced, graph.evaluate(traced, jnp.ones(3)), graph.Output(0))


def test_s65_derivatives_known_by_heart():
    assert backprop.grad(jnp.cbrt)(0.0) == jnp.inf
    assert backprop.grad(lambda x: 2 * x + 3)(11.0) == 2
    assert backprop.grad(jnp.power)(0.0, 0.0) == 0  # jax.grad gives NaN
    assert backprop.grad(lambda t: 4.9 * t**2)(2.0) == pytest.approx(19.6)
    assert backprop.grad(backprop.grad(lambda t: 4.9 * t**2))(2.0) == pytest.approx(9.8)


# --- on networks -------------------------------------------------------------------------------------

BY_JAX = training.Recipe(layers.mlp(784, 512, 10), optimizers.nesterov(0.1), batch_size=128)


def test_s51_s61_s86_the_gradient_of_the_mnist_loss_leaf_by_leaf(mnist):
    params = BY_JAX.model.init(jax.random.key(0))
    assert 2 * layers.count(params) == 814_100  # forward passes, to try every coefficient on both sides
    batch = Batch(
        jnp.asarray(mnist.train.images[:128]).reshape(128, 784).astype(jnp.float32) / 255,
        jnp.asarray(mnist.train.labels[:128]),
        jnp.ones(128),
    )
    (value, got), (expected_value, expected) = jax.jit(
        lambda params, batch: [
            value_and_grad(training.mean_loss)(params, batch, BY_JAX)
            for value_and_grad in (backprop.value_and_grad, jax.value_and_grad)
        ]
    )(params, batch)
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

    moves = 1e-6 * jnp.eye(flat.size)
    one_by_one = jax.jit(jax.vmap(lambda move: (loss(flat + move) - loss(flat - move)) / 2e-6))(moves)
    np.testing.assert_allclose(jax.jit(backprop.grad(loss))(flat), one_by_one, rtol=1e-6, atol=1e-8)


def test_s61_mnist_trained_with_it_has_the_loss_curve_of_jax(mnist):
    examples = jax.tree.map(lambda array: jnp.asarray(array[: 100 * 128]), mnist.train)
    by_jax = BY_JAX._replace(model=layers.mlp(784, 64, 10))
    by_hand = by_jax._replace(value_and_grad=backprop.value_and_grad)
    (params, history), (expected_params, expected) = (
        training.train(jax.random.key(0), examples, recipe, 1) for recipe in (by_hand, by_jax)
    )
    assert history.loss.shape == (1, 100)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-4)
    assert_trees_close(params, expected_params, rtol=1e-3, atol=1e-5)


def test_s61_it_differentiates_whole_runs_and_under_vmap(toy):
    recipe = training.Recipe(layers.mlp(6, 3), optimizers.sgd(0.1), batch_size=25)
    batch = Batch(jnp.asarray(toy.images), jnp.asarray(toy.labels), jnp.ones(50, jnp.float32))

    def after_training(learning_rate):
        rate = recipe._replace(optimizer=optimizers.sgd(learning_rate))
        params, _ = training.train(jax.random.key(0), toy, rate, 2)
        return training.mean_loss(params, batch, recipe)

    rates = jnp.array([0.01, 0.3], jnp.float32)
    got, expected = jax.jit(
        lambda rates: [jax.vmap(grad(after_training))(rates) for grad in (backprop.grad, jax.grad)]
    )(rates)
    np.testing.assert_allclose(got, expected, rtol=1e-4)


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


def write(x):
    ref = jax.new_ref(jnp.zeros(2))
    ref[0] = x
    return ref[...]


@pytest.mark.parametrize(
    ("function", "argument", "error", "message"),
    [
        (jnp.sin, 3, TypeError, r"got int32 of shape \(\)"),
        (jnp.sin, 1j, TypeError, "returned complex64 .* holomorphic=True"),
        (jnp.sin, np.ones(3), TypeError, r"returned float32 of shape \(3,\)"),
        (lambda x: (x > 0).any(), np.ones(3), TypeError, "returned bool"),
        (lambda x: lax.nextafter(x, 9.0), 2.0, NotImplementedError, "'nextafter' in .*test_b.*rules="),
        (lambda x: x.at[0].apply(jnp.sin).sum(), np.ones(3), NotImplementedError, "'scatter' in .*test_b"),
        (lambda x: write(x)[0], 2.0, NotImplementedError, r"'new_ref' in .*test_b.*x.at\[index\]"),
        (lambda x: jax.pure_callback(np.sin, x, x), 2.0, ValueError, "'pure_callback' in .*test_b"),
        (lambda x: lax.while_loop(lambda y: y < 9, jnp.square, x), 2.0, ValueError, "'while' in .*lax.scan"),
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
    with pytest.raises(ValueError, match=r"gradient by the result: got float32 of shape \(\), .* \(3,\)"):
        backprop.vjp(jnp.sin, jnp.ones(3))[1](jnp.ones([]))
    with pytest.raises(TypeError, match=r"holomorphic: got float32 of shape \(\), expected complex"):
        backprop.grad(jnp.sin, holomorphic=True)(1.0)
    with pytest.raises(TypeError, match=r"returned float32 of shape .* complex number, as it is said"):
        backprop.grad(jnp.abs, holomorphic=True)(1j)


# --- complex numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda z: z**3 + jnp.exp(1j * z),
        lambda z: jnp.sqrt(z) * jnp.log(z) / (1 + z),
        lambda z: jnp.tanh(z) + jnp.sin(z) * jnp.arctan(z),
        lambda z: z ** (2 + 1j),
        lambda z: jnp.prod(jnp.stack([z, z + 1, z * 1j])),
    ],
)
def test_the_gradient_of_a_holomorphic_function_is_its_complex_slope(function, x64):
    z, step = -0.7 + 0.4j, 1e-6 * np.exp(0.3j)  # the slope is the same in every direction
    got = backprop.grad(function, holomorphic=True)(z)
    np.testing.assert_allclose(got, (function(z + step) - function(z - step)) / (2 * step), rtol=1e-8)
    np.testing.assert_allclose(got, jax.grad(function, holomorphic=True)(z), rtol=1e-12)


@pytest.mark.parametrize(
    "function",
    [jnp.abs, jnp.angle, lambda z: (z * jnp.conj(z)).real, lambda z: jnp.exp(1j * z).imag, jnp.real],
)
def test_the_gradient_of_a_real_result_by_a_complex_number(function, x64):
    z, h = 1.3 - 0.6j, 1e-6
    by_a, by_b = ((function(z + step) - function(z - step)) / (2 * h) for step in (h, h * 1j))
    got = backprop.grad(function)(z)
    np.testing.assert_allclose(got, by_a - 1j * by_b, rtol=1e-8, atol=1e-8)
    assert function(z - 0.01 * np.conj(got)) < function(z)
    np.testing.assert_allclose(got, jax.grad(function)(z), rtol=1e-12)


def test_complex_results_and_arguments_of_vjp(x64):
    rng = np.random.default_rng(0)
    m, x = (rng.normal(size=(2, *shape)) for shape in ((3, 3), (3,)))
    m, x = m[0] + 1j * m[1], x[0] + 1j * x[1]

    def function(m, x):
        return jnp.fft.fft(m @ x) * jnp.abs(x).sum().astype(x.dtype), jnp.where(x.real > 0, x, jnp.conj(x))

    results = [vjp(function, m, x) for vjp in (backprop.vjp, jax.vjp)]
    g = jax.tree.map(lambda leaf: leaf * (2 - 1j), results[1][0])
    assert_trees_close(*[(value, pullback(g)) for value, pullback in results], rtol=1e-12)


# --- Python that asks for values ---------------------------------------------------------------------


def newton(x):
    steps = 0
    while abs(x * x - 2) > 1e-3:
        x, steps = x - (x * x - 2) / (2 * x), steps + 1
    return x, {"steps": steps}


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: x * x if x > 0 else -x, 3.0),
        (lambda x: x * x if x > 0 else -x, -3.0),
        (lambda x: sum(x**n for n in range(int(x))), 3.5),
        (lambda x: x[int(jnp.argmax(x))] * x.sum(), np.array([1.0, 3.0, 2.0])),
        (lambda x: jax.nn.relu(x) if x > 0 else x, 2.0),
        (lambda x: sevenfold(x) if x > 0 else x, 2.0),
    ],
)
def test_python_may_branch_on_a_value(function, x):
    got, expected = (both(function)(x) for both in (backprop.value_and_grad, jax.value_and_grad))
    assert_trees_close(got, expected)
    assert jax.typeof(got[1]).weak_type == jax.typeof(expected[1]).weak_type


@jax.custom_vjp
def sevenfold(x):
    return x * x


sevenfold.defvjp(lambda x: (x * x, None), lambda _, g: (7 * g,))


def test_python_may_loop_until_a_value_is_small():
    (value, found), slope = backprop.value_and_grad(newton, has_aux=True)(1.5)
    (expected, _), expected_slope = jax.value_and_grad(newton, has_aux=True)(1.5)
    assert (value, slope) == (expected, expected_slope) and found == {"steps": 2}


def test_it_may_not_when_the_value_is_not_known_or_rules_are_given():
    with pytest.raises(jax.errors.TracerBoolConversionError):
        jax.jit(backprop.grad(lambda x: x if x > 0 else -x))(1.0)
    with pytest.raises(jax.errors.TracerBoolConversionError):
        backprop.grad(lambda x: jnp.sin(x) if x > 0 else -x, rules=SEVEN)(1.0)


# --- the same in every respect -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (lambda x: x * x + x, 3.0),
        (lambda x: 2.0, 3.0),
        (lambda x: jnp.sin(x).sum(), np.ones(3, np.float16)),
        (lambda x: jnp.dot(x, x, preferred_element_type=jnp.float32), jnp.ones(3, jnp.bfloat16)),
        (lambda x: x["a"][0] * 2, {"a": [1.0, None], "b": (), "c": None}),
    ],
)
def test_gradients_have_the_types_and_structure_of_jax(function, argument):
    got, expected = (jax.tree.map(jax.typeof, grad(function)(argument)) for grad in (backprop.grad, jax.grad))
    assert jax.tree.structure(got) == jax.tree.structure(expected) and got == expected


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (lambda x: 1e-30 / x, 1e-25, -1e20),  # x ** -2 overflows, JAX has -inf
        (lambda x: x**0.0, 0.0, 0),  # the slope of a constant; JAX has NaN
        (lambda x: jnp.sum(x ** jnp.array([0.0, 1.0, 2.0])), 0.0, 1),  # as here
        (jax.nn.relu, 0.0, 0),
        (lambda x: jnp.maximum(x, 1.0), 1.0, 0.5),
        (lambda x: jnp.clip(x, 1.0, 2.0), 1.0, 0.5),
        (lambda x: 1 / x, 0.0, -np.inf),
        (lambda x: x**0.0, np.inf, 0),
    ],
)
def test_special_points(function, x, expected):
    np.testing.assert_allclose(backprop.grad(function)(x), expected, rtol=1e-6)


def test_a_pullback_can_leave_a_compiled_function():
    value, pullback = jax.jit(lambda x: backprop.vjp(jnp.sin, x))(0.5)
    np.testing.assert_allclose(
        [value, *jax.jit(lambda f, g: f(g))(pullback, 2.0)], [np.sin(0.5), 2 * np.cos(0.5)]
    )


def test_it_works_on_the_shards_of_an_array():
    mesh = jax.make_mesh((1,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))

    def gradients(grad, w, x):
        def step(w, x):
            return grad(lambda w, x: lax.psum((jnp.sin(x) * w).sum(), "i"), (0, 1))(w, x)

        specs = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("i")
        return jax.shard_map(step, mesh=mesh, in_specs=specs, out_specs=specs)(w, x)

    w, x = jnp.float32(2.0), jnp.arange(4.0)
    assert_trees_close(*(gradients(grad, w, x) for grad in (backprop.grad, jax.grad)), rtol=1e-6)


def test_what_a_function_does_besides_is_done_when_it_is_traced():
    seen = []
    assert backprop.grad(lambda x: (seen.append(x), 3 * x)[1])(2.0) == 3
    with pytest.raises(jax.errors.UnexpectedTracerError, match="leaked"):
        jnp.sin(seen[0])


# --- rules of the user -------------------------------------------------------------------------------


def test_a_user_can_give_a_rule():
    rules = {"cholesky": lambda g, y, x: [jnp.full_like(x, 5)]}
    by_cholesky = backprop.grad(lambda x: jnp.linalg.cholesky(x, symmetrize_input=False).sum(), rules=rules)
    assert by_cholesky(jnp.eye(2)).tolist() == [[5, 5], [5, 5]]
    straight_through = {"sign": lambda g, y, x: [g]}  # the estimator of this name
    assert backprop.grad(jnp.sign, rules={"sign": lambda g, y, x: [7]})(2.0) == 7
    for x in (2.0, -0.5):
        assert backprop.grad(lambda x: 3 * jnp.sign(x), rules=straight_through)(x) == 3
        value, gradient = backprop.value_and_grad(lambda x: 3 * jnp.sign(x), rules=straight_through)(x)
        assert (value, gradient) == (3 * np.sign(x), 3)
        _, pullback = backprop.vjp(lambda x: 3 * jnp.sign(x), x, rules=straight_through)
        assert pullback(jnp.ones([])) == (3,)


SEVEN = {"sin": lambda g, y, x: [7 * g]}


def test_a_users_rule_belongs_to_one_call_of_grad():
    def all_three(x):
        before = backprop.grad(jnp.sin)(x)
        return [before, backprop.grad(jnp.sin, rules=SEVEN)(x), backprop.grad(jnp.sin)(x)]

    expected = [np.cos(0.5), 7, np.cos(0.5)]
    for calls in (all_three, jax.jit(all_three)):
        np.testing.assert_allclose(calls(0.5), expected, rtol=1e-6)
    compiled = [jax.jit(backprop.grad(jnp.sin, rules=rules)) for rules in (None, SEVEN)]
    for _ in range(2):  # the second time without a trace
        np.testing.assert_allclose([f(0.5) for f in compiled], [np.cos(0.5), 7], rtol=1e-6)
    assert "sin" in walk.RULES and walk.RULES["sin"] is not SEVEN["sin"]


def test_a_users_rule_is_not_that_of_the_gradient_of_the_gradient():
    def gradient(x):  # sin(x) + 7 x
        return backprop.grad(lambda x: jnp.sin(x) * x, rules=SEVEN)(x)

    np.testing.assert_allclose(gradient(0.5), np.sin(0.5) + 3.5, rtol=1e-6)
    np.testing.assert_allclose(backprop.grad(gradient)(0.5), np.cos(0.5) + 7, rtol=1e-6)
    np.testing.assert_allclose(backprop.grad(gradient, rules=SEVEN)(0.5), 7 + 7, rtol=1e-6)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda g, y, x: [jnp.ones(3)], r"rule of 'sin': got gradient of shape \(3,\), expected \(\)"),
        (lambda g, y, x: [g.astype(jnp.float16)], "rule of 'sin': got gradient of float16, expected float32"),
        (lambda g, y, x: [g, g], "rule of 'sin': .* expected 1 gradients"),
        (lambda g, y, x: g, "rule of 'sin': .* expected 1 gradients"),
        (lambda g, y, x, *, axes: [g], r"rule of 'sin': asks for 'axes', expected one of \['accuracy'"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_name(rule, message):
    with pytest.raises(TypeError, match=message):
        backprop.grad(jnp.sin, rules={"sin": rule})(1.0)
