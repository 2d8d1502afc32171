"""A finished run, or several compared, as one HTML page: no script, no network, no other file."""

import base64
import hashlib
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxnaive import data, layers, losses, pages, runs, statistics, training
from jaxnaive.data import Dataset
from jaxnaive.disk import files
from jaxnaive.networks import Network
from jaxnaive.runs import certificates, timings

REPORT = "report.html"
MISTAKES = 30  # shown
UNITS = 64  # of the first layer, shown
SIDE = 48  # pixels of a shown image at most
DETAILED = 8  # runs that are shown whole, 0.1 to 0.4 MB each; more are in the tables alone
POINTS = 60  # of a curve
STEPS = 1000  # points of the curve of all steps
LINES = 6  # of the chart; so many can be told apart without colours
CLASSES = 30  # beyond which a matrix says less than a list of confusions
ABOUT_DATA = ("class_names",)  # of a configuration, too long for a table
SHADES = 31  # shades of a colour


class Mistake(NamedTuple):
    """A test example that was taken for another class."""

    image: np.ndarray
    truth: str
    said: str
    confidence: float


class Score(NamedTuple):
    """How a network does on the test examples."""

    loss: float
    confusion: Int[np.ndarray, "classes classes"]  # rows are the truth
    mistakes: list[Mistake]  # the most confident first

    @property
    def examples(self) -> int:
        """How many there are."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """How many of them are classified correctly."""
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """Share of them that are classified correctly."""
        return self.right / self.examples


class Unit(NamedTuple):
    """A unit of the first layer."""

    number: int
    norm: float  # of its weights
    weights: Float[np.ndarray, "height width"]  # summed over colours: what it makes of a grey picture


class Report(NamedTuple):
    """What there is to say of a run."""

    network: Network
    loss: Float[np.ndarray, "epochs steps"]
    certificate: dict[str, Any]
    processes: list[dict[str, Any]]  # that came to their end, as ``timing`` has them
    hashes: dict[str, str]  # SHA-256 of the run's files
    units: list[Unit]  # with the largest weights first; none, where an example is no picture
    test: Score | None
    missing: str  # why there is no test

    @property
    def options(self) -> dict[str, Any]:
        """The configuration, less what is too long for a table."""
        return {name: value for name, value in self.network.config.items() if name not in ABOUT_DATA}

    @property
    def is_picture(self) -> bool:
        """Whether an example can be looked at."""
        return is_picture(self.network.image_shape)

    @property
    def architecture(self) -> str:
        """Numbers an example, units of each layer, classes: 784-512-10."""
        hidden, classes = self.network.job.hidden, len(self.network.class_names)
        return "-".join(map(str, [math.prod(self.network.image_shape), *hidden, classes]))

    @property
    def subject(self) -> str:
        """What was trained on what."""
        dataset = self.network.job.dataset or ""
        return f"{self.architecture} on {Path(dataset).name if dataset.endswith('.npz') else dataset}"

    @property
    def parameters(self) -> int:
        """How many there are."""
        return layers.count(self.network.params)

    @property
    def last_loss(self) -> float | None:
        """Mean training loss of the last epoch."""
        return float(self.loss[-1].mean()) if self.loss.size else None

    @property
    def seconds(self) -> dict[str, float]:
        """What each part took, in all processes together."""
        names = dict.fromkeys(name for process in self.processes for name in process["seconds"])
        return {name: sum(process["seconds"].get(name, 0.0) for process in self.processes) for name in names}

    @property
    def largest_weight(self) -> float:
        """Of the units shown, such that one in a hundred is larger."""
        return float(np.quantile(np.abs([unit.weights for unit in self.units]), 0.99))

    @property
    def untimed(self) -> int:
        """Epochs of processes that did not come to their end, so that their times are not known."""
        timed = {epoch for process in self.processes for epoch in range(*process["epochs"])}
        return len(set(range(len(self.loss))) - timed)


class Group(NamedTuple):
    """Runs that differ by their seed alone."""

    values: dict[str, Any]  # of the options in which the groups differ
    reports: list[Report]

    @property
    def name(self) -> str:
        """The options in which it differs from the other groups."""
        return ", ".join(f"{option} {to_text(value)}" for option, value in self.values.items())

    @property
    def accuracy(self) -> statistics.Summary | None:
        """Of the test accuracies, if there are two or more."""
        found = [report.test.accuracy for report in self.reports if report.test]
        return statistics.summarise(found) if len(found) > 1 else None


class OfClass(NamedTuple):
    """How a network does on the test examples of one class."""

    name: str
    examples: int
    right: int
    taken_for: str  # the class it is most often mistaken for, and how often

    @property
    def mistaken(self) -> float:
        """Share of them that are taken for another class."""
        return 1 - self.right / self.examples if self.examples else 0.0


class Check(NamedTuple):
    """A line of the certificate."""

    what: str
    found: str
    good: bool


class Line(NamedTuple):
    """A curve, in per cent of the chart's width and height, from its upper left corner."""

    name: str
    points: list[tuple[float, float]]
    band: list[tuple[float, float]]  # the outline of its interval; empty for a single run
    steps: list[tuple[float, float]]  # every step, where it is the only run and has more of them than points


