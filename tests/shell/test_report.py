"""The report of a run: its numbers, made again by other means; and that the page needs nothing else."""

import base64
import hashlib
import html
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import scipy.special
import scipy.stats
from PIL import Image
from sklearn.metrics import confusion_matrix

from experiments import mnist as experiment
from experiments import report as program
from jaxnaive import command, data, networks, runs, splits
from jaxnaive.data import looks
from jaxnaive.data.schema import Classes
from jaxnaive.disk import checkpoints
from jaxnaive.job import Job, make_model
from jaxnaive.networks.fitting import fit
from jaxnaive.pages import chart, report, scores
from jaxnaive.pictures import plots
from jaxnaive.runs import certificates, timings

pytestmark = pytest.mark.xdist_group("report")  # one worker makes the runs
DASH = "\N{EN DASH}"
ROOT = Path(__file__).parent.parent.parent
VOID = {"meta", "link", "br", "img", "path", "polygon", "polyline", "rect", "circle", "hr", "input"}


class Page(HTMLParser):
    """The elements of a page, its tables, and its text; the tags have to be balanced."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.open, self.rows, self.words = [], [], [], []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def row(self, *beginning):
        """The only row that begins with these cells."""
        (row,) = [row for row in self.rows if row[: len(beginning)] == list(beginning)]
        return row[len(beginning) :]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run; and two made of it, that differ by their seed, and by their seed and optimizer."""
    folder = tmp_path_factory.mktemp("runs")
    job = Job("digits", (8,), learning_rate=0.1, epochs=2, batch_size=16)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("curves", "predictions"):
            patch.setattr(plots, name, lambda *_: None)
        experiment.main(experiment.Options(job=job, out=folder / "a", report=True))
    variant(folder / "a", folder / "b", 1.2, seed=1)
    variant(folder / "a", folder / "c", 0.9, seed=2, optimizer="sgd")
    return [folder / name for name in "abc"]


