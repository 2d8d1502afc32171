"""MLX as its own MNIST example: a compiled step, and the batches taken from an array."""

from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap, features


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(784, HIDDEN), nn.Linear(HIDDEN, CLASSES)

    def __call__(self, x: mx.array) -> mx.array:
        return self.output(nn.relu(self.hidden(x)))


def make_optimizer(hyperparameters: Hyperparameters, examples: int) -> optim.Optimizer:
    """The optimizer with its learning rate."""
    is_constant = hyperparameters.schedule == "constant"
    rate = hyperparameters.learning_rate if is_constant else hyperparameters.rate(examples, mx.minimum)
    if hyperparameters.optimizer == "adam":
        return optim.Adam(rate, bias_correction=True)
    is_nesterov = hyperparameters.optimizer == "nesterov"
    return optim.SGD(rate, momentum=0.9 if is_nesterov else 0.0, nesterov=is_nesterov)


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    mx.random.seed(seed)
    x, y = mx.array(features(data.train_images)), mx.array(data.train_labels)
    model = Model()
    optimizer = make_optimizer(hyperparameters, len(y))
    state = [model.state, optimizer.state]

    def loss_of(model: Model, x: mx.array, y: mx.array) -> mx.array:
        smoothing = hyperparameters.label_smoothing
        return nn.losses.cross_entropy(model(x), y, label_smoothing=smoothing, reduction="mean")

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x: mx.array, y: mx.array) -> None:
        _, gradients = nn.value_and_grad(model, loss_of)(model, x, y)
        optimizer.update(model, gradients)

    rng = np.random.default_rng(seed)
    for _ in range(hyperparameters.epochs):
        order = mx.array(rng.permutation(len(y)))
        for start in range(0, len(y), hyperparameters.batch_size):
            batch = order[start : start + hyperparameters.batch_size]
            step(x[batch], y[batch])
            mx.eval(state)
        lap()
    return np.array(model(mx.array(features(data.test_images))).argmax(axis=1))
