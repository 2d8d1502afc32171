"""Bugs B1 to B13 of the notes: which JAX reports, which are silent, what jaxnaive says, what they cost."""

import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from experiments.pitfalls import bugs, naive, pitfalls
from jaxnaive import command, layers, optimizers, training
from jaxnaive.batches import Batch

pytestmark = pytest.mark.xdist_group("pitfalls")  # one worker runs the experiment, for all tests of it


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """What the experiment returns, and its folder."""
    out = tmp_path_factory.mktemp("pitfalls")
    jaxtyping.config.update("jaxtyping_disable", True)  # the annotations would refuse before the code does
    try:
        rows = pitfalls.main(pitfalls.Options(dataset="digits", epochs=5, seeds=5, out=out))
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    numbers = [int(row.bug.id.removeprefix("B")) for row in rows]
    assert numbers == sorted(numbers) and set(numbers) == set(range(1, 14))
    return rows, out


def row_of(result, title):
    """The row of the one bug whose title begins like this."""
    (row,) = (row for row in result[0] if row.bug.title.startswith(title))
    return row


@pytest.mark.parametrize(
    ("title", "in_jax", "in_jaxnaive"),
    [
        ("a method for a layer", "TypeError: Argument '<bound method", "got a method, expected a tuple of 1"),
        (
            "a method for the model",
            "TypeError: 'method' object is not",
            "got a method, expected a tuple of 2",
        ),
        ("more labels", "TypeError: only in batch 2, after 2", "got 355 images and 1442 labels, expected as"),
        (
            "one-hot loss of integers, batch of 128",
            "ValueError: Incomp",
            r"got shape \(128,\), .* \(128, 10\)",
        ),
        ("test images keep", "TypeError: dot_general requires", "got 8 features an example, expected 64"),
        ("the indentation", "IndentationError: expected an indented block", "no error"),
    ],
)
def test_b1_b2_b4_b5_b7_b13_are_loud_in_jax_and_clear_here(result, title, in_jax, in_jaxnaive):
    row = row_of(result, title)
    assert not row.silent and row.right is None and row.broken is None
    assert row.in_jax.startswith(in_jax)
    assert re.match(rf"(ValueError: .*)?{in_jaxnaive}", row.in_jaxnaive), row.in_jaxnaive


ORDER = r"no error; in the second epoch 99\.\d%"
SILENT = [  # title, what happens in JAX and in jaxnaive, and the test accuracy lost, at least and at most
    ("a layer is missing", "gradients of 2 arrays of 4", "ValueError: parameters: got 1 of them", 0.05, 0.5),
    ("the first label", r"labels\[1441\] of 1441 labels", "ValueError: got 1442 images and 1441", 0.7, 1),
    ("one-hot loss of integers, batch of 10", "a loss of 118", r"ValueError: .* got shape \(10,\)", 0.7, 1),
    ("test images in", "355 images, 1,442 labels", "ValueError: got 355 images and 1442 labels", 0.6, 1),
    ("grey values", "uint8 @ float32 is float32, .* 255", "ValueError: dense layer: got uint8", 0.7, 1),
    ("fit ignores", "asked for batches of 1,443, got 128", "ValueError: batch size: got 1443", 0.1, 0.6),
    ("no shuffling, in the order", r".* with images \[0, 1, 2\] and \[0, 1, 2\]", ORDER, -0.03, 0.03),
    ("no shuffling, files sorted", r".* with images \[0, 1, 2\] and \[0, 1, 2\]", ORDER, 0.3, 1),
    ("one generator for all epochs, s", "0 images", r"ValueError: images: got shape \(0, 8, 8\)", 0.05, 0.4),
    ("one generator for all epochs, dyn", "asked .* from 1,408", "no error; 12 rows .* 1,442 im", 0.15, 1),
    (
        "log after softmax, c",
        ".* a loss of 16.1181",
        r"no error; .* a loss of 200, .* \[1\.0, -1\.0\]",
        0.6,
        1,
    ),
]


@pytest.mark.parametrize(("title", "in_jax", "in_jaxnaive", "low", "high"), SILENT)
def test_b3_to_b12_are_silent_in_jax_and_cost_accuracy(result, title, in_jax, in_jaxnaive, low, high):
    row = row_of(result, title)
    assert row.silent and re.match(in_jax, row.in_jax), row.in_jax
    assert re.match(in_jaxnaive, row.in_jaxnaive), row.in_jaxnaive
    assert low <= row.right.mean - row.broken.mean <= high
    assert row.right.mean > 0.85