class Reading(NamedTuple):
    """What is read off a chart at one place."""

    left: float  # per cent
    heights: list[float | None]  # of the lines, per cent; None after a line's end
    text: str


class Chart(NamedTuple):
    """A chart with a logarithmic y axis."""

    lines: list[Line]
    x_ticks: list[tuple[float, str]]  # per cent, label
    y_ticks: list[tuple[float, str]]
    readings: list[Reading]


def gather(network: Network, dataset: Dataset | None, missing: str = "") -> Report:
    """Everything there is to say of a run.

    Args:
      network: of the run.
      dataset: that it was trained on.
      missing: why there is no dataset.

    Raises:
      ValueError: the log is damaged, or not that of the certificate.
      OSError: a file of the run cannot be read.
    """
    folder = network.folder
    certificate = certificates.read(folder)
    if certificate is None:
        raise runs.RefusedError(f"{folder}: the run goes on at this moment; try again when it is complete")
    epochs = runs.stored_losses(folder, certificate["epochs"])
    if len(counts := {len(epoch) for epoch in epochs}) > 1 or 0 in counts:
        raise ValueError(f"{folder / runs.LOG}: got epochs of {sorted(counts)} steps, expected one number")
    return Report(
        network=network,
        loss=np.stack(epochs) if epochs else np.zeros((0, 0), np.float32),
        certificate=certificate,
        processes=timings.read(folder),
        hashes={
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in (runs.CONFIG, runs.LOG, certificates.PARAMS)
        },
        units=first_units(network),
        test=None if dataset is None else score(network, dataset),
        missing=missing,
    )


def write(path: Path, reports: Sequence[Report]) -> None:
    """Write the page.

    Args:
      path: the HTML file to write: whole, or not at all.
      reports: of one run, or of several to be compared.

    Raises:
      ValueError: as in :func:`to_html`.
      OSError: the file cannot be written.
    """
    files.write(path, to_html(reports).encode())


def to_html(reports: Sequence[Report]) -> str:
    """The page. Equal reports make equal pages.

    Raises:
      ValueError: two runs are the same, with the same options and the same seed.
    """
    groups = grouped(reports)
    page = pages.template(REPORT, picture=picture, weights=weights_picture, text=to_text)
    return page.render(
        reports=reports,
        detailed=reports[:DETAILED],
        names=names(reports),
        subjects=dict.fromkeys(report.subject for report in reports),
        groups=groups,
        chart=chart(groups[:LINES]),
        differing=differing([report.options for report in reports]),
        by_class=by_class,
        shades=shades,
        checks=checks,
        confusions=confusions,
        CLASSES=CLASSES,
    )


# --- numbers -----------------------------------------------------------------------------------------


def score(network: Network, dataset: Dataset) -> Score:
    """The network on the test examples."""
    labels = np.asarray(dataset.test.labels)
    logits = training.predict(network.params, dataset.test.images, network.model)
    loss = losses.smoothed_cross_entropy(network.job.label_smoothing)
    probabilities = np.asarray(layers.softmax(logits))
    said, names = probabilities.argmax(axis=1), network.class_names
    _, wrong = data.right_and_wrong(probabilities, labels)
    return Score(
        loss=float(loss(logits, jnp.asarray(labels)).mean()),
        confusion=np.asarray(losses.confusion(logits, jnp.asarray(labels))),
        mistakes=[
            Mistake(
                np.asarray(dataset.test.images[i]),
                names[labels[i]],
                names[said[i]],
                float(probabilities[i, said[i]]),
            )
            for i in wrong[:MISTAKES]
        ],
    )


