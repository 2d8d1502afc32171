"""The race: its entrants do the same job, and its numbers are what was measured."""

import importlib
import importlib.util
import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.race import processes, race, results, search, specification
from experiments.race.processes import ENTRANTS, Measured
from experiments.race.search import SAME
from experiments.race.specification import Data, Hyperparameters
from jaxnaive import command, job, losses, optimizers, runs
from jaxnaive.command import step_costs
from jaxnaive.disk import arrays
from jaxnaive.runs import timings

HYPERPARAMETERS = Hyperparameters("nesterov", 0.2, "one-cycle", 64, 3, 0.1)
CONSTANT = Hyperparameters("nesterov", 0.03, "constant", 64, 3)
EXPERT = "JAX, one scan, compile cache"
IN_THIS_PROCESS = ("jaxnaive", "JAX", EXPERT, "Equinox", "Flax NNX", "PyTorch", "NumPy", "scikit-learn")
WITH_ENVIRONMENT = (
    "Keras, JAX", "Keras, TensorFlow", "Keras, PyTorch", "TensorFlow, the notes' loop", "PyTorch, compiled",
    "tinygrad", "MLX",
)  # fmt: skip


def skip_unless_installed(name):
    for package in ENTRANTS[name].needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    for program in ENTRANTS[name].programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def train(name, data, hyperparameters, lap=lambda: None):
    """The accuracy of an entrant that was trained in this process."""
    entrant = importlib.import_module(f"experiments.race.entrants.{ENTRANTS[name].module}")
    with jax.numpy_dtype_promotion("standard"):
        predicted = entrant.train(data, hyperparameters, 0, lap)
    assert predicted.shape == data.test_labels.shape
    return np.mean(predicted == data.test_labels)


@pytest.fixture(scope="module")
def small(digits):
    """The digits, enlarged to 28 x 28; the last batch of an epoch is short."""

    def enlarged(images):
        return np.pad(np.kron(images, np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))

    train, test = digits.train, digits.test
    return Data(enlarged(train.images), train.labels, enlarged(test.images), test.labels)


@pytest.fixture
def folder(small, tmp_path):
    """The folder of a race, with the digits in place of MNIST."""
    arrays.write(tmp_path / "arrays", small._asdict(), {})
    return tmp_path


def test_every_entrant_has_a_file_and_every_file_an_entrant():
    files = (Path(race.__file__).parent / "entrants").glob("*.py")
    assert {path.stem for path in files} == {entrant.module for entrant in ENTRANTS.values()}


@pytest.mark.parametrize("name", IN_THIS_PROCESS)
def test_every_entrant_learns_as_well_as_the_others(small, name):
    skip_unless_installed(name)
    laps = []
    hyperparameters = CONSTANT if name == "scikit-learn" else HYPERPARAMETERS
    assert 0.93 < train(name, small, hyperparameters, lambda: laps.append(None)) < 0.99
    assert len(laps) == hyperparameters.epochs


@pytest.mark.parametrize("name", WITH_ENVIRONMENT)
def test_so_do_those_whose_backend_or_cache_the_environment_of_the_process_decides(folder, name):
    skip_unless_installed(name)
    (folder / "compiled").mkdir()
    measured = processes.measure(name, HYPERPARAMETERS, 0, 0, arrays=folder / "arrays")
    assert measured is not None and 0.93 < measured.accuracy < 0.99
    assert len(measured.epochs) == HYPERPARAMETERS.epochs


@pytest.mark.optimise
@pytest.mark.parametrize("name", ["jaxnaive", pytest.param("NumPy", marks=pytest.mark.slow)])
def test_the_hyperparameters_for_all_reach_the_target_on_mnist(mnist, name):
    parts = (mnist.train.images, mnist.train.labels, mnist.test.images, mnist.test.labels)
    assert train(name, Data(*map(np.asarray, parts)), SAME) > search.TARGET


def test_scikit_learn_refuses_what_it_does_not_have(small):
    for hyperparameters in (HYPERPARAMETERS, CONSTANT._replace(label_smoothing=0.1)):
        with pytest.raises(ValueError, match="neither a one-cycle schedule nor label smoothing"):
            train("scikit-learn", small, hyperparameters)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.15])
