"""scikit-learn's ``MLPClassifier``, which has neither a one-cycle schedule nor label smoothing."""

import numpy as np
from sklearn.neural_network import MLPClassifier

from experiments.race.specification import HIDDEN, Data, Hyperparameters, Lap, features


def train(data: Data, hyperparameters: Hyperparameters, seed: int, lap: Lap) -> np.ndarray:
    if hyperparameters.schedule != "constant" or hyperparameters.label_smoothing:
        raise ValueError("scikit-learn has neither a one-cycle schedule nor label smoothing")
    x, y = features(data.train_images), data.train_labels
    is_nesterov = hyperparameters.optimizer == "nesterov"
    model = MLPClassifier(
        (HIDDEN,),
        solver="adam" if hyperparameters.optimizer == "adam" else "sgd",
        alpha=0.0,
        batch_size=hyperparameters.batch_size,
        learning_rate_init=hyperparameters.learning_rate,
        random_state=np.random.RandomState(seed),  # a seed would give all epochs the same order
        momentum=0.9 if is_nesterov else 0.0,
        nesterovs_momentum=is_nesterov,
    )
    for _ in range(hyperparameters.epochs):
        model.partial_fit(x, y, classes=np.arange(10))
        lap()
    return model.predict(features(data.test_images))
