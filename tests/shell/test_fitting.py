"""From a dataset to a network that is used, saved and loaded."""

import contextlib
import gc
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from conftest import assert_trees_close
from sklearn.datasets import load_iris

from jaxnaive import data, job, layers, networks, runs, training
from jaxnaive.batches import Examples
from jaxnaive.disk import checkpoints
from jaxnaive.job import Job
from jaxnaive.networks import chunks, exports, fitting, measures
from jaxnaive.pages import report
from jaxnaive.runs import certificates

IRIS: Any = load_iris()
fit: Any = fitting.fit
SPECIES = IRIS.target_names[IRIS.target]
SMALL = {"hidden": (8,), "epochs": 6, "batch_size": 20}


@pytest.fixture(scope="module")
def iris():
    return data.load((IRIS.data, SPECIES))


@pytest.fixture(scope="module")
def network(iris):
    return fit(iris, hidden=(16,), epochs=30, batch_size=20, learning_rate=0.02)


def test_it_is_the_training_of_the_core_on_what_is_not_held_out(iris):
    network = fit(iris, **SMALL, validation=0.2, seed=3)
    planned: Any = fitting.plan(Job(**SMALL, validation=0.2, seed=3), iris)
    assert (len(planned.train.labels), len(planned.validation.labels)) == (96, 24)
    assert np.bincount(planned.validation.labels).tolist() == [8, 8, 8]
    params, history = training.train(jax.random.key(3), planned.train, planned.recipe, 6)
    assert_trees_close((network.params, network.history.loss), (params, history.loss), rtol=1e-5, atol=1e-6)
    evaluation = training.evaluate(network.params, planned.validation, planned.recipe)
    assert network.history.validation[-1] == pytest.approx(float(evaluation.loss), rel=1e-5)


def test_it_evaluates_and_predicts_what_a_user_has(iris, network):
    measured = network.evaluate(iris.test)
    assert measured.accuracy > 0.9 and repr(measured).startswith(f"accuracy {measured.accuracy:.4f}, loss ")
    found = network.predict(IRIS.data[::50])
    assert found.values.tolist() == ["setosa", "versicolor", "virginica"]
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    one = network.predict(IRIS.data[0]).probabilities
    np.testing.assert_allclose(one, found.probabilities[:1], rtol=1e-5)
    np.testing.assert_array_equal(network.predict(IRIS.data[0].tolist()).values, ["setosa"])
    everything = network.evaluate(IRIS.data, SPECIES)
    assert everything.accuracy == pytest.approx(np.mean(network.predict(IRIS.data).values == SPECIES))
    with pytest.raises(ValueError, match=r"labels: got none, expected Examples, such as dataset\.test"):
        network.evaluate(IRIS.data)


def test_one_file_holds_all_of_it_in_another_process_and_folder(iris, network, tmp_path):
    network.save(tmp_path / "iris.safetensors")
    (tmp_path / "elsewhere").mkdir()
    script = (
        "import jaxnaive as jn, numpy as np\n"
        "network = jn.load('../iris.safetensors')\n"
        "print(repr(network), network.predict(np.load('../rows.npy')).values.tolist())"
    )
    np.save(tmp_path / "rows.npy", IRIS.data[::50])
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "elsewhere", capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{network!r} ['setosa', 'versicolor', 'virginica']\n"
    named = safetensors.numpy.load_file(tmp_path / "iris.safetensors")  # by that library alone
    np.testing.assert_array_equal(named["0.w"], network.params[0]["w"])
    assert sorted(named) == ["0.b", "0.w", "1.b", "1.w"]


