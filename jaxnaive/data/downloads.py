"""Where a dataset's files come from: a folder of yours, tfds's downloads, or the network.

tfds (tensorflow-datasets) is the source of truth for names, addresses, SHA-256 and class names. MNIST and its
relatives are IDX files, which are downloaded and read here, without TensorFlow and without tfds's attempts of
204 seconds. All other datasets are downloaded and prepared by tfds with TensorFlow. tfds is imported where it
is needed: that takes half a second.
"""

import contextlib
import hashlib
import importlib.util
import logging
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from jaxnaive.data import idx
from jaxnaive.disk import files
from jaxnaive.disk.arrays import sha256

IDX_DATASETS = ("mnist", "fashion_mnist", "kmnist")
IDX_FILES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
TRANSPOSED = ("emnist",)  # builders of tfds that give pictures with rows and columns swapped, as they came
PROBE_SECONDS = 3.0
SILENCE_SECONDS = 30.0  # without a byte, after which a download is given up
LEAST_RATE = 20_000  # bytes a second, on average, once the download is older than that
PIECE = 2**16  # bytes that are read at once

logger = logging.getLogger("jaxnaive")


def builder_names() -> list[str]:
    """Names of tfds's builders, read off the files it installs, without importing it."""
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None or not spec.submodule_search_locations:
        return list(IDX_DATASETS)
    package = Path(spec.submodule_search_locations[0])
    checksums = (path.stem for path in package.glob("url_checksums/*.txt"))
    folders = (path.parent.name for path in package.glob("datasets/*/__init__.py"))
    return sorted({*IDX_DATASETS, *checksums, *folders})


def is_transposed(name: str) -> bool:
    """Whether tfds gives the pictures of a dataset with rows and columns swapped."""
    return name.partition("/")[0] in TRANSPOSED


