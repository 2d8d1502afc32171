"""PyTorch: eager, or the whole step with ``torch.compile`` if the variable ``RACE_TORCH_COMPILE`` is set."""

import os

import numpy as np
import torch
from torch import nn

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap, features

COMPILED = bool(os.environ.get("RACE_TORCH_COMPILE"))


def make_optimizer(hyperparameters: Hyperparameters, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer; a scheduler changes its learning rate later."""
    rate = hyperparameters.learning_rate
    if COMPILED:
        rate = torch.tensor(rate)  # each number would be compiled anew
    if hyperparameters.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), rate)
    is_nesterov = hyperparameters.optimizer == "nesterov"
    return torch.optim.SGD(
        model.parameters(),
        rate,
        momentum=0.9 if is_nesterov else 0.0,
        nesterov=is_nesterov,
    )


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    torch.manual_seed(seed)
    x = torch.from_numpy(features(data.train_images))
    y = torch.from_numpy(data.train_labels.astype(np.int64))
    model = nn.Sequential(nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
    optimizer = make_optimizer(hyperparameters, model)
    loss_fn = nn.CrossEntropyLoss(label_smoothing=hyperparameters.label_smoothing)
    rate, highest = hyperparameters.rate(len(y)), hyperparameters.learning_rate
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda count: rate(count) / highest)

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()

    if COMPILED:
        step = torch.compile(step, dynamic=False)  # once more for the short last batch
    for _ in range(hyperparameters.epochs):
        order = torch.randperm(len(y))
        for batch in order.split(hyperparameters.batch_size):
            step(x[batch], y[batch])
            if hyperparameters.schedule != "constant":
                schedule.step()
        lap()
    with torch.no_grad():
        return model(torch.from_numpy(features(data.test_images))).argmax(dim=1).numpy()
