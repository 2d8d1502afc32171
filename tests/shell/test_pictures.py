"""What figures show, read off the figures themselves; and that nothing is cut off."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from shell.figures import FIGURES, PATH, PLOTS, draw

from jaxnaive import data, pictures
from jaxnaive.pictures import drawings, panels, plots
from jaxnaive.training import History

pytestmark = pytest.mark.filterwarnings("ignore:Glyph")  # of Chinese names, where no font has them


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved meanwhile, by the path that they are saved to."""
    saved = {}
    monkeypatch.setattr(pictures, "save", lambda figure, path: saved.update({path: figure}))
    return saved


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off(monkeypatch, name):
    figure = draw(name, monkeypatch)
    room = figure.get_tightbbox()  # of all titles, names, numbers and marks, in inches
    width, height = figure.get_size_inches()
    assert room.x0 + 0.01 >= 0 and room.x1 - 0.01 <= width
    assert room.y0 + 0.01 >= 0 and room.y1 - 0.01 <= height


@pytest.mark.parametrize("name", [*PLOTS, "balls", "valleys", "regions"])
def test_every_axis_with_numbers_says_what_they_are(monkeypatch, name):
    figure = draw(name, monkeypatch)
    for axes in filter(lambda axes: axes.axison, figure.axes):
        for axis in (axes.xaxis, axes.yaxis):
            ticks = [text.get_text() for text in axis.get_ticklabels() if text.get_visible()]
            if any(any(letter.isdigit() for letter in tick) for tick in ticks):
                assert axis.get_label_text(), axis


def test_a_notebook_shows_a_figure_that_is_the_last_value_of_a_cell():
    formatters = pytest.importorskip("IPython.core.formatters")
    shown, _ = formatters.DisplayFormatter().format(FIGURES["backprop, to the right"]())
    assert shown["image/png"].startswith(b"\x89PNG")


def test_a_long_name_keeps_its_ends_and_a_chinese_letter_takes_two_columns():
    assert pictures.shortened("a" * 36) == "a" * 36
    assert pictures.shortened("12345678901234567890", 9) == "1234…7890"
    assert pictures.shortened("一二三四五六七八九十", 9) == "一二…九十"


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


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_that_are_much_worse_lie_outside_and_the_axis_says_so(monkeypatch, tmp_path, sign):
    drawn = []
    monkeypatch.setattr(pictures, "save", lambda figure, path: drawn.append(figure.axes[0]))
    spread = np.array([-0.001, 0.001])
    for means in ([0.97, 0.96, 0.95, 0.94], [0.97, 0.96, 0.95, 0.1]):
        scores = sign * (np.array(means)[:, None] + spread)
        panel = panels.Panel("", "x", list("abcd"), {"": scores})
        panels.draw(tmp_path / "a.png", [panel], "score", "title", is_higher_better=sign > 0)
        low, high = drawn[-1].get_ylim()
        is_inside = (low < sign * np.array(means)) & (sign * np.array(means) < high)
        assert is_inside.tolist() == [True] * 3 + [means[-1] > 0.5]
        assert ("lie outside" in drawn[-1].get_ylabel()) == (not is_inside.all())


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_figure_needs_no_latex_where_matplotlib_is_told_to_use_it(tmp_path, monkeypatch, suffix):
    monkeypatch.setenv("PATH", str(tmp_path))  # no LaTeX there
    with matplotlib.rc_context({"text.usetex": True}):
        figure = pictures.new(3.0, 2.0)
        figure.subplots().plot([1, 2])
        pictures.write_title(figure, "a$_$b")
        pictures.save(figure, tmp_path / f"a.{suffix}")
    assert (tmp_path / f"a.{suffix}").stat().st_size > 1000
