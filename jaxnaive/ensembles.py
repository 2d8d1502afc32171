"""Many runs as one program: seeds and hyper-parameters under ``vmap``, and what their spread says.

A run is a pure function of a key and hyper-parameters, so a grid of them is the same function, vectorised.
Runs of one seed see the same batches, which are then taken once for all of them.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PyTree

from jaxnaive import training
from jaxnaive.batches import Examples
from jaxnaive.graph import peak_bytes, trace, type_of
from jaxnaive.training import Recipe

Numbers = Array | np.ndarray | Sequence[float | int]
MEMORY = 2**31  # bytes that the runs may take at a time, by default
CPU_CHUNK = 2**27  # on a CPU more bytes at a time, beyond its caches, are slower and not faster;
CPU_SEEDS = 2**23  # still fewer when they do not share their batches


class Outcome(NamedTuple):
    """What a run of :func:`train_and_test` comes to."""

    loss: Float[Array, "*runs epochs"]  # on the training examples, mean of each epoch's steps
    metrics: dict[str, Array]  # of the recipe, by name, on the test examples after each epoch


class Runs(NamedTuple):
    """The results of a grid of runs, as arrays with named axes."""

    axes: dict[str, np.ndarray]  # values of each hyper-parameter, and "seed" last: the axes of the arrays
    results: Any  # a pytree of arrays [*axes, ...]
    diverged: Bool[np.ndarray, "*axes"]  # whether a result of the run is not finite


class Summary(NamedTuple):
    """Mean, standard deviation and confidence interval over seeds."""

    mean: Float[np.ndarray, "*axes"]
    sd: Float[np.ndarray, "*axes"]  # of a single run; divided by one less than the number of runs
    low: Float[np.ndarray, "*axes"]
    high: Float[np.ndarray, "*axes"]


class Comparison(NamedTuple):
    """The mean difference of two recipes, seed by seed, and its confidence interval."""

    difference: float
    low: float
    high: float
    p_value: float  # chance of a difference as large when there is none


def train_and_test(
    key: Key[Array, ""],
    train: Examples,
    test: Examples,
    recipe: Recipe,
    epochs: int,
    order_key: Key[Array, ""] | None = None,
) -> Outcome:
    """A whole run, tested after each epoch.

    Args:
      key: decides the first parameters, and the order of the examples unless there is an ``order_key``.
      train: what to train on.
      test: what to test on.
      recipe: model, optimizer, loss, batch size, metrics.
      epochs: how many times every example is seen.
      order_key: the same for several runs, and they see the same batches.
    """

    def epoch(state: training.State, _: None) -> tuple[training.State, tuple[Array, dict[str, Array]]]:
        state, loss = training.train_epoch(state, train, recipe)
        return state, (loss.mean(), training.evaluate(state.params, test, recipe).metrics)

    state = training.start(key, recipe, order_key)
    _, (loss, metrics) = jax.lax.scan(epoch, state, length=epochs)
    return Outcome(loss, metrics)


def sweep(
    run: Callable[..., PyTree[Array]],
    keys: Key[Array, " seeds"],
    grid: Mapping[str, Numbers] | None = None,
    shared: Sequence[PyTree] = (),
    memory: int = MEMORY,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
    remember: Callable[[str, Callable[[], Any], Any], Any] = lambda name, compute, like: compute(),
) -> Runs:
    """Do ``run(key, *shared, **hyper_parameters)`` for every key and every combination of the grid.

    The runs are cut into chunks, each one call of the same compiled program. On a CPU there are as many calls
    at a time as it has cores: the matrices of small networks are too small to be shared out among them.

    Args:
      run: a pure function of a key, of what the runs share, and of numbers, by name, to a pytree of arrays.
      keys: one for each seed. What the run derives from its key alone is the same for a whole grid.
      grid: the values of each hyper-parameter.
      shared: what every run is given, such as the examples. A run may also close over it, but then it
        becomes a part of the program, and MNIST trebles the time to compile one.
      memory: bytes that the runs may take, by an estimate that does not know what the compiler will fuse.
      progress: wraps the list of chunks, to show how far it is; such as ``tqdm``.
      remember: given a chunk's name, a function that computes its results and their shapes, returns the
        results; such as ``runs.Run.remember``, which has them from the disk if they were computed before.

    Raises:
      ValueError: no keys, an empty grid, or runs that do not fit into the memory; before compiling.

    >>> keys = jax.random.split(jax.random.key(0), 3)
    >>> runs = sweep(lambda key, a, b: a * b, keys, {"a": [1, 2], "b": [5, 7]})
    >>> list(runs.axes), runs.results.shape, runs.results[1, 1, 0].item()
    (['a', 'b', 'seed'], (2, 2, 3), 14.0)
    """
    axes: dict[str, np.ndarray] = {name: np.asarray(v, np.float32) for name, v in (grid or {}).items()}
    for name, values in {"keys": keys, **axes}.items():
        if values.ndim != 1 or not len(values):
            raise ValueError(f"{name}: got shape {values.shape}, expected a list of one or more")
    names = list(axes)
    points = np.array(list(itertools.product(*axes.values())), np.float32)  # [points, hyper-parameters]
    needed, returned = bytes_of_a_run(run, names, shared)
    _check_memory(needed, returned * len(keys) * len(points), memory)
    calls_at_once, seeds_at_once, points_at_once = _share_out(needed, len(keys), len(points), memory)

    @jax.jit
    def chunk(keys: Array, points: Array, shared: Sequence[PyTree]) -> PyTree[Array]:
        def one(key: Array, point: Array) -> PyTree[Array]:
            return run(key, *shared, **{name: point[place] for place, name in enumerate(names)})

        return jax.vmap(lambda key: jax.vmap(lambda point: one(key, point))(points))(keys)

    first = (keys[:seeds_at_once], points[:points_at_once], shared)
    program, like = chunk.lower(*first).compile(), jax.eval_shape(chunk, *first)

    def results_from(start: tuple[int, int]) -> PyTree[np.ndarray]:
        seed, point = start
        # The last chunk is as large as the others, or it would be compiled anew: some runs are done twice.
        seeds = np.minimum(np.arange(seed, seed + seeds_at_once), len(keys) - 1)
        places = np.minimum(np.arange(point, point + points_at_once), len(points) - 1)
        kept = (slice(len(keys) - seed), slice(len(points) - point))
        name = f"{seeds_at_once}-seeds-from-{seed}-{points_at_once}-points-from-{point}"
        results = remember(name, lambda: program(keys[seeds], points[places], shared), like)
        return jax.tree.map(lambda array: np.asarray(array)[kept], results)

    starts = list(
        itertools.product(range(0, len(keys), seeds_at_once), range(0, len(points), points_at_once))
    )
    pool = ThreadPoolExecutor(calls_at_once)
    try:
        rows = [chunk.result() for chunk in progress([pool.submit(results_from, start) for start in starts])]
    finally:
        pool.shutdown(cancel_futures=True)
    axes["seed"] = np.arange(len(keys))
    shape = tuple(map(len, axes.values()))
    in_a_row = math.ceil(len(points) / points_at_once)

    def assemble(*chunks: np.ndarray) -> np.ndarray:  # each [seeds, points, ...]
        whole = np.concatenate(
            [np.concatenate(chunks[i : i + in_a_row], axis=1) for i in range(0, len(chunks), in_a_row)]
        )
        return whole.swapaxes(0, 1).reshape(*shape, *whole.shape[2:])

    results = jax.tree.map(assemble, *rows)
    diverged = np.zeros(shape, bool)
    for leaf in jax.tree.leaves(results):
        if np.issubdtype(leaf.dtype, np.floating):
            diverged |= ~np.isfinite(leaf).all(axis=tuple(range(len(shape), leaf.ndim)))
    return Runs(axes, results, diverged)


def bytes_of_a_run(
    run: Callable[..., PyTree[Array]], names: Iterable[str], shared: Sequence[PyTree] = ()
) -> tuple[int, int]:
    """An estimate of the memory that one run takes besides its data, and that of its results.

    Args:
      run: as in :func:`sweep`.
      names: of its hyper-parameters.
      shared: as in :func:`sweep`.
    """
    names = list(names)
    key = jax.eval_shape(lambda: jax.random.key(0))
    numbers = [jax.ShapeDtypeStruct((), jnp.float32) for _ in names]
    graph = trace(
        lambda key, shared, *point: run(key, *shared, **dict(zip(names, point, strict=True))),
        key, tuple(shared), *numbers,
    )  # fmt: skip
    results = (type_of(graph, output) for output in graph.outputs)
    return peak_bytes(graph), sum(math.prod(type_.shape) * type_.dtype.itemsize for type_ in results)


def _check_memory(needed: int, returned: int, memory: int) -> None:
    if needed > memory:
        raise ValueError(f"memory: a run needs about {needed:,} bytes, more than the {memory:,} allowed")
    if returned > memory:
        raise ValueError(
            f"memory: the results of all runs take {returned:,} bytes, more than the {memory:,} allowed; "
            "let the run return less, or make the grid smaller"
        )


def _share_out(needed: int, seeds: int, points: int, memory: int) -> tuple[int, int, int]:
    """How many calls to make at a time; how many seeds, and points of the grid, to do in each of them."""
    needed = max(needed, 1)
    calls, fit, fit_seeds = 1, memory // needed, memory // needed
    if jax.default_backend() == "cpu":
        calls = min(cpu_count() or 1, fit)
        fit = min(fit // calls, CPU_CHUNK // needed, math.ceil(seeds * points / calls))
        fit_seeds = min(fit, CPU_SEEDS // needed)
    return calls, _even(seeds, fit_seeds // points), _even(points, fit)


def _even(items: int, at_once: int) -> int:
    """The size of equal chunks of no more than so many, at least 1."""
    return math.ceil(items / math.ceil(items / max(at_once, 1)))


def summarise(values: Numbers, axis: int = -1, confidence: float = 0.95) -> Summary:
    """Mean, standard deviation, and the interval in which the mean of many more runs would lie.

    Args:
      values: one a run.
      axis: along which the runs differ by their seed alone.
      confidence: how often such an interval holds the truth, if the values are normally distributed.

    Raises:
      ValueError: fewer than two runs, which have no spread.

    Source: Student, "The probable error of a mean", 1908.
    """
    values = np.asarray(values, np.float64)
    n = values.shape[axis]
    if n < 2:
        raise ValueError(f"seeds: got {n}, expected 2 or more: one run has no spread")
    mean, sd = values.mean(axis), values.std(axis, ddof=1)
    half = _student_quantile((1 + confidence) / 2, n - 1) * sd / math.sqrt(n)
    return Summary(mean, sd, mean - half, mean + half)


def compare(ours: Numbers, theirs: Numbers, confidence: float = 0.95) -> Comparison:
    """``ours - theirs`` for runs that share seeds: what the seed does to both of them drops out.

    Args:
      ours: ``[seeds]``, of one recipe.
      theirs: ``[seeds]``, of the other, in the same order.
      confidence: of the interval.

    Raises:
      ValueError: not two lists of one length, of two or more.

    Source: Student, "The probable error of a mean", 1908; example I is such a comparison.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.ndim != 1 or ours.shape != theirs.shape:
        raise ValueError(f"runs to compare: got shapes {ours.shape} and {theirs.shape}, expected one length")
    summary = summarise(ours - theirs, confidence=confidence)
    error = float(summary.sd) / math.sqrt(len(ours))
    from scipy.special import stdtr

    t = (
        float(summary.mean) / error
        if error
        else math.copysign(math.inf, summary.mean)
        if summary.mean
        else 0.0
    )
    p_value = float(2 * stdtr(len(ours) - 1, -abs(t)))
    return Comparison(float(summary.mean), float(summary.low), float(summary.high), p_value)


def _student_quantile(probability: float, degrees: int) -> float:
    from scipy.special import stdtrit  # takes 0.1 s

    return float(stdtrit(degrees, probability))
