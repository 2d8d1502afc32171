"""Rows S47 to S49, S53, S55, S56, S66, S82, S83, S85, S86, S89, S90 and S94 of the notes."""

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import assert_trees_close
from jax.flatten_util import ravel_pytree

from jaxnaive import backprop, batches, layers, losses, optimizers, regression, training
from jaxnaive.batches import Examples
from jaxnaive.training import Recipe

KEY = jax.random.key(0)


MODEL = layers.mlp(6, 16, 3)
RECIPE = Recipe(
    MODEL, optimizers.sgd(0.1), batch_size=7
)  # most tests use its programs: made anew it compiles anew
EPOCHS = 5


@partial(jax.jit, static_argnames="model")
def plain_step(params, images, labels, model):
    def loss(params):
        return losses.cross_entropy(model.forward(params, batches.as_features(images)), labels).mean()

    return jax.tree.map(lambda w, g: w - 0.1 * g, params, jax.grad(loss)(params))


def python_loop(recipe, state, examples, epochs):
    """The same run as plain Python over slices; the last batch is short, not padded."""
    params, n = state.params, len(examples.labels)
    for epoch in range(epochs):
        order = batches.epoch_order(state.key, epoch, n) if recipe.shuffle else np.arange(n)
        images, labels = (np.asarray(a)[np.asarray(order)] for a in examples[:2])
        for i in range(0, n, recipe.batch_size):
            part = slice(i, i + recipe.batch_size)
            params = plain_step(params, images[part], labels[part], recipe.model)
    return params


@partial(jax.jit, static_argnames="recipe")
def gradient(params, images, labels, weight, recipe):
    batch = batches.Batch(images, labels, weight)
    return jax.grad(training.mean_loss)(params, batch, recipe)


@pytest.mark.parametrize("shuffle", [True, False])
def test_s53_s81_7_of_50_gives_the_parameters_of_a_python_loop(toy, shuffle):
    recipe = RECIPE._replace(shuffle=shuffle)
    params, history = training.train(KEY, toy, recipe, EPOCHS)
    assert history.loss.shape == (EPOCHS, 8)
    expected = python_loop(recipe, training.start(KEY, RECIPE), toy, EPOCHS)
    assert_trees_close(params, expected, rtol=1e-4, atol=1e-6)


def test_s53_s81_128_of_60000_gives_the_parameters_of_a_python_loop(mnist):
    recipe = Recipe(layers.mlp(784, 10), optimizers.sgd(0.1), batch_size=128)
    params, history = training.train(KEY, mnist.train, recipe, 1)
    assert history.loss.shape == (1, 469)
    assert_trees_close(
        params, python_loop(recipe, training.start(KEY, recipe), mnist.train, 1), rtol=1e-3, atol=1e-5
    )


def test_s83_s86_gradients_equal_float64_central_differences_leaf_by_leaf(toy, x64):
    params = jax.tree.map(lambda a: a.astype(jnp.float64), MODEL.init(KEY))
    weight = jnp.array([1, 1, 1, 1, 1, 0, 0], jnp.float64)
    batch = batches.Batch(jnp.asarray(toy.images[:7], jnp.float64), jnp.asarray(toy.labels[:7]), weight)
    grads = gradient(params, *batch, RECIPE)
    flat, unflatten = ravel_pytree(params)

    def slope(move):
        up, down = (training.mean_loss(unflatten(flat + sign * move), batch, RECIPE) for sign in (1.0, -1.0))
        return (up - down) / 2e-6

    numeric = unflatten(jax.jit(jax.vmap(slope))(1e-6 * jnp.eye(flat.size)))
    assert_trees_close(grads, numeric, rtol=1e-6, atol=1e-8)


def test_s96_metrics_are_only_looked_at_and_accuracy_is_one_of_them(toy):
    def fraction_of_class_0(logits, labels):
        return jnp.mean(logits.argmax(axis=-1) == 0)

    recipe = RECIPE._replace(metrics=(losses.accuracy, losses.confusion, fraction_of_class_0))
    params, expected = (training.train(KEY, toy, r, EPOCHS)[0] for r in (recipe, RECIPE))
    assert_trees_close(params, expected)
    test = training.evaluate(params, toy, recipe)
    assert list(test.metrics) == ["accuracy", "confusion", "fraction_of_class_0"]
    assert test.accuracy == test.metrics["accuracy"] == jnp.trace(test.metrics["confusion"]) / 50
    assert test.metrics["fraction_of_class_0"] == test.metrics["confusion"][:, 0].sum() / 50


