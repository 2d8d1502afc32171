"""From a dataset to a trained network: what :mod:`training` computes, with progress, validation and a folder.

    dataset = data.load("train.csv", label="species")
    network = fit(dataset, hidden=(64,), epochs=50, patience=5)
    network.evaluate(dataset.test), network.predict(rows)

``experiments/mnist.py`` is the same road with more options: it goes through :func:`plan`, :func:`train` and
:func:`finish` too.
"""

import contextlib
import inspect
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import data, ensembles, job, networks, runs, splits, training
from jaxnaive.batches import Examples
from jaxnaive.data import Dataset
from jaxnaive.data.names import did_you_mean
from jaxnaive.disk import checkpoints
from jaxnaive.disk.files import StrPath
from jaxnaive.job import Job
from jaxnaive.layers import Layer
from jaxnaive.networks import Network, chunks, learn_rejection, measures
from jaxnaive.plain import plain
from jaxnaive.rejection import Rejection
from jaxnaive.runs import certificates, timings
from jaxnaive.runs.progress import bar
from jaxnaive.training import Evaluation, History, Recipe, State

VALIDATION = 0.1  # by default

logger = logging.getLogger("jaxnaive")


class Unsaved:
    """Stands in for a run on disk where none is wanted."""

    epoch = 0
    folder = None

    def restore(self, state: Any) -> Any:
        """The state to begin with."""
        return state

    def best(self, state: Any) -> Any:
        """The state to begin with."""
        return state

    def losses(self) -> list[np.ndarray]:
        """None yet."""
        return []

    def validation_losses(self) -> list[float]:
        """None yet."""
        return []

    def save(self, state: Any, loss: np.ndarray, validation_loss: Any = None) -> None:
        """Count an epoch, and raise ``FloatingPointError`` if something in it is not finite."""
        runs.check_finite(state, loss, self.epoch)
        self.epoch += 1


class Plan(NamedTuple):
    """What is trained, on what, and what it is watched on."""

    job: Job  # settled
    recipe: Recipe
    train: Examples
    validation: Examples | None


class Trained(NamedTuple):
    """What training comes to."""

    state: State  # the best, if the plan has patience; otherwise the last. With several seeds, one of each.
    history: History