def variant(folder, other, factor, **changes):
    """A run as if it had come to parameters and losses so many times as large."""
    shutil.copytree(folder, other)
    config = json.loads((folder / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, **changes}))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = (json.dumps({**row, "loss": factor * row["loss"]}) for row in rows)
    (other / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    params = safetensors.numpy.load_file(folder / "params.safetensors")
    params["0.b"] = params["0.b"] - np.float32(factor)
    content = safetensors.numpy.save(params)
    (other / "params.safetensors").write_bytes(content)
    certificate = json.loads((folder / "certificate.json").read_text())
    certificate["params"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (other / "certificate.json").write_text(json.dumps(certificate))


def named(network, names):
    """A network with other class names."""
    return network._replace(schema=network.schema._replace(outputs=Classes(names)))


def untrained(folder, dataset, hidden):
    """The report on a network that knows nothing, with the files of another run."""
    shape, names = dataset.train.images.shape[1:], dataset.class_names
    trained = networks.load(folder)
    job = replace(trained.job, dataset=f"{dataset.name}.npz", hidden=(hidden,))
    model = make_model(job, int(np.prod(shape)), len(names))
    rng = np.random.default_rng(0)
    like = jax.eval_shape(model.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32) / 10, like)
    network = trained._replace(
        job=job, model=model, params=params, schema=dataset.schema, fingerprint="00000000"
    )
    return report.gather(network, dataset)


@pytest.fixture(scope="module")
def reports(folders, digits):
    return [report.gather(networks.load(folder), digits) for folder in folders]


@pytest.fixture(scope="module")
def page(reports):
    return Page(report.to_html(reports[:1]))


@pytest.fixture(scope="module")
def logits(folders, digits):
    """By NumPy, in float64, from the file of parameters."""
    w = {
        name: array.astype(np.float64)
        for name, array in safetensors.numpy.load_file(folders[0] / "params.safetensors").items()
    }
    x = digits.test.images.reshape(-1, 64) / 255
    return np.maximum(x @ w["0.w"] + w["0.b"], 0) @ w["1.w"] + w["1.b"]


# --- one run -----------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else(reports):
    source = report.to_html(reports)
    for tag, attributes in Page(source).elements:
        assert tag not in {"script", "link", "iframe", "object", "base", "form"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in {"src", "href", "srcset", "action"} & attributes.keys():
            assert re.match("data:image/png;base64,|#", attributes[name]), attributes
    assert not re.search(r"url\(|@import|https?:|//\w", re.sub('data:image[^"]*', "", source))
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in source


def test_its_numbers_are_those_of_the_network_on_the_test_examples(page, logits, digits):
    labels, classes = digits.test.labels, digits.class_names
    said = logits.argmax(axis=1)
    right = int((said == labels).sum())
    loss = -scipy.special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()
    assert f"test accuracy {right / len(labels):.4f} {right} of 355 right" in page.text
    assert f"test loss {loss:.4f}" in page.text
    expected = confusion_matrix(labels, said)
    place = page.rows.index(["truth", *classes])
    got = [[0 if cell == "·" else int(cell) for cell in row[1:]] for row in page.rows[place + 1 : place + 11]]
    np.testing.assert_array_equal(got, expected)
    place = page.rows.index(["class", "accuracy", "mistakes", "", "most often taken for"])
    for k, (name, accuracy, mistakes, _, taken_for) in enumerate(page.rows[place + 1 : place + 11]):
        total, good = expected[k].sum(), expected[k, k]
        assert (name, accuracy) == (classes[k], f"{100 * good / total:.2f} %")
        assert mistakes == f"{total - good} of {total}"
        wrong = np.where(np.arange(10) == k, 0, expected[k])
        assert taken_for == (f"{wrong.argmax()} ({wrong.max()})" if wrong.any() else "none")


def test_the_largest_mistake_and_a_class_without_mistakes_have_the_strongest_colour():
    confusion = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 5]])
    shades = scores.shades(scores.Score(0.5, confusion, []))
    np.testing.assert_allclose(shades[[0, 2], [1, 2]], 0.6)
    np.testing.assert_allclose(shades[[0, 1, 1], [0, 0, 1]], 0.6 * np.sqrt([0.8, 0.5, 0.9]))
    assert not shades[confusion == 0].any()


def test_the_mistakes_are_the_most_confident_ones_and_drawn_as_they_are(page, logits, digits):
    probabilities = scipy.special.softmax(logits, axis=1)
    said, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = [i for i in np.argsort(-confidence) if said[i] != digits.test.labels[i]]
    captions = re.findall(r"(\d) ([\d.]+) % is (\d)", page.text)
    assert len(captions) == min(len(wrong), scores.MAX_MISTAKES)
    for i, (name, percent, truth) in zip(wrong, captions, strict=False):
        assert (int(name), int(truth)) == (said[i], digits.test.labels[i])
        assert float(percent) == pytest.approx(100 * confidence[i], abs=0.06)
    source = next(a["src"] for _, a in page.elements if a.get("alt", "").startswith("an example"))
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
        np.testing.assert_array_equal(255 - np.asarray(image), digits.test.images[wrong[0]])


def test_the_units_with_the_largest_weights_are_shown(folders, page):
    weights = safetensors.numpy.load_file(folders[0] / "params.safetensors")["0.w"]
    units = [attributes for _, attributes in page.elements if attributes.get("alt", "").startswith("unit")]
    norms = np.sqrt((weights.astype(np.float64) ** 2).sum(axis=0))
    order = np.argsort(-norms)
    assert [a["title"] for a in units] == [f"unit {k}, norm {norms[k]:.2f}" for k in order]
    with Image.open(io.BytesIO(base64.b64decode(units[0]["src"].partition(",")[2]))) as image:
        colours = np.asarray(image.convert("RGB")).astype(int).reshape(64, 3)
    red_less_blue = colours[:, 0] - colours[:, 2]
    clear = np.abs(weights[:, order[0]]) > 0.05
    np.testing.assert_array_equal(np.sign(red_less_blue)[clear], np.sign(weights[clear, order[0]]))