def test_numpys_gradients_are_those_of_jax(small, label_smoothing):
    from experiments.race.entrants import numpy_by_hand, plain_jax

    rng = np.random.default_rng(0)
    shapes = [(784, 512), (512,), (512, 10), (10,)]
    w1, b1, w2, b2 = params = [rng.normal(size=shape).astype(np.float32) / 20 for shape in shapes]
    x, y = specification.features(small.train_images[:7]), small.train_labels[:7]

    def loss(params):
        logits = plain_jax.forward(params, jnp.asarray(x))
        targets = optax.smooth_labels(jax.nn.one_hot(y, 10), label_smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean()

    expected = jax.tree.leaves(
        jax.grad(loss)([(jnp.asarray(w1), jnp.asarray(b1)), (jnp.asarray(w2), jnp.asarray(b2))])
    )
    for got, wanted in zip(numpy_by_hand.gradients(params, x, y, label_smoothing), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam"])
def test_numpys_updates_are_those_of_optax(optimizer):
    from experiments.race import specification_optax
    from experiments.race.entrants import numpy_by_hand

    rng = np.random.default_rng(0)
    w, m, v = rng.normal(size=5).astype(np.float32), np.zeros(5, np.float32), np.zeros(5, np.float32)
    expected = jnp.asarray(w)
    reference = specification_optax.make_optimizer(CONSTANT._replace(optimizer=optimizer), 100)
    state = reference.init(expected)
    for count in (1, 2, 3):
        g = rng.normal(size=5).astype(np.float32)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = reference.update(jnp.asarray(g), state, expected)
        expected = optax.apply_updates(expected, updates)
        numpy_by_hand.update(optimizer, CONSTANT.learning_rate, count, w, g, m, v)
        np.testing.assert_allclose(w, np.asarray(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.15])
def test_the_loss_in_optax_is_that_of_jaxnaive(label_smoothing):
    from experiments.race import specification_optax

    logits, y = jax.random.normal(jax.random.key(0), (7, 10)), jnp.arange(7)
    hyperparameters = HYPERPARAMETERS._replace(label_smoothing=label_smoothing)
    got = specification_optax.make_loss(hyperparameters)(logits, y)
    expected = losses.smoothed_cross_entropy(label_smoothing)(logits, y).mean()
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_the_learning_rate_is_that_of_the_main_job():
    hyperparameters = Hyperparameters("sgd", 0.6, "one-cycle", 128, 3)
    assert hyperparameters.updates(60_000) == 3 * 469
    rate, ours = hyperparameters.rate(60_000), job.make_schedule("one-cycle", 0.6, 3 * 469)
    counts = np.arange(0, 3 * 469, 50)
    assert callable(ours)
    expected = [float(ours(jnp.asarray(count))) for count in counts]
    np.testing.assert_allclose([rate(count) for count in counts], expected, rtol=1e-5)
    assert Hyperparameters("sgd", 0.1, "constant", 128, 3).rate(60_000)(7) == 0.1
    optimizers.sgd(hyperparameters.rate(60_000, jax.numpy.minimum))  # is a schedule


def test_what_is_held_out_is_not_trained_on(small, folder):
    whole, part = (specification.load(folder / "arrays", held_out) for held_out in (0, 100))
    assert all(np.array_equal(got, array) for got, array in zip(whole, small, strict=True))
    np.testing.assert_array_equal(part.test_images, small.train_images[-100:])
    np.testing.assert_array_equal(part.test_labels, small.train_labels[-100:])
    np.testing.assert_array_equal(part.train_images, small.train_images[:-100])
    np.testing.assert_array_equal(part.train_labels, small.train_labels[:-100])


def measured(seconds, epochs, accuracy=0.98, megabytes=100.0):
    return Measured(seconds, megabytes, 0.5, 0.1, epochs, accuracy)


def test_the_table_is_medians_and_ratios():
    ours = {"epoch": [measured(3, [2, 1, 1]), measured(4, [2, 1, 3])], "same recipe": [measured(2, [1])]}
    theirs = {
        "epoch": [measured(9, [4, 2, 2])],
        "same recipe": [measured(s, [1], a) for s, a in ((5, 0.97), (9, 0.99), (4, 0.98))],
        "own recipe": [],
    }
    row = results.row_of(theirs, ours)
    assert row["epoch"] == 2 and row["epoch ratio"] == 2 and row["first epoch"] == 4
    assert row["same recipe"]["seconds"] == 5 and row["same recipe"]["ratio"] == 2.5
    assert (row["same recipe"]["least"], row["same recipe"]["most"]) == (4, 9)
    assert row["same recipe"]["accuracy"] == pytest.approx(0.98) and "own recipe" not in row


def test_jax_takes_part_without_and_with_a_warm_compile_cache(tmp_path, monkeypatch):
    peers = race.Options().peers
    assert peers[peers.index("JAX") + 1] == "JAX, compile cache"
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    caches = {name: processes.environment(name, tmp_path).get("JAX_COMPILATION_CACHE_DIR") for name in peers}
    used = str(tmp_path / "compiled")
    assert caches == dict.fromkeys(peers) | dict.fromkeys(("jaxnaive", "JAX, compile cache", EXPERT), used)
    others = {name: processes.environment(name, tmp_path)[ENTRANTS[name].cache] for name in peers[-5:-2]}
    assert others == dict.fromkeys(("PyTorch, compiled", "tinygrad", "MLX"), used)


def test_what_was_not_equal_is_what_the_files_of_the_entrants_do():
    for name, (module, differs, *_, cache) in ENTRANTS.items():
        source = (Path(race.__file__).parent / "entrants" / f"{module}.py").read_text()
        assert ("float32 images" in differs) == ("features(data.train_images)" in source), name
        assert bool(cache) != ("compiles anew" in differs or "not compiled" in differs), name
    assert not ENTRANTS["jaxnaive"].differs


def test_every_row_of_the_table_says_what_was_not_equal(capsys):
    runs = {"epoch": [measured(3.0, [2.0, 1.0, 1.0])], "same recipe": [measured(2.0, [1.0])]}
    plan = {name: {"epoch": race.EPOCHS, "same recipe": SAME} for name in ("jaxnaive", "JAX", EXPERT)}
    rows = results.rows_of(results.Result(dict.fromkeys(plan, runs), 1.0, 1.0))
    differs = {"jaxnaive": "", "JAX": "compiles anew, float32 images", EXPERT: ""}
    assert {name: row["differs"] for name, row in rows.items()} == differs
    results.print_table(plan, rows)
    table = capsys.readouterr().out
    assert (
        "2.00 (1.00)               -               -  compiles anew, float32 images\nJAX, one scan" in table
    )
    assert "2.00 (1.00)               -               -\njaxnaive, same recipe" in table


def test_each_is_compared_with_jaxnaive_in_the_same_task():
    ours = {"epoch": [], "same recipe": [measured(2, [1])], "own recipe": [measured(1, [1])]}
    theirs = {task: [measured(6, [1])] for task in ("same recipe", "own recipe", "as the book")}
    row = results.row_of(theirs | {"epoch": []}, ours)
    assert [row[task]["ratio"] for task in results.WHOLE] == [3, 6, 3]


def test_only_candidates_that_may_be_the_fastest_are_tried():
    few, large, slow, equal = (
        Hyperparameters("nesterov", 0.6, "one-cycle", 256, 3),
        Hyperparameters("nesterov", 0.6, "one-cycle", 512, 4),
        Hyperparameters("nesterov", 0.6, "one-cycle", 128, 4),
        Hyperparameters("nesterov", 0.3, "one-cycle", 512, 4),
    )
    assert search.shortlist([slow, few, large, equal]) == [few, large]


def test_everyone_gets_the_good_hyperparameters_that_are_fastest_for_it(capsys):
    quick, equal = (SAME._replace(batch_size=256, epochs=1, learning_rate=rate) for rate in (0.3, 0.6))
    larger = SAME._replace(batch_size=256, learning_rate=2.4)
    found = {quick: 0.983, equal: 0.98, SAME: 0.984, larger: 0.985, search.BOOK[2]: 0.99}
    asked = []

    def measure(name, hyperparameters, held_out, seed):
        asked.append((name, hyperparameters))
        if name == "scikit-learn" and hyperparameters.schedule != "constant":
            return None
        accuracy = found.get(hyperparameters, 0.97)
        if (name, hyperparameters) == ("JAX", SAME):  # the fastest, but one of its runs misses the target
            accuracy = 0.985 if asked.count((name, SAME)) == 1 else 0.979
        is_quickest = (name, hyperparameters) in [("JAX", SAME), ("jaxnaive", SAME)]
        return measured(1.0 if is_quickest else 5.0, [1.0] * hyperparameters.epochs, accuracy)

    plan = race.make_plan(["jaxnaive", "JAX", "scikit-learn"], True, measure, 6_000)
    alike = {"epoch": race.EPOCHS, "same recipe": SAME}
    assert plan == {
        "jaxnaive": alike | {"own recipe": SAME},
        "JAX": alike | {"own recipe": larger},
        "scikit-learn": alike | {"own recipe": search.BOOK[2]},
    }
    assert ("JAX", quick) not in asked and ("JAX", search.BOOK[2]) not in asked
    printed = capsys.readouterr().out
    assert printed.count("0.9836 is enough:\n") == 2
    assert (
        "jaxnaive: best with nesterov 0.6 one-cycle, batch 128, 2 epochs, label smoothing 0.15\n" in printed
    )
    assert (
        "JAX: best with nesterov 2.4 one-cycle, batch 256, 2 epochs, label smoothing 0.15; on an edge of "
        "the grid: learning rate, batch size\n" in printed
    )
    assert "6 epochs, label smoothing 0\n" in printed


def test_the_recipe_for_all_is_inside_the_grid():
    assert SAME in search.GRID
    axes = zip(*search.GRID, strict=True)
    for value, values in zip(SAME, axes, strict=True):
        assert len(set(values)) == 1 or min(values) < value < max(values)


def test_keras_trains_as_the_book_does_for_as_few_epochs_as_reach_the_target():
    def measure(name, hyperparameters, held_out, seed):
        assert name == "jaxnaive" and held_out == 6_000
        return measured(1.0, [1.0], {4: 0.97, 5: 0.979}.get(hyperparameters.epochs, 0.98))

    plan = race.make_plan(["jaxnaive", "Keras, JAX"], False, measure, 6_000)
    alike = {"epoch": race.EPOCHS, "same recipe": SAME}
    book = Hyperparameters("adam", 0.001, "constant", 128, 6)
    assert plan == {"jaxnaive": alike, "Keras, JAX": alike | {"as the book": book}}


def counting(asked):
    """What measures so that its seconds are how often it was asked."""

    def measure(name, hyperparameters, held_out, seed):
        asked.append((name, hyperparameters, held_out, seed))
        return measured(len(asked), [1.0])

    return measure


def test_equal_tasks_are_measured_once(tmp_path):
    other = SAME._replace(epochs=1)
    plan = {
        "jaxnaive": {"same recipe": SAME, "own recipe": SAME},
        "JAX": {"same recipe": SAME, "own recipe": other},
    }
    asked = []
    found = race.carry_out(plan, 2, processes.logged(tmp_path / "log", counting(asked)))
    turns = [("jaxnaive", SAME), ("JAX", SAME), ("JAX", other)]
    assert asked == [(*turn, 0, seed) for seed in (0, 1) for turn in turns]
    assert found["jaxnaive"]["own recipe"] == found["jaxnaive"]["same recipe"]
    assert [one.seconds for one in found["JAX"]["own recipe"]] == [3, 6]


def test_what_is_in_the_log_is_not_measured_again(tmp_path):
    log, asked = tmp_path / "log", []
    before = processes.logged(log, counting(asked))
    one, two = before("JAX", SAME, 0, 0), before("JAX", SAME, 600, 0)
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"entrant": "JA')  # as a kill leaves it
    after = processes.logged(log, counting(asked))
    assert log.read_bytes() == whole
    assert after("JAX", SAME, 0, 0) == one and after("JAX", SAME, 600, 0) == two and len(asked) == 2
    for others in (("JAX", SAME, 0, 1), ("NumPy", SAME, 0, 0), ("JAX", SAME._replace(epochs=3), 0, 0)):
        after(*others)
    assert len(asked) == 5 and len(log.read_bytes().splitlines()) == 5
    log.write_bytes(whole.replace(b"recipe", b"recipes") + whole[:20] + b"\n")
    with pytest.raises(ValueError, match="log: line 3 is damaged"):
        processes.read_log(log)


def test_a_failed_process_is_tried_again(tmp_path):
    assert processes.logged(tmp_path / "log", lambda *process: None)("JAX", SAME, 0, 0) is None
    asked = []
    assert processes.logged(tmp_path / "log", counting(asked))("JAX", SAME, 0, 0) is not None and asked


@pytest.fixture
def costs(monkeypatch):
    """What the four steps of training are said to cost, instead of a measurement."""
    found = step_costs.Costs({"forward": 1.0, "gradient": 1.0}, {"forward": 0.001, "gradient": 0.003}, 5e9)
    monkeypatch.setattr(step_costs, "measure", lambda batch_size: found if batch_size == 128 else None)
    return found


def test_the_limit_is_for_as_many_updates_as_an_epoch_has(costs, capsys):
    assert race.limit([measured(9, [7, 2, 2])], 1000) == (5, pytest.approx(8 * 0.004 / 2))
    assert "an epoch cannot take less than 0.032 s, and takes 2.000 s: 2%" in capsys.readouterr().out


def test_a_race_of_two(small, folder, costs, capsys, monkeypatch):
    longer = race.EPOCHS._replace(epochs=6)  # the same program, so jaxnaive compiles once
    monkeypatch.setattr(race, "SAME", longer)
    monkeypatch.setitem(ENTRANTS, "Missing", processes.Entrant("missing", needs=("no_such_package",)))
    monkeypatch.setitem(ENTRANTS, "No tool", processes.Entrant("missing", programs=("no-such-program",)))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # threads that wait for each other take time from others
    options = race.Options(peers=("NumPy", "Missing", "No tool"), rounds=1, search=False, out=folder)
    result = race.main(options)
    seconds = results.epoch_seconds(result.measured["jaxnaive"]["epoch"])
    updates = -(-len(small.train_labels) // 128)
    assert result.gigaflops == 5 and result.fraction_of_limit == pytest.approx(updates * 0.004 / seconds)
    printed = capsys.readouterr().out
    assert (
        "Missing: left out, no_such_package not installed (python -m pip install -e '.[race]')\n" in printed
    )
    assert "No tool: left out, no-such-program not installed\n" in printed
    found = json.loads((folder / "race.json").read_text())
    assert list(found["entrants"]) == ["jaxnaive", "NumPy"]
    for name, row in found["entrants"].items():
        assert 0.93 < row["same recipe"]["accuracy"] < 0.99 and row["same recipe"]["megabytes"] > 50
        assert f"{name}, same recipe: sgd 0.1 constant, batch 128, 6 epochs, label smoothing 0" in printed
    in_this_process = train("NumPy", small, longer)
    assert found["entrants"]["NumPy"]["same recipe"]["accuracy"] == pytest.approx(in_this_process, abs=0.003)
    lines = list(map(json.loads, (folder / "processes.jsonl").read_text().splitlines()))
    turns = [(line["entrant"], line["recipe"]["epochs"], line["held_out"], line["seed"]) for line in lines]
    assert turns == [(name, epochs, 0, 0) for name in ("jaxnaive", "NumPy") for epochs in (3, 6)]
    for line in lines:
        assert len(line["epochs"]) == line["recipe"]["epochs"]
        assert line["seconds"] > line["imports"] + line["data"] + sum(line["epochs"]) > 0
    assert (folder / "race.png").stat().st_size > 1000
    assert any(path.name.startswith("jit_") for path in (folder / "compiled").iterdir())


def test_a_race_that_was_stopped_goes_on(folder, costs, monkeypatch, caplog):
    asked = []

    def measure(name, hyperparameters, held_out, seed, *, arrays):
        asked.append(name)
        if len(asked) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return measured(len(asked), [1.0] * hyperparameters.epochs)

    monkeypatch.setattr(processes, "measure", measure)
    options = race.Options(peers=("NumPy",), rounds=1, search=False, out=folder)
    with pytest.raises(runs.Stopped):
        race.main(options)
    assert len((folder / "processes.jsonl").read_text().splitlines()) == len(asked) == 3
    assert f"--resume --out {folder}" in caplog.text and not (folder / "race.json").exists()
    with pytest.raises(runs.RefusedError, match="holds a run"):
        race.main(options)
    with pytest.raises(runs.RefusedError, match="rounds: got 2, but the run in"):
        race.main(replace(options, rounds=2, resume=True))
    with monkeypatch.context() as other:
        other.setattr(timings, "processor", lambda: "another")
        with pytest.raises(runs.RefusedError, match=r"machine: got .'processor': 'another'"):
            race.main(replace(options, resume=True))
    assert command.resumed("race", race.Options(resume=True, out=folder)) == replace(options, resume=True)
    result = race.main(replace(options, resume=True))
    assert asked == ["jaxnaive", "jaxnaive", "NumPy", "NumPy"]
    assert [result.measured[name]["same recipe"][0].seconds for name in ("jaxnaive", "NumPy")] == [2, 4]
    assert json.loads((folder / "race.json").read_text())["entrants"]["NumPy"]["same recipe"]["ratio"] == 2


def test_an_entrant_that_fails_is_named_and_left_out(tmp_path, capsys):
    assert processes.measure("NumPy", SAME, 0, 0, arrays=tmp_path / "none") is None
    assert "NumPy: FileNotFoundError" in capsys.readouterr().out


def test_ctrl_c_in_a_terminal_does_not_reach_what_is_measured():
    group = [sys.executable, "-c", "import os; print(os.getpgrp() == os.getpid())"]
    assert processes.run(group, dict(os.environ)).output == "True\n"


def test_what_does_not_exist_is_refused(tmp_path):
    with pytest.raises(command.UsageError, match="peers: got 'Keras', expected one or more of 'jaxnaive'"):
        race.main(race.Options(peers=("Keras",), out=tmp_path))
    with pytest.raises(command.UsageError, match="rounds: got 0"):
        race.main(race.Options(rounds=0, out=tmp_path))
