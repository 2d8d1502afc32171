"""Options that many command lines have, each with its help text."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

DatasetName = Annotated[
    str | None,
    arg(help="name of a dataset, or an .npz file; default: mnist, or digits if mnist is unavailable"),
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
