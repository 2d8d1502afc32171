"""Train a network on MNIST, or any other dataset, and test it: the main job.

python experiments/mnist.py
python experiments/mnist.py --dataset fashion_mnist --hidden 512 256 --epochs 10
python experiments/mnist.py --optimizer adam --learning-rate 0.004 --schedule linear
"""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from jaxnaive import batches, checkpoints, choices, command, data, files, layers, optimizers, plots, training

MIN_UPDATES = 700  # about as many as 3 epochs of MNIST; 3 epochs of the 1,442 digits would be only 18

HIGHEST = {"sgd": 0.6, "momentum": 0.6, "nesterov": 0.6, "adagrad": 0.05}  # learning rates; 0.002 for others


@dataclass(frozen=True)
class Options:
    """Train a network on a dataset, and test it."""

    dataset: str | None = None
    """mnist, fashion_mnist, kmnist, digits, another of tfds's or an .npz file; by default mnist, or digits
    when mnist cannot be had"""
    hidden: tuple[int, ...] = (512,)
    """units of the hidden layers"""
    optimizer: str = "nesterov"
    """sgd, momentum, nesterov, adagrad, rmsprop, adam, or one of optax's, such as optax.lion"""
    learning_rate: float | None = None
    """at its highest; by default 0.6 for sgd, momentum, nesterov, 0.05 for adagrad, and 0.002 for others"""
    schedule: choices.Schedule = "one-cycle"
    """linear and cosine fall to 0; one-cycle rises for three tenths of the run first"""
    epochs: int | None = None
    """how often every example is seen; by default 3, or more when that makes fewer than 700 updates"""
    batch_size: int = 256
    """examples an update"""
    seed: int = 0
    """decides the first parameters and the order of the examples"""
    stop_at_loss: float = 0.0
    """stop after the epoch whose mean loss is below this"""
    data_dir: Path | None = None
    """tfds's folder; by default $TFDS_DATA_DIR or ~/tensorflow_datasets"""
    manual_dir: Path | None = None
    """folder with dataset files that you have already; by default $JAXNAIVE_MANUAL_DIR"""
    out: Path = Path("runs/mnist")
    """folder for the results; those of an earlier run are replaced"""


class Result(NamedTuple):
    """What a run comes to."""

    params: layers.Params
    history: training.History
    accuracy: float  # on the test set


def main(options: Options) -> Result:
    with command.usage():
        check(options)
    files.make_folder(options.out)

    clock = Clock()
    dataset = data.load(options.dataset, data_dir=options.data_dir, manual_dir=options.manual_dir)
    examples = jax.device_put(dataset.train)
    clock.lap("data")

    with command.usage():
        recipe, epochs = plan(options, dataset)
    state = training.start(jax.random.key(options.seed), recipe)
    train_epoch = training.train_epoch.lower(state, examples, recipe).compile()
    print(
        f"{dataset.name}: {len(dataset.train.labels):,} training, {len(dataset.test.labels):,} test examples"
    )
    print(f"{dataset.num_features} numbers each, {len(dataset.class_names)} classes")
    print(f"{layers.count(state.params):,} parameters")
    clock.lap("compile")

    rows = []
    with tqdm(range(epochs), desc="train", unit="epoch") as progress:
        for epoch in progress:
            state, loss = train_epoch(state, examples)
            rows.append(np.asarray(loss))
            check_finite(rows[-1], epoch)
            progress.set_postfix(loss=f"{rows[-1].mean():.4f}", refresh=False)
            if rows[-1].mean() < options.stop_at_loss:
                break
    history = training.History(np.stack(rows) if rows else np.zeros((0, 0), np.float32))
    clock.lap("train")

    test = training.evaluate(state.params, dataset.test, recipe)
    accuracy = float(test.accuracy)
    clock.lap("test")
    if not np.isfinite(test.loss):
        raise command.MissedError("the test loss is not finite; lower --learning-rate")
    save_results(options.out, state.params, history)
    print(f"seconds: {clock}")
    print(f"test loss {test.loss:.4f}")
    print(f"test accuracy {accuracy:.4f}", flush=True)
    save_pictures(options.out, dataset, history, test)
    print(f"saved {options.out}/: metrics.jsonl, params.safetensors, curves.png, predictions.png")
    return Result(state.params, history, accuracy)


def plan(options: Options, dataset: data.Dataset) -> tuple[training.Recipe, int]:
    """What the options mean for this dataset: the recipe, and the number of epochs."""
    batches.check_batch_size(options.batch_size, len(dataset.train.labels))
    steps = batches.num_batches(len(dataset.train.labels), options.batch_size)
    epochs = max(3, math.ceil(MIN_UPDATES / steps)) if options.epochs is None else options.epochs
    model = layers.mlp(dataset.num_features, *options.hidden, len(dataset.class_names))
    highest = options.learning_rate or HIGHEST.get(options.optimizer, 0.002)
    rate = choices.schedule(options.schedule, highest, epochs * steps)
    optimizer = choices.optimizer(options.optimizer)(rate)
    return training.Recipe(model, optimizer, batch_size=options.batch_size), epochs


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    data.check_name(options.dataset)
    choices.optimizer(options.optimizer)
    if options.learning_rate is not None:
        optimizers.check_learning_rate(options.learning_rate)
    command.check_at_least("epochs", options.epochs, 0)
    command.check_at_least("batch size", options.batch_size, 1)
    command.check_at_least("seed", options.seed, 0)
    for units in options.hidden:
        command.check_at_least("hidden units", units, 1)
    if options.seed >= 2**32:
        raise ValueError(f"seed: got {options.seed}, expected less than 2**32")


def check_finite(loss: np.ndarray, epoch: int) -> None:
    """Raise ``MissedError`` unless all losses of an epoch are finite."""
    if not np.isfinite(loss).all():
        step = np.flatnonzero(~np.isfinite(loss))[0]
        raise command.MissedError(
            f"the loss is not finite from step {step} of epoch {epoch} on; lower --learning-rate"
        )


def save_results(out: Path, params: Any, history: training.History) -> None:
    """Write the loss of every step, and the parameters."""
    losses = np.asarray(history.loss).tolist()
    with files.replacing(out / "metrics.jsonl") as temporary:
        lines = (
            json.dumps({"epoch": epoch, "step": step, "loss": loss})
            for epoch, row in enumerate(losses)
            for step, loss in enumerate(row)
        )
        temporary.write_text("".join(line + "\n" for line in lines))
    checkpoints.save_params(out / "params.safetensors", params)


def save_pictures(
    out: Path, dataset: data.Dataset, history: training.History, test: training.Evaluation
) -> None:
    """Draw the learning curve, and predictions that are right and wrong."""
    plots.curves(out / "curves.png", history, f"{dataset.name}: test accuracy {test.accuracy:.4f}")
    plots.predictions(out / "predictions.png", dataset, np.asarray(layers.softmax(test.logits)))


class Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self.last
        self.last = now

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.laps.items())


if __name__ == "__main__":
    command.run(main, Options)