def first_units(network: Network) -> list[Unit]:
    """The units of the first layer that have the largest weights."""
    if not is_picture(network.image_shape):
        return []
    weights = np.asarray(network.params[0]["w"])
    norms = np.linalg.norm(weights, axis=0)
    height, width, *_ = network.image_shape
    pictures = weights.reshape(height, width, -1, weights.shape[1]).sum(axis=2)
    largest = np.argsort(-norms, kind="stable")[:UNITS]
    return [Unit(int(unit), float(norms[unit]), pictures[:, :, unit]) for unit in largest]


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether an example of this shape is a picture: ``[h, w]``, or ``[h, w, colours]``."""
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3, 4))


def by_class(test: Score, names: Sequence[str]) -> list[OfClass]:
    """The classes one by one."""
    wrong = test.confusion - np.diag(np.diag(test.confusion))
    return [
        OfClass(
            name, int(row.sum()), int(row[k]), f"{names[of.argmax()]} ({of.max()})" if of.any() else "none"
        )
        for k, (name, row, of) in enumerate(zip(names, test.confusion, wrong, strict=True))
    ]


def shades(test: Score) -> Float[np.ndarray, "classes classes"]:
    """How much colour the confusions get, up to 0.6: what is right by its share of its row, a mistake by its
    share as compared with the largest."""
    share = test.confusion / np.maximum(test.confusion.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(share), dtype=bool)
    return 0.6 * np.sqrt(share / np.where(right, 1, np.max(share, initial=1e-9, where=~right)))


def confusions(test: Score) -> list[tuple[int, int, int]]:
    """Truth, what it was taken for, and how often; the most frequent first."""
    wrong = test.confusion - np.diag(np.diag(test.confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")
    pairs = (np.unravel_index(place, wrong.shape) for place in order[: np.count_nonzero(wrong)])
    return [(int(truth), int(said), int(wrong[truth, said])) for truth, said in pairs]


def checks(report: Report) -> list[Check]:
    """The certificate, line by line."""
    certificate = report.certificate
    scheduled, compiles = certificate["times_scheduled"], certificate["compiles"]
    odd = [number for number, times in enumerate(scheduled) if list(times) != ["1"]]
    evaluated = certificate["evaluated"]
    return [
        Check(
            "examples scheduled",
            f"{scheduled[odd[0]]} times in epoch {odd[0]}"
            if odd
            else f"each once in each of {len(scheduled)} epochs",
            not odd,
        ),
        Check(
            "test examples evaluated",
            f"{evaluated:,}" + (f" of {report.test.examples:,}" if report.test else ""),
            report.test is None or evaluated == report.test.examples,
        ),
        Check("values not finite", str(certificate["non_finite"]), certificate["non_finite"] == 0),
        Check(
            "compiled",
            ", ".join(f"{name} {count}" for name, count in compiles.items()),
            max(compiles.values()) <= 1,
        ),
        Check("parameters", f"{certificate['params']['bytes']:,} bytes, those that were certified", True),
    ]


def grouped(reports: Sequence[Report]) -> list[Group]:
    """The runs, those together that differ by their seed alone.

    Raises:
      ValueError: two runs are the same.
    """
    groups: dict[str, list[Report]] = {}
    for report in reports:
        groups.setdefault(repr({**report.options, "seed": None}), []).append(report)
    for group in groups.values():
        seeds = [report.options["seed"] for report in group]
        for place, report in enumerate(group):
            if (first := seeds.index(report.options["seed"])) < place:
                raise ValueError(
                    f"{group[first].network.folder} and {report.network.folder}: got two runs with the same "
                    "options and the same seed, expected each run once"
                )
    named = differing([{**report.options, "seed": None} for report in reports])
    return [
        Group({option: group[0].options.get(option) for option in named}, group) for group in groups.values()
    ]


def differing(options: Sequence[dict[str, Any]]) -> list[str]:
    """The names of the options that are not the same in all runs."""
    names = dict.fromkeys(name for given in options for name in given)
    return [name for name in names if len({repr(given.get(name)) for given in options}) > 1]


def names(reports: Sequence[Report]) -> list[str]:
    """What to call the runs: their folders' last names, or whole ones where these are the same."""
    short = [report.network.folder.resolve().name for report in reports]
    return short if len(set(short)) == len(short) else [str(report.network.folder) for report in reports]


# --- chart -------------------------------------------------------------------------------------------


