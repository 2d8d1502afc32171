"""Many runs as one program: seeds and hyper-parameters under ``vmap``.

A run is a pure function of a key and hyper-parameters, so a grid of them is the same function, vectorised.
Runs of one seed see the same batches, which are gathered once for all of them.
"""

import bisect
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PyTree

from jaxnaive import training
from jaxnaive.batches import AnyArray, Examples
from jaxnaive.graph import type_of
from jaxnaive.memory import nbytes, peak_bytes, with_axes
from jaxnaive.statistics import Numbers
from jaxnaive.training import Recipe

MEMORY = 2**31  # bytes that the runs may take at a time, by default
CPU_CHUNK_BYTES = 2**23  # of the runs of a call on a CPU: beyond its caches a larger chunk is slower
ONE_PROGRAM = jax.disable_jit(False)  # JAX_DISABLE_JIT would take each run apart, update by update


class Outcome(NamedTuple):
    """What a run of :func:`train_and_test` returns."""

    loss: Float[AnyArray, "*runs epochs"]  # on the training examples, mean of each epoch's steps
    metrics: dict[str, AnyArray]  # of the recipe, by name, on the test examples after each epoch
    validation: Float[AnyArray, "*runs epochs"] | None = None  # loss on examples held out, after each epoch


class Runs(NamedTuple):
    """The results of a grid of runs, as arrays with named axes."""

    axes: dict[str, np.ndarray]  # values of each hyper-parameter, and "seed" last: the axes of the arrays
    results: Any  # a pytree of arrays [*axes, ...]
    diverged: Bool[np.ndarray, "*axes"]  # whether a result of the run is not finite


class Chunk(NamedTuple):
    """Some seeds times some points of the grid: one call of the compiled program."""

    name: str
    seeds: np.ndarray  # places among the keys; the last one is repeated where a chunk is too large
    points: np.ndarray  # places among the points, likewise
    num_seeds: int  # without repetitions
    num_points: int


class Plan(NamedTuple):
    """A grid of runs, cut into chunks of one size, so that one compiled program serves them all."""

    run: Callable[..., PyTree[Array]]
    shared: Sequence[PyTree]  # what every run is given
    keys: Key[Array, " seeds"]
    axes: dict[str, np.ndarray]  # values of each hyper-parameter
    points: Float[np.ndarray, "points names"]  # all combinations of them
    chunks: list[Chunk]
    chunk_bytes: int  # roughly what a call takes, besides what runs share
    calls_at_once: int  # how many chunks fit into the memory side by side


def train_and_test(
    key: Key[Array, ""],
    train: Examples,
    test: Examples,
    recipe: Recipe,
    epochs: int,
    order_key: Key[Array, ""] | None = None,
    validation: Examples | None = None,
) -> Outcome:
    """A whole run, tested after each epoch.

    Args:
      key: decides the initial parameters, and the order of the examples unless there is an ``order_key``.
      train: what to train on.
      test: what to test on.
      recipe: model, optimizer, loss, batch size, metrics.
      epochs: how many times every example is seen.
      order_key: the same for several runs, and they see the same batches.
      validation: examples held out, to see by their loss when a run would have stopped: :func:`kept_epoch`.
    """

    def epoch(state: training.State, _: None) -> tuple[training.State, Outcome]:
        state, loss = training.train_epoch(state, train, recipe)
        watched = None if validation is None else training.evaluate(state.params, validation, recipe).loss
        return state, Outcome(loss.mean(), training.evaluate(state.params, test, recipe).metrics, watched)

    return jax.lax.scan(epoch, training.start(key, recipe, order_key), length=epochs)[1]


def kept_epoch(outcome: Outcome, stop_at_loss: float = 0.0, patience: int | None = None) -> np.ndarray:
    """The epoch, from 0, whose parameters each run would have kept if it could stop early.

    Args:
      outcome: of runs that did not stop.
      stop_at_loss: a run is over after the epoch whose mean loss is below it, and keeps that epoch's.
      patience: a run is over when the validation loss has not become smaller for so many epochs, and keeps
        those of the smallest.
    """
    is_over, validation = np.asarray(outcome.loss) < stop_at_loss, np.asarray(outcome.validation)
    if patience:
        is_over |= epochs_without_progress(validation) >= patience
    is_over[..., -1] = True
    last = is_over.argmax(-1)
    if not patience:
        return last
    was_seen = np.arange(is_over.shape[-1]) <= last[..., None]
    return np.where(was_seen, validation, np.inf).argmin(-1)


def epochs_without_progress(validation: Any) -> np.ndarray:
    """How many epochs it was, after each, since the validation loss had become smaller than before.

    >>> epochs_without_progress([3.0, 2.0, 2.5, 2.0, 1.0]).tolist()
    [0, 0, 1, 2, 0]
    """
    loss = np.asarray(validation)
    is_new = np.diff(np.minimum.accumulate(loss, -1), axis=-1, prepend=np.inf) < 0
    epoch = np.arange(loss.shape[-1])
    return epoch - np.maximum.accumulate(np.where(is_new, epoch, 0), -1)


