"""Inputs of any range become numbers of about one size, and say how."""

import errno
import os
import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse
from sklearn.preprocessing import StandardScaler

from jaxnaive.data import inputs, schema
from jaxnaive.data.schema import GREY, Columns, Scale

RNG = np.random.default_rng(0)
GREYS = RNG.integers(0, 256, (50, 6, 6), np.uint8)


def both(array, **more) -> Any:
    learned, notes, warnings = inputs.learn(array, **more)
    return learned, inputs.encode(array, learned), notes, warnings


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(50, 6, 6), (50, 36)])
def test_b8_grey_values_of_any_dtype_are_the_same_bytes(dtype, shape):
    learned, encoded, notes, warnings = both(GREYS.astype(dtype).reshape(shape))
    assert learned == Scale(shape[1:], 0.0, GREY) and encoded.dtype == np.uint8
    np.testing.assert_array_equal(encoded, GREYS.reshape(shape))
    assert (
        notes == (["values: 0 to 255, one scale for all columns"] if len(shape) == 2 else []) and not warnings
    )


@pytest.mark.parametrize(
    ("array", "low", "high"),
    [
        (GREYS / 255, 0, 1),
        ((GREYS / 255).astype(np.float32), 0, 1),
        (GREYS > 127, 0, 1),
        ((GREYS > 127).astype(np.int64), 0, 1),
        (GREYS // 16 + (GREYS == 255), 0, 16),
        (GREYS.astype(np.uint16) * 257, 0, 65535),
        (GREYS / 127.5 - 1, -1, 1),
        (GREYS.astype(int) - 128, -128, 127),
    ],
)
def test_b8_every_range_becomes_0_to_1(array, low, high):
    learned, encoded, notes, _ = both(array)
    assert (learned.low, learned.high) == (low, high) and encoded.dtype == np.float32
    expected = (np.asarray(array, np.float64) - low) / (high - low)
    np.testing.assert_allclose(encoded, expected, atol=1e-6)
    assert notes == ([] if high == 1 and low == 0 else [f"values: {low} to {high}, scaled to 0 to 1"])


def test_a_table_is_standardised_column_by_column_as_scikit_learn_does():
    table = np.column_stack([RNG.normal(40, 12, 60), RNG.normal(50_000, 9_000, 60), RNG.random(60)])
    _, encoded, notes, _ = both(table)
    np.testing.assert_allclose(encoded, StandardScaler().fit_transform(table), atol=1e-5)
    assert notes == ["values: 3 columns of numbers, each standardised"]
    frame = pa.table(dict(zip("abc", table.T, strict=True)))
    learned, again, _, _ = both(frame)
    np.testing.assert_array_equal(again, encoded)
    shuffled = inputs.encode(frame.select(["c", "a", "b"]), learned)
    np.testing.assert_array_equal(shuffled, encoded)


def test_the_training_examples_scale_is_that_of_all_others():
    learned, *_ = inputs.learn(np.array([[0.0, 10.0], [2.0, 30.0]]))
    np.testing.assert_allclose(inputs.encode(np.array([[4.0, 20.0]]), learned), [[3.0, 0.0]])


def test_texts_are_one_number_a_category_and_missing_numbers_the_mean():
    table = pa.table({"age": [20, None, 40], "town": ["b", "a", "b"], "same": [1, 1, 1]})
    learned, encoded, notes, warnings = both(table)
    np.testing.assert_allclose(encoded, [[-1, 0, 1], [0, 1, 0], [1, 0, 1]])
    assert "column town: 2 categories, one number each" in notes
    assert warnings == [
        "constant columns, left out: same",
        "column age: 1 of 3 missing, filled with the mean, 30",
    ]
    assert (
        schema.from_json(schema.to_json(schema.Schema(learned, schema.Classes(("a", "b"))))).inputs == learned
    )


def test_a_user_can_say_otherwise():
    table = RNG.normal(0, 3, (40, 4)).astype(np.float32)
    learned, encoded, notes, _ = both(table, scaling="none")
    np.testing.assert_array_equal(encoded, table)
    assert not notes and not learned.is_range
    learned, encoded, *_ = both(table, scaling="range")
    assert encoded.min() == 0 and encoded.max() == 1
    assert isinstance(both(GREYS.reshape(50, 36), scaling="columns")[0], Columns)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((10, 4), np.nan), "inputs: got NaN or infinity in 40 places"),
        (np.full((10, 4), 1e300), "inputs: got NaN or infinity in 40 places"),
        (np.full((10, 4, 4), 7), "inputs: got 7 in all places"),
        (np.ones((10, 4)), "inputs: got columns that are all constant"),
        (GREYS[:0], r"inputs: got shape \(0, 6, 6\)"),
        (GREYS[0, 0], r"inputs: got shape \(6,\)"),
        (GREYS.astype(complex), "inputs: got complex128"),
        (np.array([["a", "b"]]), "inputs: got texts or objects in an array"),
    ],
)
def test_b8_inputs_that_say_nothing_are_refused(array, message):
    with pytest.raises(ValueError, match=message):
        inputs.learn(array)


