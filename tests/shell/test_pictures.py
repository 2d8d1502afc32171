"""What figures show, read off the figures themselves; and that no title is cut off."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnaive import data, jaxprs, pictures
from jaxnaive.grids import Choice
from jaxnaive.pictures import diagrams, drawings, plots
from jaxnaive.statistics import Summary
from jaxnaive.training import History

PATH = Path("figure.png")
LONG = (
    "fashion_mnist: the validation accuracy after ten epochs, the mean of all runs, and much more than that"
)
NUMBERS = np.linspace(0.1, 0.9, 4)
CHOICE = Choice([0.1, 1.0, 10.0], np.linspace(0, 1, 12).reshape(3, 2, 2), 1)
SUMMARY = Summary(NUMBERS, 0 * NUMBERS, NUMBERS - 0.1, NUMBERS + 0.1)
ONE = Summary(*(np.array(number) for number in (0.5, 0.1, 0.4, 0.6)))
SECONDS = {"seconds": 2.0, "least": 1.0, "most": 3.0, "ratio": 1.0}
ROWS = ["one", "a row with a long name"]
DRAW = {
    "curves": lambda: plots.curves(PATH, History(np.ones((2, 3), np.float32)), LONG),
    "bands": lambda: plots.bands(PATH, NUMBERS, {"a": SUMMARY}, ("x", "y"), LONG),
    "scaling": lambda: plots.scaling(PATH, np.array([1, 4, 16, 64]), {"a": SUMMARY}, {"a": SUMMARY}, LONG),
    "choices": lambda: plots.choices(PATH, {"a": CHOICE, "b": CHOICE}, ("x", "y"), LONG),
    "heat_map": lambda: plots.heat_map(PATH, NUMBERS.reshape(2, 2), ROWS, ["a", "b"], "x", LONG),
    "ranking": lambda: plots.ranking(PATH, dict.fromkeys(ROWS, ONE), "x", LONG),
    "race": lambda: plots.race(PATH, {"ours": {"epoch": 1.0, "same recipe": SECONDS}}, 2 * LONG),
    "pairs": lambda: plots.pairs([plots.Pair(name, ONE, ONE) for name in ROWS], "x", LONG),
    "learning_rates": lambda: plots.learning_rates(NUMBERS, SUMMARY, {"good": (0.2, 0.5)}, LONG),
    "descent": lambda: plots.descent(*[NUMBERS] * 4),
    "seen": lambda: plots.seen(PATH, np.ones((9, 9)), IMAGE, np.array([0.2, 0.8]), ["a", LONG[:60]]),
    "diagram": lambda: pictures.save(diagrams.draw(jaxprs.trace(jnp.sin, 1.0), title=LONG.upper()), PATH),
}
IMAGE = np.ones((28, 28), np.uint8)


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved meanwhile, by the path that they are saved to."""
    saved = {}
    monkeypatch.setattr(pictures, "save", lambda figure, path: saved.update({path: figure}))
    return saved


@pytest.mark.parametrize("name", DRAW)
def test_no_title_is_cut_off(figures, name):
    figure = DRAW[name]() or figures[PATH]
    figure.draw_without_rendering()
    texts = [figure._suptitle, *(text for axes in figure.axes for text in (axes.title, *axes.texts))]
    titles = [text for text in texts if text and len(text.get_text()) > 12]
    assert titles
    for title in titles:
        box = title.get_window_extent()
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, title
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, title


def test_the_curve_is_the_loss_of_each_batch_with_the_mean_of_each_epoch_and_the_test_loss(figures):
    loss = np.random.default_rng(0).random((3, 5)).astype(np.float32)
    plots.curves(PATH, History(loss), "title", 0.25)
    (axes,) = figures[PATH].axes
    batches, means, test = axes.lines
    np.testing.assert_allclose(batches.get_xdata(), np.arange(1, 16) / 5)
    np.testing.assert_array_equal(batches.get_ydata(), loss.ravel())
    np.testing.assert_array_equal(means.get_xdata(), [0.5, 1.5, 2.5])
    np.testing.assert_array_equal(means.get_ydata(), loss.mean(axis=1))
    assert (list(test.get_xdata()), list(test.get_ydata())) == ([3], [0.25])
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words == ["training, each batch", "training, mean of each epoch", "test, at the end: 0.25"]
    plots.curves(Path("nothing"), History(np.zeros((0, 0), np.float32)), "title")
    assert figures[Path("nothing")].axes[0].get_legend() is None


