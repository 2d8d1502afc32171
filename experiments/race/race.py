"""A race of jaxnaive against the frameworks that one would use instead, on this machine.

    python experiments/race/race.py
    python experiments/race/race.py --peers "Keras, JAX" PyTorch --rounds 3
    python experiments/race/race.py --resume

Every entrant trains 784-512-10 on MNIST. Each measurement takes a new process, and the entrants take turns.
With `--no-search` the compile caches are empty in the first of the `--rounds`. The tasks:

- epoch: one epoch of plain gradient descent with batches of 128;
- same recipe: the whole process to 98 % test accuracy, with hyperparameters that were chosen on jaxnaive;
- own recipe: the same, with hyperparameters that one search on a validation split finds for each entrant;
- as the book: the same in Keras, with the hyperparameters of the book.

The entrants are in `experiments/race/entrants`. They need
`python -m pip install -e '.[race]'`. An entrant whose packages or programs are not installed is named and
left out. The last column of the table says what was not equal.

A race that was stopped goes on with `--resume`. What is in `processes.jsonl` is not measured again. Times
from two sessions are then in one table, so machine, system and versions have to be the same. What else the
machine did in the two sessions is not known.
"""

import importlib.util
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments.race import processes, results, search
from experiments.race.processes import ENTRANTS, JAXNAIVE, Measure, Measured
from experiments.race.results import Plan, Result
from experiments.race.search import SAME
from experiments.race.specification import Data, Hyperparameters
from jaxnaive import command, data
from jaxnaive.command import step_costs
from jaxnaive.command.options import DataDir, ManualDir, Out, Resume
from jaxnaive.disk import arrays, files
from jaxnaive.job import check_at_least
from jaxnaive.runs import Run

EXPERIMENT = "race"
ARRAYS = "arrays"  # the data, a folder
EPOCHS = Hyperparameters("sgd", 0.1, "constant", 128, 3)  # the first epoch compiles and does not count


@dataclass(frozen=True)
class Options:
    """Race jaxnaive against the frameworks on MNIST."""

    peers: tuple[str, ...] = tuple(ENTRANTS)
    """the entrants besides jaxnaive"""
    rounds: int = 5
    """processes for each entrant and task; the table has their medians"""
    search: bool = True
    """search for the best hyperparameters for each entrant"""
    data_dir: DataDir = None
    manual_dir: ManualDir = None
    out: Out = None
    resume: Resume = False


def main(options: Options) -> Result:
    with command.usage():
        check(options)
        files.check_folder(options.out or command.RUNS)
    contents = load(options)
    examples = len(contents.train_labels)
    with command.open_run(EXPERIMENT, options, results.machine_and_versions()) as run:
        measure = begin(run, contents)
        plan = make_plan(available([JAXNAIVE, *options.peers]), options.search, measure, examples // 10)
        measured = carry_out(plan, options.rounds, measure)
        result = Result(measured, *limit(measured[JAXNAIVE]["epoch"], examples))
        rows = results.rows_of(result)
        results.print_table(plan, rows)
        results.save(run.folder, plan, rows, result)
    return result


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    check_at_least("rounds", options.rounds, 1)
    for name in options.peers:
        if name not in ENTRANTS:
            raise ValueError(f"peers: got {name!r}, expected one or more of {', '.join(map(repr, ENTRANTS))}")


def load(options: Options) -> Data:
    """MNIST, or what is in place of it in the folder of the race already."""
    if options.out is not None and (stored := arrays.read(options.out / ARRAYS)) is not None:
        return Data(**stored[0])
    mnist = data.load("mnist", data_dir=options.data_dir, manual_dir=options.manual_dir)
    parts = (mnist.train.images, mnist.train.labels, mnist.test.images, mnist.test.labels)
    return Data(*(np.asarray(part) for part in parts))


def begin(run: Run, contents: Data) -> Measure:
    """What measures in the folder of the race, once the data are there; stops after a process if asked to."""
    (run.folder / processes.COMPILED).mkdir(exist_ok=True)
    arrays.write(run.folder / ARRAYS, contents._asdict(), {})
    run.write_config()
    measure = partial(processes.measure, arrays=run.folder / ARRAYS)
    logged = processes.logged(run.folder / "processes.jsonl", measure)

    def measure_and_stop_if_asked(*process: Any) -> Measured | None:
        measured = logged(*process)
        run.stop_if_asked()
        return measured

    return measure_and_stop_if_asked


def available(names: Iterable[str]) -> list[str]:
    """The entrants whose packages and programs are installed, each once; prints the names of the others."""
    found = []
    for name in dict.fromkeys(names):
        packages = [package for package in ENTRANTS[name].needs if importlib.util.find_spec(package) is None]
        programs = [program for program in ENTRANTS[name].programs if shutil.which(program) is None]
        if packages or programs:
            lacks = " and ".join([*packages, *programs])
            remedy = " (python -m pip install -e '.[race]')" if packages else ""
            print(f"{name}: left out, {lacks} not installed{remedy}")
        else:
            found.append(name)
    return found


def make_plan(names: list[str], with_search: bool, measure: Measure, held_out: int) -> Plan:
    """For each entrant, the hyperparameters of its tasks.

    Args:
      names: of the entrants.
      with_search: whether to add the task with the best hyperparameters for each entrant.
      measure: trains once.
      held_out: the number of training examples that serve as the validation split.
    """
    plan: Plan = {name: {"epoch": EPOCHS, "same recipe": SAME} for name in names}
    with_book = [name for name in names if search.is_as_in_the_book(name)]
    if with_book and (book := search.best_of_book(measure, held_out)):
        for name in with_book:
            plan[name]["as the book"] = book
    if with_search:
        for name, best in search.best_for_each(names, measure, held_out).items():
            plan[name]["own recipe"] = best
    return plan


def carry_out(plan: Plan, rounds: int, measure: Measure) -> dict[str, dict[str, list[Measured]]]:
    """Measure every task of every entrant once in each round; the seed is the number of the round.

    Args:
      plan: where two tasks of an entrant are equal, ``measure`` is asked twice.
      rounds: how often.
      measure: trains once, or knows it already.
    """
    measured: dict[str, dict[str, list[Measured]]] = {
        name: {task: [] for task in tasks} for name, tasks in plan.items()
    }
    turns = [
        (n, name, task, hyperparameters)
        for n in range(rounds)
        for name, tasks in plan.items()
        for task, hyperparameters in tasks.items()
    ]
    for n, name, task, hyperparameters in tqdm(turns, desc="race", unit="process"):
        if (one := measure(name, hyperparameters, 0, n)) is not None:
            measured[name][task].append(one)
    return measured


def limit(measured: list[Measured], examples: int) -> tuple[float, float]:
    """The highest rate of a matrix product, in GFLOP/s, and the fraction of it that jaxnaive reaches."""
    costs = step_costs.measure(EPOCHS.batch_size)
    print(step_costs.to_text(costs))
    least = EPOCHS.updates(examples) / EPOCHS.epochs * sum(costs.least.values())
    seconds = results.epoch_seconds(measured)
    fraction = least / seconds
    print(f"an epoch cannot take less than {least:.3f} s, and takes {seconds:.3f} s: {fraction:.0%}")
    return costs.rate / 1e9, fraction


if __name__ == "__main__":
    command.run(main, Options, partial(command.resumed, EXPERIMENT))
