"""Datasets: where they come from, and what is refused at the door (row S92, bugs B4 to B8)."""

import contextlib
import gzip
import hashlib
import http.server
import io
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import requests

from jaxnaive import data
from jaxnaive.data import downloads, looks
from jaxnaive.disk import arrays as stored_arrays

SHA256 = {  # as tfds has them, from url_checksums/mnist.txt
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)  # the time would change the names of the tests that it is in


def idx(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return zipped(header + array.tobytes())


class Server:
    """Stands in for the network below ``requests``: it answers from a folder, and can be unplugged."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.requested, self.plugged_in = folder, [], True

    def send(self, adapter, request, **_):
        if not self.plugged_in:
            raise requests.ConnectionError("unplugged")
        name = request.url.rsplit("/", 1)[1]
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.raw = io.BytesIO((self.folder / name).read_bytes() if request.method == "GET" else b"")
        self.requested.append(name)
        return response


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small dataset in MNIST's format on a server of our own, under the name of MNIST."""
    import tensorflow_datasets as tfds

    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 256, (30, 28, 28), np.uint8),
        "train_labels": np.arange(30, dtype=np.uint8) % 10,
        "test_images": rng.integers(0, 256, (10, 28, 28), np.uint8),
        "test_labels": np.arange(10, dtype=np.uint8),
    }
    server = Server(tmp_path / "server")
    server.folder.mkdir()
    url_infos = {}
    for name, filename in downloads.IDX_FILES.items():
        path = server.folder / filename
        path.write_bytes(idx(arrays[name]))
        size = tfds.core.utils.Size(path.stat().st_size)
        url_infos[f"http://server/{filename}"] = tfds.download.checksums.UrlInfo(
            size, stored_arrays.sha256(path), filename
        )
    labels = SimpleNamespace(names=[str(i) for i in range(10)])
    builder = SimpleNamespace(url_infos=url_infos, info=SimpleNamespace(features={"label": labels}))
    monkeypatch.setattr(downloads, "_builder", lambda name, data_dir: builder)
    monkeypatch.setattr(downloads, "_answers", ANSWERS)
    monkeypatch.setattr(
        requests.adapters.HTTPAdapter, "send", lambda *args, **more: server.send(*args, **more)
    )
    return SimpleNamespace(
        arrays=arrays, served=server.folder, server=server, requested=server.requested,
        load=lambda: data.load("mnist", data_dir=tmp_path / "data", manual_dir=tmp_path / "manual"),
        data=tmp_path / "data", manual=tmp_path / "manual", cache=tmp_path / "data/jaxnaive/mnist",
    )  # fmt: skip


ANSWERS = downloads._answers  # before the session's fixture takes the network away


def assert_is(dataset, arrays):
    np.testing.assert_array_equal(dataset.train.images, arrays["train_images"])
    np.testing.assert_array_equal(dataset.train.labels, arrays["train_labels"])
    np.testing.assert_array_equal(dataset.test.images, arrays["test_images"])
    np.testing.assert_array_equal(dataset.test.labels, arrays["test_labels"])
    assert dataset.train.images.dtype == np.uint8 and dataset.train.labels.dtype == np.int32


# --- the real MNIST --------------------------------------------------------------------------------------


def test_s92_b6_b7_b8_mnist_is_the_published_arrays_in_the_original_order(mnist):
    assert mnist.train.images.shape == (60_000, 28, 28) and mnist.test.images.shape == (10_000, 28, 28)
    assert mnist.train.images.dtype == mnist.test.images.dtype == np.uint8
    assert mnist.train.labels.dtype == mnist.test.labels.dtype == np.int32
    assert mnist.train.labels[:3].tolist() == [5, 0, 4] and mnist.train.labels[-3:].tolist() == [5, 6, 8]
    assert mnist.test.labels[:3].tolist() == [7, 2, 1] and mnist.test.labels[-3:].tolist() == [4, 5, 6]
    assert np.bincount(mnist.train.labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949
    ]  # fmt: skip
    assert abs(mnist.train.images.mean() / 255 - 0.1307) < 1e-4
    assert mnist.class_names == tuple("0123456789") and mnist.num_features == 784


def test_s92_b6_the_test_images_are_not_training_images(mnist):
    digests = [
        {hashlib.sha256(image.tobytes()).digest() for image in np.asarray(split.images)}
        for split in (mnist.train, mnist.test)
    ]
    assert len(digests[0]) == 60_000 and len(digests[1]) == 10_000
    assert not digests[0] & digests[1]


