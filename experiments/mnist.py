"""Train a network on MNIST, or any other dataset, and test it: the main job.

python experiments/mnist.py
python experiments/mnist.py --dataset fashion_mnist --hidden 512 256 --epochs 10
python experiments/mnist.py --optimizer adam --learning-rate 0.004 --schedule linear
python experiments/mnist.py --batch-size 128 --epochs 2 --label-smoothing 0.15
python experiments/mnist.py --dataset iris.csv --label species --validation 0.1 --patience 20
python experiments/mnist.py --resume --epochs 20
"""

import logging
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from tyro.conf import OmitArgPrefixes

from jaxnaive import command, data, job, layers, networks, pictures, runs, training
from jaxnaive.command import datasets
from jaxnaive.command.options import DataDir, ManualDir, Out, Reading, Resume
from jaxnaive.disk import files
from jaxnaive.job import Job
from jaxnaive.networks import EXPERIMENT, chunks, fitting, measures
from jaxnaive.networks.fitting import Plan
from jaxnaive.pages import report
from jaxnaive.pictures import plots
from jaxnaive.runs import certificates, timings

logger = logging.getLogger("jaxnaive")
SAVED = (
    runs.CONFIG, runs.LOG, f"{runs.CHECKPOINTS}/", certificates.PARAMS, networks.REJECTION, "curves.png",
    "predictions.png", timings.TIMINGS, certificates.CERTIFICATE,
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Train a network on a dataset, and test it."""

    job: OmitArgPrefixes[Job] = field(default_factory=Job)
    """what to train"""
    reading: OmitArgPrefixes[Reading] = field(default_factory=Reading)
    """how files of yours are read"""
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
    accuracy: float  # on the test set; R2 in a regression


def main(options: Options) -> Result:
    with command.usage():
        check(options)
    clock = timings.Clock(**{"import": timings.since_start() if __name__ == "__main__" else None})
    folders = {"data_dir": options.data_dir, "manual_dir": options.manual_dir}
    dataset = datasets.load(options.job.dataset, vars(options.reading), **folders)
    clock.lap("data")
    with command.usage():
        planned = fitting.plan(options.job, dataset)
    show_data(dataset, planned)

    options = replace(options, job=planned.job)
    opened = command.open_run(EXPERIMENT, options, networks.describe(dataset), dataset.name)
    with certificates.count_compiles() as compiles, opened as run:
        clock.lap("save")
        trained = fitting.train(run, planned, clock, progress=True)
        params, history = trained.state.params, trained.history
        test = chunks.evaluate(params, dataset.test, planned.recipe)
        clock.lap("test")
        measured = measures.measure(
            np.asarray(test.logits)[None], dataset.test.labels, dataset.schema, planned.recipe.loss
        )
        if not np.isfinite(measured.loss):
            raise command.MissedError("the test loss is not finite; lower --learning-rate")
        complete = certificates.read_complete(run.folder, run.epoch)
        problem = measures.problem(measured, history)
        # Before anything is said or drawn, which may fail.
        certificate = complete or fitting.finish(
            run, planned, trained, test, compiles, clock,
            networks.learn_rejection(planned.train, dataset.schema), problem,
        )  # fmt: skip
        show_test(measured, clock)
        draw(run.folder, dataset, history, test, measured, is_new=not complete)
        there = ", ".join(name for name in SAVED if (run.folder / name).exists())
        print(f"{run.folder}: already complete" if complete else f"saved {run.folder}/: {there}")
        print(certificates.to_text(certificate))
        if options.report:
            write_report(run.folder, dataset)
    if certificates.PROBLEM in certificate:
        raise command.MissedError(certificate[certificates.PROBLEM])
    return Result(params, history, measured.score[1])


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    data.check_name(options.job.dataset, **vars(options.reading))
    data.check_name(options.reading.test)
    job.check(options.job)
    files.check_folder(options.out or command.RUNS)


def show_data(dataset: data.Dataset, planned: Plan) -> None:
    """Print what is trained on, and what was decided about it."""
    held_out = "" if planned.validation is None else f"{len(planned.validation.labels):,} validation, "
    count = f"{len(planned.train.labels):,} training, {held_out}{len(dataset.test.labels):,} test examples"
    print(f"{dataset.name}: {count}")
    outputs = "targets" if dataset.schema.is_regression else "classes"
    print(f"{dataset.num_features} numbers each, {dataset.num_outputs} {outputs}")
    for note in dataset.notes:
        print(note)
    params = jax.eval_shape(planned.recipe.model.init, jax.random.key(0))
    print(f"{layers.count(params):,} parameters")


def show_test(measured: measures.Measures, clock: timings.Clock) -> None:
    """Print how the network does on the test set, and how long everything took."""
    name, value = measured.score
    print(f"seconds: {clock}")
    print(f"test loss {measured.loss:.4f}")
    print(f"test {name} {value:.4f}", flush=True)
    if measured.classes:
        print(f"accuracy of each class: {measured.classes}")


def draw(
    out: Path,
    dataset: data.Dataset,
    history: training.History,
    test: training.Evaluation,
    measured: measures.Measures,
    is_new: bool,
) -> None:
    """The learning curve, and predictions that are right and wrong, unless the run is old and has them.

    A picture that cannot be drawn is left out, and said so: the run is complete without it.
    """
    name, value = measured.score
    title = f"{dataset.name}: test {name} {value:.4f}"

    def predictions(path: Path) -> None:
        if dataset.schema.is_regression:
            pictures.save(plots.scatter(dataset, np.asarray(test.logits)), path)
        else:
            plots.predictions(path, dataset, np.asarray(jax.jit(layers.softmax)(test.logits)))

    for path, draw_it in (
        (out / "curves.png", lambda path: plots.curves(path, history, title, measured.loss)),
        (out / "predictions.png", predictions),
    ):
        if is_new or not path.exists():
            try:
                draw_it(path)
            except Exception as error:
                logger.warning("%s: not drawn: %s", path, command.describe(error))


def write_report(folder: Path, dataset: data.Dataset) -> None:
    """All there is to say of the run as one page."""
    page = folder / report.REPORT
    report.write(page, [report.gather(networks.load(folder), dataset)])
    print(f"saved {page}")


if __name__ == "__main__":
    command.run(main, Options, partial(command.resumed, EXPERIMENT))
