"""PyTorch, eager; several seeds under ``torch.vmap``, as its guide to ensembles does it."""

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state

from experiments.race.specification import features
from experiments.race.specification_growth import LEARNING_RATE, Epoch, Params, Size


def make(size: Size) -> nn.Sequential:
    """The network; its parameters have names such as ``0.weight``."""
    *hidden, last = [nn.Linear(*pair) for pair in zip(size.layers, size.layers[1:], strict=False)]
    return nn.Sequential(*(part for layer in hidden for part in (layer, nn.ReLU())), last)


def prepare(size: Size, images: np.ndarray, labels: np.ndarray) -> Epoch:
    torch.manual_seed(0)
    x, y = torch.from_numpy(features(images)), torch.from_numpy(labels.astype(np.int64))
    return (_one if size.seeds == 1 else _several)(size, x, y)


def _one(size: Size, x: torch.Tensor, y: torch.Tensor) -> Epoch:
    model, loss_fn = make(size), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE)

    def epoch() -> Params:
        for batch in torch.randperm(size.examples).split(size.batch_size):
            optimizer.zero_grad()
            loss_fn(model(x[batch]), y[batch]).backward()
            optimizer.step()
        return _pairs(dict(model.named_parameters()))

    return epoch


def _several(size: Size, x: torch.Tensor, y: torch.Tensor) -> Epoch:
    models = [make(size) for _ in range(size.seeds)]
    params, _ = stack_module_state(models)
    params = {name: value.detach() for name, value in params.items()}

    def loss_fn(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(functional_call(models[0], params, (x,)), y)

    gradient = torch.vmap(grad(loss_fn))

    def epoch() -> Params:
        order = torch.stack([torch.randperm(size.examples) for _ in range(size.seeds)])
        for batch in order.split(size.batch_size, dim=1):
            for name, g in gradient(params, x[batch], y[batch]).items():
                params[name].sub_(g, alpha=LEARNING_RATE)
        return _pairs(params)

    return epoch


def _pairs(params: dict[str, torch.Tensor]) -> Params:
    """The parameters as the specification has them; PyTorch's weights are ``[outputs, inputs]``."""
    values = [value.detach() for value in params.values()]
    return [(w.mT.numpy(), b.numpy()) for w, b in zip(values[::2], values[1::2], strict=True)]
