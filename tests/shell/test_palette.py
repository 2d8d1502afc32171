"""That the colours of all figures come from one palette, and that nobody has to tell two by their hue alone.

What people with the three kinds of colour blindness see is simulated at its highest severity.

Source: G. Machado, M. Oliveira, L. Fernandes, "A physiologically-based model for simulation of color vision
deficiency", 2009.
"""

import ast
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from shell.figures import FIGURES, draw

from jaxnaive import pages
from jaxnaive.pictures import palette

pytestmark = pytest.mark.filterwarnings("ignore:Glyph")  # of Chinese names, where no font has them
SEEN_BY = {  # of linear RGB
    "all": np.eye(3),
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]
    ]),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]
    ]),
    "tritanopia": np.array([
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]
    ]),
}  # fmt: skip
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175],
                   [0.0193339, 0.119192, 0.9503041]])  # fmt: skip
# In CIELAB. A distance of 2.3 can just be noticed side by side; lines and marks are thin and apart.
APART = 15
OF_MATPLOTLIB = {"#ffffff", "#000000", "#b0b0b0", "#cccccc"}  # paper, axes, grid, the frame of a legend
ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for folder in ("jaxnaive/pictures", "experiments/lessons", "experiments/race")
    for path in sorted((ROOT / folder).glob("*.py"))
    if path.name != "palette.py"
]
DRAWS = {
    "plot",
    "loglog",
    "scatter",
    "barh",
    "bar",
    "fill",
    "fill_between",
    "axhline",
    "axvspan",
    "errorbar",
    "contour",
}


def linear(color):
    rgb = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIELAB of linear RGB."""
    xyz = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one, other):
    """Of two colours, to those who tell them apart the worst."""
    one, other = linear(one), linear(other)
    return min(np.linalg.norm(lab(eye @ one) - lab(eye @ other)) for eye in SEEN_BY.values())


def contrast(one, other):
    """As the Web Content Accessibility Guidelines 2.2 define it."""
    dark, light = sorted(TO_XYZ[1] @ linear(color) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def own_colors():
    styles = [*palette.STYLES, palette.RIGHT, palette.WRONG, *palette.CLASSES, palette.TEST]
    names = [value for value in vars(palette).values() if isinstance(value, str) and value.startswith("#")]
    return {color.lower() for color in [*names, *(style["color"] for style in styles)]}


def test_the_simulation_is_the_published_one():
    assert distance("#000000", "#ffffff") == pytest.approx(100, abs=0.1)  # none confuses black with white
    confused = {"protanopia": ("#d0506e", "#7a7a70"), "deuteranopia": ("#ff0000", "#a27400")}
    for name, (one, other) in confused.items():
        eye = SEEN_BY[name]
        seen = np.linalg.norm(lab(eye @ linear(one)) - lab(eye @ linear(other)))
        assert seen < np.linalg.norm(lab(linear(one)) - lab(linear(other))) / 2
    assert all(
        np.sum(eye, axis=1) == pytest.approx(1, abs=1e-5) for eye in SEEN_BY.values()
    )  # grey stays grey


def test_styles_differ_in_colour_mark_and_dash():
    for one, other in itertools.combinations(palette.STYLES, 2):
        assert distance(one["color"], other["color"]) >= APART, (one, other)
        assert one["marker"] != other["marker"] and one["linestyle"] != other["linestyle"]


@pytest.mark.parametrize(
    "pair", [(palette.RIGHT, palette.WRONG), palette.CLASSES, (palette.TRAINING, palette.VALIDATION)]
)
def test_what_means_two_things_differs_in_colour_and_mark(pair):
    one, other = pair
    assert distance(one["color"], other["color"]) >= 2 * APART and one["marker"] != other["marker"]


def test_small_texts_can_be_read():
    for color in (palette.INK, palette.MUTED, palette.VALUE, palette.GRADIENT):
        assert contrast(color, palette.WHITE) >= 4.5
    for color in own_colors():
        assert contrast(color, palette.text_on(color)) >= 4.5


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_colours_of_the_palette_alone_and_they_can_be_told_apart(monkeypatch, name):
    figure = draw(name, monkeypatch)
    assert used(figure) <= own_colors() | OF_MATPLOTLIB
    for axes in figure.axes:
        artists = [*axes.lines, *axes.collections, *axes.patches]
        strong = set().union(*(colors_of(artist) for artist in artists if (artist.get_alpha() or 1) > 0.5))
        for one, other in itertools.combinations(strong, 2):
            assert distance(one, other) >= APART, (one, other)


@pytest.mark.parametrize("paper", ["light", "dark"])
def test_the_hues_of_the_pages_can_be_told_apart(paper):
    module = pages.template("colors.html").module
    hues = re.findall("#[0-9a-f]{6}", getattr(module, paper))
    assert len(hues) == 4
    for one, other in itertools.combinations(hues, 2):
        assert distance(one, other) >= 10  # wider lines than in a figure, with numbers, shapes and words


def used(figure):
    from matplotlib.artist import Artist

    return set().union(*(colors_of(artist) for artist in figure.findobj(Artist)))


def colors_of(artist):
    """The colours of an artist, as ``#rrggbb``, without those that a colour map gave it."""
    from matplotlib.colors import to_hex, to_rgba_array

    if not artist.get_visible() or getattr(artist, "get_array", lambda: None)() is not None:
        return set()
    found = []
    for name in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
        if hasattr(artist, f"get_{name}"):
            found += list(to_rgba_array(getattr(artist, f"get_{name}")()))
    return {to_hex(color) for color in found if color[3] > 0}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_colour_is_written_down_elsewhere_and_none_is_left_to_matplotlib(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            words = {keyword.arg: keyword.value for keyword in node.keywords}
            names = [value for name, value in words.items() if name and "color" in name]
            if isinstance(node.func, ast.Attribute) and node.func.attr in DRAWS:
                assert names or None in words, f"{path}:{node.lineno}: has no colour"
                letters = [one.value for one in node.args if isinstance(one, ast.Constant)]
                assert not {*"rgbcmykw"} & {*"".join(map(str, letters))}, f"{path}:{node.lineno}"
        elif isinstance(node, ast.Dict):
            keys = [getattr(key, "value", None) for key in node.keys]
            names = [value for key, value in zip(keys, node.values, strict=True) if "color" in str(key)]
        else:
            continue
        for value in names:
            words = [getattr(one, "value", None) for one in ast.walk(value)]
            literals = {word for word in words if isinstance(word, str)} - {"color", "none"}
            assert not literals, f"{path}:{value.lineno}: {literals}"
