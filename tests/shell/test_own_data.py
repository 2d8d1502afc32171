"""From the files that people have to a network as good as scikit-learn's, in a few lines each."""

import gzip
import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn.datasets
from PIL import Image
from pyarrow import parquet
from sklearn.neural_network import MLPClassifier, MLPRegressor

import jaxnaive as jn
from jaxnaive.batches import as_features

SKLEARN_FILES = Path(sklearn.datasets.__file__).parent / "data"
HIDDEN = (64,)
XY = (np.random.default_rng(0).normal(size=(9, 2)), np.arange(9) % 3)
FRAME = pd.DataFrame({"class": ["a", "b"] * 4, "survived": [0, 1] * 4, "age": range(8)})

pytestmark = [pytest.mark.optimise, pytest.mark.xdist_group("own data")]


@pytest.fixture(scope="module")
def some(mnist):
    """1,250 images of MNIST, as many of each digit, mixed."""
    labels = np.asarray(mnist.train.labels)
    places = np.sort(np.concatenate([np.flatnonzero(labels == digit)[:125] for digit in range(10)]))
    return np.asarray(mnist.train.images)[places], labels[places]


def idx(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


SCORES: dict[str, tuple[float, float]] = {}  # of scikit-learn, and their standard errors, by fingerprints


def scikit_learn_s(data):
    """The score of scikit-learn's network on the same split, and its standard error."""
    train, test = (np.asarray(as_features(part.images)) for part in (data.train, data.test))
    truth, count = np.asarray(data.test.labels), len(test)
    if data.schema.is_regression:
        model: Any = MLPRegressor(hidden_layer_sizes=HIDDEN, random_state=0)
        errors = (
            np.square(model.fit(train, data.train.labels[:, 0]).predict(test) - truth[:, 0]) / truth.var()
        )
        return 1 - errors.mean(), errors.std(ddof=1) / count**0.5
    score = MLPClassifier(HIDDEN, random_state=0).fit(train, np.asarray(data.train.labels)).score(test, truth)
    return score, (max(score * (1 - score), 1 / count) / count) ** 0.5


def assert_as_good_as_scikit_learn(data, network):
    """Within one standard error, or better."""
    fingerprint = jn.data.fingerprint(data)
    if fingerprint not in SCORES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that its default of 200 epochs is not the end
            SCORES[fingerprint] = scikit_learn_s(data)
    score, error = SCORES[fingerprint]
    assert network.evaluate(data.test).score[1] >= score - error


def test_iris_and_wine_from_scikit_learn_s_csv():
    for name in ("iris.csv", "wine_data.csv"):
        data = jn.data.load(SKLEARN_FILES / name)
        network = jn.fit(data, hidden=HIDDEN)
        assert_as_good_as_scikit_learn(data, network)
    assert data.class_names == ("class_0", "class_1", "class_2")


@pytest.mark.parametrize("kind", ["csv", "parquet", "pandas", "polars"])
def test_s92_the_diabetes_regression(tmp_path, kind):
    loaded: Any = sklearn.datasets.load_diabetes(as_frame=True, scaled=False)
    frame = loaded.frame
    if kind == "csv":
        source: Any = tmp_path / "diabetes.csv"
        frame.to_csv(source, index=False)
    elif kind == "parquet":
        source = str(tmp_path / "diabetes.parquet")
        frame.to_parquet(source)
    else:
        source = frame if kind == "pandas" else pl.from_pandas(frame)
    data = jn.data.load(source, label="target", task="regression")
    network = jn.fit(data, hidden=HIDDEN, patience=15)
    assert data.notes[0] == "targets: target, 25 to 346"
    predicted = network.predict(frame.drop(columns="target"))
    np.testing.assert_array_equal(predicted.values, network.predict(frame).values)
    if kind == "csv":
        assert_as_good_as_scikit_learn(data, network)
        np.testing.assert_array_equal(network.predict(source).values, predicted.values)
        assert network.predict(frame.iloc[0].to_dict()).values == pytest.approx(predicted.values[:1])


def test_kaggle_s_digits_as_csv(some, tmp_path):
    images, labels = some
    header = "label," + ",".join(f"pixel{place}" for place in range(784))
    table = np.column_stack([labels, images.reshape(len(images), -1)])
    np.savetxt(tmp_path / "train.csv", table, "%d", ",", header=header, comments="")
    data = jn.data.load(tmp_path / "train.csv")
    network = jn.fit(data, hidden=HIDDEN)
    assert data.schema.shape == (28, 28) and data.train.images.dtype == np.uint8
    assert_as_good_as_scikit_learn(data, network)
    rows = pd.DataFrame(images[:5].reshape(5, -1), columns=header.split(",")[1:])  # as in its test.csv
    np.testing.assert_array_equal(network.predict(rows).values, network.predict(images[:5]).values)


def test_a_folder_of_1000_pictures(some, tmp_path):
    images, labels = some
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        if number % 5:
            (tmp_path / "digits" / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / "digits" / str(label) / f"{number}.png")
    data = jn.data.load(tmp_path / "digits")
    network = jn.fit(data, hidden=HIDDEN)
    assert len(data.train.labels) + len(data.test.labels) == 1000
    assert_as_good_as_scikit_learn(data, network)
    path = next((tmp_path / "digits" / "7").iterdir())
    assert network.predict(path).probabilities.shape == (1, 10)


def test_a_parquet_file_as_hugging_face_has_it(some, tmp_path):
    def png(image):
        with io.BytesIO() as buffer:
            Image.fromarray(image).save(buffer, "PNG")
            return buffer.getvalue()

    images, labels = some
    for split, part in (("train", slice(0, 1000)), ("test", slice(1000, None))):
        table = pa.table(
            {"image": [{"bytes": png(image), "path": None} for image in images[part]], "label": labels[part]}
        )
        (tmp_path / "data").mkdir(exist_ok=True)
        parquet.write_table(table, tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    data = jn.data.load(tmp_path)
    network = jn.fit(data, hidden=HIDDEN)
    np.testing.assert_array_equal(data.test.images, images[1000:])
    assert_as_good_as_scikit_learn(data, network)
    by_file = network.predict(tmp_path / "data" / "test-00000-of-00001.parquet")
    np.testing.assert_array_equal(by_file.values, network.predict(data.test).values)
    with pytest.raises(ValueError, match=r"test: got 0\.5 for a source with a test set"):
        jn.data.load(tmp_path, test=0.5)


def test_torchvision_s_raw_folder(some, tmp_path):
    images, labels = some
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split, part in (("train", slice(0, 1000)), ("t10k", slice(1000, None))):
        (raw / f"{split}-images-idx3-ubyte").write_bytes(gzip.decompress(idx(images[part])))
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(gzip.decompress(idx(labels[part].astype(np.uint8))))
    data = jn.data.load(raw)
    network = jn.fit(data, hidden=HIDDEN)
    np.testing.assert_array_equal(data.test.images, images[1000:])
    assert_as_good_as_scikit_learn(data, network)


def test_emnist_s_letters(some, tmp_path):
    images, labels = some  # digits in the place of letters, from A
    for split, part in (("train", slice(0, 1000)), ("test", slice(1000, None))):
        stored = np.ascontiguousarray(images[part].swapaxes(1, 2))
        (tmp_path / f"emnist-letters-{split}-images-idx3-ubyte.gz").write_bytes(idx(stored))
        numbers = (labels[part] + 1).astype(np.uint8)
        (tmp_path / f"emnist-letters-{split}-labels-idx1-ubyte.gz").write_bytes(idx(numbers))
    data = jn.data.load(tmp_path / "emnist-letters-train-images-idx3-ubyte.gz")
    network = jn.fit(data, hidden=HIDDEN)
    np.testing.assert_array_equal(data.test.images, images[1000:])
    assert data.class_names == tuple("ABCDEFGHIJ")
    assert_as_good_as_scikit_learn(data, network)


# --- what trained without a word, and was wrong ------------------------------------------------------


def accuracy(images, labels, epochs=25, **options):
    data = jn.data.load((images, labels))
    return jn.fit(data, hidden=HIDDEN, epochs=epochs, **options).evaluate(data.test).accuracy


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint16])
def test_b8_0_to_255_in_another_dtype_is_the_same(some, dtype):
    images, labels = some
    expected = jn.data.load(some)
    data = jn.data.load((images.astype(dtype), labels))
    np.testing.assert_array_equal(data.train.images, expected.train.images)
    assert data.train.images.dtype == np.uint8 and data.schema == expected.schema


