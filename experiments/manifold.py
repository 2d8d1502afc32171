"""How a small network uncrumples two interleaved spirals, layer by layer and epoch by epoch (row S42).

python experiments/manifold.py

Every hidden layer's output is drawn on the two directions in which it spreads most, along with what the lines
of the plane's grid have become. A number tells how well the classes are separated there: the accuracy of a
linear classifier on the layer's output, on points that neither it nor the network was trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from tqdm import tqdm

from jaxnaive import command, geometry, layers, optimizers, training
from jaxnaive.batches import Examples
from jaxnaive.command.options import Figures
from jaxnaive.disk import files
from jaxnaive.job import check_at_least
from jaxnaive.pictures import drawings

EPOCHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 60, 72, 86, 100)  # drawn
SHOWN = (0, 4, 10, 100)  # of them, those in the table and in the still picture


@dataclass(frozen=True)
class Options:
    """Watch hidden layers uncrumple two classes."""

    shape: Literal["spirals", "moons"] = "spirals"
    """how the two classes are interleaved"""
    hidden: tuple[int, ...] = (16, 16, 16)
    """units of the hidden layers"""
    examples: int = 1000
    """points of both classes together"""
    seed: int = 0
    """decides the points, the first parameters and the order"""
    out: Figures = Path("runs/manifold")


class Snapshot(NamedTuple):
    """The network at one epoch."""

    epoch: int
    outputs: list[Array]  # of the input and every layer but the last, [examples, units]
    grids: list[Array]  # the plane's grid lines there, [lines, points, units]
    separability: list[float]  # accuracy of a linear classifier on each, on new points


def main(options: Options) -> list[Snapshot]:
    """Returns the snapshots."""
    with command.usage():
        check(options)
        files.make_folder(options.out)
    key_train, key_test, key = jax.random.split(jax.random.key(options.seed), 3)
    make = {"spirals": spirals, "moons": moons}[options.shape]
    train, test = make(key_train, options.examples), make(key_test, options.examples)
    stages = layers.mlp_layers(2, *options.hidden, 2)
    recipe = training.Recipe(layers.sequential(*stages), optimizers.nesterov(0.02), batch_size=50)

    state, snapshots = training.start(key, recipe), []
    for epoch in tqdm(range(EPOCHS[-1] + 1), desc="train", unit="epoch"):
        if epoch in EPOCHS:
            snapshots.append(snapshot(epoch, stages, state.params, train, test))
        state, _ = training.train_epoch(state, train, recipe)

    names = ["input", *(f"layer {k}" for k in range(1, len(stages)))]
    print(f"accuracy of a linear classifier on each layer's output, two {options.shape}")
    print(f"{'epoch':>8}" + "".join(f"{name:>10}" for name in names))
    for shot in snapshots:
        if shot.epoch in SHOWN:
            print(f"{shot.epoch:8}" + "".join(f"{accuracy:10.3f}" for accuracy in shot.separability))
    frames = [plane(shot, snapshots[-1], names) for shot in snapshots]
    shown = [frame for frame, shot in zip(frames, snapshots, strict=True) if shot.epoch in SHOWN]
    drawings.manifold(options.out / "manifold.png", shown, np.asarray(train.labels))
    drawings.manifold_animation(options.out / "manifold.gif", frames, np.asarray(train.labels))
    print(f"saved {options.out}/: manifold.png, manifold.gif")
    return snapshots


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    check_at_least("examples", options.examples, 100)
    check_at_least("seed", options.seed, 0)
    for units in options.hidden or (0,):
        check_at_least("hidden units", units, 2)


def spirals(key: Key[Array, ""], n: int) -> Examples:
    """Two spirals of one and a half turns, one inside the other, with a little noise."""
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


def snapshot(
    epoch: int, stages: Sequence[layers.Layer], params: Any, train: Examples, test: Examples
) -> Snapshot:
    """What every layer makes of the points and of the plane."""

    def outputs(points: Array) -> list[Array]:
        return [points, *layers.activations(stages, params, points)[:-1]]

    on_train, on_test = outputs(jnp.asarray(train.images)), outputs(jnp.asarray(test.images))
    separability = [
        linear_accuracy(a, jnp.asarray(train.labels), b, jnp.asarray(test.labels))
        for a, b in zip(on_train, on_test, strict=True)
    ]
    return Snapshot(epoch, on_train, outputs(geometry.grid_lines(-1.1, 1.1, 12)), separability)


def linear_accuracy(
    x: Float[Array, "examples units"], labels: Array, test_x: Float[Array, "tests units"], test_labels: Array
) -> float:
    """Test accuracy of the linear classifier with the least squared error to -1 and 1."""

    def with_one(x: Array) -> Array:
        return jnp.column_stack([x, jnp.ones(len(x))])

    weights = jnp.linalg.lstsq(with_one(x), 2.0 * labels.astype(jnp.float32) - 1)[0]
    return float(jnp.mean((with_one(test_x) @ weights > 0) == (test_labels == 1)))


def plane(shot: Snapshot, last: Snapshot, names: Sequence[str]) -> list[drawings.Plane]:
    """Each layer's output on the two directions in which it spreads most at the end of training."""
    panels = []
    for k, name in enumerate(names):
        final = np.asarray(last.outputs[k])
        centre = final.mean(axis=0)
        axes = np.eye(2) if k == 0 else np.linalg.svd(final - centre, full_matrices=False)[2][:2]
        points, grid = ((np.asarray(a) - centre) @ axes.T for a in (shot.outputs[k], shot.grids[k]))
        title = f"{name}, epoch {shot.epoch}\nlinear classifier {shot.separability[k]:.0%}"
        panels.append(drawings.Plane(title, points, grid))
    return panels


if __name__ == "__main__":
    command.run(main, Options)
