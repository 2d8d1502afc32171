"""A dataset by name, or from your own arrays; checked here, because inside ``jit`` a NaN is silent.

Datasets keep the order of their source. Images keep their dtype (uint8 for pictures), labels are int32 and
count from 0. Arrays are decoded once, and memory-mapped from then on.
"""

import difflib
import logging
import math
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxnaive import batches
from jaxnaive.batches import Examples
from jaxnaive.data import downloads
from jaxnaive.disk import arrays as stored_arrays

logger = logging.getLogger("jaxnaive")

HELD_OUT = 5  # where a test set is set aside, it is every fifth example of each class
MAX_CLASSES = 2**16  # a larger label is refused: it must be something else


class Dataset(NamedTuple):
    """Examples to learn from, examples to be tested on, and what the classes are called."""

    name: str
    train: Examples
    test: Examples
    class_names: tuple[str, ...]

    @property
    def num_features(self) -> int:
        """How many numbers an example has: 784 for 28 x 28 pixels."""
        return math.prod(self.train.images.shape[1:])


def load(
    name: str | None = None,
    *,
    data_dir: Path | None = None,
    manual_dir: Path | None = None,
    verify: bool = True,
) -> Dataset:
    """Load a dataset.

    Args:
      name: ``mnist``, ``fashion_mnist``, ``kmnist``; ``digits``, the 1,797 handwritten digits of 8 x 8 pixels
        that scikit-learn ships; any other image-classification dataset of tfds; or the path of an ``.npz``
        file with arrays ``images`` and ``labels`` (and ``test_images`` and ``test_labels``), or ``x_train``,
        ``y_train``, ``x_test``, ``y_test`` as Keras calls them. ``None`` is MNIST, or the digits if MNIST is
        unavailable.
      data_dir: tfds's folder. Default: ``TFDS_DATA_DIR`` from the environment, or ``~/tensorflow_datasets``.
      manual_dir: a folder with files you have already. Default: ``JAXNAIVE_MANUAL_DIR`` from the
        environment, or ``downloads/manual`` in the data folder.
      verify: compare the stored arrays with their hashes, which reads all of them. Otherwise only what is
        used is read.

    Raises:
      ValueError: there is no dataset of this name, or its content is not what it should be.
      ConnectionError: the dataset is not on this machine and cannot be downloaded.
      ImportError: the dataset needs TensorFlow to prepare it.
      OSError: a file cannot be read.

    >>> digits = load("digits")
    >>> digits.train.images.shape, digits.test.images.shape, digits.train.images.dtype
    ((1442, 8, 8), (355, 8, 8), dtype('uint8'))
    """
    if name is None:
        try:
            return load("mnist", data_dir=data_dir, manual_dir=manual_dir)
        except ConnectionError as error:
            logger.warning("NO MNIST, using scikit-learn's 8 x 8 digits instead: %s", error)
            return load("digits", data_dir=data_dir, manual_dir=manual_dir)
    check_name(name)
    if name.endswith(".npz"):
        return _from_npz(Path(name))
    data_dir = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    manual_dir = Path(
        manual_dir or os.environ.get("JAXNAIVE_MANUAL_DIR") or data_dir / "downloads" / "manual"
    ).expanduser()
    cache = data_dir / "jaxnaive" / name.replace("/", "-")
    if cached := stored_arrays.read(cache, verify):
        arrays, about = cached
        return _dataset(name, arrays, about["class_names"])
    dataset = _from_source(name, data_dir, manual_dir)
    try:
        stored_arrays.write(cache, _arrays(dataset), {"class_names": dataset.class_names})
    except OSError as error:
        logger.warning("the decoded arrays could not be kept for the next time (%s)", error)
    return dataset


def from_arrays(
    images: Any,
    labels: Any,
    test_images: Any = None,
    test_labels: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
) -> Dataset:
    """A dataset from your own arrays.

    Args:
      images: ``[examples, ...]``, any numbers. Integers must be grey values, 0 to 255, and are stored as
        uint8; floats must be finite, and are stored as float32.
      labels: ``[examples]``, integers from 0.
      test_images: as ``images``. Without them every fifth example of each class is set aside for testing.
      test_labels: as ``labels``.
      class_names: one a class. Default: the numbers 0 to the largest label.
      name: what to call the dataset.

    Raises:
      ValueError: what came and what was expected.

    >>> dataset = from_arrays(np.zeros((10, 3)), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    >>> len(dataset.train.labels), dataset.test.labels.tolist()
    (8, [0, 1])
    """
    train = _checked(images, labels, class_names)
    if (test_images is None) != (test_labels is None):
        raise ValueError("got only one of test_images and test_labels, expected both or neither")
    if test_images is None:
        train, test = _hold_out(train)
        if len(test.labels) == 0:
            raise ValueError(
                f"got {len(train.labels)} examples and no test set; to set one aside takes at least "
                f"{HELD_OUT} examples of a class"
            )
    else:
        test = _checked(test_images, test_labels, class_names)
        if test.images.shape[1:] != train.images.shape[1:] or test.images.dtype != train.images.dtype:
            raise ValueError(
                f"test images: got {test.images.dtype} of shape {test.images.shape[1:]} each, expected "
                f"{train.images.dtype} of shape {train.images.shape[1:]} as in the training images"
            )
    classes = 1 + max(int(train.labels.max()), int(test.labels.max()))
    return Dataset(name, train, test, tuple(map(str, range(classes) if class_names is None else class_names)))