def test_s47_the_loss_on_a_fixed_batch_falls_at_every_small_step(toy):
    recipe = RECIPE._replace(batch_size=50, optimizer=optimizers.sgd(0.01), shuffle=False)
    _, history = training.train(KEY, toy, recipe, 100)
    assert np.all(np.diff(history.loss.ravel()) < 0)


def test_s49_s82_a_step_is_a_pure_function_of_state_and_batch(toy):
    state = training.start(KEY, RECIPE)
    before = jax.tree.map(np.array, state.params)
    batch = batches.take(
        toy, jax.tree.map(lambda a: a[0], batches.index_table(jnp.arange(50, dtype=jnp.int32), 7))
    )
    first, again = (  # traced twice
        jax.jit(lambda state, batch: training.train_step(state, batch, RECIPE))(state, batch)
        for _ in range(2)
    )
    assert_trees_close((first[0].params, first[1]), (again[0].params, again[1]))
    assert_trees_close(jax.tree.map(np.array, state.params), before)
    assert jax.tree.map(lambda a: a.shape, first[0].params) == jax.tree.map(lambda a: a.shape, state.params)


def test_a_seed_is_that_of_a_key(toy):
    for seed in (3, jnp.int32(3)):
        of_seed, of_key = (training.train(key, toy, RECIPE, 1) for key in (seed, jax.random.key(3)))
        assert_trees_close(of_seed, of_key)


def test_s55_s56_batch_sizes_one_and_all_are_the_same_code(toy):
    for batch_size, steps in ((1, 50), (50, 1), (80, 1)):
        recipe = RECIPE._replace(batch_size=batch_size)
        params, history = training.train(KEY, toy, recipe, 2)
        assert history.loss.shape == (2, steps)
        expected = python_loop(recipe, training.start(KEY, RECIPE), toy, 2)
        assert_trees_close(params, expected, rtol=1e-4, atol=1e-6)


def test_s56_the_full_batch_gradient_is_the_mean_of_the_examples_gradients(toy):
    params = training.start(KEY, RECIPE).params

    def grads(images, labels):
        return gradient(params, images, labels, jnp.ones(len(labels)), RECIPE)

    images, labels = jnp.asarray(toy.images), jnp.asarray(toy.labels)
    one_by_one = [grads(images[i : i + 1], labels[i : i + 1]) for i in range(50)]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / 50, *one_by_one)
    assert_trees_close(grads(images, labels), mean, rtol=1e-4, atol=1e-7)


def test_s85_the_gradient_does_not_depend_on_the_batch_size_of_duplicated_data(toy):
    params = training.start(KEY, RECIPE).params

    def grads(times):
        images, labels = jnp.tile(toy.images, (times, 1)), jnp.tile(toy.labels, times)
        return gradient(params, images, labels, jnp.ones(len(labels)), RECIPE)

    assert_trees_close(grads(1), grads(4), rtol=1e-4, atol=1e-7)


def test_s89_any_optimizer_of_optax_drops_in(toy):
    with jax.numpy_dtype_promotion("standard"):  # optax relies on it
        for optimizer in (
            optax.adam(0.01),
            optax.rmsprop(0.01),
            optax.chain(optax.clip(1.0), optax.adagrad(0.1)),
        ):
            _, history = training.train(KEY, toy, RECIPE._replace(batch_size=10, optimizer=optimizer), 30)
            assert history.loss[-1].mean() < 0.7 * history.loss[0].mean()


