"""The notes' own loop in TensorFlow, without its bugs: naive layers, a gradient tape, step by step."""

from functools import partial

import numpy as np
import tensorflow as tf

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap, features


class NaiveDense:
    def __init__(self, inputs, outputs, activation):
        limit = (6 / (inputs + outputs)) ** 0.5
        self.activation = activation
        self.w = tf.Variable(tf.random.uniform((inputs, outputs), -limit, limit))
        self.b = tf.Variable(tf.zeros(outputs))

    def __call__(self, x):
        return self.activation(tf.matmul(x, self.w) + self.b)

    @property
    def weights(self):
        return [self.w, self.b]


class NaiveSequential:
    def __init__(self, layers):
        self.layers = layers

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    @property
    def weights(self):
        return [weight for layer in self.layers for weight in layer.weights]


class Optimizer:
    """Gradient descent with Nesterov's momentum; with momentum 0 it is the notes' ``update_weights``."""

    def __init__(self, weights, momentum):
        self.momentum = momentum
        self.velocities = [tf.Variable(tf.zeros_like(weight)) for weight in weights] if momentum else []

    def update(self, gradients, weights, rate):
        if not self.momentum:
            for gradient, weight in zip(gradients, weights, strict=True):
                weight.assign_sub(gradient * rate)
            return
        for gradient, weight, velocity in zip(gradients, weights, self.velocities, strict=True):
            velocity.assign(self.momentum * velocity + gradient)
            weight.assign_sub(rate * (gradient + self.momentum * velocity))


def one_training_step(model, optimizer, loss, images, labels, rate):
    with tf.GradientTape() as tape:
        predictions = model(images)
        average_loss = tf.reduce_mean(loss(labels, predictions))
    optimizer.update(tape.gradient(average_loss, model.weights), model.weights, rate)


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    if hyperparameters.optimizer == "adam":
        raise ValueError("the notes' loop has no adam")
    tf.random.set_seed(seed)
    x, y = features(data.train_images), data.train_labels
    model = NaiveSequential([NaiveDense(784, HIDDEN, tf.nn.relu), NaiveDense(HIDDEN, CLASSES, tf.nn.softmax)])
    optimizer = Optimizer(model.weights, 0.9 if hyperparameters.optimizer == "nesterov" else 0.0)
    loss = tf.keras.losses.sparse_categorical_crossentropy
    if hyperparameters.label_smoothing:
        y = tf.keras.utils.to_categorical(y, CLASSES)
        smoothing = hyperparameters.label_smoothing
        loss = partial(tf.keras.losses.categorical_crossentropy, label_smoothing=smoothing)
    rate, rng, count = hyperparameters.rate(len(y)), np.random.default_rng(seed), 0
    for _ in range(hyperparameters.epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), hyperparameters.batch_size):
            batch = order[start : start + hyperparameters.batch_size]
            one_training_step(model, optimizer, loss, x[batch], y[batch], rate(count))
            count += 1
        lap()
    return model(features(data.test_images)).numpy().argmax(axis=1)