def test_tfds_knows_the_published_hashes():
    tfds_mnist = downloads._builder("mnist", Path("/nonexistent"))
    assert {info.filename: info.checksum for info in tfds_mnist.url_infos.values()} == SHA256
    for name in downloads.IDX_DATASETS:
        files = {info.filename for info in downloads._builder(name, Path("/nonexistent")).url_infos.values()}
        assert files == set(downloads.IDX_FILES.values())


# --- roads to a dataset ----------------------------------------------------------------------------------


def test_files_are_downloaded_once_and_decoded_arrays_memory_mapped_from_then_on(small):
    assert_is(small.load(), small.arrays)
    assert sorted(set(small.requested)) == sorted(SHA256)
    small.requested.clear()
    shutil.rmtree(small.data / "downloads")
    dataset = small.load()
    assert_is(dataset, small.arrays)
    assert isinstance(dataset.train.images, np.memmap) and not dataset.train.images.flags.writeable
    assert not small.requested


def test_downloaded_files_serve_again_without_network(small):
    small.load()
    small.requested.clear()
    stored_arrays.remove(small.cache)
    assert_is(small.load(), small.arrays)
    assert not small.requested


@pytest.mark.parametrize("folder", ["", "mnist"])
def test_files_in_the_manual_folder_need_no_network(small, folder):
    shutil.copytree(small.served, small.manual / folder)
    assert_is(small.load(), small.arrays)
    assert not small.requested


