"""NumPy, with the gradients written by hand; seeds are a first axis of all arrays."""

import numpy as np

from experiments.race.specification import features
from experiments.race.specification_growth import LEARNING_RATE, Epoch, Params, Size


def gradients(params: Params, x: np.ndarray, y: np.ndarray) -> Params:
    """The gradients of the mean loss of a batch, or of one batch for each seed."""
    *hidden, (w, b) = params
    inputs = [x]
    for w_hidden, b_hidden in hidden:
        inputs.append(np.maximum(inputs[-1] @ w_hidden + b_hidden[..., None, :], 0))
    logits = inputs[-1] @ w + b[..., None, :]
    g = np.exp(logits - logits.max(axis=-1, keepdims=True))
    g /= g.sum(axis=-1, keepdims=True)
    g.reshape(-1, g.shape[-1])[np.arange(y.size), y.ravel()] -= 1
    g /= y.shape[-1]
    found = []
    for place in range(len(params) - 1, -1, -1):
        found.append((inputs[place].mT @ g, g.sum(axis=-2)))
        if place:
            g = (g @ params[place][0].mT) * (inputs[place] > 0)
    return found[::-1]


def prepare(size: Size, images: np.ndarray, labels: np.ndarray) -> Epoch:
    x, y, rng = features(images), labels, np.random.default_rng(0)
    seeds = () if size.seeds == 1 else (size.seeds,)

    def dense(inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
        w = rng.standard_normal((*seeds, inputs, outputs), np.float32) * np.float32((2 / inputs) ** 0.5)
        return w, np.zeros((*seeds, outputs), np.float32)

    params = [dense(*pair) for pair in zip(size.layers, size.layers[1:], strict=False)]

    def epoch() -> Params:
        order = rng.permuted(np.broadcast_to(np.arange(size.examples), (*seeds, size.examples)), axis=-1)
        for start in range(0, size.examples, size.batch_size):
            batch = order[..., start : start + size.batch_size]
            for pair, grads in zip(params, gradients(params, x[batch], y[batch]), strict=True):
                for w, g in zip(pair, grads, strict=True):
                    g *= LEARNING_RATE  # in place, which saves an array of the size of the weights
                    w -= g
        return params

    return epoch
