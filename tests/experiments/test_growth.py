"""How cost grows: the entrants train the same networks, and the numbers are what was measured."""

import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.race import growth, workers
from experiments.race.growing import numpy_by_hand
from experiments.race.growth import Options
from experiments.race.processes import ENTRANTS
from experiments.race.specification_growth import Size
from jaxnaive import command
from jaxnaive.command import step_costs

TINY = Size(hidden=16, batch_size=32, depth=2, examples=500, seeds=1)  # the last batch of an epoch is short
HERE = ("jaxnaive", "JAX", "NumPy")


class InThisProcess:
    """A worker without a process, which counts its measurements instead of timing them."""

    asked: list[tuple[str, Size]] = []  # noqa: RUF012  (emptied by the fixture)

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def measure(self, size, least):
        self.asked.append((self.name, size))
        if self.name == "NumPy" and size.hidden == 3:
            raise RuntimeError("NumPy: MemoryError: no room")
        return (len(self.name) + len(self.asked) / 100) * size.examples * size.seeds


@pytest.fixture
def counted(monkeypatch):
    """What was asked of the workers, which are none; the best rate of a product is 1 GFLOP/s."""
    costs = step_costs.Costs({}, {}, 1e9)
    monkeypatch.setattr(step_costs, "measure", lambda: costs)
    monkeypatch.setattr(growth, "Worker", InThisProcess)
    InThisProcess.asked.clear()
    return InThisProcess.asked


