"""Pictures of runs: their losses, a network's predictions for images, and the statistics of many runs."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnaive import data, pictures
from jaxnaive.data import Dataset, looks
from jaxnaive.data.schema import in_units
from jaxnaive.disk.files import StrPath
from jaxnaive.grids import Choice
from jaxnaive.pictures import palette, shortened
from jaxnaive.statistics import Summary
from jaxnaive.training import History

COLUMNS = 10  # of images
NAME_WIDTH = 16  # columns, of a class beside an image
MAX_PANELS = 4  # of a regression's targets
CELL_HEIGHT, IMAGE_SIZE = 1.4, 0.9  # of a cell with an image, in widths of a column


def curves(path: StrPath, history: History, title: str, test_loss: float | None = None) -> None:
    """The training loss of every batch, its mean in every epoch, and the losses it is compared with.

    Args:
      path: the PNG file to write.
      history: of a run.
      title: what ran, and how it ended.
      test_loss: at the end of the run, if it is known.
    """
    pictures.save(_curves(history, title, test_loss), path)


def curves_as_png(history: History, title: str) -> bytes:
    """As :func:`curves`, for a notebook; of several seeds the mean."""
    seeds_first = (
        history if np.ndim(history.loss) == 2 else jax.tree.map(lambda part: np.mean(part, axis=0), history)
    )
    return pictures.as_png(_curves(seeds_first, title), dpi=96)


def scatter(dataset: Dataset, outputs: np.ndarray) -> Any:
    """A figure of a regression's predictions over the truth, a panel for each of up to four targets.

    Args:
      dataset: what it was tested on.
      outputs: ``[examples, targets]``, in the order of ``dataset.test``.
    """
    targets: Any = dataset.schema.outputs
    truth, predicted = (
        np.asarray(in_units(np.asarray(values), targets)) for values in (dataset.test.labels, outputs)
    )
    shown = targets.names[:MAX_PANELS]
    figure = pictures.new(4.5 * len(shown), 4.5)
    for axes, name, x, y in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown, truth.T, predicted.T, strict=False
    ):
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color=palette.MUTED, linewidth=0.8)
        axes.plot(x, y, ".", color=palette.BLUE, alpha=0.6)
        name = shortened(name)
        axes.set(xlabel=f"{name}, in truth", ylabel=f"{name}, as predicted", aspect="equal")
        axes.grid(alpha=0.3)
    pictures.write_title(figure, f"{dataset.name}: {len(truth):,} test examples; on the line they are right")
    return figure


def _curves(history: History, title: str, test_loss: float | None = None) -> Any:
    figure = pictures.new(7.0, 4.0)
    axes = figure.subplots()
    loss = np.asarray(history.loss)
    epochs, steps = loss.shape
    marker_size = 3 if epochs > 20 else 6
    if loss.size:
        times = np.arange(1, loss.size + 1) / steps
        thin = {"color": palette.TRAINING["color"], "alpha": 0.35, "linewidth": 0.8}
        axes.plot(times, loss.ravel(), label="training, each batch", **thin)
        style = palette.TRAINING | {"markersize": marker_size}
        axes.plot(np.arange(epochs) + 0.5, loss.mean(axis=1), label="training, mean of each epoch", **style)
    if history.validation is not None:
        style = palette.VALIDATION | {"markersize": marker_size}
        axes.plot(np.arange(epochs) + 1, history.validation, label="validation, after each epoch", **style)
    if test_loss is not None:
        label = f"test, at the end: {test_loss:.3g}"
        style = palette.TEST | {"linestyle": "", "clip_on": False, "zorder": 3}
        axes.plot(epochs, test_loss, label=label, **style)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    axes.set(xlabel="epoch", ylabel="loss", yscale="log", xlim=(0, max(epochs, 1)))
    axes.grid(alpha=0.3)
    pictures.write_title(figure, title)
    return figure


def predictions(path: StrPath, dataset: Dataset, probabilities: np.ndarray) -> None:
    """Test images: two rows the network gets right, and up to three of its most confident mistakes.

    Args:
      path: the PNG file to write.
      dataset: what it was tested on.
      probabilities: ``[examples, classes]``, in the order of ``dataset.test``.
    """
    right, wrong = data.right_and_wrong(probabilities, np.asarray(dataset.test.labels))
    mistakes = "Wrong: the most confident mistakes, as predicted (and in truth)"
    parts = (
        (right[: 2 * COLUMNS], palette.RIGHT, "Right: the first test images", "Right: none"),
        (wrong[: 3 * COLUMNS], palette.WRONG, mistakes, "Wrong: none, there are no mistakes"),
    )
    heights = [1.6 * math.ceil(len(shown) / COLUMNS) if len(shown) else 0.4 for shown, *_ in parts]
    figure = pictures.new(11.0, sum(heights))
    subfigures = figure.subfigures(2, 1, height_ratios=heights, hspace=0)
    for subfigure, (shown, style, title, none) in zip(subfigures, parts, strict=True):
        words = {"color": style["color"], "weight": "bold", "x": 0.01, "ha": "left"}
        subfigure.suptitle(title if len(shown) else none, **words)
        _draw_predictions(subfigure, dataset, probabilities, shown)
    pictures.save(figure, path)


def _draw_predictions(subfigure: Any, dataset: Dataset, probabilities: np.ndarray, shown: np.ndarray) -> None:
    """Test images in rows, each with the prediction, the truth if it is another, and the probability."""
    names, labels = [shortened(name, NAME_WIDTH) for name in dataset.class_names], dataset.test.labels
    are_short = max(map(len, names)) <= 2
    if len(shown) == 0:
        return
    axes = subfigure.subplots()  # for all images: matplotlib takes 40 ms for each Axes
    axes.axis("off")
    for place, i in enumerate(shown):
        row, column = divmod(place, COLUMNS)
        x, bottom = column + 0.5, (row + 1) * CELL_HEIGHT
        predicted = probabilities[i].argmax()
        truth = [] if predicted == labels[i] else [f"({names[labels[i]]})"]
        words = (" " if are_short else "\n").join(
            [names[predicted], *truth, f"{probabilities[i, predicted]:.0%}"]
        )
        style = {"size": 9 if are_short else 7, "ha": "center", "va": "bottom"}
        axes.text(x, bottom - IMAGE_SIZE - 0.03, words, **style)
        image = looks.as_picture(np.asarray(dataset.test.images[i]))
        height, width = IMAGE_SIZE * np.array(image.shape[:2]) / max(image.shape[:2])
        extent = (x - width / 2, x + width / 2, bottom, bottom - height)
        axes.imshow(image, cmap="gray_r", interpolation="nearest", extent=extent)
    axes.set(xlim=(0, COLUMNS), ylim=(math.ceil(len(shown) / COLUMNS) * CELL_HEIGHT, 0))


def seen(
    path: StrPath,
    grey: np.ndarray,
    image: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    unsure: bool = False,
) -> None:
    """A user's picture, what the network sees of it, and the probabilities of the classes.

    Args:
      path: the PNG file to write.
      grey: ``[height, width]``, 0 black to 1 white.
      image: ``[28, 28]``, uint8.
      probabilities: ``[classes]``.
      class_names: of the classes.
      unsure: whether the picture is like nothing that the network was trained on.
    """
    figure = pictures.new(9.0, 3.2)
    came, went_in, says = figure.subplots(1, 3, width_ratios=(1, 1, 1.2))
    came.imshow(grey, cmap="gray", vmin=0, vmax=1)
    came.set_title("your picture")
    went_in.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    went_in.set_title("what the network sees")
    for axes in (came, went_in):
        axes.set(xticks=[], yticks=[])
    best = int(probabilities.argmax())
    colors = [palette.BLUE if k == best else palette.FAINT for k in range(len(probabilities))]
    bars = says.barh(range(len(probabilities)), probabilities, color=colors)
    says.bar_label(bars, [f"{p:.1%}" for p in probabilities], padding=3, fontsize=8)
    names = [shortened(name, NAME_WIDTH) for name in class_names]
    says.set_yticks(range(len(probabilities)), names)
    says.invert_yaxis()
    says.set(xlim=(0, 1.2), xticks=[], xlabel="probability")
    says.set_title("not sure" if unsure else f"{names[best]}: {probabilities[best]:.1%}", wrap=True)
    says.spines[["top", "right", "bottom"]].set_visible(False)
    pictures.save(figure, path)


def bands(
    path: StrPath,
    x: np.ndarray,
    curves: dict[str, Summary],
    labels: tuple[str, str],
    title: str,
) -> None:
    """Means over seeds as lines, and their confidence intervals as bands.

    Args:
      path: the PNG file to write.
      x: ``[points]``.
      curves: by name, each of shape ``[points]``.
      labels: of the two axes.
      title: what it shows.
    """
    figure = pictures.new(7.5, 4.5)
    axes = figure.subplots()
    for style, (name, summary) in zip(itertools.cycle(palette.STYLES), curves.items(), strict=False):
        axes.plot(x, summary.mean, markersize=4, label=shortened(name), **style)
        axes.fill_between(x, summary.low, summary.high, color=style["color"], alpha=0.2, linewidth=0)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    pictures.write_title(figure, title)
    pictures.save(figure, path)


def scaling(
    path: StrPath, sizes: np.ndarray, epochs: dict[str, Summary], updates: dict[str, Summary], title: str
) -> None:
    """Epochs and updates to a target over the batch size, with confidence intervals.

    In the panel of updates a grey line shows perfect scaling from the smallest batch size of the first curve.

    Args:
      path: the PNG file to write.
      sizes: ``[sizes]``, ascending.
      epochs: by name, each of shape ``[sizes]``; not a number where the target is not reached.
      updates: likewise.
      title: what it shows.
    """
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    figure = pictures.new(11.0, 4.5)
    panels = figure.subplots(1, 2)
    for axes, curves, label in zip(panels, (epochs, updates), ("epochs", "updates"), strict=True):
        for style, (name, summary) in zip(itertools.cycle(palette.STYLES), curves.items(), strict=False):
            around = np.abs(np.array([summary.low, summary.high]) - summary.mean)
            axes.errorbar(
                sizes, summary.mean, around, markersize=5, capsize=3, label=shortened(name), **style
            )
        axes.set(xscale="log", yscale="log", xlabel="batch size", ylabel=label)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(alpha=0.3)
    perfect = next(iter(updates.values())).mean[0] * sizes[0] / sizes
    panels[1].plot(sizes, perfect, color=palette.MUTED, linewidth=0.8, label="perfect scaling")
    figure.legend(*panels[1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    pictures.write_title(figure, title)
    pictures.save(figure, path)


def choices(path: StrPath, found: dict[str, Choice], labels: tuple[str, str], title: str) -> None:
    """How good each point of a grid was, and the one that was chosen, as a large mark.

    Args:
      path: the PNG file to write.
      found: by name what was tried.
      labels: of the points, which are on a logarithmic axis, and of how good they are.
      title: what it shows.
    """
    figure = pictures.new(7.5, 4.8)
    axes = figure.subplots()
    for style, (name, choice) in zip(itertools.cycle(palette.STYLES), found.items(), strict=False):
        means = choice.curves[..., -1].mean(1)  # of a point that diverged it is not a number
        axes.plot(choice.points, means, markersize=4, label=shortened(name), **style)
        chosen = choice.points[choice.best], means[choice.best]
        axes.plot(*chosen, color=style["color"], marker=style["marker"], markersize=12)
    ends = [choice.curves[choice.best, :, -1].mean() for choice in found.values()]
    room = 2 * (max(ends) - min(ends)) + 0.01  # below the worst of the chosen
    axes.set(xscale="log", xlabel=labels[0], ylabel=labels[1], ylim=(min(ends) - room, max(ends) + room / 4))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4)  # inside it would hide a mark
    pictures.write_title(figure, title)
    pictures.save(figure, path)


def ranking(path: StrPath, summaries: dict[str, Summary], label: str, title: str) -> None:
    """Means with confidence intervals, the best at the top.

    Args:
      path: the PNG file to write.
      summaries: of one number each, by name, the best first.
      label: what the number is.
      title: what it shows.
    """
    figure = pictures.new(7.5, 1.2 + 0.4 * len(summaries))
    axes = figure.subplots()
    for row, summary in enumerate(summaries.values()):
        axes.plot([summary.low, summary.high], [row, row], color=palette.BLUE, linewidth=5, alpha=0.4)
        axes.plot(summary.mean, row, "o", color=palette.BLUE)
        axes.text(summary.high, row, f"  {summary.mean:.4f}", va="center", fontsize=9)
    axes.set_yticks(range(len(summaries)), map(shortened, summaries))
    axes.invert_yaxis()
    axes.margins(x=0.2, y=0.15)
    axes.set(xlabel=label)
    axes.grid(axis="x", alpha=0.3)
    pictures.write_title(figure, title)
    pictures.save(figure, path)


def race(path: StrPath, rows: dict[str, dict[str, Any]], title: str) -> None:
    """The seconds of every entrant of a race: of whole processes on the left, of one epoch on the right.

    Args:
      path: the PNG file to write.
      rows: for each entrant the seconds of an ``epoch``, and for each task the ``seconds`` of the whole
        process, the ``least`` and the ``most``. What is missing is not drawn. The first row is the reference.
      title: of the picture.
    """
    figure = pictures.new(11.0, 1.7 + 0.36 * len(rows))
    whole, epoch = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _race_processes(whole, rows)
    first = next(iter(rows.values()))
    for place, row in enumerate(rows.values()):
        if "epoch" in row:
            epoch.barh(place, row["epoch"], height=0.5, color=palette.BLUE, alpha=0.7)
            ratio = row["epoch"] / first["epoch"]
            epoch.text(row["epoch"], place, f"  {ratio:.1f} x", va="center", fontsize=8)
    epoch.set(xlabel="seconds")
    epoch.set_title("an epoch after the first, batches of 128", fontsize=10)
    for axes in (whole, epoch):
        axes.set_xlim(0, 1.25 * axes.dataLim.xmax)
        axes.grid(axis="x", alpha=0.3)
    pictures.write_title(figure, title)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    pictures.save(figure, path)


def _race_processes(axes: Any, rows: dict[str, dict[str, Any]]) -> None:
    tasks = ("same recipe", "own recipe", "as the book")
    styles = dict(zip(tasks, palette.STYLES, strict=False))
    for place, row in enumerate(rows.values()):
        present = [task for task in tasks if task in row]
        for task in present:
            color, ends = styles[task]["color"], [row[task]["least"], row[task]["most"]]
            axes.plot(ends, [place, place], color=color, linewidth=1)
            axes.plot(row[task]["seconds"], place, styles[task]["marker"], color=color, markersize=5)
        if present:
            last = max(row[task]["most"] for task in present)
            ratios = ", ".join(f"{row[task]['ratio']:.1f}" for task in present)
            axes.text(last, place, f"  {ratios} x", va="center", fontsize=8)
    for task, style in styles.items():
        if any(task in row for row in rows.values()):
            axes.plot([], [], style["marker"], color=style["color"], label=task)
    axes.set_yticks(range(len(rows)), map(shortened, rows))
    axes.invert_yaxis()
    axes.set(xlabel="seconds, from start to end of the process; median, least, most")
    axes.set_title("to 98 % test accuracy", fontsize=10)


class Axis(NamedTuple):
    """Seconds over the values of an axis."""

    name: str
    values: Sequence[int]
    seconds: dict[str, Sequence[float]]  # by the name of an entrant; not a number where it failed
    limit: Sequence[float]  # seconds that no entrant can be below


def growth(path: StrPath, axes_shown: Sequence[Axis], title: str) -> None:
    """How the seconds of an epoch grow: a panel an axis, and in it a line an entrant, and the limit in grey.

    Args:
      path: the PNG file to write.
      axes_shown: in their order, with the same entrants.
      title: what it shows.
    """
    columns = min(len(axes_shown), 3)
    rows = math.ceil((len(axes_shown) + 1) / columns)  # one for the legend
    figure = pictures.new(max(3.1 * columns, 5.0), 2.7 * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, shown in zip(panels, axes_shown, strict=False):
        _draw_growth(axes, shown)
    for axes in panels[len(axes_shown) :]:
        axes.axis("off")
    handles, names = panels[0].get_legend_handles_labels()
    panels[len(axes_shown)].legend(handles, names, loc="center", frameon=False)
    pictures.write_title(figure, title)
    pictures.save(figure, path)


def _draw_growth(axes: Any, shown: Axis) -> None:
    """One panel, both of its axes logarithmic."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    for style, (name, seconds) in zip(itertools.cycle(palette.STYLES), shown.seconds.items(), strict=False):
        axes.plot(shown.values, seconds, markersize=5, linewidth=1.2, label=shortened(name), **style)
    limit = {"color": palette.MUTED, "linestyle": "--", "linewidth": 1}
    axes.plot(shown.values, shown.limit, label="limit of the products", **limit)
    axes.set(xscale="log", yscale="log", xlabel=shortened(shown.name), ylabel="seconds an epoch")
    axes.set_xticks(shown.values, [f"{value:,}" for value in shown.values])
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.tick_params("x", labelsize=7)
    axes.tick_params("y", labelsize=8)
    axes.grid(alpha=0.3)


