"""Keras 3 and its ``fit``, as in the book. The variable ``KERAS_BACKEND`` names the backend."""

import keras
import numpy as np

from experiments.race.specification import CLASSES, HIDDEN, Data, Hyperparameters, Lap, features


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of the hyperparameters as a schedule of Keras."""

    def __init__(self, hyperparameters: Hyperparameters, examples: int) -> None:
        self.rate = hyperparameters.rate(examples, keras.ops.minimum)

    def __call__(self, step):
        return self.rate(keras.ops.cast(step, "float32"))


def make_optimizer(hyperparameters: Hyperparameters, examples: int):
    """The optimizer with its learning rate."""
    is_constant = hyperparameters.schedule == "constant"
    rate = hyperparameters.learning_rate if is_constant else Rate(hyperparameters, examples)
    if hyperparameters.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    is_nesterov = hyperparameters.optimizer == "nesterov"
    return keras.optimizers.SGD(rate, momentum=0.9 if is_nesterov else 0.0, nesterov=is_nesterov)


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    keras.utils.set_random_seed(seed)
    x, y = features(data.train_images), data.train_labels
    model = keras.Sequential(
        [keras.layers.Dense(HIDDEN, activation="relu"), keras.layers.Dense(CLASSES, activation="softmax")]
    )
    optimizer, loss = make_optimizer(hyperparameters, len(y)), "sparse_categorical_crossentropy"
    if hyperparameters.label_smoothing:
        y = keras.utils.to_categorical(y, CLASSES)
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=hyperparameters.label_smoothing)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    done = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: lap())
    model.fit(x, y, hyperparameters.batch_size, hyperparameters.epochs, verbose=0, callbacks=[done])
    return np.asarray(model.predict(features(data.test_images), verbose=0)).argmax(axis=1)
