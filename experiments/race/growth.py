"""How does the cost of an epoch grow with the work? Four entrants, each against the limit.

    python experiments/race/growth.py
    python experiments/race/growth.py --axes hidden seeds --hidden 64 256 --seeds 1 8 --peers NumPy

An epoch of 784-512-10 on 20,480 random images, plain gradient descent in float32 with batches of 128; one of
hidden units, batch size, hidden layers, examples and seeds varies at a time. Networks of several seeds have
32 hidden units and are trained together: by jaxnaive as in ``sweep.py``, by the others as their guides do it.
Every entrant has a process of its own, and they take turns. Compiling is not counted.

The limit is what the matrix products of an epoch take at the best rate that the machine reaches with a large
one. The examples of PyTorch, JAX and NumPy are float32: a million of them take 3 GB in each of three
processes. An entrant whose package is not installed is named and left out.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from experiments.race import race, results
from experiments.race.processes import JAXNAIVE
from experiments.race.specification_growth import Size
from experiments.race.workers import Worker
from jaxnaive import command, runs
from jaxnaive.command import step_costs
from jaxnaive.command.options import Out
from jaxnaive.disk import files
from jaxnaive.job import check_at_least
from jaxnaive.pictures import plots
from jaxnaive.runs import timings

EXPERIMENT = "growth"
NAMES = (JAXNAIVE, "JAX", "PyTorch", "NumPy")
AXES = {  # by the names of the options, with what they count
    "hidden": "hidden units",
    "batch_size": "examples a batch",
    "depth": "hidden layers",
    "examples": "examples",
    "seeds": "seeds",
}
BASE = Size(hidden=512, batch_size=128, depth=1, examples=20_480, seeds=1)  # all batch sizes divide 20,480
HIDDEN_OF_SEEDS = 32
LINEAR_FROM = {"examples": 10_000, "seeds": 4}  # below, what is paid once an epoch shows
LINEAR_WITHIN = 0.1


@dataclass(frozen=True)
class Options:
    """Measure how the seconds of an epoch grow with the work."""

    axes: tuple[str, ...] = tuple(AXES)
    """what varies, one at a time: hidden, batch_size, depth, examples, seeds"""
    hidden: tuple[int, ...] = (32, 128, 512, 4096)
    """units of the hidden layer"""
    batch_size: tuple[int, ...] = (16, 64, 256, 1024, 4096)
    """examples in an update"""
    depth: tuple[int, ...] = (1, 2, 4, 8)
    """hidden layers"""
    examples: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    """examples in an epoch"""
    seeds: tuple[int, ...] = (1, 4, 16, 64, 256)
    """networks that are trained in one program"""
    peers: tuple[str, ...] = NAMES[1:]
    """the entrants besides jaxnaive: JAX, PyTorch, NumPy"""
    rounds: int = 3
    """how often each is measured at each point, in turn with the others; the medians count"""
    seconds: float = 0.5
    """least time of a measurement: an epoch that takes less is repeated"""
    out: Out = None


class Point(NamedTuple):
    """What is measured at a value of an axis."""

    axis: str
    value: int
    limit: float  # seconds of the products of an epoch at the best rate
    seconds: dict[str, list[float]]  # of an epoch, by entrant, one a round; not a number where it failed

    def median(self, name: str) -> float:
        """Seconds of an entrant's epoch."""
        return float(np.median(self.seconds[name]))

    def ratio(self, name: str) -> float:
        """The time of an entrant, divided by that of jaxnaive in the same round; the median."""
        return float(np.median(np.divide(self.seconds[name], self.seconds[JAXNAIVE])))


