"""A user's data: read from wherever they are, looked at, and made into examples."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from jaxnaive import splits
from jaxnaive.batches import Examples
from jaxnaive.data import inputs, labels, rows, sources, spellings, tables
from jaxnaive.data.inputs import Scaling
from jaxnaive.data.labels import Task
from jaxnaive.data.raw import Raw
from jaxnaive.data.schema import Schema

TEST = 1 / 5  # of the examples, where a source comes without a test set

Array = Any  # that NumPy makes an array of; a data frame; or the path of a file with an array


class Options(NamedTuple):
    """How a source is read."""

    label: Any = None  # column, or columns
    ignore: tuple[str | int, ...] = ()  # columns
    size: tuple[int, int] | None = None  # of pictures


class Made(NamedTuple):
    """What a user's data are made into."""

    train: Examples
    test: Examples
    schema: Schema
    notes: tuple[str, ...]  # what was found and decided
    warnings: tuple[str, ...]  # what a user should look at


def load(source: Any, given: Mapping[str, Any]) -> Made:
    """A user's data, read and made into examples.

    Args:
      source: as :func:`jaxnaive.data.load` takes it.
      given: its options, those that were given.

    Raises:
      ValueError, ImportError, OSError: as there.
    """
    options = Options(**{name: given[name] for name in Options._fields if name in given})
    raw, test = read(source, options), given.get("test")
    is_fraction = isinstance(test, float)
    if is_fraction and not 0 < test < 1:
        raise ValueError(f"test: got {test}, expected a source, or more than 0 and less than 1")
    if is_fraction and raw.test:
        raise ValueError(
            f"test: got {test} for a source with a test set of its own, expected none, or a source"
        )
    if test is not None and not is_fraction:
        of_test = read(test, options)
        raw = raw._replace(test=of_test.test or of_test)
    choices = (given.get(name) for name in ("task", "scaling", "weight"))
    made = make(raw, *choices, fraction=test if is_fraction else TEST)
    if raw.label_names and options.label is None:
        made = made._replace(notes=(f"label: column {raw.label_names[0]}", *made.notes))
    return made