@jax.numpy_dtype_promotion("standard")
def test_b10_every_epoch_has_the_stored_order_and_it_may_be_that_of_the_classes(digits):
    run = pitfalls.without_bugs(pitfalls.Options(epochs=2, seeds=5), digits)
    first = run.epochs[0]
    assert not (first == run.epochs[1]).all(axis=(1, 2)).any()
    for rows in bugs.in_order(run, digits).epochs:
        np.testing.assert_array_equal(rows, jnp.sort(first.reshape(5, -1)).reshape(first.shape))
    by_class = bugs.sorted_by_class(run, digits)
    assert (np.diff(by_class.labels[by_class.epochs[1]].reshape(5, -1)) >= 0).all()


def test_b12_log_after_softmax_is_nan_and_every_image_a_zero(result, digits):
    row = next(row for row in result[0] if row.bug.title == "log after softmax")
    assert row.silent and "a loss of inf, and a gradient of [nan, nan]" in row.in_jax
    assert row.broken.mean == pytest.approx(np.mean(digits.test.labels == 0)) and row.broken.sd < 1e-7
    assert "a loss of 16.1181, and a gradient of [0.0, 0.0]" in row_of(result, "log after softmax, c").in_jax


def test_b11_a_batch_of_nothing_has_a_loss_of_nan_and_no_gradient(result):
    assert (
        "0 images, a loss of nan, and a gradient of 0"
        in row_of(result, "one generator for all epochs, s").in_jax
    )
    # 1,442 = 11 * 128 + 34: the last slice of 128 begins at 1,314
    assert "from 1,314: 94 a second time" in row_of(result, "one generator for all epochs, dyn").in_jax


def test_b5_b8_switches_of_jax_refuse_the_silent_ones():
    logits, labels = jnp.zeros((10, 10)), jnp.arange(10)
    with jax.numpy_dtype_promotion("standard"):
        assert bugs.one_hot_loss(logits, labels).shape == (10,)
        with jax.numpy_rank_promotion("raise"), pytest.raises(ValueError, match="could not be broadcast"):
            bugs.one_hot_loss(logits, labels)
    with pytest.raises(ValueError, match="dtype promotion"), jax.numpy_dtype_promotion("strict"):
        naive.forward([logits, logits[0], logits, logits[0]], jnp.zeros((2, 10), jnp.uint8))


@jax.numpy_dtype_promotion("standard")  # as in the experiment, whose compiled programs serve here too
def test_the_training_without_a_bug_is_that_of_jaxnaive(digits):
    run = pitfalls.without_bugs(pitfalls.Options(epochs=2, seeds=5), digits)
    rows = run.epochs[0]
    assert len(run.epochs) == 2 and rows.shape == (5, 144, 10)
    got = naive.train_epoch(run.weights, rows, run.images, run.labels, run.pixels, run.loss, run.num_trained)
    recipe = training.Recipe(layers.mlp(64, naive.HIDDEN, 10), optimizers.sgd(naive.LEARNING_RATE))
    w1, b1, w2, b2 = (w[1] for w in run.weights)
    params = ({"w": w1, "b": b1}, {"w": w2, "b": b2})
    state = training.State(params, recipe.optimizer.init(params), naive.KEY, jnp.zeros([], jnp.int32))

    def step(state, row):
        images, labels = digits.train
        batch = Batch(jnp.asarray(images.reshape(-1, 64))[row] / 255, jnp.asarray(labels)[row], jnp.ones(10))
        return training.train_step(state, batch, recipe)

    state, _ = jax.jit(lambda state: jax.lax.scan(step, state, rows[1]))(state)
    for ours, theirs in zip(got, [p[name] for p in state.params for name in "wb"], strict=True):
        np.testing.assert_allclose(ours[1], theirs, rtol=1e-4, atol=1e-5)


def test_the_table_is_narrow_and_the_picture_is_there(result, capsys):
    pitfalls.show(result[0])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120 and lines[-1] == "12 of 18 are silent in JAX"
    assert (result[1] / "pitfalls.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"examples": 255}, "examples: got 255, expected 256 or more"),
        ({"epochs": 1}, "epochs: got 1, expected 2 or more"),
        ({"seeds": 1}, "seeds: got 1, expected 2 or more"),
        ({"dataset": "minst"}, "got 'minst'"),
        ({"dataset": "three.npz"}, "got uint8 in 3 classes, expected grey values"),
        ({"dataset": "floats.npz"}, "got float32 in 10 classes, expected grey values"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    images = np.zeros((100, 4), np.uint8)
    np.savez("three.npz", images=images, labels=np.arange(100) % 3)
    np.savez("floats.npz", images=images / 255, labels=np.arange(100) % 10)
    with pytest.raises(command.UsageError, match=message):
        pitfalls.main(pitfalls.Options(**{"dataset": "digits", "out": tmp_path / "out"} | changes))