def test_too_many_texts_are_refused_with_what_to_do():
    table = pa.table({"name": [f"person {n}" for n in range(30)], "age": range(30)})
    with pytest.raises(
        ValueError, match=r"column name: got 30 different texts .* ignore=\('name',\) \(--ignore\)"
    ):
        inputs.learn(table)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (GREYS / 255, "images: got values from 0 to 1, expected 0 to 255"),
        (GREYS / 127.5 - 1, "images: got values from -1 to 1, expected 0 to 255"),
        ((GREYS / 255 - 0.13) / 0.31, r"images: got values from -0\.4\d* to 2\.8\d*, expected"),
        (GREYS.astype(int) * 257, "images: got values from 0 to 65535, expected 0 to 255"),
        (GREYS[:, :3], r"images: got examples of shape \(3, 6\), expected \(6, 6\)"),
    ],
)
def test_b8_other_inputs_than_in_training_are_refused(other, message):
    learned, *_ = inputs.learn(GREYS)
    with pytest.raises(ValueError, match=message):
        inputs.encode(other, learned, "images")


def test_an_unknown_category_is_said_and_a_missing_column_refused(caplog):
    table = pa.table({"age": [20, 40], "town": ["a", "b"]})
    learned, *_ = inputs.learn(table)
    encoded = inputs.encode(pa.table({"age": [20], "town": ["c"]}), learned)
    np.testing.assert_allclose(encoded, [[-1, 0, 0]])
    assert "column town: 1 of an unknown category" in caplog.text
    with pytest.raises(ValueError, match="inputs: got no column town, expected 2 columns"):
        inputs.encode(table.select(["age"]), learned)
    with pytest.raises(
        ValueError, match="got an array, expected a data frame, because column town is a text"
    ):
        inputs.encode(np.zeros((1, 2)), learned)


def test_a_memory_mapped_array_is_changed_in_a_file(tmp_path):
    np.save(tmp_path / "x.npy", GREYS.astype(np.float32) / 16)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    _, encoded, *_ = both(mapped)
    assert isinstance(encoded, np.memmap)
    np.testing.assert_array_equal(encoded, both(np.array(mapped))[1])
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_b8_a_table_in_other_units_is_found_out():
    table = RNG.normal([40, 5000, 0.3], [12, 900, 0.1], (60, 3))
    learned, *_ = inputs.learn(table)
    for other in ((table - table.mean(axis=0)) / table.std(axis=0), table * 1000):
        found = inputs.odd_units(inputs.encode(other, learned), learned, "test images")
        assert re.match(r"test images: got [23] of 3 columns in other units", found), found
    assert not inputs.odd_units(inputs.encode(table[:20], learned), learned, "test images")


def test_a_column_that_is_constant_but_for_rounding_is_left_out():
    table = np.column_stack([np.full(199, 0.1), np.arange(199.0)])
    assert table[:, 0].std() > 0
    _, encoded, _, warnings = both(table)
    assert encoded.shape == (199, 1) and warnings == ["constant columns, left out: 0"]


def test_pixels_are_known_by_their_names():
    names = [f"pixel{place}" for place in range(9)]
    pictures = RNG.integers(0, 256, (30, 9))
    table = pa.table(dict(zip(names, pictures.T, strict=True)))
    learned, encoded, *_ = both(table)
    assert learned == Scale((3, 3), columns=tuple(names)) and encoded.dtype == np.uint8
    np.testing.assert_array_equal(encoded, pictures.reshape(30, 3, 3))
    np.testing.assert_array_equal(inputs.encode(table.select(names[::-1]), learned), encoded)
    assert schema.Schema(learned, schema.Classes(("a", "b"))).is_grey


def test_a_column_of_pixels_that_lacks_one_is_named():
    names = [f"pixel{place}" for place in range(4)]
    learned, *_ = inputs.learn(pa.table(dict(zip(names, RNG.integers(0, 256, (4, 9)), strict=True))))
    other = pa.table({name: [None if name == "pixel2" else 1] for name in names})
    with pytest.raises(ValueError, match="images: column pixel2: got texts or missing values"):
        inputs.encode(other, learned, "images")


def test_infinity_and_missing_numbers_in_other_tables_are_not_silent(caplog):
    learned, *_ = inputs.learn(pa.table({"a": [1.0, 2.0, 3.0]}))
    with pytest.raises(ValueError, match="column a: got infinity"):
        inputs.encode(pa.table({"a": [np.inf]}), learned)
    np.testing.assert_array_equal(inputs.encode(pa.table({"a": pa.nulls(2)}), learned), [[0], [0]])
    assert "column a: 2 missing, filled with the mean" in caplog.text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ma.masked_equal([[1, 2], [3, -9]], -9), "inputs: got masked numbers"),
        (scipy.sparse.csr_array(np.eye(3)), r"inputs: got a sparse matrix, expected an array; \.toarray\(\)"),
        ([[1, 2], [3]], "inputs: got a ragged list"),
        (np.arange(3), r"at least one; one number each is X\[:, None\]"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused_with_what_to_do(values, message):
    with pytest.raises(ValueError, match=message):
        inputs.as_numbers(values)


def test_half_precision_of_jax_is_numbers_too():
    numbers = jnp.asarray([[1, 0.5]], jnp.bfloat16)
    np.testing.assert_array_equal(inputs.as_numbers(numbers), np.array([[1, 0.5]], np.float32))


def test_no_room_for_a_changed_array_is_an_error_and_a_read_only_folder_none(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", GREYS.astype(np.float32) / 16)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        assert both(mapped)[1].shape == GREYS.shape

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        both(mapped)
