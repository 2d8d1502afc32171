"""A job is what to train, as plain data: settled for a dataset, made into a recipe, kept as JSON."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

import jax.numpy as jnp
import numpy as np

from jaxnaive import layers, losses, optimizers, products, training
from jaxnaive.batches import check_batch_size, num_batches

ScheduleName = Literal["constant", "linear", "cosine", "one-cycle"]
Precision = Literal["float32", "bfloat16"]

OPTIMIZERS = {
    "sgd": optimizers.sgd,
    "momentum": optimizers.momentum,
    "nesterov": optimizers.nesterov,
    "adagrad": optimizers.adagrad,
    "rmsprop": optimizers.rmsprop,
    "adam": optimizers.adam,
}
LEARNING_RATES = {"sgd": 0.6, "momentum": 0.6, "nesterov": 0.6, "adagrad": 0.05}  # by default
OTHER_LEARNING_RATE = 0.002  # by default, of all other optimizers
PRODUCTS = {"float32": products.FLOAT32, "bfloat16": products.BFLOAT16}
MIN_EPOCHS, MIN_UPDATES = 3, 700  # by default; 3 epochs of the 1,442 digits would be 18 updates
MAX_SEED = 2**32 - 1
OPTIONAL = {"dataset": str, "learning_rate": (int, float), "epochs": int}  # fields that may be None
ADDED_LATER = {"label_smoothing", "precision"}  # stored jobs from before have their default values


@dataclass(frozen=True)
class Job:
    """What to train, in the words of a command line. :func:`settle` fills in what is ``None``."""

    dataset: str | None = None
    """mnist, fashion_mnist, kmnist, digits, another dataset of tfds, or an .npz file; default: mnist, or
    digits if mnist is unavailable"""
    hidden: tuple[int, ...] = (512,)
    """units of each hidden layer"""
    optimizer: str = "nesterov"
    """sgd, momentum, nesterov, adagrad, rmsprop, adam, or one of optax's, such as optax.lion"""
    learning_rate: float | None = None
    """the highest of the schedule; default: 0.6 for sgd, momentum and nesterov, 0.05 for adagrad, 0.002 for
    all others"""
    schedule: ScheduleName = "one-cycle"
    """of the learning rate: linear and cosine fall to 0; one-cycle first rises for three tenths of the run"""
    label_smoothing: float = 0.0
    """fraction of each target that is spread over all classes; with 0.15 two epochs reach what three reach
    without"""
    precision: Precision = "float32"
    """of the matrix products in training; bfloat16 is faster on processors that multiply it"""
    epochs: int | None = None
    """how often every example is seen; default: 3, or as many as make 700 updates"""
    batch_size: int = 256
    """examples in an update"""
    seed: int = 0
    """decides the initial parameters and the order of the examples"""


def settle(job: Job, dataset: str, examples: int) -> Job:
    """The job with what it leaves open decided for a dataset.

    Args:
      job: checked.
      dataset: the name or path that it is found by again.
      examples: how many it has to train on.

    Raises:
      ValueError: the batch size is larger than the number of examples.
    """
    check_batch_size(job.batch_size, examples)
    epochs = epochs_for(MIN_UPDATES, examples, job.batch_size, MIN_EPOCHS)
    return replace(
        job,
        dataset=dataset,
        learning_rate=job.learning_rate or LEARNING_RATES.get(job.optimizer, OTHER_LEARNING_RATE),
        epochs=epochs if job.epochs is None else job.epochs,
    )


def make_model(job: Job, inputs: int, classes: int) -> layers.Layer:
    """The network of a job."""
    return layers.mlp(inputs, *job.hidden, classes, products=PRODUCTS[job.precision])


def make_recipe(job: Job, inputs: int, classes: int, examples: int) -> training.Recipe:
    """How to train a settled job.

    Args:
      job: settled.
      inputs: numbers in an example.
      classes: of the dataset.
      examples: how many there are to train on.
    """
    updates = num_batches(examples, job.batch_size) * (job.epochs or 0)
    rate = make_schedule(job.schedule, job.learning_rate, updates)
    return training.Recipe(
        make_model(job, inputs, classes),
        find_optimizer(job.optimizer)(rate),
        losses.smoothed_cross_entropy(job.label_smoothing),
        batch_size=job.batch_size,
    )


def epochs_for(updates: int, examples: int, batch_size: int, at_least: int) -> int:
    """The number of epochs that make so many updates, and no fewer epochs than ``at_least``."""
    return max(at_least, math.ceil(updates / num_batches(examples, batch_size)))


# --- names -------------------------------------------------------------------------------------------


