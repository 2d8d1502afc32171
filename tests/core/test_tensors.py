"""Rows S01 to S22 of the notes."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import batches, layers, optimizers, tensors, training
from jaxnaive.batches import Examples

KEY = jax.random.key(0)
MATRIX = [[5, 78, 2, 34, 0], [6, 79, 3, 35, 1], [7, 80, 4, 36, 2]]  # the book's
IMAGES = np.random.default_rng(0).integers(0, 256, (200, 28, 28), np.uint8)


# --- what a tensor is --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nested", "shape"),
    [
        (12, ()),
        ([12, 3, 6, 14, 7], (5,)),
        (MATRIX, (3, 5)),
        ([MATRIX, MATRIX, MATRIX], (3, 3, 5)),
        ([[MATRIX] * 3] * 2, (2, 3, 3, 5)),
        ([[[MATRIX] * 3] * 2] * 4, (4, 2, 3, 3, 5)),
    ],
)
def test_s01_s02_s03_s05_s06_s07_s08_the_rank_is_the_number_of_axes_and_the_depth_of_brackets(nested, shape):
    brackets = re.match(r"\[*", str(nested))
    assert brackets and len(brackets.group()) == tensors.depth(nested) == len(shape)
    for x in (nested, np.asarray(nested), jnp.asarray(nested)):
        description = tensors.describe(x)
        assert description.rank == np.ndim(x) == len(shape)
        assert description.shape == np.shape(x) == shape
        assert description.bytes == np.prod(shape, dtype=int) * np.dtype(description.dtype).itemsize


def test_s04_a_vector_of_five_entries_is_not_a_tensor_of_five_axes():
    assert tensors.describe(jnp.zeros(5)).rank == 1
    assert tensors.describe(jnp.zeros((2, 2, 2, 2, 2))).rank == 5


def test_s05_rows_and_columns_of_a_matrix():
    x = jnp.asarray(MATRIX)
    np.testing.assert_array_equal(x[0], [5, 78, 2, 34, 0])
    np.testing.assert_array_equal(x[:, 0], [5, 6, 7])


@pytest.mark.parametrize(
    ("ragged", "message"),
    [
        ([[1, 2], [3]], r"got shape \(1,\) at x\[1\], expected \(2,\) as at x\[0\]"),
        ([1, [2]], r"got shape \(1,\) at x\[1\], expected \(\) as at x\[0\]"),
        ([[[1], [2]], [[3], [4, 5]]], r"got shape \(2,\) at x\[1\]\[1\], expected \(1,\)"),
        ([np.zeros(2), np.zeros(3)], r"got shape \(3,\) at x\[1\]"),
    ],
)
def test_s08_a_ragged_list_is_no_tensor(ragged, message):
    for function in (tensors.describe, tensors.depth):
        with pytest.raises(ValueError, match=f"ragged list: {message}"):
            function(ragged)


def test_s09_s10_s11_the_attributes_of_mnist(mnist):
    description = tensors.describe(mnist.train.images, ("samples", "height", "width"))
    assert description == (3, (60_000, 28, 28), "uint8", ("samples", "height", "width"), 47_040_000)
    assert str(description) == ("rank 3, shape (60000, 28, 28) = (samples, height, width), uint8, 47.0 MB")
    assert jax.device_put(mnist.train.images).dtype == np.uint8


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (14_400, "14.4 kB"), (10**12, "1,000.0 GB")],
)
def test_s09_bytes_are_readable(size, words):
    assert str(tensors.describe(jax.ShapeDtypeStruct((size,), jnp.uint8))).endswith(f", uint8, {words}")


def test_s11_jax_has_no_strings_and_no_float64_unless_asked():
    for dtype in ("float16", "float32", "uint8", "bfloat16"):
        assert tensors.describe(jnp.zeros(3, dtype)).dtype == dtype
    doubles = np.array([0.1])
    assert tensors.describe(doubles).dtype == "float64"
    assert tensors.describe(jnp.asarray(doubles)).dtype == tensors.describe([0.1]).dtype == "float32"
    with jax.enable_x64(True):
        assert tensors.describe([0.1]).dtype == "float64"
    with pytest.raises(TypeError):
        jnp.asarray(["cat"])
    with pytest.raises(ValueError, match=r"tensor: got 'cat' at x\[1\], expected a number"):
        tensors.describe([1, "cat"])
    for array in (np.array(["cat"]), np.array([None])):
        with pytest.raises(ValueError, match=r"tensor: got an array of .*, expected numbers"):
            tensors.describe(array)


def test_a_wrong_number_of_axis_names_is_refused():
    with pytest.raises(ValueError, match=r"got 2 names .*'b'.*, expected one for each axis of shape \(3,\)"):
        tensors.describe(jnp.zeros(3), ("a", "b"))


# --- slices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["2:5", ":5", "2:", ":", "-3:", ":-3"])
def test_s12_s13_the_six_forms_of_a_slice_are_those_of_numpy(form):
    x = np.arange(10)
    start, _, stop = form.partition(":")
    chosen = slice(int(start) if start else None, int(stop) if stop else None)
    expected = [i for i in range(10) if i in range(*chosen.indices(10))]
    np.testing.assert_array_equal(jnp.asarray(x)[chosen], expected)
    np.testing.assert_array_equal(x[chosen], expected)


def test_s13_dynamic_slice_clamps_where_our_batches_do_not():
    x = jnp.arange(60_000)
    clamped = jax.lax.dynamic_slice(x, (59_904,), (128,))
    assert clamped[0] == 59_872  # 32 that the batch before it has seen
    assert tensors.batch(x, 468)[0] == 59_904 and len(tensors.batch(x, 468)) == 96
    assert x[jnp.array([3, 60_000])].tolist() == [3, 59_999]  # a gather clamps too, and NumPy raises
    with pytest.raises(IndexError):
        np.arange(60_000)[np.array([3, 60_000])]


def test_s14_three_ways_to_take_images_10_to_99():
    for x in (IMAGES, jnp.asarray(IMAGES)):
        first, second, third = x[10:100], x[10:100, :, :], x[10:100, 0:28, 0:28]
        assert first.shape == second.shape == third.shape == (90, 28, 28)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)
        np.testing.assert_array_equal(first[0], IMAGES[10])
        np.testing.assert_array_equal(first[-1], IMAGES[99])


def test_s15_s16_corner_and_centre_of_all_images():
    corner, middle = tensors.bottom_right(IMAGES, 14), tensors.centre(IMAGES, 14)
    np.testing.assert_array_equal(corner, IMAGES[:, 14:, 14:])
    np.testing.assert_array_equal(middle, IMAGES[:, 7:-7, 7:-7])
    assert corner.shape == middle.shape == (200, 14, 14)
    np.testing.assert_array_equal(tensors.bottom_right(jnp.asarray(IMAGES), 14), corner)
    for whole in (tensors.bottom_right(IMAGES, 28), tensors.centre(IMAGES, 28)):
        np.testing.assert_array_equal(whole, IMAGES)
    wide = np.arange(15).reshape(1, 3, 5)
    np.testing.assert_array_equal(tensors.centre(wide, 1), [[[7]]])
    np.testing.assert_array_equal(tensors.bottom_right(wide, 2), [[[8, 9], [13, 14]]])


@pytest.mark.parametrize("size", [0, -1, 29])
@pytest.mark.parametrize("function", [tensors.bottom_right, tensors.centre])
def test_s15_s16_a_size_that_does_not_fit_is_refused(function, size, as_a_user):
    with pytest.raises(ValueError, match=rf"slice: got size {size} and shape \(200, 28, 28\)"):
        function(IMAGES, size)
    with pytest.raises(ValueError, match=r"shape \(28, 28\), expected \[samples, height, width\]"):
        function(IMAGES[0], 14)


# --- batches and real data ---------------------------------------------------------------------------


def test_s17_s18_batches_are_slices_of_axis_0_and_each_example_is_in_one():
    x = np.arange(60_000 * 2).reshape(60_000, 2)
    parts = [tensors.batch(x, n) for n in range(469)]
    np.testing.assert_array_equal(parts[1], x[128:256])
    np.testing.assert_array_equal(np.concatenate(parts), x)
    assert {part.shape for part in parts[:-1]} == {(128, 2)} and parts[-1].shape == (96, 2)


@pytest.mark.parametrize(
    ("n", "size", "message"),
    [
        (2, 100, "batch: got number 2, expected 0 to 1: 200 samples in batches of 100"),
        (-1, 100, "batch: got number -1, expected 0 to 1"),
        (0, 0, "batch size: got 0, expected 1 or more"),
    ],
)
def test_s18_a_batch_that_there_is_not_is_refused(n, size, message):
    with pytest.raises(ValueError, match=message):
        tensors.batch(IMAGES, n, size)


def test_s17_after_vmap_axis_0_need_not_be_the_samples():
    assert jax.eval_shape(jax.vmap(tensors.vectors), jax.random.split(KEY, 3)).shape == (
        3,
        1000,
        3,
    )  # three seeds


def test_s17_every_kind_of_data_has_a_name_for_each_axis_and_the_samples_first():
    make = (tensors.vectors, tensors.time_series, tensors.text, tensors.images, tensors.video)
    for function, (kind, axes) in zip(make, tensors.AXES.items(), strict=True):
        assert function.__name__ == kind.replace(" ", "_") and axes[0] == "samples"
        assert tensors.describe(jax.eval_shape(function, KEY), axes).rank == len(axes)


def test_s19_people_as_vectors_and_a_network_learns_from_them_unchanged():
    people = np.asarray(jax.jit(tensors.vectors)(KEY))
    age, sex, income = people.T
    assert people.shape == (1000, 3) and people.dtype == np.float32
    assert age.min() >= 18 and age.max() <= 90 and set(sex) == {0, 1} and (income > 0).all()
    assert abs(sex.mean() - 0.5) < 0.08 and np.corrcoef(age, income)[0, 1] > 0.2

    rich = (income > np.median(income)).astype(np.int32)
    examples = Examples((people - people.mean(axis=0)) / people.std(axis=0), rich)
    recipe = training.Recipe(layers.dense(3, 2), optimizers.sgd(1.0), batch_size=100)
    params, _ = training.train(KEY, examples, recipe, epochs=20)
    assert training.evaluate(params, examples, recipe).accuracy > 0.95


def test_s20_a_time_series_keeps_its_time_axis():
    prices = np.asarray(jax.jit(tensors.time_series)(KEY))
    assert prices.shape == (30, 60, 2) and prices.dtype == np.float32
    high, low = prices.reshape(-1, 2).T
    assert (low <= high).all() and (low < high).mean() > 0.9 and (low > 0).all()

    def jump(x):  # from one minute to the next
        return np.abs(np.diff(x[..., 0], axis=1)).mean()

    # In another order the minutes are another series, and the hours are the same samples.
    rng = np.random.default_rng(0)
    assert jump(prices[:, rng.permutation(60)]) > 2 * jump(prices)
    np.testing.assert_allclose(jump(prices[rng.permutation(30)]), jump(prices), rtol=1e-5)
    assert abs(high[60] - high[59]) < 0.5  # and the next hour goes on where the last one ended


def test_s21_pictures_with_channels():
    pictures = np.asarray(jax.jit(tensors.images)(KEY))
    assert pictures.shape == (128, 28, 28, 3) and pictures.dtype == np.uint8
    assert (pictures.max(axis=(1, 2, 3)) > 50).all()  # each shows something
    assert len(np.unique(pictures.reshape(128, -1), axis=0)) == 128
    assert batches.as_features(pictures).shape == (128, 2352)


def test_s22_the_film_is_described_without_a_byte_of_it():
    before = len(jax.live_arrays())
    shape = jax.eval_shape(tensors.video, jax.random.key(0))
    description = tensors.describe(shape, tensors.AXES["video"])
    assert description.shape == (4, 240, 144, 256, 3) and description.rank == 5
    assert description.bytes == 4 * 240 * 144 * 256 * 3 == 106_168_320
    assert isinstance(shape, jax.ShapeDtypeStruct) and len(jax.live_arrays()) <= before + 1
    film = np.asarray(jax.jit(lambda key: tensors.video(key, 1, 5, 20, 20))(KEY))[0]
    assert film.shape == (5, 20, 20, 3) and (film[0] != film[-1]).any()


def test_text_is_numbers_of_words_filled_up_to_one_length():
    texts = np.asarray(jax.jit(lambda key: tensors.text(key, samples=2000, tokens=50, vocabulary=1000))(KEY))
    assert texts.shape == (2000, 50) and texts.dtype == np.int32
    assert texts.min() == 0 and texts.max() <= 999
    lengths = (texts > 0).sum(axis=1)
    assert lengths.min() == 1 and lengths.max() == 50
    assert all(
        (row[:n] > 0).all() for row, n in zip(texts, lengths, strict=True)
    )  # the padding is at the end
    counts = np.bincount(texts[texts > 0], minlength=1000)
    fraction = np.log(1 + 1 / np.array([1, 2, 4, 8])) / np.log(1000)  # of the interval [n, n + 1) in log(n)
    np.testing.assert_allclose(counts[[1, 2, 4, 8]] / counts.sum(), fraction, rtol=0.1)


def test_data_depends_on_the_key_alone():
    for make in (tensors.vectors, tensors.time_series, tensors.text, tensors.images):
        first, again, other = (np.asarray(jax.jit(make)(jax.random.key(seed))) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
