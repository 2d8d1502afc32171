"""A job is what to train, as plain data: settled for a dataset, made into a recipe, kept as JSON."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxnaive import layers, losses, optimizers, products, regression, training
from jaxnaive.batches import check_batch_size, num_batches
from jaxnaive.plain import plain

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
ADAM_LEARNING_RATE = 0.01  # by default, of adam where it is the default: for data that are no grey pictures
BATCH_SIZE, MIN_BATCHES = 256, 4  # by default: examples in an update, updates in an epoch
PRODUCTS = {"float32": products.FLOAT32, "bfloat16": products.BFLOAT16}
MIN_EPOCHS, MIN_UPDATES = 3, 700  # by default; 3 epochs of the 1,442 digits would be 18 updates
MAX_SEED = 2**32 - 1
OPTIONAL = {  # fields that may be None
    "dataset": str, "optimizer": str, "learning_rate": (int, float), "epochs": int, "batch_size": int,
    "patience": int,
}  # fmt: skip
EXAMPLES = {"optimizer": "adam", "learning_rate": 0.1, "epochs": 3, "batch_size": 256, "patience": 10}
MAY_BE_MISSING = {"label_smoothing", "precision", "stop_at_loss"}  # in jobs stored before there were these


def added_later(default: Any) -> Any:
    """A field of options that is stored only where it has not its default, as in runs from before it."""
    return field(default=default, kw_only=True, metadata={"added_later": True})


def is_stored(option: Field[Any], value: Any) -> bool:
    """Whether an option with this value is stored with a run."""
    return not (option.metadata.get("added_later") and value == option.default)


@dataclass(frozen=True)
class Job:
    """What to train, in the words of a command line. :func:`settle` fills in what is ``None``."""

    dataset: str | None = None
    """mnist, fashion_mnist, kmnist, digits, another dataset of tfds; or a file or folder of yours: a table,
    arrays, pictures; default: mnist, or digits if mnist is unavailable"""
    hidden: tuple[int, ...] = (512,)
    """units of each hidden layer"""
    optimizer: str | None = None
    """sgd, momentum, nesterov, adagrad, rmsprop, adam, or one of optax's, such as optax.lion; default:
    nesterov for classes of grey pictures, adam for all other data"""
    learning_rate: float | None = None
    """the highest of the schedule; default: 0.6 for sgd, momentum and nesterov, 0.05 for adagrad, 0.002 for
    all others, 0.01 for adam where it is the default"""
    schedule: ScheduleName = "one-cycle"
    """of the learning rate: linear and cosine fall to 0; one-cycle first rises for three tenths of the run"""
    label_smoothing: float = 0.0
    """fraction of each target that is spread over all classes; with 0.15 two epochs reach what three reach
    without"""
    precision: Precision = "float32"
    """of the matrix products in training; bfloat16 is faster on processors that multiply it"""
    epochs: int | None = None
    """how often every example is seen; default: 3, or as many as make 700 updates"""
    batch_size: int | None = None
    """examples in an update; default: 256, or a quarter of fewer than 1,024 examples"""
    seed: int = 0
    """decides the initial parameters and the order of the examples"""
    stop_at_loss: float = 0.0
    """stop after the epoch whose mean loss is below this"""
    validation: float = added_later(0.0)
    """fraction of the training examples that is held out, to see after every epoch what is learned"""
    patience: int | None = added_later(None)
    """stop when the validation loss has not become smaller for so many epochs; keep the best parameters"""
    class_weights: bool = added_later(False)
    """let each class weigh the same in the loss, however many examples it has"""


def settle(job: Job, dataset: str, examples: int, is_grey: bool = True) -> Job:
    """The job with what it leaves open decided for a dataset.

    Args:
      job: checked; with numbers of any library, which become Python's.
      dataset: the name or path that it is found by again.
      examples: how many it has to train on.
      is_grey: whether they are grey pictures of classes.

    Raises:
      ValueError: the batch size is less than 1, or a field is of an impossible type.
    """
    job = in_python(job)
    batch_size = job.batch_size or min(BATCH_SIZE, max(1, examples // MIN_BATCHES))
    check_batch_size(batch_size, examples)
    optimizer = job.optimizer or ("nesterov" if is_grey else "adam")
    rate = LEARNING_RATES.get(optimizer, OTHER_LEARNING_RATE if job.optimizer else ADAM_LEARNING_RATE)
    epochs = epochs_for(MIN_UPDATES, examples, batch_size, MIN_EPOCHS)
    return replace(
        job,
        dataset=dataset,
        optimizer=optimizer,
        learning_rate=job.learning_rate or rate,
        epochs=epochs if job.epochs is None else job.epochs,
        batch_size=batch_size,
    )


def make_model(job: Job, inputs: int, outputs: int) -> layers.Layer:
    """The network of a job; the same object for equal ones, so that it is compiled once for all of them."""
    return _model((inputs, *job.hidden, outputs), job.precision)


@functools.lru_cache
def _model(sizes: tuple[int, ...], precision: Precision) -> layers.Layer:
    return layers.mlp(*sizes, products=PRODUCTS[precision])


def make_recipe(
    job: Job,
    inputs: int,
    outputs: int,
    examples: int,
    is_regression: bool = False,
    model: layers.Layer | None = None,
    numbers: Mapping[str, Any] | None = None,
) -> training.Recipe:
    """How to train a settled job.

    Args:
      job: settled.
      inputs: numbers in an example.
      outputs: classes of the dataset, or targets of a regression.
      examples: how many there are to train on.
      is_regression: whether the outputs are numbers, and not classes.
      model: the network. Default: that of the job.
      numbers: ``learning_rate`` and ``label_smoothing`` in the place of the job's, and ``decay`` in the place
        of the optimizer's own. They may be traced.

    Raises:
      ValueError: the job is not settled, smooths the labels of a regression, or has an optimizer without
        decay where one is given.
    """
    if job.optimizer is None or job.batch_size is None or job.epochs is None:
        raise ValueError("job: got one that leaves something open, expected a settled one")
    numbers = numbers or {}
    smoothing = numbers.get("label_smoothing", job.label_smoothing)
    if is_regression and smoothing:
        raise ValueError(f"label smoothing: got {smoothing} in a regression, expected 0")
    make, updates = find_optimizer(job.optimizer), num_batches(examples, job.batch_size) * job.epochs
    if "decay" in numbers and not has_parameter(make, "decay"):
        raise ValueError(f"decay: {job.optimizer} has none")
    rate = make_schedule(job.schedule, numbers.get("learning_rate", job.learning_rate), updates)
    return training.Recipe(
        model or make_model(job, inputs, outputs),
        make(rate, decay=numbers["decay"]) if "decay" in numbers else make(rate),
        regression.squared_error if is_regression else losses.smoothed_cross_entropy(smoothing),
        batch_size=job.batch_size,
        metrics=(regression.r_squared if is_regression else losses.accuracy,),
    )


def epochs_for(updates: int, examples: int, batch_size: int, at_least: int) -> int:
    """The number of epochs that make so many updates, and no fewer epochs than ``at_least``."""
    return max(at_least, math.ceil(updates / num_batches(examples, batch_size)))


# --- names -------------------------------------------------------------------------------------------


@functools.cache  # trying one of optax's takes some milliseconds
def find_optimizer(name: str) -> Callable[..., Any]:
    """The optimizer of this name, as a function of the learning rate; also while a program is traced.

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
        with jax.ensure_compile_time_eval():
            params = jnp.ones(1, jnp.float32)
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
    job = in_python(job)
    if job.schedule not in get_args(ScheduleName):
        raise ValueError(f"schedule: got {job.schedule!r}, expected one of {get_args(ScheduleName)}")
    if job.precision not in PRODUCTS:
        raise ValueError(f"precision: got {job.precision!r}, expected one of {', '.join(PRODUCTS)}")
    if job.optimizer is not None:
        find_optimizer(job.optimizer)
    if job.learning_rate is not None:
        optimizers.check_learning_rate(job.learning_rate)
    losses.smoothed_cross_entropy(job.label_smoothing)
    optimizers.check_not_negative("stop at loss", job.stop_at_loss)
    check_at_least("epochs", job.epochs, 0)
    check_at_least("batch size", job.batch_size, 1)
    check_at_least("patience", job.patience, 1)
    if not 0 <= job.validation < 1:
        raise ValueError(f"validation: got {job.validation}, expected at least 0 and less than 1")
    if job.patience and not job.validation:
        raise ValueError(f"patience: got {job.patience} without validation, expected a fraction held out")
    check_seed(job.seed)
    for units in job.hidden:
        check_at_least("hidden units", units, 1)


