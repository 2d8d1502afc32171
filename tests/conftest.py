"""What all tests share: strict types, no network, and MNIST where it is."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import jaxtyping
import numpy as np
import pytest

from jaxnaive import data
from jaxnaive.batches import Examples
from jaxnaive.data import downloads

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
    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """A shell starts what is in the background with SIGINT ignored, and this would be inherited."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
def mnist_run(mnist: data.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the main job's default run on MNIST."""
    from experiments.mnist import Options, main

    folder = tmp_path_factory.mktemp("mnist") / "run"
    main(Options(dataset="mnist", out=folder))
    return folder


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
def toy() -> Examples:
    """50 random examples of 6 features in 3 classes, learnable: a class is the largest of the first 3."""
    images = np.random.default_rng(0).random((50, 6)).astype(np.float32)
    return Examples(images, images[:, :3].argmax(axis=1).astype(np.int32))


def assert_trees_close(got: object, expected: object, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Same structure, dtypes, and values to the tolerance."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for (path, a), b in zip(jax.tree.leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype, path
        np.testing.assert_allclose(a, b, rtol, atol, err_msg=jax.tree_util.keystr(path))
