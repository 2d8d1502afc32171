"""What the spread of many runs says: means with confidence intervals, and paired comparisons."""

import bisect
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

Numbers = Array | np.ndarray | Sequence[float | int]


class Summary(NamedTuple):
    """Mean, standard deviation and confidence interval over seeds."""

    mean: Float[np.ndarray, "*axes"]
    sd: Float[np.ndarray, "*axes"]  # of a single run, with n - 1 in the divisor
    low: Float[np.ndarray, "*axes"]  # of the confidence interval of the mean
    high: Float[np.ndarray, "*axes"]


class Comparison(NamedTuple):
    """The mean difference of two recipes, seed by seed, and its confidence interval."""

    difference: float
    low: float
    high: float
    p_value: float  # probability of a difference at least this large if the recipes do not differ


def summarise(values: Numbers, axis: int = -1, confidence: float = 0.95) -> Summary:
    """Mean, standard deviation and confidence interval of the mean.

    Args:
      values: one a run.
      axis: along which the runs differ by their seed alone.
      confidence: how often such an interval holds the true mean, if the values are normally distributed.

    Raises:
      ValueError: fewer than two runs, which have no spread.

    Source: Student, "The probable error of a mean", 1908.
    """
    from scipy import stats  # takes half a second

    values = np.asarray(values, np.float64)
    n = values.shape[axis]
    if n < 2:
        raise ValueError(f"seeds: got {n}, expected 2 or more: one run has no spread")
    mean, sd = values.mean(axis), values.std(axis, ddof=1)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * sd / math.sqrt(n)
    return Summary(mean, sd, mean - half, mean + half)


def compare(ours: Numbers, theirs: Numbers, confidence: float = 0.95) -> Comparison:
    """``ours - theirs`` for runs that share seeds: a paired t-test, in which the seed's effect cancels.

    Args:
      ours: ``[seeds]``, of one recipe.
      theirs: ``[seeds]``, of the other, in the same order.
      confidence: of the interval.

    Raises:
      ValueError: not two lists of one length, of two or more.

    Source: Student, "The probable error of a mean", 1908; example I is such a comparison.
    """
    from scipy import stats

    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.ndim != 1 or ours.shape != theirs.shape:
        raise ValueError(f"runs to compare: got shapes {ours.shape} and {theirs.shape}, expected one length")
    mean, sd, low, high = summarise(ours - theirs, confidence=confidence)
    if not sd:  # the t statistic is 0 / 0, or infinite
        return Comparison(float(mean), float(low), float(high), 0.0 if mean else 1.0)
    p_value = stats.ttest_rel(ours, theirs).pvalue
    return Comparison(float(mean), float(low), float(high), float(p_value))


def seeds_to_settle(
    differences: Numbers, confidence: float = 0.95, power: float = 0.8, most: int = 10_000
) -> int | None:
    """How many seeds would show a difference, if it is as large, and varies as much, as in these runs.

    Args:
      differences: of two recipes, one a seed.
      confidence: of the interval that is not to hold 0.
      power: how often so many seeds show it.
      most: more are not tried.

    Returns:
      The least such number, or ``None`` if it is larger than ``most``.

    Source: J. Cohen, "Statistical power analysis for the behavioral sciences", 1988, chapter 2.
    """
    from scipy import stats

    mean, sd, _, _ = summarise(differences)
    if not sd:
        return 2 if mean else None

    def is_enough(seeds: int) -> bool:
        least = stats.t.ppf((1 + confidence) / 2, seeds - 1)  # that the t statistic has to be
        return bool(stats.nct.sf(least, seeds - 1, abs(mean) / sd * math.sqrt(seeds)) >= power)

    found = bisect.bisect_left(range(most + 1), True, lo=2, key=is_enough)
    return found if found <= most else None


def holm(p_values: Numbers) -> np.ndarray:
    """The p-values of several comparisons, corrected for their number.

    The smallest is multiplied by how many there are, the next by one less, and so on; none becomes smaller
    than one before it. If no two recipes differ, some corrected value is below 0.05 in at most 5 % of cases.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.maximum.accumulate(np.minimum(p_values[order] * factors, 1))
    return corrected[np.argsort(order)]


def groups(differ: np.ndarray) -> list[range]:
    """Stretches of a ranking within which no two can be told apart, each as long as possible.

    Args:
      differ: ``[n, n]``, whether two places of the ranking differ.

    >>> groups(np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], bool))
    [range(0, 2), range(1, 3)]
    """
    stretches: list[range] = []
    for start in range(len(differ)):
        end = start + 1
        while end < len(differ) and not differ[start : end + 1, start : end + 1].any():
            end += 1
        if not stretches or end > stretches[-1].stop:
            stretches.append(range(start, end))
    return stretches