def test_options_hashes_certificate_and_timings_are_those_of_the_files(folders, page):
    config = json.loads((folders[0] / "config.json").read_text())
    for name in ("optimizer", "learning_rate", "batch_size", "schedule", "seed"):
        assert page.row(name) == [str(config[name])]
    assert page.row("hidden") == ["8"] and page.row("dataset", "CRC-32") == [config["fingerprint"]]
    assert "report" not in config
    for name in ("config.json", "metrics.jsonl", "params.safetensors"):
        assert page.row(name) == ["SHA-256", hashlib.sha256((folders[0] / name).read_bytes()).hexdigest()]
    assert page.row("examples scheduled") == ["✓", "each once in each of 2 epochs"]
    assert page.row("test examples evaluated") == ["✓", "355 of 355"]
    assert page.row("compiled") == ["✓", "start 1, train_epoch 1, evaluate 1"]
    (process,) = json.loads((folders[0] / "timings.json").read_text())
    assert list(process["seconds"]) == [
        "data",
        "save",
        "compile",
        "train",
        "test",
    ]  # no import: not a program
    for part, seconds in process["seconds"].items():
        assert page.row(part)[0] == f"{seconds:.2f}"
    assert page.row("device") == [process["device"]] and page.row("jax") == [process["versions"]["jax"]]


def test_a_certificate_that_is_not_as_it_should_be_is_seen(reports):
    certificate = reports[0].certificate | {"times_scheduled": [{"1": 1442}, {"0": 1, "1": 1440, "2": 1}]}
    certificate |= {"evaluated": 354, "non_finite": 3, "compiles": {"train_epoch": 2}}
    page = Page(report.to_html([reports[0]._replace(certificate=certificate)]))
    bad = "✗ not as it should be:"
    assert page.row("examples scheduled") == [bad, "{'0': 1, '1': 1440, '2': 1} times in epoch 1"]
    assert page.row("test examples evaluated") == [bad, "354 of 355"]
    assert page.row("values not finite") == [bad, "3"] and page.row("compiled")[0] == bad


def test_the_main_job_writes_the_same_page_and_it_is_the_same_again(folders, reports, digits):
    written = (folders[0] / "report.html").read_text()
    assert written == report.to_html(reports[:1])
    assert report.to_html([report.gather(networks.load(folders[0]), digits)]) == written


def test_the_loss_is_that_of_the_run(reports, digits, logits):
    network = reports[0].network
    smoothed = network._replace(job=replace(network.job, label_smoothing=0.2))
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    right = logs[np.arange(len(logs)), digits.test.labels].mean()
    assert scores.score(network, digits).loss == pytest.approx(-right, rel=1e-5)
    assert scores.score(smoothed, digits).loss == pytest.approx(-0.8 * right - 0.2 * logs.mean(), rel=1e-5)


def test_what_is_written_in_a_dataset_is_no_html(reports, digits):
    network = reports[0].network
    evil = "<script>alert('1')</script>"
    names = (evil, *network.class_names[1:])
    job = replace(network.job, dataset=f'"><img src="{evil}">')
    network = named(network, names)
    test = scores.score(network, digits)
    changed = reports[0]._replace(network=network._replace(job=job, folder=Path("<b>&")), test=test)
    source = report.to_html([changed])
    page = Page(source)
    assert "<script" not in source and html.escape(evil, quote=False)[:11] in source
    assert evil in page.text and {a["src"][:5] for _, a in page.elements if "src" in a} == {"data:"}
    assert "<b>&" in page.text


def test_without_its_dataset_it_says_so(reports, folders):
    page = Page(report.to_html([report.gather(networks.load(folders[0]), None, "no such <file>")]))
    assert "Not tested, because the dataset is unavailable: no such <file>" in page.text
    assert "test accuracy" not in page.text and "Confusion" not in page.text
    assert "Learning curve" in page.text and "Weights of the first layer" in page.text
    both = Page(report.to_html([reports[1], report.gather(networks.load(folders[0]), None, "gone")]))
    assert both.row("a")[1:3] == [DASH, DASH]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((8, 8), True), ((8, 6, 1), True), ((8, 8, 3), True), ((3, 8, 8), False), ((5,), False), ((), False)],
)
def test_what_is_a_picture(shape, expected):
    assert looks.is_picture(shape) == expected


