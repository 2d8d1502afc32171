"""What all tests share: strict types, no network, and MNIST where it is."""

import atexit
import contextlib
import gc
import logging
import os
import pwd
import runpy
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jaxtyping
import numpy as np
import pytest
from processes.xla_flags import OLD_FUSIONS
from shell import toys

from jaxnaive import data
from jaxnaive.batches import Examples
from jaxnaive.command import garbage
from jaxnaive.data import downloads

EXPERIMENTS = Path(__file__).parent.parent / "experiments"

jax.config.update("jax_numpy_dtype_promotion", "strict")  # `uint8 @ float32` is an error, not a wrong result


def pytest_configure(config: pytest.Config) -> None:
    """One folder of compiled programs for this session: all its workers and the processes that tests start.

    It is empty at first, so no session depends on an earlier one. A test that kills a process gives it a
    folder of its own: a kill may leave half a program behind.
    """
    if not hasattr(config, "workerinput"):  # the workers of pytest-xdist inherit the environment
        folder = tempfile.mkdtemp(prefix="jaxnaive-compiled-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ |= {
            "JAX_COMPILATION_CACHE_DIR": folder,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        if config.option.markexpr != "slow":  # slow tests with the mark `optimise` compile as a user does
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {OLD_FUSIONS}"
    config.addinivalue_line("markers", "optimise: XLA optimises what the test compiles")
    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_disable_most_optimizations", True)


@contextlib.contextmanager
def optimised() -> Iterator[None]:
    """XLA optimises what is compiled inside."""
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True)
def optimised_as_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Most of what a test compiles runs for a moment only, so XLA optimises it only with ``optimise``.

    Tests that train long, compare speeds or compare with a process have this mark: processes are optimised.
    """
    marked = request.node.get_closest_marker("optimise") is not None
    with optimised() if marked else contextlib.nullcontext():
        yield


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """A shell starts what is in the background with SIGINT ignored, and this would be inherited."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def imported_objects_are_frozen() -> None:
    """The garbage collector would scan them again and again: a twentieth of the time of all tests."""
    garbage.freeze_imported_objects()


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """A test must not depend on a server; those about downloads bring one of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(downloads, "_answers", lambda url: False)
        yield


@pytest.fixture(scope="session")
def mnist() -> data.Dataset:
    """The real MNIST."""
    try:
        return data.load("mnist")
    except ConnectionError as error:
        pytest.skip(f"needs the real MNIST: {error}")


@pytest.fixture(scope="session")
def mnist_result(mnist: data.Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder and the result of the main job's default run on MNIST.

    It takes seconds: the tests that use it have the mark ``xdist_group("mnist")``, so that one worker trains
    it for all of them.
    """
    from experiments.mnist import Options, main
    from jaxnaive.job import Job

    folder = tmp_path_factory.mktemp("mnist") / "run"
    with optimised():  # whoever asks for it first
        return folder, main(Options(job=Job(dataset="mnist"), out=folder))


@pytest.fixture(scope="session")
def mnist_run(mnist_result: tuple[Path, Any]) -> Path:
    """The folder of the main job's default run on MNIST."""
    return mnist_result[0]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> data.Dataset:
    """The digits that scikit-learn ships."""
    return data.load("digits", data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture
def x64() -> Iterator[None]:
    """float64 is available within the test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def as_a_user() -> Iterator[None]:
    """Without the annotations being checked, which would refuse bad input before the code itself does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container with a user whom the system does not know."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main job draws nothing: its pictures take longer than a small run."""
    from jaxnaive.pictures import plots

    for name in ("curves", "predictions"):
        monkeypatch.setattr(plots, name, lambda *_: None)


class Finished(NamedTuple):
    """What is seen of a command line when it has ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, as_a_user: None
) -> Iterator[Callable[..., Finished]]:
    """Runs a script of ``experiments/`` as its command line does, but in this process, without the imports.

    ``call("mnist.py", "--epochs", 1)``; the settings of JAX are those that a user has.
    """
    logger = logging.getLogger("jaxnaive")

    def run(script: str, *arguments: Any) -> Finished:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        handlers, code = logger.handlers[:], None
        try:
            with jax.numpy_dtype_promotion("standard"):
                runpy.run_path(str(EXPERIMENTS / script), run_name="__main__")
        except SystemExit as error:
            code = error.code
        finally:  # what a process takes with it when it ends
            logger.handlers[:] = handlers
            atexit.unregister(gc.freeze)
        return Finished(int(code or 0), *capsys.readouterr())

    monkeypatch.setenv("COLUMNS", "100")
    yield run


@pytest.fixture
def toy() -> Examples:
    """50 random examples of 6 features in 3 classes, learnable: a class is the largest of the first 3."""
    images = np.random.default_rng(0).random((50, 6)).astype(np.float32)
    return Examples(images, images[:, :3].argmax(axis=1).astype(np.int32))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser without a screen, that writes down what its console says."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for name in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "disable-sync", "no-first-run",
        "disable-background-networking", "disable-component-update", "window-size=1280,1000",
        f"user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):  # fmt: skip
        options.add_argument(f"--{name}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # The driver is given, so that none is looked for or downloaded.
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield browser
    browser.quit()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., toys.Toy]]:
    """Opens a page with one toy, ``show("ball")``; its numbers are keywords. The console stays empty.

    The reader prefers no motion, so that what moves is at its end at once.
    """

    def open_page(name: str, **numbers: Any) -> toys.Toy:
        path = tmp_path / "page.html"
        path.write_text(toys.page(name, numbers), encoding="utf-8")
        browser.get(path.as_uri())
        return toys.Toy(browser)

    preference = {"name": "prefers-reduced-motion", "value": "reduce"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})
    yield open_page
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert not browser.get_log("browser")


def assert_trees_close(got: object, expected: object, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Same structure, dtypes, and values to the tolerance."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for (path, a), b in zip(jax.tree.leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype, path
        np.testing.assert_allclose(a, b, rtol, atol, err_msg=jax.tree_util.keystr(path))
