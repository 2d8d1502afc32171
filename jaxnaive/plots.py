"""Pictures of a run, as PNG files. matplotlib is imported when the first one is drawn."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnaive import files
from jaxnaive.data import Dataset
from jaxnaive.geometry import Affine, apply
from jaxnaive.training import History


def curves(path: Path, history: History, title: str) -> None:
    """The loss of every step, and the mean of every epoch.

    Args:
      path: the PNG file to write.
      history: of a run.
      title: what ran, and how it ended.
    """
    figure = _figure(7.0, 4.0)
    axes = figure.subplots()
    loss = np.asarray(history.loss)
    epochs, steps = loss.shape
    if loss.size:
        times = np.arange(1, loss.size + 1) / steps
        axes.plot(times, loss.ravel(), color="tab:blue", alpha=0.35, linewidth=0.8, label="each batch")
        axes.plot(
            np.arange(epochs) + 0.5,
            loss.mean(axis=1),
            color="tab:blue",
            marker="o",
            markersize=3 if epochs > 20 else 6,
            label="mean of each epoch",
        )
        axes.legend()
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log", xlim=(0, max(epochs, 1)), title=title)
    axes.grid(alpha=0.3)
    _save(figure, path)


def predictions(path: Path, dataset: Dataset, probabilities: np.ndarray) -> None:
    """Test images: two rows the network gets right, three rows of its most confident mistakes.

    Args:
      path: the PNG file to write.
      dataset: what it was tested on.
      probabilities: ``[examples, classes]``, in the order of ``dataset.test``.
    """
    columns, labels = 10, np.asarray(dataset.test.labels)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = np.flatnonzero(predicted == labels)[: 2 * columns]
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][: 3 * columns]
    names = dataset.class_names
    short = max(map(len, names)) <= 2
    figure = _figure(11.0, 8.0)
    top, bottom = figure.subfigures(2, 1, height_ratios=(2, 3), hspace=0)
    for part, chosen, rows, color, title in (
        (top, right, 2, "tab:green", "Right: the first test images"),
        (bottom, wrong, 3, "tab:red", "Wrong: the most confident mistakes, as predicted (and in truth)"),
    ):
        part.suptitle(title, color=color, x=0.01, ha="left", weight="bold")
        grid = part.subplots(rows, columns).ravel()
        for axes in grid:
            axes.axis("off")
        for axes, i in zip(grid, chosen, strict=False):
            truth = [] if predicted[i] == labels[i] else [f"({names[labels[i]]})"]
            words = [names[predicted[i]], *truth, f"{confidence[i]:.0%}"]
            axes.set_title((" " if short else "\n").join(words), fontsize=9 if short else 7, color=color)
            axes.imshow(_picture(np.asarray(dataset.test.images[i])), cmap="gray_r", interpolation="nearest")
    _save(figure, path)


def maps(path: Path, functions: dict[str, Affine]) -> None:
    """What maps do to the plane: a grid and a letter, before and after.

    Args:
      path: the PNG file to write.
      functions: maps of the plane, by the names to show.
    """
    letter = np.array([(0, 0), (0, 1), (0.6, 1), (0.6, 0.8), (0.2, 0.8), (0.2, 0.6), (0.5, 0.6), (0.5, 0.4),
                       (0.2, 0.4), (0.2, 0), (0, 0)], np.float32)  # fmt: skip
    columns = len(functions)
    figure = _figure(2.4 * columns, 2.7)
    for axes, (name, f) in zip(figure.subplots(1, columns), functions.items(), strict=True):
        for line in grid_lines(-1.0, 2.0, 7):
            axes.plot(*line.T, color="0.85", linewidth=0.7)
            axes.plot(*np.asarray(apply(f, line)).T, color="tab:blue", alpha=0.5, linewidth=0.7)
        axes.fill(*letter.T, color="0.7")
        axes.fill(*np.asarray(apply(f, jnp.asarray(letter))).T, color="tab:blue")
        axes.plot(0, 0, "k+", markersize=8)
        axes.set(xlim=(-2, 3.6), ylim=(-1.7, 2.7), aspect="equal")
        axes.set_title(name, fontsize=10)
        axes.axis("off")
    _save(figure, path)


class Plane(NamedTuple):
    """Points of two classes and grid lines, as they lie after some layer."""

    title: str
    points: np.ndarray  # [points, 2]
    grid: np.ndarray  # [lines, points, 2]


def manifold(path: Path, rows: Sequence[Sequence[Plane]], labels: np.ndarray) -> None:
    """Planes in rows: an epoch a row, a layer a column.

    Args:
      path: the PNG file to write.
      rows: what to draw.
      labels: ``[points]``, 0 or 1.
    """
    figure = _figure(2.3 * len(rows[0]), 2.6 * len(rows))
    for axes, planes in zip(figure.subplots(len(rows), len(rows[0]), squeeze=False), rows, strict=True):
        _draw_planes(axes, planes, labels)
    _save(figure, path)


def manifold_animation(path: Path, frames: Sequence[Sequence[Plane]], labels: np.ndarray) -> None:
    """The same as an animated GIF, an epoch a frame."""
    images = []
    for planes in frames:
        figure = _figure(2.0 * len(planes), 2.3)
        _draw_planes(figure.subplots(1, len(planes)), planes, labels)
        images.append(_image(figure, dpi=80, colors=24))
    with files.replacing(path) as temporary:
        durations = [250] * (len(images) - 1) + [2000]
        images[0].save(temporary, save_all=True, append_images=images[1:], duration=durations, loop=0)


def _draw_planes(axes: Any, planes: Sequence[Plane], labels: np.ndarray) -> None:
    for one, plane in zip(axes, planes, strict=True):
        for line in plane.grid:
            one.plot(*line.T, color="0.75", linewidth=0.4, zorder=0)
        for label, color in ((0, "tab:blue"), (1, "tab:orange")):
            one.scatter(*plane.points[labels == label].T, s=2, color=color, linewidths=0)
        one.set_title(plane.title, fontsize=8)
        one.axis("off")


def grid_lines(low: float, high: float, lines: int, points: int = 40) -> Float[Array, "lines points 2"]:
    """The lines of a square grid on the plane, each as points in order."""
    along, across = jnp.linspace(low, high, points), jnp.linspace(low, high, lines)
    horizontal = jnp.stack(jnp.meshgrid(along, across), axis=-1)
    return jnp.concatenate([horizontal, horizontal[..., ::-1]])


def _picture(image: np.ndarray) -> np.ndarray:
    image = np.squeeze(image)
    if image.ndim == 1:  # not a picture, but it can be looked at as a strip
        image = image[None, :]
    return image


def _figure(width: float, height: float) -> Any:
    # Not pyplot, which would look for a screen and keep every figure in a global list.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    with files.replacing(path) as temporary:
        _image(figure, dpi=120, colors=64).save(temporary, optimize=True)


def _image(figure: Any, dpi: int, colors: int) -> Any:
    # A palette is all that a diagram needs, and makes the file a third of the size.
    from PIL import Image

    with io.BytesIO() as buffer:
        figure.savefig(buffer, dpi=dpi, format="png")
        return Image.open(buffer).convert("RGB").quantize(colors, dither=Image.Dither.NONE)
