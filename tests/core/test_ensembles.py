"""Many runs as one: the same as one by one, in any chunks, also beside a run that diverges."""

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_trees_close

from jaxnaive import ensembles, layers, losses, optimizers, training
from jaxnaive.batches import Examples

# One worker trains the grid, for all who look at it.
pytestmark = pytest.mark.xdist_group("ensembles")

KEYS = jax.random.split(jax.random.key(0), 3)
MODEL = layers.mlp(6, 8, 3)
GRID = {"learning_rate": [0.01, 0.1], "decay": [0.0, 0.5, 0.9]}
IMAGES = np.random.default_rng(0).random((50, 6)).astype(np.float32)
TOY = Examples(IMAGES, IMAGES[:, :3].argmax(axis=1).astype(np.int32))


def run(key, learning_rate=0.1, decay=0.9):
    recipe = training.Recipe(MODEL, optimizers.momentum(learning_rate, decay), batch_size=10)
    return ensembles.train_and_test(key, TOY, TOY, recipe, epochs=3)


alone = jax.jit(run)


@functools.cache
def runs_of_the_grid():
    return ensembles.sweep(run, KEYS, GRID)


def test_s88_a_grid_is_the_same_as_its_runs_one_by_one():
    runs = runs_of_the_grid()
    assert list(runs.axes) == ["learning_rate", "decay", "seed"]
    assert runs.results.loss.shape == (2, 3, 3, 3) and runs.results.metrics["accuracy"].shape == (2, 3, 3, 3)
    for i, rate in enumerate(GRID["learning_rate"]):
        for j, decay in enumerate(GRID["decay"]):
            for k, key in enumerate(KEYS):
                np.testing.assert_allclose(
                    runs.results.loss[i, j, k], alone(key, rate, decay).loss, rtol=1e-4
                )
    assert not runs.diverged.any()


def test_the_outcome_of_a_run_is_that_of_train_and_evaluate():
    outcome = alone(KEYS[0], 0.1, 0.9)
    recipe = training.Recipe(MODEL, optimizers.momentum(0.1), batch_size=10)
    params, history = training.train(KEYS[0], TOY, recipe, 3)
    np.testing.assert_allclose(outcome.loss, history.loss.mean(axis=1), rtol=1e-5)
    assert outcome.metrics["accuracy"][-1] == training.evaluate(params, TOY, recipe).accuracy


# --- chunks ------------------------------------------------------------------------------------------


def product(key, a, b):
    """It needs much more memory than it returns."""
    noise = jnp.sort(a * jax.random.uniform(key, (100,)))
    return {"product": a * b + noise[-1] / a * jnp.arange(3, dtype=jnp.float32)}


@pytest.mark.parametrize(
    ("memory", "cores", "seeds_and_points"),
    [(1000, 1, (1, 1)), (4000, 1, (1, 5)), (4000, 3, (1, 1)), (30_000, 1, (2, 15)), (10**9, 1, (5, 15))],
)
def test_chunks_change_nothing(memory, cores, seeds_and_points):
    keys, grid = jax.random.split(jax.random.key(1), 5), {"a": [1, 2, 3], "b": [5, 7, 11, 13, 17]}
    plan = ensembles.plan(product, keys, grid, memory=memory, cores=cores)
    assert {(len(chunk.seeds), len(chunk.points)) for chunk in plan.chunks} == {seeds_and_points}
    assert plan.calls_at_once <= cores
    assert plan.calls_at_once * plan.chunk_bytes <= memory
    assert len({chunk.name for chunk in plan.chunks}) == len(plan.chunks)
    done = [
        pair
        for chunk in plan.chunks
        for pair in itertools.product(
            chunk.seeds[: chunk.num_seeds].tolist(), chunk.points[: chunk.num_points].tolist()
        )
    ]
    assert sorted(done) == list(itertools.product(range(5), range(15)))  # each once
    program = ensembles.lowered(plan)
    parts, like = list(map(ensembles.compiled(plan, program), plan.chunks)), program.out_info
    assert {part["product"].shape for part in parts} == {like["product"].shape} == {(*seeds_and_points, 3)}
    found = ensembles.assemble(plan, parts).results["product"]
    noise = [np.asarray(jax.random.uniform(key, (100,))).max() * np.arange(3) for key in keys]
    expected = np.multiply.outer(grid["a"], grid["b"])[..., None, None] + np.array(noise)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    first = ensembles.first_seeds(plan, 3)
    found = ensembles.assemble(first, parts[: len(first.chunks)]).results["product"]
    np.testing.assert_allclose(found, expected[:, :, :3], rtol=1e-6)


