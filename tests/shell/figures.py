"""One figure of every function that draws, with names as long as they come."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxnaive import data, geometry, jaxprs, pictures
from jaxnaive.grids import Choice
from jaxnaive.pictures import diagrams, drawings, panels, plots
from jaxnaive.pictures.panels import Panel
from jaxnaive.statistics import Summary
from jaxnaive.training import History

PATH = Path("figure.png")
FOLDER = "/home/somebody/" + "a_folder_of_pictures_of_cats_and_of_dogs/" * 2  # 97 letters, and no space
TITLE = f"{FOLDER}: the validation accuracy after ten epochs, the mean of all runs, and much more than that"
NAMES = [
    "optax.contrib.schedule_free_$_adamw_with_a_name_that_is_much_too_$long",
    "一个非$_$常长\udcca的中文类别名称\n" * 3,  # no formula; and a byte of a file's name that is no UTF-8
]
ASKED = NAMES[0]  # of an axis
NUMBERS = np.linspace(0.1, 0.9, 4)
CHOICE = Choice([0.1, 1.0, 10.0], np.linspace(0, 1, 12).reshape(3, 2, 2), 1)
PAIR = NUMBERS.reshape(2, 2)
SUMMARY = Summary(NUMBERS, 0 * NUMBERS, NUMBERS - 0.1, NUMBERS + 0.1)
CURVES = dict.fromkeys(NAMES, SUMMARY)
ONE = Summary(*(np.array(number) for number in (0.5, 0.1, 0.4, 0.6)))
OTHER = Summary(*(np.array(number) for number in (0.8, 0.1, 0.7, 0.9)))
SECONDS = {"seconds": 2.0, "least": 1.0, "most": 3.0, "ratio": 1.0}
RACED = {"epoch": 1.0, "same recipe": SECONDS, "own recipe": SECONDS, "as the book": SECONDS}
GROWN = plots.Axis(
    "the units of a layer", [1, 1000, 10**6], {name: [1, np.nan, 3] for name in NAMES}, [1, 1, 2]
)
IMAGE = np.ones((28, 28), np.uint8)
IMAGES = np.random.default_rng(0).integers(0, 256, (90, 8, 8), np.uint8)
LABELS = np.arange(90) % 2
GRID = np.asarray(geometry.grid_lines(-1.0, 1.0, 3))
POINTS = np.random.default_rng(1).random((90, 2))
PATHS = [drawings.Track(name, np.linspace([2.0, 1.0], [0.0, 0.0], 11)) for name in "abcdef"]
ROLLS = [drawings.Track(name, np.array([-1.0, 0.5])) for name in "abc"]


def loss(params, x):
    return jnp.maximum(x @ params["a_layer_with_a_very_long_name"], 0).mean()


def predictions(names):
    dataset = data.from_arrays(IMAGES, LABELS, IMAGES, LABELS, class_names=names)
    plots.predictions(PATH, dataset, np.tile([0.2, 0.8], (90, 1)))


def history():
    return History(np.linspace(2, 1, 6, dtype=np.float32).reshape(2, 3), validation=np.ones(2, np.float32))


def squared(w):
    return np.square(w).sum(axis=-1)


PLOTS = {
    "curves": lambda: plots.curves(PATH, history(), TITLE, 1.2),
    "scatter": lambda: plots.scatter(regression(), np.zeros((9, 2), np.float32)),
    "predictions": lambda: predictions(NAMES),
    "predictions, digits": lambda: predictions(["0", "1"]),
    "bands": lambda: plots.bands(PATH, NUMBERS, dict.fromkeys(NAMES, SUMMARY), ("x", "y"), TITLE),
    "bands, seven": lambda: plots.bands(PATH, NUMBERS, dict.fromkeys("abcdefg", SUMMARY), ("x", "y"), "t"),
    "scaling": lambda: plots.scaling(PATH, np.array([1, 4, 16, 64]), CURVES, CURVES, TITLE),
    "choices": lambda: plots.choices(PATH, dict.fromkeys(NAMES, CHOICE), ("x", "y"), TITLE),
    "panels": lambda: panels.draw(PATH, [Panel(NAMES[0], "x", NAMES, {"": PAIR})], "y", TITLE),
    "panels, several": lambda: panels.draw(
        PATH, [Panel(name, "x", ["a", "b"], dict.fromkeys(NAMES, PAIR)) for name in NAMES], "y", TITLE
    ),
    "ranking": lambda: plots.ranking(PATH, dict.fromkeys(NAMES, ONE), "x", TITLE),
    "race": lambda: plots.race(PATH, dict.fromkeys(NAMES, RACED), TITLE),
    "growth": lambda: plots.growth(PATH, [GROWN] * 5, TITLE),
    "growth, one axis": lambda: plots.growth(PATH, [GROWN], "t"),
    "pairs": lambda: plots.pairs([plots.Pair(name, ONE, OTHER) for name in NAMES], "x", TITLE),
    "pairs, an error": lambda: plots.pairs([plots.Pair("a", None, None, "refused")], "x", TITLE),
    "learning_rates": lambda: plots.learning_rates(NUMBERS, SUMMARY, {"good": (0.2, 0.5)}, TITLE),
    "descent": lambda: plots.descent(*[NUMBERS] * 4),
    "seen": lambda: plots.seen(PATH, np.ones((9, 9)), IMAGE, np.array([0.2, 0.8]), NAMES),
    "seen, a long name": lambda: plots.seen(PATH, np.ones((9, 9)), IMAGE, np.array([0.8, 0.2]), NAMES),
}
DRAWINGS = {
    "ranks": lambda: drawings.ranks([np.arange(24).reshape(2, 3, 4)]),
    "slices": lambda: drawings.slices(IMAGES, 4),
    "dot_product": lambda: drawings.dot_product(np.ones((4, 3), int), np.ones((3, 5), int)),
    "broadcasting": lambda: drawings.broadcasting(np.ones((4, 3), int), np.ones(3, int)),
    "rearranged": lambda: drawings.rearranged(x := np.arange(14).reshape(7, 2), {"a": x, "b": x.T}),
    "maps": lambda: drawings.maps({name: geometry.rotation(1.0) for name in "ab"}),
    "manifold": lambda: drawings.manifold([[drawings.Plane("a plane", POINTS, GRID)] * 2], LABELS),
    "regions": lambda: drawings.regions({"a": (lambda points: points[:, 0] - 0.5, POINTS)}, LABELS),
    "balls": lambda: drawings.balls({"a bowl": (np.square, ROLLS)}),
    "valleys": lambda: drawings.valleys(squared, PATHS, 5),
}
DIAGRAMS = {
    "graph": lambda: diagrams.draw(jaxprs.trace(jnp.sin, 1.0), title=TITLE.upper()),
    "backprop": lambda: diagrams.backprop(
        loss, {"a_layer_with_a_very_long_name": np.ones((3, 2))}, np.eye(3), title=TITLE
    ),
    "backprop, to the right": lambda: diagrams.backprop(
        lambda x, w: (x * w).sum() - 1, np.arange(3.0), 2.0, to_the_right=True
    ),
}
FIGURES = PLOTS | DRAWINGS | DIAGRAMS


def regression():
    inputs, targets = (np.random.default_rng(n).random((9, 2)).astype(np.float32) for n in (2, 3))
    return data.from_arrays(inputs, targets, inputs, targets)


def draw(name, monkeypatch):
    """The figure of one of the functions, laid out."""
    saved = {}
    monkeypatch.setattr(pictures, "save", lambda figure, path: saved.update({path: figure}))
    figure = FIGURES[name]() or saved[PATH]
    figure.draw_without_rendering()
    return figure
