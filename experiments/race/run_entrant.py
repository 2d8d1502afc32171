"""Run one entrant in this process, and print as JSON how long each part took.

    python -m experiments.race.run_entrant pytorch '["sgd", 0.1, "constant", 128, 4]' FOLDER 0 0 TIME

The arguments are the module in `entrants/`, the hyperparameters, the folder with the arrays, the number of
training examples to hold out and test on (0: test on the test set), the seed, and the ``time.time()`` at
which the process was started.
"""

import importlib
import json
import sys
import time
from itertools import pairwise
from pathlib import Path

from experiments.race import specification
from experiments.race.specification import Hyperparameters


def main(module: str, hyperparameters: str, folder: str, held_out: str, seed: str, started: str) -> None:
    times = [float(started)]

    def lap() -> None:
        times.append(time.time())

    entrant = importlib.import_module(f"experiments.race.entrants.{module}")
    lap()
    data = specification.load(Path(folder), int(held_out))
    lap()
    predicted = entrant.train(data, Hyperparameters(*json.loads(hyperparameters)), int(seed), lap)
    lap()
    imports, load, *epochs, test = (after - before for before, after in pairwise(times))
    accuracy = float((predicted == data.test_labels).mean())
    print(json.dumps({"import": imports, "data": load, "epochs": epochs, "test": test, "accuracy": accuracy}))


if __name__ == "__main__":
    main(*sys.argv[1:])
