"""The notes' program against the losses and the accuracy that others published: rows S91, S93 and S95."""

import jax
import numpy as np
import pytest

from jaxnaive import published, training

RECIPE = published.recipe(28 * 28, 10)


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


def test_s93_a_distance_is_the_largest_after_the_first_loss_and_nan_if_a_loss_is_nan():
    losses = np.full((published.EPOCHS, 469), 1.0)
    for epoch, printed in published.LOSSES.items():
        losses[epoch, published.PRINTED] = np.mean(printed, axis=0)
    assert published.distance(losses) == pytest.approx(0.015)  # half of what the two runs are apart
    losses[0, 0] += 9
    assert published.distance(losses) == pytest.approx(0.015)
    losses[5, 300] += 0.06  # 0.995 instead of 0.935
    assert published.distance(losses) == pytest.approx(0.065)
    losses[5, 300] = np.nan
    assert np.isnan(published.distance(losses))
