"""Labels of any kind become classes with names, or targets."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from jaxnaive.data import labels, schema
from jaxnaive.data.schema import Classes, Targets

CLASSES = np.repeat(np.arange(10), 10)
WORDS = np.array(["cat", "dog"])[CLASSES % 2]


class Frame:
    """What a data frame or a series of pandas is to NumPy."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (CLASSES[:, None].astype(np.uint8), range(10)),
        (Frame(CLASSES[:, None]), range(10)),
        (CLASSES.astype(str), range(10)),
        (CLASSES.astype(str).astype(object), range(10)),
        (CLASSES.astype(bytes), range(10)),
        (CLASSES.astype(float), range(10)),
        (CLASSES.astype(object), range(10)),
        (np.eye(10)[CLASSES], range(10)),
        (np.eye(10, dtype=bool)[CLASSES], range(10)),
        (CLASSES > 4, (False, True)),
        (CLASSES.astype(np.uint64), range(10)),
        (CLASSES - 5, range(-5, 5)),
        (CLASSES + 1, range(1, 11)),
        (CLASSES * 10**9, range(0, 10**10, 10**9)),
        (WORDS, ("cat", "dog")),
        (list(WORDS), ("cat", "dog")),
    ],
)
def test_b5_b6_labels_of_any_kind_are_classes_with_names(given, names):
    outputs, said, warnings = labels.learn(given)
    assert outputs.names == tuple(map(str, names)) and not warnings
    assert said.startswith(f"labels: {len(names)} classes: {next(iter(names))}, ")
    encoded = labels.encode(given, outputs)
    assert encoded.dtype == np.int32 and encoded.max() == len(names) - 1
    expected = WORDS if names == ("cat", "dog") else CLASSES > 4 if len(names) == 2 else CLASSES
    np.testing.assert_array_equal(encoded, np.unique(expected, return_inverse=True)[1])


def test_numbers_in_strings_are_in_the_order_of_numbers():
    assert labels.learn(["10", "9", "9", "-1"])[0].names == ("-1", "9", "10")


def test_names_that_are_known_keep_their_places_and_an_empty_class_is_said():
    named = labels.by_name([0, 2, 2], ["a", "b", "c"])
    assert named.tolist() == ["a", "c", "c"]
    outputs, _, warnings = labels.learn(named, ["a", "b", "c"])
    assert labels.encode(named, outputs).tolist() == [0, 2, 2]
    assert warnings == ["labels: no example of b"]


def test_s92_fractions_and_several_numbers_are_targets():
    rng = np.random.default_rng(0)
    for given in (rng.normal(5, 3, 50), rng.normal(5, 3, (50, 1)), rng.normal(5, 3, (50, 2))):
        outputs, said, _ = labels.learn(given)
        assert isinstance(outputs, Targets) and said.startswith("targets: target")
        encoded = labels.encode(given, outputs)
        assert encoded.dtype == np.float32 and encoded.ndim == 2
        np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(encoded.std(axis=0), 1, atol=1e-6)
    assert labels.learn(rng.normal(size=(9, 2)), target_names=["x", "y"])[0].names == ("x", "y")


def test_whole_numbers_that_may_be_either_are_refused_with_both_readings():
    ages = np.arange(100)
    with pytest.raises(
        ValueError, match=r"100 different whole numbers in 100 .* say task='classification' or"
    ):
        labels.learn(ages)
    assert isinstance(labels.learn(ages, task="regression")[0], Targets)
    assert len(labels.learn(ages, task="classification")[0].names) == 100
    assert len(labels.learn(np.repeat(ages, 5))[0].names) == 100
    with pytest.raises(ValueError, match="101 different whole numbers in 1,010 examples"):
        labels.learn(np.repeat(np.arange(101), 10))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, None, 2], "labels: got 1 of 3 missing"),
        (np.array([1.0, np.nan]), "labels: got 1 of 2 missing or infinite"),
        (["a", 1, 2], "labels: got a mixture of numbers and strings"),
        ([[1, 2], [3]], "labels: got a ragged list"),
        (np.zeros((3, 2, 2)), r"labels: got shape \(3, 2, 2\)"),
        ([], r"labels: got shape \(0,\)"),
        (np.array([1j, 2j]), "labels: got complex128"),
        (["cat", "cat"], "labels: got one class only, cat"),
        (np.array([["a", "b"], ["c", "d"]]), "labels: got 2 values an example, not one-hot"),
        (np.array([0.5, 0.5]), "labels: got the same number in all examples"),
        (np.full(199, 0.1), "labels: got the same number in all examples"),
        (np.array([[1, 1], [0, 1]]), "labels: got rows that may be several classes an example"),
        (np.array([[0.3, 0.7], [0.1, 0.9]]), "labels: got rows that may be probabilities"),
        (np.ma.masked_equal([1, 2, 3], 3), "labels: got masked labels"),
        (["a", pd.NA], "labels: got 1 of 2 missing"),
    ],
)
def test_b5_labels_that_say_nothing_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        labels.learn(given)


def test_a_label_of_no_class_is_refused():
    with pytest.raises(ValueError, match="test labels: got bird, expected one of cat, dog"):
        labels.encode(["cat", "bird"], Classes(("cat", "dog")), "test labels")
    with pytest.raises(ValueError, match="labels: got 2, expected 0 to 1, for 2 classes"):
        labels.by_name([0, 2], ["a", "b"])
    for names in ([], ["a", "a"]):
        with pytest.raises(ValueError, match=r"class names: got .*, expected another for each class"):
            labels.learn(["a", "a"], names)
    with pytest.raises(ValueError, match="labels: got 18446744073709551615, expected at most"):
        labels.learn(np.array([1, 2**64 - 1], np.uint64))
    assert labels.learn(["+-3", "4"])[0].names == ("+-3", "4")
    with pytest.raises(ValueError, match="labels: got 1 targets an example, expected 2"):
        labels.encode([1.5, 2.5], Targets(("a", "b"), (0.0, 0.0), (1.0, 1.0)))
    with pytest.raises(ValueError, match="numbers with a fraction, expected classes"):
        labels.learn([0.5, 1.5], task="classification")


@pytest.mark.parametrize(
    ("given", "answers"),
    [
        (CLASSES + 1, CLASSES + 1),
        (CLASSES.astype(float), CLASSES),
        (np.eye(10)[CLASSES], CLASSES),
        (CLASSES > 4, CLASSES > 4),
        (WORDS, WORDS),
        (CLASSES.astype(str), CLASSES.astype(str)),
    ],
)
def test_answers_are_of_the_kind_of_the_labels(given, answers):
    outputs: Any = labels.learn(given)[0]
    found = schema.answers(labels.encode(given, outputs), outputs)
    assert found.dtype.kind == answers.dtype.kind
    np.testing.assert_array_equal(found, answers)
