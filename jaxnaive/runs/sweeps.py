"""A sweep on disk: its chunks side by side on all cores, each kept as it comes, with a progress bar."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any

from jaxtyping import Array, Key, PyTree

from jaxnaive import ensembles
from jaxnaive.ensembles import Chunk, Plan
from jaxnaive.runs import Run
from jaxnaive.statistics import Numbers


def sweep(
    disk_run: Run,
    name: str,
    run: Callable[..., PyTree[Array]],
    keys: Key[Array, " seeds"],
    grid: Mapping[str, Numbers] | None = None,
    shared: Sequence[PyTree] = (),
    memory: int = ensembles.MEMORY,
) -> ensembles.Runs:
    """As :func:`jaxnaive.ensembles.sweep`, on all cores, and kept in the folder of a run.

    Args:
      disk_run: chunks that are in it already are not computed again.
      name: of this sweep in the run, and beside its progress bar.
      run, keys, grid, shared, memory: as in :func:`jaxnaive.ensembles.plan`.

    Raises:
      ValueError: as in :func:`jaxnaive.ensembles.plan`.
      OSError: results cannot be written.
      Stopped: SIGINT or SIGTERM came; the chunks that were done are kept.
    """
    return carry_out(disk_run, name, plan(run, keys, grid, shared, memory))


def plan(
    run: Callable[..., PyTree[Array]],
    keys: Key[Array, " seeds"],
    grid: Mapping[str, Numbers] | None = None,
    shared: Sequence[PyTree] = (),
    memory: int = ensembles.MEMORY,
) -> Plan:
    """As :func:`jaxnaive.ensembles.plan`, for all cores of this machine."""
    return ensembles.plan(run, keys, grid, shared, memory, cpu_count() or 1)


def carry_out(disk_run: Run, name: str, plan: Plan) -> ensembles.Runs:
    """The second half of :func:`sweep`, for a program that wants to see the plan first."""
    from tqdm import tqdm

    compute, like = ensembles.compiled(plan)

    def results_of(chunk: Chunk) -> Any:
        return disk_run.remember(name, chunk.name, lambda: compute(chunk), like)

    pool = ThreadPoolExecutor(plan.calls_at_once)
    try:
        chunks = [pool.submit(results_of, chunk) for chunk in plan.chunks]
        results = [chunk.result() for chunk in tqdm(chunks, desc=name, unit="chunk")]
    finally:
        pool.shutdown(cancel_futures=True)
    return ensembles.assemble(plan, results)
