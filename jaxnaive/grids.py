"""A choice on a grid that lies inside it: where the best point is at an edge, the grid is made wider."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Curves = Float[np.ndarray, "points seeds epochs"]


class Choice(NamedTuple):
    """What was tried, and which of it is the best."""

    points: list[float]  # ascending
    curves: Curves  # how good each was, run by run and epoch by epoch
    best: int  # place among the points


def choose(
    measure: Callable[[list[float]], Curves], points: Sequence[float], factor: float, most: int = 4
) -> Choice:
    """The best of a geometric grid, from inside it, and of two points more beside it.

    Where the best is the smallest or the largest point, two more are measured beyond it, until it is not.
    The first that is inside has the geometric means with its neighbours measured too.

    Args:
      measure: points -> how good each is after each epoch of each run; not a number where a run diverged.
      points: two or more positive numbers to begin with.
      factor: from one point beyond the edge to the next.
      most: how often the grid is made wider.

    Raises:
      ValueError: all runs diverge, or the best is still at an edge.
    """
    points = sorted(points)
    curves, widened, is_fine = measure(points), 0, False
    while True:
        best = best_of(curves)
        is_inside = 0 < best < len(points) - 1
        if is_inside and is_fine:
            return Choice(points, curves, best)
        if is_inside:
            more = [float(np.sqrt(points[best] * points[best + side])) for side in (-1, 1)]
            is_fine = True
        elif widened == most:
            text = f"the best of {points[0]:.3g} to {points[-1]:.3g} is at an edge: {points[best]:.3g}"
            raise ValueError(text)
        else:
            edge, step = (points[0], 1 / factor) if best == 0 else (points[-1], factor)
            more, widened = [edge * step, edge * step**2], widened + 1
        points, curves = _merged(points, curves, more, measure(more))


def best_of(curves: Curves) -> int:
    """The place of the best point at the end; of those that are as good as it, the best over all epochs.

    A point is as good as the best if its mean over the runs is at most one standard error of the difference,
    run by run, behind it. A point of which a run diverged is worse than any.

    Raises:
      ValueError: a run of every point diverged.
    """
    final = curves[..., -1].astype(float)
    means = np.where(np.isnan(curves).any((1, 2)), -np.inf, final.mean(1))
    best = int(np.argmax(means))
    if np.isinf(means[best]):
        raise ValueError("all points have a run that diverged")
    behind = final[best] - final
    error = behind.std(1, ddof=1) / np.sqrt(final.shape[1])
    as_good = np.isfinite(means) & (behind.mean(1) <= error)
    return int(np.argmax(np.where(as_good, curves.mean((1, 2)), -np.inf)))


def _merged(
    points: list[float],
    curves: Curves,
    more: list[float],
    more_curves: Float[np.ndarray, "more seeds epochs"],
) -> tuple[list[float], np.ndarray]:
    order = np.argsort([*points, *more])
    return [[*points, *more][place] for place in order], np.concatenate([curves, more_curves])[order]