def test_s66_a_run_is_a_function_of_its_key_and_the_two_roads_agree(toy):
    recipe = RECIPE._replace(optimizer=optimizers.nesterov(0.05))
    params, history = training.train(KEY, toy, recipe, 4)
    again, _ = training.train(KEY, toy, recipe, 4)
    assert_trees_close(params, again)
    state = training.start(KEY, recipe)
    for epoch in range(4):
        state, loss = training.train_epoch(state, toy, recipe)
        np.testing.assert_allclose(loss, history.loss[epoch], rtol=1e-5)
    assert state.epoch == 4
    assert_trees_close(state.params, params, rtol=1e-5, atol=1e-6)
    other, _ = training.train(jax.random.key(1), toy, recipe, 4)
    assert np.abs(np.asarray(other[0]["w"]) - np.asarray(params[0]["w"])).max() > 0.1


def test_vmap_over_keys_trains_many_networks_at_once(toy):
    keys = jax.random.split(KEY, 3)
    params, history = jax.vmap(lambda key: training.train(key, toy, RECIPE, EPOCHS))(keys)
    assert history.loss.shape == (3, EPOCHS, 8)
    for i, key in enumerate(keys):
        alone, _ = training.train(key, toy, RECIPE, EPOCHS)
        assert_trees_close(jax.tree.map(lambda a, i=i: a[i], params), alone, rtol=1e-4, atol=1e-6)


def test_s90_no_epochs_is_the_first_parameters(toy):
    params, history = training.train(KEY, toy, RECIPE, 0)
    assert history.loss.shape == (0, 8)
    assert_trees_close(params, training.start(KEY, RECIPE).params, rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match="epochs: got -1, expected 0 or more"):
        training.train(KEY, toy, RECIPE, -1)


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 2345])
def test_s94_evaluation_counts_every_example_once(n):
    rng = np.random.default_rng(n)
    examples = Examples(rng.random((n, 6)).astype(np.float32), rng.integers(0, 3, n).astype(np.int32))
    params = training.start(KEY, RECIPE).params
    result = training.evaluate(params, examples, RECIPE)
    x = examples.images.astype(np.float64)
    (w1, b1), (w2, b2) = ((np.asarray(p["w"], np.float64), np.asarray(p["b"], np.float64)) for p in params)
    z = np.maximum(x @ w1 + b1, 0) @ w2 + b2
    loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(n), examples.labels]
    np.testing.assert_allclose(result.logits, z, atol=1e-5)
    np.testing.assert_allclose(result.loss, loss.mean(), rtol=1e-5)
    np.testing.assert_allclose(result.accuracy, (z.argmax(axis=1) == examples.labels).mean(), rtol=1e-6)


def test_predict_takes_images_as_they_are_and_refuses_others(digits):
    model = layers.mlp(64, 10)
    params = model.init(KEY)
    logits = training.predict(params, digits.test.images, model)
    scaled = training.predict(params, digits.test.images / np.float32(255), model)
    np.testing.assert_allclose(logits, scaled, atol=1e-6)
    with pytest.raises(ValueError, match="got 8 features an example, expected 64"):
        training.predict(params, digits.test.images[0], model)
    with pytest.raises(ValueError, match="got 784 features an example, expected 64"):
        training.predict(params, np.zeros((2, 28, 28), np.uint8), model)


def test_b8_integers_that_are_not_grey_values_are_refused_at_prediction_too(digits, as_a_user):
    model = layers.mlp(64, 10)
    with pytest.raises(ValueError, match="images: got int32, expected uint8 or float32"):
        training.predict(model.init(KEY), digits.test.images.astype(np.int32), model)


def test_evaluation_gives_forward_a_batch_as_training_does(toy):
    model = layers.sequential(layers.dense(6, 3, lambda x: layers.softmax(x) + 0 * x[:, :1]))
    recipe = Recipe(model, optimizers.sgd(0.1), losses.cross_entropy_of_probabilities, batch_size=10)
    params, _ = training.train(KEY, toy, recipe, 1)
    assert np.isfinite(training.evaluate(params, toy, recipe).loss)


def test_bad_examples_are_refused_before_anything_compiles(toy, as_a_user):
    short = Examples(toy.images, toy.labels[:-1])
    start = time.perf_counter()
    for run in (
        lambda: training.train(KEY, short, RECIPE, 1),
        lambda: training.evaluate({}, short, RECIPE),
    ):
        with pytest.raises(ValueError, match="got 50 images and 49 labels"):
            run()
    with pytest.raises(ValueError, match="batch size: got 0, expected 1 or more"):
        training.train(KEY, toy, RECIPE._replace(batch_size=0), 1)
    assert time.perf_counter() - start < 5


