"""NumPy, with the gradients written out."""

import numpy as np

from experiments.peers import CLASSES, HIDDEN, Data, Lap, Recipe, features


def gradients(
    params: list[np.ndarray], x: np.ndarray, y: np.ndarray, label_smoothing: float
) -> list[np.ndarray]:
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


def train(data: Data, recipe: Recipe, seed: int, lap: Lap) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x, y = features(data.train_images), data.train_labels

    def dense(inputs: int, outputs: int) -> list[np.ndarray]:
        limit = (6 / (inputs + outputs)) ** 0.5
        w = rng.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)
        return [w, np.zeros(outputs, np.float32)]

    params = [*dense(784, HIDDEN), *dense(HIDDEN, CLASSES)]
    first, second = ([np.zeros_like(w) for w in params] for _ in range(2))
    rate, count = recipe.rate(len(y)), 0
    for _ in range(recipe.epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            lr, count = rate(count), count + 1
            grads = gradients(params, x[batch], y[batch], recipe.label_smoothing)
            for w, g, m, v in zip(params, grads, first, second, strict=True):
                if recipe.optimizer == "adam":
                    m += 0.1 * (g - m)
                    v += 0.001 * (g * g - v)
                    w -= lr * (m / (1 - 0.9**count)) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)
                elif recipe.optimizer == "nesterov":
                    m *= 0.9
                    m += g
                    w -= lr * (g + 0.9 * m)
                else:
                    w -= lr * g
        lap()
    w1, b1, w2, b2 = params
    return (np.maximum(features(data.test_images) @ w1 + b1, 0) @ w2 + b2).argmax(axis=1)