def chart(groups: Sequence[Group]) -> Chart | None:
    """The learning curves: training loss over epochs; ``None`` when nothing was trained."""
    groups = [group for group in groups if all(report.loss.size for report in group.reports)]
    if not groups:
        return None
    all_losses = [report.loss for group in groups for report in group.reports]
    epochs = max(map(len, all_losses))
    bins = min(POINTS, epochs * min(loss.shape[1] for loss in all_losses))
    times = (np.arange(bins) + 0.5) / bins * epochs
    curves = [
        np.array([binned(report.loss, epochs, bins) for report in group.reports]) for group in groups
    ]  # [groups][runs, bins]
    means = [curve.mean(axis=0) for curve in curves]
    alone = len(all_losses) == 1 and all_losses[0].size > bins
    steps = binned(all_losses[0], epochs, min(STEPS, all_losses[0].size)) if alone else means[0]
    bottom, *_, top = y_ticks = _log_ticks(np.concatenate([steps, *means]))

    def height(value: np.ndarray | float) -> np.ndarray:
        inside = np.clip(value, bottom / 10, top * 10)  # what is not, is cut off
        return np.asarray(100 * np.log(top / inside) / math.log(top / bottom))

    def path(values: np.ndarray) -> list[tuple[float, float]]:
        x = (np.arange(len(values)) + 0.5) * (100 / len(values))
        return [(a, b) for a, b in zip(x.tolist(), height(values).tolist(), strict=True) if math.isfinite(b)]

    lines, texts = [], [f"epoch {time:.2f}" for time in times]
    for group, curve, mean in zip(groups, curves, means, strict=True):
        band, interval = [], [""] * bins
        if len(curve) > 1:
            summary = statistics.summarise(curve, axis=0)
            band = path(summary.low) + path(summary.high)[::-1]
            interval = [f" [{a:.3g}, {b:.3g}]" for a, b in zip(summary.low, summary.high, strict=True)]
        lines.append(Line(group.name, path(mean), band, path(steps) if alone else []))
        for place in np.flatnonzero(np.isfinite(mean)):
            texts[place] += f"\n{group.name or 'loss'}: {mean[place]:.3g}{interval[place]}"
    heights = np.array([height(mean) for mean in means]).T.tolist()
    readings = [
        Reading(
            100 * (place + 0.5) / bins,
            [y if math.isfinite(y) else None for y in heights[place]],
            texts[place],
        )
        for place in range(bins)
    ]
    every = next(step for step in _nice_steps() if epochs / step <= 10)
    return Chart(
        lines,
        [(100 * epoch / epochs, str(epoch)) for epoch in range(0, epochs + 1, every)],
        [(float(height(value)), f"{value:g}") for value in y_ticks],
        readings,
    )


def binned(loss: Float[np.ndarray, "epochs steps"], epochs: int, bins: int) -> Float[np.ndarray, " bins"]:
    """The means of a run's losses in equal parts of so many epochs; NaN after its end."""
    place = ((np.arange(loss.size) + 0.5) / loss.shape[1] * (bins / epochs)).astype(int)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return np.bincount(place, loss.ravel().astype(np.float64), minlength=bins) / counts


def _nice_steps() -> Any:
    return (digit * 10**power for power in range(10) for digit in (1, 2, 5))


def _log_ticks(values: np.ndarray) -> list[float]:
    """1, 2, 5, 10, ..., from below the least value to above the largest; of many, the powers of ten."""
    found = values[np.isfinite(values)]
    low, high = max(float(found.min()), 1e-12), max(float(found.max()), 1e-12)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    ladder = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    first = max(place for place, tick in enumerate(ladder) if tick <= low)
    last = next(place for place, tick in enumerate(ladder) if tick >= high and place > first)
    ticks = ladder[first : last + 1]
    if len(ticks) <= 9:
        return ticks
    return [ticks[0], *(tick for tick in ticks[1:-1] if math.log10(tick).is_integer()), ticks[-1]]


# --- pictures ----------------------------------------------------------------------------------------


def picture(image: np.ndarray) -> str:
    """An example as the address of an image that holds it; one of one colour is drawn as ink on paper."""
    from PIL import Image

    pixels = data.as_picture(image)
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = np.round(255 * pixels).astype(np.uint8)
    drawn = Image.fromarray(255 - pixels if pixels.ndim == 2 else pixels)
    drawn.thumbnail((SIDE, SIDE))
    return _address(drawn)


def weights_picture(weights: Float[np.ndarray, "height width"], largest: float) -> str:
    """Weights as the address of an image: from blue, ``-largest``, over white to orange."""
    from PIL import Image

    drawn = Image.fromarray(weights.astype(np.float32))
    drawn.thumbnail((SIDE, SIDE))
    levels = np.clip(np.round(np.asarray(drawn) / largest * SHADES), -SHADES, SHADES)
    shades = Image.fromarray((levels + SHADES).astype(np.uint8))
    shades.putpalette(_palette().tobytes())
    return _address(shades)


def _palette() -> np.ndarray:
    white, blue, orange = np.array([255, 255, 255]), np.array([0, 114, 178]), np.array([213, 94, 0])
    share = np.linspace(-1, 1, 2 * SHADES + 1)[:, None]
    return np.round(white + np.abs(share) * (np.where(share < 0, blue, orange) - white)).astype(np.uint8)


def _address(image: Any) -> str:
    with io.BytesIO() as buffer:
        image.save(buffer, "PNG", optimize=True)
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def to_text(value: Any) -> str:
    """An option's value as a person would write it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(to_text, value)) or "none"
    return "none" if value is None else str(value)