@pytest.mark.parametrize("cores", [2, 8])
@pytest.mark.parametrize("seeds", [4, 16, 64, 256])
def test_the_seeds_are_cut_so_that_no_core_waits_for_the_others(seeds, cores, monkeypatch):
    needed, _ = ensembles.bytes_of_runs(product, ["a", "b"])
    of_a_seed = needed(2, 1) - needed(1, 1)
    monkeypatch.setattr(ensembles, "CPU_CHUNK_BYTES", 6 * of_a_seed)  # room for six of them in a chunk
    keys = jax.random.split(jax.random.key(0), seeds)
    plan = ensembles.plan(product, keys, {"a": [1], "b": [2]}, memory=10**9, cores=cores)
    runs = [0] * cores
    for chunk in plan.chunks:  # each goes to the core that is done first
        runs[runs.index(min(runs))] += len(chunk.seeds)
    assert max(runs) == math.ceil(seeds / cores) and len(plan.chunks[0].seeds) <= 6


def test_chunks_of_whole_trainings_change_nothing():
    needed, _ = ensembles.bytes_of_runs(run, GRID)
    memory = needed(1, 3)
    assert len(ensembles.plan(run, KEYS, GRID, memory=memory).chunks) >= 4
    runs = ensembles.sweep(run, KEYS, GRID, memory=memory)
    np.testing.assert_allclose(runs.results.loss, runs_of_the_grid().results.loss, rtol=1e-4)


def test_one_seed_is_a_run_like_others():
    one = ensembles.sweep(run, KEYS[:1], {"learning_rate": [0.1]})
    np.testing.assert_allclose(one.results.loss[0, 0], alone(KEYS[0], 0.1, 0.9).loss, rtol=1e-5)


def test_what_runs_share_is_the_same_as_what_they_close_over():
    def sharing(key, examples, learning_rate):
        recipe = training.Recipe(MODEL, optimizers.momentum(learning_rate), batch_size=10)
        return ensembles.train_and_test(key, examples, examples, recipe, epochs=3)

    shared = ensembles.sweep(sharing, KEYS, {"learning_rate": GRID["learning_rate"]}, (TOY,))
    closed = runs_of_the_grid().results.loss[:, GRID["decay"].index(0.9)]
    np.testing.assert_allclose(shared.results.loss, closed, rtol=1e-5)


def test_the_estimate_holds_the_largest_values_and_grows_with_the_network():
    def needs(hidden):
        recipe = training.Recipe(layers.mlp(6, hidden, 3), optimizers.adam(0.1), batch_size=10)
        needed, returned = ensembles.bytes_of_runs(
            lambda key: training.train(key, TOY, recipe, 1)[1].loss, []
        )
        return needed(1, 1), returned

    small, large = needs(100), needs(10_000)
    params = 4 * (7 * 10_000 + 3 * 10_001)
    assert 4 * params < large[0] < 16 * params  # parameters, two moments, gradients, and their successors
    assert large[0] > 20 * small[0]
    assert small[1] == large[1] == 4 * 5


@pytest.mark.parametrize(("hidden", "seeds", "points"), [(32, 1, 8), (128, 4, 1), (512, 2, 2)])
def test_the_estimate_is_near_what_the_compiler_allots(hidden, seeds, points):
    def whole(key, train, test, learning_rate):
        recipe = training.Recipe(layers.mlp(64, hidden, 10), optimizers.adam(learning_rate))
        return ensembles.train_and_test(key, train, test, recipe, epochs=2)

    shared = [Examples(jnp.ones((count, 64)), jnp.zeros(count, jnp.int32)) for count in (2000, 500)]
    needed, returned = ensembles.bytes_of_runs(whole, ["learning_rate"], shared)
    assert returned == 2 * 4 + 2 * 4  # loss and accuracy after each epoch
    keys = jax.random.split(KEYS[0], seeds)
    plan = ensembles.plan(whole, keys, {"learning_rate": np.ones(points)}, shared)
    plan = plan._replace(chunks=[plan.chunks[0]._replace(seeds=np.arange(seeds), points=np.arange(points))])
    allotted: Any = ensembles.lowered(plan).compile().memory_analysis()
    ratio = needed(seeds, points) / (allotted.temp_size_in_bytes + allotted.output_size_in_bytes)
    assert 1 / 1.5 < ratio < 1.5


# --- runs beside others ------------------------------------------------------------------------------


def losses_of_a_run(key, learning_rate):
    recipe = training.Recipe(MODEL, optimizers.momentum(learning_rate), batch_size=10)
    return training.train(key, TOY, recipe, 3)[1].loss


@functools.cache
def runs_at(*rates):
    return ensembles.sweep(losses_of_a_run, KEYS[jnp.array([0, 1, 1])], {"learning_rate": rates})


