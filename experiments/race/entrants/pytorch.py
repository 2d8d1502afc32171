"""PyTorch: eager, or with ``torch.compile`` if the variable ``RACE_TORCH_COMPILE`` is set."""

import os

import numpy as np
import torch
from torch import nn

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap, features


def make_optimizer(hyperparameters: Hyperparameters, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer; a scheduler changes its learning rate later."""
    if hyperparameters.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), hyperparameters.learning_rate)
    is_nesterov = hyperparameters.optimizer == "nesterov"
    return torch.optim.SGD(
        model.parameters(),
        hyperparameters.learning_rate,
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

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return loss_fn(model(x), y)

    if os.environ.get("RACE_TORCH_COMPILE"):
        loss_of = torch.compile(loss_of)
    for _ in range(hyperparameters.epochs):
        order = torch.randperm(len(y))
        for batch in order.split(hyperparameters.batch_size):
            optimizer.zero_grad()
            loss_of(x[batch], y[batch]).backward()
            optimizer.step()
            if hyperparameters.schedule != "constant":
                schedule.step()
        lap()
    with torch.no_grad():
        return model(torch.from_numpy(features(data.test_images))).argmax(dim=1).numpy()