def stored(source: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """By what a dataset is found again, as JSON can hold it."""
    found = {name: value for name, value in given.items() if name != "weight"}
    if "test" in found and not isinstance(found["test"], float):
        found["test"] = found_again(found["test"])
    return {"dataset": found_again(source)} | found


def read(source: Any, options: Options) -> Raw:
    """Inputs and labels, as a source has them.

    Args:
      source: a path, a data frame, or arrays, as :func:`jaxnaive.data.load` takes them.
      options: as there.

    Raises:
      ValueError: it is of no kind that is known, or damaged.
      OSError: it cannot be read.
    """
    _check_size(options.size)
    if isinstance(source, str | os.PathLike):
        return sources.read(Path(source).expanduser(), *options)
    if tables.is_frame(source):
        return sources.read_frame(source, *options)
    for name, value in zip(Options._fields, options, strict=True):
        if value not in (None, ()):
            raise ValueError(f"{name}: got {value!r} for arrays, expected none")
    if isinstance(source, Mapping):
        shown = dict.fromkeys(source, "")
        return spellings.to_raw(shown, lambda name: np.asarray(source[name]), Path("arrays"))
    if isinstance(source, tuple | list) and len(source) in (2, 4):
        return _of_arrays(source)
    raise ValueError(
        f"dataset: got {type(source).__name__}, expected a name, a path, a data frame, or arrays (X, y)"
    )


def pair(images: Array, labels: Array) -> Raw:
    """Two arrays, or the files that they are in."""
    images, labels = (
        sources.read_array(Path(part).expanduser()) if isinstance(part, str | os.PathLike) else part
        for part in (images, labels)
    )
    is_frame = tables.is_frame(images)
    images = tables.from_frame(images) if is_frame else inputs.as_numbers(images, "images")
    if not tables.is_frame(labels):
        return Raw(images, tables.as_column(labels))
    return tables.with_labels(images, tables.from_frame(labels))


def plain(label: Any) -> Any:
    """A column's name or place, or a list of them, in Python's own types."""
    if label is None or isinstance(label, str | int):
        return label
    if isinstance(label, np.integer):
        return int(label)
    if isinstance(label, float | np.floating):
        raise ValueError(f"label: got {label}, expected a column's name or place")
    columns = [plain(one) for one in label]
    if not columns:
        raise ValueError("label: got no column, expected one or more")
    return columns


def several(names: Any) -> tuple[str | int, ...]:
    """The columns to ignore: one, or several."""
    if names is None:
        return ()
    return (plain(names),) if isinstance(names, str | int | np.integer) else tuple(map(plain, names))


def found_again(source: Any) -> str:
    """By what a source is found again, also from another working directory; arrays are not."""
    is_path = isinstance(source, str | os.PathLike)
    return str(Path(source).expanduser().resolve()) if is_path else name_of(source)


def name_of(source: Any) -> str:
    """What a dataset of a source is called."""
    if isinstance(source, str | os.PathLike):
        name = Path(source).expanduser().resolve().name
        return Path(name.removesuffix(".gz").removesuffix(".bz2")).stem
    return "table" if tables.is_frame(source) else "arrays"


def make(
    raw: Raw,
    task: Task | None = None,
    scaling: Scaling | None = None,
    weight: Any = None,
    fraction: float = TEST,
) -> Made:
    """Everything that is looked at and decided.

    Args:
      raw: inputs and labels as they came.
      task: as in :func:`jaxnaive.data.load`.
      scaling: as there.
      weight: of each of the training examples.
      fraction: of the examples to set aside, if there is no test set.

    Raises:
      ValueError: what came and what was expected.
    """
    _check_choice("task", task, get_args(Task))
    _check_choice("scaling", scaling, get_args(Scaling))
    parts = [part for part in (raw, raw.test) if part]
    found = [_labels_of(part, part.class_names or raw.class_names) for part in parts]
    outputs, said, warnings = labels.learn(found[0], raw.class_names, task, raw.label_names)
    encoded = [
        labels.encode(own, outputs, what) for own, what in zip(found, ("labels", "test labels"), strict=False)
    ]
    if raw.test:
        kept, images, test_images = slice(None), raw.inputs, raw.test.inputs
    else:
        kept, held_out = _split(encoded[0], fraction)
        images, test_images = (rows.select(raw.inputs, index) for index in (kept, held_out))
        encoded.append(encoded[0][held_out])
    learned, notes, more_warnings = inputs.learn(images, scaling)
    weights = None if weight is None else _weights(weight, len(encoded[0]))[kept]
    train = Examples(inputs.encode(images, learned, "images"), encoded[0][kept], weights)
    test = Examples(inputs.encode(test_images, learned, "test images"), encoded[1])
    if said_odd := inputs.odd_units(test.images, learned, "test images"):
        raise ValueError(said_odd)
    warnings = [*(note for part in parts for note in part.notes), *warnings, *more_warnings]
    return Made(train, test, Schema(learned, outputs), (said, *notes), tuple(warnings))


def _labels_of(raw: Raw, class_names: Sequence[str] | None) -> Any:
    found = labels.as_labels(raw.labels)
    if len(raw.inputs) != len(found):
        counts = f"{len(raw.inputs)} images and {len(found)} labels"
        raise ValueError(f"got {counts}, expected as many of each")
    return labels.by_name(found, class_names) if class_names else found


def _split(encoded: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    kept, held_out = splits.split_indices(encoded, fraction)
    if not len(held_out):
        raise ValueError(
            f"got {len(kept)} examples, no test set, and no class with two, of which one could be set aside"
        )
    return kept, held_out


def _of_arrays(arrays: Sequence[Any]) -> Raw:
    if all(isinstance(part, tuple) and len(part) == 2 for part in arrays):
        arrays = [array for part in arrays for array in part]
    are_arrays = len(arrays) == 4 and not any(isinstance(part, str | os.PathLike) for part in arrays)
    if are_arrays and inputs.as_array(arrays[2]).ndim == 1 < inputs.as_array(arrays[1]).ndim:
        raise ValueError("arrays: got (X, X_test, y, y_test), as it seems, expected (X, y, X_test, y_test)")
    raw = pair(*arrays[:2])
    return raw._replace(test=pair(*arrays[2:])) if len(arrays) == 4 else raw


def _check_size(size: Any) -> None:
    if size is None:
        return
    if not isinstance(size, tuple | list) or [type(side) for side in size] != [int, int] or min(size) < 1:
        raise ValueError(f"size: got {size!r}, expected height and width, such as (28, 28)")


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value is not None and value not in choices:
        raise ValueError(f"{name}: got {value!r}, expected {' or '.join(choices)}")


def _weights(weight: Any, examples: int) -> np.ndarray:
    try:
        weights = np.asarray(weight, np.float32)
    except (ValueError, TypeError) as error:
        raise ValueError(f"weight: got {weight!r:.40}, expected {examples} numbers, more than 0") from error
    if weights.shape != (examples,) or not np.isfinite(weights).all() or (weights <= 0).any():
        raise ValueError(
            f"weight: got {weights.dtype} of shape {weights.shape}, expected {examples} numbers, more than 0"
        )
    return weights
