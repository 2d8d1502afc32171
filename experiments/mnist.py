"""Train a network on MNIST, or any other dataset, and test it: the main job.

python experiments/mnist.py
python experiments/mnist.py --dataset fashion_mnist --hidden 512 256 --epochs 10
python experiments/mnist.py --optimizer adam --learning-rate 0.004 --schedule linear
python experiments/mnist.py --batch-size 128 --epochs 2 --label-smoothing 0.15
python experiments/mnist.py --resume --epochs 20
"""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from tqdm import tqdm
from tyro.conf import OmitArgPrefixes

from jaxnaive import batches, command, data, job, layers, networks, runs, training
from jaxnaive.command.options import DataDir, ManualDir, Out, Resume
from jaxnaive.disk import checkpoints, files
from jaxnaive.job import Job
from jaxnaive.pages import report
from jaxnaive.pictures import plots
from jaxnaive.runs import certificates, timings

EXPERIMENT = "mnist"  # as configurations of its runs say, whatever the dataset
SAVED = (
    runs.CONFIG, runs.LOG, f"{runs.CHECKPOINTS}/", certificates.PARAMS, "curves.png", "predictions.png",
    timings.TIMINGS, certificates.CERTIFICATE,
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Train a network on a dataset, and test it."""

    job: OmitArgPrefixes[Job] = field(default_factory=Job)
    """what to train"""
    stop_at_loss: float = 0.0
    """stop after the epoch whose mean loss is below this"""
    data_dir: DataDir = None
    manual_dir: ManualDir = None
    out: Out = None
    resume: Resume = False
    report: bool = False
    """write report.html beside the rest: all there is to say of the run as one page"""


class Result(NamedTuple):
    """What a run returns."""

    params: layers.Params
    history: training.History
    accuracy: float  # on the test set


def main(options: Options) -> Result:
    with command.usage():
        check(options)
    clock = timings.Clock(**{"import": timings.since_start() if __name__ == "__main__" else None})
    dataset = data.load(options.job.dataset, data_dir=options.data_dir, manual_dir=options.manual_dir)
    count, classes = len(dataset.train.labels), len(dataset.class_names)
    examples = jax.device_put(dataset.train)
    clock.lap("data")
    with command.usage():
        options = settled(options, dataset)
    recipe = job.make_recipe(options.job, dataset.num_features, classes, count)
    print(f"{dataset.name}: {count:,} training, {len(dataset.test.labels):,} test examples")
    print(f"{dataset.num_features} numbers each, {classes} classes")

    opened = command.open_run(EXPERIMENT, options, networks.config_of(dataset), dataset.name)
    with certificates.count_compiles() as compiles, opened as run:
        clock.lap("save")
        state, history = train(run, options, recipe, examples, clock)
        test = training.evaluate(state.params, dataset.test, recipe)
        clock.lap("test")
        show_test(test, clock)
        certificate = certificates.read_complete(run.folder, run.epoch)
        if certificate:
            print(f"{run.folder}: already complete")
        else:
            save_results(run.folder, dataset, state.params, history, test)
            certificate = certificates.certify(run.folder, state, history, count, test, recipe, compiles)
            timings.add(run.folder, (run.began, run.epoch), clock)
            certificates.write(run.folder, certificate)  # last: whoever finds it finds all the rest
            print(f"saved {run.folder}/: {', '.join(SAVED)}")
        print(certificates.to_text(certificate))
        if options.report:
            write_report(run.folder, dataset)
    return Result(state.params, history, float(test.accuracy))


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    data.check_name(options.job.dataset)
    job.check(options.job)
    files.make_folder(options.out or command.RUNS)


def settled(options: Options, dataset: data.Dataset) -> Options:
    """The options with what their job leaves open decided for this dataset."""
    name = data.lasting_name(options.job.dataset or dataset.name)
    return replace(options, job=job.settle(options.job, name, len(dataset.train.labels)))


def train(
    run: runs.Run, options: Options, recipe: training.Recipe, examples: batches.Examples, clock: timings.Clock
) -> tuple[training.State, training.History]:
    """All epochs that are not saved yet; each is saved at its end."""
    state = training.start(jax.random.key(options.job.seed), recipe)
    print(f"{layers.count(state.params):,} parameters")
    clock.lap("compile")
    state = run.restore(state)
    losses = run.losses()
    clock.lap("save")
    train_epoch = training.train_epoch.lower(state, examples, recipe).compile()
    clock.lap("compile")
    with tqdm(total=options.job.epochs, initial=run.epoch, desc="train", unit="epoch") as progress:
        while run.epoch < (options.job.epochs or 0):
            if losses and losses[-1].mean() < options.stop_at_loss:
                break
            certificates.remove(run.folder)
            state, loss = train_epoch(state, examples)
            losses.append(np.asarray(loss))
            clock.lap("train")
            run.save(state, loss)
            clock.lap("save")
            progress.set_postfix(loss=f"{losses[-1].mean():.4f}", refresh=False)
            progress.update()
    return state, training.History(np.stack(losses) if losses else np.zeros((0, 0), np.float32))


def show_test(test: training.Evaluation, clock: timings.Clock) -> None:
    """Print how the network does on the test set, and how long everything took."""
    if not np.isfinite(test.loss):
        raise command.MissedError("the test loss is not finite; lower --learning-rate")
    print(f"seconds: {clock}")
    print(f"test loss {test.loss:.4f}")
    print(f"test accuracy {test.accuracy:.4f}", flush=True)


def save_results(
    out: Path,
    dataset: data.Dataset,
    params: layers.Params,
    history: training.History,
    test: training.Evaluation,
) -> None:
    """The parameters, the learning curve, and predictions that are right and wrong."""
    checkpoints.save_params(out / certificates.PARAMS, params)
    title = f"{dataset.name}: test accuracy {test.accuracy:.4f}"
    plots.curves(out / "curves.png", history, title, float(test.loss))
    plots.predictions(out / "predictions.png", dataset, np.asarray(layers.softmax(test.logits)))


def write_report(folder: Path, dataset: data.Dataset) -> None:
    """All there is to say of the run as one page."""
    page = folder / report.REPORT
    report.write(page, [report.gather(networks.load(folder), dataset)])
    print(f"saved {page}")


if __name__ == "__main__":
    command.run(main, Options, partial(command.resumed, EXPERIMENT))