@pytest.mark.parametrize("shape", [(6, 4, 3), (5,)])
def test_examples_are_drawn_where_they_are_pictures(folders, shape):
    images = np.random.default_rng(0).normal(size=(60, *shape))
    dataset = data.from_arrays(images, np.arange(60) % 2, name="my")
    page = Page(report.to_html([untrained(folders[0], dataset, hidden=8)]))
    pictures = [attributes["alt"] for tag, attributes in page.elements if tag == "img"]
    assert "my.npz" in page.text
    if len(shape) == 3:
        assert sum(alt.startswith("unit") for alt in pictures) == 8 and "summed over the colours" in page.text
        assert any(alt.startswith("an example of") for alt in pictures)
    else:
        assert not pictures and "An example of shape 5 is not a picture" in page.text


def test_of_many_classes_the_confusions_are_listed(reports):
    names = tuple(f"class {k}" for k in range(40))
    confusion = np.diag(np.full(40, 7))
    confusion[3, 5], confusion[8, 2] = 4, 6
    confusion[0] = 0
    changed = reports[0]._replace(
        network=named(reports[0].network, names), test=scores.Score(0.5, confusion, [])
    )
    page = Page(report.to_html([changed]))
    assert page.row("class 8", "class 2") == ["6"] and page.row("class 3", "class 5") == ["4"]
    assert page.row("class 0") == [DASH, "0 of 0", "", "none"]
    assert "The most frequent of 2 confusions" in page.text and "There are none." in page.text


def test_mnist_fits_into_three_megabytes_even_ten_times(folders, mnist):
    small = replace(mnist, test=splits.select(mnist.test, slice(500)))
    one = untrained(folders[0], small, hidden=512)
    assert isinstance(one.test, scores.Score) and len(one.test.mistakes) == 30 and len(one.units) == 64
    assert len(report.to_html([one])) < 500_000
    networks = [one.network._replace(job=replace(one.network.job, seed=seed)) for seed in range(10)]
    many = report.to_html([one._replace(network=network) for network in networks])
    assert len(many) < 3_000_000 and "Only the first 8 runs are shown whole" in many


def test_a_run_of_no_epochs_has_no_curve(reports):
    page = Page(report.to_html([reports[0]._replace(loss=np.zeros((0, 0), np.float32))]))
    assert "Learning curve" not in page.text and "test accuracy" in page.text