def main(options: Options) -> list[Point]:
    with command.usage():
        check(options)
        files.check_folder(options.out or command.RUNS)
    names = race.available([JAXNAIVE, *options.peers])
    rate = step_costs.measure().rate
    points = measure(options, names, rate)
    print_table(points, names, rate)
    found = {axis: growth_of(one) for axis, one in measure_linear(options).items()}
    save(options, points, rate, found)
    for axis, one in found.items():
        print(f"{axis}, from {LINEAR_FROM[axis]:,} on: {to_text(one, axis)}")
    over = [axis for axis, one in found.items() if not_linear(one)]
    if over:
        raise command.MissedError(f"not linear within {LINEAR_WITHIN:.0%}: {' and '.join(over)}, see above")
    return points


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    check_at_least("rounds", options.rounds, 1)
    if not 0 <= options.seconds < float("inf"):
        raise ValueError(f"seconds: got {options.seconds}, expected 0 or more")
    for option, given, known in (("axes", options.axes, tuple(AXES)), ("peers", options.peers, NAMES)):
        for name in given:
            if name not in known:
                raise ValueError(f"{option}: got {name!r}, expected one or more of {', '.join(known)}")
    for axis in AXES:
        for value in getattr(options, axis):
            check_at_least(axis.replace("_", " "), value, 1)
    if not any(getattr(options, axis) for axis in options.axes):
        raise ValueError("axes: got none with a value, expected one or more; see --help")


def size_at(axis: str, value: int) -> Size:
    """What is trained at a value of an axis."""
    base = BASE._replace(hidden=HIDDEN_OF_SEEDS) if axis == "seeds" else BASE
    return base._replace(**{axis: value})


def limit(size: Size, rate: float) -> float:
    """Seconds that the matrix products of an epoch take at a rate, FLOP a second."""
    return 2 * size.seeds * sum(step_costs.multiplications(size.examples, *size.layers)) / rate


def measure(options: Options, names: Sequence[str], rate: float) -> list[Point]:
    """Measure every entrant at each point, in rounds in which they take turns."""
    places = [(axis, value) for axis in AXES if axis in options.axes for value in getattr(options, axis)]
    points = [
        Point(axis, value, limit(size_at(axis, value), rate), {name: [] for name in names})
        for axis, value in places
    ]
    turns = [
        (point, name) for point in points for _ in range(options.rounds) for name in point.seconds
    ]  # fmt: skip
    with ExitStack() as stack:
        entrants = {name: stack.enter_context(Worker(name)) for name in names}
        for point, name in tqdm(turns, desc="growth", unit="measurement", disable=None):
            point.seconds[name].append(_seconds(entrants[name], point.axis, point.value, options.seconds))
    return points


def measure_linear(options: Options) -> dict[str, dict[int, list[float]]]:
    """The seconds of jaxnaive's epoch by axis and value, one a round, where cost should be linear.

    Here a round has all values of an axis: a shared machine is faster in one minute than in the next.
    """
    found = {}
    with Worker(JAXNAIVE) as worker:
        for axis in (axis for axis in LINEAR_FROM if axis in options.axes):
            values = [value for value in getattr(options, axis) if value >= LINEAR_FROM[axis]]
            if len(values) > 1:
                turns = tqdm(range(options.rounds), desc=axis, unit="round", disable=None)
                rounds = [[_seconds(worker, axis, value, options.seconds) for value in values] for _ in turns]
                found[axis] = dict(zip(values, map(list, zip(*rounds, strict=True)), strict=True))
    return found


def _seconds(entrant: Worker, axis: str, value: int, least: float) -> float:
    """What an entrant measures at a value of an axis; if it fails there, the reason is printed."""
    try:
        return entrant.measure(size_at(axis, value), least)
    except RuntimeError as error:
        tqdm.write(f"{AXES[axis]} {value:,}: {error}")
        return float("nan")


# --- what the numbers say ----------------------------------------------------------------------------


def growth_of(seconds: dict[int, list[float]]) -> dict[int, float]:
    """The seconds for one more of an axis, by its value, from those of its rounds.

    Each is compared with the others of its round; medians.
    """
    costs = np.transpose([np.divide(found, value) for value, found in seconds.items()])
    beside = np.median(costs / costs.mean(axis=1, keepdims=True), axis=0)
    return dict(zip(seconds, (beside * np.median(costs)).tolist(), strict=True))


