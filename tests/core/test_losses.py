"""Rows S84, S85, S94 and S96, and bugs B5 and B12, of the notes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnaive import layers, losses

LOGITS = 3 * jax.random.normal(jax.random.key(0), (128, 10))
LABELS = jnp.asarray(np.random.default_rng(0).integers(0, 10, 128), jnp.int32)
ONE_HOT = jax.nn.one_hot(LABELS, 10)


def numpy_cross_entropy(logits, labels):
    z = np.asarray(logits, np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(z)), np.asarray(labels)])


def test_s84_cross_entropy_is_one_value_an_example_equal_to_numpy_and_optax():
    got = losses.cross_entropy(LOGITS, LABELS)
    assert got.shape == (128,)
    np.testing.assert_allclose(got, numpy_cross_entropy(LOGITS, LABELS), atol=2e-6)
    expected = optax.losses.softmax_cross_entropy_with_integer_labels(LOGITS, LABELS)
    np.testing.assert_allclose(got, expected, atol=2e-6)


def test_s84_one_hot_targets_and_probabilities_agree_with_integer_labels():
    expected = losses.cross_entropy(LOGITS, LABELS)
    np.testing.assert_allclose(losses.cross_entropy_one_hot(LOGITS, ONE_HOT), expected, atol=2e-6)
    soft = 0.9 * ONE_HOT + 0.01
    np.testing.assert_allclose(
        losses.cross_entropy_one_hot(LOGITS, soft),
        optax.losses.softmax_cross_entropy(LOGITS, soft),
        atol=5e-6,
    )
    from_probabilities = losses.cross_entropy_of_probabilities(layers.softmax(LOGITS), LABELS)
    np.testing.assert_allclose(from_probabilities, expected, rtol=1e-4, atol=2e-6)


def test_gradient_is_softmax_minus_one_hot():
    grad = jax.jit(jax.grad(lambda z: losses.cross_entropy(z, LABELS).sum()))(LOGITS)
    np.testing.assert_allclose(grad, jax.nn.softmax(LOGITS) - ONE_HOT, atol=1e-6)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_b12_logits_of_any_size_keep_loss_and_gradient_finite(size):
    logits, label = jnp.array([[size, 0.0, -size]]), jnp.array([2 if size > 0 else 0])
    loss, grad = jax.jit(jax.value_and_grad(lambda z: losses.cross_entropy(z, label)[0]))(logits)
    assert loss == 2e4
    np.testing.assert_array_equal(jnp.abs(grad), [[1.0, 0.0, 1.0]])


def test_b12_the_notes_loss_stops_at_16_with_no_gradient_left():
    def notes(z):
        return losses.cross_entropy_of_probabilities(layers.softmax(z), jnp.array([2]))[0]

    loss, grad = jax.jit(jax.value_and_grad(notes))(jnp.array([[50.0, 0.0, -50.0]]))
    assert abs(loss - 16.118) < 1e-3
    np.testing.assert_array_equal(grad, [[0.0, 0.0, 0.0]])

    plain = jax.jit(jax.grad(lambda z: -jnp.log(layers.softmax(z))[0, 2]))(jnp.array([[500.0, 0.0, -500.0]]))
    assert not np.isfinite(plain).all()  # and without the clip it is no number at all


@pytest.mark.parametrize("batch", [1, 10, 128])
def test_b5_one_hot_and_integer_labels_are_not_confused_for_any_batch_size(batch, as_a_user):
    logits, labels, one_hot = LOGITS[:batch], LABELS[:batch], ONE_HOT[:batch]
    for loss in (losses.cross_entropy, losses.cross_entropy_of_probabilities, losses.accuracy):
        with pytest.raises(
            ValueError, match=rf"labels: got float32 of shape \({batch}, 10\), expected one int"
        ):
            loss(logits, one_hot)
        with pytest.raises(ValueError, match="labels: got float32"):
            loss(logits, labels.astype(jnp.float32))
    with pytest.raises(ValueError, match=rf"targets: got shape \({batch},\)"):
        losses.cross_entropy_one_hot(logits, labels.astype(jnp.float32))


def test_a_label_outside_the_classes_is_nan_not_another_class():
    labels = jnp.array([0, 9, 10, -1], jnp.int32)
    loss = np.asarray(losses.cross_entropy(LOGITS[:4], labels))
    np.testing.assert_array_equal(np.isnan(loss), [False, False, True, True])


def test_log_sum_exp_equals_jax_and_shifts_with_its_argument():
    np.testing.assert_allclose(losses.log_sum_exp(LOGITS), jax.nn.logsumexp(LOGITS, axis=-1), rtol=1e-6)
    np.testing.assert_allclose(losses.log_sum_exp(LOGITS + 1e4), losses.log_sum_exp(LOGITS) + 1e4, atol=2e-3)


def test_s94_s96_accuracy_is_the_fraction_of_largest_logits_at_the_label():
    logits = jnp.array([[1.0, 2.0, 0.0], [3.0, 2.0, 1.0], [0.0, 0.0, 9.0], [5.0, 1.0, 0.0]])
    assert losses.accuracy(logits, jnp.array([1, 0, 0, 0])) == 0.75


def test_label_smoothing_is_the_one_hot_loss_of_optaxs_smoothed_targets():
    logits, labels = (
        jnp.asarray(np.random.default_rng(1).normal(size=(20, 5)), jnp.float32),
        jnp.arange(20, dtype=jnp.int32) % 5,
    )
    targets = optax.smooth_labels(jax.nn.one_hot(labels, 5), 0.1)
    expected = optax.softmax_cross_entropy(logits, targets)
    np.testing.assert_allclose(losses.smoothed_cross_entropy(0.1)(logits, labels), expected, rtol=1e-5)
    traced = jax.jit(lambda amount: losses.smoothed_cross_entropy(amount)(logits, labels))
    np.testing.assert_allclose(traced(0.1), expected, rtol=1e-5)
    np.testing.assert_allclose(traced(0.0), losses.cross_entropy(logits, labels), rtol=1e-6)
    with pytest.raises(ValueError, match=r"label smoothing: got 1\.0, expected"):
        losses.smoothed_cross_entropy(1.0)


def test_confusion_counts_are_those_of_scikit_learn():
    from sklearn.metrics import confusion_matrix

    expected = confusion_matrix(LABELS, np.asarray(LOGITS).argmax(axis=1))
    np.testing.assert_array_equal(losses.confusion(LOGITS, LABELS), expected)
    assert losses.confusion(LOGITS, jnp.full(128, -1, jnp.int32)).sum() == 0  # a class that is none
