"""Any option of a run as an axis: train a grid of networks with many seeds, and say what can be told apart.

    python experiments/sweep.py
    python experiments/sweep.py --batch-size 32 128 512 --hidden 32 128 32,32 --seeds 16
    python experiments/sweep.py --optimizer sgd nesterov --learning-rate 0.03 0.1 0.3 1 --dataset digits
    python experiments/sweep.py --dataset iris.csv --label species --label-smoothing 0 0.1 --budget 5m

What changes the shapes of a program makes a program of its own, and they run side by side on all cores; what
does not, such as the learning rate, is an axis of the arrays in one program. Scores are on a validation
split, a tenth of the training examples; ``--test`` is for the end.
"""

import itertools
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from tyro.conf import OmitArgPrefixes

from jaxnaive import (
    command,
    data,
    ensembles,
    job,
    losses,
    optimizers,
    regression,
    runs,
    splits,
    statistics,
    training,
    verdicts,
)
from jaxnaive.batches import Examples
from jaxnaive.command import datasets
from jaxnaive.command.options import DatasetName, Out, OwnFile, Resume
from jaxnaive.disk import files
from jaxnaive.ensembles import Outcome
from jaxnaive.job import Job, check_at_least
from jaxnaive.networks import chunks, fitting
from jaxnaive.networks.fitting import Plan
from jaxnaive.pictures import panels
from jaxnaive.pictures.palette import STYLES
from jaxnaive.pictures.panels import Panel
from jaxnaive.runs import sweeps
from jaxnaive.verdicts import Verdict

EXPERIMENT = "sweep"
PROGRAMS = (  # axes that make programs of their own
    "hidden", "optimizer", "batch_size", "schedule", "epochs", "precision", "validation", "class_weights",
)  # fmt: skip
NUMBERS = ("learning_rate", "decay", "label_smoothing")  # axes of the arrays in one program
READINGS = ("stop_at_loss", "patience")  # axes of what is read from one and the same run
SCORES = {"accuracy": (100.0, " points"), "r_squared": (1.0, ""), "loss": (-1.0, "")}  # higher is better
COUNTS = {"hidden": "units", "epochs": "epochs"}  # axes whose values count something
ROWS = 20  # of the printed table


@dataclass(frozen=True)
class Options:
    """Train a grid of networks with many seeds, and say what can be told apart. An option with several values
    is an axis of the grid."""

    dataset: DatasetName = None
    reading: OmitArgPrefixes[OwnFile] = field(default_factory=OwnFile)
    """how files of yours are read"""
    hidden: tuple[str, ...] = ("32",)
    """units of the hidden layers: 32, or 32,32 for two layers, or none"""
    optimizer: tuple[str | None, ...] = (None,)
    """sgd, momentum, nesterov, adagrad, rmsprop, adam, or of optax's, such as optax.lion; default: nesterov
    for classes of grey pictures, adam for all other data"""
    learning_rate: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
    """the highest of the schedule"""
    decay: tuple[float, ...] | None = None
    """of the optimizer, if it has one; default: the optimizer's own"""
    schedule: tuple[job.ScheduleName, ...] = ("one-cycle",)
    """of the learning rate: linear and cosine fall to 0; one-cycle first rises for three tenths of the run"""
    label_smoothing: tuple[float, ...] = (0.0,)
    """fraction of each target that is spread over all classes"""
    precision: tuple[job.Precision, ...] = ("float32",)
    """of the matrix products in training"""
    epochs: tuple[int | None, ...] = (None,)
    """how often every example is seen; default: 3, or as many as make 700 updates"""
    batch_size: tuple[int | None, ...] = (None,)
    """examples in an update; default: 256, or a quarter of fewer than 1,024 examples"""
    stop_at_loss: tuple[float, ...] = (0.0,)
    """stop after the epoch whose mean loss is below this"""
    validation: tuple[float, ...] = (0.0,)
    """fraction of the training examples that is held out for the patience"""
    patience: tuple[int | None, ...] = (None,)
    """stop when the validation loss has not become smaller for so many epochs; keep the best parameters"""
    class_weights: tuple[bool, ...] = (False,)
    """let each class weigh the same in the loss, however many examples it has"""
    seed: int = 0
    """of the first run at each point"""
    seeds: int = 8
    """runs at each point, which differ by their seed alone"""
    metric: str | None = None
    """what is compared: accuracy, r_squared, or loss; default: accuracy, or r_squared in a regression"""
    share_order: bool = False
    """all seeds see the same batches in the same order, and differ in their initial parameters alone"""
    test: bool = False
    """train on all training examples, and test on the test examples"""
    budget: str | None = None
    """time, such as 90s, 5m or 2h, after which nothing more is begun; the result is that of the seeds done"""
    memory: int = ensembles.MEMORY
    """bytes that the runs may take at a time"""
    one_by_one: bool = False
    """also do the same runs one after another, and say how much longer that takes"""
    out: Out = None
    resume: Resume = False


