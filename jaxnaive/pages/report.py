"""A finished run, or several compared, as one HTML page: no script, no network, no other file."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnaive import job, layers, pages, runs, statistics
from jaxnaive.data import Dataset, looks
from jaxnaive.disk import files
from jaxnaive.disk.files import StrPath
from jaxnaive.networks import OWN_MODEL, Network
from jaxnaive.pages import chart, data_urls, scores
from jaxnaive.pages.scores import RegressionScore, Score
from jaxnaive.runs import certificates, timings

REPORT = "report.html"
MAX_UNITS = 64  # of the first layer
MAX_DETAILED = 8  # runs that are shown whole, 0.1 to 0.4 MB each; more are in the tables alone
MAX_CURVES = 6  # of the chart; so many can be told apart without colours
MAX_MATRIX = 30  # classes beyond which a matrix says less than a list of confusions
LONG_OPTIONS = ("class_names", "schema")  # too long for a table


class Unit(NamedTuple):
    """A unit of the first layer."""

    number: int
    norm: float  # of its weights
    weights: Float[np.ndarray, "height width"]  # summed over colours: its weights for a grey picture


class Report(NamedTuple):
    """What the page says of a run."""

    network: Network
    loss: Float[np.ndarray, "epochs steps"]
    validation: Float[np.ndarray, "epochs 1"] | None  # loss after each epoch, if some examples were held out
    certificate: dict[str, Any]
    processes: list[dict[str, Any]]  # those that came to their end, as ``timings`` has them
    hashes: dict[str, str]  # SHA-256 of the run's files
    units: list[Unit]  # with the largest weights first; none, where an example is no picture
    test: Score | RegressionScore | None
    why_not_tested: str

    @property
    def options(self) -> dict[str, Any]:
        """All that the result depends on, less what is too long for a table."""
        stored = self.network.config | job.to_json(self.network.job)
        return {name: value for name, value in stored.items() if name not in LONG_OPTIONS}

    @property
    def options_but_seed(self) -> dict[str, Any]:
        """What is equal in runs that differ by their seed alone."""
        return {name: value for name, value in self.options.items() if name != "seed"}

    @property
    def is_picture(self) -> bool:
        """Whether an example is a picture."""
        return looks.is_picture(self.network.image_shape)

    @property
    def architecture(self) -> str:
        """Numbers in an example, units of each layer, classes or targets: 784-512-10."""
        schema = self.network.schema
        return "-".join(map(str, [schema.num_features, *self.network.job.hidden, len(schema.outputs.names)]))

    @property
    def subject(self) -> str:
        """What was trained on what."""
        dataset = self.network.job.dataset or ""
        return f"{self.architecture} on {Path(dataset).name if Path(dataset).is_absolute() else dataset}"

    @property
    def parameters(self) -> int:
        """The number of parameters."""
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
        """The size that one in a hundred of the shown units' weights exceeds."""
        return float(np.quantile(np.abs([unit.weights for unit in self.units]), 0.99))

    @property
    def untimed_epochs(self) -> int:
        """How many epochs were made by processes that did not come to their end, and left no timings."""
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
    def score(self) -> statistics.Summary | None:
        """Of the test accuracies, or of R2, if there are two or more."""
        found = [report.test.value for report in self.reports if report.test]
        return statistics.summarise(found) if len(found) > 1 else None


class Check(NamedTuple):
    """A line of the certificate."""

    name: str
    found: str
    passed: bool


def gather(network: Network, dataset: Dataset | None, why_not_tested: str = "") -> Report:
    """Everything that the page says of a run.

    Args:
      network: of the run.
      dataset: that it was trained on.
      why_not_tested: why there is no dataset.

    Raises:
      ValueError: the log is damaged, or not that of the certificate.
      OSError: a file of the run cannot be read.
    """
    folder = _folder_of(network)
    certificate = certificates.read(folder)
    if certificate is None:
        raise runs.RefusedError(f"{folder}: the run is going on; try again when it is complete")
    epochs = runs.stored_losses(folder, certificate["epochs"])
    validation = runs.stored_validation_losses(folder, certificate["epochs"])
    if len(counts := {len(epoch) for epoch in epochs}) > 1 or 0 in counts:
        raise ValueError(f"{folder / runs.LOG}: got epochs of {sorted(counts)} steps, expected one number")
    return Report(
        network=network,
        loss=np.stack(epochs) if epochs else np.zeros((0, 0), np.float32),
        validation=np.array(validation)[:, None] if validation else None,
        certificate=certificate,
        processes=timings.read(folder),
        hashes={
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in (runs.CONFIG, runs.LOG, certificates.PARAMS)
        },
        units=first_units(network),
        test=None if dataset is None else scores.score(network, dataset),
        why_not_tested=why_not_tested,
    )


