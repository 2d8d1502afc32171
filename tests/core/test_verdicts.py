"""What is said of a grid of runs, against SciPy; and that equal values are told apart in at most 5 %."""

from typing import Any

import numpy as np
import scipy.stats

from jaxnaive import verdicts

RNG = np.random.default_rng(0)


def test_one_axis_is_paired_t_tests_with_the_level_divided_by_the_number_of_pairs():
    scores = np.array([0.0, 2.0, 1.9])[:, None] + RNG.normal(0, 3, 8) + RNG.normal(0, 0.3, (3, 8))
    verdict = verdicts.judge(scores, 0)
    assert verdict.best == 1 and [found.other for found in verdict.differences] == [2, 0]
    assert [found.is_settled for found in verdict.differences] == [False, True]
    for found in verdict.differences:
        test: Any = scipy.stats.ttest_rel(scores[1], scores[found.other])
        interval = test.confidence_interval(1 - 0.05 / 3)
        got = found.comparison.low, found.comparison.high
        np.testing.assert_allclose(got, (interval.low, interval.high), rtol=1e-9)


def test_a_value_is_judged_with_the_other_axes_at_their_best():
    scores = RNG.normal(0, 1, (3, 4, 2, 6))
    for axis in range(3):
        found = verdicts.at_their_best(scores, axis)
        rows = np.moveaxis(scores, axis, 0).reshape(scores.shape[axis], -1, 6)
        for row, got in zip(rows, found, strict=True):
            np.testing.assert_array_equal(got, row[np.argsort([run.sum() for run in row])[-1]])


def test_a_place_with_a_run_that_diverged_is_not_chosen():
    scores = np.zeros((2, 2, 4))
    scores[0, 0] = [9, 9, 9, np.nan]
    scores[1] = np.nan
    found = verdicts.at_their_best(scores, 0)
    assert found[0].tolist() == [0, 0, 0, 0] and np.isnan(found[1]).all()
    verdict = verdicts.judge(scores, 0)
    assert (verdict.best, verdict.differences) == (0, [])
    assert verdicts.judge(scores * np.nan, 1).best is None


def test_equal_values_are_told_apart_in_at_most_5_percent():
    """The other axes may matter as much as they like: the values are equal at each of their places."""
    shapes = [(2, 8), (2, 16), (4, 8), (2, 5, 8), (3, 3, 2, 8)]
    claims = {(shape, effect): 0 for shape in shapes for effect in (0.0, 0.5, 3.0)}
    rng = np.random.default_rng(0)
    for shape, effect in claims:
        for _ in range(200):
            others = effect * rng.normal(size=(1, *shape[1:-1], 1))
            scores = rng.normal(size=shape[-1]) + others + rng.normal(size=shape)
            claims[shape, effect] += any(found.is_settled for found in verdicts.judge(scores, 0).differences)
    assert sum(claims.values()) <= 0.05 * 200 * len(claims)
    assert max(claims.values()) <= scipy.stats.binom.ppf(0.999, 200, 0.05)


def test_a_large_difference_is_found():
    scores = np.array([0.0, 3.0])[:, None, None] + RNG.normal(0, 1, (2, 3, 12))
    (found,) = verdicts.judge(scores, 0).differences
    assert found.is_settled and abs(found.comparison.difference - 3) < 1


# --- words -------------------------------------------------------------------------------------------


def say(*rows):
    names = [f"v{place}" for place in range(len(rows))]
    verdict = verdicts.judge(np.array(rows, float), 0)
    best = "" if verdict.best is None else names[verdict.best]
    return verdicts.sentence(verdict, names, best, unit=" points")


ZIGZAG = np.array([1.0, -1.0] * 4)  # a paired difference of it has a standard deviation of 1.069


def test_a_sentence_says_what_is_settled_and_what_would_settle_the_rest():
    # By hand: 0.5 is 0.4677 standard deviations; a power of 0.8 takes 38 pairs (Cohen's table has 0.5: 34).
    assert say(0 * ZIGZAG, 0.5 + ZIGZAG) == (
        "v1 is ahead of v0 by 0.5 points [-0.4, 1.4], not settled by 8 seeds: some 38 would"
    )
    assert say(0 * ZIGZAG, 5 + ZIGZAG) == "v1 beats v0 by 5.0 points [4.1, 5.9]"
    assert say(0 * ZIGZAG, ZIGZAG).endswith("not settled by 8 seeds: more than 10,000 would")
    both = say(0 * ZIGZAG, 5 + ZIGZAG, 5 * np.ones(8))
    assert both.startswith("v1 beats v0 by 5.0 points [") and "; is ahead of v2 by 0.0 points [" in both


def test_a_long_list_is_cut_and_what_diverged_is_named():
    many = say(*(10 * place + 0.1 * ZIGZAG * (-1) ** place for place in range(6)))
    assert many.startswith("v5 beats v4 by 10.0 points [") and many.endswith("] and 2 others by more")
    alike = say(*np.random.default_rng(0).normal(size=(6, 8)))
    assert alike.count("[") == 3 and " and 2 others by more, not settled by" in alike
    lost = say(ZIGZAG, 9 + ZIGZAG, np.nan * ZIGZAG)
    assert lost.endswith("; of v2 some run diverged")
    assert say(ZIGZAG, np.nan * ZIGZAG) == "v0: the only one without a run that diverged"
    assert say(*[np.nan * ZIGZAG] * 2) == "no verdict: of every value some run diverged"


def test_intervals_have_as_many_digits_as_they_need():
    found = [verdicts._decimals(half) for half in (0.0, 30.0, 3.0, 0.3, 0.03, 0.0031)]
    assert found == [1, 1, 1, 1, 2, 3]
