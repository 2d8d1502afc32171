"""Row S45 of the notes: what was learned can be kept."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from jaxnaive import layers, training
from jaxnaive.disk import checkpoints, files

MODEL = layers.mlp(64, 32, 10)
PARAMS = MODEL.init(jax.random.key(0))


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
        checkpoints.load_params(path, layers.mlp(64, 16, 10).init(jax.random.key(0)))
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
        checkpoints.save_params(path, layers.mlp(64, 32, 10).init(jax.random.key(1)))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["params.safetensors"]
