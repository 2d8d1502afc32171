"""A sweep on disk: the results of the plain one, kept chunk by chunk."""

import itertools
import os
import signal
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import ensembles, runs
from jaxnaive.runs import sweeps

KEYS = jax.random.split(jax.random.key(0), 5)
GRID = {"a": [1.0, 2.0, 3.0], "b": [0.5, 4.0]}


def run(key, scale, a, b):
    return {"sum": scale * (a * b + jnp.sort(jax.random.uniform(key, (3,))))}


@pytest.fixture
def small_chunks(monkeypatch):
    """A few runs a chunk, two chunks at a time."""
    needed, _ = ensembles.bytes_of_runs(run, GRID, (jnp.float32(2),))
    monkeypatch.setattr(ensembles, "CPU_CHUNK_BYTES", 4 * (needed(1, 2) - needed(1, 1)))
    monkeypatch.setattr(sweeps, "cpu_count", lambda: 2)


def swept(folder):
    with runs.open(folder, {"grid": "of this test"}) as disk_run:
        return sweeps.sweep(disk_run, "part", run, KEYS, GRID, (jnp.float32(2),))


def test_it_is_the_sweep_without_a_disk_and_computes_nothing_twice(tmp_path, small_chunks, monkeypatch):
    expected = ensembles.sweep(run, KEYS, GRID, (jnp.float32(2),))
    first = swept(tmp_path)
    files = list(tmp_path.glob("parts/part/*.safetensors"))
    assert len(files) == len(sweeps.plan(run, KEYS, GRID, (jnp.float32(2),)).chunks) > 4
    monkeypatch.setattr(ensembles, "compiled", lambda *_: pytest.fail())
    for found in (first, swept(tmp_path)):
        assert list(found.axes) == ["a", "b", "seed"] and found.results["sum"].shape == (3, 2, 5, 3)
        np.testing.assert_allclose(found.results["sum"], expected.results["sum"], rtol=1e-6)
        assert not found.diverged.any()


def test_a_signal_keeps_the_chunks_that_are_done(tmp_path, small_chunks, monkeypatch):
    compiled, calls = ensembles.compiled, []

    def stopping(*program):
        compute = compiled(*program)

        def computed(chunk):
            calls.append(chunk.name)
            if len(calls) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return compute(chunk)

        return computed

    monkeypatch.setattr(ensembles, "compiled", stopping)
    with pytest.raises(runs.Stopped):
        swept(tmp_path)
    done = {path.stem for path in tmp_path.glob("parts/part/*.safetensors")}
    assert done and done <= {*calls}
    calls[:] = ["no signal any more"] * 3
    found = swept(tmp_path)
    assert not done & {*calls}
    expected = ensembles.sweep(run, KEYS, GRID, (jnp.float32(2),))
    np.testing.assert_allclose(found.results["sum"], expected.results["sum"], rtol=1e-6)


def test_an_interrupted_sweep_does_not_start_the_chunks_that_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(ensembles, "CPU_CHUNK_BYTES", 1)  # a chunk for each run
    waiting = []

    def interrupted(futures):
        waiting.extend(futures)
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeps, "as_completed", interrupted)
    keys, grid = jax.random.split(jax.random.key(0), 32), {"a": [1.0] * 32, "b": [2.0]}
    with pytest.raises(KeyboardInterrupt), runs.open(tmp_path, {"grid": "of this test"}) as disk_run:
        sweeps.sweep(disk_run, "part", run, keys, grid, (jnp.float32(2),))
    assert len(waiting) == 32 * 32
    assert sum(chunk.cancelled() for chunk in waiting) > len(waiting) / 2


def test_an_interrupted_sweep_does_not_wait_for_what_is_being_computed(tmp_path, small_chunks, monkeypatch):
    begun, enough = threading.Event(), threading.Event()

    def interrupted(futures):
        begun.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeps, "as_completed", interrupted)
    monkeypatch.setattr(ensembles, "compiled", lambda *_: lambda _: begun.set() or (enough.wait(10) and {}))
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path)
    assert time.perf_counter() - start < 5
    enough.set()


# --- several programs --------------------------------------------------------------------------------


def doubled(key, scale, a):
    return {"twice": 2 * a + jax.random.uniform(key)}


def plans():
    return {
        "first": sweeps.plan(run, KEYS, GRID, (jnp.float32(2),)),
        "second": sweeps.plan(doubled, KEYS, {"a": [1.0, 2.0]}, (jnp.float32(2),)),
    }


def test_several_programs_side_by_side_are_each_of_them_alone(tmp_path, small_chunks, capfd):
    with runs.open(tmp_path, {"grid": "of this test"}) as disk_run:
        found = sweeps.carry_out(disk_run, plans())
    expected = ensembles.sweep(run, KEYS, GRID, (jnp.float32(2),))
    np.testing.assert_allclose(found["first"].results["sum"], expected.results["sum"], rtol=1e-6)
    noise = [float(jax.random.uniform(key)) for key in KEYS]
    twice = np.array([[2.0], [4.0]]) + np.array(noise)
    np.testing.assert_allclose(found["second"].results["twice"], twice, rtol=1e-6)
    bar = capfd.readouterr().err
    assert "2 programs" in bar and "40/40" in bar and "2 of 2 compiled" in bar


def test_when_the_time_is_over_all_programs_have_the_same_first_seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(ensembles, "CPU_CHUNK_BYTES", 1)  # a chunk for each run
    monkeypatch.setattr(sweeps, "cpu_count", lambda: 1)
    clock = itertools.count()
    monkeypatch.setattr(sweeps, "monotonic", lambda: next(clock))
    with runs.open(tmp_path, {"grid": "of this test"}) as disk_run:
        found = sweeps.carry_out(disk_run, plans(), 20.5)  # of 5 seeds of 6 + 2 runs
        assert {name: list(part.axes["seed"]) for name, part in found.items()} == {
            "first": [0, 1],
            "second": [0, 1],
        }
        assert sweeps.carry_out(disk_run, plans(), 0.5) == {}
        whole = sweeps.carry_out(disk_run, plans())
    assert not any(part.diverged.any() for part in found.values())
    np.testing.assert_array_equal(found["first"].results["sum"], whole["first"].results["sum"][:, :, :2])
    np.testing.assert_array_equal(found["second"].results["twice"], whole["second"].results["twice"][:, :2])
