"""The experiments as a user runs them: rows S91, S93 and S94 to S96 of the notes, and every wrong option."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
import safetensors.numpy
from conftest import assert_trees_close

from experiments import book, mnist
from jaxnaive import batches, command, data, job, layers, optimizers, training
from jaxnaive.disk import checkpoints
from jaxnaive.pictures import plots

ROOT = Path(__file__).parent.parent.parent
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A home of its own: no cache but what the tests make, and no network."""
    home = tmp_path_factory.mktemp("home")
    proxy = "http://127.0.0.1:9"  # nothing listens there
    environment = os.environ | {
        "HOME": str(home),
        "http_proxy": proxy,
        "https_proxy": proxy,
        "COLUMNS": "100",
    }
    for name in ("TFDS_DATA_DIR", "XDG_CACHE_HOME", "JAXNAIVE_MANUAL_DIR"):
        environment.pop(name, None)
    return environment


def run(home, *arguments, script="mnist.py", **more):
    command = [sys.executable, ROOT / "experiments" / script, *map(str, arguments)]
    return subprocess.run(command, env=home | more, capture_output=True, text=True, check=False)


def test_the_main_job_on_digits(home, tmp_path):
    result = run(home, "--dataset", "digits", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    (accuracy,) = re.findall(r"^test accuracy (0\.\d{4})$", result.stdout, re.MULTILINE)
    assert float(accuracy) > 0.95
    assert "38,410 parameters" in result.stdout
    names = [*(["import"] if sys.platform == "linux" else []), "data", "save", "compile", "train", "test"]
    laps = r", ".join(rf"{lap} [\d.]+" for lap in names)
    assert re.search(f"seconds: {laps}", result.stdout)
    assert "each example once an epoch; 355 evaluated; 0 values not finite" in result.stdout
    assert "compiled: start 1, train_epoch 1, evaluate 1" in result.stdout
    assert "loss=" in result.stderr and "117/117" in result.stderr
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == {
        ".lock", "config.json", "metrics.jsonl", "checkpoints", "params.safetensors", "curves.png",
        "predictions.png", "timings.json", "certificate.json",
    }  # fmt: skip
    history = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(history) == 117 * 6 and history[-1]["loss"] < 0.1 * history[0]["loss"]
    assert history[7] == {"epoch": 1, "step": 1, "loss": history[7]["loss"]}
    assert safetensors.numpy.load_file(out / "params.safetensors")["0.w"].shape == (64, 512)
    assert all((out / name).read_bytes().startswith(PNG) for name in ("curves.png", "predictions.png"))


def test_without_mnist_and_network_the_default_is_digits_within_seconds(home, tmp_path):
    start = time.perf_counter()
    result = run(home, "--epochs", 1, "--batch-size", 1442, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert "NO MNIST" in result.stderr and "digits: 1,442 training" in result.stdout
    assert time.perf_counter() - start < 30


def test_without_mnist_and_network_mnist_by_name_is_refused(home, tmp_path):
    result = run(home, "--dataset", "mnist", "--out", tmp_path / "out")
    assert result.returncode == 1 and not list((tmp_path / "out").iterdir())
    assert result.stderr.count("\n") == 1
    for word in (
        "jaxnaive: error: ",
        "train-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "downloads/manual",
    ):
        assert word in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--batch-size 0", "batch size: got 0, expected 1 or more"),
        ("--label-smoothing 1", "label smoothing: got 1.0, expected at least 0 and less than 1"),
        ("--dataset digits --batch-size 1443", "batch size: got 1443, expected 1 to 1442"),
        ("--learning-rate 0", "learning rate: got 0.0, expected a positive, finite number"),
        ("--learning-rate nan", "learning rate: got nan"),
        ("--learning-rate much", "Error parsing --learning-rate: .*'much'"),
        ("--epochs -1", "epochs: got -1, expected 0 or more"),
        ("--hidden 0", "hidden units: got 0"),
        ("--seed -1", "seed: got -1"),
        ("--seed 4294967296", "seed: got 4294967296"),
        ("--dataset minst", "got 'minst', .* did you mean 'mnist'?"),
        ("--optimizer adamm", "optimizer: got 'adamm'"),
        ("--optimizer optax.clip", "optimizer: got 'optax.clip'"),
        ("--optimizer optax.linear_schedule", "optimizer: got 'optax.linear_schedule'"),
        ("--schedule cubic", "invalid choice 'cubic'"),
        ("--bacth-size 3", "--bacth-size"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(home, tmp_path, arguments, message):
    result = run(home, *arguments.split(), "--out", tmp_path / "out")
    assert result.returncode == 2
    assert re.fullmatch(rf"jaxnaive: error: .*{message}.*\n", result.stderr), result.stderr
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("bad", ["labels", "nan", "zip", "missing", "file as folder", "file above folder"])
def test_bad_data_and_bad_folders_are_one_line_and_exit_1_or_2(home, tmp_path, bad):
    images, labels = np.random.default_rng(0).random((20, 4)), np.arange(20) % 2
    path, out = tmp_path / "my.npz", tmp_path / "out"
    if bad == "nan":
        images[3, 2] = np.nan
    np.savez(path, images=images, labels=labels + 0.5 if bad == "labels" else labels)
    if bad == "zip":
        path.write_bytes(path.read_bytes()[:100])
    elif bad == "missing":
        path.unlink()
    elif bad.startswith("file"):
        out.write_text("in the way")
        out = out if bad == "file as folder" else out / "below"
    result = run(home, "--dataset", path, "--batch-size", 4, "--out", out)
    assert result.returncode == (2 if bad.startswith("file") else 1)
    assert re.fullmatch(r"jaxnaive: error: .+\n", result.stderr), result.stderr
    assert not out.is_dir() or not list(out.iterdir())


def test_a_run_that_diverges_says_so(home, tmp_path):
    np.savez(tmp_path / "huge.npz", images=1e30 * np.ones((10, 4)), labels=np.arange(10) % 2)
    result = run(home, "--dataset", tmp_path / "huge.npz", "--batch-size", 4, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "jaxnaive: error: the loss is not finite from step" in result.stderr


def test_a_run_that_breaks_in_its_last_update_says_so(home, tmp_path):
    result = run(
        home, "--dataset", "digits", "--epochs", 1, "--batch-size", 1442, "--learning-rate", 1e38,
        "--schedule", "constant", "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.returncode == 1 and not (tmp_path / "out" / "params.safetensors").exists()
    assert "jaxnaive: error: the test loss is not finite" in result.stderr


@pytest.mark.parametrize("shape", [(8, 8, 3), (3, 8, 8), (2, 8, 8, 3), (1,), (5,)])
def test_examples_of_any_shape_are_trained_on_and_drawn(tmp_path, shape):
    images = np.random.default_rng(0).normal(size=(20, *shape))
    np.savez(tmp_path / "odd.npz", images=images, labels=np.arange(20) % 2)
    mnist.main(
        mnist.Options(dataset=str(tmp_path / "odd.npz"), epochs=1, batch_size=4, hidden=(), out=tmp_path)
    )
    assert (tmp_path / "predictions.png").read_bytes().startswith(PNG)


def test_a_cached_run_imports_nothing_before_it_is_needed(digits, tmp_path):
    data.load("digits", data_dir=tmp_path)
    script = (
        "import sys; from pathlib import Path; from experiments import mnist; from jaxnaive import figures\n"
        "path, new = Path(sys.argv[1]), figures.new\n"
        "figures.new = lambda *size: [print('matplotlib' in sys.modules), new(*size)][1]\n"
        "mnist.main(mnist.Options(dataset='digits', epochs=1, out=path, data_dir=path))\n"
        "heavy = {'tensorflow', 'tensorflow_datasets', 'sklearn', 'optax', 'requests', 'jinja2', 'pandas'}\n"
        "print(heavy & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.findall(r"^(?:True|False)$", result.stdout, re.MULTILINE)[0] == "False"
    assert result.stdout.endswith("set()\n")


def test_with_bfloat16_products_it_learns_as_well_and_otherwise(digits, tmp_path):
    results = [
        mnist.main(
            mnist.Options(dataset="digits", hidden=(64,), precision=precision, out=tmp_path / precision)
        )
        for precision in ("float32", "bfloat16")
    ]
    exact, rounded = (result.history.loss for result in results)
    assert 1e-6 < np.abs(exact - rounded)[0].max() < 0.1
    assert min(result.accuracy for result in results) > 0.95


def test_smoothed_labels_are_in_the_losses(digits, tmp_path, capsys):
    options = mnist.Options(dataset="digits", hidden=(), epochs=1, label_smoothing=0.2, out=tmp_path)
    result = mnist.main(options)
    targets = optax.smooth_labels(jax.nn.one_hot(digits.test.labels, 10), 0.2)
    logits = layers.mlp(64, 10).forward(result.params, batches.as_features(digits.test.images))
    expected = optax.softmax_cross_entropy(logits, targets).mean()
    assert f"test loss {expected:.4f}\n" in capsys.readouterr().out


def test_no_epochs_is_a_run_too(digits, tmp_path):
    result = mnist.main(mnist.Options(dataset="digits", epochs=0, hidden=(), out=tmp_path, data_dir=tmp_path))
    assert result.history.loss.size == 0 and (tmp_path / "metrics.jsonl").read_text() == ""


def test_every_option_is_followed_and_everything_is_saved_as_it_was(digits, tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(
        plots, "predictions", lambda path, dataset, probabilities: shown.update(p=probabilities)
    )
    options = mnist.Options(
        dataset="digits", hidden=(16, 12), optimizer="sgd", learning_rate=0.1, schedule="constant", epochs=2,
        batch_size=32, seed=3, out=tmp_path, data_dir=tmp_path / "data",
    )  # fmt: skip
    result = mnist.main(options)
    recipe = training.Recipe(layers.mlp(64, 16, 12, 10), optimizers.sgd(0.1), batch_size=32)
    params, history = training.train(jax.random.key(3), digits.train, recipe, 2)
    assert_trees_close(result.params, params, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.history.loss, history.loss, rtol=1e-5)
    assert (tmp_path / "data" / "jaxnaive" / "digits").is_dir()

    saved = checkpoints.load_params(tmp_path / "params.safetensors", params)
    assert_trees_close(saved, result.params)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    np.testing.assert_allclose([line["loss"] for line in lines], np.ravel(result.history.loss), rtol=1e-6)
    right = shown["p"].argmax(axis=1) == digits.test.labels
    assert abs(right.mean() - result.accuracy) < 1e-6
    np.testing.assert_allclose(shown["p"].sum(axis=1), 1, atol=1e-5)


def test_an_optimizer_of_optax_is_followed(digits, tmp_path):
    options = mnist.Options(
        dataset="digits", hidden=(), optimizer="optax.adam", learning_rate=0.01, schedule="linear", epochs=2,
        out=tmp_path, data_dir=tmp_path,
    )  # fmt: skip
    with jax.numpy_dtype_promotion("standard"):  # optax relies on it
        schedule = optax.linear_schedule(0.01, 0.0, 12)
        recipe = training.Recipe(layers.mlp(64, 10), optax.adam(schedule), batch_size=256)
        params, _ = training.train(jax.random.key(0), digits.train, recipe, 2)
        assert_trees_close(mnist.main(options).params, params, rtol=1e-4, atol=1e-6)


def test_right_is_in_order_and_wrong_by_confidence():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.5, 0.5]])
    right, wrong = data.right_and_wrong(probabilities, np.array([0, 1, 0, 1, 0]))
    assert right.tolist() == [0, 3, 4] and wrong.tolist() == [2, 1]


def test_s48_a_run_stops_at_the_loss_it_is_told(tmp_path):
    options = mnist.Options(dataset="digits", epochs=50, stop_at_loss=0.5, out=tmp_path, data_dir=tmp_path)
    result = mnist.main(options)
    means = np.asarray(result.history.loss).mean(axis=1)
    assert means[-1] < 0.5 and (means[:-1] >= 0.5).all() and len(means) < 50


def test_one_training_compile_and_one_evaluation_compile(home, tmp_path):
    result = run(
        home,
        "--dataset",
        "digits",
        "--epochs",
        5,
        "--batch-size",
        77,
        "--out",
        tmp_path,
        JAX_LOG_COMPILES="1",
    )
    compiled = re.findall(r"Finished XLA compilation of jit\((\w+)\)", result.stderr)
    assert [compiled.count(name) for name in ("start", "train_epoch", "evaluate")] == [1, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_s94_s96_the_main_job_reaches_98_percent_on_mnist(mnist_options, seed):
    assert mnist.main(mnist_options(seed)).accuracy >= 0.98


@pytest.fixture
def mnist_options(mnist: object, tmp_path):
    """The main job on the real MNIST, which is there."""
    from experiments.mnist import Options

    return lambda seed: Options(dataset="mnist", seed=seed, out=tmp_path)


def test_s96_rmsprop_as_in_the_book(mnist):
    """Keras, rmsprop at 0.001, 5 epochs, batch 128: test accuracy .9777 to .9813 in published runs."""

    model = layers.sequential(layers.dense(784, 512, layers.relu), layers.dense(512, 10))
    recipe = training.Recipe(model, optax.rmsprop(1e-3, decay=0.9, eps=1e-7))
    params, history = training.train(jax.random.key(0), mnist.train, recipe, 5)
    assert 0.977 <= training.evaluate(params, mnist.test, recipe).accuracy <= 0.982
    assert training.evaluate(params, mnist.train, recipe).accuracy >= 0.985
    published = [0.2577, 0.1042, 0.0687, 0.0508, 0.0382]
    np.testing.assert_allclose(history.loss.mean(axis=1), published, rtol=0.08)


def test_s91_s93_s95_the_notes_run_prints_the_notes_lines_and_the_published_losses(mnist, capsys):
    loss, accuracy = book.run(0, mnist, show=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "Epoch 0",
        f"loss at batch 0: {loss[0, 0]:.2f}",
        f"loss at batch 100: {loss[0, 100]:.2f}",
    ]
    assert len(lines) == 10 * 6 + 1 and lines[-1] == "accuracy: 0.82"
    book.check_losses("seed 0", loss[list(book.PUBLISHED), book.PRINTED])
    assert abs(accuracy - 0.82) <= 0.01


def test_s93_the_books_check_can_fail():
    published = np.array(list(book.PUBLISHED.values())).mean(axis=1)
    book.check_losses("published", published)
    published[2, 3] += 0.06
    with pytest.raises(
        command.MissedError, match=r"epoch 5, batch 300: got 0\.995, 0\.065 from a published loss"
    ):
        book.check_losses("published", published)
    published[2, 3] = np.nan
    with pytest.raises(command.MissedError):
        book.check_losses("published", published)
    with pytest.raises(command.MissedError):
        book.check_accuracy(np.full(8, 0.83))


def test_s93_the_books_main_checks_losses_and_accuracy(monkeypatch):
    loss = np.full((10, 469), 1.0)
    loss[list(book.PUBLISHED), book.PRINTED] = np.array(list(book.PUBLISHED.values())).mean(axis=1)
    runs = {"loss": loss, "accuracy": 0.815}
    monkeypatch.setattr(book.data, "load", lambda *_, **__: None)
    monkeypatch.setattr(book, "run", lambda seed, mnist, show: (runs["loss"], runs["accuracy"]))
    np.testing.assert_array_equal(book.main(book.Options()), np.full(8, 0.815))
    runs["accuracy"] = 0.79
    with pytest.raises(command.MissedError, match="expected a mean test accuracy"):
        book.main(book.Options())
    runs["accuracy"], runs["loss"] = 0.815, loss + 0.06
    with pytest.raises(command.MissedError, match="the run above: epoch"):
        book.main(book.Options())


@pytest.mark.parametrize("updates", [1, 10, 705])
def test_schedules_are_linear_between_their_points(updates):
    counts = np.arange(updates)
    for name, times, rates in (
        ("linear", [0, updates], [0.6, 0.0]),
        ("one-cycle", [0, 0.3 * updates, updates], [0.06, 0.6, 0.0]),
    ):
        schedule: Any = job.make_schedule(name, 0.6, updates)
        np.testing.assert_allclose(schedule(counts), np.interp(counts, times, rates), atol=1e-6)
    cosine: Any = job.make_schedule("cosine", 0.6, updates)
    expected = 0.3 * (1 + np.cos(np.pi * counts / updates))
    np.testing.assert_allclose(cosine(counts), expected, atol=3e-4)  # 64 straight pieces
    assert job.make_schedule("constant", 0.6, updates) == 0.6


def test_s50_the_four_steps_are_timed_one_by_one(capsys):
    from experiments import steps

    costs = steps.main(steps.Options(batch_size=64))
    lines = capsys.readouterr().out.splitlines()
    assert len(costs.seconds) == 4 and len(lines) == 7
    assert costs.seconds["2, 3 run forward, loss"] > 0 and costs.seconds["4a gradient"] > 0
    shares = [int(re.findall(r"(-?\d+)%", line)[0]) for line in lines[2:6]]
    assert abs(sum(shares) - 100) <= 2
    # 784 x 512 and 512 x 10 multiplications an example forward; both again, and 512 x 10, for the gradient
    products = sum(costs.least.values()) * costs.rate / 2 / 64
    assert products == pytest.approx(2 * 784 * 512 + 3 * 512 * 10)
    with pytest.raises(command.UsageError, match="batch size: got 0"):
        steps.main(steps.Options(batch_size=0))


def test_s51_s62_backpropagation_is_seen_and_saves_a_hundred_thousand_times(tmp_path, capsys):
    from experiments import backpropagation

    options = backpropagation.Options(dataset="digits", hidden=32, statistics=True, out=tmp_path)
    result = backpropagation.main(options)
    assert result.gradient_difference < 1e-5 and result.curve_difference < 1e-4
    assert result.backward < 20 * result.forward and result.one_by_one > 100 * result.backward
    printed = capsys.readouterr().out
    assert re.search(r"w > mul > add > distance +2 \* 1 \* 1 = +2 +d loss / d w = 2", printed)
    assert re.search(r"b > add > distance +1 \* 1 = +1 +d loss / d b = 1", printed)
    assert "relu > dot_general, gradient" in printed
    for name in ("example.png", "network.png", "statistics.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)
    assert "<svg" in (tmp_path / "network.svg").read_text()
    assert "relu" in (tmp_path / "graph.mmd").read_text()
    assert "dot_general" in (tmp_path / "graph.txt").read_text()


def test_s53_s54_s55_s56_three_regimes_and_three_regions(tmp_path, capsys):
    from experiments import gradient_descent

    options = gradient_descent.Options(dataset="digits", epochs=4, seeds=2, out=tmp_path)
    result = gradient_descent.main(options)
    true, mini, full = (result.regimes[name].mean for name in ("true", "mini-batch", "full batch"))
    assert true > mini > full  # 5,768 updates, 48, 4
    assert "full batch     1,442         4" in capsys.readouterr().out
    slow, good, diverged = (result.rates[name] for name in ("slow", "good", "diverged"))
    assert slow[0] < 2e-4 and diverged[1] == pytest.approx(10)
    assert slow[1] < good[0] <= good[1] < diverged[0]
    assert result.found_loss < 1.2 * result.best_loss  # by the gradient of a run, and by trying
    for name in ("learning_rates.png", "descent.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)


def test_s57_s58_optimizers_are_compared_with_error_bars(tmp_path, capsys):
    from experiments import optimizers as experiment

    options = experiment.Options(dataset="digits", hidden=32, epochs=8, seeds=3, target=0.8, out=tmp_path)
    result = experiment.main(options)
    assert list(result.rates) == ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"]
    assert np.mean(result.epochs["momentum"]) < np.mean(result.epochs["sgd"])
    printed = capsys.readouterr().out
    assert re.search(r"adam .*\[0\.\d+, 0\.\d+\]", printed)
    for name in ("balls", "valley", "rates", "curves", "ranking"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(PNG)
    assert (tmp_path / "valley.gif").read_bytes().startswith(b"GIF89a")


def test_s58_momentum_passes_a_local_minimum_but_not_always_and_not_always_for_the_better(tmp_path):
    from experiments import optimizers as experiment

    (past, stuck, overshot) = experiment.show_balls(tmp_path).values()
    losses = [loss for loss, _ in experiment.BALLS.values()]
    assert past[0] == pytest.approx(-0.8, abs=0.05) and past[1] == pytest.approx(2, abs=0.01)
    assert losses[0](past[1]) < losses[0](past[0])
    assert stuck[0] == pytest.approx(stuck[1], abs=0.01) and losses[1](stuck[1]) > losses[1](2.0)
    assert losses[2](overshot[1]) > losses[2](overshot[0]) + 0.1  # plain descent finds the better place


def test_s58_in_an_ill_conditioned_valley_momentum_takes_fewer_steps(tmp_path):
    from experiments import optimizers as experiment

    steps = experiment.show_valley(tmp_path)
    assert steps["momentum"] < steps["sgd"] / 2 and steps["nesterov"] < steps["sgd"] / 4


def test_epochs_to_a_target_are_between_epochs_by_a_straight_line():
    from experiments import optimizers as experiment

    curves = np.array([[0.5, 0.9, 0.95], [0.97, 0.98, 0.99], [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(experiment.epochs_to(curves, 0.92), [2.4, 1, np.inf])


def test_s54_s88_any_grid_from_the_command_line(tmp_path, capsys):
    from experiments import sweep

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
    assert (tmp_path / "sweep.png").read_bytes().startswith(PNG)


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
        ({"batch_size": 10**6}, "batch size: got 1000000"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(tmp_path, changes, message):
    from experiments import sweep

    with pytest.raises(command.UsageError, match=message):
        sweep.main(sweep.Options(dataset="digits", out=tmp_path, **changes))


@jax.numpy_dtype_promotion("standard")  # optax's adam raises a float to an integer
def test_the_tuned_recipe_runs_on_digits():
    from experiments import tuned

    summary = tuned.main(tuned.Options(dataset="digits", hidden=64, epochs=30, batch_size=32, seeds=3))
    assert summary.mean > 0.95 and summary.low < summary.mean < summary.high


def test_help_names_every_option(home):
    text = run(home, "--help").stdout
    for option in ("dataset", "hidden", "optimizer", "learning-rate", "epochs", "batch-size", "seed", "out"):
        assert f"--{option}" in text


def test_s41_s42_the_hidden_layers_uncrumple_what_no_line_separates(tmp_path):
    from experiments import manifold

    first, *_, last = manifold.main(manifold.Options(out=tmp_path))
    assert first.epoch == 0 and max(first.separability) < 0.75
    assert last.separability[0] == first.separability[0]  # the input stays what it is
    assert last.separability[1] > 0.9 and min(last.separability[2:]) > 0.98
    assert (tmp_path / "manifold.png").read_bytes().startswith(PNG)
    assert (tmp_path / "manifold.gif").read_bytes().startswith(b"GIF89a")


def test_s42_the_linear_classifier_is_that_of_numpy():
    import jax.numpy as jnp

    from experiments import manifold

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 3)).astype(np.float32), rng.integers(0, 2, 200)
    weights = np.linalg.lstsq(np.column_stack([x, np.ones(200)]), 2 * y - 1, rcond=None)[0]
    expected = np.mean((np.column_stack([x, np.ones(200)]) @ weights > 0) == (y == 1))
    labels = jnp.asarray(y, jnp.int32)
    assert abs(manifold.linear_accuracy(jnp.asarray(x), labels, jnp.asarray(x), labels) - expected) < 0.006


def test_s40_s41_affine_layers_learn_no_more_than_one_and_relu_makes_the_difference(tmp_path, capsys):
    from experiments import geometry

    options = geometry.Options(dataset="digits", hidden=(32, 32), seeds=3, out=tmp_path)
    one, three, relu = (accuracies.mean() for accuracies in geometry.main(options).values())
    assert three < one + 0.005 and relu > one
    printed = capsys.readouterr().out
    assert re.search(r"translation by \(1, 0\.5\) .* affine, not linear", printed)
    assert len(re.findall(r"  linear$", printed, re.MULTILINE)) == 3
    (difference,) = re.findall(r"logits differ by at most (\S+)", printed)
    assert float(difference) < 1e-4
    assert (tmp_path / "maps.png").read_bytes().startswith(PNG)