def learnable(number):
    """The class of an image is which of its ten parts is brightest."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, number, np.int32)
    images = rng.integers(0, 60, (number, 784), np.uint8)
    images.reshape(number, 28, 28)[np.arange(number), labels * 2] += 190
    return images, labels


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("name", HERE)
def test_every_entrant_learns_with_every_seed(name, seeds, monkeypatch):
    entrant = importlib.import_module(f"experiments.race.growing.{ENTRANTS[name].module}")
    monkeypatch.setattr(entrant, "LEARNING_RATE", 0.5)
    images, labels = learnable(TINY.examples)
    with jax.numpy_dtype_promotion("standard"):
        epoch = entrant.prepare(TINY._replace(seeds=seeds), images, labels)
        epoch()
        params = [(np.asarray(w), np.asarray(b)) for w, b in epoch()]
    assert [w.shape[-2:] for w, _ in params] == [(784, 16), (16, 16), (16, 10)]
    values = images / 255
    for w, b in params[:-1]:
        values = np.maximum(values @ w + b[..., None, :], 0)
    w, b = params[-1]
    predicted = (values @ w + b[..., None, :]).argmax(-1).reshape(seeds, -1)
    assert ((predicted == labels).mean(axis=1) > 0.6).all()
    assert len(np.unique(params[0][0].reshape(seeds, -1)[:, 0])) == seeds  # different networks


@pytest.mark.parametrize("seeds", [(), (3,)])
def test_the_gradients_by_hand_are_those_of_jax_for_any_depth_and_each_seed(seeds):
    rng = np.random.default_rng(0)
    sizes = [(8, 6), (6, 5), (5, 4)]
    params = [(rng.normal(size=(*seeds, *pair)), rng.normal(size=(*seeds, pair[1]))) for pair in sizes]
    x, y = rng.random((*seeds, 7, 8)), rng.integers(0, 4, (*seeds, 7))

    def loss(params, x, y):
        for w, b in params[:-1]:
            x = jax.nn.relu(x @ w + b[None])
        w, b = params[-1]
        return optax.softmax_cross_entropy_with_integer_labels(x @ w + b[None], y).mean()

    gradient = jax.grad(loss)
    with jax.enable_x64(True):
        as_jax = jax.tree.map(jnp.asarray, (params, x, y.astype(np.int32)))
        expected = (jax.vmap(gradient) if seeds else gradient)(*as_jax)
    for got, wanted in zip(
        jax.tree.leaves(numpy_by_hand.gradients(params, x, y)), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)


def test_the_limit_counts_the_multiplications_that_the_products_of_an_epoch_have():
    size = Size(hidden=3, batch_size=2, depth=2, examples=5, seeds=7)
    forward = 784 * 3 + 3 * 3 + 3 * 10
    backward = 784 * 3 + 2 * (3 * 3 + 3 * 10)
    assert growth.limit(size, 100.0) == pytest.approx(2 * 7 * 5 * (forward + backward) / 100)


def test_cost_is_linear_if_one_more_costs_the_same_within_a_tenth():
    slower = np.array([1.0, 1.5, 1.2])  # in which the machine is, from round to round
    linear = {10_000: 1.0 * slower, 100_000: 10.9 * slower, 1_000_000: 100.0 * slower}
    found = growth.growth_of({value: list(seconds) for value, seconds in linear.items()})
    assert found[10**5] / found[10**4] == pytest.approx(1.09) and found[10**6] == pytest.approx(found[10**4])
    assert not growth.not_linear(found)
    for bent in ({10_000: 1.0, 100_000: 11.2}, {10_000: 1.12, 100_000: 10.0}, {10_000: 1.0, 100_000: np.nan}):
        assert growth.not_linear(growth.growth_of({value: [cost] * 3 for value, cost in bent.items()}))


def test_every_axis_is_measured_in_rounds_and_the_table_names_what_is_lost(counted, tmp_path, capsys):
    options = Options(
        hidden=(2, 3), batch_size=(64,), depth=(1, 2), examples=(10_000, 20_000), seeds=(4, 8),
        peers=("JAX", "NumPy"), rounds=2, out=tmp_path,
    )  # fmt: skip
    found = growth.main(options)
    assert [(point.axis, point.value) for point in found] == [
        ("hidden", 2), ("hidden", 3), ("batch_size", 64), ("depth", 1), ("depth", 2),
        ("examples", 10_000), ("examples", 20_000), ("seeds", 4), ("seeds", 8),
    ]  # fmt: skip
    assert [name for name, _ in counted[:6]] == ["jaxnaive", "JAX", "NumPy"] * 2  # in turn
    assert counted[0][1] == Size(2, 128, 1, 20_480, 1) and counted[-1][1] == Size(32, 128, 1, 20_480, 8)
    printed = capsys.readouterr().out
    ratio = np.median([(3.02 / 8.01), (3.05 / 8.04)])
    assert f"hidden units 2: JAX takes {ratio:.2f} times as long" in printed
    assert "hidden units 3: NumPy: MemoryError: no room" in printed
    assert "hidden units 3: JAX takes" in printed and "hidden units 3: NumPy takes" not in printed
    stored = json.loads((tmp_path / "growth.json").read_text())
    assert stored["gigaflops"] == 1 and stored["machine"]["cores"] and stored["versions"]["jax"]
    assert stored["points"][0]["seconds"] == found[0].seconds
    assert stored["points"][1]["seconds"]["NumPy"] == [None, None]  # JSON has no other word for it
    assert (tmp_path / "growth.png").stat().st_size > 1000


def test_a_cost_that_is_not_linear_is_missed(counted, tmp_path, monkeypatch):
    monkeypatch.setattr(InThisProcess, "measure", lambda self, size, least: float(size.seeds**2))
    with pytest.raises(command.MissedError, match="not linear within 10%: seeds, see above"):
        growth.main(Options(axes=("seeds",), seeds=(4, 16), peers=(), rounds=1, out=tmp_path))
    assert (tmp_path / "growth.json").exists()


def test_a_worker_is_a_process_that_measures_says_why_it_ended_and_begins_again():
    size = Size(hidden=4, batch_size=32, depth=1, examples=64, seeds=1)
    with workers.Worker("NumPy") as worker:
        assert 0 < worker.measure(size, 0.0) < 1
        first = worker.child
        assert 0 < worker.measure(size, 0.01) < 0.01 and worker.child is first
        with pytest.raises(RuntimeError, match=r"^NumPy: .*Error: .+"):
            worker.measure(size._replace(hidden=10**14), 0.0)
        assert worker.measure(size, 0.0) > 0
        last = worker.child
    assert first is not None and last is not None and None not in (first.returncode, last.returncode)


def test_short_epochs_are_repeated_and_equal_sizes_are_prepared_once(monkeypatch):
    prepared = []

    def prepare(size, images, labels):
        assert images.shape == (size.examples, 784) and images.dtype == np.uint8
        prepared.append(size)
        return lambda: None

    monkeypatch.setattr(numpy_by_hand, "prepare", prepare)
    other = TINY._replace(depth=1)
    requests = [json.dumps([size, 0.001]) for size in (TINY, TINY, other)]
    found = list(workers.answers("numpy_by_hand", iter(requests)))
    assert prepared == [TINY, other] and all(0 < seconds < 0.0005 for seconds in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": ("width",)}, "axes: got 'width', expected one or more of hidden, batch_size"),
        ({"axes": ()}, "axes: got none with a value"),
        ({"peers": ("Keras",)}, "peers: got 'Keras', expected one or more of jaxnaive, JAX"),
        ({"batch_size": (0,)}, "batch size: got 0, expected 1 or more"),
        ({"rounds": 0}, "rounds: got 0"),
        ({"seconds": float("nan")}, "seconds: got nan, expected 0 or more"),
    ],
)
def test_what_cannot_be_measured_is_refused(options, message, tmp_path):
    with pytest.raises(command.UsageError, match=message):
        growth.main(Options(**options, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
