"""The same job in the frameworks that a user would pick instead: one specification, a file a framework.

A peer is a module with ``train(data, recipe, seed, lap)``: it trains 784-512-10 with relu on all training
images, in float32, in an order drawn anew for every epoch, with the short last batch; calls ``lap()`` when
an epoch is really over, not only dispatched; and returns the class that it predicts for every test image. All
else is as the framework's own guide does it. ``python -m experiments.peers`` runs one of them in a process.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

HIDDEN, CLASSES = 512, 10


class Recipe(NamedTuple):
    """How to train; the rest of the specification is the same for all."""

    optimizer: Literal["sgd", "nesterov", "adam"]  # nesterov: momentum 0.9
    learning_rate: float  # at its highest
    schedule: Literal["constant", "one-cycle"]
    batch_size: int
    epochs: int
    label_smoothing: float = 0.0  # of the target, spread over all classes

    def updates(self, examples: int) -> int:
        """Of the whole run."""
        return self.epochs * -(-examples // self.batch_size)

    def rate(self, examples: int, minimum: Callable[[Any, Any], Any] = min) -> Callable[[Any], Any]:
        """The learning rate, as a function of the updates made so far.

        Args:
          examples: to train on.
          minimum: of two numbers, as the framework has it.
        """
        if self.schedule == "constant":
            return lambda count: self.learning_rate
        updates, highest = self.updates(examples), self.learning_rate

        def one_cycle(count: Any) -> Any:
            return highest * minimum(0.1 + 3.0 * count / updates, (1.0 - count / updates) / 0.7)

        return one_cycle


class Data(NamedTuple):
    """MNIST, or a part of it, as it lies on the disk."""

    train_images: np.ndarray  # uint8 [examples, 28, 28]
    train_labels: np.ndarray  # int32 [examples]
    test_images: np.ndarray
    test_labels: np.ndarray


Lap = Callable[[], None]


def load(folder: Path, held_out: int) -> Data:
    """The arrays in a folder; with the last ``held_out`` training examples to test on instead, if any.

    They are mapped into memory, so that what is read of them is read where it is used.
    """
    names = ("train_images", "train_labels", "test_images", "test_labels")
    data = Data(*(np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in names))
    if not held_out:
        return data
    images, labels = data.train_images, data.train_labels
    return Data(images[:-held_out], labels[:-held_out], images[-held_out:], labels[-held_out:])


def features(images: np.ndarray) -> np.ndarray:
    """float32 [examples, 784], from 0 to 1."""
    x = images.reshape(len(images), -1).astype(np.float32)
    x /= 255  # in place: nobody needs the memory of a second one
    return x