def not_linear(growth: dict[int, float]) -> bool:
    """Whether the cost of one more is not the same everywhere, or not known."""
    costs = list(growth.values())
    return not np.max(costs) <= (1 + LINEAR_WITHIN) * np.min(costs)


def to_text(growth: dict[int, float], axis: str) -> str:
    """The cost of one more at each value, and how much the largest is above the least."""
    shown = ", ".join(f"{1e6 * cost:,.3g} at {value:,}" for value, cost in growth.items())
    spread = max(growth.values()) / min(growth.values()) - 1
    return f"microseconds for each of the {axis}: {shown}; the most is {spread:.0%} above the least"


def losses(points: Sequence[Point], names: Sequence[str]) -> list[tuple[Point, str, float]]:
    """Where an entrant takes less time than jaxnaive: the point, its name, and the ratio of the times."""
    found = [(point, name, point.ratio(name)) for point in points for name in names if name != JAXNAIVE]
    return [one for one in found if one[2] < 1]


def print_table(points: Sequence[Point], names: Sequence[str], rate: float) -> None:
    """Print the seconds at each point, and below where jaxnaive loses."""
    print(f"\nmedian seconds an epoch; in brackets: divided by those of {JAXNAIVE} in the same round")
    print(f"limit: the matrix products at {rate / 1e9:.0f} GFLOP/s, the best rate of a large one")
    print(f"{'':28}{'limit':>10}" + "".join(f"{name:>18}" for name in names))
    for point in points:
        cells = [f"{point.median(name):.3g} ({point.ratio(name):.2f})" for name in names]
        place = f"{AXES[point.axis]} {point.value:,}"
        print(f"{place:28}{point.limit:10.3g}" + "".join(f"{cell:>18}" for cell in cells))
    lost = losses(points, names)
    print(f"\nwhere {JAXNAIVE} loses:" + ("" if lost else " nowhere"))
    for point, name, ratio in lost:
        print(f"  {AXES[point.axis]} {point.value:,}: {name} takes {ratio:.2f} times as long")


def save(options: Options, points: Sequence[Point], rate: float, growth: dict[str, dict[int, float]]) -> None:
    """Write ``growth.json`` and ``growth.png`` into the folder of the run."""
    out = options.out or runs.new_folder(command.RUNS, EXPERIMENT)
    files.make_folder(out)
    described = {
        "gigaflops": rate / 1e9,
        "points": list(map(_as_dict, points)),
        "seconds_for_one_more": growth,
    }
    files.write_json(out / "growth.json", results.machine_and_versions() | described)
    shown = [_shown(axis, [point for point in points if point.axis == axis]) for axis in AXES]
    title = f"An epoch of {BASE.examples:,} examples, 784-512-10, batches of 128; {timings.processor()}"
    plots.growth(out / "growth.png", [axis for axis in shown if axis.values], title)
    print(f"saved {out}/: growth.json, growth.png")


def _as_dict(point: Point) -> dict[str, Any]:
    seconds = {
        name: [None if math.isnan(one) else one for one in found] for name, found in point.seconds.items()
    }
    size = size_at(point.axis, point.value)._asdict()
    return point._asdict() | {"size": size, "seconds": seconds}


def _shown(axis: str, points: Sequence[Point]) -> plots.Axis:
    """The points of an axis, as they are drawn."""
    names = points[0].seconds if points else ()
    return plots.Axis(
        f"{AXES[axis]}, {HIDDEN_OF_SEEDS} hidden units" if axis == "seeds" else AXES[axis],
        [point.value for point in points],
        {name: [point.median(name) for point in points] for name in names},
        [point.limit for point in points],
    )


if __name__ == "__main__":
    command.run(main, Options)