def test_what_is_no_network_in_a_file_is_refused(network, tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    monkeypatch.setattr(networks, "FORMAT", 2)
    network.save(path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="format 2, expected 1; another jaxnaive wrote this network"):
        networks.load(path)
    checkpoints.save(path, network.params, {"epoch": 1})
    with pytest.raises(ValueError, match=r"got a checkpoint of a run, expected a file that Network\.save"):
        networks.load(path)
    checkpoints.save_params(path, network.params)
    with pytest.raises(checkpoints.DamagedError):
        networks.load(path)
    with pytest.raises(runs.RefusedError, match="there is no run"):
        networks.load(str(tmp_path / "nothing"))
    with pytest.raises(runs.RefusedError, match="there is no such file or folder"):
        networks.load(str(tmp_path / "nothing.safetensors"))


def test_a_run_with_a_folder_goes_on_and_is_a_run_of_the_main_job(iris, tmp_path, caplog):
    out = tmp_path / "run"
    whole = fit(iris, **SMALL, patience=50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_is_over", lambda own, losses, watched: len(losses) == 2)
        fit(iris, **SMALL, patience=50, out=out)
    certificates.remove(out)
    again = fit(iris, **SMALL, patience=50, out=str(out))
    assert_trees_close(again.params, whole.params)
    np.testing.assert_array_equal(again.history.validation, whole.history.validation)
    loaded = networks.load(out)
    assert_trees_close(loaded.params, whole.params)
    assert loaded.schema == iris.schema and loaded.predict(IRIS.data[:1]).values.tolist() == ["setosa"]
    assert runs.stored_config(out)["experiment"] == "mnist"
    with pytest.raises(runs.RefusedError, match="seed: got 1, but the run in"):
        fit(iris, **SMALL, patience=50, out=out, seed=1)


def test_the_best_parameters_in_validation_are_kept_and_the_end_is_early(iris):
    seen = []

    class Watching(fitting.Unsaved):
        def save(self, state, loss, validation_loss=None):
            seen.append((validation_loss, state.params))
            super().save(state, loss, validation_loss)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "Unsaved", Watching)
        network = fit(iris, hidden=(64,), epochs=60, patience=4, learning_rate=0.3, batch_size=10)
    losses: Any = [loss for loss, _ in seen]
    best = int(np.argmin(losses))
    assert len(losses) == best + 5 < 60
    assert_trees_close(network.params, seen[best][1])
    np.testing.assert_allclose(network.history.validation, losses)


def test_several_seeds_are_those_one_by_one(iris):
    together = fit(iris, **SMALL, seeds=3, seed=5, patience=20)
    alone = [fit(iris, **SMALL, seed=seed, patience=20) for seed in (5, 6, 7)]
    for i, one in enumerate(alone):
        own = jax.tree.map(lambda leaf, i=i: leaf[i], together.params)
        assert_trees_close(own, one.params, rtol=1e-4, atol=1e-5)
    scores = [one.evaluate(iris.test).accuracy for one in alone]
    measured = together.evaluate(iris.test)
    assert measured.accuracy == pytest.approx(np.mean(scores))
    assert measured.deviation == pytest.approx(np.std(scores, ddof=1))
    expected = np.mean([one.predict(IRIS.data[:5]).probabilities for one in alone], axis=0)
    np.testing.assert_allclose(together.predict(IRIS.data[:5]).probabilities, expected, atol=1e-4)
    assert together.history.loss.shape[0] == 3 and "3 seeds" in repr(together)


def test_s92_a_regression_predicts_in_units(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(0, [1, 100], (200, 2))
    y = np.column_stack([5000 + 300 * x[:, 0], x[:, 1] - 40.5])
    dataset = data.load((x, y))
    network = fit(dataset, hidden=(), epochs=150, batch_size=20, learning_rate=0.05, optimizer="adam")
    measured = network.evaluate(dataset.test)
    assert np.isnan(measured.accuracy) and measured.r_squared > 0.999 and repr(measured).startswith("R2 ")
    np.testing.assert_allclose(network.predict(x[:3]).values, y[:3], rtol=0.02, atol=5)
    assert network.predict(x[:3]).probabilities.shape == (3, 0)
    network.save(tmp_path / "net.safetensors")
    again = networks.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again.predict(x).values, network.predict(x).values)
    one = fit(data.load((x, y[:, 1])), **SMALL)
    assert one.predict(x[:3]).values.shape == (3,)


class OwnModel:
    """An object with ``init`` and ``forward``."""

    def init(self, key):
        return {"v": layers.he_normal(key, (4, 8)), "w": jnp.zeros((8, 3))}

    def forward(self, params, x):
        return jnp.tanh(x @ params["v"]) @ params["w"]


def with_flax():
    nn = pytest.importorskip("flax.linen")
    module = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(3)])
    return (lambda key: module.init(key, jnp.zeros((1, 4)))), module.apply