def sweep(
    run: Callable[..., PyTree[Array]],
    keys: Key[Array, " seeds"],
    grid: Mapping[str, Numbers] | None = None,
    shared: Sequence[PyTree] = (),
    memory: int = MEMORY,
) -> Runs:
    """Do ``run(key, *shared, **hyper_parameters)`` for every key and every combination of the grid.

    The runs are cut into chunks, each one call of the same compiled program, one after another.
    ``runs.sweeps.sweep`` makes the same calls on all cores of a CPU, shows how far it is, and keeps results.

    Args:
      run, keys, grid, shared, memory: as in :func:`plan`.

    Raises:
      ValueError: as in :func:`plan`.

    >>> keys = jax.random.split(jax.random.key(0), 3)
    >>> runs = sweep(lambda key, a, b: a * b, keys, {"a": [1, 2], "b": [5, 7]})
    >>> list(runs.axes), runs.results.shape, runs.results[1, 1, 0].item()
    (['a', 'b', 'seed'], (2, 2, 3), 14.0)
    """
    planned = plan(run, keys, grid, shared, memory)
    return assemble(planned, list(map(compiled(planned, lowered(planned)), planned.chunks)))


def plan(
    run: Callable[..., PyTree[Array]],
    keys: Key[Array, " seeds"],
    grid: Mapping[str, Numbers] | None = None,
    shared: Sequence[PyTree] = (),
    memory: int = MEMORY,
    cores: int = 1,
) -> Plan:
    """Check a grid of runs, and cut it into chunks that fit into the memory.

    Args:
      run: a pure function of a key, of what the runs share, and of numbers, by name, to a pytree of arrays.
      keys: one for each seed. What the run derives from its key alone is the same for a whole grid.
      grid: the values of each hyper-parameter.
      shared: what every run is given, such as the examples. A run may also close over it, but then it
        becomes a constant of the program; with MNIST compiling takes three times as long.
      memory: bytes that the runs may take, by an estimate that does not know what the compiler will fuse.
      cores: of a CPU; as many calls are meant to run side by side, since the matrices of small networks are
        too small to be divided among cores.

    Raises:
      ValueError: no keys, an empty grid, or runs that do not fit into the memory.
    """
    axes = {name: np.asarray(values, np.float32) for name, values in (grid or {}).items()}
    for name, values in {"keys": keys, **axes}.items():
        if values.ndim != 1 or not len(values):
            raise ValueError(f"{name}: got shape {values.shape}, expected a list of one or more")
    points = np.array(list(itertools.product(*axes.values())), np.float32)
    needed, returned = bytes_of_runs(run, axes, shared)
    _check_memory(needed(1, 1), returned * len(keys) * len(points), memory)
    calls, seeds_at_once, points_at_once = _chunk_sizes(needed, len(keys), len(points), memory, cores)
    starts = itertools.product(range(0, len(keys), seeds_at_once), range(0, len(points), points_at_once))
    chunks = [
        Chunk(
            name=f"{seeds_at_once}-seeds-from-{seed}-{points_at_once}-points-from-{point}",
            seeds=np.minimum(np.arange(seed, seed + seeds_at_once), len(keys) - 1),
            points=np.minimum(np.arange(point, point + points_at_once), len(points) - 1),
            num_seeds=min(seeds_at_once, len(keys) - seed),
            num_points=min(points_at_once, len(points) - point),
        )
        for seed, point in starts
    ]
    return Plan(run, shared, keys, axes, points, chunks, needed(seeds_at_once, points_at_once), calls)


@ONE_PROGRAM
def lowered(plan: Plan) -> jax.stages.Lowered:
    """The one program of a plan, traced for the shapes of a chunk, and not compiled yet."""

    def one(key: Array, point: Array, shared: Sequence[PyTree]) -> PyTree[Array]:
        return plan.run(key, *shared, **dict(zip(plan.axes, point, strict=True)))

    over_points = jax.vmap(one, (None, 0, None))
    return jax.jit(jax.vmap(over_points, (0, None, None))).lower(*_arguments(plan, plan.chunks[0]))


def compiled(plan: Plan, program: jax.stages.Lowered) -> Callable[[Chunk], PyTree[Array]]:
    """The program of a plan, compiled, as a function of a chunk."""
    executable = program.compile()
    return ONE_PROGRAM(lambda chunk: executable(*_arguments(plan, chunk)))


def _arguments(plan: Plan, chunk: Chunk) -> tuple[Array, np.ndarray, Sequence[PyTree]]:
    return plan.keys[chunk.seeds], plan.points[chunk.points], plan.shared


def first_seeds(plan: Plan, seeds: int) -> Plan:
    """The plan of so many of the seeds, the first; its chunks are a first part of the chunks of the whole."""
    chunks = [
        chunk._replace(num_seeds=min(chunk.num_seeds, seeds - int(chunk.seeds[0])))
        for chunk in plan.chunks
        if chunk.seeds[0] < seeds
    ]
    return plan._replace(keys=plan.keys[:seeds], chunks=chunks)


