"""A set of twice the memory that a process may have is trained on, with the same result."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from processes.larger_than_memory import MEGABYTE, PIXELS

MEMORY = 300  # megabytes


@pytest.mark.slow
def test_twice_the_memory_is_trained_on_with_the_same_result(tmp_path):
    rng, count, part = np.random.default_rng(0), 2 * MEMORY * MEGABYTE // PIXELS, 50_000
    labels = np.arange(count) % 2
    np.save(tmp_path / "y.npy", labels)
    images = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.uint8, (count, PIXELS))
    for first in range(0, count, part):
        own = labels[first : first + part]
        images[first : first + part] = rng.integers(0, 200, (len(own), PIXELS), np.uint8)
        images[first : first + part, ::2] += (50 * own[:, None]).astype(np.uint8)
    script = Path(__file__).parent / "larger_than_memory.py"
    for how in ("whole", "limited"):
        megabytes = MEMORY if how == "limited" else 100 * MEMORY
        arguments = [sys.executable, script, tmp_path, str(megabytes), how]
        result = subprocess.run(arguments, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
    whole, limited = (
        safetensors.numpy.load_file(tmp_path / f"{how}.safetensors") for how in ("whole", "limited")
    )
    for name, array in whole.items():
        np.testing.assert_allclose(limited[name], array, rtol=1e-5, atol=1e-6)
