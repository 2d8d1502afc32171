"""Rows S39, S43 to S46 and S67 to S78 of the notes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import layers

KEY = jax.random.key(0)
NOTES = layers.sequential(
    layers.dense(784, 512, layers.relu, layers.naive_uniform),
    layers.dense(512, 10, layers.softmax, layers.naive_uniform),
)


def numpy_forward(params, x):
    """Two dense layers, relu between them, in NumPy and float64."""
    (w1, b1), (w2, b2) = ((np.asarray(p["w"], np.float64), np.asarray(p["b"], np.float64)) for p in params)
    hidden = np.maximum(x.astype(np.float64) @ w1 + b1, 0)
    return hidden, hidden @ w2 + b2


def test_s39_dense_without_activation_is_affine():
    layer = layers.dense(5, 3)
    params = {"w": jax.random.normal(KEY, (5, 3)), "b": jnp.array([1.0, 2.0, 3.0])}
    x = jax.random.normal(jax.random.key(1), (4, 5))
    np.testing.assert_allclose(
        layer.forward(params, x), np.asarray(x) @ np.asarray(params["w"]) + [1, 2, 3], rtol=1e-5
    )


def test_s43_forward_and_every_layer_of_it_equal_numpy():
    model = layers.mlp(784, 512, 10)
    params = model.init(KEY)
    x = jax.random.uniform(jax.random.key(1), (128, 784))
    hidden, logits = numpy_forward(params, np.asarray(x))
    np.testing.assert_allclose(model.forward(params, x), logits, atol=1e-4)
    stages = layers.activations([layers.dense(784, 512, layers.relu), layers.dense(512, 10)], params, x)
    np.testing.assert_allclose(stages[0], hidden, atol=1e-4)
    np.testing.assert_allclose(stages[1], logits, atol=1e-4)


def test_s44_s77_the_notes_network_has_four_weight_arrays_and_407050_numbers():
    params = NOTES.init(KEY)
    shapes = [(layer["w"].shape, layer["b"].shape) for layer in params]
    assert shapes == [((784, 512), (512,)), ((512, 10), (10,))]
    assert layers.count(params) == 401_920 + 5_130 == 407_050


def test_s46_same_key_same_bits_and_different_keys_differ():
    first, again, other = (NOTES.init(jax.random.key(seed)) for seed in (7, 7, 8))
    for a, b, c in zip(*map(jax.tree.leaves, (first, again, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.shape == c.shape
    assert np.mean(np.asarray(first[0]["w"]) == np.asarray(other[0]["w"])) < 1e-3


def test_s46_s67_initialisers_have_the_stated_distributions():
    shape = (784, 512)
    n = 784 * 512
    naive = np.asarray(layers.naive_uniform(KEY, shape))
    assert naive.min() >= 0 and naive.max() < 0.1
    assert abs(naive.mean() - 0.05) < 4 * 0.0289 / n**0.5
    assert abs(naive.std() - 0.0289) < 1e-4
    glorot = np.asarray(layers.glorot_uniform(KEY, shape))
    assert 0.0679 < np.abs(glorot).max() <= 0.0680414  # Keras: sqrt(6 / (784 + 512))
    assert abs(glorot.std() - 0.0680414 / 3**0.5) < 1e-4
    small = np.asarray(layers.glorot_uniform(KEY, (512, 10)))
    assert 0.1070 < np.abs(small).max() <= 0.1072113
    he = np.asarray(layers.he_normal(KEY, shape))
    assert abs(he.mean()) < 4 * 0.0505 / n**0.5
    assert abs(he.std() - (2 / 784) ** 0.5) < 1e-4


def test_s69_zero_biases_learn_but_equal_weights_stay_equal():
    x = jax.random.uniform(jax.random.key(1), (20, 6))
    target = jnp.arange(20) % 3

    def train(initializer):
        model = layers.sequential(
            layers.dense(6, 8, layers.relu, initializer), layers.dense(8, 3, initializer=initializer)
        )
        params = model.init(KEY)

        def loss(params):
            return -jax.nn.log_softmax(model.forward(params, x))[jnp.arange(20), target].mean()

        gradient = jax.jit(jax.grad(loss))
        first_grad = gradient(params)
        for _ in range(50):
            params = jax.tree.map(lambda w, g: w - 0.5 * g, params, gradient(params))
        return first_grad, params

    grad, params = train(layers.glorot_uniform)
    assert np.abs(np.asarray(grad[0]["b"])).max() > 1e-3  # a bias of zero has a gradient from the first step
    units = np.asarray(params[0]["w"])
    assert np.abs(units - units[:, :1]).max() > 0.1

    _, params = train(lambda key, shape: jnp.full(shape, 0.1))
    units = np.asarray(params[0]["w"])
    np.testing.assert_allclose(units, np.repeat(units[:, :1], 8, axis=1), rtol=1e-5)
    assert np.abs(units - 0.1).max() > 1e-3  # they did learn, all of them the same


def test_s70_shapes_through_the_network():
    x = jnp.ones((128, 784))
    assert NOTES.forward(NOTES.init(KEY), x).shape == (128, 10)
    assert layers.dense(784, 512).forward(NOTES.init(KEY)[0], x).shape == (128, 512)


def test_s71_softmax_is_not_element_wise_and_relu_is():
    row = jnp.array([1.0, 2.0, 3.0])
    changed = row.at[0].set(5.0)
    assert layers.softmax(changed)[1] != layers.softmax(row)[1]
    np.testing.assert_array_equal(layers.relu(changed)[1:], layers.relu(row)[1:])


@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e4])
def test_s72_softmax_is_a_distribution_equal_to_jax_nn(scale):
    logits = scale * jax.random.normal(KEY, (50, 10))
    probabilities = layers.softmax(logits)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(probabilities, jax.nn.softmax(logits), rtol=1e-6)
    np.testing.assert_allclose(
        layers.softmax(logits - logits[:, :1]), probabilities, rtol=1e-5 * max(scale, 1), atol=1e-7
    )


def test_relu_equals_jax_nn_with_derivative_0_at_0():
    assert np.isnan(layers.relu(jnp.array([jnp.nan])))
    x = jnp.array([-2.0, -0.0, 0.0, 1e-30, 3.0])
    np.testing.assert_array_equal(layers.relu(x), jax.nn.relu(x))
    np.testing.assert_array_equal(jax.vmap(jax.grad(layers.relu))(x), [0, 0, 0, 1, 1])


def test_s73_the_product_is_the_matrix_product():
    w = jax.random.normal(KEY, (4, 3))
    x = jax.random.normal(jax.random.key(1), (2, 4))
    by_hand = [[sum(float(x[i, k] * w[k, j]) for k in range(4)) for j in range(3)] for i in range(2)]
    layer = layers.dense(4, 3)
    np.testing.assert_allclose(layer.forward({"w": w, "b": jnp.zeros(3)}, x), by_hand, rtol=1e-5, atol=1e-6)


def test_s74_s76_b1_b2_gradients_line_up_with_parameters():
    params = NOTES.init(KEY)
    grads = jax.eval_shape(jax.grad(lambda p: NOTES.forward(p, jnp.ones((2, 784)))[0, 0]), params)
    assert jax.tree.structure(grads) == jax.tree.structure(params)
    assert len(jax.tree.leaves(params)) == 4
    assert [g.shape for g in jax.tree.leaves(grads)] == [p.shape for p in jax.tree.leaves(params)]


def test_s75_sequential_is_function_composition():
    first, second = layers.dense(3, 4, layers.relu), layers.dense(4, 2)
    model = layers.sequential(first, second)
    params = model.init(KEY)
    x = jnp.ones((5, 3))
    np.testing.assert_array_equal(
        model.forward(params, x), second.forward(params[1], first.forward(params[0], x))
    )


def test_s78_b3_a_wrong_number_of_features_or_layers_is_refused():
    model = layers.mlp(784, 512, 10)
    params = model.init(KEY)
    with pytest.raises(ValueError, match=r"got 28 features an example, expected 784"):
        model.forward(params, jnp.ones((10_000, 28, 28)))  # the notes' test images, which were not reshaped
    with pytest.raises(ValueError, match=r"got 785 features an example, expected 784"):
        model.forward(params, jnp.ones((2, 785)))
    with pytest.raises(
        ValueError, match="parameters: got 1 of them, expected a tuple of 2, one for each layer"
    ):
        model.forward(params[:1], jnp.ones((2, 784)))


def test_b1_b2_a_function_in_the_place_of_parameters_is_refused(as_a_user):
    model = layers.mlp(784, 512, 10)
    with pytest.raises(
        ValueError, match="parameters: got a function, expected a tuple of 2, one for each layer"
    ):
        model.forward(NOTES.init, jnp.ones((2, 784)))


def test_b8_grey_values_that_nobody_scaled_are_refused_by_the_layer_itself(as_a_user):
    model = layers.mlp(784, 512, 10)
    with pytest.raises(
        ValueError, match=r"dense layer: got uint8, expected floats; see batches\.as_features"
    ):
        model.forward(model.init(KEY), jnp.ones((2, 784), jnp.uint8))