ROW_WIDTH = 56  # columns, of the name of a mistake


class Pair(NamedTuple):
    """Results of a program with and without a mistake; neither, if the mistake raises an error."""

    name: str
    right: Summary | None
    broken: Summary | None
    message: str = ""  # where there are no numbers


def pairs(rows: Sequence[Pair], label: str, title: str) -> Any:
    """The cost of each mistake: a dot for the right program, a cross for the wrong one, and a line.

    Args:
      rows: from the top; a mistake without numbers shows its message instead.
      label: what the numbers are.
      title: what it shows.

    Returns:
      The figure.
    """
    figure = pictures.new(9.5, 1.3 + 0.32 * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        if row.right is None or row.broken is None:
            axes.axhspan(place - 0.5, place + 0.5, color=palette.PALE, linewidth=0, zorder=0)
            axes.text(0.5, place, row.message, color=palette.MUTED, ha="center", va="center", fontsize=9)
            continue
        axes.plot(
            [row.broken.mean, row.right.mean], [place, place], color=palette.FAINT, linewidth=1.5, zorder=1
        )
        for summary, style in ((row.right, palette.RIGHT), (row.broken, palette.WRONG)):
            axes.errorbar(
                summary.mean, place, xerr=summary.sd, linestyle="", markersize=7, capsize=3, **style
            )
    for name, style in (("right", palette.RIGHT), ("with the bug, without an error", palette.WRONG)):
        axes.plot([], [], linestyle="", markersize=7, label=name, **style)
    axes.set_yticks(range(len(rows)), [shortened(row.name, ROW_WIDTH) for row in rows], fontsize=9)
    axes.set(xlabel=label, xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)
    pictures.write_title(figure, title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def learning_rates(
    rates: np.ndarray, accuracy: Summary, regions: dict[str, tuple[float, float]], title: str
) -> Any:
    """Accuracy over the learning rate, with the regions that it falls into.

    Args:
      rates: ``[rates]``.
      accuracy: ``[rates]``, over seeds.
      regions: first and last learning rate of each, by name.
      title: what it shows.
    """
    figure = pictures.new(7.5, 4.2)
    axes = figure.subplots()
    colors = {"slow": palette.BLUE, "good": palette.GREEN, "diverged": palette.VERMILION}
    for name, (first, last) in regions.items():
        axes.axvspan(first, last, color=colors[name], alpha=0.12, linewidth=0)
        axes.text(np.sqrt(first * last), 1.02, name, ha="center", va="bottom")
    axes.plot(rates, accuracy.mean, "o-", color=palette.BLACK, markersize=3)
    axes.fill_between(rates, accuracy.low, accuracy.high, color=palette.BLACK, alpha=0.2, linewidth=0)
    axes.set(xscale="log", xlabel="learning rate", ylabel="test accuracy", ylim=(0, 1.1))
    axes.grid(alpha=0.3)
    pictures.write_title(figure, title)
    return figure


def descent(rates: np.ndarray, loss: np.ndarray, visited: np.ndarray, visited_loss: np.ndarray) -> Any:
    """A run's loss over its learning rate, and the way of gradient descent on the learning rate to its end.

    Args:
      rates: ``[rates]``.
      loss: ``[rates]``, after the run.
      visited: ``[steps]``, the learning rates of the descent.
      visited_loss: ``[steps]``, their losses.
    """
    figure = pictures.new(7.0, 4.2)
    axes = figure.subplots()
    axes.plot(rates, loss, color=palette.MUTED, label="every learning rate tried")
    style = {"color": palette.VERMILION, "markersize": 4, "linewidth": 1}
    axes.plot(visited, visited_loss, "o--", label="descent on the gradient", **style)
    end = {"color": palette.BLACK, "markersize": 9, "fillstyle": "none"}
    axes.plot(visited[-1], visited_loss[-1], "s", label="its end", **end)
    axes.set(xscale="log", xlabel="learning rate", ylabel="validation loss after the run")
    axes.grid(alpha=0.3)
    axes.legend()
    pictures.write_title(figure, "The gradient of a whole run with respect to its learning rate")
    return figure
