"""Run one peer, and print as JSON how long each part took.

    python -m experiments.peers pytorch '["sgd", 0.1, "constant", 128, 4]' FOLDER 0 0 TIME

The arguments: the peer, the recipe, the folder with the arrays, how many training examples to hold out and
test on, the seed, and when the process was started, by ``time.time()``.
"""

import importlib
import json
import sys
import time
from itertools import pairwise
from pathlib import Path

from experiments import peers


def main(name: str, recipe: str, folder: str, held_out: str, seed: str, started: str) -> None:
    times = [float(started)]

    def lap() -> None:
        times.append(time.time())

    peer = importlib.import_module(f"experiments.peers.{name}")
    lap()
    data = peers.load(Path(folder), int(held_out))
    lap()
    predicted = peer.train(data, peers.Recipe(*json.loads(recipe)), int(seed), lap)
    lap()
    imports, load, *epochs, test = (after - before for before, after in pairwise(times))
    accuracy = float((predicted == data.test_labels).mean())
    print(json.dumps({"import": imports, "data": load, "epochs": epochs, "test": test, "accuracy": accuracy}))


if __name__ == "__main__":
    main(*sys.argv[1:])