@pytest.mark.optimise  # the bits of the program that a user has
def test_equal_seeds_are_equal_runs():
    loss = runs_at(0.01, 0.1, 0.3).results
    np.testing.assert_array_equal(loss[:, 1], loss[:, 2])
    assert (loss[:, 0] != loss[:, 1]).any()


@pytest.mark.optimise
def test_s54_a_run_that_diverges_is_reported_and_the_others_are_the_same_bit_for_bit():
    well, wild = runs_at(0.01, 0.1, 0.3), runs_at(0.01, 1e30, 0.3)
    assert wild.diverged.tolist() == [[False] * 3, [True] * 3, [False] * 3]
    assert not well.diverged.any()
    for beside in (0, 2):
        np.testing.assert_array_equal(wild.results[beside], well.results[beside])


def test_runs_share_the_order_of_the_batches_when_asked_to():
    recipe = training.Recipe(MODEL, optimizers.sgd(0.1), batch_size=10)
    still = recipe._replace(model=layers.Layer(lambda key: MODEL.init(jax.random.key(7)), MODEL.forward))
    own, shared = (
        ensembles.sweep(
            lambda key, order=order: training.train_epoch(training.start(key, still, order), TOY, still)[1],
            KEYS,
        ).results
        for order in (None, jax.random.key(3))
    )
    assert np.ptp(shared, axis=0).max() == 0  # same parameters, same batches
    assert np.ptp(own, axis=0).min() > 0


def test_s56_metrics_are_what_the_recipe_names():
    recipe = training.Recipe(
        MODEL, optimizers.sgd(0.1), batch_size=10, metrics=(losses.accuracy, losses.confusion)
    )
    outcome = jax.jit(lambda key: ensembles.train_and_test(key, TOY, TOY, recipe, 2))(KEYS[0])
    assert outcome.metrics["confusion"].shape == (2, 3, 3)
    right = jnp.trace(outcome.metrics["confusion"], axis1=1, axis2=2)
    np.testing.assert_allclose(right / 50, outcome.metrics["accuracy"], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ensembles.sweep(run, KEYS, {"learning_rate": []}), r"learning_rate: got shape \(0,\)"),
        (lambda: ensembles.sweep(run, KEYS[:0]), r"keys: got shape \(0,\)"),
        (lambda: ensembles.sweep(run, KEYS[0]), r"keys: got shape \(\)"),
        (lambda: ensembles.sweep(run, KEYS, {}, memory=1000), "a run needs about .* bytes, more than"),
        (lambda: ensembles.sweep(lambda key: jnp.zeros(10**5), KEYS, memory=10**6), "results of all"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_compiled(call, message, as_a_user, monkeypatch):
    monkeypatch.setattr(jax, "jit", None)
    with pytest.raises(ValueError, match=message):
        call()


# --- stopping early ----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [[3.0, 2.0, 1.0, 0.5], [3.0, 0.1, 5.0, 0.2]])
@pytest.mark.parametrize("validation", [[4.0, 3.0, 3.5, 3.2], [1.0, 2.0, 3.0, 0.5], [4.0, 3.0, 2.0, 2.0]])
@pytest.mark.parametrize("stop_at_loss", [0.0, 0.3, 1.5])
@pytest.mark.parametrize("patience", [None, 1, 2, 9])
def test_the_kept_epoch_is_that_of_a_loop_that_stops(loss, validation, stop_at_loss, patience):
    best = 0
    for epoch in range(4):
        best = min(range(epoch + 1), key=validation.__getitem__)
        if loss[epoch] < stop_at_loss or (patience and epoch - best >= patience):
            break
    outcome = ensembles.Outcome(np.array([loss]), {}, np.array([validation]))
    assert ensembles.kept_epoch(outcome, stop_at_loss, patience).tolist() == [best if patience else epoch]


def test_the_validation_loss_of_an_outcome_is_that_of_evaluate():
    recipe = training.Recipe(MODEL, optimizers.sgd(0.1), batch_size=10)
    held_out = Examples(IMAGES[:20], TOY.labels[:20])
    outcome = jax.jit(lambda key: ensembles.train_and_test(key, TOY, TOY, recipe, 2, validation=held_out))(
        KEYS[0]
    )
    params, _ = training.train(KEYS[0], TOY, recipe, 2)
    np.testing.assert_allclose(
        outcome.validation[-1], training.evaluate(params, held_out, recipe).loss, rtol=1e-5
    )


def test_a_sweep_without_jit_is_one_program_all_the_same():
    expected = ensembles.sweep(run, KEYS[:1], {"learning_rate": [0.1]})
    with jax.disable_jit():
        got = ensembles.sweep(run, KEYS[:1], {"learning_rate": [0.1]})
    assert_trees_close(got, expected)
