"""A grid of networks from the command line, and the tuned recipe: rows S54 and S88."""

import dataclasses
import itertools
import json
import re
from dataclasses import fields
from typing import Any

import jax
import numpy as np
import pytest
import scipy.stats

from experiments import sweep
from jaxnaive import command, data, splits, verdicts
from jaxnaive.job import Job
from jaxnaive.networks import fitting
from jaxnaive.runs import sweeps

SMALL: dict[str, Any] = {
    "dataset": "digits",
    "hidden": ("16",),
    "epochs": (2,),
    "batch_size": (32,),
    "seeds": 2,
}


def test_s54_s88_any_grid_from_the_command_line(tmp_path, capsys):
    options = sweep.Options(
        **SMALL,
        optimizer=("sgd", "momentum"),
        learning_rate=(0.05, 1e30),
        schedule=("constant",),
        one_by_one=True,
        out=tmp_path,
    )
    grid = sweep.main(options)
    assert list(grid.axes) == ["optimizer", "learning_rate"] and grid.scores.shape == (2, 2, 2)
    assert np.isnan(grid.scores).all(axis=(0, 2)).tolist() == [False, True]
    saved = json.loads((tmp_path / "sweep.json").read_text())
    assert saved["config"]["learning_rate"] == [0.05, 1e30] and len(saved["rows"]) == 4
    assert saved["rows"][0]["optimizer"] == "momentum" and saved["rows"][-1]["diverged"] == 2
    assert (
        saved["verdicts"]["learning_rate"] == "learning rate 0.05: the only one without a run that diverged."
    )
    printed = capsys.readouterr().out
    assert "2 of 2 diverged" in printed and saved["verdicts"]["optimizer"] in printed
    assert re.search(r"[0-9.]+ s together, [0-9.]+ s one by one, .* times as fast", printed)
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_optimizers_of_optax_are_an_axis_too(tmp_path):
    options = sweep.Options(
        **SMALL, optimizer=("sgd", "optax.lion"), learning_rate=(0.001, 0.01), out=tmp_path
    )
    scores = sweep.main(options).scores
    assert scores.shape == (2, 2, 2) and np.isfinite(scores).all()
    assert scores[1, 1].mean() > scores[0, 1].mean() + 0.2  # lion learns with rates too small for sgd


def test_every_field_of_a_job_is_an_axis():
    names = {option.name for option in fields(Job)} - {"dataset", "seed"}
    assert names | {"decay"} == {*sweep.PROGRAMS, *sweep.NUMBERS, *sweep.READINGS}
    assert names < {option.name for option in fields(sweep.Options)}


def test_each_run_of_a_grid_is_the_run_of_fit_with_these_options(tmp_path):
    """Axes of all three kinds: of programs, of numbers, and of when a run stops."""
    axes: dict[str, Any] = {
        "hidden": ("8", "8,4"),
        "label_smoothing": (0.0, 0.2),
        "patience": (None, 1),
        "class_weights": (False, True),
    }
    small: dict[str, Any] = {
        "schedule": "cosine",
        "epochs": 12,
        "batch_size": 32,
        "learning_rate": 0.1,  # at 1.0 the last bit of a product decides where a run ends
        "validation": 0.3,
    }
    given: dict[str, Any] = axes | {name: (value,) for name, value in small.items()}
    options = sweep.Options(dataset="digits", **given, seed=3, seeds=2, optimizer=("momentum",), out=tmp_path)
    grid = sweep.main(options)
    digits = data.load("digits")
    train, held_out = splits.hold_out(digits.train)
    names, scores, one_example = list(grid.axes), grid.scores[..., 1], 1.01 / len(held_out.labels)
    places = (0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 1, 0), (0, 1, 1, 1)
    for place in places:
        own = {name: axes[name][place[names.index(name)]] for name in axes}
        own["hidden"] = sweep.parse_hidden(own["hidden"])
        network = fitting.fit(
            dataclasses.replace(digits, train=train), **small, **own, optimizer="momentum", seed=4
        )
        expected = network.evaluate(held_out).accuracy
        assert abs(scores[place] - expected) < one_example, (place, own)
    for axis, name in enumerate(names):  # or else nobody would notice that a value is ignored
        changes = np.abs(scores - np.flip(scores, axis))
        assert max(changes[place] for place in places) > one_example, name


