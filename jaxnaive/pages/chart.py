"""The chart of runs' losses: curves over epochs, on a logarithmic scale; a page draws it as SVG."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnaive import statistics
from jaxnaive.statistics import Summary

MAX_POINTS = 60  # of a curve
MAX_STEPS = 1000  # points of the curve of all steps
MAX_EPOCH_TICKS = 10  # besides that at 0
MIN_LOSS = 1e-12  # at which an axis can begin; a loss of 0 has no logarithm

Position = tuple[float, float]  # per cent of the chart's width and height, from its upper left corner


class Series(NamedTuple):
    """Runs that differ by their seed alone."""

    name: str
    losses: list[Float[np.ndarray, "epochs steps"]]
    after_epochs: bool = False  # a value after each epoch, in validation; not one during each of its steps


class Curve(NamedTuple):
    """The mean loss of a series."""

    name: str
    points: list[Position]
    band: list[Position]  # the outline of its confidence interval; empty for a single run
    steps: list[Position]  # every step, for a single run that has more steps than points


class Reading(NamedTuple):
    """What the chart shows while the pointer is at one place."""

    left: float  # per cent
    heights: list[float | None]  # of the curves, per cent; None after a curve's end
    text: str


class Chart(NamedTuple):
    """A chart with a logarithmic y axis."""

    curves: list[Curve]
    x_ticks: list[tuple[float, str]]  # per cent, label
    y_ticks: list[tuple[float, str]]
    readings: list[Reading]


def make(series: Sequence[Series]) -> Chart | None:
    """The chart of those series in which every run was trained; ``None`` if there are none."""
    series = [one for one in series if all(loss.size for loss in one.losses)]
    losses = [loss for one in series for loss in one.losses]
    if not losses:
        return None
    in_training = [loss for one in series if not one.after_epochs for loss in one.losses]
    epochs = max(map(len, losses))
    bins = min(MAX_POINTS, epochs * min(loss.shape[1] for loss in in_training))
    summaries = [
        summarise([binned(loss, epochs, bins, one.after_epochs) for loss in one.losses]) for one in series
    ]
    has_steps = len(in_training) == 1 and losses[0].size > bins
    steps = binned(losses[0], epochs, min(MAX_STEPS, losses[0].size)) if has_steps else np.empty(0)
    y_ticks = loss_ticks(np.concatenate([steps, *(summary.mean for summary in summaries)]))

    def height(loss: Any) -> np.ndarray:
        bottom, top = y_ticks[0], y_ticks[-1]
        inside = np.clip(loss, bottom / 10, top * 10)  # the page cuts off what is outside
        return np.asarray(100 * np.log(top / inside) / math.log(top / bottom))

    names = [one.name for one in series]
    every_step = [positions(height(steps)), *([] for _ in series[1:])]  # the first are in training
    return Chart(
        [
            Curve(name, positions(height(summary.mean)), outline(summary, height), own)
            for name, summary, own in zip(names, summaries, every_step, strict=True)
        ],
        [(100 * epoch / epochs, f"{epoch:g}") for epoch in epoch_ticks(epochs)],
        [(float(height(tick)), f"{tick:g}") for tick in y_ticks],
        [reading(bin_, names, summaries, height, epochs) for bin_ in range(bins)],
    )


def binned(
    loss: Float[np.ndarray, "epochs steps"], epochs: int, bins: int, after_epochs: bool = False
) -> Float[np.ndarray, " bins"]:
    """The means of a run's losses in equal parts of so many epochs; NaN where there are none."""
    time = (np.arange(loss.size) + (1 - 1e-6 if after_epochs else 0.5)) / loss.shape[1]
    bin_ = (time * (bins / epochs)).astype(int)
    counts = np.bincount(bin_, minlength=bins)
    with np.errstate(invalid="ignore"):
        return np.bincount(bin_, loss.ravel().astype(np.float64), minlength=bins) / counts


def summarise(curves: Sequence[Float[np.ndarray, " bins"]]) -> Summary:
    """Mean and confidence interval of curves, bin by bin; the interval of a single one is NaN."""
    if len(curves) > 1:
        return statistics.summarise(np.array(curves), axis=0)
    unknown = np.full_like(curves[0], np.nan)
    return Summary(curves[0], unknown, unknown, unknown)


def positions(heights: Float[np.ndarray, " points"]) -> list[Position]:
    """Points at equal distances from left to right, without those that are not finite."""
    x = (np.arange(len(heights)) + 0.5) * (100 / max(len(heights), 1))
    finite = np.isfinite(heights)
    return list(zip(x[finite].tolist(), heights[finite].tolist(), strict=True))


def outline(summary: Summary, height: Callable[[Any], np.ndarray]) -> list[Position]:
    """Along the lower end of an interval, and back along its upper end."""
    return positions(height(summary.low)) + positions(height(summary.high))[::-1]


def reading(
    bin_: int,
    names: Sequence[str],
    summaries: Sequence[Summary],
    height: Callable[[Any], np.ndarray],
    epochs: int,
) -> Reading:
    """What the chart shows at a bin: the epoch, and each curve's mean there, with its interval."""
    time = (bin_ + 0.5) / len(summaries[0].mean)
    lines, heights = [f"epoch {time * epochs:.2f}"], []
    for name, summary in zip(names, summaries, strict=True):
        mean, low, high = summary.mean[bin_], summary.low[bin_], summary.high[bin_]
        heights.append(float(height(mean)) if math.isfinite(mean) else None)
        if math.isfinite(mean):
            interval = f" [{low:.3g}, {high:.3g}]" if math.isfinite(low) else ""
            lines.append(f"{name or 'loss'}: {mean:.3g}{interval}")
    return Reading(100 * time, heights, "\n".join(lines))


def epoch_ticks(epochs: int) -> list[float]:
    """0, 1, 2, ..., or every second, fifth, tenth, ... epoch."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(MAX_EPOCH_TICKS, integer=True, steps=[1, 2, 5, 10]).tick_values(0, epochs)
    return [tick for tick in ticks if tick <= epochs]


def loss_ticks(losses: Float[np.ndarray, " losses"]) -> list[float]:
    """Ticks of a logarithmic axis, from one below the least loss to one above the largest.

    They are 1, 2, 5, 10, ..., or only powers of ten where the largest loss is a thousand times the least.
    """
    from matplotlib.ticker import LogLocator

    finite = losses[np.isfinite(losses)]
    low = max(float(finite.min()), MIN_LOSS)
    high = max(float(finite.max()), 1.1 * low)  # so that there are two ticks
    subs = (1, 2, 5) if high < 1000 * low else (1,)
    ticks = np.asarray(LogLocator(subs=subs, numticks=9).tick_values(low / 10, high * 10))
    return ticks[np.sum(ticks <= low) - 1 : np.sum(ticks < high) + 1].tolist()
