"""Train on more than this process may have, and say how far the parameters are from those of all at once.

python larger_than_memory.py FOLDER MEGABYTES whole|limited
"""

import resource
import sys
from pathlib import Path

import numpy as np

from jaxnaive import data
from jaxnaive.disk import checkpoints
from jaxnaive.networks.fitting import fit

PIXELS, MEGABYTE = 1000, 2**20


def private_bytes() -> int:
    """What the process has of its own, without files that are mapped."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmData:"))


def main(folder: Path, megabytes: int, how: str) -> None:
    options = {"hidden": (4,), "epochs": 1, "batch_size": 2048, "learning_rate": 0.1, "optimizer": "sgd"}
    warm = data.load((np.arange(8000, dtype=np.uint8).reshape(8, 1000), [0, 1] * 4), scaling="range")
    fit(warm, **options, memory=2000)  # whatever JAX takes for itself it takes now
    if how == "limited":
        limit = private_bytes() + megabytes * MEGABYTE
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    network = fit(data.load(folder / "X.npy"), **options, memory=megabytes * MEGABYTE // 4)
    checkpoints.save_params(folder / f"{how}.safetensors", network.params)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