def with_equinox():
    eqx = pytest.importorskip("equinox")

    def make(key):
        return eqx.nn.MLP(4, 3, width_size=8, depth=1, key=key)

    _, static = eqx.partition(eqx.filter_eval_shape(make, jax.random.key(0)), eqx.is_array_like)

    def forward(params, x):
        return jax.vmap(eqx.combine(params, static))(x)

    return (lambda key: eqx.filter(make(key), eqx.is_array)), forward


@pytest.mark.parametrize("make", [OwnModel, with_flax, with_equinox, lambda: layers.mlp(4, 8, 3)])
def test_any_model_of_jax_fits_in(iris, tmp_path, make):
    model = make()
    with jax.numpy_dtype_promotion("standard"):
        network = fit(iris, model, epochs=30, batch_size=20, learning_rate=0.05)
        assert network.evaluate(iris.test).accuracy > 0.85
        network.save(tmp_path / "net.safetensors")
        with pytest.raises(ValueError, match=r"got a network with a model of one's own; load it with model="):
            networks.load(tmp_path / "net.safetensors")
        again = networks.load(tmp_path / "net.safetensors", model)
        np.testing.assert_array_equal(again.predict(IRIS.data).values, network.predict(IRIS.data).values)


def test_classes_and_examples_can_weigh_more():
    rng = np.random.default_rng(0)
    labels = (np.arange(400) % 20 == 0).astype(int)
    x = rng.normal(size=(400, 2)) + 1.2 * labels[:, None]
    dataset = data.load((x, labels))
    options = {"hidden": (), "epochs": 60, "batch_size": 40, "learning_rate": 0.05}
    plain = fit(dataset, **options).evaluate(dataset.test).by_class["1"]
    measured = fit(dataset, **options, class_weights=True).evaluate(dataset.test)
    assert measured.by_class["1"][0] > plain[0]
    assert "(0 " in repr(measured) and "1 " in measured.classes  # imbalanced data show each class
    weighted = data.load((x, labels), weight=np.where(labels, 20.0, 1.0))
    assert fit(weighted, **options).evaluate(dataset.test).by_class["1"][0] > plain[0]
    with pytest.raises(ValueError, match="weight: got float32 of shape \\(3,\\), expected 400 numbers"):
        data.load((x, labels), weight=[1, 2, 3])


def test_what_did_not_learn_says_so(iris, caplog, digits, tmp_path):
    fit(digits, hidden=(16,), learning_rate=20.0, optimizer="nesterov", epochs=4, out=tmp_path / "run")
    assert "it did not learn: " in caplog.text and "try a lower learning rate" in caplog.text
    assert "did_not_learn" in json.loads((tmp_path / "run" / "certificate.json").read_text())
    caplog.clear()
    network = fit(iris, **SMALL, learning_rate=0.05, out=tmp_path / "good")
    certificate: Any = certificates.read(tmp_path / "good")
    assert not caplog.text and "did_not_learn" not in certificate
    history = training.History(np.array([[1.0, 1.0], [1.0, 2.0]]))
    assert "the loss did not fall: 1 in the first" in measures.problem(network.evaluate(iris.test), history)


@pytest.mark.parametrize("validation", [0.0, 0.1])
def test_more_than_the_memory_is_trained_on_a_chunk_at_a_time_with_the_same_result(tmp_path, validation):
    rng = np.random.default_rng(0)
    labels = np.arange(500) % 3
    images = (rng.integers(0, 200, (500, 6, 6)) + 20 * labels[:, None, None]).astype(np.uint8)
    for name, array in (("X", images), ("y", labels)):
        np.save(tmp_path / f"{name}.npy", array)
    dataset = data.load(tmp_path / "X.npy")
    options = {"hidden": (8,), "epochs": 3, "batch_size": 32, "validation": validation, "learning_rate": 0.1}
    whole, parts = fit(dataset, **options), fit(dataset, **options, memory=3000)
    assert_trees_close(parts.params, whole.params, rtol=1e-5, atol=1e-6)
    assert_trees_close(parts.history, whole.history, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="seeds: got 2 and more examples than memory"):
        fit(dataset, **options, memory=3000, seeds=2)