class Grid(NamedTuple):
    """The scores of all runs, over the axes with several values."""

    axes: dict[str, tuple[Any, ...]]
    scores: Float[np.ndarray, "*axes seeds"]  # not a number where a run diverged


def main(options: Options) -> Grid:
    """Returns the scores."""
    with command.usage():
        check(options)
        seconds = None if options.budget is None else parse_time(options.budget)
        files.check_folder(options.out or command.RUNS)
    dataset = datasets.load(options.dataset, vars(options.reading))
    train, test = (dataset.train, dataset.test) if options.test else splits.hold_out(dataset.train)
    with command.usage():
        metric = find_metric(options.metric, dataset.schema.is_regression)
        plans = make_plans(options, replace(dataset, train=train), chunks.on_device(test))
    kind = "test" if options.test else "validation"
    print(f"{dataset.name}: {len(train.labels):,} training, {len(test.labels):,} {kind} examples")
    total = sum(len(plan.points) * options.seeds for plan in plans.values())
    print(f"{total:,} runs in {len(plans)} {'program' if len(plans) == 1 else 'programs'}")
    about = datasets.describe(dataset, options.dataset)
    with command.open_run(EXPERIMENT, options, about) as disk_run:
        started = time.perf_counter()
        found = sweeps.carry_out(disk_run, plans, seconds)
        together = time.perf_counter() - started
        if options.one_by_one:
            alone = sum(map(seconds_one_by_one, plans.values()))
            print(f"{together:.1f} s together, {alone:.1f} s one by one, both with compiling:", end=" ")
            print(f"{alone / together:.2f} times as fast")
        done = len(next(iter(found.values())).axes["seed"]) if found else 0
        if done < 2:
            text = f"budget: got {options.budget}, in which {done} of {options.seeds} seeds were done"
            raise command.MissedError(f"{text}, expected time for 2; --resume goes on with a larger one")
        grid = read(options, found, metric)
        show(disk_run, grid, metric, f"{dataset.name}: {kind} {words(metric)}, mean of {done} seeds")
    if not np.isfinite(grid.scores).all(axis=-1).any():
        raise command.MissedError("some run diverged at every point; try smaller learning rates")
    return grid


# --- options -----------------------------------------------------------------------------------------


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    data.check_name(options.dataset, **vars(options.reading))
    for name, values in axes_of(options).items():
        option = name.replace("_", " ")
        if not values:
            raise ValueError(f"{option}: got none, expected one or more")
        if len(set(values)) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise ValueError(f"{option}: got {twice} twice, expected different values")
    for epochs in options.epochs:
        check_at_least("epochs", epochs, 1)
    check_at_least("seeds", options.seeds, 2)
    check_at_least("memory", options.memory, 1)
    job.check_seed(options.seed)
    job.check_seed(options.seed + options.seeds - 1)
    for name in ("learning_rate", "label_smoothing"):
        for value in getattr(options, name):
            job.check(replace(Job(), **{name: value}))
    for (given, _), (stop_at_loss, patience) in itertools.product(programs(options), readings(options)):
        job.check(replace(given, stop_at_loss=stop_at_loss, patience=patience))
    for decay, name in itertools.product(options.decay or (), options.optimizer):
        optimizers.check_fraction("decay", decay)
        if name and not job.has_parameter(job.find_optimizer(name), "decay"):
            raise ValueError(f"decay: {name} has none")


