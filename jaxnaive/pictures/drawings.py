"""Pictures of ideas: slices, products, maps of the plane, what layers do to it, and paths of optimizers."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxnaive import geometry, pictures
from jaxnaive.geometry import Affine, apply
from jaxnaive.pictures import palette
from jaxnaive.pictures.palette import BLUE, GREEN, PALE_BLUE, PALE_ORANGE, VERMILION

Number = int | float


def ranks(tensors: Sequence[np.ndarray]) -> Any:
    """Tensors of ranks 0 to 3 as boxes: matrices lie behind one another, the first one in front.

    Args:
      tensors: of integers, in the figure's order.
    """
    figure = pictures.new(11.0, 2.8)
    axes, left = _boxes_axes(figure), 0.0
    for x in tensors:
        layers = x.reshape((-1, *(1, 1, *x.shape)[-2:])) if x.ndim < 3 else x
        depth, rows, columns = layers.shape
        shift = 0.45 * (depth - 1)
        for n in reversed(range(depth)):
            colour = (BLUE, palette.LIGHT_BLUE, PALE_BLUE)[min(n, 2)]
            corner = (left + 0.45 * n, 2 - rows / 2 + shift / 2 - 0.45 * n)
            _boxes(axes, corner, layers[n], np.full((rows, columns), colour, object), height=depth - n)
        middle = left + (columns + shift) / 2
        axes.text(middle, -0.85, f"rank {x.ndim}", fontsize=13, ha="center", weight="bold")
        axes.text(middle, -0.25, f"{x.shape}", fontsize=12, ha="center")
        left += columns + shift + 1.4
    axes.set(xlim=(-0.6, left - 0.8), ylim=(4.1, -1.3))
    return figure


def slices(images: np.ndarray, size: int) -> Any:
    """Three slices of ``[samples, height, width]``: 90 of the samples, a corner of each, and its centre.

    Args:
      images: 90 of them, in the figure's order.
      size: of the corner and the centre, in pixels.
    """
    _, height, width = images.shape
    top, left = (height - size) // 2, (width - size) // 2
    figure = pictures.new(11.0, 4.3)
    all_of_them, corner, middle = figure.subplots(1, 3)
    all_of_them.imshow(_tiles(images, 10), cmap="gray_r", interpolation="nearest")
    all_of_them.set_title("x[10:100]\nimages 10 to 99", fontsize=13)
    for axes, (y, x), title in (
        (corner, (height - size, width - size), f"x[:, {height - size}:, {width - size}:]\nbottom right"),
        (middle, (top, left), f"x[:, {top}:{top + size - height}, {left}:{left + size - width}]\ncentre"),
    ):
        # What is outside the slice is pale.
        is_inside = np.zeros((height, width), bool)
        is_inside[y : y + size, x : x + size] = True
        chosen = images[:16]
        shown = np.where(is_inside, chosen, 0.22 * chosen)
        axes.imshow(_tiles(shown, 4), cmap="gray_r", interpolation="nearest", vmax=images.max())
        for n in range(16):
            at = (n % 4 * (width + 2) + x - 0.5, n // 4 * (height + 2) + y - 0.5)
            axes.add_patch(_rectangle(at, size, size, edgecolor=BLUE, facecolor="none", linewidth=2))
        axes.set_title(title, fontsize=13)
    for axes in (all_of_them, corner, middle):
        axes.axis("off")
        axes.set_anchor("N")
    return figure


def dot_product(x: np.ndarray, y: np.ndarray) -> Any:
    """Two matrices of integers and their product as boxes: an entry is a row of one by a column of the other.

    Args:
      x: on the left.
      y: above the product.
    """
    (rows, inner), (_, columns) = x.shape, y.shape
    i, j, gap = rows // 2, columns // 2, 1.2
    figure = pictures.new(7.5, 5.8)
    axes = _boxes_axes(figure)
    right, below = inner + gap, inner + gap
    xs, ys, products = (np.full(a, palette.WHITE, object) for a in (x.shape, y.shape, (rows, columns)))
    xs[i], ys[:, j] = BLUE, VERMILION
    products[i, :j], products[:i, j], products[i, j] = PALE_BLUE, PALE_ORANGE, GREEN
    _boxes(axes, (0, below), x, xs)
    _boxes(axes, (right, 0), y, ys)
    _boxes(axes, (right, below), x @ y, products)
    for start, end in (
        ((inner + 0.15, below + i + 0.5), (right - 0.1, below + i + 0.5)),
        ((right + j + 0.5, inner + 0.15), (right + j + 0.5, below - 0.1)),
    ):
        axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": palette.INK, "linewidth": 1.5})
    big = {"fontsize": 13, "ha": "center"}
    axes.text(inner / 2, below - 0.25, f"x: {x.shape}", **big)
    axes.text(right + columns / 2, -0.25, f"y: {y.shape}", **big)
    axes.text(right + columns / 2, below + rows + 0.6, f"x . y: {(rows, columns)}", **big)
    terms = " + ".join(f"{a}·{b}" for a, b in zip(x[i], y[:, j], strict=True))
    axes.text(0, inner / 2 - 0.4, f"row {i} . column {j}", fontsize=13)
    axes.text(0, inner / 2 + 0.2, f"{terms} = {x[i] @ y[:, j]}", fontsize=13)
    axes.set(xlim=(-0.15, right + columns + 0.15), ylim=(below + rows + 0.8, -0.75))
    return figure


def broadcasting(x: np.ndarray, y: np.ndarray) -> Any:
    """A matrix plus a vector as boxes: ``y`` gets an axis, is repeated along it, and is added to ``x``.

    Args:
      x: a matrix of integers.
      y: a vector as long as its rows.
    """
    rows, columns = x.shape
    figure = pictures.new(11.0, 3.3)
    axes = _boxes_axes(figure)
    middle, step = rows / 2, columns + 1.6
    repeated = np.broadcast_to(y, x.shape)
    copies = np.full(x.shape, PALE_ORANGE, dtype=object)
    copies[0] = VERMILION
    for n, (values, top, colours, title, shape, sign) in enumerate(
        (
            (y[None], middle - 0.5, VERMILION, "y", y.shape, "→"),
            (y[None], middle - 0.5, VERMILION, "1. add an axis", (1, columns), "→"),
            (repeated, 0, copies, "2. repeat along it", x.shape, "+"),
            (x, 0, BLUE, "x", x.shape, "="),
            (x + y, 0, GREEN, "x + y", x.shape, ""),
        )
    ):
        _boxes(axes, (n * step, top), values, np.broadcast_to(colours, values.shape))
        axes.text(n * step + columns / 2, -0.95, title, fontsize=13, ha="center", weight="bold")
        axes.text(n * step + columns / 2, -0.35, f"{shape}", fontsize=12, ha="center")
        axes.text(n * step + columns + 0.7, middle, sign, fontsize=20, ha="center", va="center")
    grey = {"fontsize": 11, "color": palette.MUTED, "ha": "center", "va": "center"}
    for n, name in enumerate(("axis 0", "axis 1", "axis 1")):
        axes.text(n * step + columns / 2, (rows if n == 2 else middle + 0.5) + 0.3, name, **grey)
    for n in (1, 2):
        axes.text(n * step - 0.25, middle, "axis 0", rotation=90, **grey)
    axes.set(xlim=(-0.2, 4 * step + columns + 0.2), ylim=(rows + 0.5, -1.4))
    return figure


def rearranged(x: np.ndarray, tables: dict[str, np.ndarray]) -> Any:
    """A matrix and others with the same entries; the entries of a row of the first have one colour.

    Args:
      x: of at most seven rows, no entry twice.
      tables: matrices by their titles, in the figure's order.
    """
    figure = pictures.new(8.5, 2.9)
    axes, left = _boxes_axes(figure), 0.0
    colour_of = {entry: palette.STYLES[row]["color"] for (row, _), entry in np.ndenumerate(x)}
    for title, values in tables.items():
        rows, columns = values.shape
        colours = np.vectorize(colour_of.get, otypes=[object])(values)
        _boxes(axes, (left, 0), values, colours)
        axes.text(left, -0.8, title, fontsize=13, weight="bold")
        axes.text(left, -0.25, f"{values.shape}", fontsize=12)
        order = " ".join(map(str, values.ravel()))
        axes.text(left, rows + 0.6, f"row by row: {order}", fontsize=11, color=palette.MUTED)
        left += max(columns, 3) + 1.2
    axes.set(xlim=(-0.1, left - 0.4), ylim=(x.shape[0] + 0.9, -1.3))
    return figure


def _boxes(
    axes: Any, corner: tuple[Number, Number], values: np.ndarray, colours: np.ndarray, height: Number = 1
) -> None:
    """A box for each entry; what has a larger ``height`` is in front."""
    for (row, column), value in np.ndenumerate(values):
        x, y, colour = corner[0] + column, corner[1] + row, colours[row, column]
        style = {"facecolor": colour, "edgecolor": palette.INK, "linewidth": 0.8, "zorder": height}
        axes.add_patch(_rectangle((x, y), 1, 1, **style))
        centred = {"ha": "center", "va": "center", "color": palette.text_on(colour)}
        axes.text(x + 0.5, y + 0.5, value, fontsize=14, zorder=height, **centred)


def _boxes_axes(figure: Any) -> Any:
    axes = figure.subplots()
    axes.set_aspect("equal")
    axes.axis("off")
    return axes


def _rectangle(at: tuple[Number, Number], width: Number, height: Number, **style: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(at, width, height, **style)


def _tiles(images: np.ndarray, columns: int) -> np.ndarray:
    """One picture of many: rows of so many columns, two pixels apart."""
    padded = np.pad(images, ((0, 0), (0, 2), (0, 2)))
    samples, height, width = padded.shape
    grid = padded.reshape(samples // columns, columns, height, width).swapaxes(1, 2)
    return grid.reshape(samples // columns * height, columns * width)


def maps(functions: dict[str, Affine]) -> Any:
    """What maps do to the plane: a grid and a letter, before and after.

    Args:
      functions: maps of the plane, by the names to show.
    """
    letter = np.array([(0, 0), (0, 1), (0.6, 1), (0.6, 0.8), (0.2, 0.8), (0.2, 0.6), (0.5, 0.6), (0.5, 0.4),
                       (0.2, 0.4), (0.2, 0), (0, 0)], np.float32)  # fmt: skip
    columns = len(functions)
    figure = pictures.new(2.4 * columns, 2.3)
    for axes, (name, f) in zip(figure.subplots(1, columns), functions.items(), strict=True):
        for line in geometry.grid_lines(-1.0, 2.0, 7):
            axes.plot(*line.T, color=palette.FAINT, linewidth=0.7)
            axes.plot(*np.asarray(apply(f, line)).T, color=palette.AFTER, alpha=0.5, linewidth=0.7)
        axes.fill(*letter.T, color=palette.BEFORE)
        axes.fill(*np.asarray(apply(f, jnp.asarray(letter))).T, color=palette.AFTER)
        axes.plot(0, 0, "+", color=palette.BLACK, markersize=8)
        axes.set(xlim=(-2.6, 3.6), ylim=(-1.6, 3.6), aspect="equal")
        axes.set_title(name, fontsize=10)
        axes.axis("off")
    return figure


class Plane(NamedTuple):
    """Points of two classes and grid lines, where a layer has moved them."""

    title: str
    points: np.ndarray  # [points, 2]
    grid: np.ndarray  # [lines, points, 2]


def manifold(rows: Sequence[Sequence[Plane]], labels: np.ndarray) -> Any:
    """Planes in rows: an epoch a row, a layer a column.

    Args:
      rows: what to draw.
      labels: ``[points]``, 0 or 1.
    """
    figure = pictures.new(2.3 * len(rows[0]), 2.6 * len(rows))
    for axes, planes in zip(figure.subplots(len(rows), len(rows[0]), squeeze=False), rows, strict=True):
        for one, plane in zip(axes, planes, strict=True):
            for line in plane.grid:
                one.plot(*line.T, color=palette.FAINT, linewidth=0.4, zorder=0)
            for label, style in enumerate(palette.CLASSES):
                one.scatter(*plane.points[labels == label].T, s=3, linewidths=0, **style)
            one.set_title(plane.title, fontsize=8)
            one.axis("off")
    return figure


def regions(panels: dict[str, tuple[Callable[[Any], Any], np.ndarray]], labels: np.ndarray) -> Any:
    """Points of two classes in the plane, on the regions where a network says which class it is.

    Args:
      panels: by their titles: a function of points ``[n, 2]`` that is positive for class 1, and the points.
      labels: ``[points]``, 0 or 1.
    """
    figure = pictures.new(4.0 * len(panels), 3.4)
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, (function, points)) in zip(every, panels.items(), strict=True):
        low, high = points.min(axis=0) - 0.2, points.max(axis=0) + 0.2
        plane = np.meshgrid(*(np.linspace(*ends, 150) for ends in zip(low, high, strict=True)))
        height = np.asarray(function(np.stack(plane, axis=-1).reshape(-1, 2).astype(np.float32)))
        axes.contourf(*plane, height.reshape(150, 150) > 0, levels=1, colors=(PALE_BLUE, PALE_ORANGE))
        for label, style in enumerate(palette.CLASSES):
            axes.scatter(*points[labels == label].T, s=9, linewidths=0, **style)
        axes.set_title(title, fontsize=11)
        axes.set(xticks=[], yticks=[], aspect="equal", xlabel="$x_0$", ylabel="$x_1$")
    return figure


class Track(NamedTuple):
    """The weights that an optimizer visited."""

    name: str
    points: np.ndarray  # [steps], or [steps, 2] on the plane


def balls(panels: Mapping[str, tuple[Callable[[np.ndarray], Any], Sequence[Track]]]) -> Any:
    """Balls on loss curves: where each optimizer started, where it went, and where it ended.

    Args:
      panels: by their titles: a function of one number, and the tracks on it.
    """
    figure = pictures.new(4.0 * len(panels), 3.6)
    ends = np.concatenate([track.points for _, tracks in panels.values() for track in tracks])
    x = np.linspace(ends.min() - 0.3, ends.max() + 0.3, 400)
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, (loss, tracks)) in zip(every, panels.items(), strict=True):
        axes.plot(x, loss(x), color=palette.MUTED, zorder=0)
        height = np.ptp(loss(x))
        for n, (style, track) in enumerate(zip(palette.STYLES, tracks, strict=False)):
            y = loss(track.points) + 0.03 * (n + 1) * height  # above one another where they meet
            axes.plot(track.points, y, ".", color=style["color"], markersize=3, alpha=0.4)
            ball = {"color": style["color"], "marker": style["marker"], "markersize": 9}
            axes.plot(track.points[-1], y[-1], linestyle="", label=track.name, **ball)
        start = {"color": palette.BLACK, "markersize": 9}
        axes.plot(track.points[0], loss(track.points[0]), "*", label="start", **start)
        axes.set_title(title, fontsize=10)
        axes.set(xlabel="weight", ylabel="loss")
        axes.legend(fontsize=8)
    return figure


def valleys(loss: Callable[[np.ndarray], Any], tracks: Sequence[Track], steps: int) -> Any:
    """The first steps of optimizers on the plane, on the contours of the loss, three in a row.

    Args:
      loss: of points ``[..., 2]``.
      tracks: on the plane.
      steps: how many of them are shown.
    """
    columns = min(3, len(tracks))
    rows = math.ceil(len(tracks) / columns)
    figure = pictures.new(3.2 * columns, 2.6 * rows)
    points = np.concatenate([track.points for track in tracks])
    low, high = points.min(axis=0) - 0.2, points.max(axis=0) + 0.2
    plane = np.stack(np.meshgrid(*(np.linspace(*ends, 100) for ends in zip(low, high, strict=True))), axis=-1)
    heights = np.asarray(loss(plane))
    levels = np.geomspace(heights.max() / 3000, heights.max(), 12)
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, style, track in zip(every, palette.STYLES, tracks, strict=False):
        axes.contour(
            plane[..., 0], plane[..., 1], heights, levels=levels, colors=palette.FAINT, linewidths=0.7
        )
        axes.plot(*track.points[: steps + 1].T, linewidth=1, markersize=3, **style)
        axes.plot(0, 0, "+", color=palette.BLACK)
        axes.set_title(f"{track.name}\nloss {float(loss(track.points[steps])):.1e} after {steps}", fontsize=9)
        axes.set(xticks=[], yticks=[])
    for axes in every[len(tracks) :]:
        axes.axis("off")
    figure.supxlabel("first weight", fontsize=9)
    figure.supylabel("second weight", fontsize=9)
    return figure