@pytest.mark.parametrize("content", [b"", b"half of it", None])
def test_a_damaged_download_is_never_used_and_replaced(small, content):
    small.load()
    stored_arrays.remove(small.cache)
    victim = next((small.data / "downloads").rglob("*train-images*.gz"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + b"!" if content is None else content)
    assert_is(small.load(), small.arrays)
    assert victim.read_bytes() == whole


@pytest.mark.parametrize("damage", ["flip", "truncate", "manifest", "missing", "format"])
def test_a_damaged_cache_is_named_never_used_and_replaced(small, damage, caplog):
    small.load()
    images, manifest = small.cache / "train_images.npy", small.cache / "manifest.json"
    if damage == "flip":
        content = bytearray(images.read_bytes())
        content[5000] ^= 1
        images.write_bytes(content)
    elif damage == "truncate":
        images.write_bytes(images.read_bytes()[:1000])
    elif damage == "manifest":
        manifest.write_text(manifest.read_text()[:50])
    elif damage == "missing":
        images.unlink()
    else:
        manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 0'))
    assert_is(small.load(), small.arrays)
    assert str(small.cache) in caplog.text and "damaged" in caplog.text
    caplog.clear()
    assert_is(small.load(), small.arrays)
    assert not caplog.text
    assert [path.name for path in small.cache.parent.iterdir()] == ["mnist"]


def test_an_interrupted_cache_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(stored_arrays, "sha256", interrupt)
    with pytest.raises(KeyboardInterrupt):
        stored_arrays.write(tmp_path / "cache", {"a": np.zeros(3)}, {})
    assert not list(tmp_path.iterdir())


def test_two_processes_at_once_do_no_harm(tmp_path):
    script = (
        "import sys; from jaxnaive import data\n"
        "print(data.load('digits', data_dir=sys.argv[1]).train.labels.sum())"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    sums = {run.communicate()[0] for run in runs}
    assert len(sums) == 1 and all(run.returncode == 0 for run in runs)
    assert [path.name for path in (tmp_path / "jaxnaive").iterdir()] == ["digits"]


def test_without_a_home_a_dataset_is_not_kept_which_is_said(no_home, monkeypatch, caplog):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    data._folder_in_home.cache_clear()
    assert data.load("digits").name == data.load("digits").name == "digits"
    [said] = caplog.messages
    assert "no home folder" in said and "TFDS_DATA_DIR" in said
    folder = data._folder_in_home()
    assert (folder / "jaxnaive" / "digits").is_dir()  # until the process ends
    data._folder_in_home.cache_clear()


def test_a_folder_that_cannot_be_written_does_not_stop_a_run(tmp_path, caplog):
    (tmp_path / "jaxnaive").write_text("a file in the way")
    assert len(data.load("digits", data_dir=tmp_path).train.labels) == 1442
    assert "could not be kept" in caplog.text


def test_a_wrong_download_is_refused(small):
    (small.served / "train-labels-idx1-ubyte.gz").write_bytes(b"<html>please log in</html>")
    with pytest.raises(ConnectionError, match=r"mnist could not be downloaded; put .* into .*manual"):
        small.load()
    assert not small.cache.exists()


# --- a server that disappoints ---------------------------------------------------------------------------

FILE = bytes(range(256)) * 400


class Disappointing(http.server.BaseHTTPRequestHandler):
    """Answers as the address says."""

    enough = threading.Event()  # of the test

    def do_GET(self):
        what = self.path[1:]
        if what in ("found", "lost"):
            self.begin(302, Location="/whole" if what == "found" else "/lost")
            return
        self.begin(503 if what == "503" else 200, **{"Content-Length": str(len(FILE))})
        if what == "slow":
            with contextlib.suppress(OSError):  # it hangs up
                while not self.enough.wait(0.02):
                    self.wfile.write(b"0")
            return
        content = {"whole": FILE, "wrong": FILE[::-1]}.get(what, FILE[:70_000])
        self.wfile.write(content)
        if what == "silent":
            self.enough.wait(10)
        if what == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def begin(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format, *args):
        pass


@pytest.fixture
def address(monkeypatch):
    """A server on this machine, which is given up soon."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(downloads, "SILENCE_SECONDS", 0.15)
    monkeypatch.setattr(Disappointing, "enough", threading.Event())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Disappointing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Disappointing.enough.set()
        server.shutdown()
        thread.join()


def expected_file(content=FILE):
    return SimpleNamespace(
        size=len(content), checksum=hashlib.sha256(content).hexdigest(), filename="file.gz"
    )


@pytest.mark.parametrize("what", ["whole", "found"])
def test_a_download_is_the_file_also_where_it_has_moved(address, what):
    assert downloads._fetch(f"{address}/{what}", expected_file()) == FILE


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("silent", "Read timed out"),
        ("slow", "less than 20,000 bytes a second"),
        ("reset", "Connection broken"),
        ("short", "IncompleteRead"),
        ("503", "503 Server Error"),
        ("lost", "Exceeded 30 redirects"),
        ("wrong", "102,400 bytes of another file, expected 102,400"),
    ],
)
def test_a_server_that_answers_first_and_then_fails_is_given_up_soon_in_one_line(
    address, tmp_path, monkeypatch, what, message
):
    monkeypatch.setattr(downloads, "_answers", lambda _: True)
    url = f"{address}/{what}"
    start = time.perf_counter()
    with pytest.raises(ConnectionError, match=f"^mnist could not be downloaded; put .*{message}.*$"):
        downloads._download("mnist", {"a": url}, {url: expected_file()}, tmp_path, tmp_path)
    assert time.perf_counter() - start < 1
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_server_that_has_more_than_it_should_is_not_listened_to(address):
    with pytest.raises(ConnectionError, match="of another file, expected 10"):
        downloads._fetch(f"{address}/whole", expected_file(FILE[:10]))


def test_ctrl_c_ends_a_download_at_once_and_leaves_no_file(address, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_answers", lambda _: True)
    monkeypatch.setattr(downloads, "SILENCE_SECONDS", 10)
    url, start = f"{address}/silent", time.perf_counter()
    threading.Timer(0.1, signal.pthread_kill, [threading.get_ident(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        downloads._download("mnist", {"a": url}, {url: expected_file()}, tmp_path, tmp_path)
    assert time.perf_counter() - start < 1
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


# --- no server -------------------------------------------------------------------------------------------


def test_no_network_is_said_within_seconds_with_names_and_folder(small, caplog):
    small.server.plugged_in = False
    start = time.perf_counter()
    with pytest.raises(ConnectionError) as error:
        small.load()
    assert time.perf_counter() - start < downloads.PROBE_SECONDS + 1
    for word in (*SHA256, str(small.manual), "JAXNAIVE_MANUAL_DIR"):
        assert word in str(error.value)
    assert data.load(data_dir=small.data, manual_dir=small.manual).name == "digits"
    assert "NO MNIST" in caplog.text and len(caplog.records) == 1


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    hung_up = threading.Event()
    monkeypatch.setattr(downloads, "PROBE_SECONDS", 0.2)
    reply = SimpleNamespace(status_code=200)
    monkeypatch.setattr(requests, "head", lambda *_, **__: hung_up.wait(10) and reply)
    start = time.perf_counter()
    assert not ANSWERS("http://server/")
    assert time.perf_counter() - start < 2
    hung_up.set()


@pytest.mark.parametrize(("status", "answers"), [(200, True), (403, True), (503, False)])
def test_a_server_in_trouble_does_not_count(monkeypatch, status, answers):
    monkeypatch.setattr(requests, "head", lambda *_, **__: SimpleNamespace(status_code=status))
    assert ANSWERS("http://server/") is answers


def test_other_builders_say_that_they_need_tensorflow(monkeypatch, tmp_path):
    monkeypatch.setattr(downloads.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(data, "check_name", lambda name: None)
    with pytest.raises(ImportError, match=r"cifar10: .* python -m pip install -e '\.\[tensorflow\]'"):
        data.load("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["emnist/letters", "cifar10"])
def test_pictures_that_tfds_gives_with_rows_and_columns_swapped_are_put_upright(monkeypatch, tmp_path, name):
    import tensorflow_datasets as tfds

    given = np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4, 1)
    features = {
        "image": SimpleNamespace(shape=(4, 4, 1)), "label": SimpleNamespace(shape=(), names=["a", "b"]),
    }  # fmt: skip
    builder = SimpleNamespace(
        info=SimpleNamespace(features=features, splits=("train", "test")), is_prepared=lambda: True,
        download_and_prepare=lambda: None,
        as_dataset=lambda **_: {"image": given, "label": np.arange(6) % 2},
    )  # fmt: skip
    tensorflow = SimpleNamespace(config=SimpleNamespace(set_visible_devices=lambda *_: None))
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
    monkeypatch.setattr(downloads.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(downloads, "_builder", lambda name, data_dir: builder)
    monkeypatch.setattr(tfds, "as_numpy", lambda dataset: dataset)
    monkeypatch.setattr(data, "check_name", lambda name: None)
    monkeypatch.setattr(data, "_is_name", lambda name: True)
    is_swapped = name == "emnist/letters"
    expected = np.stack([picture[..., 0].T for picture in given])[..., None] if is_swapped else given
    for _ in range(2):  # from tfds, and from what was kept of it
        loaded = data.load(name, data_dir=tmp_path)
        np.testing.assert_array_equal(loaded.train.images, expected)
        np.testing.assert_array_equal(loaded.test.images, expected)
        assert any("swapped back" in note for note in loaded.notes) == is_swapped
    (kept,) = (tmp_path / "jaxnaive").iterdir()
    assert kept.name == ("emnist-letters-upright" if is_swapped else "cifar10")


def test_an_unknown_name_is_refused_with_the_nearest_before_tfds_is_imported():
    script = (
        "import sys; from jaxnaive import data\n"
        "try: data.load('fashon-mnist')\n"
        "except ValueError as error: print(error, 'tensorflow_datasets' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "got 'fashon-mnist'" in out and "did you mean 'fashion_mnist'? False" in out


@pytest.mark.parametrize("name", ["digits/../../precious", "mnist/", "../mnist", "emnist/..", ""])
def test_a_name_is_never_a_path_out_of_the_cache(tmp_path, name, monkeypatch):
    (tmp_path / "precious").mkdir()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises((ValueError, OSError), match=r"neither a name nor|no such file|nothing"):
        data.load(name, data_dir=tmp_path)
    assert (tmp_path / "precious").is_dir() and not list((tmp_path / "empty").iterdir())


def test_digits_are_split_by_class_and_the_same_every_time(digits):
    assert digits.train.images.shape == (1442, 8, 8) and digits.test.images.shape == (355, 8, 8)
    from sklearn.datasets import load_digits

    whole: Any = load_digits()
    np.testing.assert_array_equal(np.bincount(digits.test.labels), np.bincount(whole.target) // 5)
    np.testing.assert_array_equal(
        np.bincount(digits.train.labels) + np.bincount(digits.test.labels), np.bincount(whole.target)
    )
    np.testing.assert_allclose(digits.train.images[0], whole.images[0] * 255 / 16, atol=0.5)


# --- looked at ---------------------------------------------------------------------------------------


def test_right_is_in_order_and_wrong_by_confidence():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.5, 0.5]])
    right, wrong = data.right_and_wrong(probabilities, np.array([0, 1, 0, 1, 0]))
    assert right.tolist() == [0, 3, 4] and wrong.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [
        ((8, 8), (8, 8)),
        ((8, 8, 1), (8, 8)),
        ((8, 8, 3), (8, 8, 3)),
        ((8, 8, 4), (8, 8, 4)),
        ((3, 8, 8), (1, 192)),
        ((2, 8, 8, 3), (1, 384)),
        ((5,), (1, 5)),
        ((1,), (1, 1)),
    ],
)
def test_an_example_of_any_shape_can_be_drawn(shape, drawn):
    grey = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    np.testing.assert_array_equal(looks.as_picture(grey), grey.reshape(drawn))
    signed = np.random.default_rng(0).normal(size=shape)
    picture = looks.as_picture(signed)
    assert picture.shape == drawn and picture.min() == 0 and picture.max() <= 1
    np.testing.assert_array_equal(picture.ravel().argsort(), signed.ravel().argsort())


# --- refused at the door ---------------------------------------------------------------------------------

IMAGES, LABELS = np.arange(40, dtype=np.uint8).reshape(10, 4) * 6, np.arange(10) % 2
IMAGES[-1] = 255


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, LABELS[:9], "got 10 images and 9 labels"),
        (IMAGES[:0], LABELS[:0], r"images: got shape \(0, 4\)"),
        (IMAGES[:, 0], LABELS, r"images: got shape \(10,\)"),
        ([[1, 2], [3]], [0, 1], "images: got a ragged list"),
        (IMAGES, [*range(9), None], "labels: got 1 of 10 missing"),
        (IMAGES[:2], [0, 1], "got 2 examples, no test set, and no class with two"),
    ],
)
def test_b4_b5_b8_bad_arrays_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        data.from_arrays(images, labels)


def test_b8_a_test_set_unlike_the_training_set_is_refused():
    with pytest.raises(ValueError, match=r"test images: got examples of shape \(3,\), expected \(4,\)"):
        data.from_arrays(IMAGES, LABELS, IMAGES[:, :3], LABELS, scaling="range")
    with pytest.raises(ValueError, match="test images: got values from 0 to 1, expected 0 to 255"):
        data.from_arrays(
            IMAGES, LABELS, IMAGES / 255, LABELS, scaling="range"
        )  # the one divided, not the other
    with pytest.raises(ValueError, match="only one of test_images and test_labels"):
        data.from_arrays(IMAGES, LABELS, IMAGES)
    with pytest.raises(ValueError, match="labels: got 1, expected 0 to 0"):
        data.from_arrays(IMAGES, LABELS, class_names=["only"])
    with pytest.raises(ValueError, match="test labels: got 2, expected one of 0, 1"):
        data.from_arrays(IMAGES, LABELS, IMAGES, LABELS * 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(IMAGES)[:-9], "not a whole gzip file"),
        (b"plain", "not a whole gzip file"),
        (idx(IMAGES)[:-6] + b"\0\0\0\0\0\0", "not a whole gzip file"),
        (zipped(b""), "starts with 0x, expected 0x000008"),
        (zipped(b"\0\0\x0d\2" + bytes(48)), "starts with 0x00000d02"),
        (zipped(b"\0\0\x08\3" + bytes(8)), "fewer than its header"),
        (
            zipped(struct.pack(">BBBBII", 0, 0, 8, 2, 10, 5) + bytes(40)),
            r"40 bytes .* 50, as shape \(10, 5\)",
        ),
        (
            zipped(struct.pack(">BBBBII", 0, 0, 8, 2, 10, 3) + bytes(40)),
            r"40 bytes .* 30, as shape \(10, 3\)",
        ),
    ],
)
def test_idx_files_that_are_not_whole_are_refused(tmp_path, content, message):
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        downloads.read_idx(path)


def test_idx_files_are_read(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (3, 4, 5), np.uint8)
    (tmp_path / "file.gz").write_bytes(idx(array))
    np.testing.assert_array_equal(downloads.read_idx(tmp_path / "file.gz"), array)


@pytest.mark.parametrize("how", ["truncated", "another dataset's"])
def test_a_wrong_file_in_the_manual_folder_is_named(small, how):
    shutil.copytree(small.served, small.manual)
    victim = small.manual / "t10k-images-idx3-ubyte.gz"
    victim.write_bytes(victim.read_bytes()[:-1] if how == "truncated" else idx(IMAGES))
    with pytest.raises(ValueError, match=f"{victim} is not mnist's, or not whole: its sha256 is"):
        small.load()


def test_the_fingerprint_changes_with_any_label_pixel_or_order(digits):
    images, labels = np.array(digits.train.images), np.array(digits.train.labels)
    original = data.fingerprint(data.from_arrays(images, labels, digits.test.images, digits.test.labels))
    assert original == data.fingerprint(digits)
    images[5, 0, 0] += 1
    labels[7] = (labels[7] + 1) % 10
    swapped = labels.copy()
    swapped[[0, 1]] = labels[[1, 0]]
    variants = [(images, digits.train.labels), (digits.train.images, labels), (digits.train.images, swapped)]
    prints = {
        data.fingerprint(data.from_arrays(*variant, digits.test.images, digits.test.labels))
        for variant in variants
    }
    assert len(prints | {original}) == 4
