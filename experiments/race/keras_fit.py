"""Keras 3 and its ``fit``, as in the book; the backend is that of ``KERAS_BACKEND``."""

import keras
import numpy as np

from experiments.peers import CLASSES, HIDDEN, Data, Lap, Recipe, features


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """The recipe's learning rate."""

    def __init__(self, recipe: Recipe, examples: int) -> None:
        self.rate = recipe.rate(examples, keras.ops.minimum)

    def __call__(self, step):
        return self.rate(keras.ops.cast(step, "float32"))


def make_optimizer(recipe: Recipe, examples: int):
    """The recipe's optimizer with its learning rate."""
    rate = recipe.learning_rate if recipe.schedule == "constant" else Rate(recipe, examples)
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    is_nesterov = recipe.optimizer == "nesterov"
    return keras.optimizers.SGD(rate, momentum=0.9 if is_nesterov else 0.0, nesterov=is_nesterov)


def train(data: Data, recipe: Recipe, seed: int, lap: Lap) -> np.ndarray:
    keras.utils.set_random_seed(seed)
    x, y = features(data.train_images), data.train_labels
    model = keras.Sequential(
        [keras.layers.Dense(HIDDEN, activation="relu"), keras.layers.Dense(CLASSES, activation="softmax")]
    )
    optimizer, loss = make_optimizer(recipe, len(y)), "sparse_categorical_crossentropy"
    if recipe.label_smoothing:
        y = keras.utils.to_categorical(y, CLASSES)
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    done = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: lap())
    model.fit(x, y, recipe.batch_size, recipe.epochs, verbose=0, callbacks=[done])
    return np.asarray(model.predict(features(data.test_images), verbose=0)).argmax(axis=1)
