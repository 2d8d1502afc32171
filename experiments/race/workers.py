"""The processes of ``growth.py``: one for each entrant, which measures a size on request.

Libraries whose threads share a process disturb each other, and so they do not. A process lives as long as the
race, so that entrants are measured in turn and each is imported once. It reads a request, a line of JSON, and
answers with the seconds of an epoch.

    python -m experiments.race.workers numpy_by_hand
"""

import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from experiments.race import processes
from experiments.race.specification import CLASSES
from experiments.race.specification_growth import INPUTS, Epoch, Size

PAUSE = 0.2  # seconds, in which the threads of the entrant before stop waiting for more


class Worker:
    """An entrant in a process of its own, which begins with the first request and ends with the ``with``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.child: subprocess.Popen[str] | None = None
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (as long as the worker)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: Any) -> None:
        self._end()
        self.errors.close()

    def measure(self, size: Size, least: float) -> float:
        """Seconds of an epoch of this size, at which the process was asked to spend at least so many.

        Raises:
          RuntimeError: the process has ended instead; the next request begins a new one.
        """
        child = self.child = self.child or self._start()
        assert child.stdin and child.stdout
        time.sleep(PAUSE)
        try:
            child.stdin.write(json.dumps([size, least]) + "\n")
            child.stdin.flush()
            return float(child.stdout.readline())
        except (BrokenPipeError, ValueError):
            status = self._end()
            self.errors.seek(0)
            lines = self.errors.read().strip().splitlines() or [f"exit {status}"]
            raise RuntimeError(f"{self.name}: {lines[-1]}") from None

    def _start(self) -> subprocess.Popen[str]:
        self.errors.truncate(0)
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.race.workers", processes.ENTRANTS[self.name].module],
            cwd=processes.ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip

    def _end(self) -> int | None:
        """Stop the process, if there is one, and return its exit status."""
        if self.child is None:
            return None
        child, self.child = self.child, None
        child.kill()
        for stream in (child.stdin, child.stdout):
            assert stream
            try:
                stream.close()
            except BrokenPipeError:
                continue
        return child.wait()


def answers(module: str, requests: Iterator[str]) -> Iterator[float]:
    """What an entrant measures for each request; equal sizes in a row are prepared once."""
    entrant = importlib.import_module(f"experiments.race.growing.{module}")
    last, prepared = None, []
    for request in requests:
        numbers, least = json.loads(request)
        if (size := Size(*numbers)) != last:
            prepared.clear()  # before the next one takes memory
            prepared.append(entrant.prepare(size, *examples(size.examples)))
            last = size
        yield seconds(prepared[0], least)


def examples(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images, uint8 ``[number, 784]``, and labels. What they show does not change the time."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (number, INPUTS), np.uint8), rng.integers(0, CLASSES, number, np.int32)


def seconds(epoch: Epoch, least: float) -> float:
    """Seconds of an epoch, the mean of as many as take at least so many seconds together."""
    start = time.perf_counter()
    for epochs in count(1):
        epoch()
        if (spent := time.perf_counter() - start) >= least:
            return spent / epochs
    raise AssertionError


if __name__ == "__main__":
    for answer in answers(sys.argv[1], iter(sys.stdin.readline, "")):
        print(answer, flush=True)