def test_text_can_be_read_in_both_themes():
    """Contrast as WCAG 2 defines it, 4.5 at least."""
    source = (ROOT / "jaxnaive" / "pages" / "templates" / "report.html").read_text()

    def luminance(colour):
        c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    themes = re.findall(r":root \{(.*?)\}", source, re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        for name, ground, least in [
            *((text, ground, 4.5) for text in ("text", "muted", "link") for ground in ("page", "surface")),
            *((f"c{k}", "page", 3.0) for k in range(report.MAX_CURVES)),
        ]:
            a, b = sorted((luminance(colours[name]), luminance(colours[ground])))
            assert (b + 0.05) / (a + 0.05) >= least, (name, ground)


# --- the chart ---------------------------------------------------------------------------------------


def chart_of(reports):
    groups = report.grouped(reports)
    made = chart.make([chart.Series(group.name, [one.loss for one in group.reports]) for group in groups])
    assert made is not None
    return made


def test_points_are_means_of_the_steps_around_them():
    loss = np.random.default_rng(0).random((3, 5)).astype(np.float32)
    got = chart.binned(loss, epochs=4, bins=8)
    times = [epoch + (step + 0.5) / 5 for epoch in range(3) for step in range(5)]
    for k in range(8):
        inside = [v for v, t in zip(loss.ravel(), times, strict=True) if k * 0.5 <= t < (k + 1) * 0.5]
        if inside:
            assert got[k] == pytest.approx(np.mean(inside))
        else:
            assert k >= 6 and np.isnan(got[k])


def test_the_curve_goes_through_what_the_log_says(folders, reports):
    rows = [json.loads(line) for line in (folders[0] / "metrics.jsonl").read_text().splitlines()]
    epochs, bins = 2, 60
    made = chart_of(reports[:1])
    (curve,) = made.curves
    ticks = {float(label): top for top, label in made.y_ticks}
    (low, low_top), (high, high_top) = min(ticks.items()), max(ticks.items())
    assert (low_top, high_top) == (pytest.approx(100), pytest.approx(0))
    assert low <= min(row["loss"] for row in rows) and max(row["loss"] for row in rows) <= high
    for k, (x, y) in enumerate(curve.points):
        inside = [
            r["loss"] for r in rows if k <= (r["epoch"] + (r["step"] + 0.5) / 91) * bins / epochs < k + 1
        ]
        expected = 100 * np.log(high / np.mean(inside)) / np.log(high / low)
        assert (x, y) == (pytest.approx(100 * (k + 0.5) / bins), pytest.approx(expected, rel=1e-5))
        assert made.readings[k].text == f"epoch {(k + 0.5) / 30:.2f}\nloss: {np.mean(inside):.3g}"
    assert len(curve.points) == bins and len(curve.steps) == 2 * 91 and not curve.band
    assert [label for _, label in made.x_ticks] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.3, 2.2], [0.2, 0.5, 1, 2, 5]),
        ([0.25, 0.26], [0.2, 0.5]),
        ([0.5, 0.5], [0.5, 1]),
        ([1e-4, 300], [1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000]),
        ([0.0, 1.0, np.nan], [10.0**k for k in range(-13, 2, 2)]),
    ],
)
def test_ticks_enclose_the_values(values, expected):
    assert chart.loss_ticks(np.array(values)) == pytest.approx(expected)


@pytest.mark.parametrize(("epochs", "step"), [(1, 1), (10, 1), (11, 2), (50, 5), (117, 20), (1000, 100)])
def test_ticks_are_at_most_ten_epochs_besides_the_first(epochs, step):
    assert chart.epoch_ticks(epochs) == list(range(0, epochs + 1, step))


# --- several runs ------------------------------------------------------------------------------------


def test_runs_that_differ_by_their_seed_have_a_band(reports):
    source = report.to_html(reports[:2])
    page = Page(source)
    accuracies = [one.test.value for one in reports[:2]]
    mean, sd = statistics.mean(accuracies), statistics.stdev(accuracies)
    low, high = scipy.stats.t.interval(0.95, 1, mean, sd / 2**0.5)
    assert ["2", f"{mean:.4f} ± {sd:.4f}", f"{low:.4f} to {high:.4f}"] in page.rows
    assert page.row("a")[:2] == ["0", f"{accuracies[0]:.4f}"]
    made = chart_of(reports[:2])
    (curve,) = made.curves
    curves = np.array([chart.binned(one.loss, 2, 60) for one in reports[:2]])
    intervals = scipy.stats.t.interval(0.95, 1, curves.mean(0), curves.std(0, ddof=1) / 2**0.5)
    texts = [reading.text for reading in made.readings]
    assert texts[7].endswith(f"[{intervals[0][7]:.3g}, {intervals[1][7]:.3g}]")
    lefts = [x for x, _ in curve.points]
    assert [x for x, _ in curve.band] == lefts + lefts[
        ::-1
    ]  # along one end of the interval, back on the other
    assert source.count("<polygon") == 1
    assert [a["id"] for _, a in page.elements if "id" in a] == ["run-1", "run-2"]


