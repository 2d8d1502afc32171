"""The notes' program against the losses and the accuracy that others published: rows S91, S93 and S95."""

import jax
import numpy as np
import pytest

from jaxnaive import published, training
from jaxnaive.batches import Examples

RECIPE = published.recipe(28 * 28, 10)
PLACES = [(epoch, column) for epoch in published.LOSSES for column in range(5)]  # of what is printed


def run(seed, mnist, epochs):
    """The losses ``[epochs, steps]`` and the parameters of the notes' program."""
    state, losses = training.start(jax.random.key(seed), RECIPE), []
    for _ in range(epochs):
        state, loss = training.train_epoch(state, mnist.train, RECIPE)
        losses.append(np.asarray(loss))
    return np.stack(losses), state.params


@pytest.mark.optimise
@pytest.mark.xdist_group("mnist")
def test_s91_s93_s95_the_first_two_epochs_are_the_published_ones(mnist):
    losses, _ = run(0, mnist, epochs=2)
    assert losses.shape == (2, 469) and len(losses[0, published.PRINTED]) == 5
    assert published.distance(losses) <= 0.05


@pytest.mark.slow  # 2 minutes
@pytest.mark.optimise
@pytest.mark.xdist_group("mnist")
def test_s91_s93_s94_s95_the_mean_of_8_seeds_has_the_published_losses_and_accuracy(mnist):
    runs = [run(seed, mnist, published.EPOCHS) for seed in range(8)]
    assert published.distance(np.mean([losses for losses, _ in runs], axis=0)) <= 0.05
    accuracies = [float(training.evaluate(params, mnist.test, RECIPE).accuracy) for _, params in runs]
    assert abs(np.mean(accuracies) - 0.815) <= 0.010


def middle():
    """Losses of a run that is as near as can be to both published ones, and far from them where none is."""
    losses = np.full((published.EPOCHS, 469), 100.0)
    for epoch, printed in published.LOSSES.items():
        losses[epoch, published.PRINTED] = np.mean(printed, axis=0)
    return losses


def by_loops(losses):
    """The distance, one published loss at a time."""
    largest = 0.0
    for epoch, runs in published.LOSSES.items():
        for printed in runs:
            for column, loss in enumerate(printed):
                if epoch < len(losses) and (epoch, column) != (0, 0):
                    largest = max(largest, abs(losses[epoch, 100 * column] - loss))
    return largest


def test_the_two_published_runs_differ_by_no_more_than_3_hundredths_after_the_first_loss():
    first, second = np.moveaxis(np.array(list(published.LOSSES.values())), 1, 0)
    apart = np.abs(first - second)
    assert apart.shape == (4, 5) and apart[0, 0] > 3
    assert apart.ravel()[1:].max() == pytest.approx(0.03)
    assert published.distance(middle()) == pytest.approx(0.015)  # half of it


@pytest.mark.parametrize("epochs", [1, 2, 5, 6, 10])
def test_a_distance_is_that_of_loops(epochs):
    losses = np.random.default_rng(epochs).uniform(0, 3, (epochs, 469))
    assert published.distance(losses) == pytest.approx(by_loops(losses), abs=1e-6)


@pytest.mark.parametrize("wrong", [1.0, -1.0, np.nan, np.inf])
def test_s93_a_distance_is_the_largest_after_the_first_loss_and_nan_if_a_loss_is_nan(wrong):
    for epoch, column in PLACES:
        losses = middle()
        losses[epoch, 100 * column] += wrong
        distance = published.distance(losses)
        if (epoch, column) == (0, 0):
            assert distance == pytest.approx(0.015)
        else:
            assert np.isnan(distance) if np.isnan(wrong) else 1.0 <= distance <= 1.015 or distance == wrong
    losses = middle()
    losses[[0, 0, 1, 4, 9], [1, 468, 99, 100, 401]] += wrong  # not printed, or an epoch that is not published
    assert published.distance(losses) == pytest.approx(0.015)


def test_the_recipe_is_the_notes_program_as_numpy_does_it():
    rng = np.random.default_rng(0)
    images, labels = rng.random((300, 4), np.float32), rng.integers(0, 3, 300, np.int32)
    recipe = published.recipe(4, 3)
    state = training.start(jax.random.key(0), recipe)
    (w1, b1), (w2, b2) = ([np.array(layer[name]) for name in ("w", "b")] for layer in state.params)
    for w, b in ((w1, b1), (w2, b2)):
        assert w.min() >= 0 and 0.09 < w.max() < 0.1 and not b.any()
    expected = []
    for first in (0, 128, 256):  # in order; the last batch has 44 images
        x, y = images[first : first + 128], labels[first : first + 128]
        hidden = np.maximum(x @ w1 + b1, 0)
        exponentials = np.exp(hidden @ w2 + b2)
        p = exponentials / exponentials.sum(axis=1, keepdims=True)
        expected.append(-np.log(p[np.arange(len(y)), y]).mean())
        g = (p - np.eye(3)[y]) / len(y)
        g_hidden = g @ w2.T * (hidden > 0)
        for w, slope in ((w1, x.T @ g_hidden), (b1, g_hidden.sum(0)), (w2, hidden.T @ g), (b2, g.sum(0))):
            w -= (1e-3 * slope).astype(np.float32)
    state, losses = training.train_epoch(state, Examples(images, labels), recipe)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for layer, w, b in zip(state.params, (w1, w2), (b1, b2), strict=True):
        np.testing.assert_allclose(layer["w"], w, atol=1e-7)
        np.testing.assert_allclose(layer["b"], b, atol=1e-8)
