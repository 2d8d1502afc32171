"""The notes' mistakes: which JAX reports, what the silent ones change in a training, and what they cost."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import batches, layers, mistakes, optimizers, training
from jaxnaive.batches import Batch, Examples

pytestmark = pytest.mark.xdist_group("mistakes")  # one worker trains, for all tests

KEY = jax.random.key(0)
NO_IMAGES = np.zeros((1, 64), np.uint8)


@pytest.fixture(scope="module")
def run(digits):
    return mistakes.correct(KEY, digits.train, classes=10, epochs=4, seeds=3)


@pytest.fixture(scope="module")
def costs(run, digits):
    return mistakes.costs(run, digits.test)


def changed(run, title, test_images=NO_IMAGES):
    """The training with the one mistake whose title begins like this."""
    (mistake,) = (mistake for mistake in mistakes.MISTAKES if mistake.title.startswith(title))
    return mistake.change(run, test_images)


def trained(run, rows):
    return mistakes.train_epoch(run.weights, rows, run.images, run.labels, run.divisor, run.trained, run.loss)


# --- what they change ----------------------------------------------------------------------------------


def test_the_training_without_a_mistake_is_that_of_jaxnaive(run, digits):
    rows = run.epochs[0]
    assert len(run.epochs) == 4 and rows.shape == (3, 144, 10)
    assert all(len(np.unique(order)) == 1440 for order in rows.reshape(3, -1))
    recipe = training.Recipe(layers.mlp(64, mistakes.HIDDEN, 10), optimizers.sgd(mistakes.LEARNING_RATE))
    w1, b1, w2, b2 = (w[1] for w in run.weights)
    params = ({"w": w1, "b": b1}, {"w": w2, "b": b2})
    state = training.State(params, recipe.optimizer.init(params), KEY, jnp.zeros([], jnp.int32))
    images, labels = batches.as_features(digits.train.images), jnp.asarray(digits.train.labels)

    def step(state, row):
        return training.train_step(state, Batch(images[row], labels[row], jnp.ones(10)), recipe)

    state, _ = jax.jit(lambda state: jax.lax.scan(step, state, rows[1]))(state)
    theirs = [layer[name] for layer in state.params for name in "wb"]
    for ours, expected in zip(trained(run, rows), theirs, strict=True):
        np.testing.assert_allclose(ours[1], expected, rtol=1e-4, atol=1e-5)


def test_b3_the_layer_that_is_missing_keeps_its_first_weights(run):
    weights = trained(changed(run, "a layer is missing"), run.epochs[0])
    same = [bool((new == old).all()) for new, old in zip(weights, run.weights, strict=True)]
    assert same == [True, True, False, False]


def test_b4_the_last_image_gets_the_label_that_jax_reads_past_the_end(run):
    lost = run.labels[1:]
    np.testing.assert_array_equal(changed(run, "the first label").labels, lost[jnp.arange(len(run.labels))])


def test_b6_b8_the_test_images_and_the_grey_values(run, digits):
    other = changed(run, "test images", digits.test.images)
    np.testing.assert_array_equal(other.images[:355], digits.test.images.reshape(355, -1))
    np.testing.assert_array_equal(other.images[355:710], other.images[:355])
    np.testing.assert_array_equal(other.labels, digits.train.labels)
    assert changed(run, "grey values").divisor == 1


def test_b9_the_examples_are_the_same_in_larger_batches(run):
    for rows, original in zip(changed(run, "the batch size").epochs, run.epochs, strict=True):
        assert rows.shape == (3, 11, 128)
        np.testing.assert_array_equal(rows.reshape(3, -1), original.reshape(3, -1)[:, : 11 * 128])


def test_b10_every_epoch_has_the_stored_order_and_it_may_be_that_of_the_classes(run):
    assert not (run.epochs[0] == run.epochs[1]).all(axis=(1, 2)).any()
    for rows in changed(run, "not shuffled, in").epochs:
        np.testing.assert_array_equal(rows, np.sort(run.epochs[0].reshape(3, -1)).reshape(rows.shape))
    by_class = changed(run, "not shuffled, files")
    assert (np.diff(by_class.labels[by_class.epochs[1]].reshape(3, -1)) >= 0).all()
    pairs, expected = ({(image.tobytes(), int(label)) for image, label in zip(np.asarray(r.images), r.labels,
                                                                             strict=True)}
                       for r in (by_class, run))  # fmt: skip
    assert pairs == expected


def test_b11_an_empty_batch_has_a_gradient_of_0_so_one_epoch_is_all(run):
    rows = changed(run, "no end: empty").epochs
    assert len(rows) == 1 and (rows[0] == run.epochs[0]).all()
    for after, before in zip(trained(run, run.epochs[1][:, :1, :0]), run.weights, strict=True):
        np.testing.assert_array_equal(after, before)


def test_b11_a_start_past_the_end_is_clamped_to_the_last_batch(run):
    first, second, *_ = changed(run, "no end: dynamic_slice").epochs
    clamped = jax.lax.dynamic_slice(first[0].reshape(-1), (1440,), (10,))
    assert (first == run.epochs[0]).all() and (second[0] == clamped).all()


def test_b12_the_two_losses_are_right_for_moderate_logits_and_have_no_gradient_for_others():
    losses = mistakes.log_of_softmax, mistakes.log_of_clipped_softmax, training.losses.cross_entropy

    @jax.jit
    def values_and_slopes(logits):
        labels = jnp.array([1], jnp.int32)
        return [jax.value_and_grad(lambda z, f=loss: f(z, labels).sum())(logits) for loss in losses]

    moderate = values_and_slopes(jnp.array([[1.0, -2.0, 0.5]]))
    expected = np.log(np.exp([1, -2, 0.5]).sum()) + 2
    np.testing.assert_allclose([value for value, _ in moderate], expected, rtol=1e-5)
    (unclipped, nan), (clipped, zero), (right, slope) = values_and_slopes(jnp.array([[200.0, 0.0, 0.0]]))
    assert np.isinf(unclipped) and np.isnan(nan).all()
    assert clipped == pytest.approx(-np.log(1e-7), rel=1e-5) and not zero.any()
    assert right == 200 and slope.tolist() == [[1, -1, 0]]


# --- what they cost ------------------------------------------------------------------------------------

LOST = [  # row, title, and the test accuracy lost on digits, at least and at most
    ("B3", "a layer is missing", 0.05, 0.5),
    ("B4", "the first label", 0.7, 1),
    ("B5", "one-hot loss", 0.7, 1),
    ("B6", "test images", 0.6, 1),
    ("B8", "grey values", 0.7, 1),
    ("B9", "the batch size", 0.1, 0.6),
    ("B10", "not shuffled, in the order", -0.04, 0.04),
    ("B10", "not shuffled, files sorted", 0.3, 1),
    ("B11", "no end: empty", 0.05, 0.4),
    ("B11", "no end: dynamic_slice", 0.15, 1),
    ("B12", "log after softmax", 0.7, 1),
    ("B12", "log after softmax, clipped", 0.6, 1),
]


@pytest.mark.parametrize(
    ("place", "row", "title", "low", "high"), [(k, *case) for k, case in enumerate(LOST)]
)
def test_b3_b4_b5_b6_b8_b9_b10_b11_b12_cost_accuracy(costs, place, row, title, low, high):
    assert len(costs) == len(LOST)
    mistake, right, wrong = costs[place]
    assert mistake.row == row and mistake.title.startswith(title)
    assert right.shape == wrong.shape == (3,) and right.mean() > 0.85
    assert low <= right.mean() - wrong.mean() <= high


def test_b12_after_nan_every_image_is_a_zero(costs, digits):
    (cost,) = (cost for cost in costs if cost.mistake.title == "log after softmax")
    np.testing.assert_allclose(cost.wrong, np.mean(digits.test.labels == 0), rtol=1e-6)


# --- what reports them ---------------------------------------------------------------------------------


METHOD: Any = [].copy  # a method, where its result is meant


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        pytest.param(lambda: jax.grad(jnp.sum)(METHOD), TypeError, "not a valid JAX type", id="B1"),
        pytest.param(lambda: [].extend(METHOD), TypeError, "not iterable", id="B2"),
        pytest.param(
            lambda: mistakes.one_hot_loss(jnp.zeros((128, 10)), jnp.zeros(128, jnp.int32)),
            (TypeError, ValueError),
            "(?i)incompatible shapes",
            id="B5",
        ),
        pytest.param(
            lambda: jnp.zeros((3, 28, 28)) @ jnp.zeros((784, 32)), TypeError, "dot_general requires", id="B7"
        ),
        pytest.param(
            lambda: compile("def weights(self):\nreturn []", "notes", "exec"),
            IndentationError,
            "expected an indented block",
            id="B13",
        ),
    ],
)
def test_b1_b2_b5_b7_b13_are_loud(action, error, message):
    with pytest.raises(error, match=message):
        action()


def test_b5_a_batch_of_as_many_examples_as_classes_or_of_one_is_silent():
    logits = jax.random.normal(KEY, (10, 10))
    for labels in (jnp.arange(10), jnp.array([3], jnp.int32)):
        batch = logits[: len(labels)]
        expected = -np.asarray(labels, np.float32) * np.asarray(jax.nn.log_softmax(batch))
        np.testing.assert_allclose(mistakes.one_hot_loss(batch, labels), expected.sum(axis=1), rtol=1e-5)


def test_b5_b8_switches_of_jax_refuse_the_silent_ones():
    logits, labels = jnp.zeros((10, 10)), jnp.arange(10)
    with jax.numpy_rank_promotion("raise"), pytest.raises(ValueError, match="could not be broadcast"):
        mistakes.one_hot_loss(logits, labels)
    grey, weights = jnp.zeros((2, 10), jnp.uint8), (logits, logits[0], logits, logits[0])
    with jax.numpy_dtype_promotion("standard"):
        assert (grey @ logits).dtype == jnp.float32
    with jax.numpy_dtype_promotion("strict"), pytest.raises(ValueError, match="dtype promotion"):
        _ = grey @ weights[0]


def test_b4_b6_examples_that_do_not_fit_together_are_refused_by_jaxnaive(digits):
    for images, labels in (
        (digits.test.images, digits.train.labels),
        (digits.train.images, digits.train.labels[1:]),
    ):
        with pytest.raises(ValueError, match=f"got {len(images)} images and {len(labels)} labels"):
            batches.check(Examples(images, labels))