def axes_of(options: Options) -> dict[str, tuple[Any, ...]]:
    """The values of each axis that was given, also of those with one value, in the order of the arrays."""
    names = (*PROGRAMS, *READINGS, *NUMBERS)
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def programs(options: Options) -> list[tuple[Job, str]]:
    """The job of each program, with the first value of what is no axis of programs; and a name."""
    axes = axes_of(options)
    found = []
    for values in itertools.product(*(axes[name] for name in PROGRAMS)):
        own = dict(zip(PROGRAMS, values, strict=True))
        parts = [str(value) for name, value in own.items() if len(axes[name]) > 1]
        own["hidden"] = parse_hidden(own["hidden"])
        given = Job(**own, learning_rate=options.learning_rate[0], label_smoothing=options.label_smoothing[0])
        found.append((given, "-".join(parts) or EXPERIMENT))
    return found


def readings(options: Options) -> list[tuple[float, int | None]]:
    """When a run may stop: all combinations."""
    return list(itertools.product(options.stop_at_loss, options.patience))


def parse_hidden(text: str) -> tuple[int, ...]:
    """The units of each hidden layer.

    >>> parse_hidden("32,16"), parse_hidden("none")
    ((32, 16), ())
    """
    parts = [] if text == "none" else text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise ValueError(f"hidden: got {text!r}, expected units such as 32, layers such as 32,32, or none")
    return tuple(map(int, parts))


