"""Scores over the values of an axis: panels of lines with intervals."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnaive import pictures, statistics
from jaxnaive.disk.files import StrPath
from jaxnaive.pictures import palette, shortened

COLUMNS = 3  # panels in a row
FAR = 4  # times as far from the best as the median is: scores beyond that lie outside


class Panel(NamedTuple):
    """Scores over one axis."""

    title: str
    axis: str  # its name
    values: list[str]  # the names of its values
    lines: dict[str, Float[np.ndarray, "values seeds"]]  # not a number where a run diverged


def draw(
    path: StrPath, panels: Sequence[Panel], score: str, title: str, is_higher_better: bool = True
) -> None:
    """Means as lines, with the 95 % interval at each value. A value of which a run diverged is left out.

    A line that is alone in its panel shows its runs too. Means that are much worse than the others lie
    outside, so that one sees these apart, and then the axis says so.

    Args:
      path: the PNG file to write.
      panels: in their order.
      score: name and unit of the scores.
      title: what it shows.
      is_higher_better: of two scores.
    """
    columns = 2 if len(panels) == 4 else min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    figure = pictures.new(max(6.5, 4.2 * columns), 3.6 * rows + 0.8)
    every = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes, panel in itertools.zip_longest(every, panels):
        if panel is None:
            axes.set_visible(False)
        else:
            _draw(axes, panel)
    low, high, is_cut = _range(panels, is_higher_better)
    every[0].set_ylim(low, high)
    label = f"{score}\n(worse ones lie outside)" if is_cut else score
    for axes in every[::columns]:
        axes.set_ylabel(label)
    names = [name for name in panels[0].lines if name]
    if names:
        handles, _ = every[0].get_legend_handles_labels()
        figure.legend(handles, map(shortened, names), loc="outside lower center", ncols=4)
    pictures.write_title(figure, title)
    pictures.save(figure, path)


def _range(panels: Sequence[Panel], is_higher_better: bool) -> tuple[float, float, bool]:
    """The ends of the axis of scores, and whether some lie outside."""
    scores = np.concatenate([scores for panel in panels for scores in panel.lines.values()])
    mean, _, low, high = statistics.summarise(scores[np.isfinite(scores).all(axis=1)])
    sign = 1 if is_higher_better else -1
    best, median = np.max(sign * mean), np.median(sign * mean)
    is_shown = sign * mean >= best - FAR * (best - median)
    ends = float(low[is_shown].min()), float(high[is_shown].max())
    margin = 0.06 * (ends[1] - ends[0]) or 0.01
    is_cut = bool(low.min() < ends[0] - margin or high.max() > ends[1] + margin)
    return ends[0] - margin, ends[1] + margin, is_cut


def _draw(axes: Any, panel: Panel) -> None:
    """One panel; lines that would lie on each other stand side by side."""
    shifts = 0.06 * (np.arange(len(panel.lines)) - (len(panel.lines) - 1) / 2)
    styles = itertools.cycle(palette.STYLES)
    for shift, style, (name, scores) in zip(shifts, styles, panel.lines.items(), strict=False):
        mean, _, low, high = statistics.summarise(scores)
        x = np.arange(len(panel.values)) + shift
        if len(panel.lines) == 1:
            axes.plot(x[:, None] + 0 * scores, scores, ".", color=style["color"], alpha=0.35, markersize=5)
        axes.errorbar(x, mean, (mean - low, high - mean), capsize=3, markersize=5, label=name, **style)
    axes.set_xticks(
        range(len(panel.values)), map(shortened, panel.values), rotation=45 if _are_long(panel.values) else 0
    )
    axes.set_xlim(-0.5, len(panel.values) - 0.5)
    axes.set(xlabel=panel.axis, title=shortened(panel.title))
    axes.grid(alpha=0.3)


def _are_long(names: Sequence[str]) -> bool:
    """Whether names do not have room side by side."""
    return sum(map(len, names)) + 2 * len(names) > 40