def find_optimizer(name: str) -> Callable[..., Any]:
    """The optimizer of this name, as a function of the learning rate.

    Args:
      name: one of :data:`OPTIMIZERS`, or one of optax's, such as ``optax.lion``.

    Raises:
      ValueError: there is none, or it needs more than gradients and a learning rate.
    """
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    import optax  # takes 0.1 s

    try:
        make = getattr(optax, name.removeprefix("optax."))
        optimizer = make(lambda count: 0.1)
        params = jnp.ones(1)
        updates, _ = optimizer.update(params, optimizer.init(params), params)
        if not updates[0] < 0:
            raise ValueError("a positive gradient should make the parameter smaller")
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"optimizer: got {name!r}, expected {', '.join(OPTIMIZERS)}, or one of optax's that takes a "
            "learning rate, such as optax.lion"
        ) from error
    return make


def has_parameter(optimizer: Callable[..., Any], name: str) -> bool:
    """Whether an optimizer has a hyper-parameter of this name."""
    return name in inspect.signature(optimizer).parameters


def make_schedule(name: ScheduleName, highest: Any, updates: int) -> optimizers.LearningRate:
    """The learning rate: a number, or a function of the updates made so far.

    Args:
      name: of the schedule.
      highest: learning rate of the run; may be traced.
      updates: of the whole run.
    """

    def by_lines(times: list[float], rates: list[float]) -> optimizers.Schedule:  # in fractions of the whole
        x, y = np.array(times, np.float32) * updates, highest * np.array(rates, np.float32)
        return lambda count: jnp.interp(count.astype(jnp.float32), x, y)

    if name == "linear":
        return by_lines([0.0, 1.0], [1.0, 0.0])
    if name == "one-cycle":
        return by_lines([0.0, 0.3, 1.0], [0.1, 1.0, 0.0])
    if name == "cosine":
        angle = np.float32(math.pi / max(updates, 1))
        return lambda count: highest * (1 + jnp.cos(angle * count.astype(jnp.float32))) / 2
    return highest


# --- checks ------------------------------------------------------------------------------------------


def check(job: Job) -> None:
    """Raise ``ValueError`` at the first impossible value; what the dataset's name means is not looked at."""
    if job.schedule not in get_args(ScheduleName):
        raise ValueError(f"schedule: got {job.schedule!r}, expected one of {get_args(ScheduleName)}")
    if job.precision not in PRODUCTS:
        raise ValueError(f"precision: got {job.precision!r}, expected one of {', '.join(PRODUCTS)}")
    find_optimizer(job.optimizer)
    if job.learning_rate is not None:
        optimizers.check_learning_rate(job.learning_rate)
    losses.smoothed_cross_entropy(job.label_smoothing)
    check_at_least("epochs", job.epochs, 0)
    check_at_least("batch size", job.batch_size, 1)
    check_seed(job.seed)
    for units in job.hidden:
        check_at_least("hidden units", units, 1)


def check_at_least(name: str, value: int | None, least: int) -> None:
    """Raise ``ValueError`` when a value is below the least it can be; ``None``, a default, passes."""
    if value is not None and value < least:
        raise ValueError(f"{name}: got {value}, expected {least} or more")


def check_seed(seed: int) -> None:
    """Raise ``ValueError`` unless a seed has 32 bits: a larger one would be cut off in silence."""
    check_at_least("seed", seed, 0)
    if seed > MAX_SEED:
        raise ValueError(f"seed: got {seed}, expected {MAX_SEED} or less")


# --- JSON --------------------------------------------------------------------------------------------


def to_json(job: Job) -> dict[str, Any]:
    """The job as JSON can hold it, field by field."""
    return asdict(job)


def from_json(stored: Mapping[str, Any]) -> Job:
    """The job among the entries of a stored configuration, which may have others.

    Raises:
      ValueError: an entry is missing, or is not what such a field can be.
    """
    values: dict[str, Any] = {}
    for field in fields(Job):
        if field.name not in stored:
            if field.name in ADDED_LATER:
                continue
            raise ValueError(f"{field.name}: got none, expected one in every stored job")
        value = stored[field.name]
        values[field.name] = tuple(value) if isinstance(value, list) else value
        if not _is_possible(field.name, values[field.name], field.default):
            raise ValueError(f"{field.name}: got {value!r}, expected a value like {field.default!r}")
    job = Job(**values)
    check(job)
    return job


def _is_possible(name: str, value: Any, default: Any) -> bool:
    """Whether a value has the type of a field."""
    if isinstance(value, bool):
        return False
    if name in OPTIONAL:
        return value is None or isinstance(value, OPTIONAL[name])
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(type(item) is int for item in value)
    return isinstance(value, (int, float) if isinstance(default, float) else type(default))
