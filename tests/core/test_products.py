"""The faster matrix products: equal to the plain one, or to that of rounded factors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import graph, jaxprs, layers, products

KEY = jax.random.key(0)


def test_s73_s86_the_gradient_of_few_outputs_is_the_same_and_not_by_the_slow_product():
    def mean_of_squares(forward):
        return lambda params, x: jnp.mean(forward(params, x) ** 2)

    fast, plain = layers.mlp(784, 10), layers.dense(784, 10)
    params = plain.init(KEY)
    x = np.random.default_rng(0).normal(size=(128, 784)).astype(np.float32)
    y = x.astype(np.float64) @ np.asarray(params["w"], np.float64)
    (got,) = jax.grad(mean_of_squares(fast.forward))((params,), jnp.asarray(x))
    np.testing.assert_allclose(got["w"], x.astype(np.float64).T @ y * 2 / y.size, rtol=1e-4, atol=1e-6)

    def has_slow_product(forward, params):  # one that lies in memory row by row of x.T
        program = (
            jax.jit(jax.grad(mean_of_squares(forward))).lower(params, jnp.asarray(x)).compile().as_text()
        )
        return "f32[784,10]{1,0} dot(" in str(program)

    if not has_slow_product(plain.forward, params):
        pytest.skip("this XLA takes the fast product by itself, so the barrier in products.py could go")
    assert not has_slow_product(fast.forward, (params,))


@pytest.mark.parametrize(("outputs", "is_fast"), [(1, True), (16, True), (17, False)])
def test_only_few_outputs_have_the_fast_gradient(outputs, is_fast):
    x, w = jnp.ones((3, 4)), jnp.ones((4, outputs))
    for product in (jnp.matmul, products.matmul_bfloat16):
        program = str(jax.make_jaxpr(products.for_few_outputs(product))(x, w))
        assert ("optimization_barrier" in program) == is_fast


@pytest.mark.parametrize(
    ("chosen", "dtype"), [(products.FLOAT32, "float32"), (products.BFLOAT16, "bfloat16")]
)
def test_a_network_multiplies_everywhere_with_the_products_it_is_given(chosen, dtype):
    model = layers.mlp(5, 20, 20, 3, products=chosen)
    traced = jaxprs.trace(
        jax.grad(lambda params: model.forward(params, jnp.ones((2, 5))).var()),
        jax.eval_shape(model.init, KEY),
        opened=lambda call: True,
    )
    factors = [
        {graph.type_of(traced, operand).dtype.name for operand in node.operands}
        for node in traced.nodes
        if isinstance(node, graph.Operation) and node.primitive == "dot_general"
    ]
    assert len(factors) == 3 + 3 + 2  # forwards; by w; by the inputs, without those of the network
    assert all(dtypes == {dtype} for dtypes in factors)


def test_s29_s30_products_of_bfloat16_and_their_gradients_are_those_of_rounded_factors():
    rng = np.random.default_rng(0)
    x, y, g = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((5, 7), (7, 3), (5, 3)))

    def rounded(array):
        return np.asarray(array.astype(jnp.bfloat16).astype(jnp.float32), np.float64)

    got, gradients = jax.vjp(products.matmul_bfloat16, x, y)
    by_x, by_y = gradients(g)
    assert got.dtype == by_x.dtype == by_y.dtype == jnp.float32
    np.testing.assert_allclose(got, rounded(x) @ rounded(y), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_x, rounded(g) @ rounded(y).T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_y, rounded(x).T @ rounded(g), rtol=1e-5, atol=1e-6)
    assert np.abs(got - np.asarray(x) @ np.asarray(y)).max() > 1e-3  # it is another product