def test_one_training_compile_and_one_evaluation_compile(toy, caplog):
    recipe = RECIPE._replace(optimizer=optimizers.sgd(0.123))
    with jax.log_compiles():
        state = training.start(KEY, recipe)
        for _ in range(3):
            state, _ = training.train_epoch(state, toy, recipe)
            training.evaluate(state.params, toy, recipe)
    compiled = [
        r.getMessage() for r in caplog.records if r.getMessage().startswith("Finished XLA compilation")
    ]
    for name in ("train_epoch", "evaluate", "start"):
        assert sum(f"jit({name})" in message for message in compiled) == 1, compiled


@pytest.mark.parametrize(
    ("images", "labels"),
    [(np.ones((1, 4)), [1]), (np.ones((6, 4)), [0, 2, 0, 2, 0, 2]), (np.eye(4), [0, 0, 0, 0])],
)
def test_odd_but_possible_data_are_trained_on(images, labels):
    examples = batches.Examples(images.astype(np.float32), np.array(labels, np.int32))
    recipe = training.Recipe(layers.mlp(4, 3), optimizers.adam(0.01), batch_size=1)
    params, history = training.train(jax.random.key(0), examples, recipe, 3)
    assert np.isfinite(history.loss).all() and np.isfinite(training.evaluate(params, examples, recipe).loss)


SETTINGS = {  # of JAX, and how far apart the results may be
    "rank promotion": (lambda: jax.numpy_rank_promotion("raise"), 0.0),
    "x64": (lambda: jax.enable_x64(True), 0.0),
    "no NaN": (lambda: jax.debug_nans(True), 0.0),
    "no infinity": (lambda: jax.debug_infs(True), 0.0),
    "no leaks": (jax.checking_leaks, 0.0),
    "no jit": (jax.disable_jit, 1e-5),  # XLA fuses nothing, and rounds in other places
}


def all_of_the_core(examples):
    """What the core computes: with both kinds of gradients, each optimizer, each loss and metric."""
    examples = jax.tree.map(lambda array: array[:12], examples)
    plain = RECIPE._replace(batch_size=5)  # the last batch is short
    walked = plain._replace(
        optimizer=optimizers.adam(0.01),
        loss=losses.smoothed_cross_entropy(0.1),
        metrics=(losses.accuracy, losses.confusion),
        value_and_grad=backprop.value_and_grad,
    )
    params, history = training.train(3, examples, walked, 1)
    state, loss = training.train_epoch(training.start(jax.random.key(4), plain), examples, plain)
    targets = jnp.asarray(examples.images[:, :3])
    moved = [
        jax.jit(rule.update)(params, rule.init(params), params)
        for rule in (
            getattr(optimizers, name)(0.1) for name in ("momentum", "nesterov", "adagrad", "rmsprop")
        )
    ]
    return [
        params, history, state.params, state.epoch, loss, moved,
        training.evaluate(params, examples, walked),
        training.predict(params, np.zeros((2, 2, 3), np.uint8), MODEL),
        [f(targets / 2, targets) for f in (regression.squared_error, regression.r_squared)],
        losses.cross_entropy_of_probabilities(layers.softmax(targets), jnp.asarray(examples.labels)),
        losses.cross_entropy_one_hot(targets, targets),
    ]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_core_trains_to_the_same_numbers_and_dtypes_under_each_setting_of_jax(toy, setting):
    under, tolerance = SETTINGS[setting]
    expected = all_of_the_core(toy)
    with under():
        got = all_of_the_core(toy)
    assert_trees_close(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [9.0, "7", float("nan"), None])
def test_a_batch_size_that_is_no_integer_is_refused_by_name(toy, as_a_user, size):
    with pytest.raises(ValueError, match=f"batch size: got {size!r}, expected 1 or more, an integer"):
        training.train(KEY, toy, RECIPE._replace(batch_size=size), 1)
