"""Sweeps on disk: their chunks side by side on all cores, each kept as it comes, with a progress bar."""

import itertools
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from os import cpu_count
from time import monotonic
from typing import Any, TypeVar

from jaxtyping import Array, Key, PyTree

from jaxnaive import ensembles
from jaxnaive.ensembles import Chunk, Plan
from jaxnaive.runs import Run
from jaxnaive.runs.progress import bar
from jaxnaive.statistics import Numbers

Made = TypeVar("Made")


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
    return carry_out(disk_run, {name: plan(run, keys, grid, shared, memory)})[name]


def plan(
    run: Callable[..., PyTree[Array]],
    keys: Key[Array, " seeds"],
    grid: Mapping[str, Numbers] | None = None,
    shared: Sequence[PyTree] = (),
    memory: int = ensembles.MEMORY,
) -> Plan:
    """As :func:`jaxnaive.ensembles.plan`, for all cores of this machine."""
    return ensembles.plan(run, keys, grid, shared, memory, cpu_count() or 1)


def carry_out(
    disk_run: Run, plans: Mapping[str, Plan], seconds: float | None = None
) -> dict[str, ensembles.Runs]:
    """The second half of :func:`sweep`, for several sweeps with the same keys, their programs side by side.

    The first seeds of all sweeps come before the second of any.

    Args:
      disk_run: as in :func:`sweep`.
      plans: by the name of their sweep.
      seconds: after which no chunk is begun any more. What is returned are then the runs of the first seeds,
        as many as all sweeps have; nothing, if there are none.

    Raises:
      OSError, Stopped: as in :func:`sweep`.
    """
    todo = sorted(
        ((name, chunk) for name, plan in plans.items() for chunk in plan.chunks),
        key=lambda part: int(part[1].seeds[0]),
    )
    count = sum(chunk.num_seeds * chunk.num_points for _, chunk in todo)
    description = next(iter(plans)) if len(plans) == 1 else f"{len(plans)} programs"
    pool = ThreadPoolExecutor(min(plan.calls_at_once for plan in plans.values()))
    try:
        with bar(count, description, "run") as shown:
            results_of = _keeping(disk_run, plans, seconds, shown.set_postfix_str)
            futures = {pool.submit(results_of, *part): part for part in todo}
            for future in as_completed(futures):
                _, chunk = futures[future]
                shown.update(0 if future.result() is None else chunk.num_seeds * chunk.num_points)
    except BaseException as error:
        # After a second Ctrl-C nobody waits for what is being computed.
        pool.shutdown(wait=not isinstance(error, KeyboardInterrupt), cancel_futures=True)
        raise
    pool.shutdown()
    results: dict[str, list[Any]] = {name: [] for name in plans}
    for future, (name, _) in futures.items():  # in their order, which is that of each plan
        results[name].append(future.result())
    return _assembled(plans, results)


def _keeping(
    disk_run: Run, plans: Mapping[str, Plan], seconds: float | None, say: Callable[[str], None]
) -> Callable[[str, Chunk], Any]:
    """What computes and keeps a chunk of a plan, unless the time is over; each program is compiled once."""
    deadline = math.inf if seconds is None else monotonic() + seconds
    say(f"0 of {len(plans)} compiled")
    # Here, because what a caller has set for JAX in a ``with`` block does not hold in other threads.
    traced = {name: ensembles.lowered(plan) for name, plan in plans.items()}
    compiled = itertools.count(1)

    def program(name: str) -> Callable[[Chunk], Any]:
        made = ensembles.compiled(plans[name], traced[name])
        say(f"{next(compiled)} of {len(plans)} compiled")
        return made

    programs = {name: _once(partial(program, name)) for name in plans}

    def results_of(name: str, chunk: Chunk) -> Any:
        if monotonic() > deadline:
            return None
        return disk_run.remember(name, chunk.name, lambda: programs[name]()(chunk), traced[name].out_info)

    return results_of


def _once(make: Callable[[], Made]) -> Callable[[], Made]:
    """Makes something at the first call, also when several threads call at the same time."""
    lock, made = threading.Lock(), []

    def get() -> Made:
        with lock:
            if not made:
                made.append(make())
        return made[0]

    return get


def _assembled(plans: Mapping[str, Plan], results: Mapping[str, list[Any]]) -> dict[str, ensembles.Runs]:
    """The results of the first seeds, as many as all plans have; a chunk that was not begun has ``None``."""
    seeds = min(
        int(chunk.seeds[0]) if result is None else len(plan.keys)
        for name, plan in plans.items()
        for chunk, result in zip(plan.chunks, results[name], strict=True)
    )
    if not seeds:
        return {}
    found = {}
    for name, plan in plans.items():
        first = ensembles.first_seeds(plan, seeds)
        found[name] = ensembles.assemble(first, results[name][: len(first.chunks)])
    return found