def test_b8_integers_0_and_1_are_as_good_as_floats(some):
    images, labels = some
    ink = images > 127
    assert accuracy(ink.astype(np.int64), labels) == accuracy(ink.astype(np.float32), labels) > 0.8


def test_b8_digits_of_0_to_16_are_as_good_as_grey_values():
    digits: Any = sklearn.datasets.load_digits()
    assert accuracy(digits.images, digits.target) > 0.95
    assert accuracy(digits.data.astype(int), digits.target) > 0.95


def test_a_table_of_measurements_is_scaled():
    wine: Any = sklearn.datasets.load_wine()
    assert accuracy(wine.data, wine.target) > 0.9


def test_labels_1_to_10_are_ten_classes(some):
    images, labels = some
    data = jn.data.load((images, labels + 1))
    assert data.class_names == tuple(map(str, range(1, 11))) and data.num_outputs == 10
    assert np.bincount(data.train.labels).min() > 0


def test_data_that_are_sorted_by_class_are_split_in_all_classes(some):
    order = np.argsort(some[1], kind="stable")
    data = jn.data.load((some[0][order], some[1][order]))
    assert np.bincount(data.test.labels).tolist() == [25] * 10
    assert jn.fit(data, hidden=HIDDEN, epochs=25).evaluate(data.test).accuracy > 0.8
    train, held_out = jn.splits.hold_out(data.train)
    assert np.bincount(held_out.labels).tolist() == [10] * 10 and len(train.labels) == 900


