"""A run is one pure function: :func:`train` takes a key and data, and returns parameters and history.

An epoch inside it is one compiled ``scan`` over the rows of an index table, and a step is the notes' four:
take a batch, run the network on it, differentiate the loss, update the parameters. A program that has
something to do between epochs, such as to show progress, calls :func:`start` and :func:`train_epoch`
itself, and gets the same parameters.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Int32, Key, Shaped

from jaxnaive import batches, checks, losses
from jaxnaive.batches import AnyArray, Batch, Examples, IndexTable
from jaxnaive.layers import Layer, Params
from jaxnaive.optimizers import AnyOptimizer, apply_updates

Seed = Key[Array, ""] | Int[Array, ""] | int

PREDICT_BATCH = 1000  # images that predict() converts to float32 at a time, to bound its memory


class Recipe(NamedTuple):
    """What is trained and how: all that defines a run besides its key, its data and its epochs.

    Optimizer, loss and metrics are what ``compile`` takes in Keras. Training makes the loss smaller; metrics,
    such as accuracy, are only reported.

    Make a recipe once and keep it: with a new model or optimizer, even an equal one, it is compiled again.
    """

    model: Layer
    optimizer: AnyOptimizer  # by hand, or any of optax's
    loss: Callable[[Array, Array], Array] = losses.cross_entropy  # logits, labels -> one value an example
    batch_size: int = 128
    shuffle: bool = True
    metrics: Sequence[Callable[[Array, Array], Array]] = (losses.accuracy,)  # logits, labels -> an array
    value_and_grad: Callable[..., Any] = jax.value_and_grad  # or backprop.value_and_grad, which is equal
    shards: int = 1  # equal parts of the examples, equally many of each in every batch; see parallel

    def __hash__(self) -> int:
        return checks.hash_of(self)


class State(NamedTuple):
    """What a run carries: with the recipe and the data it decides all later steps."""

    params: Params
    opt_state: Any
    key: Key[Array, ""]  # decides the order of every epoch; never changes
    epoch: Int32[Array, ""]  # epochs finished


class History(NamedTuple):
    """What a run reports."""

    loss: Float[AnyArray, "*seeds epochs steps"]  # of each step's batch, before the step's update
    validation: Float[AnyArray, "*seeds epochs"] | None = None  # loss on examples held out, after each epoch


class Evaluation(NamedTuple):
    """Loss and metrics of a network on examples, each of them counted once."""

    loss: Float[Array, ""]  # mean
    metrics: dict[str, Array]  # of the recipe, by their names
    logits: Float[Array, "examples outputs"]  # in the order of the examples

    @property
    def accuracy(self) -> Float[Array, ""]:
        """Fraction of the examples that are classified correctly; ``KeyError`` if it was not measured."""
        return self.metrics["accuracy"]


@partial(jax.jit, static_argnames="recipe")
def start(key: Seed, recipe: Recipe, order_key: Key[Array, ""] | None = None) -> State:
    """The state before the first epoch. The same keys give the same bits.

    Args:
      key: or the seed of one; decides the parameters, and the order of every epoch unless there is an
        ``order_key``.
      recipe: what is to be trained.
      order_key: decides the order of every epoch. Runs with the same one see the same batches.
    """
    checks.check_recipe(recipe)
    is_seed = jnp.issubdtype(jnp.result_type(key), jnp.integer)
    key_params, key_order = jax.random.split(jax.random.key(key) if is_seed else key)
    params = recipe.model.init(key_params)
    order_key = key_order if order_key is None else order_key
    return State(params, recipe.optimizer.init(params), order_key, jnp.zeros([], jnp.int32))


def mean_loss(params: Params, batch: Batch, recipe: Recipe) -> Float[Array, ""]:
    """The weighted mean of the losses of a batch's examples; the function that is differentiated."""
    outputs = checks.outputs(recipe.model.forward(params, batch.images), len(batch.labels))
    per_example = checks.losses(recipe.loss(outputs, batch.labels), len(batch.labels))
    return jnp.sum(batch.weight * per_example) / jnp.sum(batch.weight)


def train_step(state: State, batch: Batch, recipe: Recipe) -> tuple[State, Float[Array, ""]]:
    """One update: the new state, and the batch's loss before the update."""
    loss, grads = recipe.value_and_grad(mean_loss)(state.params, batch, recipe)
    updates, opt_state = recipe.optimizer.update(grads, state.opt_state, state.params)
    params = apply_updates(state.params, checks.updates(updates, state.params))
    return state._replace(params=params, opt_state=opt_state), loss


