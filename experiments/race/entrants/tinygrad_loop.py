"""tinygrad as its own MNIST example: a jitted step, and the batches taken on the device."""

import numpy as np
from tinygrad import Context, Device, Tensor, TinyJit, nn

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap


class Model:
    def __init__(self) -> None:
        self.hidden, self.output = nn.Linear(784, HIDDEN), nn.Linear(HIDDEN, CLASSES)

    def __call__(self, images: Tensor) -> Tensor:
        return self.output(self.hidden(images.flatten(1).float() / 255).relu())


def make_optimizer(hyperparameters: Hyperparameters, model: Model):
    """The optimizer; its learning rate is a tensor, which is assigned to at each step."""
    params, rate = nn.state.get_parameters(model), hyperparameters.learning_rate
    if hyperparameters.optimizer == "adam":
        return nn.optim.Adam(params, rate)
    is_nesterov = hyperparameters.optimizer == "nesterov"
    return nn.optim.SGD(params, rate, momentum=0.9 if is_nesterov else 0.0, nesterov=is_nesterov)


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    Tensor.manual_seed(seed)
    images, labels = Tensor(np.array(data.train_images)), Tensor(np.array(data.train_labels))
    model = Model()
    optimizer = make_optimizer(hyperparameters, model)

    def step(batch: Tensor, rate: Tensor) -> Tensor:
        optimizer.zero_grad()
        optimizer.lr.assign(rate)
        loss = model(images[batch]).sparse_categorical_crossentropy(
            labels[batch], label_smoothing=hyperparameters.label_smoothing
        )
        loss.backward()
        return loss.realize(*optimizer.schedule_step())

    steps = {}  # a compiled step for each size of a batch
    rate, rng, count = hyperparameters.rate(len(data.train_labels)), np.random.default_rng(seed), 0
    with Context(TRAINING=1):
        for _ in range(hyperparameters.epochs):
            order = rng.permutation(len(data.train_labels)).astype(np.int32)
            for start in range(0, len(order), hyperparameters.batch_size):
                batch = order[start : start + hyperparameters.batch_size]
                compiled = steps.setdefault(len(batch), TinyJit(step))
                compiled(Tensor(batch), Tensor([rate(count)]))
                count += 1
            Device[Device.DEFAULT].synchronize()
            lap()
    return model(Tensor(np.array(data.test_images))).argmax(axis=1).numpy()
