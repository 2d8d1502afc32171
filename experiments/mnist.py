"""Train a network on MNIST, or any other dataset, and test it: the main job.

python experiments/mnist.py
python experiments/mnist.py --dataset fashion_mnist --hidden 512 256 --epochs 10
python experiments/mnist.py --optimizer adam --learning-rate 0.004 --schedule linear
python experiments/mnist.py --batch-size 128 --epochs 2 --label-smoothing 0.15
python experiments/mnist.py --resume --epochs 20
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from jaxnaive import (
    batches,
    certificates,
    checkpoints,
    choices,
    command,
    data,
    files,
    layers,
    losses,
    operations,
    optimizers,
    plots,
    report,
    runs,
    timing,
    trained,
    training,
)

NAME = "mnist"  # of its runs
MIN_UPDATES = 700  # about as many as 3 epochs of MNIST; 3 epochs of the 1,442 digits would be only 18

PRODUCTS = {"float32": jnp.matmul, "bfloat16": operations.matmul_bfloat16}
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
    label_smoothing: float = 0.0
    """of the target, spread over all classes, in all losses; with 0.15 two epochs do what three do without"""
    precision: Literal["float32", "bfloat16"] = "float32"
    """of the matrix products of the training; bfloat16 is faster where the processor has it"""
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
    out: Path | None = None
    """folder for the run; by default runs/mnist-1, or the first such one that is not there yet"""
    resume: bool = False
    """go on with the run in --out, by default the last one, and with its options; --epochs may be larger,
    and the schedule is then the longer run's"""
    report: bool = False
    """write report.html beside the rest: all there is to say of the run as one page"""


class Result(NamedTuple):
    """What a run comes to."""

    params: layers.Params
    history: training.History
    accuracy: float  # on the test set


def main(options: Options) -> Result:
    with command.usage():
        check(options)
        files.make_folder(options.out or command.RUNS)
    clock = timing.Clock(**{"import": timing.since_start() if __name__ == "__main__" else None})
    dataset = data.load(options.dataset, data_dir=options.data_dir, manual_dir=options.manual_dir)
    examples = jax.device_put(dataset.train)
    clock.lap("data")
    with command.usage():
        options = settled(options, dataset)
    recipe = make_recipe(options, dataset)
    print(
        f"{dataset.name}: {len(dataset.train.labels):,} training, {len(dataset.test.labels):,} test examples"
    )
    print(f"{dataset.num_features} numbers each, {len(dataset.class_names)} classes")

    opened = command.open_run(NAME, options, trained.config_of(dataset))
    with certificates.count_compiles() as compiles, opened as run:
        clock.lap("save")
        state, history = train(run, options, recipe, examples, clock)
        test = training.evaluate(state.params, dataset.test, recipe)
        clock.lap("test")
        if not np.isfinite(test.loss):
            raise command.MissedError("the test loss is not finite; lower --learning-rate")
        print(f"seconds: {clock}")
        print(f"test loss {test.loss:.4f}")
        print(f"test accuracy {test.accuracy:.4f}", flush=True)
        certificate = certificates.read(run.folder)
        if (
            certificate is not None
            and certificate["epochs"] == run.epoch
            and certificates.holds(run.folder, certificate)
        ):
            print(f"{run.folder}: already complete")
        else:
            checkpoints.save_params(run.folder / certificates.PARAMS, state.params)
            save_pictures(run.folder, dataset, history, test)
            count = len(dataset.train.labels)
            certificate = certificates.certify(run.folder, state, history, count, test, recipe, compiles)
            timing.add(run.folder, (run.began, run.epoch), clock)
            certificates.write(run.folder, certificate)  # last: whoever finds it finds all the rest
            print(
                f"saved {run.folder}/: config.json, metrics.jsonl, checkpoints/, params.safetensors,", end=" "
            )
            print("curves.png, predictions.png, timings.json, certificate.json")
        print(certificates.to_text(certificate))
        if options.report:
            report.write(run.folder / report.NAME, [report.gather(trained.load(run.folder), dataset)])
            print(f"saved {run.folder / report.NAME}")
    return Result(state.params, history, float(test.accuracy))


