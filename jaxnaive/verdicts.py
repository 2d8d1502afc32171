"""What a grid of runs lets one say: of each axis, which value is best, and from which it can be told apart.

A value is judged with the other axes at their best for it, by all its runs. The best of several looks better
than it is, but all values are flattered alike: of equal ones fewer than 5 % are told apart.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnaive import statistics
from jaxnaive.statistics import Comparison

CONFIDENCE = 0.95  # of all comparisons of an axis together
MOST = 3  # differences that a sentence shows, of those that are settled, and of those that are not

Scores = Float[np.ndarray, "*axes seeds"]  # higher is better; not a number where a run diverged


class Difference(NamedTuple):
    """How much better the best value of an axis is than another one."""

    other: int  # place of the other value
    comparison: Comparison

    @property
    def is_settled(self) -> bool:
        """Whether the best value is better than the other one: the interval is above 0."""
        return self.comparison.low > 0


class Verdict(NamedTuple):
    """What the runs say of one axis."""

    scores: Float[np.ndarray, "values seeds"]  # of each value, the other axes at their best for it
    best: int | None  # place of the best value; None if all have runs that diverged
    differences: list[Difference]  # to all values without runs that diverged, the closest first
    confidence: float  # of each interval, such that all of them together have CONFIDENCE


def judge(scores: Scores, axis: int) -> Verdict:
    """The verdict on an axis.

    The intervals are as wide as it takes to hold all differences between two values of the axis at the same
    time (Bonferroni), because which value is the best, and which comes next, is seen in the same runs.

    Args:
      scores: of a grid.
      axis: of the grid, counted from 0.

    Raises:
      ValueError: fewer than two seeds.
    """
    values = at_their_best(scores, axis)
    places = np.flatnonzero(np.isfinite(values).all(axis=1))
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(places) * (len(places) - 1) / 2)
    if not len(places):
        return Verdict(values, None, [], confidence)
    best, *others = places[np.argsort(-values[places].mean(axis=1), kind="stable")].tolist()
    differences = [
        Difference(other, statistics.compare(values[best], values[other], confidence)) for other in others
    ]
    return Verdict(values, best, differences, confidence)


def at_their_best(scores: Scores, axis: int) -> Float[np.ndarray, "values seeds"]:
    """The scores of each value of an axis, with the other axes at their best for it.

    Args:
      scores: of a grid.
      axis: counted from 0.

    Returns:
      Not a number for a value of which some run diverged at each place; else a place of which one did is not
      chosen.
    """
    rows = np.moveaxis(scores, axis, 0).reshape(scores.shape[axis], -1, scores.shape[-1])
    means = rows.mean(axis=-1)  # not a number where one of the runs is not
    best = np.where(np.isnan(means), -np.inf, means).argmax(axis=1)
    chosen = rows[np.arange(len(rows)), best]
    return np.where(np.isnan(means).all(axis=1)[:, None], np.nan, chosen)


# --- words -------------------------------------------------------------------------------------------


def sentence(
    verdict: Verdict, names: Sequence[str], subject: str, is_plural: bool = False, unit: str = ""
) -> str:
    """A verdict in words.

    Args:
      verdict: from :func:`judge`.
      names: of the values, short.
      subject: name of the best one, at the beginning of the sentence.
      is_plural: whether it is several things, such as units.
      unit: of the scores.

    >>> scores = np.array([[90.0, 91.0, 92.0, 90.0], [93.0, 94.0, 95.0, 92.0]])
    >>> sentence(judge(scores, 0), ["32", "128"], "128 units", is_plural=True, unit=" points")
    '128 units beat 32 by 2.8 points [2.0, 3.5]'
    """
    if verdict.best is None:
        return "no verdict: of every value some run diverged"
    if not verdict.differences:
        return f"{subject}: the only one without a run that diverged"
    beats, is_ahead = ("beat", "are ahead") if is_plural else ("beats", "is ahead")
    lost = [name for name, row in zip(names, verdict.scores, strict=True) if not np.isfinite(row).all()]
    settled = [found for found in verdict.differences if found.is_settled]
    open_ = [found for found in verdict.differences if not found.is_settled]
    parts = []
    if settled:
        parts.append(f"{subject} {beats} {_differences(settled, names, unit)}")
    if open_:
        who = is_ahead if settled else f"{subject} {is_ahead}"
        seeds = f"not settled by {verdict.scores.shape[-1]} seeds: {_needed(verdict, open_[:MOST])} would"
        parts.append(f"{who} of {_differences(open_, names, unit)}, {seeds}")
    if lost:
        parts.append(f"of {', '.join(lost)} some run diverged")
    return "; ".join(parts)


def _differences(found: Sequence[Difference], names: Sequence[str], unit: str) -> str:
    """The first differences with their intervals, one after another; the unit only once."""
    texts = []
    for place, one in enumerate(found[:MOST]):
        difference, low, high = one.comparison[:3]
        digits = _decimals((high - low) / 2)
        written = f"{difference:.{digits}f}{'' if place else unit} [{low:.{digits}f}, {high:.{digits}f}]"
        texts.append(f"{names[one.other]} by {written}")
    more = len(found) - MOST
    if more > 0:
        texts.append(f"{more} {'other' if more == 1 else 'others'} by more")
    return _listed(texts)


def _needed(verdict: Verdict, found: Sequence[Difference]) -> str:
    """How many seeds would settle each of these differences."""
    best = verdict.scores[verdict.best]
    seeds = [
        statistics.seeds_to_settle(best - verdict.scores[one.other], verdict.confidence) for one in found
    ]
    listed = _listed(["more than 10,000" if count is None else f"{count:,}" for count in seeds])
    return listed if seeds[0] is None else f"some {listed}"


def _listed(texts: Sequence[str]) -> str:
    """One after another, with "and" before the last."""
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last


def _decimals(half: float) -> int:
    """How many decimals show an interval of this half width: its first digit, and at least one decimal."""
    return int(np.clip(-np.floor(np.log10(half)), 1, 6)) if half > 0 else 1
