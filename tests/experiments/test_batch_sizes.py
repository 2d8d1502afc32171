"""Optimizers compared over batch sizes: row S58."""

import contextlib
import io
import re

import numpy as np
import pytest
from scipy import stats

from experiments import batch_sizes as experiment
from jaxnaive import command

SIZES = (1, 4, 16, 64, 256, 1024, 4096)


@pytest.mark.xdist_group("batch sizes compared")
def test_s58_momentum_helps_with_large_batches(tmp_path):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        options = experiment.Options(
            "digits",
            hidden=(16,),
            optimizer=("sgd", "nesterov"),
            batch_size=(512, 16),
            epochs=4,
            updates=60,
            seeds=4,
            target=0.8,
            out=tmp_path,
        )
        result = experiment.main(options)
    assert result.rates["sgd"].shape == (2,) and result.rates["sgd"][0] < result.rates["sgd"][1]
    assert np.isfinite(result.epochs["nesterov"]).all()
    assert result.against_first[512, "nesterov"].high < 1  # fewer epochs than sgd, at all seeds the same way
    assert (tmp_path / "batch_sizes.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert re.search(r"\n +512  nesterov .*, p = 0\.\d+\n", printed.getvalue())


def test_the_critical_batch_size_takes_twice_the_examples_of_the_best():
    sizes = range(1, 1001)
    epochs = (
        5 * (1 + np.array(sizes)[:, None] / 200) * np.array([0.5, 2.0])
    )  # the law of McCandlish et al., 2018
    assert experiment.critical_batch_size(sizes, epochs) == pytest.approx(202, rel=1e-3)
    assert experiment.critical_batch_size(sizes[:201], epochs[:201]) == np.inf
    rough = experiment.critical_batch_size(SIZES, 5 * (1 + np.array(SIZES)[:, None] / 200) * np.ones(2))
    assert rough == pytest.approx(200, rel=0.1)
    assert experiment.critical_batch_size((1, 2), np.array([[9.0, 4.0], [np.inf, 1.0]])) == np.inf


def test_the_interval_of_the_critical_batch_size_has_the_spread_of_its_seeds():
    rng = np.random.default_rng(1)
    law = 5 * (1 + np.array(SIZES)[:, None] / 200)
    size, low, high = experiment.critical_interval(SIZES, law * np.exp(0.1 * rng.normal(size=(7, 16))))
    wide = experiment.critical_interval(SIZES, law * np.exp(0.4 * rng.normal(size=(7, 16))))
    assert low < size < high and low < 200 < high and wide[2] / wide[1] > high / low > 1.05


def test_a_rate_is_better_if_its_runs_reach_the_target_sooner_or_come_closer():
    curves = np.array([[0.5, 0.9, 0.95, 0], [0.8, 0.95, 0, 0], [0.1, 0.2, 0.3, 0], [0.1, 0.5, 0.2, 0]])
    scores = experiment.soonest(curves, 0.92, most=3)
    np.testing.assert_allclose(scores[:, 0], [-2.4, -1.8, -3.62, -3.42])


def test_ratios_are_paired_and_corrected_for_all_comparisons():
    rng = np.random.default_rng(0)
    first = np.exp(rng.normal(size=(2, 8)))
    others = first * np.array([[0.5], [0.9]]) * np.exp(0.1 * rng.normal(size=(2, 8)))
    options = experiment.Options(optimizer=("sgd", "adam"), batch_size=(8, 64))
    found = experiment.compare(options, {"sgd": first, "adam": others})
    p_values = [stats.ttest_rel(np.log(a), np.log(b)).pvalue for a, b in zip(others, first, strict=True)]
    assert min(p_values) == p_values[0]
    expected = [2 * p_values[0], max(2 * p_values[0], p_values[1])]
    np.testing.assert_allclose([found[size, "adam"].p_value for size in (8, 64)], expected)
    np.testing.assert_allclose(
        [found[size, "adam"].difference for size in (8, 64)],
        stats.gmean(others, axis=1) / stats.gmean(first, axis=1),
    )
    others[1, 0] = np.inf  # a run that never reaches the target: nothing to compare there
    assert list(experiment.compare(options, {"sgd": first, "adam": others})) == [(8, "adam")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": (8, 8)}, "number of batch sizes: got 1, expected 2"),
        ({"batch_size": (8, 0)}, "batch size: got 0"),
        ({"optimizer": ("sgd", "sdg")}, "optimizer: got 'sdg'"),
        ({"seeds": 1}, "seeds: got 1"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(tmp_path, changes, message):
    with pytest.raises(command.UsageError, match=message):
        experiment.main(experiment.Options("digits", out=tmp_path, **changes))
    assert not list(tmp_path.glob("*"))
