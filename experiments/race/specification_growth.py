"""What every entrant of ``growth.py`` trains: a network of some size, on some examples, with some seeds.

An entrant is a module in `growing/` with ``prepare(size, images, labels)``, which compiles what there is to
compile and returns a function that trains one epoch: plain gradient descent in float32, a new random order
for each seed, the short last batch included. It waits until the work is done, and returns the parameters, a
pair ``w [inputs, outputs], b [outputs]`` for each layer; with several seeds these are the first axis of both.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from experiments.race.specification import CLASSES

INPUTS, LEARNING_RATE = 784, 0.01

Params = list[tuple[Any, Any]]  # weights and biases of each layer
Epoch = Callable[[], Params]


class Size(NamedTuple):
    """What is trained in an epoch."""

    hidden: int  # units of each hidden layer
    batch_size: int
    depth: int  # hidden layers
    examples: int
    seeds: int  # networks, trained in one program where there is one

    @property
    def layers(self) -> tuple[int, ...]:
        """The inputs of the network, the units of its hidden layers, its outputs."""
        return (INPUTS, *[self.hidden] * self.depth, CLASSES)