def parse_time(text: str) -> float:
    """A time in seconds.

    >>> parse_time("90s"), parse_time("1.5m"), parse_time("20")
    (90.0, 90.0, 20.0)
    """
    match = re.fullmatch(r"(\d+\.?\d*)([smh]?)", text)
    if not match or not float(match[1]):
        raise ValueError(f"budget: got {text!r}, expected a time such as 90s, 5m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def find_metric(name: str | None, is_regression: bool) -> str:
    """The metric that is compared."""
    known = ("r_squared", "loss") if is_regression else ("accuracy", "loss")
    if name is not None and name not in known:
        of = "a regression" if is_regression else "classes"
        raise ValueError(f"metric: got {name!r} with {of}, expected {' or '.join(known)}")
    return name or known[0]


# --- runs --------------------------------------------------------------------------------------------


def make_plans(options: Options, dataset: data.Dataset, test: Examples) -> dict[str, ensembles.Plan]:
    """The runs of each program, cut into chunks; ``ValueError`` if one of them cannot be."""
    keys = jax.vmap(jax.random.key)(np.arange(options.seed, options.seed + options.seeds, dtype=np.uint32))
    axes = axes_of(options)
    numbers = {name: axes[name] for name in NUMBERS if len(axes.get(name, ())) > 1}
    if options.decay:  # also a single one, because no job has it
        numbers["decay"] = options.decay
    order_key = jax.random.key(1) if options.share_order else None
    plans, there = {}, {}
    for given, name in programs(options):
        planned = fitting.plan(given, dataset)
        for number, values in numbers.items():
            for value in values:
                make_recipe(planned, dataset, {number: value})
        held_out = given.validation, given.class_weights
        if held_out not in there:
            watched = planned.validation and chunks.on_device(planned.validation)
            there[held_out] = chunks.on_device(planned.train), watched
        run = make_run(planned, dataset, order_key)
        plans[name] = sweeps.plan(run, keys, numbers, (*there[held_out], test), options.memory)
    return plans


def make_run(planned: Plan, dataset: data.Dataset, order_key: jax.Array | None) -> Callable[..., Outcome]:
    """A run, as a function of a key, what to train and test on, and hyper-parameters."""
    epochs = planned.job.epochs or 0

    def run(
        key: jax.Array, train: Examples, validation: Examples | None, test: Examples, **point: jax.Array
    ) -> Outcome:
        recipe = make_recipe(planned, dataset, point)
        return ensembles.train_and_test(key, train, test, recipe, epochs, order_key, validation)

    return run


def make_recipe(planned: Plan, dataset: data.Dataset, numbers: dict[str, Any]) -> training.Recipe:
    """The recipe of a plan at a point of the grid of numbers; one of its metrics is the loss."""
    recipe = job.make_recipe(
        planned.job, dataset.num_features, dataset.num_outputs, len(planned.train.labels),
        dataset.schema.is_regression, numbers=numbers,
    )  # fmt: skip
    per_example = regression.squared_error if dataset.schema.is_regression else losses.cross_entropy

    def loss(outputs: jax.Array, labels: jax.Array) -> jax.Array:
        return per_example(outputs, labels).mean()  # without label smoothing, so that it can be compared

    return recipe._replace(metrics=(*recipe.metrics, loss))


def read(options: Options, found: dict[str, ensembles.Runs], metric: str) -> Grid:
    """The score of each run where it ended, or would have stopped."""
    axes = axes_of(options)
    rows = []
    for program in found.values():
        outcome = program.results
        for stop_at_loss, patience in readings(options):
            kept = ensembles.kept_epoch(outcome, stop_at_loss, patience)
            score = np.take_along_axis(outcome.metrics[metric], kept[..., None], -1)[..., 0]
            rows.append(np.where(program.diverged, np.nan, score))
    scores = np.stack(rows).reshape(*map(len, axes.values()), -1)
    several = {name: values for name, values in axes.items() if len(values) > 1}
    return Grid(several, scores.reshape(*map(len, several.values()), -1))


def seconds_one_by_one(plan: ensembles.Plan) -> float:
    """How long the runs of a program take as calls of one compiled run."""
    started = time.perf_counter()
    alone = jax.jit(plan.run)
    for key, point in itertools.product(plan.keys, plan.points):
        jax.block_until_ready(alone(key, *plan.shared, **dict(zip(plan.axes, point, strict=True))))
    return time.perf_counter() - started


# --- what came out -----------------------------------------------------------------------------------


def show(disk_run: runs.Run, grid: Grid, metric: str, title: str) -> None:
    """Print and save a row a point of the grid, the best first, and a sentence an axis; draw a picture."""
    scale, unit = SCORES[metric]
    rows = table(grid, scale)
    print_table(grid, rows, title)
    judged = {name: verdicts.judge(scale * grid.scores, axis) for axis, name in enumerate(grid.axes)}
    sentences = {name: sentence(name, grid.axes[name], verdict, unit) for name, verdict in judged.items()}
    print("", *sentences.values(), sep="\n")
    if len(grid.axes) > 1:
        print("Each value is judged with the other axes at their best for it.")
    stored = {"title": title, "config": disk_run.config, "rows": rows, "verdicts": sentences}
    files.write_json(disk_run.folder / "sweep.json", stored)
    is_drawn = grid.axes and np.isfinite(grid.scores).all(axis=-1).any()
    if is_drawn:
        best = {name: verdict.scores / scale for name, verdict in judged.items()}
        draw(disk_run.folder / "sweep.png", grid, best, metric, title)
    print(f"saved {disk_run.folder}/: sweep.json" + (", sweep.png" if is_drawn else ""))


def table(grid: Grid, scale: float) -> list[dict[str, Any]]:
    """A row a point of the grid, the best first, those of which a run diverged last."""
    rows = []
    for place in np.ndindex(grid.scores.shape[:-1]):
        point = {name: values[at] for (name, values), at in zip(grid.axes.items(), place, strict=True)}
        lost = int(np.isnan(grid.scores[place]).sum())
        parts = statistics.summarise(grid.scores[place])._asdict()
        numbers = {part: None if lost else float(value) for part, value in parts.items()}
        rows.append({**point, **numbers, "diverged": lost})
    return sorted(rows, key=lambda row: (row["diverged"], -scale * (row["mean"] or 0.0)))


def print_table(grid: Grid, rows: list[dict[str, Any]], title: str) -> None:
    """The first rows, with the axes as columns."""
    widths = {
        name: 2 + max(len(words(name)), *(len(short(name, value)) for value in values))
        for name, values in grid.axes.items()
    }
    print(f"\n{title}\n" + "".join(f"{words(name):{width}}" for name, width in widths.items()))
    for row in rows[:ROWS]:
        point = "".join(f"{short(name, row[name]):{width}}" for name, width in widths.items())
        lost = f"{row['diverged']} of {grid.scores.shape[-1]} diverged"
        print(point + (lost if row["diverged"] else f"{row['mean']:.4f} +- {row['sd']:.4f}"))
    if len(rows) > ROWS:
        print(f"... and {len(rows) - ROWS} more in sweep.json")


def sentence(name: str, values: Sequence[Any], verdict: Verdict, unit: str) -> str:
    """What the runs say of an axis."""
    subject = "" if verdict.best is None else full(name, values[verdict.best])
    names = [short(name, value) for value in values]
    text = f"{verdicts.sentence(verdict, names, subject, name in COUNTS, unit)}."
    is_searched = name in ("learning_rate", "decay") and len(values) > 2
    if is_searched and verdict.best is not None and values[verdict.best] in (min(values), max(values)):
        return f"{text} {subject.capitalize()} is at the end of the grid: a better one may lie beyond."
    return text


def draw(path: Path, grid: Grid, best: dict[str, np.ndarray], metric: str, title: str) -> None:
    """Scores over the axis with the most values, a line for each of the next, a panel for each of the third.

    With more axes, or more values than there are styles of lines: a panel an axis, each of its values with
    the other axes at their best.
    """
    names = sorted(grid.axes, key=lambda name: -len(grid.axes[name]))
    made = [Panel("", words(name), _names(grid, name), {"": scores}) for name, scores in best.items()]
    if len(names) <= 3 and all(len(grid.axes[name]) <= len(STYLES) for name in names[1:]):
        order = [list(grid.axes).index(name) for name in names]
        scores = grid.scores.transpose(*order, -1)
        made = _panels(grid, names, scores.reshape(*scores.shape[:-1], *[1] * (3 - len(names)), -1))
    elif len(names) > 1:
        title += ", each value with the other axes at their best"
    panels.draw(path, made, words(metric), f"{title}, with 95 % intervals", SCORES[metric][0] > 0)


def _panels(grid: Grid, names: list[str], scores: np.ndarray) -> list[Panel]:
    """A panel for each value of the third axis, if there is one, of scores ``[x, lines, panels, seeds]``."""
    lines, titles = (
        [full(name, value) for name in names[place : place + 1] for value in grid.axes[name]] or [""]
        for place in (1, 2)
    )
    return [
        Panel(
            title, words(names[0]), _names(grid, names[0]), dict(zip(lines, part.swapaxes(0, 1), strict=True))
        )
        for title, part in zip(titles, np.moveaxis(scores, 2, 0), strict=True)
    ]


def _names(grid: Grid, name: str) -> list[str]:
    return [short(name, value) for value in grid.axes[name]]


def words(name: str) -> str:
    """An axis, or a metric, in words."""
    return {"hidden": "hidden units", "r_squared": "R²"}.get(name, name.replace("_", " "))


def short(name: str, value: Any) -> str:
    """A value in words, beside the name of its axis."""
    if value is None:
        return "none" if name == "patience" else "default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def full(name: str, value: Any) -> str:
    """A value in words that stand alone."""
    if value == "none" and name == "hidden":
        return "no hidden units"
    if name in COUNTS:
        return f"{short(name, value)} {COUNTS[name]}"
    is_name = name in ("optimizer", "precision") and value is not None
    return short(name, value) if is_name else f"{words(name)} {short(name, value)}"


if __name__ == "__main__":
    command.run(main, Options, partial(command.resumed, EXPERIMENT))