def test_the_sentence_is_scipy_s(tmp_path):
    grid = sweep.main(
        sweep.Options(
            **SMALL | {"seeds": 6},
            schedule=("constant", "linear", "cosine"),
            out=tmp_path,
            learning_rate=(0.1,),
            optimizer=("sgd",),
        )
    )
    assert grid.scores.shape == (3, 6)
    sentence = json.loads((tmp_path / "sweep.json").read_text())["verdicts"]["schedule"]
    ranked = np.argsort(-grid.scores.mean(axis=1))
    names = np.array(["constant", "linear", "cosine"])[ranked]
    assert sentence.startswith(f"schedule {names[0]} ")
    for place, name in zip(ranked[1:], names[1:], strict=True):
        test: Any = scipy.stats.ttest_rel(100 * grid.scores[ranked[0]], 100 * grid.scores[place])
        low, high = test.confidence_interval(1 - 0.05 / 3)
        found: Any = re.search(rf"{name} by ([-0-9.]+)(?: points)? \[([-0-9.]+), ([-0-9.]+)\]", sentence)
        expected = (low + high) / 2, low, high
        np.testing.assert_allclose([float(number) for number in found.groups()], expected, atol=0.051)
        assert ("not settled" in sentence.split(name)[1]) == (low <= 0)