def epoch_table(key: Key[Array, ""], epoch: Int32[Array, ""], examples: int, recipe: Recipe) -> IndexTable:
    """The index table of an epoch: which examples each step sees."""
    batches.check_batch_size(recipe.batch_size, examples, recipe.shards)
    in_order = jnp.arange(examples, dtype=jnp.int32)
    order = batches.epoch_order(key, epoch, examples, recipe.shards) if recipe.shuffle else in_order
    return batches.index_table(order, recipe.batch_size, recipe.shards)


def train_steps(
    state: State, examples: Examples, table: IndexTable, recipe: Recipe
) -> tuple[State, Float[Array, " steps"]]:
    """A step for each row of the table: the state after them, and the loss of each."""
    return jax.lax.scan(
        lambda state, row: train_step(state, batches.take(examples, row, recipe.shards), recipe), state, table
    )


@partial(jax.jit, static_argnames="recipe")
def train_epoch(state: State, examples: Examples, recipe: Recipe) -> tuple[State, Float[Array, " steps"]]:
    """One epoch, each example once: the state after it, and the loss of each step.

    Raises:
      ValueError: the examples' shapes or dtypes do not fit together, the batch size is less than 1, or the
        shards are not equal.
    """
    batches.check(examples)
    table = epoch_table(state.key, state.epoch, len(examples.labels), recipe)
    state, loss = train_steps(state, examples, table, recipe)
    return state._replace(epoch=state.epoch + 1), loss


@partial(jax.jit, static_argnames=("recipe", "epochs"))
def train(key: Seed, examples: Examples, recipe: Recipe, epochs: int) -> tuple[Params, History]:
    """A whole run, as one compiled program.

    Args:
      key: or the seed of one; decides the first parameters and the order of every epoch. ``vmap`` over it to
        train many networks.
      examples: what to train on; images as they are, uint8 or float.
      recipe: model, optimizer, loss, batch size.
      epochs: how many times every example is seen.

    Returns:
      The parameters, and the history.

    Raises:
      ValueError: ``epochs`` is negative, or as in :func:`train_epoch`.

    >>> from jaxnaive import layers, optimizers
    >>> corners = Examples(jnp.array([[0., 0.], [0., 1.], [1., 0.], [1., 1.]]), jnp.array([0, 1, 1, 0]))
    >>> recipe = Recipe(layers.mlp(2, 16, 2), optimizers.sgd(0.5), batch_size=4)
    >>> params, history = train(jax.random.key(0), corners, recipe, epochs=200)
    >>> predict(params, corners.images, recipe.model).argmax(axis=1).tolist()
    [0, 1, 1, 0]
    """
    if epochs < 0:
        raise ValueError(f"epochs: got {epochs}, expected 0 or more")
    state, loss = jax.lax.scan(
        lambda state, _: train_epoch(state, examples, recipe), start(key, recipe), length=epochs
    )
    return state.params, History(loss)


@partial(jax.jit, static_argnames="model")
def predict(
    params: Params, images: Shaped[AnyArray, "examples ..."], model: Layer
) -> Float[Array, "examples classes"]:
    """The logits of images, uint8 or float; ``layers.softmax`` turns them into probabilities.

    Raises:
      ValueError: the number of values in an image is not that of the model's inputs.
    """

    def logits(image: Array) -> Array:
        return model.forward(params, batches.as_features(image[None]))[0]

    return jax.lax.map(logits, jnp.asarray(images), batch_size=PREDICT_BATCH)


@partial(jax.jit, static_argnames="recipe")
def evaluate(params: Params, examples: Examples, recipe: Recipe) -> Evaluation:
    """Loss and metrics on examples, each of them counted once.

    Raises:
      ValueError: as in :func:`train_epoch`.
    """
    batches.check(examples)
    logits = predict(params, examples.images, recipe.model)
    return measure(logits, jnp.asarray(examples.labels), recipe)


def measure(logits: Float[Array, "examples outputs"], labels: Array, recipe: Recipe) -> Evaluation:
    """The evaluation of what a network returned for examples."""
    checks.check_recipe(recipe)
    metrics = {name: metric(logits, labels) for name, metric in checks.named(recipe.metrics).items()}
    return Evaluation(checks.losses(recipe.loss(logits, labels), len(labels)).mean(), metrics, logits)
