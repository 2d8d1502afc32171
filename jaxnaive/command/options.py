"""Options that many command lines have, each with its help text."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from jaxnaive.data.inputs import Scaling
from jaxnaive.data.labels import Task
from jaxnaive.job import added_later

DatasetName = Annotated[
    str | None,
    arg(
        help="name of a dataset, or a file or folder of yours: a table, arrays, pictures; default: mnist, or "
        "digits if mnist is unavailable"
    ),
]
DataDir = Annotated[
    Path | None,
    arg(help="tfds's folder; default: $TFDS_DATA_DIR or ~/tensorflow_datasets"),
]
ManualDir = Annotated[
    Path | None,
    arg(help="folder with dataset files that you have already; default: $JAXNAIVE_MANUAL_DIR"),
]
Out = Annotated[
    Path | None,
    arg(help="folder for the run; default: runs/NAME-1, or the first of NAME-2, NAME-3, ... that is free"),
]
Resume = Annotated[
    bool,
    arg(help="go on with the run in --out, by default the last one, and with its options"),
]
Figures = Annotated[Path, arg(help="folder for the pictures")]
Seeds = Annotated[int, arg(help="how many runs that differ by their seed alone")]


@dataclass(frozen=True)
class OwnFile:
    """How a file or folder of yours becomes a dataset, as :func:`jaxnaive.data.load` takes it."""

    label: str | None = added_later(None)
    """column of a table that is to be predicted: its name, or its place, from 0, or from the end, -1"""
    ignore: tuple[str, ...] = added_later(())
    """columns of a table that are left out"""
    task: Task | None = added_later(None)
    """default: regression if the labels have fractions, or are several numbers an example; otherwise
    classification"""
    scaling: Scaling | None = added_later(None)
    """range: one for all numbers; columns: one for each column; none: the numbers as they are; default:
    columns for a table, unless its columns look like pixels; otherwise range"""
    size: tuple[int, int] | None = added_later(None)
    """height and width to which pictures are resized"""


@dataclass(frozen=True)
class Reading(OwnFile):
    """The same, where the test examples may be in a file of their own."""

    test: str | None = added_later(None)
    """file or folder with the test examples; default: those that come with the others, or a fifth of them"""
