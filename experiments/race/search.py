"""The search for the hyperparameters with which each entrant reaches the target in the shortest time."""

import itertools
import math
from collections.abc import Iterable
from functools import cache
from statistics import fmean

from tqdm import tqdm

from experiments.race.processes import ENTRANTS, JAXNAIVE, Measure
from experiments.race.specification import Hyperparameters

TARGET = 0.98  # accuracy
SAME = Hyperparameters("nesterov", 0.6, "one-cycle", 128, 2, 0.15)  # the fastest for jaxnaive
BOOK = tuple(Hyperparameters("adam", 0.001, "constant", 128, epochs) for epochs in (4, 5, 6, 7, 8))
RATES, BATCH_SIZES, EPOCHS = (0.15, 0.3, 0.6, 1.2, 2.4), (64, 128, 256), (1, 2, 3)
GRID = tuple(
    Hyperparameters("nesterov", rate, "one-cycle", size, epochs, 0.15)
    for rate, size, epochs in itertools.product(RATES, BATCH_SIZES, EPOCHS)
)  # chosen before any entrant but jaxnaive was timed with it, so that a race with it takes less than an hour
ENDS = {
    "learning_rate": (RATES[0], RATES[-1]),
    "batch_size": (BATCH_SIZES[0], BATCH_SIZES[-1]),
    "epochs": EPOCHS[-1:],  # there are no fewer than 1
}
ACCURACY_SEEDS = 3
TIMED_RUNS = 3  # the fastest counts; the first may have to compile
EXAMPLES = 60_000  # in MNIST's training set


def best_for_each(names: Iterable[str], measure: Measure, held_out: int) -> dict[str, Hyperparameters]:
    """The best hyperparameters for each entrant, without the entrants that never reach the target.

    All entrants train the same network, so jaxnaive measures which candidates are accurate enough on the
    held-out examples. Each entrant then tries the shortlist of these, and :data:`SAME`. The best are those
    with which its process reaches the target in the shortest time. An entrant that reaches it with none, as
    it has no one-cycle schedule, tries the book's. Prints what was found, and where it is on an edge of the
    grid.

    Args:
      names: of the entrants.
      measure: trains once.
      held_out: the number of training examples on which the accuracy is measured.
    """
    grid, book = (shortlist(accurate_enough(tried, measure, held_out)) for tried in (GRID, BOOK))
    best = {}
    for name in tqdm(list(names), desc="best hyperparameters", unit="entrant"):
        found = fastest(name, [SAME, *grid], measure, held_out) or fastest(name, book, measure, held_out)
        if found is not None:
            best[name] = found
            edges = [axis.replace("_", " ") for axis, ends in ENDS.items() if getattr(found, axis) in ends]
            on_edge = f"; on an edge of the grid: {', '.join(edges)}" if edges and found in GRID else ""
            tqdm.write(f"{name}: best with {describe(found)}{on_edge}")
    return best


def fastest(
    name: str, candidates: Iterable[Hyperparameters], measure: Measure, held_out: int
) -> Hyperparameters | None:
    """The candidate with which an entrant's process reaches the target, in all runs, in the shortest time."""
    seconds = {}
    for candidate in dict.fromkeys(candidates):
        runs = [measure(name, candidate, held_out, ACCURACY_SEEDS + n) for n in range(TIMED_RUNS)]
        if all(run and run.accuracy >= TARGET for run in runs):
            seconds[candidate] = min(run.seconds for run in runs if run)
    return min(seconds, key=seconds.__getitem__, default=None)


def accurate_enough(
    candidates: tuple[Hyperparameters, ...], measure: Measure, held_out: int
) -> list[Hyperparameters]:
    """The candidates that reach the target with jaxnaive, :data:`SAME` first, then the most accurate.

    The margin above the target is two standard errors, so that other entrants do not miss it. Prints all.
    """
    enough = TARGET + 2 * math.sqrt(TARGET * (1 - TARGET) / held_out)
    progress = tqdm(candidates, desc="accuracy", unit="candidate")
    accuracy = {candidate: validation_accuracy(candidate, measure, held_out) for candidate in progress}
    print(f"validation accuracy of jaxnaive with each candidate; {enough:.4f} is enough:")
    for candidate in candidates:
        print(f"  {accuracy[candidate]:.4f}  {describe(candidate)}")
    good = [candidate for candidate in candidates if accuracy[candidate] >= enough]
    return sorted(good, key=lambda candidate: (candidate != SAME, -accuracy[candidate]))


def best_of_book(measure: Measure, held_out: int) -> Hyperparameters | None:
    """The book's hyperparameters with the fewest epochs that reach the target on the held-out examples.

    There is no margin above the target, in favour of Keras.
    """
    with tqdm(BOOK, desc="as the book", unit="candidate") as candidates:
        enough = (book for book in candidates if validation_accuracy(book, measure, held_out) >= TARGET)
        return next(enough, None)


def is_as_in_the_book(name: str) -> bool:
    """Whether an entrant can train as the book does: with Keras."""
    return ENTRANTS[name].module == "keras_fit"


@cache
def validation_accuracy(hyperparameters: Hyperparameters, measure: Measure, held_out: int) -> float:
    """The accuracy of jaxnaive on the held-out examples, averaged over the seeds."""
    found = [measure(JAXNAIVE, hyperparameters, held_out, seed) for seed in range(ACCURACY_SEEDS)]
    return fmean(one.accuracy for one in found if one)


def shortlist(candidates: list[Hyperparameters]) -> list[Hyperparameters]:
    """The candidates that may be the fastest, of those with the same optimizer and schedule.

    A candidate cannot be the fastest if another one has no more epochs, no more updates, and fewer of one of
    them. Of those with equal numbers, the first is kept.
    """
    costs = {candidate: (candidate.epochs, candidate.updates(EXAMPLES)) for candidate in candidates}
    first = {cost: candidate for candidate, cost in reversed(costs.items())}

    def is_cheaper(cost: tuple[int, int], other: tuple[int, int]) -> bool:
        return cost != other and cost[0] <= other[0] and cost[1] <= other[1]

    return [
        candidate
        for candidate, cost in costs.items()
        if first[cost] == candidate and not any(is_cheaper(other, cost) for other in first)
    ]


def describe(hyperparameters: Hyperparameters) -> str:
    """The hyperparameters in one line."""
    optimizer, rate, schedule, batch_size, epochs, label_smoothing = hyperparameters
    return (
        f"{optimizer} {rate:g} {schedule}, batch {batch_size}, {epochs} epochs, "
        f"label smoothing {label_smoothing:g}"
    )
