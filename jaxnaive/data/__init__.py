"""A dataset: by name, from files, or from arrays. What is in it is looked at here, once, at the door.

Inside ``jit`` a NaN is silent, and so is a pixel of 255 where 1 is expected. So labels become classes with
names, or targets; inputs become numbers of about one size; and how that was done, the *schema*, is kept with
the dataset, and with each network that learns from it.

Datasets keep the order of their source. Grey values from 0 to 255 stay uint8, all else becomes float32;
labels are int32 and count from 0. Datasets with a name are decoded once, and memory-mapped from then on.
"""

import atexit
import functools
import logging
import os
import re
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxnaive import batches
from jaxnaive.batches import Examples
from jaxnaive.data import downloads, idx, looks, rows
from jaxnaive.data.inputs import Scaling
from jaxnaive.data.labels import Task
from jaxnaive.data.names import did_you_mean
from jaxnaive.data.schema import Schema, of_grey
from jaxnaive.disk import arrays as stored_arrays
from jaxnaive.disk.files import StrPath

logger = logging.getLogger("jaxnaive")

OPTIONS = ("label", "ignore", "test", "task", "scaling", "size")  # of :func:`load`, about a source of yours
SHOWN = 20  # examples, in a notebook


@dataclass(frozen=True, repr=False)
class Dataset:
    """Examples to learn from, examples to be tested on, and what their numbers mean."""

    name: str
    train: Examples
    test: Examples
    schema: Schema
    source: dict[str, Any]  # the arguments by which :func:`load` finds it again, as JSON can hold them
    notes: tuple[str, ...] = ()  # what was found, and decided, when it was loaded

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes; none in a regression."""
        return self.schema.class_names

    @property
    def num_features(self) -> int:
        """How many numbers an example has: 784 for 28 x 28 pixels."""
        return self.schema.num_features

    @property
    def num_outputs(self) -> int:
        """How many classes there are, or targets in a regression."""
        return len(self.schema.outputs.names)

    def __repr__(self) -> str:
        examples = f"{len(self.train.labels):,} training, {len(self.test.labels):,} test examples"
        shape = " x ".join(map(str, self.schema.shape))
        return "\n".join([f"{self.name}: {examples} of {shape} numbers", *self.notes])

    def _repr_html_(self) -> str:
        if not looks.is_picture(self.schema.shape) or self.schema.is_regression:
            return looks.as_html(repr(self), [], [])
        labels = np.asarray(self.train.labels)
        places = np.linspace(0, len(labels) - 1, min(SHOWN, len(labels))).astype(int)
        images = [np.asarray(self.train.images[place]) for place in places]
        return looks.as_html(repr(self), images, [self.class_names[labels[place]] for place in places])


def _refuse(*_: Any) -> Any:
    raise TypeError("got a Dataset, expected Examples; pass data.train or data.test")


# In a function of JAX a dataset would be an argument like any other, of which nothing can be computed.
jax.tree_util.register_pytree_node(Dataset, _refuse, _refuse)


def load(
    source: Any = None,
    *,
    label: str | int | Sequence[str | int] | None = None,
    ignore: str | int | Sequence[str | int] = (),
    test: Any = None,
    task: Task | None = None,
    scaling: Scaling | None = None,
    size: tuple[int, int] | None = None,
    weight: Any = None,
    data_dir: StrPath | None = None,
    manual_dir: StrPath | None = None,
    verify: bool = True,
) -> Dataset:
    """Load a dataset: known by name, or yours.

    Args:
      source: ``mnist``, ``fashion_mnist``, ``kmnist``; ``digits``, the 1,797 handwritten digits of 8 x 8
        pixels that scikit-learn ships; any other image-classification dataset of tfds; ``None``: MNIST, or
        the digits if MNIST is unavailable. Or the path of a file or folder: a CSV, TSV, Parquet or Arrow
        table; an ``.npz``, ``.npy`` or ``.mat`` file; IDX files; a folder, zip or tar with a folder of
        pictures for each class. Or a data frame; or arrays: ``(X, y)``, ``(X, y, X_test, y_test)``, in two
        pairs, or in a dictionary.
      label: the column of a table that is to be predicted, by name or place; or several, for a regression.
      ignore: columns of a table that are left out.
      test: as ``source``, the test examples; or the fraction of the examples to set aside, as much of each
        class. Default: those that the source comes with, or a fifth.
      task: ``classification`` or ``regression``. Default: regression if the labels have fractions, or are
        several numbers an example and not one-hot; otherwise classification.
      scaling: ``range``, ``columns`` or ``none``; see :func:`jaxnaive.data.inputs.learn`.
      size: height and width to which pictures are resized.
      weight: ``[examples]``, how much each of the source's examples counts in training. Default: 1.
      data_dir: tfds's folder. Default: ``TFDS_DATA_DIR`` from the environment, or ``~/tensorflow_datasets``.
      manual_dir: a folder with files you have already. Default: ``JAXNAIVE_MANUAL_DIR`` from the
        environment, or ``downloads/manual`` in the data folder.
      verify: compare the stored arrays with their hashes, which reads all of them. Otherwise only what is
        used is read.

    Raises:
      ValueError: there is no dataset of this name, or its content is not what it should be.
      ConnectionError: the dataset is not on this machine and cannot be downloaded.
      ImportError: the dataset needs a package that is not installed.
      OSError: a file cannot be read.

    >>> digits = load("digits")
    >>> digits.train.images.shape, digits.test.images.shape, digits.train.images.dtype
    ((1442, 8, 8), (355, 8, 8), dtype('uint8'))
    >>> load(([[5.1, 3.5], [4.9, 3.0], [7.0, 3.2], [6.4, 3.1]], ["cat", "cat", "dog", "dog"]))
    arrays: 2 training, 2 test examples of 2 numbers
    labels: 2 classes: cat, dog
    values: 2 columns of numbers, each standardised
    """
    from jaxnaive.data import own, sources  # with the readers of all kinds of files

    options = {
        "label": own.plain(label), "ignore": own.several(ignore), "test": test, "task": task,
        "scaling": scaling, "size": size, "weight": weight,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if _is_given(value)}
    if source is None or _is_name(source):
        check_name(source, **given)
        return _load_named(source, data_dir, manual_dir, verify)
    if isinstance(source, str) and not sources.is_path(source):
        check_name(source)
    made = own.load(source, given)
    return _own_dataset(own.name_of(source), made, own.stored(source, given))


def from_arrays(
    images: Any,
    labels: Any,
    test_images: Any = None,
    test_labels: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    task: Task | None = None,
    scaling: Scaling | None = None,
) -> Dataset:
    """A dataset from your own arrays, with names.

    Args:
      images: ``[examples, ...]``, any numbers, or a data frame.
      labels: ``[examples]``, of any kind; integers from 0, if ``class_names`` are given.
      test_images: as ``images``. Without them a fifth of the examples is set aside, as many of each class.
      test_labels: as ``labels``.
      class_names: one a class. Default: the labels themselves.
      name: what to call the dataset.
      task: as in :func:`load`.
      scaling: as in :func:`load`.

    Raises:
      ValueError: what came and what was expected.

    >>> dataset = from_arrays(np.eye(10), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    >>> len(dataset.train.labels), dataset.test.labels.tolist()
    (8, [0, 1])
    """
    if (test_images is None) != (test_labels is None):
        raise ValueError("got only one of test_images and test_labels, expected both or neither")
    from jaxnaive.data import own

    raw = own.pair(images, labels)
    if test_images is not None:
        raw = raw._replace(test=own.pair(test_images, test_labels))
    named = None if class_names is None else tuple(map(str, class_names))
    return _own_dataset(name, own.make(raw._replace(class_names=named), task, scaling), {"dataset": name})


def fingerprint(dataset: Dataset) -> str:
    """Eight hexadecimal digits that change when an example, a label or their order changes.

    A CRC-32 finds accidents, not forgeries, and takes a third of the time of a SHA-256.
    """
    crc = 0
    for name, array in _arrays(dataset).items():
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        for part in rows.parts(array):
            crc = zlib.crc32(np.ascontiguousarray(part).data, crc)
    return f"{crc:08x}"


def right_and_wrong(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The examples that are classified correctly, in order, and the others, the most confident first.

    Args:
      probabilities: ``[examples, classes]``.
      labels: ``[examples]``.
    """
    right = probabilities.argmax(axis=1) == labels
    wrong = np.flatnonzero(~right)
    return np.flatnonzero(right), wrong[np.argsort(-probabilities.max(axis=1)[wrong], kind="stable")]


def check_name(name: str | None, **options: Any) -> None:
    """Raise ``ValueError``, with the nearest name there is, unless :func:`load` knows the name or path.

    Args:
      name: ``None``, which leaves the choice to :func:`load`, passes.
      options: of :func:`load`, which a dataset with a name does not take.
    """
    if name is None or _is_name(name):
        for option, value in options.items():
            if _is_given(value):
                raise ValueError(f"{option}: got {value!r} for a dataset with a name, expected none")
        return
    if name and Path(name).expanduser().exists():  # an empty name would be the folder one is in
        return
    hint = did_you_mean(name, _names())
    raise ValueError(f"dataset: got {name!r}, which is neither a name nor a file or folder{hint}")


# --- datasets with a name ----------------------------------------------------------------------------


@functools.cache
def _names() -> tuple[str, ...]:
    return ("digits", *downloads.builder_names())


def _is_name(source: Any) -> bool:
    """Whether a source is the name of a dataset; a file of the same name has to be a path, ./mnist."""
    if not isinstance(source, str):
        return False
    # A builder of tfds may have configurations, such as emnist/letters; the name becomes a folder's.
    builder, _, configuration = source.partition("/")
    names = _names()
    return source in names or (builder in names and re.fullmatch(r"[\w-]+", configuration) is not None)


def _load_named(
    name: str | None,
    data_dir: StrPath | None,
    manual_dir: StrPath | None,
    verify: bool,
) -> Dataset:
    if name is None:
        try:
            return _load_named("mnist", data_dir, manual_dir, verify)
        except ConnectionError as error:
            logger.warning("NO MNIST, using scikit-learn's 8 x 8 digits instead: %s", error)
            return _load_named("digits", data_dir, manual_dir, verify)
    folder = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or _folder_in_home()).expanduser()
    manual = Path(
        manual_dir or os.environ.get("JAXNAIVE_MANUAL_DIR") or folder / "downloads" / "manual"
    ).expanduser()
    # What was kept before pictures were put upright has the name alone, and is left alone.
    upright = "-upright" if downloads.is_transposed(name) else ""
    cache = folder / "jaxnaive" / f"{name.replace('/', '-')}{upright}"
    if cached := stored_arrays.read(cache, verify):
        arrays, about = cached
        return _dataset(name, arrays, about["class_names"])
    arrays, class_names = _from_source(name, folder, manual)
    dataset = _dataset(name, arrays, class_names)
    try:
        stored_arrays.write(cache, _arrays(dataset), {"class_names": dataset.class_names})
    except OSError as error:
        logger.warning("the decoded arrays could not be kept for the next time (%s)", error)
    return dataset