def test_no_more_than_the_memory_is_on_the_device(monkeypatch):
    largest = []
    monkeypatch.setattr(
        chunks, "train_steps", lambda state, part, table, recipe: (largest.append(part.images.nbytes), state)
        and training.train_steps(state, part, table, recipe)
    )  # fmt: skip
    examples = Examples(np.zeros((1000, 100), np.float32), np.arange(1000, dtype=np.int32) % 2)
    recipe = training.Recipe(layers.mlp(100, 2), job.OPTIMIZERS["sgd"](0.1), batch_size=10)
    chunks.train_in_chunks(training.start(jax.random.key(0), recipe), examples, recipe, memory=100_000)
    assert max(largest) <= 100_000 / chunks.COPIES and sum(largest) == examples.images.nbytes


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"hiden": (3,)}, TypeError, "fit: got 'hiden', expected one of hidden.*did you mean 'hidden'"),
        ({"epochs": -1}, ValueError, "epochs: got -1, expected 0 or more"),
        ({"optimizer": "adamm"}, ValueError, "optimizer: got 'adamm'"),
        ({"patience": 3, "validation": 0.0}, ValueError, "patience: got 3 without validation"),
        ({"seeds": 0}, ValueError, "seeds: got 0, expected 1 or more"),
        ({"memory": 0}, ValueError, "memory: got 0, expected 1 or more"),
        ({"seeds": 2, "out": "runs/x"}, ValueError, "seeds: got 2 with a folder, which holds one run"),
        ({"model": OwnModel}, TypeError, r"model: got <class .*, expected an object with init\(key\)"),
        ({"model": layers.mlp}, TypeError, "model: got <function mlp"),
    ],
)
def test_what_cannot_be_is_refused(iris, arguments, error, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        fit(iris, **arguments)
    assert not list(tmp_path.iterdir())


def test_natural_mistakes_with_the_core_get_a_sentence(iris, as_a_user):
    model, sgd = layers.mlp(4, 3), job.OPTIMIZERS["sgd"]
    recipe: Any = training.Recipe(model, sgd(0.1))
    for run, message in (
        (lambda: training.train(jax.random.key(0), iris, recipe, 1), "got a Dataset, expected Examples"),
        (
            lambda: training.train(jax.random.key(0), iris.train, recipe._replace(optimizer=sgd), 1),
            "optimizer: got <function sgd",
        ),
        (
            lambda: training.train(jax.random.key(0), iris.train, recipe._replace(model=layers.mlp), 1),
            "model: got <function mlp",
        ),
    ):
        with pytest.raises(TypeError, match=message):
            run()


def test_it_prints_nothing_and_shows_itself_in_a_notebook(iris, capsys, caplog):
    caplog.set_level(logging.INFO)
    network = fit(iris, **SMALL, learning_rate=0.05)
    assert capsys.readouterr() == ("", "") and not caplog.text
    assert network._repr_png_().startswith(b"\x89PNG")
    assert repr(network) == "Network: 4-8-3 on arrays, 67 parameters"
    assert repr(iris).splitlines() == [
        "arrays: 120 training, 30 test examples of 4 numbers",
        "labels: 3 classes: setosa, versicolor, virginica",
        "values: 4 columns of numbers, each standardised",
    ]
    assert "virginica" in iris._repr_html_()


# --- what users run into -----------------------------------------------------------------------------


def test_answers_are_of_the_kind_of_the_labels():
    for labels in (IRIS.target + 1, IRIS.target == 0, SPECIES):
        network = fit(
            data.load((IRIS.data, labels)), hidden=(16,), epochs=30, batch_size=20, learning_rate=0.02
        )
        right = np.mean(network.predict(IRIS.data).values == labels)
        assert right == pytest.approx(network.evaluate(IRIS.data, labels).accuracy) and right > 0.8


def test_examples_are_not_scaled_twice(iris, network, caplog):
    values = network.predict(iris.test).values
    right = np.mean(values == np.array(iris.class_names)[iris.test.labels])
    assert right == pytest.approx(network.evaluate(iris.test).accuracy)
    network.predict(iris.test.images)
    assert "2 of 4 columns in other units than the training examples have" in caplog.text


def test_rows_by_name_have_to_have_the_same_columns(caplog):
    frame = pd.DataFrame({"a": np.arange(30.0), "b": np.arange(30.0) % 7, "kind": ["x", "y"] * 15})
    network = fit(data.load(frame, label="kind"), **SMALL)
    row = {"a": 1.0, "b": 2.0}
    by_frame = network.predict(pd.DataFrame([row, row])).probabilities
    np.testing.assert_array_equal(network.predict([row, row]).probabilities, by_frame)
    for rows, message in (
        ([row, {"a": 1.0, "B": 2.0}], "got rows of which only some have B, b"),
        ([{"a": 1.0}], "got no column b"),
        ([{"a": 1.0, "b": "x"}, row], "values of several kinds in a column"),
        ([{"a": 1.0, "b": np.inf}], "column b: got infinity"),
        ([{"a": 1e300, "b": 1.0}], "too large for float32"),
        ([], "inputs: got none"),
    ):
        with pytest.raises(ValueError, match=message):
            network.predict(rows)
    network.predict({"a": 1.0, "b": None})
    assert "column b: 1 missing, filled with the mean" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 2.5}, "epochs: got 2.5, expected a value like 3"),
        ({"epochs": "3"}, "epochs: got '3'"),
        ({"class_weights": "balanced"}, "class_weights: got 'balanced', expected a value like False"),
        ({"patience": True}, "patience: got True"),
        ({"batch_size": 32.0}, "batch_size: got 32.0"),
        ({"learning_rate": "0.1"}, "learning_rate: got '0.1'"),
        ({"hidden": (64.0,)}, r"hidden: got \[64.0\]"),
        ({"seeds": 2.0}, "seeds: got 2.0, expected how many"),
        ({"seed": 2**32 - 1, "seeds": 3}, "seed: got 4294967297"),
    ],
)
def test_options_of_a_wrong_type_are_refused_before_training(iris, options, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        fit(iris, **options)


def test_options_in_numpy_s_types_are_those_in_python_s(iris, tmp_path):
    options = {"hidden": np.int64(8), "epochs": np.int64(6), "batch_size": np.int32(20), "seed": np.int64(0)}
    fit(iris, **options, learning_rate=np.float64(0.05)).save(tmp_path / "net.safetensors")
    expected = fit(iris, **SMALL, learning_rate=0.05)
    assert_trees_close(networks.load(tmp_path / "net.safetensors").params, expected.params)


@pytest.mark.parametrize(
    ("under", "is_first"),
    [(lambda: jax.enable_x64(True), True), (lambda: jax.enable_x64(True), False), (jax.disable_jit, True)],
    ids=["begun in x64", "ended in x64", "begun without jit"],
)
def test_a_run_goes_on_and_is_reported_and_exported_under_other_settings_of_jax(
    iris, tmp_path, under, is_first
):
    options = {"batch_size": 40, "schedule": "constant"}
    model = layers.mlp(4, 8, 3)  # of one's own: the run knows it by its program
    settings = [under, contextlib.nullcontext][:: 1 if is_first else -1]
    for setting, epochs in zip(settings, (2, 4), strict=True):
        with setting():
            fit(iris, model, epochs=epochs, out=tmp_path, **options)
    expected = fit(iris, model, epochs=4, **options)
    tolerance = 1e-5 if under is jax.disable_jit else 0.0
    pages = []
    for setting in settings:
        with setting():
            network = networks.load(tmp_path, model)
            assert_trees_close(network.params, expected.params, rtol=tolerance, atol=tolerance)
            report.write(tmp_path / "report.html", [report.gather(network, iris)])
            dense = network._replace(config={})  # or else it is not exported
            pages.append([(tmp_path / "report.html").read_text(), exports.to_safetensors(dense)])
    if not tolerance:
        assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("options", "stored"),
    [
        ({"epochs": np.int64(2), "seed": np.int32(1), "learning_rate": np.float32(0.5)}, [2, 1, 0.5]),
        ({"epochs": jnp.int32(2), "seed": np.uint8(1), "learning_rate": jnp.float32(0.5)}, [2, 1, 0.5]),
        ({"epochs": np.array(2), "seed": 1, "learning_rate": 1}, [2, 1, 1]),
    ],
)
def test_a_run_with_options_in_numpy_s_types_is_stored_in_python_s_and_goes_on(
    iris, tmp_path, options, stored, as_a_user
):
    hidden = (np.int64(4), jnp.int32(3))
    fit(iris, hidden=hidden, batch_size=40, **options, out=tmp_path, seeds=np.int64(1))
    config = runs.stored_config(tmp_path)
    assert [config[name] for name in ("epochs", "seed", "learning_rate")] == stored
    assert config["hidden"] == [4, 3]
    plain = dict(zip(("epochs", "seed", "learning_rate"), stored, strict=True))
    fit(iris, hidden=[4, 3], batch_size=40, **plain, out=tmp_path)


