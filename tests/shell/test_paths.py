"""A path may be a ``str``, a ``Path`` or anything else that stands for one: the shell does the same."""

import importlib
import inspect
import pkgutil
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxnaive import data, layers, optimizers, pictures, runs, training
from jaxnaive.disk import arrays, checkpoints, files
from jaxnaive.grids import Choice
from jaxnaive.networks import handwriting
from jaxnaive.pages import report
from jaxnaive.pictures import panels, plots
from jaxnaive.pictures.panels import Panel
from jaxnaive.runs import certificates, locks, timings
from jaxnaive.statistics import Summary

STATE = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)
CERTIFICATE = dict.fromkeys(certificates.KEYS, 1)
NUMBERS = np.linspace(0.1, 0.9, 4)
CHOICE = Choice([0.1, 1.0, 10.0], np.linspace(0, 1, 12).reshape(3, 2, 2), 1)
SUMMARY = Summary(NUMBERS, 0 * NUMBERS, NUMBERS - 0.1, NUMBERS + 0.1)
ONE = Summary(*(np.array(number) for number in (0.5, 0.1, 0.4, 0.6)))


class Entry:
    """Stands for a path, as what ``os.scandir`` finds does."""

    def __init__(self, path):
        self.path = str(path)

    def __fspath__(self):
        return self.path


def replace(path):
    with files.replacing(path) as temporary:
        temporary.write_bytes(b"content")


def leftover(folder):
    (Path(folder) / f".a.{'0' * 32}.json").touch()
    return folder


def empty_file(path):
    Path(path).touch()
    return path


def stored_arrays(folder):
    arrays.write(folder, {"x": IMAGE}, {"of": "test"})
    return folder


def checkpoint(path):
    checkpoints.save(path, STATE, {"epoch": 1})
    return path


def parameters(path):
    checkpoints.save_params(path, STATE)
    return path


def picture(path):
    Image.fromarray(IMAGE).save(Path(path))
    return path


def run(folder):
    with runs.open(folder, {"epochs": 2}) as run:
        run.restore(STATE)
        run.save(STATE, [0.5, 0.25])
    return folder


def with_run(folder):
    run(Path(folder) / "a")
    return folder


def timed(folder):
    timings.add(folder, (0, 1), timings.Clock())
    return folder


def certified(folder):
    """A folder with parameters and their certificate."""
    checkpoints.save_params(Path(folder) / certificates.PARAMS, STATE)
    state = training.State([], (), jax.random.key(0), jnp.int32(0))
    test = training.Evaluation(jnp.float32(0), {}, jnp.zeros((2, 3)))
    recipe = training.Recipe(layers.mlp(6, 4, 3), optimizers.sgd(0.1), batch_size=10)
    history = training.History(jnp.zeros((0, 2)))
    certificates.write(folder, certificates.certify(folder, state, history, 20, test, recipe, Counter()))
    return folder


def holds(folder):
    certificate = certificates.read(folder)
    assert certificate is not None and certificates.holds(folder, certificate)
    return certificate


def predictions(path):
    images, labels = np.tile(IMAGE, (10, 1, 1)), np.arange(10) % 2
    plots.predictions(path, data.from_arrays(images, labels, images, labels), np.full((10, 2), 0.5))