def test_a_learning_rate_of_20_is_loud(some, caplog):
    data = jn.data.load(some)
    jn.fit(data, hidden=HIDDEN, learning_rate=20.0, epochs=25)
    assert "it did not learn: " in caplog.text


def test_100_examples_need_no_option():
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 2
    assert accuracy(rng.normal(size=(100, 8)) + 2 * labels[:, None], labels) > 0.8


def test_a_class_with_one_example_is_trained_on():
    labels = np.append(np.arange(20) % 2, 2)
    data = jn.data.load((np.random.default_rng(0).normal(size=(21, 3)), labels))
    assert np.bincount(data.train.labels).tolist() == [8, 8, 1] and 2 not in data.test.labels


# --- a test set of its own, and options ------------------------------------------------------------------


def test_the_test_set_is_the_test_part_of_what_is_named(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)), np.arange(30) % 3
    np.savez(tmp_path / "both.npz", X=x, y=y, X_test=x[:6] + 0.01, y_test=y[:6])
    for name, array in {"X": x, "y": y, "X_test": x[:6] + 0.01, "y_test": y[:6]}.items():
        np.save(tmp_path / f"{name}.npy", array)
    expected = jn.data.load(tmp_path / "both.npz")
    for source, test in (
        ((x, y), tmp_path / "both.npz"),
        (tmp_path / "X.npy", tmp_path / "X_test.npy"),
        ({"X": x, "y": y}, (x[:6] + 0.01, y[:6])),
    ):
        assert jn.data.fingerprint(jn.data.load(source, test=test)) == jn.data.fingerprint(expected)


def test_a_test_set_may_be_a_frame_or_a_fraction():
    frame = pd.DataFrame({"x": np.arange(40.0), "z": np.arange(40.0) ** 2, "kind": ["a", "b"] * 20})
    data = jn.data.load(frame[:30], label="kind", test=frame[30:])
    assert (len(data.train.labels), len(data.test.labels)) == (30, 10)
    assert len(jn.data.load(frame, label="kind", test=0.5).test.labels) == 20
    with pytest.raises(ValueError, match=r"test: got 1\.5, expected a source, or more than 0"):
        jn.data.load(frame, label="kind", test=1.5)


def test_class_names_of_a_test_set_in_another_order_are_kept(tmp_path):
    x = np.random.default_rng(0).normal(size=(10, 2))
    np.savez(tmp_path / "a.npz", X=x, y=[0, 1] * 5, class_names=["cat", "dog"])
    np.savez(tmp_path / "b.npz", X=x, y=[1, 0] * 5, class_names=["dog", "cat"])
    data = jn.data.load(tmp_path / "a.npz", test=tmp_path / "b.npz")
    np.testing.assert_array_equal(data.train.labels, data.test.labels)


