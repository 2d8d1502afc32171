"""Functions timed next to each other. On a shared machine only the ratio of times means much."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax


def times(*functions: Callable[[], Any], rounds: int, calls: Sequence[int] | int = 1) -> list[list[float]]:
    """Seconds a call of each function in each round, timed in turn so that a slow moment hits all of them.

    Args:
      functions: without arguments; what they return is waited for.
      rounds: of each so many are timed, after one that is not, in which it is compiled.
      calls: in a round; for all functions, or one number for each.
    """
    each = [calls] * len(functions) if isinstance(calls, int) else calls
    records: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds + 1):
        for function, repeats, record in zip(functions, each, records, strict=True):
            start = time.perf_counter()
            for _ in range(repeats):
                jax.block_until_ready(function())
            record.append((time.perf_counter() - start) / repeats)
    return [record[1:] for record in records]


def medians(*functions: Callable[[], Any], rounds: int, calls: Sequence[int] | int = 1) -> list[float]:
    """Median seconds a call of each function; the arguments are those of :func:`times`."""
    return list(map(statistics.median, times(*functions, rounds=rounds, calls=calls)))
