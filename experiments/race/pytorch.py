"""PyTorch: eager, or through ``torch.compile`` where ``PEER_COMPILED`` is set."""

import os

import numpy as np
import torch
from torch import nn

from experiments.peers import CLASSES, HIDDEN, Data, Lap, Recipe, features


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer; its schedule multiplies the learning rate."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), recipe.learning_rate)
    is_nesterov = recipe.optimizer == "nesterov"
    return torch.optim.SGD(
        model.parameters(),
        recipe.learning_rate,
        momentum=0.9 if is_nesterov else 0.0,
        nesterov=is_nesterov,
    )


def train(data: Data, recipe: Recipe, seed: int, lap: Lap) -> np.ndarray:
    torch.manual_seed(seed)
    x = torch.from_numpy(features(data.train_images))
    y = torch.from_numpy(data.train_labels.astype(np.int64))
    model = nn.Sequential(nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
    optimizer = make_optimizer(recipe, model)
    loss_fn = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    rate = recipe.rate(len(y))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda count: rate(count) / recipe.learning_rate)

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return loss_fn(model(x), y)

    if os.environ.get("PEER_COMPILED"):
        loss_of = torch.compile(loss_of)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(y))
        for batch in order.split(recipe.batch_size):
            optimizer.zero_grad()
            loss_of(x[batch], y[batch]).backward()
            optimizer.step()
            if recipe.schedule != "constant":
                schedule.step()
        lap()
    with torch.no_grad():
        return model(torch.from_numpy(features(data.test_images))).argmax(dim=1).numpy()
