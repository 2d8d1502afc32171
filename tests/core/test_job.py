"""A job: settled for a dataset, made into a recipe, kept as JSON."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import assert_trees_close

from jaxnaive import job, layers, losses, optimizers, training
from jaxnaive.job import Job

SETTLED = Job("digits", (16, 12), "sgd", 0.1, "linear", 0.2, "float32", 2, 10, 3)


def test_what_is_open_is_settled_and_what_is_given_stays():
    settled = job.settle(Job(), "mnist", 60_000)
    filled = {"optimizer": "nesterov", "learning_rate": 0.6, "epochs": 3, "batch_size": 256}  # 705 updates
    assert settled == replace(Job(), dataset="mnist", **filled)
    assert job.settle(Job(), "digits", 1442).epochs == 117  # of 6 updates, 702 in all
    assert job.settle(SETTLED, "digits", 1442) == SETTLED
    assert job.settle(Job(epochs=0), "mnist", 60_000).epochs == 0
    for name, rate in (
        ("sgd", 0.6),
        ("momentum", 0.6),
        ("adagrad", 0.05),
        ("adam", 0.002),
        ("optax.lion", 0.002),
    ):
        assert job.settle(Job(optimizer=name), "mnist", 60_000).learning_rate == rate
    small = job.settle(Job(), "mine", 100, is_grey=False)
    assert (small.batch_size, small.optimizer, small.learning_rate, small.epochs) == (25, "adam", 0.01, 175)
    assert job.settle(Job(), "mine", 3).batch_size == 1


def test_epochs_make_at_least_so_many_updates():
    assert job.epochs_for(700, 60_000, 256, at_least=3) == 3
    assert job.epochs_for(706, 60_000, 256, at_least=3) == 4  # of 235 updates
    assert job.epochs_for(700, 100, 100, at_least=3) == 700


def test_the_recipe_of_a_job_is_that_of_its_parts(toy):
    small = replace(SETTLED, hidden=(4,))  # compiled sooner
    recipe = job.make_recipe(small, 6, 3, 50)
    rate: Any = lambda count: 0.1 * (1 - count / 10)  # noqa: E731  (2 epochs of 5 updates)
    by_hand = training.Recipe(
        layers.mlp(6, 4, 3),
        optimizers.sgd(rate),
        losses.smoothed_cross_entropy(0.2),
        batch_size=10,
    )
    got, expected = (training.train(jax.random.key(3), toy, r, 2) for r in (recipe, by_hand))
    assert_trees_close(got, expected, rtol=1e-5, atol=1e-6)
    shapes = jax.eval_shape(job.make_recipe(SETTLED, 6, 3, 50).model.init, jax.random.key(0))
    assert [layer["w"].shape for layer in shapes] == [(6, 16), (16, 12), (12, 3)]


def test_precision_is_that_of_the_products(toy):
    exact, rounded = (
        job.make_model(replace(SETTLED, precision=precision), 6, 3) for precision in ("float32", "bfloat16")
    )
    params, images = exact.init(jax.random.key(0)), jnp.asarray(toy.images)
    got, expected = jax.jit(lambda params: [model.forward(params, images) for model in (rounded, exact)])(
        params
    )
    difference = np.abs(got - expected).max()
    assert 1e-4 < difference < 0.1


@pytest.mark.parametrize("updates", [1, 10, 705])
def test_schedules_are_what_they_are_called(updates):
    counts = np.arange(updates)
    for name, times, rates in (
        ("linear", [0, updates], [0.6, 0.0]),
        ("one-cycle", [0, 0.3 * updates, updates], [0.06, 0.6, 0.0]),
    ):
        schedule: Any = job.make_schedule(name, 0.6, updates)
        np.testing.assert_allclose(jax.jit(schedule)(counts), np.interp(counts, times, rates), atol=1e-6)
    cosine: Any = job.make_schedule("cosine", 0.6, updates)
    expected = 0.3 * (1 + np.cos(np.pi * counts / updates))
    np.testing.assert_allclose(jax.jit(cosine)(counts), expected, atol=1e-6)
    with jax.numpy_dtype_promotion("standard"):
        np.testing.assert_allclose(optax.cosine_decay_schedule(0.6, updates)(counts), expected, atol=1e-6)
    assert job.make_schedule("constant", 0.6, updates) == 0.6


def test_optimizers_are_found_by_name_here_and_in_optax():
    assert job.find_optimizer("adam") is optimizers.adam
    assert job.find_optimizer("optax.lion") is optax.lion and job.find_optimizer("lion") is optax.lion
    for name in ("adamm", "optax.clip", "optax.linear_schedule", "optax.apply_updates"):
        with pytest.raises(ValueError, match=f"optimizer: got '{name}', expected sgd, momentum, nesterov"):
            job.find_optimizer(name)
    assert job.has_parameter(optimizers.momentum, "decay") and not job.has_parameter(optimizers.sgd, "decay")


@pytest.mark.parametrize("name", ["optax.lion", "optax.adabelief"])
def test_an_optimizer_of_optax_is_found_while_a_program_is_traced(name):
    job.find_optimizer.cache_clear()
    with jax.numpy_dtype_promotion("standard"):
        found = []
        jax.eval_shape(lambda rate: found.append(job.find_optimizer(name)) or rate, 0.1)
    assert found == [job.find_optimizer(name)]


def test_json_holds_a_job():
    watched = replace(SETTLED, validation=0.2, patience=3, class_weights=True)
    assert "validation" in job.to_json(watched) and "validation" not in job.to_json(SETTLED)
    for one in (Job(), SETTLED, watched):
        assert job.from_json(json.loads(json.dumps(job.to_json(one))) | {"experiment": "mnist"}) == one


def test_a_stored_job_from_before_a_field_was_added_has_its_default():
    stored = job.to_json(SETTLED)
    for name in ("label_smoothing", "precision", "stop_at_loss"):
        del stored[name]
    assert job.from_json(stored) == replace(SETTLED, label_smoothing=0.0, precision="float32")


@pytest.mark.parametrize(
    "name", sorted(job.to_json(Job()).keys() - {"label_smoothing", "precision", "stop_at_loss"})
)
def test_a_missing_entry_is_refused_by_name(name):
    stored = job.to_json(SETTLED)
    del stored[name]
    with pytest.raises(ValueError, match=f"{name}: got none"):
        job.from_json(stored)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dataset", 3, "dataset: got 3"),
        ("hidden", 512, "hidden: got 512, expected a value like"),
        ("hidden", [512.5], r"hidden: got \[512.5\]"),
        ("hidden", [0], "hidden units: got 0, expected 1 or more"),
        ("optimizer", "adamm", "optimizer: got 'adamm'"),
        ("learning_rate", "fast", "learning_rate: got 'fast'"),
        ("learning_rate", -1.0, "learning rate: got -1"),
        ("schedule", "cubic", "schedule: got 'cubic'"),
        ("label_smoothing", 1.0, "label smoothing: got 1.0"),
        ("precision", "float16", "precision: got 'float16', expected one of float32, bfloat16"),
        ("epochs", 1.5, "epochs: got 1.5"),
        ("epochs", True, "epochs: got True"),
        ("batch_size", 2.5, "batch_size: got 2.5"),
        ("batch_size", 0, "batch size: got 0"),
        ("validation", 1.0, "validation: got 1.0, expected at least 0 and less than 1"),
        ("patience", 3, "patience: got 3 without validation"),
        ("class_weights", 1, "class_weights: got 1"),
        ("seed", -1, "seed: got -1"),
        ("seed", 2**32, "seed: got 4294967296, expected 4294967295 or less"),
    ],
)
def test_an_impossible_entry_is_refused_by_name(as_a_user, name, value, message):
    with pytest.raises(ValueError, match=message):
        job.from_json(job.to_json(SETTLED) | {name: value})


def test_a_job_in_the_types_of_other_libraries_is_settled_and_stored_in_python_s(as_a_user):
    values: dict[str, Any] = {
        "dataset": Path("mine.csv"), "hidden": [np.int64(16), 12], "optimizer": "sgd", "schedule": "linear",
        "learning_rate": jnp.float32(0.5), "label_smoothing": np.float32(0.25), "epochs": np.int64(2),
        "batch_size": np.uint8(10), "seed": np.int32(3), "class_weights": np.bool_(True),
    }  # fmt: skip
    given = Job(**values)
    expected = Job("mine.csv", (16, 12), "sgd", 0.5, "linear", 0.25, "float32", 2, 10, 3, class_weights=True)
    job.check(given)
    settled = job.settle(given, "mine.csv", 50)
    assert settled == expected and repr(settled) == repr(expected)
    assert json.dumps(job.to_json(given)) == json.dumps(job.to_json(expected))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": float("nan")}, "epochs: got nan, expected a finite number"),
        ({"epochs": 3.0}, "epochs: got 3.0, expected a value like 3"),
        ({"epochs": True}, "epochs: got True, expected a value like 3"),
        ({"epochs": "3"}, "epochs: got '3', expected a value like 3"),
        ({"stop_at_loss": float("nan")}, "stop_at_loss: got nan, expected a finite number"),
        ({"learning_rate": True}, "learning_rate: got True, expected a value like 0.1"),
        ({"hidden": 512}, "hidden: got 512, expected a value like"),
        ({"hidden": (True,)}, r"hidden: got \[True\]"),
        ({"seed": 1j}, "seed: got 1j, expected a number, a text, or a list of them"),
    ],
)
def test_a_job_of_impossible_types_is_neither_checked_nor_settled_nor_stored(as_a_user, values, message):
    given = replace(SETTLED, **values)
    for use in (job.check, lambda given: job.settle(given, "digits", 50), job.to_json):
        with pytest.raises(ValueError, match=message):
            use(given)
