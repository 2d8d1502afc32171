"""Is the gradient of jaxnaive as fast as JAX's, and equal? Ten programs, timed in turn.

    python experiments/race/gradients.py
    python experiments/race/gradients.py --programs MLP LSTM --rounds 100 --json gradients.json

Both sides are ``jax.jit(value_and_grad(function))``. A ratio is the median, over the rounds, of our time
divided by JAX's in the same round, with a 95 % interval. The column "itself" has the same ratio for JAX's
program compiled once more: what it differs from 1 is noise of the machine. Tracing is of a function that is
new, in a process that has traced others like it. The programs are in ``experiments/race/programs.py``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree
from tqdm import tqdm

from experiments.race.programs import PROGRAMS
from jaxnaive import backprop, command
from jaxnaive.command import benchmark
from jaxnaive.disk import files
from jaxnaive.job import check_at_least

STEP_BAR = 1.05  # a compiled step, divided by JAX's
TRACING_BAR = 1.5
DIFFERENCE_BAR = 1e-4  # of the gradients in float32
MORE = 4  # so many times the rounds, for a program that is over a bar
ROW = "{:14}{:>8}  {:22}{:22}{:22}{:>10}{:>8}"


@dataclass(frozen=True)
class Options:
    """Compare the gradients of ten programs with JAX's."""

    programs: tuple[str, ...] = tuple(PROGRAMS)
    """names of the programs"""
    rounds: int = 30
    """how often each is timed; four times as often, once, if it is over a bar"""
    json: Path | None = None
    """file for all numbers"""
    small: bool = False
    """the programs at the sizes of a test, where a step is too short to be timed well"""


class Ratio(NamedTuple):
    """Times divided by others of the same rounds: the median, and its 95 % interval."""

    median: float
    low: float  # not a number with less than 6 rounds
    high: float


class Row(NamedTuple):
    """What is measured of a program."""

    milliseconds: float  # a compiled step of JAX's
    step: Ratio
    itself: Ratio  # JAX's step compiled once more
    tracing: Ratio
    difference: float  # of the gradients: the largest, relative to the largest of its leaf
    rounds: int


def main(options: Options) -> dict[str, Row]:
    with command.usage():
        check(options)
    print(ROW.format("program", "JAX, ms", "step", "itself", "tracing", "difference", "rounds"))
    programs = tqdm(options.programs, unit="program", leave=False, disable=None)
    rows = {name: measure_until_sure(name, options) for name in programs}
    if options.json is not None:
        files.write_json(options.json, {name: _as_dict(row) for name, row in rows.items()})
    if missed := {name: over for name, row in rows.items() if (over := bars_missed(row))}:
        found = "; ".join(f"{name}: {', '.join(over)}" for name, over in missed.items())
        raise command.MissedError(f"over the bar also with {MORE} times the rounds: {found}")
    return rows


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    check_at_least("rounds", options.rounds, 1)
    for name in options.programs:
        if name not in PROGRAMS:
            raise ValueError(
                f"programs: got {name!r}, expected one or more of {', '.join(map(repr, PROGRAMS))}"
            )


def measure_until_sure(name: str, options: Options) -> Row:
    """The program's row, printed; if it is over a bar, that of a second measurement with more rounds."""
    row = measure(name, options.small, options.rounds)
    print_row(name, row)
    if over := bars_missed(row):
        tqdm.write(f"{'':14}over the bar: {', '.join(over)}; once more, with {MORE} times the rounds")
        row = measure(name, options.small, options.rounds * MORE)
        print_row(name, row)
    return row


def measure(name: str, small: bool, rounds: int) -> Row:
    """Time both sides of a program next to each other."""
    steps = [step(name, small, side) for side in (jax, jax, backprop)]
    (_, expected), _, (_, gradient) = (run() for run in steps)
    by_jax, again, by_us = benchmark.times(*steps, rounds=rounds)
    tracing_by_jax, tracing_by_us = benchmark.times(
        *(tracing(name, small, side) for side in (jax, backprop)), rounds=rounds
    )
    return Row(
        float(np.median(by_jax)) * 1e3,
        ratio(by_us, by_jax),
        ratio(again, by_jax),
        ratio(tracing_by_us, tracing_by_jax),
        difference(gradient, expected),
        rounds,
    )


def step(name: str, small: bool, side: ModuleType) -> Callable[[], tuple[Array, PyTree[Array]]]:
    """A compiled step: value and gradient by ``jax`` or :mod:`jaxnaive.backprop`."""
    function, args = PROGRAMS[name](small, side.grad)
    compiled = jax.jit(side.value_and_grad(function))
    return lambda: compiled(*args)


def tracing(name: str, small: bool, side: ModuleType) -> Callable[[], Any]:
    """The tracing of such a step, of a new function at each call."""
    function, args = PROGRAMS[name](small, side.grad)
    return lambda: jax.jit(side.value_and_grad(lambda *args: function(*args))).trace(*args).jaxpr.outvars


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The median of the ratios of times of the same rounds, with an interval by the ranks of the ratios.

    Args:
      ours: seconds, one a round.
      theirs: the same, of what to compare with.

    Source: Conover, "Practical nonparametric statistics", 1999, section 3.2.
    """
    from scipy import stats  # takes half a second

    ratios = np.divide(ours, theirs)
    low, high = stats.quantile_test(ratios, p=0.5).confidence_interval(0.95)
    return Ratio(float(np.median(ratios)), float(low), float(high))


def difference(gradient: PyTree[Array], expected: PyTree[Array]) -> float:
    """The largest difference of two gradients, each leaf's divided by the largest number that is expected."""

    def of_leaf(a: Array, b: Array) -> float:
        return float(jnp.abs(a - b).max() / jnp.maximum(jnp.abs(b).max(), jnp.finfo(b.dtype).tiny))

    return float(np.max(jax.tree.leaves(jax.tree.map(of_leaf, gradient, expected))))


def bars_missed(row: Row) -> list[str]:
    """What of a program misses its bar, in words."""
    figures = {
        "step": (row.step.median, STEP_BAR),
        "tracing": (row.tracing.median, TRACING_BAR),
        "difference": (row.difference, DIFFERENCE_BAR),
    }
    return [f"{name} {found:.3g} > {bar}" for name, (found, bar) in figures.items() if not found <= bar]


def print_row(name: str, row: Row) -> None:
    """Print the program's line of the table."""
    ratios = [_ratio_text(one) for one in (row.step, row.itself, row.tracing)]
    tqdm.write(ROW.format(name, f"{row.milliseconds:.2f}", *ratios, f"{row.difference:.0e}", row.rounds))


def _ratio_text(ratio: Ratio) -> str:
    return f"{ratio.median:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def _as_dict(row: Row) -> dict[str, Any]:
    return {
        name: value._asdict() if isinstance(value, Ratio) else value for name, value in row._asdict().items()
    }


if __name__ == "__main__":
    command.run(main, Options)