def test_runs_that_differ_by_more_are_curves_side_by_side_and_a_table(reports):
    page = Page(report.to_html(reports))
    groups = report.grouped(reports)
    assert [(group.name, len(group.reports)) for group in groups] == [
        ("optimizer nesterov", 2), ("optimizer sgd", 1)
    ]  # fmt: skip
    assert page.row("run") == ["optimizer", "seed", "test accuracy", "test loss", "last training loss",
        "seconds of training"]  # fmt: skip
    assert page.row("c")[:3] == ["sgd", "2", f"{reports[2].test.value:.4f}"]
    assert page.row("sgd", "1")[0] == f"{reports[2].test.value:.4f}"
    assert "3 runs: 64-8-10 on digits" in page.text
    losses = [f"{one.loss[1].astype(np.float64).mean():.4f}" for one in reports]
    assert page.row("2", *losses) == []


def test_a_run_from_before_an_option_existed_is_in_the_group_of_its_default(reports):
    stored = reports[1].network.config
    config = {name: stored[name] for name in stored if name not in ("label_smoothing", "precision")}
    old = reports[1]._replace(network=reports[1].network._replace(config=config))
    assert [len(group.reports) for group in report.grouped([reports[0], old])] == [2]


def test_the_same_run_from_two_folders_is_no_second_seed(reports):
    other = reports[0]._replace(network=reports[0].network._replace(folder=Path("copy")))
    with pytest.raises(ValueError, match="a and copy: got two runs with the same options and the same seed"):
        report.to_html([reports[0], other])


def test_folders_of_one_name_are_told_apart(reports):
    other = reports[1]._replace(network=reports[1].network._replace(folder=Path("elsewhere/a")))
    assert report.run_names([reports[0], reports[1]]) == ["a", "b"]
    assert report.run_names([reports[0], other]) == [str(reports[0].network.folder), "elsewhere/a"]


# --- as a program ------------------------------------------------------------------------------------


def test_the_program_writes_where_it_is_told(call, folders, tmp_path):
    out = tmp_path / "deep" / "page.html"
    assert call("report.py", folders[0], "--out", out) == (0, f"saved {out}\n", "")
    assert out.read_bytes() == (folders[0] / "report.html").read_bytes()
    code, _, err = call("report.py", folders[0], "--out", tmp_path)
    assert code == 2
    assert re.fullmatch(r"jaxnaive: error: out: got the folder .*, expected a file, .*\n", err)
    assert program.main(program.Options(runs=tuple(folders[:2]))) == folders[0].parent / "report.html"


