"""The notes' program as a recipe, and the losses that two public runs of it printed on MNIST.

The images are in the order of the files and never shuffled. So two runs differ by their first weights alone,
and every printed loss but the very first is nearly the same in both.
"""

import numpy as np
from jaxtyping import Float

from jaxnaive import layers, losses, optimizers, training

EPOCHS = 10
PRINTED = slice(None, None, 100)  # the program prints the loss of batches 0, 100, 200, 300 and 400

# By epoch: what the book's own TensorFlow code printed in the two runs.
LOSSES = {
    0: ((5.94, 2.25, 2.22, 2.11, 2.23), (9.22, 2.22, 2.21, 2.08, 2.25)),
    1: ((1.94, 1.89, 1.84, 1.73, 1.84), (1.93, 1.87, 1.83, 1.71, 1.86)),
    5: ((1.02, 1.01, 0.91, 0.94, 0.99), (1.00, 1.01, 0.90, 0.93, 1.01)),
    9: ((0.70, 0.70, 0.61, 0.67, 0.74), (0.69, 0.70, 0.61, 0.67, 0.75)),
}
ACCURACY = 0.82  # on the test images, in both runs


def recipe(features: int, classes: int) -> training.Recipe:
    """The notes' program: weights from U[0, 0.1), softmax as the last activation, SGD at 0.001, no shuffling.

    Args:
      features: numbers in an example; 784 in MNIST.
      classes: what they are told apart into.
    """
    return training.Recipe(
        model=layers.sequential(
            layers.dense(features, 512, layers.relu, layers.naive_uniform),
            layers.dense(512, classes, layers.softmax, layers.naive_uniform),
        ),
        optimizer=optimizers.sgd(1e-3),
        loss=losses.cross_entropy_of_probabilities,
        batch_size=128,
        shuffle=False,
    )


def distance(loss: Float[np.ndarray, "epochs steps"]) -> float:
    """The largest distance of a run on MNIST from a published loss, among its epochs that are published.

    The very first loss is left out, because it depends on the first weights alone. NaN if another is NaN.

    >>> distance(np.full((1, 469), 2.25))
    0.17
    """
    epochs = [epoch for epoch in LOSSES if epoch < len(loss)]
    published = np.array([LOSSES[epoch] for epoch in epochs])  # [epochs, runs, prints]
    off = np.abs(np.asarray(loss)[epochs, PRINTED][:, None] - published)
    off[0, :, 0] = 0.0
    return float(off.max().round(6))