def fingerprint(dataset: Dataset) -> str:
    """Eight hexadecimal digits that change when an example, a label or their order changes.

    A CRC-32 finds accidents, not forgeries, and takes a third of the time of a SHA-256.
    """
    crc = 0
    for name, array in _arrays(dataset).items():
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
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


def as_picture(image: np.ndarray) -> np.ndarray:
    """An example as it can be drawn: ``[h, w]`` or ``[h, w, colours]``; a strip, if it is no picture."""
    image = np.squeeze(image)
    if np.issubdtype(image.dtype, np.floating):
        image = (image - image.min()) / max(float(np.ptp(image)), 1e-30)
    is_picture = image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (3, 4))
    return image if is_picture else image.reshape(1, -1)  # a strip, so that it can be looked at all the same


def check_name(name: str | None) -> None:
    """Raise ``ValueError``, with the nearest name there is, unless :func:`load` knows the name.

    ``None``, which leaves the choice to :func:`load`, passes.
    """
    if name is None:
        return
    known = ["digits", *downloads.builder_names()]
    # A builder of tfds may have configurations, such as emnist/letters; the name becomes a folder's.
    builder, _, configuration = name.partition("/")
    if (
        name.endswith(".npz")
        or name in known
        or (builder in known and re.fullmatch(r"[\w-]+", configuration))
    ):
        return
    hint = did_you_mean(name, known)
    raise ValueError(f"dataset: got {name!r}, which is neither a name nor an .npz file{hint}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of an error about an unknown name: the nearest one, or nothing.

    >>> did_you_mean("minst", ["mnist", "digits"]), did_you_mean("x", ["mnist", "digits"])
    ("; did you mean 'mnist'?", '')
    """
    nearest = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def lasting_name(name: str) -> str:
    """The name of a dataset by which :func:`load` finds it again, also from another working directory."""
    return str(Path(name).resolve()) if name.endswith(".npz") else name


def _from_source(name: str, data_dir: Path, manual_dir: Path) -> Dataset:
    if name == "digits":
        return _digits()
    if name in downloads.IDX_DATASETS:
        arrays, class_names = downloads.idx_dataset(name, data_dir, manual_dir)
    else:
        arrays, class_names = downloads.prepared_dataset(name, data_dir)
    return from_arrays(
        arrays["train_images"],
        arrays["train_labels"].astype(np.int32),
        arrays["test_images"],
        arrays["test_labels"].astype(np.int32),
        class_names=class_names,
        name=name,
    )


def _digits() -> Dataset:
    from sklearn.datasets import load_digits  # takes over a second

    digits: Any = load_digits()
    grey = np.round(digits.images * (255 / 16))  # ink is counted from 0 to 16
    return from_arrays(grey.astype(np.uint8), digits.target, name="digits")


def _from_npz(path: Path) -> Dataset:
    names = (
        ("images", "labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    )
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path}: not an .npz file of plain arrays ({error})") from error
    for images, labels, test_images, test_labels in names:
        if images in arrays and labels in arrays:
            return from_arrays(
                arrays[images],
                arrays[labels],
                arrays.get(test_images),
                arrays.get(test_labels),
                name=path.stem,
            )
    raise ValueError(f"{path}: got arrays {sorted(arrays)}, expected {' or '.join(map(str, names))}")


def _checked(images: Any, labels: Any, class_names: Sequence[str] | None) -> Examples:
    examples = Examples(_checked_images(images), _as_array(labels, "labels"))
    batches.check(examples)
    classes = MAX_CLASSES if class_names is None else len(class_names)
    for label in (examples.labels.min(), examples.labels.max()):
        if not 0 <= label < classes:
            raise ValueError(f"labels: got {label}, expected 0 to {classes - 1}")
    return Examples(examples.images, examples.labels.astype(np.int32))


def _checked_images(images: Any) -> np.ndarray:
    array = _as_array(images, "images")
    if array.dtype == np.uint8 or array.size == 0:
        return array
    if np.issubdtype(array.dtype, np.integer):
        if array.min() < 0 or array.max() > 255:
            raise ValueError(
                f"images: got integers from {array.min()} to {array.max()}, expected grey values, 0 to 255"
            )
        return array.astype(np.uint8)
    if jnp.issubdtype(array.dtype, jnp.floating):
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if bad := np.count_nonzero(~np.isfinite(array)):
            raise ValueError(f"images: got NaN or infinity in {bad} places, expected finite float32 numbers")
    return array


def _as_array(values: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{what}: got a ragged list, expected an array") from error


def _hold_out(examples: Examples) -> tuple[Examples, Examples]:
    held_out = np.zeros(len(examples.labels), bool)
    for label in np.unique(examples.labels):
        held_out[np.flatnonzero(examples.labels == label)[HELD_OUT - 1 :: HELD_OUT]] = True
    return _select(examples, ~held_out), _select(examples, held_out)


def _select(examples: Examples, mask: np.ndarray) -> Examples:
    return Examples(np.asarray(examples.images)[mask], np.asarray(examples.labels)[mask])


def _arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    return {
        f"{split}_{field}": np.asarray(array)
        for split in ("train", "test")
        for field, array in getattr(dataset, split)._asdict().items()
    }


def _dataset(name: str, arrays: dict[str, np.ndarray], class_names: Sequence[str]) -> Dataset:
    train, test = (Examples(arrays[f"{s}_images"], arrays[f"{s}_labels"]) for s in ("train", "test"))
    return Dataset(name, train, test, tuple(class_names))
