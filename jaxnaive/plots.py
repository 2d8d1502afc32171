"""Pictures of a run: its loss, and what the network says to test images."""

from pathlib import Path

import numpy as np

from jaxnaive import figures
from jaxnaive.data import Dataset
from jaxnaive.training import History


def curves(path: Path, history: History, title: str) -> None:
    """The loss of every step, and the mean of every epoch.

    Args:
      path: the PNG file to write.
      history: of a run.
      title: what ran, and how it ended.
    """
    figure = figures.new(7.0, 4.0)
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
    figures.save(figure, path)


def predictions(path: Path, dataset: Dataset, probabilities: np.ndarray) -> None:
    """Test images: two rows the network gets right, three rows of its most confident mistakes.

    Args:
      path: the PNG file to write.
      dataset: what it was tested on.
      probabilities: ``[examples, classes]``, in the order of ``dataset.test``.
    """
    columns, labels = 10, np.asarray(dataset.test.labels)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right, wrong = right_and_wrong(probabilities, labels)
    names = dataset.class_names
    short = max(map(len, names)) <= 2
    figure = figures.new(11.0, 8.0)
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
    figures.save(figure, path)


def right_and_wrong(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The examples that are classified correctly, in order, and the others, the most confident first.

    Args:
      probabilities: ``[examples, classes]``.
      labels: ``[examples]``.
    """
    right = probabilities.argmax(axis=1) == labels
    wrong = np.flatnonzero(~right)
    return np.flatnonzero(right), wrong[np.argsort(-probabilities.max(axis=1)[wrong], kind="stable")]


def _picture(image: np.ndarray) -> np.ndarray:
    image = np.squeeze(image)
    if np.issubdtype(image.dtype, np.floating):
        image = (image - image.min()) / max(float(np.ptp(image)), 1e-30)
    is_picture = image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (3, 4))
    return image if is_picture else image.reshape(1, -1)  # a strip, so that it can be looked at all the same
