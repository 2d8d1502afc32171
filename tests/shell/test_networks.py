"""The network of a finished run: what it is, and which runs are refused."""

import json

import jax
import numpy as np
import pytest
import safetensors.numpy

from experiments import mnist
from jaxnaive import data, networks, rejection, runs, training
from jaxnaive.disk import checkpoints
from jaxnaive.job import Job
from jaxnaive.networks import fitting
from jaxnaive.pictures import plots


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    own = Job(dataset="digits", hidden=(8, 7), epochs=2, batch_size=100)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("curves", "predictions"):
            patch.setattr(plots, name, lambda *_: None)
        return out, mnist.main(mnist.Options(job=own, out=out))


@pytest.fixture
def folder(finished, tmp_path):
    out, _ = finished
    for name in ("config.json", "certificate.json", "params.safetensors"):
        (tmp_path / name).write_bytes((out / name).read_bytes())
    return tmp_path


def test_s45_it_is_the_network_that_was_trained(finished):
    out, result = finished
    network = networks.load(out)
    assert network.image_shape == (8, 8) and network.class_names == tuple("0123456789")
    dataset = networks.load_dataset(network)
    logits = training.predict(network.params, dataset.test.images, network.model)
    expected = training.predict(result.params, dataset.test.images, network.model)
    np.testing.assert_array_equal(logits, expected)
    assert np.mean(logits.argmax(axis=1) == dataset.test.labels) == pytest.approx(result.accuracy)


def test_it_needs_no_dataset(folder, monkeypatch):
    monkeypatch.setattr(data, "load", None)
    assert jax.tree.map(np.shape, networks.load(folder).params)[0] == {"w": (64, 8), "b": (8,)}


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), runs.RefusedError, "there is no run"),
        (lambda folder: (folder / "config.json").write_text("{"), ValueError, "not a configuration"),
        (lambda folder: (folder / "certificate.json").unlink(), runs.RefusedError, "not complete"),
        (lambda folder: (folder / "certificate.json").write_text("[]"), runs.RefusedError, "not complete"),
        (
            lambda folder: (folder / "params.safetensors").unlink(),
            checkpoints.DamagedError,
            r"not what was certified; make it again with fit\(..., out='.*'\) \(--resume --out .*\)",
        ),
        (
            lambda folder: checkpoints.save_params(
                folder / "params.safetensors",
                {
                    name: array + np.float32(1e-6)
                    for name, array in safetensors.numpy.load_file(folder / "params.safetensors").items()
                },
            ),
            checkpoints.DamagedError,
            "not what was certified",
        ),
    ],
)
def test_a_folder_that_holds_no_finished_run_is_refused(folder, damage, error, message):
    damage(folder)
    with pytest.raises(error, match=message):
        networks.load(folder)


def change(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def test_a_run_of_another_format_or_of_another_network_is_refused(folder):
    change(folder, format=2)
    with pytest.raises(ValueError, match="got a run of format 2, expected 1; another jaxnaive wrote it"):
        networks.load(folder)
    change(folder, format=1, hidden=[9, 7])
    with pytest.raises(ValueError, match=r"got 0.b float32\[8\], expected 0.b float32\[9\]"):
        networks.load(folder)
    change(folder, hidden=None)
    with pytest.raises(ValueError, match=r"config.json: not of a run of this version \(hidden: got None"):
        networks.load(folder)


def test_a_run_from_before_the_options_that_were_added_later_is_loaded(folder, finished):
    config = json.loads((folder / "config.json").read_text())
    for name in ("label_smoothing", "precision"):
        del config[name]
    (folder / "config.json").write_text(json.dumps(config))
    certificate = json.loads((folder / "certificate.json").read_text())
    certificate["times_seen"] = certificate.pop("times_scheduled")
    (folder / "certificate.json").write_text(json.dumps(certificate))
    network = networks.load(folder)
    assert network.job == networks.load(finished[0]).job and network.job.label_smoothing == 0


def test_other_data_than_it_was_trained_on_is_refused(folder):
    change(folder, fingerprint="00000000")
    with pytest.raises(ValueError, match=r"digits: got the data \w{8}, but .* was trained on 00000000"):
        networks.load_dataset(networks.load(folder))


# --- what it does not know ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_pictures(tmp_path_factory):
    """A network for random pictures of MNIST's size, of three classes, and the pictures."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    images = np.clip(rng.integers(0, 200, (3, 28, 28))[labels] + rng.normal(0, 20, (300, 28, 28)), 0, 255)
    images = images.astype(np.uint8)
    out = tmp_path_factory.mktemp("pictures") / "run"
    return fitting.fit(
        (images, labels), hidden=(16,), epochs=9, optimizer="adam", out=out, progress=False
    ), images


def test_a_run_and_a_saved_network_keep_what_they_do_not_know(of_pictures, tmp_path):
    network, images = of_pictures
    network.save(tmp_path / "network.safetensors")
    noise = np.random.default_rng(1).integers(0, 256, (20, 28, 28), np.uint8)
    for kept in (network, networks.load(network.folder), networks.load(tmp_path / "network.safetensors")):
        assert kept.rejection is not None and network.rejection is not None
        for got, expected in zip(kept.rejection, network.rejection, strict=True):
            assert isinstance(got, np.ndarray)
            np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(kept.params[0]["w"], network.params[0]["w"])
        assert kept.is_unlike(images).mean() < 0.2 and kept.is_unlike(noise).all()
    named = safetensors.numpy.load_file(tmp_path / "network.safetensors")
    parts = [f"rejection.{name}" for name in ("axes", "limit", "mean")]
    assert sorted(named) == ["0.b", "0.w", "1.b", "1.w", *parts]


def test_held_out_examples_have_no_part_in_what_is_known(of_pictures):
    network, images = of_pictures
    labels = np.arange(300) % 3
    planned = fitting.plan(Job(validation=0.5), data.load((images, labels)))
    found = networks.learn_rejection(planned.train, network.schema)
    expected = rejection.learn(planned.train.images, planned.train.labels, 3)
    assert found is not None
    np.testing.assert_array_equal(found.mean, expected.mean)


def test_a_network_from_before_there_was_a_rejection_is_loaded_and_says_so(of_pictures, tmp_path):
    network, images = of_pictures
    old = network._replace(rejection=None)
    old.save(tmp_path / "old.safetensors")
    assert sorted(safetensors.numpy.load_file(tmp_path / "old.safetensors")) == ["0.b", "0.w", "1.b", "1.w"]
    loaded = networks.load(tmp_path / "old.safetensors")
    with pytest.raises(ValueError, match="network that cannot say what it does not know, expected one for"):
        loaded.is_unlike(images)
    for name in ("config.json", "certificate.json", "params.safetensors"):
        (tmp_path / name).write_bytes((network.folder / name).read_bytes())
    assert networks.load(tmp_path).rejection is None


def test_a_damaged_rejection_is_refused_and_other_pictures_than_mnists_have_none(
    of_pictures, finished, tmp_path
):
    network, _ = of_pictures
    for name in ("config.json", "certificate.json", "params.safetensors", networks.REJECTION):
        (tmp_path / name).write_bytes((network.folder / name).read_bytes())
    path = tmp_path / networks.REJECTION
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(checkpoints.DamagedError, match=r"rejection\.safetensors: not a whole checkpoint"):
        networks.load(tmp_path)
    assert networks.load(finished[0]).rejection is None and not (finished[0] / networks.REJECTION).exists()