@functools.cache
def _folder_in_home() -> Path:
    """tfds's folder; where there is no home, one that ends with this process."""
    try:
        return Path.home() / "tensorflow_datasets"
    except RuntimeError:
        logger.warning(
            "no home folder: datasets are not kept; choose a folder by TFDS_DATA_DIR or --data-dir"
        )
        folder = tempfile.TemporaryDirectory(prefix="jaxnaive-")
        atexit.register(folder.cleanup)
        return Path(folder.name)


def _from_source(name: str, data_dir: Path, manual_dir: Path) -> tuple[dict[str, np.ndarray], Sequence[str]]:
    if name == "digits":
        return _digits(), tuple("0123456789")
    if name in downloads.IDX_DATASETS:
        return downloads.idx_dataset(name, data_dir, manual_dir)
    return downloads.prepared_dataset(name, data_dir)


def _digits() -> dict[str, np.ndarray]:
    from sklearn.datasets import load_digits  # takes over a second

    digits: Any = load_digits()
    grey = np.round(digits.images * (255 / 16)).astype(np.uint8)  # ink is counted from 0 to 16
    held_out = np.zeros(len(grey), bool)
    for digit in range(10):
        held_out[np.flatnonzero(digits.target == digit)[4::5]] = True  # every fifth, as runs on disk have it
    return {
        "train_images": grey[~held_out], "train_labels": digits.target[~held_out],
        "test_images": grey[held_out], "test_labels": digits.target[held_out],
    }  # fmt: skip


