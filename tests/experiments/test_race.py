"""The race: its peers do the same job, and its numbers are what was measured."""

import importlib
import importlib.util
import json
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import peers, race
from experiments.peers import Data, Recipe
from jaxnaive import command, job, losses, optimizers

RECIPE = Recipe("nesterov", 0.2, "one-cycle", 64, 3, 0.1)
CONSTANT = Recipe("nesterov", 0.03, "constant", 64, 3)
PACKAGES = {  # by peer: what it needs besides jaxnaive's own
    "ours": None, "plain_jax": None, "numpy_by_hand": None, "scikit_learn": None, "equinox_loop": "equinox",
    "flax_nnx": "flax", "keras_fit": "keras", "tensorflow_notes": "tensorflow", "pytorch": "torch",
}  # fmt: skip


@pytest.fixture(scope="module")
def small(digits):
    """The digits, enlarged to 28 x 28; the last batch of an epoch is short."""

    def enlarged(images):
        return np.pad(np.kron(images, np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))

    train, test = digits.train, digits.test
    return Data(enlarged(train.images), train.labels, enlarged(test.images), test.labels)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_peer_learns_as_well_as_the_others(small, name):
    package = PACKAGES[name]
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    laps = []
    peer = importlib.import_module(f"experiments.peers.{name}")
    recipe = CONSTANT if name == "scikit_learn" else RECIPE
    with jax.numpy_dtype_promotion("standard"):
        predicted = peer.train(small, recipe, 0, lambda: laps.append(None))
    assert len(laps) == recipe.epochs and predicted.shape == small.test_labels.shape
    assert 0.93 < np.mean(predicted == small.test_labels) < 0.99


