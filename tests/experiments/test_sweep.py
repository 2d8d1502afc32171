"""A grid of networks from the command line, and the tuned recipe: rows S54 and S88."""

import json
import re

import jax
import numpy as np
import pytest

from experiments import sweep
from jaxnaive import command, data
from jaxnaive.runs import sweeps


def test_s54_s88_any_grid_from_the_command_line(tmp_path, capsys):
    options = sweep.Options(
        dataset="digits",
        hidden=(16,),
        optimizer=("sgd", "momentum"),
        learning_rate=(0.05, 1e30),
        epochs=2,
        batch_size=32,
        seeds=2,
        one_by_one=True,
        out=tmp_path,
    )
    runs = sweep.main(options)
    assert runs["sgd"].results.loss.shape == (2, 2, 2)
    assert runs["sgd"].diverged.tolist() == [[False, False], [True, True]]
    saved = json.loads((tmp_path / "sweep.json").read_text())
    assert saved["config"]["learning_rate"] == [0.05, 1e30] and len(saved["rows"]) == 4
    assert saved["rows"][0]["optimizer"] == "momentum" and saved["rows"][-1]["diverged"] == 2
    printed = capsys.readouterr().out
    assert "2 of 2 diverged" in printed
    assert re.search(r"momentum: [0-9.]+ s as one program, [0-9.]+ s one by one .* times as fast", printed)
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": ()}, "learning rate: got none"),
        ({"learning_rate": (0.1, -1.0)}, "learning rate: got -1.0"),
        ({"optimizer": ("sdg",)}, "optimizer: got 'sdg', expected sgd, momentum"),
        ({"decay": (0.5,)}, "decay: sgd has none"),
        ({"optimizer": ("momentum",), "decay": (1.0,)}, "decay: got 1.0"),
        ({"seeds": 0}, "seeds: got 0"),
        ({"memory": 1000}, "memory: a run needs about"),
        ({"batch_size": 0}, "batch size: got 0"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(tmp_path, changes, message):
    with pytest.raises(command.UsageError, match=message):
        sweep.main(sweep.Options(dataset="digits", out=tmp_path / "out", **changes))
    assert not list((tmp_path / "out").glob("*"))


def test_a_value_error_of_a_run_is_a_failure_and_not_wrong_usage(call, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("what a run says")

    grid = ["--dataset", "digits", "--hidden", 4, "--optimizer", "sgd", "--learning-rate", 0.1, "--seeds", 2]
    assert call("sweep.py", *grid, "--memory", 1000, "--out", tmp_path / "usage").code == 2
    monkeypatch.setattr(sweeps.ensembles, "compiled", fail)
    result = call("sweep.py", *grid, "--out", tmp_path / "run")
    assert result.code == 1 and result.err == "jaxnaive: error: what a run says\n"


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


@pytest.mark.parametrize("script", ["sweep.py", "optimizers.py", "tuned.py", "distributed.py"])
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