def check_at_least(name: str, value: int | None, least: int) -> None:
    """Raise ``ValueError`` when a value is below the least it can be; ``None``, a default, passes."""
    if value is not None and not (isinstance(value, int | np.integer) and value >= least):
        raise ValueError(f"{name}: got {value!r}, expected {least} or more")


def check_seed(seed: int) -> None:
    """Raise ``ValueError`` unless a seed has 32 bits: a larger one would be cut off in silence."""
    if not isinstance(seed, int):
        raise ValueError(f"seed: got {seed!r:.40}, expected an integer")
    check_at_least("seed", seed, 0)
    if seed > MAX_SEED:
        raise ValueError(f"seed: got {seed}, expected {MAX_SEED} or less")


# --- JSON --------------------------------------------------------------------------------------------


def to_json(job: Job) -> dict[str, Any]:
    """The job as JSON can hold it, field by field."""
    job = in_python(job)
    stored = {option.name for option in fields(Job) if is_stored(option, getattr(job, option.name))}
    return {name: value for name, value in asdict(job).items() if name in stored}


def from_json(stored: Mapping[str, Any]) -> Job:
    """The job among the entries of a stored configuration, which may have others.

    Raises:
      ValueError: an entry is missing, or is not what such a field can be.
    """
    values: dict[str, Any] = {}
    for option in fields(Job):
        name = option.name
        if name not in stored:
            if name in MAY_BE_MISSING or option.metadata.get("added_later"):
                continue
            raise ValueError(f"{name}: got none, expected one in every stored job")
        values[name] = _in_python(name, stored[name], option.default)
    job = Job(**values)
    check(job)
    return job


def in_python(job: Job) -> Job:
    """The job with Python's numbers and texts, whatever they came as.

    Raises:
      ValueError: a field is not of a type that it can be.
    """
    given = {option.name: (getattr(job, option.name), option.default) for option in fields(Job)}
    return Job(**{name: _in_python(name, *of_option) for name, of_option in given.items()})


def _in_python(name: str, value: Any, default: Any) -> Any:
    """The value of a field, if it has a type that it can have."""
    listed = plain(name, value)
    found = tuple(listed) if isinstance(listed, list) else listed
    if not _is_possible(name, found, default):
        raise ValueError(f"{name}: got {listed!r}, expected a value like {EXAMPLES.get(name, default)!r}")
    return found


def _is_possible(name: str, value: Any, default: Any) -> bool:
    """Whether a value has the type of a field."""
    if isinstance(value, bool) or isinstance(default, bool):
        return type(value) is type(default)
    if name in OPTIONAL:
        return value is None or isinstance(value, OPTIONAL[name])
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(type(item) is int for item in value)
    return isinstance(value, (int, float) if isinstance(default, float) else type(default))