def _folder_of(network: Network) -> Path:
    if network.folder is None:
        raise ValueError("network: got one that was trained without a folder, expected fit(..., out=...)")
    return network.folder


def first_units(network: Network) -> list[Unit]:
    """The units of the first layer that have the largest weights."""
    if not looks.is_picture(network.image_shape) or network.config.get(OWN_MODEL):
        return []
    weights = np.asarray(network.params[0]["w"])
    norms = np.linalg.norm(weights, axis=0)
    height, width, *_ = network.image_shape
    pictures = weights.reshape(height, width, -1, weights.shape[1]).sum(axis=2)
    largest = np.argsort(-norms, kind="stable")[:MAX_UNITS]
    return [Unit(int(unit), float(norms[unit]), pictures[:, :, unit]) for unit in largest]


def write(path: StrPath, reports: Sequence[Report]) -> None:
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
    curves = [curve for group in groups for curve in curves_of(group)]
    filters = {
        "picture": looks.as_data_url,
        "png": looks.png_as_data_url,
        "weights": data_urls.of_weights,
        "text": to_text,
    }
    return pages.template(REPORT, **filters).render(
        reports=reports,
        detailed=reports[:MAX_DETAILED],
        names=run_names(reports),
        subjects=dict.fromkeys(report.subject for report in reports),
        groups=groups,
        chart=chart.make(curves[:MAX_CURVES]),
        all_curves=len(curves),
        has_validation=any(curve.after_epochs for curve in curves[:MAX_CURVES]),
        score_name=score_name(reports),
        differing=differing([report.options for report in reports]),
        by_class=scores.by_class,
        shades=scores.shades,
        confusions=scores.confusions,
        checks=checks,
        MAX_MATRIX=MAX_MATRIX,
    )


def curves_of(group: Group) -> list[chart.Series]:
    """The training losses of a group, and beside them those of validation, if all its runs have some."""
    training = chart.Series(group.name, [report.loss for report in group.reports])
    validation = [report.validation for report in group.reports if report.validation is not None]
    if len(validation) < len(group.reports):
        return [training]
    names = [f"{group.name}, {what}" if group.name else what for what in ("training", "validation")]
    return [training._replace(name=names[0]), chart.Series(names[1], validation, after_epochs=True)]


def score_name(reports: Sequence[Report]) -> str:
    """What the runs' scores are called: accuracy or R2; or score, if they are of both kinds."""
    names = {report.test.name for report in reports if report.test}
    return names.pop() if len(names) == 1 else "score" if names else "accuracy"


def checks(report: Report) -> list[Check]:
    """The certificate, line by line."""
    certificate, test = report.certificate, report.test
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
            f"{evaluated:,}" + (f" of {test.examples:,}" if test else ""),
            test is None or evaluated == test.examples,
        ),
        Check("values not finite", str(certificate["non_finite"]), certificate["non_finite"] == 0),
        Check(
            "compiled",
            ", ".join(f"{name} {count}" for name, count in compiles.items()),
            max(compiles.values()) <= 1,
        ),
        Check("parameters", f"{certificate['params']['bytes']:,} bytes, as certified", True),
    ] + [Check("learned", text, False) for text in [certificate.get(certificates.PROBLEM)] if text]


def grouped(reports: Sequence[Report]) -> list[Group]:
    """The runs, those together that differ by their seed alone.

    Raises:
      ValueError: two runs are the same.
    """
    groups: dict[str, dict[int, Report]] = {}
    for report in reports:
        same = groups.setdefault(repr(sorted(report.options_but_seed.items())), {})
        first = same.setdefault(report.network.job.seed, report)
        if first is not report:
            raise ValueError(
                f"{first.network.folder} and {report.network.folder}: got two runs with the same options and "
                "the same seed, expected each run once"
            )
    found = [list(group.values()) for group in groups.values()]
    names = differing([report.options_but_seed for report in reports])
    return [Group({name: group[0].options.get(name) for name in names}, group) for group in found]


def differing(options: Sequence[dict[str, Any]]) -> list[str]:
    """The names of the options that are not the same in all runs."""
    names = dict.fromkeys(name for given in options for name in given)
    return [name for name in names if len({repr(given.get(name)) for given in options}) > 1]


def run_names(reports: Sequence[Report]) -> list[str]:
    """The last names of the runs' folders; or their whole paths, if two last names are the same."""
    short = [_folder_of(report.network).resolve().name for report in reports]
    return short if len(set(short)) == len(short) else [str(report.network.folder) for report in reports]


def to_text(value: Any) -> str:
    """An option's value as a person would write it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(to_text, value)) or "none"
    return "none" if value is None else str(value)
