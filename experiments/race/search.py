"""The search for the hyperparameters with which each entrant reaches the target in the shortest time."""

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
CANDIDATES = (
    *(
        Hyperparameters(optimizer, rate, "one-cycle", size, epochs, label_smoothing)
        for optimizer, rates in (("nesterov", (0.3, 0.6, 0.9, 1.2)), ("adam", (0.004, 0.006, 0.008, 0.01)))
        for rate, size in zip(rates, (64, 128, 256, 512), strict=True)
        for epochs in (1, 2, 3)
        for label_smoothing in (0.0, 0.15)
    ),
    *(Hyperparameters("nesterov", 0.1, "constant", 128, epochs) for epochs in (6, 8, 10)),
    *BOOK,
)
ACCURACY_SEEDS = 3
TIMED_RUNS = 2  # the faster one counts, because the first may have to compile
EXAMPLES = 60_000  # in MNIST's training set


def best_for_each(names: Iterable[str], measure: Measure, held_out: int) -> dict[str, Hyperparameters]:
    """The best hyperparameters for each entrant, without the entrants that never reach the target.

    All entrants train the same network, so jaxnaive measures which candidates are accurate enough on the
    held-out examples. The margin above the target is two standard errors, so that other entrants do not miss
    it. Each entrant then tries the shortlist of these, and :data:`SAME`. The best are those with which its
    process reaches the target in the shortest time.

    Args:
      names: of the entrants.
      measure: trains once.
      held_out: the number of training examples on which the accuracy is measured.
    """
    tried = list(dict.fromkeys([SAME, *shortlist(accurate_enough(measure, held_out))]))
    seeds = range(ACCURACY_SEEDS, ACCURACY_SEEDS + TIMED_RUNS)
    times: dict[str, dict[Hyperparameters, float]] = {name: {} for name in names}
    turns = [(name, hyperparameters) for name in times for hyperparameters in tried]
    for name, hyperparameters in tqdm(turns, desc="best hyperparameters", unit="candidate"):
        found = [measure(name, hyperparameters, held_out, seed) for seed in seeds]
        if all(one and one.accuracy >= TARGET for one in found):
            times[name][hyperparameters] = min(one.seconds for one in found if one)
    return {name: min(own, key=own.__getitem__) for name, own in times.items() if own}


def accurate_enough(measure: Measure, held_out: int) -> list[Hyperparameters]:
    """The candidates that reach the target and two standard errors more with jaxnaive; prints all."""
    enough = TARGET + 2 * math.sqrt(TARGET * (1 - TARGET) / held_out)
    progress = tqdm(CANDIDATES, desc="accuracy", unit="candidate")
    accuracy = {candidate: validation_accuracy(candidate, measure, held_out) for candidate in progress}
    print(f"validation accuracy of jaxnaive with each candidate; {enough:.4f} is enough:")
    for candidate in CANDIDATES:
        print(f"  {accuracy[candidate]:.4f}  {describe(candidate)}")
    return [candidate for candidate in CANDIDATES if accuracy[candidate] >= enough]


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
    """The candidates that may be the fastest.

    A candidate cannot be the fastest if another one with the same optimizer and schedule has no more epochs,
    no more updates, and fewer of one of them.
    """

    def costs(one: Hyperparameters) -> tuple[int, int]:
        return one.epochs, one.updates(EXAMPLES)

    def is_cheaper(one: Hyperparameters, other: Hyperparameters) -> bool:
        return (
            (one.optimizer, one.schedule) == (other.optimizer, other.schedule)
            and costs(one) != costs(other)
            and all(a <= b for a, b in zip(costs(one), costs(other), strict=True))
        )

    return [one for one in candidates if not any(is_cheaper(other, one) for other in candidates)]


def describe(hyperparameters: Hyperparameters) -> str:
    """The hyperparameters in one line."""
    optimizer, rate, schedule, batch_size, epochs, label_smoothing = hyperparameters
    return (
        f"{optimizer} {rate:g} {schedule}, batch {batch_size}, {epochs} epochs, "
        f"label smoothing {label_smoothing:g}"
    )