def idx_dataset(name: str, data_dir: Path, manual_dir: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The four arrays of a dataset that comes as IDX files, in their original order, and its class names.

    A file is taken from ``manual_dir/name``, ``manual_dir`` or the downloads under ``data_dir``, and
    downloaded there when it is in none of them.

    Raises:
      ValueError: a file in ``manual_dir`` is not the one it should be.
      ConnectionError: a file has to be downloaded and cannot be.
    """
    builder = _builder(name, data_dir)
    addresses = {info.filename: (url, info) for url, info in builder.url_infos.items()}
    downloads = data_dir / "downloads"
    paths, missing = {}, {}
    for array_name, filename in IDX_FILES.items():
        url, info = addresses[filename]
        path = _manual_file(name, filename, info.checksum, manual_dir) or _downloaded_file(
            info, [downloads / name, downloads]
        )
        if path:
            paths[array_name] = path
        else:
            missing[array_name] = url
    if missing:
        paths |= _download(name, missing, builder.url_infos, downloads, manual_dir)
    return {name: read_idx(paths[name]) for name in IDX_FILES}, builder.info.features["label"].names


def prepared_dataset(name: str, data_dir: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays and class names of any image-classification dataset of tfds, prepared by tfds itself.

    Pictures are upright, also those that tfds gives with rows and columns swapped.

    Raises:
      ImportError: TensorFlow is not installed.
      ValueError: it is no dataset of images of one size with a label each and splits train and test.
      ConnectionError: it has to be downloaded and cannot be.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            f"{name}: tfds needs TensorFlow to prepare it: python -m pip install -e '.[tensorflow]'"
        )
    builder = _builder(name, data_dir)
    features = builder.info.features or {}
    if not {"image", "label"} <= set(features) or None in features["image"].shape:
        got = ", ".join(f"{name} {feature.shape}" for name, feature in features.items())
        raise ValueError(f"{name}: got {got}; expected an image of a fixed size and a label")

    import tensorflow as tf  # pyrefly: ignore[missing-import]
    import tensorflow_datasets as tfds

    tf.config.set_visible_devices([], "GPU")  # TensorFlow would take the memory that JAX trains in
    if not builder.is_prepared() and not all(map(_answers, list(builder.url_infos or ())[:1])):
        raise ConnectionError(f"{name} is not in {data_dir}, and there is no network to download it")
    try:
        builder.download_and_prepare()
    except _download_errors() as error:
        raise ConnectionError(f"{name} could not be downloaded ({error})") from error
    if not {"train", "test"} <= set(builder.info.splits):
        raise ValueError(f"{name}: expected splits train and test, got {', '.join(builder.info.splits)}")
    arrays = {}
    for split in ("train", "test"):
        examples = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1, shuffle_files=False))
        images = examples["image"]
        upright = np.ascontiguousarray(images.swapaxes(1, 2)) if is_transposed(name) else images
        arrays |= {f"{split}_images": upright, f"{split}_labels": examples["label"]}
    return arrays, features["label"].names


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes.

    Returns:
      The array: uint8, read-only.

    Raises:
      ValueError: the file is truncated, or no such file, or its size is not what its header says.
    """
    return idx.parse_idx(idx.unzip(path), path, types=(8,))


def _builder(name: str, data_dir: Path) -> Any:
    import tensorflow_datasets as tfds

    return tfds.builder(name, data_dir=data_dir, try_gcs=False)


def _manual_file(name: str, filename: str, digest: str, manual_dir: Path) -> Path | None:
    # MNIST and its relatives all use the same four names: a folder of its own keeps them apart.
    for path in (manual_dir / name / filename, manual_dir / filename):
        if path.exists():
            if (got := sha256(path)) != digest:
                raise ValueError(
                    f"{path} is not {name}'s, or not whole: its sha256 is {got}, expected {digest}; where "
                    f"the files of several datasets have the same names, put these into {manual_dir / name}"
                )
            return path
    return None


def _downloaded_file(info: Any, folders: list[Path]) -> Path | None:
    # By content, not by name: tfds trusts names, and would use a truncated download again and again.
    for folder in folders:
        for path in folder.glob("*.gz"):
            if path.stat().st_size == info.size and sha256(path) == info.checksum:
                return path
    return None


def _download(
    name: str, addresses: dict[str, str], url_infos: Any, downloads: Path, manual_dir: Path
) -> dict[str, Path]:
    needed = ", ".join(url_infos[url].filename for url in addresses.values())
    advice = (
        f"put {needed} into {manual_dir}, or choose that folder with JAXNAIVE_MANUAL_DIR or manual_dir "
        "(--manual-dir)"
    )
    if not _answers(next(iter(addresses.values()))):
        raise ConnectionError(f"{name} is not on this machine, and its server cannot be reached; {advice}")

    folder, paths = downloads / name, {}
    files.make_folder(folder)
    size = sum(int(url_infos[url].size) for url in addresses.values())
    logger.warning("%s: downloading %s bytes into %s", name, f"{size:,}", folder)
    try:
        for array_name, url in addresses.items():
            content = _fetch(url, url_infos[url])
            paths[array_name] = folder / url_infos[url].filename
            files.write(paths[array_name], content)
    except ConnectionError as error:
        raise ConnectionError(f"{name} could not be downloaded; {advice} ({error})") from error
    return paths


def _fetch(url: str, info: Any) -> bytes:
    """A file on a server, whole: a part of it is never on disk.

    Raises:
      ConnectionError: the server is silent or slow, has another file, or none.
    """
    import requests
    import urllib3

    content, began = bytearray(), time.monotonic()
    limits, as_it_is = (PROBE_SECONDS, SILENCE_SECONDS), {"Accept-Encoding": "identity"}
    try:
        with requests.get(url, stream=True, timeout=limits, headers=as_it_is) as response:
            response.raise_for_status()
            while len(content) <= info.size and (piece := response.raw.read1(PIECE)):
                content += piece
                if time.monotonic() - began > SILENCE_SECONDS + len(content) / LEAST_RATE:
                    raise ConnectionError(f"{url}: got less than {LEAST_RATE:,} bytes a second")
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise ConnectionError(f"{url}: {' '.join(str(error).split())}") from error
    if hashlib.sha256(content).hexdigest() != info.checksum:
        raise ConnectionError(f"{url}: got {len(content):,} bytes of another file, expected {info.size:,}")
    return bytes(content)


def _download_errors() -> tuple[type[Exception], ...]:
    import requests
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
    from tensorflow_datasets.core.download.util import DownloadError

    return requests.RequestException, DownloadError, NonMatchingChecksumError


def _answers(url: str) -> bool:
    """Whether a server can be reached, within seconds; tfds by itself would try again for 204 of them."""
    import requests

    answered = threading.Event()

    def probe() -> None:
        with contextlib.suppress(requests.RequestException):
            if requests.head(url, timeout=PROBE_SECONDS).status_code < 500:
                answered.set()

    # In a thread, because looking up a name has no time limit of its own.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answered.is_set()