def fit(
    dataset: Any,
    model: Any = None,
    *,
    seeds: int = 1,
    validation: float | None = None,
    out: StrPath | None = None,
    memory: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Network:
    """Train a network on a dataset.

    Args:
      dataset: as :func:`jaxnaive.data.load` gives it; or what it takes: ``(X, y)``, a path, a name.
      model: a :class:`jaxnaive.layers.Layer`, an object with ``init(key)`` and ``forward(params, x)``, or the
        pair of them; it gets ``x [batch, features]`` and returns ``[batch, classes]`` logits, or ``[batch,
        targets]`` in a regression. Default: dense layers of ``hidden`` units with relu between them.
      seeds: networks that differ by their seed alone, trained at once; the result is all of them together.
      validation: fraction of the training examples that is held out, as much of each class, to see after
        every epoch what is learned. Default: a tenth, if there are enough examples.
      out: folder of the run. With it nothing is lost when the process ends: the same call goes on with it,
        and the scripts in ``experiments`` report, export and use it.
      memory: bytes that the examples may take on the device; more are brought there a chunk at a time.
        Default: a quarter of what there is.
      progress: whether to show a bar. Default: on a terminal.
      options: of a :class:`jaxnaive.job.Job`: ``hidden``, ``epochs``, ``patience``, ``optimizer``,
        ``learning_rate``, ``schedule``, ``batch_size``, ``class_weights``, ``seed``, ...

    Raises:
      TypeError: there is no such option, or the model is none.
      ValueError: an argument is impossible.
      FloatingPointError: the loss became infinite or no number.
      OSError: ``out`` cannot be written.

    >>> network = fit("digits", hidden=(32,), epochs=3, learning_rate=0.1, batch_size=32)
    >>> network.evaluate(data.load("digits").test).accuracy > 0.9
    True
    """
    own = dataset if isinstance(dataset, Dataset) else data.load(dataset)
    if validation is None:
        validation = VALIDATION if len(splits.split_indices(own.train.labels, VALIDATION)[1]) else 0.0
    planned = plan(_job_of({"validation": validation} | options, model), own, networks.as_layer(model))
    config = networks.config_of(own, planned.job, None if model is None else planned.recipe.model)
    clock, seeds = timings.Clock(), plain("seeds", seeds)
    with certificates.count_compiles() as compiles, _open(out, config, seeds) as run:
        trained = train(run, planned, clock, seeds, memory, progress)
        network = Network(
            run.folder, planned.job, config, planned.recipe.model, trained.state.params, own.schema,
            config["fingerprint"], trained.history, seeds, learn_rejection(planned.train, own.schema),
        )  # fmt: skip
        judged = network.evaluate(planned.validation or planned.train)
        if problem := measures.problem(judged, trained.history):
            logger.warning("%s", problem)
        if isinstance(run, runs.Run) and not certificates.read_complete(run.folder, run.epoch):
            tested = chunks.evaluate(trained.state.params, own.test, planned.recipe, memory)
            finish(run, planned, trained, tested, compiles, clock, network.rejection, problem)
    return network


def plan(given: Job, dataset: Dataset, model: Layer | None = None) -> Plan:
    """What a job means for a dataset.

    Raises:
      ValueError: it cannot be done with this dataset.
    """
    train, validation, schema = dataset.train, None, dataset.schema
    if given.class_weights:
        if schema.is_regression:
            raise ValueError("class weights: got a regression, expected classes")
        weight = splits.class_weights(np.asarray(train.labels), dataset.num_outputs)
        train = train._replace(weight=weight if train.weight is None else weight * train.weight)
    if given.validation:
        kept, held_out = splits.split_indices(np.asarray(train.labels), given.validation)
        train, validation = chunks.select(train, kept), chunks.select(train, held_out)
        if not len(held_out):
            raise ValueError(f"validation: got {given.validation} of {len(kept)} examples, which is none")
    count = len(train.labels)
    own = job.settle(given, dataset.source["dataset"], count, schema.is_grey)
    recipe = job.make_recipe(
        own, dataset.num_features, dataset.num_outputs, count, schema.is_regression, model
    )
    if model is not None:
        networks.check_outputs(model, schema)
    return Plan(own, recipe, train, validation)


def train(
    run: runs.Run | Unsaved,
    planned: Plan,
    clock: timings.Clock,
    seeds: int = 1,
    memory: int | None = None,
    progress: bool | None = None,
) -> Trained:
    """All epochs that are not saved yet; each is saved at its end.

    Args:
      run: on disk, or its stand-in.
      planned: what to train.
      clock: gets the laps.
      seeds: networks that are trained at once.
      memory: as in :func:`fit`.
      progress: as in :func:`fit`.
    """
    job.check_at_least("memory", memory, 1)
    own, recipe = planned.job, planned.recipe
    state = run.restore(_start(own.seed, seeds, recipe))
    losses, watched = run.losses(), run.validation_losses()
    best = run.best(state) if own.patience else state
    clock.lap("save")
    train_epoch = chunks.make_epoch(recipe, planned.train, state, seeds, memory)
    validate = chunks.make_validation(recipe, planned.validation, seeds, memory)
    clock.lap("compile")
    for _ in _epochs(run, own, losses, watched, progress):
        state, loss = train_epoch(state)
        losses.append(np.asarray(loss))
        clock.lap("train")
        now = validate(state.params)
        best = _better(best, state, now, watched, own.patience) if own.patience else state
        watched += [] if now is None else [now]
        run.save(state, losses[-1], now)
        clock.lap("save")
    return Trained(best, _history(losses, watched))


def _open(
    out: StrPath | None, config: dict[str, Any], seeds: int
) -> contextlib.AbstractContextManager[runs.Run | Unsaved]:
    if not isinstance(seeds, int) or isinstance(seeds, bool):
        raise ValueError(f"seeds: got {seeds!r}, expected how many, such as 8")
    job.check_at_least("seeds", seeds, 1)
    job.check_seed(config["seed"] + seeds - 1)
    if out is None:
        return contextlib.nullcontext(Unsaved())
    if seeds > 1:
        raise ValueError(f"seeds: got {seeds} with a folder, which holds one run; expected 1, or no folder")
    return runs.open(out, config)


def _job_of(options: dict[str, Any], model: Any) -> Job:
    """The job of these options, checked.

    Raises:
      TypeError: there is no such option.
      ValueError: one is impossible.
    """
    known = [option.name for option in fields(Job) if option.name != "dataset"]
    for name in options:
        if name in data.OPTIONS:
            raise TypeError(f"fit: got {name!r}, which data.load takes: fit(data.load(..., {name}=...))")
        if name not in known:
            raise TypeError(
                f"fit: got {name!r}, expected one of {', '.join(known)}{did_you_mean(name, known)}"
            )
    if model is not None and (of_job := options.keys() & {"hidden", "precision"}):
        raise ValueError(f"{min(of_job)}: got one beside a model, which has its own, expected none")
    values = {name: plain(name, value) for name, value in options.items()}
    if isinstance(values.get("hidden"), int):
        values["hidden"] = [values["hidden"]]
    return job.from_json(job.to_json(Job()) | values)


def finish(
    run: runs.Run,
    planned: Plan,
    trained: Trained,
    tested: Evaluation,
    compiles: Counter[str],
    clock: timings.Clock,
    learned: Rejection | None = None,
    problem: str = "",
) -> dict[str, Any]:
    """Save the parameters, the rejection, the timings and the certificate of a run, and return the last."""
    checkpoints.save_params(run.folder / certificates.PARAMS, trained.state.params)
    if learned is not None:
        checkpoints.save(run.folder / networks.REJECTION, learned, {})
    certificate = certificates.certify(
        run.folder, trained.state, trained.history, len(planned.train.labels), tested, planned.recipe,
        compiles, problem,
    )  # fmt: skip
    timings.add(run.folder, (run.began, run.epoch), clock)
    certificates.write(run.folder, certificate)  # last: whoever finds it finds all the rest
    return certificate


def _start(seed: int, seeds: int, recipe: Recipe) -> State:
    def start(key: jax.Array) -> State:
        return inspect.unwrap(training.start)(key, recipe)

    # In a function of its own, so that the program goes with it: JAX keeps those of training.start.
    if seeds == 1:
        return jax.jit(start)(jax.random.key(seed))
    keys = jax.vmap(jax.random.key)(jnp.arange(seed, seed + seeds, dtype=jnp.uint32))
    return jax.jit(jax.vmap(start))(keys)


def _epochs(
    run: runs.Run | Unsaved, own: Job, losses: list[np.ndarray], watched: list[Any], progress: bool | None
) -> Iterator[int]:
    """The epochs that are left, until a run is over; with a bar that shows what the lists have got."""
    hidden = None if progress is None else not progress
    with bar(own.epochs, "train", "epoch", run.epoch, hidden) as shown:
        while run.epoch < (own.epochs or 0) and not _is_over(own, losses, watched):
            if run.folder:
                certificates.remove(run.folder)
            yield run.epoch
            last = {"loss": losses[-1]} | ({"validation": watched[-1]} if watched else {})
            shown.set_postfix({name: f"{np.mean(value):.4f}" for name, value in last.items()}, refresh=False)
            shown.update()


def _is_over(own: Job, losses: list[np.ndarray], watched: list[Any]) -> bool:
    """Whether a run ends early: its loss is small enough, or has not become better in validation for long."""
    if losses and losses[-1].mean() < own.stop_at_loss:
        return True
    return bool(own.patience and watched and np.all(_has_stopped(watched, own.patience)))


def _has_stopped(watched: list[Any], patience: int) -> np.ndarray | np.bool_:
    """Of each seed, whether its validation loss has ever gone so many epochs without becoming smaller."""
    return (ensembles.epochs_without_progress(np.stack(watched, axis=-1)) >= patience).any(axis=-1)


def _better(best: State, state: State, now: Any, before: list[Any], patience: int) -> State:
    """The better of two states, for each seed by its validation loss; one that has stopped keeps its own."""
    if not before:
        return state
    is_better = (now < np.min(before, axis=0)) & ~_has_stopped(before, patience)
    if not np.ndim(is_better):
        return state if is_better else best

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(is_better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return best._replace(params=jax.tree.map(choose, state.params, best.params))


def _history(losses: list[np.ndarray], watched: list[Any]) -> History:
    """Lists of epochs as arrays, with the seeds, if there are several, first."""
    loss = np.stack(losses, axis=-2) if losses else np.zeros((0, 0), np.float32)
    return History(loss, np.stack(watched, axis=-1) if watched else None)