def test_what_cannot_be_reported_on_is_refused_and_nothing_is_written(folders, tmp_path):
    def refused(error, message, *runs, out=tmp_path / "out" / "page.html"):
        with pytest.raises(error, match=message):
            program.main(program.Options(runs=runs, out=out))
        assert not (tmp_path / "out").exists()

    refused(command.UsageError, "runs: got none")
    refused(command.UsageError, "got .*a twice", folders[0], folders[0].parent / "b" / ".." / "a")
    refused(runs.RefusedError, "there is no run", tmp_path)
    refused(runs.RefusedError, "there is no run", folders[0] / "config.json")
    (tmp_path / "file").write_text("in the way")
    refused(command.UsageError, "a file in the way", folders[0], out=tmp_path / "file" / "page.html")
    copy = tmp_path / "copy"
    shutil.copytree(folders[0], copy)
    with (copy / "metrics.jsonl").open("a") as log:
        log.write("{")
    with pytest.raises(ValueError, match=r"metrics.jsonl: line 183 is damaged"):
        report.gather(networks.load(copy), None)
    lines = (folders[0] / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copy / "metrics.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(ValueError, match=r"metrics.jsonl: got epochs of \[90, 91\] steps"):
        report.gather(networks.load(copy), None)
    (copy / "params.safetensors").write_bytes(b"")
    refused(checkpoints.DamagedError, "not what was certified", copy)


def test_the_program_goes_on_without_the_dataset(folders, tmp_path, monkeypatch, caplog):
    def gone(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(data, "load", gone)
    out = program.main(program.Options(runs=(folders[0],), out=tmp_path / "page.html"))
    assert "the dataset is unavailable: no network" in out.read_text()
    assert "not tested, because the dataset is unavailable: no network" in caplog.text


# --- timings -----------------------------------------------------------------------------------------


def test_what_a_process_that_goes_on_takes_is_added(folders, reports, tmp_path):
    shutil.copytree(folders[0], tmp_path / "run")
    clock = timings.Clock(**{"import": 0.5, "nothing": None})
    clock.lap("train")
    clock.laps["train"] += 2.0
    timings.add(tmp_path / "run", (2, 3), clock)
    first, second = processes = timings.read(tmp_path / "run")
    assert (first["epochs"], second["epochs"]) == ([0, 2], [2, 3])
    assert list(second["seconds"]) == ["import", "train"] and 2.0 <= second["seconds"]["train"] < 2.1
    one = reports[0]._replace(loss=np.ones((3, 91), np.float32), processes=processes)
    total = first["seconds"]["train"] + second["seconds"]["train"]
    page = Page(report.to_html([one]))
    assert page.row("part")[:2] == ["epochs 0 to 2", "epochs 2 to 3"]
    assert page.row("train")[2] == f"{total:.2f}" and page.row("import")[2] == "0.50"
    assert "did not finish" not in page.text
    late = Page(report.to_html([one._replace(processes=[second])]))
    assert "2 of 3 epochs were made by processes that did not finish" in late.text
    (tmp_path / "run" / "timings.json").write_text("[3]")
    none = Page(report.to_html([report.gather(networks.load(tmp_path / "run"), None)]))
    assert "made by an earlier version of jaxnaive, or the file is damaged" in none.text


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process began")
def test_the_time_since_the_start_is_that_of_the_process():
    began = float(subprocess.run(
        ["ps", "-o", "etimes=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
    ).stdout)  # fmt: skip
    before = timings.since_start()
    time.sleep(0.05)
    after = timings.since_start()
    assert before is not None and after is not None
    assert before == pytest.approx(began, abs=2) and after - before == pytest.approx(0.05, abs=0.04)


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    """A regression with validation, by the library; and how its network does."""
    folder = tmp_path_factory.mktemp("regression") / "run"
    x = np.random.default_rng(0).normal(size=(100, 3))
    dataset = data.load((x, 40 * x[:, 0] + 7))
    network: Any = fit(dataset, hidden=(8,), epochs=4, batch_size=10, learning_rate=0.05, out=folder)
    return report.gather(networks.load(folder), dataset), network.evaluate(dataset.test)


def test_s92_a_regression_has_r2_a_picture_and_its_validation(regression):
    one, measured = regression
    assert one.test.value == pytest.approx(measured.r_squared, abs=1e-6) and one.test.examples == 20
    assert one.validation.shape == (4, 1) and one.options["validation"] == 0.1
    page = Page(report.to_html([one]))
    assert "test R2" in page.text and "20 examples" in page.text
    assert "Training loss and validation loss over epochs" in page.text
    (figure,) = [at for tag, at in page.elements if at.get("alt") == "predictions over the truth"]
    assert base64.b64decode(figure["src"].partition(",")[2]).startswith(b"\x89PNG")
    assert "Confusion" not in page.text and "not as it should be" not in page.text


def test_validation_losses_are_drawn_where_their_epochs_end(regression):
    one, _ = regression
    training, validation = report.curves_of(report.Group({}, [one]))
    assert (training.name, validation.name, validation.after_epochs) == ("training", "validation", True)
    made = chart.make([training, validation])
    assert made is not None
    _, drawn = made.curves
    assert not drawn.steps and len(drawn.points) == 4
    bins = len(made.readings)
    ends = [(100 * (bins * epoch / 4 - 0.5)) / bins for epoch in range(1, 5)]
    np.testing.assert_allclose([left for left, _ in drawn.points], ends)


def test_a_run_that_did_not_learn_says_so_in_its_certificate(regression):
    one, _ = regression
    text = "it did not learn: all predictions are 3"
    changed = one._replace(certificate=one.certificate | {certificates.PROBLEM: text})
    assert Page(report.to_html([changed])).row("learned") == ["✗ not as it should be:", text]
