"""How long the parts of a run took, on which machine, with which versions."""

import json
import os
import platform
import re
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jaxlib
import numpy as np

from jaxnaive.disk import files
from jaxnaive.disk.files import StrPath

TIMINGS = "timings.json"
KEYS = {"epochs", "seconds", "versions", "device"}


class Clock:
    """Seconds between laps."""

    def __init__(self, **laps: float | None) -> None:
        """Begin, with laps that were measured otherwise; those that could not be are left out."""
        self.laps = {name: seconds for name, seconds in laps.items() if seconds is not None}
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add what has passed since the last lap to those of this name."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self.last
        self.last = now

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.laps.items())


def since_start() -> float | None:
    """Seconds since the process began, to a hundredth; ``None`` where the system does not tell: not Linux."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def add(folder: StrPath, epochs: tuple[int, int], clock: Clock) -> None:
    """Add what this process did to the timings of a run.

    They are no part of the certificate, because equal runs take unequal times.

    Args:
      folder: of the run.
      epochs: how many were saved when the process came, and when it ended.
      clock: its laps.
    """
    seconds = {name: round(seconds, 3) for name, seconds in clock.laps.items()}
    process = {"epochs": epochs, "seconds": seconds, "versions": versions(), "device": device()}
    files.write_json(Path(folder) / TIMINGS, [*read(folder), process])


def read(folder: StrPath) -> list[dict[str, Any]]:
    """What the processes that came to an end did in a run's folder; none, if it cannot be read."""
    try:
        processes = [dict(process) for process in json.loads((Path(folder) / TIMINGS).read_text())]
    except (OSError, ValueError, TypeError):
        return []
    return [process for process in processes if process.keys() == KEYS]


def versions() -> dict[str, str]:
    """What the numbers of a run may depend on, besides its options."""
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "numpy": np.__version__,
        "jaxnaive": _installed("jaxnaive"),
    }


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # run from its folder
        return "not installed"


def device() -> str:
    """What JAX computes on: the kind of device, and how many of them or of a CPU's cores there are."""
    first = jax.devices()[0]
    if first.platform != "cpu":
        return f"{jax.device_count()} x {first.device_kind}"
    return f"{os.cpu_count()} cores of {processor()}"


def processor() -> str:
    """What the processor calls itself."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