def _dataset(name: str, arrays: dict[str, np.ndarray], class_names: Sequence[str]) -> Dataset:
    """Images of grey values, as they are."""
    train, test = (
        Examples(arrays[f"{split}_images"], arrays[f"{split}_labels"].astype(np.int32, copy=False))
        for split in ("train", "test")
    )
    for examples in (train, test):
        batches.check(examples)
        for label in (examples.labels.min(), examples.labels.max()):
            if not 0 <= label < len(class_names):
                raise ValueError(f"{name}: got the label {label}, expected 0 to {len(class_names) - 1}")
    schema = of_grey(train.images.shape[1:], tuple(class_names))
    notes = (idx.UPRIGHT,) if downloads.is_transposed(name) else ()
    return Dataset(name, train, test, schema, {"dataset": name}, notes)


def _is_given(value: Any) -> bool:
    return value is not None and not (isinstance(value, tuple) and not value)


def _own_dataset(name: str, made: Any, source: dict[str, Any]) -> Dataset:
    for warning in made.warnings:
        logger.warning("%s: %s", name, warning)
    return Dataset(name, made.train, made.test, made.schema, source, (*made.notes, *made.warnings))


def _arrays(dataset: Dataset) -> dict[str, Any]:
    return {
        f"{split}_{field}": array if isinstance(array, rows.Rows) else np.asarray(array)
        for split in ("train", "test")
        for field, array in getattr(dataset, split)._asdict().items()
        if array is not None
    }