def assemble(plan: Plan, results: Sequence[PyTree[Array]]) -> Runs:
    """The results of a plan's chunks, in their order, as arrays over the axes of the grid."""
    axes = plan.axes | {"seed": np.arange(len(plan.keys))}
    shape = tuple(map(len, axes.values()))

    def whole(*parts: Array) -> np.ndarray:  # each [seeds, points, ...]
        joined = np.empty((len(plan.keys), len(plan.points), *parts[0].shape[2:]), parts[0].dtype)
        for chunk, part in zip(plan.chunks, parts, strict=True):
            seeds, points = chunk.seeds[: chunk.num_seeds], chunk.points[: chunk.num_points]
            joined[np.ix_(seeds, points)] = np.asarray(part)[: chunk.num_seeds, : chunk.num_points]
        return joined.swapaxes(0, 1).reshape(*shape, *joined.shape[2:])

    arrays = jax.tree.map(whole, *results)
    diverged = np.zeros(shape, bool)
    for leaf in jax.tree.leaves(arrays):
        if np.issubdtype(leaf.dtype, np.floating):
            diverged |= ~np.isfinite(leaf).all(axis=tuple(range(len(shape), leaf.ndim)))
    return Runs(axes, arrays, diverged)


@ONE_PROGRAM
def bytes_of_runs(
    run: Callable[..., PyTree[Array]], names: Iterable[str], shared: Sequence[PyTree] = ()
) -> tuple[Callable[[int, int], int], int]:
    """An estimate of the memory that runs take in one call besides their data, and that of a run's results.

    Args:
      run: as in :func:`plan`.
      names: of its hyper-parameters.
      shared: as in :func:`plan`.

    Returns:
      The bytes of a call as a function of how many seeds and points it computes; the bytes of one result.
    """
    from jaxnaive.jaxprs import trace  # by jax.extend it imports Pallas, which takes 0.06 s

    names = list(names)
    key = jax.eval_shape(lambda: jax.random.key(0))
    numbers = [jax.ShapeDtypeStruct((), jnp.float32) for _ in names]
    graph = trace(
        lambda key, shared, *point: run(key, *shared, **dict(zip(names, point, strict=True))),
        key, tuple(shared), *numbers,
    )  # fmt: skip
    axes = [{"seeds"}, *({} for _ in jax.tree.leaves(shared)), *({"points"} for _ in names)]
    vectorised = with_axes(graph, [frozenset(of_input) for of_input in axes])

    @cache
    def needed(seeds: int, points: int) -> int:
        return peak_bytes(vectorised, {"seeds": seeds, "points": points})

    return needed, sum(nbytes(type_of(graph, output)) for output in graph.outputs)


def _check_memory(needed: int, returned: int, memory: int) -> None:
    if needed > memory:
        raise ValueError(f"memory: a run needs about {needed:,} bytes, more than the {memory:,} allowed")
    if returned > memory:
        raise ValueError(
            f"memory: the results of all runs take {returned:,} bytes, more than the {memory:,} allowed; "
            "let the run return less, or make the grid smaller"
        )


def _chunk_sizes(
    needed: Callable[[int, int], int], seeds: int, points: int, memory: int, cores: int
) -> tuple[int, int, int]:
    """How many calls to make at a time; how many seeds, and points of the grid, each of them computes."""
    of_a_run = max(needed(1, 1), 1)
    calls, most_seeds, most_points = 1, seeds * points, seeds * points
    if jax.default_backend() == "cpu":
        calls = min(cores, memory // of_a_run)
        most = math.ceil(seeds * points / calls)
        of_a_seed, of_a_point = (max(more - of_a_run, 1) for more in (needed(2, 1), needed(1, 2)))
        most_seeds, most_points = (min(most, CPU_CHUNK_BYTES // more) for more in (of_a_seed, of_a_point))
    points_at_once = _equal_size(points, min(most_points, _most(partial(needed, 1), points, memory // calls)))
    side_by_side = calls if points_at_once == points else 1  # otherwise the parts of the grid fill the calls
    room = _most(lambda seeds: needed(seeds, points), seeds, memory // calls)
    return calls, _fitting_size(seeds, min(most_seeds // points, room), side_by_side), points_at_once


def _most(needed: Callable[[int], int], items: int, memory: int) -> int:
    """How many of the items fit into the memory."""
    return bisect.bisect_right(range(1, items + 1), memory, key=needed)


def _fitting_size(items: int, most: int, calls: int) -> int:
    """The size of chunks of at most so many items with which so many calls side by side end soonest.

    Of 16 items in chunks of 6, 6 and 4 two calls take as long as 12 items; in chunks of 4, as long as 8.
    """
    largest = _equal_size(items, most)
    sizes = range(largest, largest // 2, -1) if calls > 1 else [largest]
    return min(sizes, key=lambda size: size * math.ceil(math.ceil(items / size) / calls))


def _equal_size(items: int, most: int) -> int:
    """The size of equal chunks of at most so many items, and of at least 1."""
    return math.ceil(items / math.ceil(items / max(most, 1)))