@pytest.mark.parametrize("name", ["learning_rate", "stop_at_loss", "label_smoothing", "validation", "epochs"])
@pytest.mark.parametrize("value", [float("nan"), np.float32("inf"), 1j, b"1"])
def test_an_option_that_is_no_plain_number_is_refused_by_name_and_nothing_is_written(
    iris, tmp_path, name, value, as_a_user
):
    with pytest.raises(ValueError, match=f"^{name}: got [^\n]+, expected a (finite )?number"):
        fit(iris, **{name: value}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_option_of_the_data_is_sent_to_where_it_belongs(iris):
    with pytest.raises(TypeError, match=r"fit: got 'label', which data\.load takes"):
        fit(iris, label="species")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (layers.mlp(4, 8, 5), r"model: got outputs of shape \(2, 5\) for two examples, expected \(2, 3\)"),
        (layers.mlp(5, 8, 3), r"model: got an error for x \(2, 4\)"),
        ((lambda key: {}, lambda params, x: x[:, 0]), r"model: got outputs of shape \(2,\)"),
    ],
)
def test_a_model_that_does_not_fit_the_data_is_refused_before_training(iris, model, message):
    with pytest.raises(ValueError, match=message):
        fit(iris, model)


def test_a_folder_is_not_continued_with_another_model(iris, tmp_path, caplog):
    models = [
        (lambda key: {"w": jnp.zeros((4, 3))}, lambda params, x, sign=sign: sign * x @ params["w"])
        for sign in (1.0, -1.0)
    ]
    fit(iris, models[0], epochs=2, batch_size=20, learning_rate=0.05, out=tmp_path / "run")
    with pytest.raises(runs.RefusedError, match="own_model: got"):
        fit(iris, models[1], epochs=2, batch_size=20, learning_rate=0.05, out=tmp_path / "run")
    networks.load(tmp_path / "run", models[0])
    assert not caplog.text
    networks.load(tmp_path / "run", models[1])
    assert "the model is another than that which was trained" in caplog.text


