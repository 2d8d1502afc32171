"""scikit-learn's ``MLPClassifier``, which knows no schedule that falls to 0, and no label smoothing."""

import numpy as np
from sklearn.neural_network import MLPClassifier

from experiments.peers import HIDDEN, Data, Lap, Recipe, features


def train(data: Data, recipe: Recipe, seed: int, lap: Lap) -> np.ndarray:
    if recipe.schedule != "constant" or recipe.label_smoothing:
        raise ValueError("scikit-learn has neither a one-cycle schedule nor label smoothing")
    x, y = features(data.train_images), data.train_labels
    is_nesterov = recipe.optimizer == "nesterov"
    model = MLPClassifier(
        (HIDDEN,),
        solver="adam" if recipe.optimizer == "adam" else "sgd",
        alpha=0.0,
        batch_size=recipe.batch_size,
        learning_rate_init=recipe.learning_rate,
        random_state=np.random.RandomState(seed),  # not the seed, which would draw one order for all epochs
        momentum=0.9 if is_nesterov else 0.0,
        nesterovs_momentum=is_nesterov,
    )
    for _ in range(recipe.epochs):
        model.partial_fit(x, y, classes=np.arange(10))
        lap()
    return model.predict(features(data.test_images))