def test_a_regression_s_loss_is_compared(call, own):
    out = own / "run"
    result = call(
        "sweep.py", "--dataset", own / "quantity.npz", "--hidden", "none", 4, "--seeds", 3,
        "--metric", "loss", "--learning-rate", 0.03, "--epochs", 3, "--out", out,
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "validation loss, mean of 3 seeds" in result.out and "hidden units" in result.out
    rows = json.loads((out / "sweep.json").read_text())["rows"]
    assert rows[0]["mean"] < rows[1]["mean"]  # the smallest loss is the best
    assert "R²" in call("sweep.py", *GRID, "--dataset", own / "quantity.npz", "--out", own / "other").out


def test_a_budget_ends_with_what_is_done_and_resume_goes_on(call, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps.ensembles, "CPU_CHUNK_BYTES", 1)  # a chunk for each run
    monkeypatch.setattr(sweeps, "cpu_count", lambda: 1)
    clock = itertools.count()
    monkeypatch.setattr(sweeps, "monotonic", lambda: next(clock))
    small = ("--hidden", 4, "--learning-rate", 0.1, "--optimizer", "sgd", "nesterov", "--epochs", 1)
    small = ("--dataset", "digits", *small, "--batch-size", 64, "--seeds", 4, "--out", tmp_path / "run")
    short = call("sweep.py", *small, "--budget", "2.5s")
    assert short.code == 1 and "budget: got 2.5s, in which 1 of 4 seeds were done" in short.err, short.err
    longer = call("sweep.py", "--resume", "--out", tmp_path / "run", "--budget", "6.5s")
    assert longer.code == 0 and "mean of 3 seeds" in longer.out, longer
    whole = call("sweep.py", "--resume", "--out", tmp_path / "run")
    assert whole.code == 0 and "mean of 4 seeds" in whole.out, whole


def test_all_runs_diverged_is_a_failure_that_says_so(tmp_path, capsys):
    options = sweep.Options(**SMALL, learning_rate=(1e30, 1e31), optimizer=("sgd",), out=tmp_path)
    with pytest.raises(command.MissedError, match="diverged at every point"):
        sweep.main(options)
    assert "no verdict: of every value some run diverged" in capsys.readouterr().out


def test_the_end_of_a_grid_of_learning_rates_is_named(tmp_path, capsys):
    options = sweep.Options(**SMALL, learning_rate=(0.001, 0.01, 0.1), optimizer=("sgd",), out=tmp_path)
    sweep.main(options)
    assert "Learning rate 0.1 is at the end of the grid" in capsys.readouterr().out


@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_the_picture_names_what_it_shows(monkeypatch, tmp_path, axes):
    values = dict(list({
        "hidden": ("8", "8,8"), "optimizer": ("sgd", "adam"), "batch_size": (32, 64, 128),
        "label_smoothing": (0.0, 0.1),
    }.items())[:axes])  # fmt: skip
    drawn = {}
    monkeypatch.setattr(
        sweep.panels, "draw", lambda path, made, score, title, _: drawn.update(made=made, title=title)
    )
    scores = np.random.default_rng(0).random((*map(len, values.values()), 4))
    grid = sweep.Grid(values, scores)
    best = {name: verdicts.at_their_best(scores, axis) for axis, name in enumerate(values)}
    sweep.draw(tmp_path / "a.png", grid, best, "accuracy", "digits")
    made = drawn["made"]
    assert [len(made), made[0].axis, len(made[0].lines)] == {
        1: [1, "hidden units", 1],
        2: [1, "hidden units", 2],
        3: [2, "batch size", 2],
        4: [4, "hidden units", 1],
    }[axes]
    if axes == 3:
        assert made[1].title == "adam" and list(made[1].lines) == ["8 units", "8,8 units"]
        np.testing.assert_array_equal(made[1].lines["8 units"], scores[0, 1])
    assert ("other axes at their best" in drawn["title"]) == (axes == 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": ()}, "learning rate: got none"),
        ({"learning_rate": (0.1, -1.0)}, "learning rate: got -1.0"),
        ({"learning_rate": (0.1, 0.1)}, "learning rate: got 0.1 twice"),
        ({"optimizer": ("sdg",)}, "optimizer: got 'sdg', expected sgd, momentum"),
        ({"optimizer": ("sgd",), "decay": (0.5,)}, "decay: sgd has none"),
        ({"optimizer": ("momentum",), "decay": (1.0,)}, "decay: got 1.0"),
        ({"hidden": ("32", "many")}, "hidden: got 'many', expected units such as 32"),
        ({"hidden": ("0",)}, "hidden units: got 0"),
        ({"label_smoothing": (0.1, 1.0)}, "label smoothing: got 1.0"),
        ({"patience": (2,)}, "patience: got 2 without validation"),
        ({"metric": "r_squared"}, "metric: got 'r_squared' with classes, expected accuracy or loss"),
        ({"budget": "soon"}, "budget: got 'soon', expected a time such as 90s"),
        ({"budget": "0s"}, "budget: got '0s'"),
        ({"seeds": 0}, "seeds: got 0"),
        ({"seeds": 1}, "seeds: got 1"),
        ({"seed": 2**32 - 1}, "seed: got 4294967302"),
        ({"memory": 1000}, "memory: a run needs about"),
        ({"batch_size": (0,)}, "batch size: got 0"),
        ({"epochs": (0,)}, "epochs: got 0"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(tmp_path, changes, message):
    with pytest.raises(command.UsageError, match=message):
        sweep.main(sweep.Options(dataset="digits", out=tmp_path / "out", **changes))
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_smoothing": (0.0, 0.1)}, "label smoothing: got 0.1 in a regression"),
        ({"class_weights": (True, False)}, "class weights: got a regression"),
        ({"metric": "accuracy"}, "metric: got 'accuracy' with a regression"),
    ],
)
def test_what_a_regression_has_not_is_refused(own, changes, message):
    with pytest.raises(command.UsageError, match=message):
        sweep.main(sweep.Options(dataset=str(own / "quantity.npz"), out=own / "out", **changes))


def test_a_value_error_of_a_run_is_a_failure_and_not_wrong_usage(call, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("what a run says")

    grid = ["--dataset", "digits", "--hidden", 4, "--optimizer", "sgd", "--learning-rate", 0.1, "--seeds", 2]
    assert call("sweep.py", *grid, "--memory", 1000, "--out", tmp_path / "usage").code == 2
    monkeypatch.setattr(sweeps.ensembles, "compiled", fail)
    result = call("sweep.py", *grid, "--out", tmp_path / "run")
    assert result.code == 1 and result.err.splitlines()[-1] == "jaxnaive: error: what a run says"


@pytest.fixture
def own(tmp_path):
    """A folder with files of arrays: 60 examples in two classes, 20 others, and a regression."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 4)), np.arange(80) % 2
    x[:, 0] += 4 * y
    np.savez(tmp_path / "own.npz", x=x[:60], y=np.array(["no", "yes"])[y[:60]])
    np.savez(tmp_path / "others.npz", x=x[60:], y=np.array(["no", "yes"])[y[60:]])
    np.savez(tmp_path / "quantity.npz", x=x, y=x.sum(axis=1))
    return tmp_path


GRID = ("--hidden", 4, "--optimizer", "sgd", "--learning-rate", 0.1, "--seeds", 2, "--batch-size", 1000)


def test_a_grid_on_data_of_yours_goes_on_from_another_folder(call, own, monkeypatch):
    monkeypatch.chdir(own)
    done = call("sweep.py", *GRID, "--dataset", "own.npz", "--scaling", "columns", "--test", "--out", "run")
    assert done.code == 0 and "own: 48 training, 12 test examples" in done.out, done
    stored = json.loads((own / "run" / "config.json").read_text())
    assert (stored["dataset"], stored["scaling"]) == (str(own / "own.npz"), "columns")
    assert stored["test"] is True and "label" not in stored
    (own / "elsewhere").mkdir()
    monkeypatch.chdir(own / "elsewhere")
    again = call("sweep.py", "--resume", "--out", own / "run")
    assert again.code == 0 and "own: 48 training, 12 test examples" in again.out, again
    other = call("sweep.py", "--resume", "--out", own / "run", "--scaling", "none")
    assert other.code == 2 and "scaling" in other.err


def test_the_test_examples_may_be_in_a_file_of_their_own(call, own, monkeypatch):
    monkeypatch.chdir(own)
    small = ("--hidden", 4, "--epochs", 1, "--seeds", 2, "--out", "run")
    done = call("tuned.py", "--dataset", "own.npz", "--test", "others.npz", *small)
    assert done.code == 0, done.err
    stored = json.loads((own / "run" / "config.json").read_text())
    assert (stored["dataset"], stored["test"]) == (str(own / "own.npz"), str(own / "others.npz"))
    separate = data.load("own.npz", test="others.npz")
    assert stored["fingerprint"] == data.fingerprint(separate) and len(separate.train.labels) == 60


@pytest.mark.parametrize("script", ["optimizers.py", "batch_sizes.py", "tuned.py", "distributed.py"])
def test_a_regression_is_refused_where_accuracies_are_measured(call, own, script):
    result = call(script, "--dataset", own / "quantity.npz", "--out", own / "run")
    expected = "dataset: got a regression, expected classes; experiments/mnist.py trains one"
    assert (result.code, result.out, result.err) == (2, "", f"jaxnaive: error: {expected}\n")


@jax.numpy_dtype_promotion("standard")  # optax's adam raises a float to an integer
def test_the_tuned_recipe_runs_on_digits(tmp_path):
    from experiments import tuned

    options = tuned.Options(dataset="digits", hidden=64, epochs=30, batch_size=32, seeds=3, out=tmp_path)
    summary = tuned.main(options)
    assert summary.mean > 0.95 and summary.low < summary.mean < summary.high