def test_the_names_of_labels_are_those_of_their_columns():
    frame = pd.DataFrame({"x": np.arange(9.0), "b": np.arange(9.0) ** 2, "medv": np.arange(9) + 0.5})
    data = jn.data.load(frame)
    assert data.schema.outputs.names == ("medv",) and data.notes[0] == "label: column medv"
    assert jn.data.load(frame, label=[-1, "b"]).schema.outputs.names == ("medv", "b")
    flags = pd.get_dummies(pd.Series(["u", "v", "w"] * 3))
    assert jn.data.load((frame[["x"]], flags)).class_names == ("u", "v", "w")


# --- other sources -----------------------------------------------------------------------------------


def test_arrays_come_in_pairs_of_several_kinds(some, tmp_path):
    images, labels = (array[:200] for array in some)
    expected = jn.data.load((images[:150], labels[:150], images[150:], labels[150:]))
    two_pairs = ((images[:150], labels[:150]), (images[150:], labels[150:]))
    for name, array in (("a", images[:150]), ("b", labels[:150])):
        np.save(tmp_path / f"{name}.npy", array)
    for data in (
        jn.data.load(two_pairs),
        jn.data.load((images[:150], labels[:150]), test=(images[150:], labels[150:])),
        jn.data.load((tmp_path / "a.npy", str(tmp_path / "b.npy")), test=two_pairs[1]),
    ):
        assert jn.data.fingerprint(data) == jn.data.fingerprint(expected)


def test_a_dataset_is_found_again_with_all_that_was_said_about_it(tmp_path, monkeypatch):
    frame = pd.DataFrame({"x": range(40), "noise": range(40), "kind": ["a", "b"] * 20})
    frame.to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.chdir(tmp_path)
    data = jn.data.load("t.csv", label="kind", ignore=["noise"])
    jn.fit(data, hidden=(), epochs=2, learning_rate=0.01, out="run")
    monkeypatch.chdir("/")
    network = jn.load(tmp_path / "run")
    again = jn.networks.load_dataset(network)
    assert jn.data.fingerprint(again) == jn.data.fingerprint(data) and again.schema == data.schema
    assert network.config["label"] == "kind" and network.config["ignore"] == ["noise"]


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ("nothing.csv", {}, FileNotFoundError, "nothing.csv: there is no such file or folder"),
        ("minst", {}, ValueError, "got 'minst', which is neither a name nor a file or folder; did you mean"),
        (3, {}, ValueError, "dataset: got int, expected a name, a path, a data frame, or arrays"),
        ("digits", {"label": "x"}, ValueError, "label: got 'x' for a dataset with a name"),
        (([[1.0]], [0]), {"label": "x"}, ValueError, "label: got 'x' for arrays, expected none"),
        (([[1.0], [2.0]], ["a", "a"]), {}, ValueError, "labels: got one class only, a"),
        (
            XY,
            {"scaling": "standard"},
            ValueError,
            "scaling: got 'standard', expected range or columns",
        ),
        (XY, {"task": "regress"}, ValueError, "task: got 'regress', expected classification or regression"),
        (XY, {"size": 4}, ValueError, "size: got 4, expected height and width"),
        (XY, {"size": (14, 14)}, ValueError, r"size: got \(14, 14\) for arrays"),
        (XY, {"weight": "a"}, ValueError, "weight: got 'a', expected 9 numbers"),
        (XY, {"weight": np.zeros(9)}, ValueError, "weight: got float32 .*, expected 9 numbers, more than 0"),
        ("digits", {"weight": [1]}, ValueError, "weight: got .* for a dataset with a name"),
        ((*XY, np.arange(9), XY[1]), {}, ValueError, r"images: got shape \(9,\)"),
        ((XY[0], XY[0], XY[1], XY[1]), {}, ValueError, r"got \(X, X_test, y, y_test\), as it seems"),
        ((*XY, [[1, 2], [3]], XY[1]), {}, ValueError, "inputs: got a ragged list"),
        (FRAME, {"label": []}, ValueError, "label: got no column"),
        (FRAME, {"label": 1.0}, ValueError, "label: got 1.0, expected a column's name or place"),
        (FRAME, {}, ValueError, "label: got 2 columns that may be it; .* one of: 'class', 'survived'"),
        (
            pd.DataFrame(np.eye(3), columns=[2, 1, 0]),
            {"label": 0},
            ValueError,
            "got the place 0, and there is a",
        ),
    ],
)
def test_what_is_no_dataset_is_refused(as_a_user, source, options, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        jn.data.load(source, **options)
