"""Many runs as one: the same as one by one, also beside a run that diverges; and what their spread says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxnaive import ensembles, layers, losses, optimizers, statistics, training

KEYS = jax.random.split(jax.random.key(0), 3)
MODEL = layers.mlp(6, 8, 3)


@pytest.fixture
def run(toy):
    train = jax.tree.map(jnp.asarray, toy)

    def run(key, learning_rate=0.1, decay=0.9):
        recipe = training.Recipe(MODEL, optimizers.momentum(learning_rate, decay), batch_size=10)
        return ensembles.train_and_test(key, train, train, recipe, epochs=3)

    return run


def test_s88_a_grid_is_the_same_as_its_runs_one_by_one(run):
    grid = {"learning_rate": [0.01, 0.1], "decay": [0.0, 0.5, 0.9]}
    runs = ensembles.sweep(run, KEYS, grid)
    assert list(runs.axes) == ["learning_rate", "decay", "seed"]
    assert runs.results.loss.shape == (2, 3, 3, 3) and runs.results.metrics["accuracy"].shape == (2, 3, 3, 3)
    for i, rate in enumerate(grid["learning_rate"]):
        for j, decay in enumerate(grid["decay"]):
            for k, key in enumerate(KEYS):
                alone = jax.jit(run)(key, rate, decay)
                np.testing.assert_allclose(runs.results.loss[i, j, k], alone.loss, rtol=1e-4)
    assert not runs.diverged.any()


def test_the_outcome_of_a_run_is_that_of_train_and_evaluate(run, toy):
    outcome = run(KEYS[0])
    recipe = training.Recipe(MODEL, optimizers.momentum(0.1), batch_size=10)
    params, history = training.train(KEYS[0], toy, recipe, 3)
    np.testing.assert_allclose(outcome.loss, history.loss.mean(axis=1), rtol=1e-5)
    assert outcome.metrics["accuracy"][-1] == training.evaluate(params, toy, recipe).accuracy


@pytest.mark.parametrize("memory", [40_000, 90_000, 200_000, 10**9])
def test_chunks_change_nothing(run, memory):
    grid = {"learning_rate": [0.01, 0.03, 0.1, 0.3, 0.5]}
    chunks = []

    def progress(starts):
        chunks.extend(starts)
        return starts

    whole = ensembles.sweep(run, KEYS, grid)
    runs = ensembles.sweep(run, KEYS, grid, memory=memory, progress=progress)
    needed, _ = ensembles.bytes_of_a_run(run, grid)
    assert len(chunks) >= np.ceil(15 / (memory // needed))
    np.testing.assert_allclose(runs.results.loss, whole.results.loss, rtol=1e-4)


def test_one_seed_and_equal_seeds_are_runs_like_others(run):
    one = ensembles.sweep(run, KEYS[:1], {"learning_rate": [0.1]})
    np.testing.assert_allclose(one.results.loss[0, 0], jax.jit(run)(KEYS[0], 0.1).loss, rtol=1e-5)
    equal = ensembles.sweep(run, KEYS[jnp.array([1, 1])])
    np.testing.assert_array_equal(equal.results.loss[0], equal.results.loss[1])


def test_what_runs_share_is_the_same_as_what_they_close_over(run, toy):
    def sharing(key, examples, learning_rate):
        recipe = training.Recipe(MODEL, optimizers.momentum(learning_rate), batch_size=10)
        return ensembles.train_and_test(key, examples, examples, recipe, epochs=3)

    grid = {"learning_rate": [0.01, 0.1]}
    closed, shared = ensembles.sweep(run, KEYS, grid), ensembles.sweep(sharing, KEYS, grid, (toy,))
    np.testing.assert_allclose(shared.results.loss, closed.results.loss, rtol=1e-5)


def test_what_is_remembered_is_not_done_again(run):
    grid = {"learning_rate": [0.01, 0.03, 0.1, 0.3, 0.5]}
    kept, computed = {}, []

    def remember(name, compute, like):
        if name not in kept:
            computed.append(name)
            kept[name] = compute()
        assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), kept[name]) == jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), like
        )
        return kept[name]

    whole = ensembles.sweep(run, KEYS, grid, memory=90_000, remember=remember)
    assert len(computed) > 2
    for name in computed[1:]:
        del kept[name]
    first, *rest = computed
    kept[first] = jax.tree.map(lambda leaf: leaf + 1, kept[first])
    computed.clear()
    again = ensembles.sweep(run, KEYS, grid, memory=90_000, remember=remember)
    assert sorted(computed) == sorted(rest)
    differs = again.results.loss[..., 0] != whole.results.loss[..., 0]
    assert (
        0 < differs.sum() < differs.size and np.ptp((again.results.loss - whole.results.loss)[differs]) < 1e-5
    )


def test_a_sweep_that_is_interrupted_does_not_start_the_chunks_that_wait(run):
    started = []

    def interrupted(chunks):
        started.extend(chunks)
        raise KeyboardInterrupt

    keys = jax.random.split(jax.random.key(0), 64)
    with pytest.raises(KeyboardInterrupt):
        ensembles.sweep(run, keys, {"learning_rate": [0.1] * 64}, memory=100_000, progress=interrupted)
    assert sum(chunk.cancelled() for chunk in started) > len(started) / 2


def test_the_estimate_holds_the_largest_values_and_grows_with_the_network(toy):
    def needs(hidden):
        recipe = training.Recipe(layers.mlp(6, hidden, 3), optimizers.adam(0.1), batch_size=10)
        return ensembles.bytes_of_a_run(lambda key: training.train(key, toy, recipe, 1)[1].loss, [])

    small, large = needs(100), needs(10_000)
    params = 4 * (7 * 10_000 + 3 * 10_001)
    assert 4 * params < large[0] < 16 * params  # parameters, two moments, gradients, and their successors
    assert large[0] > 20 * small[0]
    assert small[1] == large[1] == 4 * 5


def test_s54_a_run_that_diverges_is_reported_and_the_others_are_the_same_bit_for_bit(run):
    rates = [0.01, 0.1, 0.3]
    well = ensembles.sweep(run, KEYS, {"learning_rate": rates})
    wild = ensembles.sweep(run, KEYS, {"learning_rate": [0.01, 1e30, 0.3]})
    assert wild.diverged.tolist() == [[False] * 3, [True] * 3, [False] * 3]
    assert not well.diverged.any()
    for kept in (0, 2):
        np.testing.assert_array_equal(wild.results.loss[kept], well.results.loss[kept])


def test_runs_share_the_order_of_the_batches_when_asked_to(toy):
    recipe = training.Recipe(MODEL, optimizers.sgd(0.1), batch_size=10)
    still = recipe._replace(model=layers.Layer(lambda key: MODEL.init(jax.random.key(7)), MODEL.forward))
    alone, shared = (
        ensembles.sweep(
            lambda key, order=order: training.train_epoch(training.start(key, still, order), toy, still)[1],
            KEYS,
        ).results
        for order in (None, jax.random.key(3))
    )
    assert np.ptp(shared, axis=0).max() == 0  # same parameters, same batches
    assert np.ptp(alone, axis=0).min() > 0


def test_s56_metrics_are_what_the_recipe_names(toy):
    recipe = training.Recipe(
        MODEL, optimizers.sgd(0.1), batch_size=10, metrics=(losses.accuracy, losses.confusion)
    )
    outcome = ensembles.train_and_test(KEYS[0], toy, toy, recipe, 2)
    assert outcome.metrics["confusion"].shape == (2, 3, 3)
    right = jnp.trace(outcome.metrics["confusion"], axis1=1, axis2=2)
    np.testing.assert_allclose(right / 50, outcome.metrics["accuracy"], rtol=1e-6)


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
        (lambda run: ensembles.sweep(run, KEYS, {"learning_rate": []}), r"learning_rate: got shape \(0,\)"),
        (lambda run: ensembles.sweep(run, KEYS[:0]), r"keys: got shape \(0,\)"),
        (lambda run: ensembles.sweep(run, KEYS[0]), r"keys: got shape \(\)"),
        (lambda run: ensembles.sweep(run, KEYS, {}, memory=1000), "a run needs about .* bytes, more than"),
        (lambda run: ensembles.sweep(lambda key: jnp.zeros(10**5), KEYS, memory=10**6), "results of all"),
        (lambda run: statistics.summarise([1.0]), "seeds: got 1, expected 2 or more"),
        (lambda run: statistics.compare([1.0, 2.0], [1.0]), r"got shapes \(2,\) and \(1,\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_compiled(run, call, message, as_a_user, monkeypatch):
    monkeypatch.setattr(jax, "jit", None)
    with pytest.raises(ValueError, match=message):
        call(run)
