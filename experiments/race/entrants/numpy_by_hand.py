"""NumPy, with the gradients written by hand."""

import numpy as np

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap, features


def gradients(
    params: list[np.ndarray], x: np.ndarray, y: np.ndarray, label_smoothing: float
) -> list[np.ndarray]:
    """The gradients of the mean loss of a batch, in the order of the parameters."""
    w1, b1, w2, b2 = params
    hidden = np.maximum(x @ w1 + b1, 0)
    logits = hidden @ w2 + b2
    d_logits = np.exp(logits - logits.max(axis=1, keepdims=True))
    d_logits /= d_logits.sum(axis=1, keepdims=True)
    d_logits[np.arange(len(y)), y] -= 1 - label_smoothing
    d_logits -= label_smoothing / CLASSES
    d_logits /= len(y)
    d_hidden = (d_logits @ w2.T) * (hidden > 0)
    return [x.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_logits, d_logits.sum(axis=0)]


def update(
    optimizer: str, lr: float, count: int, w: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray
) -> None:
    """Change a parameter and its moments in place, by its gradient; ``count`` starts at 1."""
    if optimizer == "adam":
        m += 0.1 * (g - m)
        v += 0.001 * (g * g - v)
        w -= lr * (m / (1 - 0.9**count)) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)
    elif optimizer == "nesterov":
        m *= 0.9
        m += g
        w -= lr * (g + 0.9 * m)
    else:
        w -= lr * g


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x, y = features(data.train_images), data.train_labels

    def dense(inputs: int, outputs: int) -> list[np.ndarray]:
        limit = (6 / (inputs + outputs)) ** 0.5
        w = rng.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)
        return [w, np.zeros(outputs, np.float32)]

    params = [*dense(784, HIDDEN), *dense(HIDDEN, CLASSES)]
    first, second = ([np.zeros_like(w) for w in params] for _ in range(2))
    rate, count = hyperparameters.rate(len(y)), 0
    for _ in range(hyperparameters.epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), hyperparameters.batch_size):
            batch = order[start : start + hyperparameters.batch_size]
            lr, count = rate(count), count + 1
            grads = gradients(params, x[batch], y[batch], hyperparameters.label_smoothing)
            for w, g, m, v in zip(params, grads, first, second, strict=True):
                update(hyperparameters.optimizer, lr, count, w, g, m, v)
        lap()
    w1, b1, w2, b2 = params
    return (np.maximum(features(data.test_images) @ w1 + b1, 0) @ w2 + b2).argmax(axis=1)
