"""Checkpoints and parameters on disk: bit for bit as they were saved, and what is refused."""

import json
import os
import pickle
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from conftest import assert_trees_close

from jaxnaive import job, layers, training
from jaxnaive.disk import checkpoints, files

GOLDEN = Path(__file__).parent.parent / "golden"
MODEL, SMALL = layers.mlp(64, 32, 10), layers.mlp(6, 4, 3)
STATE = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.int32(7)}
ABOUT = {"epoch": 3, "config": {"name": 'a "quoted" \\ name', "sha256": "0" * 64}}


def random_params(model, seed):
    rng, shapes = np.random.default_rng(seed), jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shapes)


PARAMS = random_params(MODEL, 0)


# --- parameters alone --------------------------------------------------------------------------------


def test_s45_saved_and_loaded_parameters_predict_the_same_bit_for_bit(tmp_path, digits):
    checkpoints.save_params(tmp_path / "params.safetensors", PARAMS)
    loaded = checkpoints.load_params(
        tmp_path / "params.safetensors", jax.eval_shape(MODEL.init, jax.random.key(1))
    )
    np.testing.assert_array_equal(
        training.predict(loaded, digits.test.images, MODEL),
        training.predict(PARAMS, digits.test.images, MODEL),
    )


def test_the_file_is_plain_safetensors_and_nothing_else_is_left(tmp_path):
    checkpoints.save_params(tmp_path / "params.safetensors", PARAMS)
    arrays = safetensors.numpy.load_file(tmp_path / "params.safetensors")
    assert {name: array.shape for name, array in arrays.items()} == {
        "0.w": (64, 32), "0.b": (32,), "1.w": (32, 10), "1.b": (10,)
    }  # fmt: skip
    np.testing.assert_array_equal(arrays["1.w"], PARAMS[1]["w"])
    assert [path.name for path in tmp_path.iterdir()] == ["params.safetensors"]


def test_arrays_in_any_memory_order_are_saved_as_they_read(tmp_path):
    params = {"w": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)), "b": np.float32(7)}
    checkpoints.save_params(tmp_path / "p.safetensors", params)
    loaded = checkpoints.load_params(tmp_path / "p.safetensors", params)
    np.testing.assert_array_equal(loaded["w"], [[0, 1, 2], [3, 4, 5]])
    assert loaded["b"].shape == () and loaded["b"] == 7


