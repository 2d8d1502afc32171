"""The specification that every entrant of the race follows: network, data, hyperparameters.

An entrant is a module in `entrants/` with ``train(data, hyperparameters, seed, lap)``. It trains 784-512-10
with relu, in float32, on all training images. Each epoch has a new random order and includes the short last
batch. After each epoch it waits until the work is done, then calls ``lap()``. It returns the predicted class
of every test image. Everything else follows the framework's own guide.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

HIDDEN, CLASSES = 512, 10


class Hyperparameters(NamedTuple):
    """How to train; the rest of the specification is the same in every run."""

    optimizer: Literal["sgd", "nesterov", "adam"]  # nesterov: momentum 0.9
    learning_rate: float  # the highest of the schedule
    schedule: Literal["constant", "one-cycle"]
    batch_size: int
    epochs: int
    label_smoothing: float = 0.0  # fraction of each target that is spread over all classes

    def updates(self, examples: int) -> int:
        """The number of updates in a run on so many examples."""
        return self.epochs * -(-examples // self.batch_size)

    def rate(self, examples: int, minimum: Callable[[Any, Any], Any] = min) -> Callable[[Any], Any]:
        """The learning rate as a function of the number of updates made so far.

        Args:
          examples: the number of training examples.
          minimum: the framework's function that returns the smaller of two numbers.
        """
        if self.schedule == "constant":
            return lambda count: self.learning_rate
        updates, highest = self.updates(examples), self.learning_rate

        def one_cycle(count: Any) -> Any:
            return highest * minimum(0.1 + 3.0 * count / updates, (1.0 - count / updates) / 0.7)

        return one_cycle


class Data(NamedTuple):
    """MNIST, or a part of it, as it is stored on disk."""

    train_images: np.ndarray  # uint8 [examples, 28, 28]
    train_labels: np.ndarray  # int32 [examples]
    test_images: np.ndarray
    test_labels: np.ndarray


Lap = Callable[[], None]


def load(folder: Path, held_out: int) -> Data:
    """The arrays in a folder, memory-mapped, so that pages are read from disk when they are used.

    Args:
      folder: with one ``.npy`` file for each field of :class:`Data`.
      held_out: if not 0, the last so many training examples take the place of the test set.
    """
    data = Data(*(np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in Data._fields))
    if not held_out:
        return data
    images, labels = data.train_images, data.train_labels
    return Data(images[:-held_out], labels[:-held_out], images[-held_out:], labels[-held_out:])


def features(images: np.ndarray) -> np.ndarray:
    """The images as float32 [examples, 784], from 0 to 1."""
    x = images.reshape(len(images), -1).astype(np.float32)
    x /= 255  # in place, which saves the memory of a second array
    return x