USES = {  # every public function of the shell that takes a path; ``at`` gives the path of a name
    "disk.files.replacing": lambda at: replace(at("a.json")),
    "disk.files.write": lambda at: files.write(at("a"), b"content"),
    "disk.files.write_json": lambda at: files.write_json(at("a.json"), [1, 2]),
    "disk.files.append": lambda at: files.append(empty_file(at("a")), b"content"),
    "disk.files.remove_leftovers": lambda at: files.remove_leftovers(leftover(at("."))),
    "disk.files.sync": lambda at: files.sync(empty_file(at("a"))),
    "disk.files.check_folder": lambda at: files.check_folder(at("deep/er")),
    "disk.files.make_folder": lambda at: files.make_folder(at("a/b")),
    "disk.arrays.write": lambda at: arrays.write(at("a"), {"x": IMAGE}, {}),
    "disk.arrays.read": lambda at: arrays.read(stored_arrays(at("a"))),
    "disk.arrays.remove": lambda at: arrays.remove(stored_arrays(at("a"))),
    "disk.arrays.sha256": lambda at: arrays.sha256(picture(at("a.png"))),
    "disk.checkpoints.save": lambda at: checkpoints.save(at("a"), STATE, {}),
    "disk.checkpoints.load": lambda at: checkpoints.load(checkpoint(at("a")), STATE),
    "disk.checkpoints.about": lambda at: checkpoints.about(checkpoint(at("a"))),
    "disk.checkpoints.save_params": lambda at: checkpoints.save_params(at("a"), STATE),
    "disk.checkpoints.load_params": lambda at: checkpoints.load_params(parameters(at("a")), STATE),
    "networks.handwriting.read": lambda at: handwriting.read(picture(at("a.png"))),
    "pages.report.write": lambda at: report.write(at("a.html"), []),
    "pictures.save": lambda at: pictures.save(pictures.new(1.0, 1.0), at("a.svg")),
    "pictures.plots.curves": lambda at: plots.curves(
        at("a.png"), training.History(jnp.ones((2, 3))), "title"
    ),
    "pictures.plots.predictions": lambda at: predictions(at("a.png")),
    "pictures.plots.seen": lambda at: plots.seen(at("a.png"), IMAGE / 64, IMAGE, NUMBERS, list("abcd")),
    "pictures.plots.bands": lambda at: plots.bands(at("a.png"), NUMBERS, {"a": SUMMARY}, ("x", "y"), "t"),
    "pictures.plots.scaling": lambda at: plots.scaling(
        at("a.png"), np.arange(1, len(NUMBERS) + 1), {"a": SUMMARY}, {"a": SUMMARY}, "title"
    ),
    "pictures.plots.choices": lambda at: plots.choices(at("a.png"), {"a": CHOICE}, ("x", "y"), "title"),
    "pictures.panels.draw": lambda at: panels.draw(
        at("a.png"), [Panel("", "x", ["a", "b"], {"": NUMBERS.reshape(2, 2)})], "y", "title"
    ),
    "pictures.plots.ranking": lambda at: plots.ranking(at("a.png"), {"a": ONE, "b": ONE}, "x", "title"),
    "pictures.plots.race": lambda at: plots.race(
        at("a.png"),
        {"a": {"epoch": 1.0, "same recipe": {"seconds": 2.0, "least": 1.0, "most": 3.0, "ratio": 1.0}}},
        "title",
    ),
    "pictures.plots.growth": lambda at: plots.growth(
        at("a.png"), [plots.Axis("x", [1, 2], {"a": [1.0, 2.0]}, [0.5, 1.0])], "title"
    ),
    "runs.open": lambda at: runs.stored_losses(run(at("a")), 1),
    "runs.stored_config": lambda at: runs.stored_config(run(at("a"))),
    "runs.stored_losses": lambda at: runs.stored_losses(run(at("a")), 1),
    "runs.stored_validation_losses": lambda at: runs.stored_validation_losses(run(at("a")), 1),
    "runs.new_folder": lambda at: runs.new_folder(at("a"), "run"),
    "runs.last_folder": lambda at: runs.last_folder(with_run(at(".")), lambda _: True, "any"),
    "runs.certificates.certify": lambda at: certificates.read(certified(at("."))),
    "runs.certificates.write": lambda at: certificates.write(at("."), CERTIFICATE),
    "runs.certificates.read": lambda at: certificates.read(certified(at("."))),
    "runs.certificates.holds": lambda at: holds(certified(at("."))),
    "runs.certificates.read_complete": lambda at: certificates.read_complete(certified(at(".")), 0),
    "runs.certificates.remove": lambda at: certificates.remove(certified(at("."))),
    "runs.locks.hold": lambda at: locks.hold(at(".")).__enter__(),
    "runs.timings.add": lambda at: timings.add(at("."), (0, 1), timings.Clock()),
    "runs.timings.read": lambda at: timings.read(timed(at("."))),
}


def shell_modules():
    """The modules of the shell that read or write what a caller names, by their names."""
    names = ["networks.handwriting", "networks.exports"]
    for name in ("disk", "pages", "pictures", "runs"):
        package = importlib.import_module(f"jaxnaive.{name}")
        names += [name, *(f"{name}.{module.name}" for module in pkgutil.iter_modules(package.__path__))]
    return {name: importlib.import_module(f"jaxnaive.{name}") for name in names}


def done(use, kind, folder):
    """What a use of a function gives and leaves behind in a folder that it is told of in one kind of path."""
    folder.mkdir()
    result = repr(use(lambda name: kind(folder / name))).replace(str(folder), "")
    contents = {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }
    return result, contents


@pytest.mark.parametrize("name", USES)
def test_a_str_does_the_same_as_a_path(tmp_path, monkeypatch, name):
    monkeypatch.setattr(report, "to_html", lambda reports: "a page")
    expected = done(USES[name], Path, tmp_path / "Path")
    for kind in (str, Entry):
        got = done(USES[name], kind, tmp_path / kind.__name__)
        assert got == expected, kind


def test_every_public_function_of_the_shell_that_takes_a_path_takes_a_str():
    found, stubborn = set(), set()
    for module_name, module in shell_modules().items():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("_") or function.__module__ != module.__name__:
                continue
            kinds = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
            if files.StrPath in kinds:
                found.add(f"{module_name}.{name}")
            if Path in kinds:
                stubborn.add(f"{module_name}.{name}")
    assert not stubborn
    assert sorted(found) == sorted(USES)