def train(
    run: runs.Run, options: Options, recipe: training.Recipe, examples: batches.Examples, clock: timing.Clock
) -> tuple[training.State, training.History]:
    """All epochs that are not saved yet; each is saved at its end."""
    state = training.start(jax.random.key(options.seed), recipe)
    print(f"{layers.count(state.params):,} parameters")
    clock.lap("compile")
    state = run.restore(state)
    reported = run.losses()
    clock.lap("save")
    train_epoch = training.train_epoch.lower(state, examples, recipe).compile()
    clock.lap("compile")
    with tqdm(total=options.epochs, initial=run.epoch, desc="train", unit="epoch") as progress:
        while run.epoch < (options.epochs or 0):
            if reported and reported[-1].mean() < options.stop_at_loss:
                break
            certificates.remove(run.folder)
            state, loss = train_epoch(state, examples)
            reported.append(np.asarray(loss))
            clock.lap("train")
            run.save(state, loss)
            clock.lap("save")
            progress.set_postfix(loss=f"{reported[-1].mean():.4f}", refresh=False)
            progress.update()
    return state, training.History(np.stack(reported) if reported else np.zeros((0, 0), np.float32))


def settled(options: Options, dataset: data.Dataset) -> Options:
    """The options with what they leave open decided for this dataset."""
    batches.check_batch_size(options.batch_size, len(dataset.train.labels))
    steps = batches.num_batches(len(dataset.train.labels), options.batch_size)
    name = options.dataset or dataset.name
    return replace(
        options,
        dataset=str(Path(name).resolve()) if name.endswith(".npz") else name,
        learning_rate=options.learning_rate or HIGHEST.get(options.optimizer, 0.002),
        epochs=max(3, math.ceil(MIN_UPDATES / steps)) if options.epochs is None else options.epochs,
    )


def make_recipe(options: Options, dataset: data.Dataset) -> training.Recipe:
    """What settled options mean for this dataset."""
    updates = batches.num_batches(len(dataset.train.labels), options.batch_size) * (options.epochs or 0)
    sizes = (dataset.num_features, *options.hidden, len(dataset.class_names))
    model = layers.mlp(*sizes, product=PRODUCTS[options.precision])
    rate = choices.schedule(options.schedule, options.learning_rate, updates)
    loss = losses.smoothed_cross_entropy(options.label_smoothing)
    optimizer = choices.optimizer(options.optimizer)(rate)
    return training.Recipe(model, optimizer, loss, batch_size=options.batch_size)


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    data.check_name(options.dataset)
    if options.schedule not in get_args(
        choices.Schedule
    ):  # tyro does not look at what it is given as default
        raise ValueError(f"schedule: got {options.schedule!r}, expected one of {get_args(choices.Schedule)}")
    if options.precision not in PRODUCTS:
        raise ValueError(f"precision: got {options.precision!r}, expected one of {', '.join(PRODUCTS)}")
    choices.optimizer(options.optimizer)
    if options.learning_rate is not None:
        optimizers.check_learning_rate(options.learning_rate)
    losses.smoothed_cross_entropy(options.label_smoothing)
    command.check_at_least("epochs", options.epochs, 0)
    command.check_at_least("batch size", options.batch_size, 1)
    command.check_at_least("seed", options.seed, 0)
    for units in options.hidden:
        command.check_at_least("hidden units", units, 1)
    if options.seed >= 2**32:
        raise ValueError(f"seed: got {options.seed}, expected less than 2**32")


def save_pictures(
    out: Path, dataset: data.Dataset, history: training.History, test: training.Evaluation
) -> None:
    """Draw the learning curve, and predictions that are right and wrong."""
    plots.curves(out / "curves.png", history, f"{dataset.name}: test accuracy {test.accuracy:.4f}")
    plots.predictions(out / "predictions.png", dataset, np.asarray(layers.softmax(test.logits)))


if __name__ == "__main__":
    command.run(main, Options, partial(command.resumed, NAME))
