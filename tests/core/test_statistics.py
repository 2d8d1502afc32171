"""What the spread of many runs says, against SciPy."""

import numpy as np
import pytest
import scipy.stats

from jaxnaive import statistics


def test_the_interval_is_students():
    values = np.random.default_rng(0).normal(5, 2, (4, 16))
    summary = statistics.summarise(values)
    low, high = scipy.stats.t.interval(0.95, 15, values.mean(1), scipy.stats.sem(values, axis=1))
    np.testing.assert_allclose(summary.mean, values.mean(1))
    np.testing.assert_allclose(summary.sd, np.std(values, axis=1, ddof=1))
    np.testing.assert_allclose((summary.low, summary.high), (low, high), rtol=1e-10)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    values = np.random.default_rng(1).normal(5, 2, (4000, 8))
    summary = statistics.summarise(values, confidence=0.9)
    assert abs(np.mean((summary.low < 5) & (summary.high > 5)) - 0.9) < 0.015


def test_a_paired_comparison_is_scipys():
    rng = np.random.default_rng(0)
    seed, ours = rng.normal(0, 5, 12), rng.normal(0.5, 1, 12)
    got = statistics.compare(seed + ours, seed)
    expected = scipy.stats.ttest_rel(seed + ours, seed)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(got, (ours.mean(), interval.low, interval.high, expected.pvalue), rtol=1e-9)
    assert statistics.compare([1.0, 2.0], [1.0, 2.0]) == (0, 0, 0, 1)
    assert statistics.compare([2.0, 3.0], [1.0, 2.0]).p_value == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: statistics.summarise([1.0]), "seeds: got 1, expected 2 or more"),
        (lambda: statistics.summarise(np.ones((1, 5)), axis=0), "seeds: got 1, expected 2 or more"),
        (lambda: statistics.compare([1.0, 2.0], [1.0]), r"got shapes \(2,\) and \(1,\)"),
        (lambda: statistics.compare(np.ones((2, 2)), np.ones((2, 2))), r"got shapes \(2, 2\) and \(2, 2\)"),
        (lambda: statistics.compare([1.0], [2.0]), "seeds: got 1, expected 2 or more"),
    ],
)
def test_what_has_no_spread_is_refused(call, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        call()


def test_holm_s_correction_is_that_of_a_worked_example():
    # Three of four tests are significant at 0.05 alone; with Holm's method one is.
    np.testing.assert_allclose(statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(statistics.holm([0.5, 0.9]), [1, 1])
    assert statistics.holm([0.2]) == [0.2]


def test_holm_s_correction_claims_a_difference_of_equal_recipes_in_at_most_5_percent():
    rng = np.random.default_rng(0)
    claims = 0
    for _ in range(400):
        runs = rng.normal(size=(4, 16))  # four recipes that do not differ
        pairs = [(a, b) for a in range(4) for b in range(a)]
        claims += (
            statistics.holm([statistics.compare(runs[a], runs[b]).p_value for a, b in pairs]).min() < 0.05
        )
    assert claims <= 400 * 0.05 + 2 * np.sqrt(400 * 0.05 * 0.95)


def test_groups_are_the_stretches_in_which_nothing_differs():
    differ = np.zeros((5, 5), bool)
    differ[0, 2:] = differ[1, 3:] = True
    differ |= differ.T
    assert statistics.groups(differ) == [range(0, 2), range(1, 3), range(2, 5)]
    assert statistics.groups(np.zeros((3, 3), bool)) == [range(3)]
    assert statistics.groups(~np.eye(3, dtype=bool)) == [range(1), range(1, 2), range(2, 3)]


def differences(effect, seeds=4):
    """With a standard deviation of 1 and this mean."""
    values = np.arange(float(seeds))
    return effect + (values - values.mean()) / values.std(ddof=1)


@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_the_seeds_to_settle_a_difference_are_cohens(effect, seeds):
    """His table for paired samples, 5 %, both sides, power 0.8: small, medium and large effects."""
    for sign in (1, -1):
        assert statistics.seeds_to_settle(sign * differences(effect)) == seeds


def test_the_seeds_to_settle_have_the_power_that_they_promise():
    seeds = statistics.seeds_to_settle(differences(0.9), confidence=0.99, power=0.7) or 0
    values = np.random.default_rng(0).normal(0.9, 1, (20_000, seeds))
    summary = statistics.summarise(values, confidence=0.99)
    assert 0.7 - 0.01 < np.mean(summary.low > 0) < 0.75


def test_a_difference_that_no_number_of_seeds_settles():
    assert statistics.seeds_to_settle(differences(0.001)) is None
    assert statistics.seeds_to_settle([0.0, 0.0]) is None
    assert statistics.seeds_to_settle([1.0, 1.0]) == 2