def test_a_damaged_file_or_another_networks_is_refused(tmp_path):
    path = tmp_path / "params.safetensors"
    checkpoints.save_params(path, PARAMS)
    with pytest.raises(ValueError, match=r"got 0.b float32\[32\], expected 0.b float32\[16\]"):
        checkpoints.load_params(path, random_params(layers.mlp(64, 16, 10), 0))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        checkpoints.load_params(path, PARAMS)


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "params.safetensors"
    checkpoints.save_params(path, PARAMS)
    before = path.read_bytes()

    def fail(path):
        raise OSError("disk full")

    monkeypatch.setattr(files, "sync", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save_params(path, random_params(MODEL, 1))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["params.safetensors"]


# --- states ------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "state.safetensors"
    checkpoints.save(path, STATE, ABOUT)
    return path


def test_a_checkpoint_is_read_as_it_was_saved_also_by_others(path):
    state, about = checkpoints.load(path, STATE)
    assert_trees_close(state, jax.tree.map(jnp.asarray, STATE))
    assert about == checkpoints.about(path) == ABOUT
    np.testing.assert_array_equal(safetensors.numpy.load_file(path)["w"], STATE["w"])
    again = path.with_name("again")
    checkpoints.save(again, STATE, ABOUT)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("optimizer", [*job.OPTIMIZERS, "optax.adamw", "optax.lion", "optax.adafactor"])
def test_s45_states_of_all_optimizers_come_back_bit_for_bit(tmp_path, optimizer):
    params, grads = random_params(SMALL, 0), random_params(SMALL, 1)

    with jax.numpy_dtype_promotion("standard"):
        made = job.find_optimizer(optimizer)(0.1)

    @jax.jit
    def before_and_after_an_update(params, grads):
        before = made.init(params)
        return before, made.update(grads, before, params)[1]

    with jax.numpy_dtype_promotion("standard"):
        before, after = before_and_after_an_update(params, grads)
    state = training.State(params, after, jax.random.key(3), jnp.int32(1))
    checkpoints.save(tmp_path / "state", state, {})
    like = training.State(grads, before, jax.random.key(0), jnp.int32(0))
    loaded, _ = checkpoints.load(tmp_path / "state", like)
    plain = [s._replace(key=jax.random.key_data(s.key)) for s in (loaded, state)]
    assert_trees_close(*jax.tree.map(jnp.asarray, plain))
    assert loaded.key.dtype == state.key.dtype


def test_other_types_come_back_too(tmp_path):
    state = {
        "a": jnp.ones(3, jnp.bfloat16),
        "b": jnp.array([True]),
        "c": np.float16(2),
        "e": np.zeros((0, 3)),
    }
    with jax.enable_x64(True):
        checkpoints.save(tmp_path / "state", state, {})
        loaded, _ = checkpoints.load(tmp_path / "state", state)
        assert_trees_close(loaded, jax.tree.map(jnp.asarray, state))


def test_truncated_at_every_byte_it_is_refused_by_name(path):
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(checkpoints.DamagedError, match=r"state.safetensors: not a whole checkpoint"):
            checkpoints.load(path, STATE)


def test_with_a_bit_flipped_in_any_byte_it_is_refused_by_name(path):
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        with pytest.raises(checkpoints.DamagedError, match=r"state.safetensors: not a whole checkpoint"):
            checkpoints.load(path, STATE)


def test_bytes_that_are_added_are_refused(path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(checkpoints.DamagedError):
        checkpoints.load(path, STATE)


class Trap:
    """Executed when unpickled."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return (Path.touch, (Path(self.canary),))


@pytest.mark.parametrize("kind", ["pickle", "npz", "safetensors"])
def test_what_is_no_checkpoint_is_refused_and_not_executed(tmp_path, kind):
    path, canary = tmp_path / "state.safetensors", tmp_path / "canary"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Trap(canary)))
    elif kind == "npz":
        with path.open("wb") as file:
            np.savez(file, w=np.array([Trap(canary)], dtype=object))
    else:
        checkpoints.save_params(path, STATE)  # which has no checksum
    with pytest.raises(checkpoints.DamagedError):
        checkpoints.load(path, STATE)
    assert not canary.exists()


@pytest.mark.parametrize("length", [10**12, 10**6])
def test_a_file_that_declares_more_than_it_holds_is_refused_before_anything_is_allocated(path, length):
    header = json.dumps({"w": {"dtype": "F32", "shape": [length], "data_offsets": [0, 4 * length]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="not a whole"):
        checkpoints.load(path, STATE)
    with pytest.raises(ValueError, match="not a whole"):
        checkpoints.load_params(path, STATE)
    path.write_bytes((2**60).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="not a whole"):
        checkpoints.load(path, STATE)


def test_a_later_format_is_refused_and_says_so(path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FORMAT", 9)
    checkpoints.save(path, STATE, ABOUT)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="format 9, expected 2 or earlier; a later jaxnaive wrote it"):
        checkpoints.load(path, STATE)


def test_a_checkpoint_of_format_1_is_still_read(tmp_path):
    state, about = checkpoints.load(GOLDEN / "format-1.safetensors", STATE)
    assert_trees_close(state, jax.tree.map(jnp.asarray, STATE))
    assert about == ABOUT
    whole = (GOLDEN / "format-1.safetensors").read_bytes()
    for place in range(0, len(whole), 7):
        changed = whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :]
        (tmp_path / "changed").write_bytes(changed)
        with pytest.raises(checkpoints.DamagedError):
            checkpoints.load(tmp_path / "changed", STATE)


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({**STATE, "w": np.zeros((2, 4), np.float32)}, r"got w float32\[2, 3\], expected w float32\[2, 4\]"),
        ({**STATE, "w": np.zeros((2, 3), np.int32)}, r"got w float32\[2, 3\], expected w int32\[2, 3\]"),
        ({**STATE, "v": np.float32(1)}, r"got no v, expected v float32\[\]"),
        ({"w": STATE["w"]}, r"got count int32\[\], expected no count"),
    ],
)
def test_another_networks_or_optimizers_state_is_refused_by_its_first_leaf(path, like, message):
    with pytest.raises(ValueError, match=message):
        checkpoints.load(path, like)


def test_leaves_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"two leaves of the name a\.b"):
        checkpoints.save(tmp_path / "state", {"a": {"b": 1}, "a.b": 2}, {})
    assert not list(tmp_path.iterdir())


def test_a_pipe_is_refused_and_a_link_followed(path):
    pipe, link = path.with_name("pipe"), path.with_name("link")
    os.mkfifo(pipe)
    link.symlink_to(path)
    with pytest.raises(checkpoints.DamagedError, match="pipe: not a file"):
        checkpoints.load(pipe, STATE)
    assert checkpoints.about(link) == ABOUT


def test_readers_see_the_old_or_the_new_while_it_is_replaced(path):
    def write():
        for number in range(200):
            checkpoints.save(path, {"w": np.full(1000, number, np.int32)}, {})

    checkpoints.save(path, {"w": np.full(1000, -1, np.int32)}, {})
    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        state, _ = checkpoints.load(path, {"w": np.zeros(1000, np.int32)})
        assert len(np.unique(state["w"])) == 1
    writer.join()


def test_short_writes_are_continued(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:100]))
    checkpoints.save(tmp_path / "state", STATE, ABOUT)
    monkeypatch.undo()
    assert checkpoints.about(tmp_path / "state") == ABOUT


@pytest.mark.parametrize("value", [2**40, np.float64(0.1)])
def test_numbers_that_would_come_back_as_others_are_refused(tmp_path, value):
    with pytest.raises(ValueError, match=r"a: got .*64, which is more than .*32"):
        checkpoints.save(tmp_path / "state", {"a": value}, {})
    checkpoints.save(tmp_path / "state", {"a": 3, "b": 0.5}, {})
    assert checkpoints.load(tmp_path / "state", {"a": 0, "b": 0.0})[0] == {"a": 3, "b": 0.5}