def test_class_weights_on_imbalanced_data_are_no_failure(caplog):
    rng = np.random.default_rng(0)
    labels = np.arange(500) % 25 == 0
    x = rng.normal(size=(500, 2)) + 1.5 * labels[:, None]
    fit(data.load((x, labels)), hidden=(), epochs=60, batch_size=50, learning_rate=0.05, class_weights=True)
    assert "did not learn" not in caplog.text


def test_a_few_examples_need_no_validation():
    dataset = data.load(([[1.0], [2.0], [8.0], [9.0]], ["a", "a", "b", "b"]))
    assert len(dataset.train.labels) == 2
    assert fit(dataset, hidden=(), epochs=3).history.validation is None


def test_equal_jobs_are_compiled_once():
    first, again = (job.make_model(Job(hidden=(7,)), 5, 3) for _ in range(2))
    assert first is again


def test_many_trainings_leave_no_programs_behind(iris):
    def maps():
        gc.collect()
        return len(Path("/proc/self/maps").read_text().splitlines())

    fit(iris, hidden=(4,), epochs=1, learning_rate=0.3)
    before = maps()
    for rate in (0.1, 0.2, 0.4, 0.5):
        fit(iris, hidden=(4,), epochs=1, learning_rate=rate)
    assert maps() - before < 40


def test_a_seed_that_stops_early_is_as_if_alone_while_others_go_on():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    noisy = data.load((x, (x[:, 0] + rng.normal(0, 0.8, 200) > 0).astype(int)))
    options = {
        "hidden": (8,), "epochs": 60, "batch_size": 20, "learning_rate": 0.01, "schedule": "constant",
        "patience": 1,
    }  # fmt: skip
    together = fit(noisy, **options, seeds=6)
    alone = [fit(noisy, **options, seed=seed) for seed in range(6)]
    assert len({one.history.loss.shape for one in alone}) > 1  # they stop at different epochs
    for seed, one in enumerate(alone):
        own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], together.params)
        assert_trees_close(own, one.params, rtol=1e-3, atol=1e-4)


def test_a_job_s_layers_beside_a_model_of_ones_own_are_refused(iris):
    with pytest.raises(ValueError, match="hidden: got one beside a model, which has its own"):
        fit(iris, layers.mlp(4, 3), hidden=(8,))