@pytest.mark.parametrize("label_smoothing", [0.0, 0.15])
def test_numpys_gradients_are_those_of_jax(small, label_smoothing):
    from experiments.peers import numpy_by_hand, plain_jax

    rng = np.random.default_rng(0)
    shapes = [(784, 512), (512,), (512, 10), (10,)]
    w1, b1, w2, b2 = params = [rng.normal(size=shape).astype(np.float32) / 20 for shape in shapes]
    x, y = peers.features(small.train_images[:7]), small.train_labels[:7]

    def loss(params):
        logits = plain_jax.forward(params, jnp.asarray(x))
        targets = optax.smooth_labels(jax.nn.one_hot(y, 10), label_smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean()

    expected = jax.tree.leaves(
        jax.grad(loss)([(jnp.asarray(w1), jnp.asarray(b1)), (jnp.asarray(w2), jnp.asarray(b2))])
    )
    for got, wanted in zip(numpy_by_hand.gradients(params, x, y, label_smoothing), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-7)


def test_the_learning_rate_is_that_of_the_main_job():
    recipe = Recipe("sgd", 0.6, "one-cycle", 128, 3)
    assert recipe.updates(60_000) == 3 * 469
    rate, ours = recipe.rate(60_000), job.make_schedule("one-cycle", 0.6, 3 * 469)
    counts = np.arange(0, 3 * 469, 50)
    assert callable(ours)
    expected = [float(ours(jnp.asarray(count))) for count in counts]
    np.testing.assert_allclose([rate(count) for count in counts], expected, rtol=1e-5)
    assert Recipe("sgd", 0.1, "constant", 128, 3).rate(60_000)(7) == 0.1
    optimizers.sgd(recipe.rate(60_000, jax.numpy.minimum))  # is a schedule


def test_what_is_held_out_is_not_trained_on(small, tmp_path):
    for name, array in small._asdict().items():
        np.save(tmp_path / f"{name}.npy", array)
    whole, part = peers.load(tmp_path, 0), peers.load(tmp_path, 100)
    assert all(np.array_equal(got, array) for got, array in zip(whole, small, strict=True))
    np.testing.assert_array_equal(part.test_images, small.train_images[-100:])
    np.testing.assert_array_equal(part.train_labels, small.train_labels[:-100])


def measured(seconds, epochs, accuracy=0.98, megabytes=100.0):
    return race.Measured(seconds, megabytes, 0.5, 0.1, epochs, accuracy)


def test_the_table_is_medians_and_ratios():
    ours = {"epoch": [measured(3, [2, 1, 1]), measured(4, [2, 1, 3])], "same recipe": [measured(2, [1])]}
    theirs = {
        "epoch": [measured(9, [4, 2, 2])],
        "same recipe": [measured(s, [1], a) for s, a in ((5, 0.97), (9, 0.99), (4, 0.98))],
        "own recipe": [],
    }
    row = race.row_of(theirs, ours)
    assert row["epoch"] == 2 and row["epoch ratio"] == 2 and row["first epoch"] == 4
    assert row["same recipe"]["seconds"] == 5 and row["same recipe"]["ratio"] == 2.5
    assert (row["same recipe"]["least"], row["same recipe"]["most"]) == (4, 9)
    assert row["same recipe"]["accuracy"] == pytest.approx(0.98) and "own recipe" not in row


def test_only_recipes_that_may_be_the_fastest_are_tried():
    few, large, slow, constant, adam = (
        Recipe("nesterov", 0.6, "one-cycle", 256, 3),
        Recipe("nesterov", 0.6, "one-cycle", 512, 4),
        Recipe("nesterov", 0.6, "one-cycle", 128, 4),
        Recipe("adam", 0.001, "constant", 128, 6),
        Recipe("adam", 0.006, "one-cycle", 128, 4),
    )
    assert race.shortlist([slow, few, large, constant, adam]) == [few, large, constant, adam]


def test_everyone_gets_the_good_recipe_that_is_fastest_for_it(capsys):
    quick = Recipe("nesterov", 0.9, "one-cycle", 256, 1, 0.15)  # but not good enough
    good = Recipe("adam", 0.006, "one-cycle", 128, 2, 0.15)
    asked = []

    def run(name, recipe, held_out, seed):
        asked.append((name, recipe))
        if name == "scikit-learn" and recipe.schedule != "constant":
            return None
        accuracy = 0.983 if recipe == quick else 0.985 if recipe in (good, race.SAME) else 0.97
        seconds = 5.0 if (name, recipe) == ("JAX", good) and ("JAX", good) in asked[:-1] else 6.0
        return race.Measured(seconds, 1.0, 0.1, 0.1, [1.0] * recipe.epochs, accuracy)

    jobs = {name: {} for name in ("jaxnaive", "JAX", "scikit-learn")}
    race.add_best_recipes(jobs, run, 6_000)
    assert jobs == {"jaxnaive": {"own recipe": race.SAME}, "JAX": {"own recipe": good}, "scikit-learn": {}}
    assert ("JAX", quick) not in asked
    assert "0.9836 is enough:\n" in capsys.readouterr().out


@pytest.mark.parametrize("label_smoothing", [0.0, 0.15])
def test_the_loss_in_optax_is_ours(label_smoothing):
    from experiments.peers import in_optax

    logits, y = jax.random.normal(jax.random.key(0), (7, 10)), jnp.arange(7)
    got = in_optax.make_loss(RECIPE._replace(label_smoothing=label_smoothing))(logits, y)
    expected = losses.smoothed_cross_entropy(label_smoothing)(logits, y).mean()
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_a_race_of_two(mnist, tmp_path, capsys):
    options = race.Options(peers=("NumPy", "Keras, JAX"), rounds=1, search=False, out=tmp_path)
    result = race.main(options)
    assert result.gigaflops > 1 and 0 < result.share < 2
    printed = capsys.readouterr().out
    if importlib.util.find_spec("keras") is None:
        assert "Keras, JAX: left out, keras not installed" in printed
    found = json.loads((tmp_path / "race.json").read_text())
    assert {"jaxnaive", "NumPy"} <= set(found["entrants"])
    for row in found["entrants"].values():
        assert row["same recipe"]["accuracy"] > 0.98 and row["same recipe"]["megabytes"] > 50
    lines = (tmp_path / "processes.jsonl").read_text().splitlines()
    measured = Counter(line["entrant"] for line in map(json.loads, lines) if line["held_out"] == 0)
    assert measured == {name: 2 + ("as the book" in row) for name, row in found["entrants"].items()}
    assert json.loads(lines[0])["entrant"] == "jaxnaive"
    numpys = [line for line in map(json.loads, lines) if line["entrant"] == "NumPy"]
    assert [(line["recipe"]["epochs"], line["held_out"]) for line in numpys] == [(3, 0), (2, 0)]
    assert (tmp_path / "race.png").stat().st_size > 1000


def test_a_peer_that_fails_is_said_and_left_out(mnist, tmp_path, capsys):
    recipe = Recipe("sgd", 0.1, "one-cycle", 128, 1)
    assert race.process("scikit-learn", recipe, 0, 0, arrays=tmp_path / "none", log=tmp_path / "log") is None
    assert "scikit-learn: FileNotFoundError" in capsys.readouterr().out and not (tmp_path / "log").exists()


def test_who_does_not_exist_is_refused(tmp_path):
    with pytest.raises(command.UsageError, match="peers: got 'Keras', expected one or more of 'jaxnaive'"):
        race.main(race.Options(peers=("Keras",), out=tmp_path))
    with pytest.raises(command.UsageError, match="rounds: got 0"):
        race.main(race.Options(rounds=0, out=tmp_path))
