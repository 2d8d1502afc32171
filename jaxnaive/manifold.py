"""How a network uncrumples two interleaved classes of points, layer by layer and epoch by epoch.

Each layer is a map of space, see ``geometry``. What the maps together do to points in the plane can be
watched: :func:`watch` trains a small network and returns what every layer makes of the points at each epoch,
drawn on two directions, and how well a linear classifier would separate the classes there.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from jaxnaive import geometry, layers, optimizers, training
from jaxnaive.batches import Examples

EPOCHS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 35, 60, 100)  # fewer when less happens


class Film(NamedTuple):
    """What the layers of a network make of points in the plane, at some of its epochs."""

    points: list[Float[Array, "epochs points 2"]]  # of the input, and of each hidden layer's output
    grids: list[Float[Array, "epochs lines points 2"]]  # the lines of the plane's grid there
    accuracy: Float[Array, "epochs stages"]  # of a linear classifier on each, on points that are new to it


# --- two classes that no line separates --------------------------------------------------------------


def spirals(key: Key[Array, ""], n: int) -> Examples:
    """Two spirals of one and a half turns, one inside the other, with a little noise.

    >>> spirals(jax.random.key(0), 100).images.shape
    (100, 2)
    """
    key_place, key_noise = jax.random.split(key)
    labels = jnp.arange(n, dtype=jnp.int32) % 2
    along = jnp.sqrt(jax.random.uniform(key_place, (n,), minval=0.02))
    angle = 3 * jnp.pi * along + jnp.pi * labels.astype(jnp.float32)
    points = along[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    return Examples(points + 0.02 * jax.random.normal(key_noise, (n, 2)), labels)


def moons(key: Key[Array, ""], n: int) -> Examples:
    """Two half circles that reach into one another, with a little noise."""
    key_place, key_noise = jax.random.split(key)
    labels = jnp.arange(n, dtype=jnp.int32) % 2
    angle = jax.random.uniform(key_place, (n,), maxval=jnp.pi)
    upper = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    points = jnp.where(labels[:, None] == 0, upper, jnp.array([1.0, 0.5]) - upper)
    centred = (points - jnp.array([0.5, 0.25])) / 1.5
    return Examples(centred + 0.06 * jax.random.normal(key_noise, (n, 2)), labels)


# --- watching a network ------------------------------------------------------------------------------


@partial(jax.jit, static_argnames=("hidden", "epochs"))
def watch(
    key: Key[Array, ""],
    train: Examples,
    test: Examples,
    hidden: tuple[int, ...] = (16, 16, 16),
    epochs: tuple[int, ...] = EPOCHS,
) -> Film:
    """Train a network with relu on points in the plane, and film what its layers make of them.

    Args:
      key: decides the first parameters and the order of every epoch.
      train: two classes of points ``[n, 2]``; these are filmed.
      test: other points of the same classes, for the accuracy.
      hidden: units of the hidden layers, two or more each.
      epochs: those to film; the last one ends the training.

    Raises:
      ValueError: a hidden layer has fewer than two units, so that there is no plane to draw it on.
    """
    if min(hidden, default=0) < 2:
        raise ValueError(f"hidden units: got {hidden}, expected 2 or more in each layer")
    stages = layers.mlp_layers(2, *hidden, 2)
    recipe = training.Recipe(layers.sequential(*stages), optimizers.nesterov(0.02), batch_size=50)

    def epoch(state: training.State, _: None) -> tuple[training.State, Any]:
        return training.train_epoch(state, train, recipe)[0], state.params

    _, every = jax.lax.scan(epoch, training.start(key, recipe), length=epochs[-1] + 1)
    params = jax.tree.map(lambda x: x[jnp.array(epochs)], every)

    def outputs(points: Array) -> list[Array]:
        made = jax.vmap(lambda params: [points, *layers.activations(stages, params, points)[:-1]])
        return made(params)

    train_out, test_out = outputs(jnp.asarray(train.images)), outputs(jnp.asarray(test.images))
    score = jax.vmap(linear_accuracy, in_axes=(0, None, 0, None))
    accuracy = [
        score(a, jnp.asarray(train.labels), b, jnp.asarray(test.labels))
        for a, b in zip(train_out, test_out, strict=True)
    ]
    frames = [Frame(jnp.zeros(2), jnp.eye(2)), *(frame_of(out[-1]) for out in train_out[1:])]
    points, grids = (
        [project(frame, out) for frame, out in zip(frames, whole, strict=True)]
        for whole in (train_out, outputs(geometry.grid_lines(-1.1, 1.1, 12)))
    )
    return Film(points, grids, jnp.stack(accuracy, axis=1))


class Frame(NamedTuple):
    """A plane in a space of many dimensions."""

    centre: Float[Array, " units"]
    axes: Float[Array, "2 units"]


def frame_of(points: Float[Array, "points units"]) -> Frame:
    """The plane through the mean of points along the two directions in which they spread most."""
    centre = points.mean(axis=0)
    return Frame(centre, jnp.linalg.svd(points - centre, full_matrices=False)[2][:2])


def project(frame: Frame, points: Float[Array, "*points units"]) -> Float[Array, "*points 2"]:
    """The coordinates of points on a plane."""
    return (points - frame.centre) @ frame.axes.T


def linear_accuracy(
    x: Float[Array, "examples units"],
    labels: Int32[Array, " examples"],
    test_x: Float[Array, "tests units"],
    test_labels: Int32[Array, " tests"],
) -> Float[Array, ""]:
    """Test accuracy of the linear classifier with the least squared error to -1 and 1."""

    def with_one(x: Array) -> Array:
        return jnp.column_stack([x, jnp.ones(len(x))])

    weights = jnp.linalg.lstsq(with_one(x), 2.0 * labels.astype(jnp.float32) - 1)[0]
    return jnp.mean((with_one(test_x) @ weights > 0) == (test_labels == 1), dtype=jnp.float32)