@pytest.mark.parametrize(("mistakes", "rows"), [(0, 0), (10, 1), (11, 2), (45, 3), (60, 3)])
def test_there_are_as_many_rows_as_mistakes_need(figures, mistakes, rows):
    count = 60
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 4), np.uint8)
    labels = np.arange(count) % 2
    dataset = data.from_arrays(images, labels, images, labels, class_names=["a", "b"])
    is_wrong = np.arange(count) >= count - mistakes
    confidence = np.linspace(0.6, 0.9, count)
    predicted = np.where(is_wrong, 1 - labels, labels)
    probabilities = np.where(np.arange(2) == predicted[:, None], confidence[:, None], 1 - confidence[:, None])
    plots.predictions(PATH, dataset, probabilities)
    figure = figures[PATH]
    right, wrong = figure.subfigs
    right_rows = -(-min(count - mistakes, 20) // 10)
    for part, expected in ((right, right_rows), (wrong, rows)):
        assert [axes.get_ylim() for axes in part.axes] == [(pytest.approx(1.4 * expected), 0)] * bool(
            expected
        )
    assert figure.get_figheight() == pytest.approx(sum(1.6 * n or 0.4 for n in (right_rows, rows)))
    shown = [
        (image, text) for axes in wrong.axes for image, text in zip(axes.images, axes.texts, strict=True)
    ]
    assert len(shown) == min(mistakes, 30)
    most_confident_first = reversed(range(count))
    for place, ((image, text), i) in enumerate(zip(shown, most_confident_first, strict=False)):
        np.testing.assert_array_equal(image.get_array(), images[i])
        left, _, bottom, _ = image.get_extent()
        assert (left, bottom) == pytest.approx((place % 10 + 0.05, 1.4 * (place // 10 + 1)))
        name, truth = dataset.class_names[1 - labels[i]], dataset.class_names[labels[i]]
        assert text.get_text() == f"{name} ({truth}) {confidence[i]:.0%}"
    assert ("no mistakes" in wrong._suptitle.get_text()) == (not mistakes)
    assert ("none" in right._suptitle.get_text()) == (mistakes == count)


def drawn(figure):
    """All that is written in a figure."""
    return [text.get_text() for axes in figure.axes for text in (axes.title, *axes.texts) if text.get_text()]


def test_s01_s06_a_box_for_each_entry_of_a_tensor():
    cube = np.arange(24).reshape(2, 3, 4)
    figure = drawings.ranks([np.array(7), cube])
    assert sorted(drawn(figure)) == sorted(["7", *map(str, range(24)), "rank 0", "()", "rank 3", "(2, 3, 4)"])
    front, back = (
        next(box for box in figure.axes[0].texts if box.get_text() == entry) for entry in ("0", "12")
    )
    assert front.get_zorder() > back.get_zorder()


def test_s14_s15_s16_slices_are_drawn_with_the_code_that_takes_them():
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8), np.uint8)
    titles = drawn(drawings.slices(images, 4))
    assert titles == ["x[10:100]\nimages 10 to 99", "x[:, 4:, 4:]\nbottom right", "x[:, 2:-2, 2:-2]\ncentre"]


def test_s28_broadcasting_is_drawn_with_the_shape_of_each_step():
    texts = drawn(drawings.broadcasting(np.arange(1, 13).reshape(4, 3), np.array([10, 20, 30])))
    assert [text for text in texts if text.startswith("(")] == [
        "(3,)",
        "(1, 3)",
        "(4, 3)",
        "(4, 3)",
        "(4, 3)",
    ]
    assert texts.count("30") == 1 + 1 + 4 and texts.count("42") == 1  # y, with an axis, repeated; 12 + 30


def test_s31_the_dot_product_is_drawn_with_a_row_and_a_column_and_the_sum_of_their_products():
    x, y = np.array([[1, 2], [3, 4]]), np.array([[5, 6, 7], [8, 9, 1]])
    texts = drawn(drawings.dot_product(x, y))
    assert "x . y: (2, 3)" in texts and "row 1 . column 1" in texts
    assert "3·6 + 4·9 = 54" in texts and "54" in texts


def test_s33_a_transpose_is_drawn_with_the_order_that_it_changes():
    x = np.arange(6).reshape(3, 2)
    texts = drawn(drawings.rearranged(x, {"reshaped": x.reshape(2, 3), "transposed": x.T}))
    assert "row by row: 0 1 2 3 4 5" in texts and "row by row: 0 2 4 1 3 5" in texts


def test_s58_balls_start_at_the_star_and_end_at_the_disc():
    tracks = [drawings.Track("a", np.array([-1.0, 0.5])), drawings.Track("b", np.array([-1.0, 2.0]))]
    figure = drawings.balls({"bowl": (np.square, tracks), "line": (np.abs, tracks)})
    assert [axes.get_title() for axes in figure.axes] == ["bowl", "line"]
    words, ends = zip(*((line.get_label(), line.get_xdata()) for line in figure.axes[0].lines), strict=True)
    shown = {word: float(end[0]) for word, end in zip(words, ends, strict=True) if len(end) == 1}
    assert shown == {"a": 0.5, "b": 2.0, "start": -1.0}


def test_s57_a_valley_has_a_panel_and_a_colour_for_each_optimizer():
    path = np.linspace([2.0, 1.0], [0.0, 0.0], 11)
    tracks = [drawings.Track(name, path) for name in "abcdef"]
    figure = drawings.valleys(lambda w: np.square(w).sum(axis=-1), tracks, 5)
    assert [axes.get_title() for axes in figure.axes] == [
        f"{name}\nloss 1.2e+00 after 5" for name in "abcdef"
    ]
    lines = [axes.lines[0] for axes in figure.axes]
    assert len({line.get_color() for line in lines}) == 6
    np.testing.assert_array_equal(lines[0].get_xydata(), path[:6])
    assert len(drawings.valleys(lambda w: np.square(w).sum(axis=-1), tracks[:4], 5).axes) == 6
