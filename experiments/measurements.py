"""The numbers of the READMEs: which command each comes from, how it is read, and where it is shown.

``experiments/claims.py`` measures them.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

RATIO = 1.25  # by so much does a ratio of times differ from day to day on one machine
LOOPS = 2.0  # the same, of a loop in Python to compiled code


class Value(NamedTuple):
    """A measured number, and where that of another measurement has to lie for the claim to hold."""

    value: float
    low: float | None = None  # no bound on this side: seconds have none at all
    high: float | None = None


class Output(NamedTuple):
    """What a command leaves."""

    text: str  # printed
    folder: Path  # in which it ran
    seconds: float


class Claim(NamedTuple):
    """What the READMEs say of one experiment."""

    commands: tuple[str, ...]
    read: Callable[[Sequence[Output]], dict[str, Value]]
    shown: Mapping[str, str]  # the numbers that come next after a text of both READMEs, in this order
    warm: bool = True  # the first command is run once before, so that everything is downloaded and compiled
    figure: str | None = None  # that the first command leaves, and the READMEs show


def factor(value: float, by: float) -> Value:
    """A number that another measurement finds again up to a factor."""
    return Value(value, value / by, value * by)


def exactly(value: float) -> Value:
    """A number that every measurement finds."""
    return factor(value, 1)


def near(value: float, error: float) -> Value:
    """A number that another measurement finds again up to an error."""
    return Value(value, value - error, value + error)


def rounded(value: float, digits: int, to: Callable[[float], int] = round) -> float:
    """A positive number with so many significant digits.

    Args:
      value: the number.
      digits: how many.
      to: ``round`` or ``math.floor``.
    """
    places = digits - 1 - math.floor(math.log10(value))
    return round(to(value * 10.0**places) / 10.0**places, max(places, 0))


def find(pattern: str, output: Output) -> list[list[float]]:
    """The numbers in the groups of a pattern, at each place where it matches a line of what was printed.

    Raises:
      ValueError: it matches nowhere.
    """
    found = [match.groups() for match in re.finditer(pattern, output.text, re.MULTILINE)]
    if not found:
        raise ValueError(f"got no line that matches {pattern!r}, expected one or more")
    return [[float(group.replace(",", "")) for group in groups] for groups in found]


# --- the lessons -------------------------------------------------------------------------------------


def read_tensors(outputs: Sequence[Output]) -> dict[str, Value]:
    [(*shape,)] = find(r"^rank 5, shape \((\d+), (\d+), (\d+), (\d+), (\d+)\) = .* uint8", outputs[0])
    return {"bytes": exactly(math.prod(shape))}


def read_operations(outputs: Sequence[Output]) -> dict[str, Value]:
    ratios = [ratio for (ratio,) in find(r": +([\d,]+) x$", outputs[0])]
    ends = {"least": min(ratios), "most": max(ratios)}
    return {name: factor(rounded(ratio, 2), LOOPS) for name, ratio in ends.items()}


def read_geometry(outputs: Sequence[Output]) -> dict[str, Value]:
    rows = {"linear": "three, no relu", "relu": "three, with relu"}
    return {
        name: near(fmean(find(rf"^{row} +([\d.]+) ([\d.]+)$", outputs[0])[0]), 0.01)
        for name, row in rows.items()
    }


def read_training(outputs: Sequence[Output]) -> dict[str, Value]:
    [(low, high)] = find(r"^good +([\d.]+) to ([\d.]+)$", outputs[0])
    return {"low": exactly(low), "high": exactly(high)}


def read_optimizers_lesson(outputs: Sequence[Output]) -> dict[str, Value]:
    sgd, momentum = (find(rf"^valley +{name} +(\d+) steps", outputs[0])[0][0] for name in ("sgd", "momentum"))
    return {"of the steps": near(momentum / sgd, 0.04)}


def read_backpropagation(outputs: Sequence[Output]) -> dict[str, Value]:
    [(ratio,)] = find(r"([\d,]+) times as long as the gradient$", outputs[0])
    [(accuracy,)] = find(r"^accuracy on the test set: ([\d.]+)%$", outputs[0])
    ratio = rounded(ratio, 1, math.floor)
    return {"ratio": Value(ratio, low=ratio / LOOPS), "accuracy": near(accuracy, 0.1)}


def read_from_scratch(outputs: Sequence[Output]) -> dict[str, Value]:
    [(distance,)] = find(r"^largest distance .* after the first: ([\d.]+)$", outputs[0])
    [(accuracy,)] = find(r"^accuracy: ([\d.]+)$", outputs[0])
    ways = {"smaller": "only made smaller", "normalised": "normalised"}
    shares = {
        name: near(find(rf"^in the corner of a page, {way}: (\d+)% are", outputs[0])[0][0], 2)
        for name, way in ways.items()
    }
    distance = math.ceil(10 * distance) / 10
    return shares | {"distance": Value(distance, high=distance), "accuracy": near(accuracy, 0.01)}


def read_bugs(outputs: Sequence[Output]) -> dict[str, Value]:
    [found] = find(r"^(\d+) of (\d+) lose more than (\d+) points of accuracy$", outputs[0])
    return dict(zip(("costly", "all", "points"), map(exactly, found), strict=True))


def lesson(
    name: str,
    read: Callable[[Sequence[Output]], dict[str, Value]],
    numbers: str,
    more: Mapping[str, str] | None = None,
) -> tuple[str, Claim]:
    """A lesson's claim: the numbers in its row of the table, then its seconds, and more elsewhere."""
    script = f"experiments/lessons/{name}.py"
    shown = {f"|`{script}`|": f"{numbers} {{seconds:.0f}}"} | dict(more or {})
    return f"lessons/{name}", Claim((script,), read, shown)


# --- the questions -----------------------------------------------------------------------------------


def read_mnist(outputs: Sequence[Output]) -> dict[str, Value]:
    found = [find(r"^test accuracy ([\d.]+)$", output)[0][0] for output in outputs]
    return {"least": near(min(found), 0.002), "most": near(max(found), 0.002)}


def read_tuned(outputs: Sequence[Output]) -> dict[str, Value]:
    [(mean, sd, seeds)] = find(r"test accuracy ([\d.]+) \+- ([\d.]+), (\d+) seeds$", outputs[0])
    [(low, high)] = find(r"^95 % interval of the mean ([\d.]+) to ([\d.]+)$", outputs[0])
    return {"mean": Value(mean, low, high), "sd": factor(sd, 2), "seeds": exactly(seeds)}


def read_optimizers(outputs: Sequence[Output]) -> dict[str, Value]:
    [(seeds,)] = find(r" (\d+) seeds, mean and 95 % interval$", outputs[0])
    [(target,)] = find(r"epochs to (\d+)%", outputs[0])
    rows = find(r"^\w+ +[\d.e-]+  ([\d.]+) \[([\d.]+), ([\d.]+)\]", outputs[0])
    groups = set(re.findall(r"^\w+ +[\d.e-]+  [\d.]+ \[.*?\] +(\w+) ", outputs[0].text, re.MULTILINE))
    counts = {"optimizers": len(rows), "groups": len(groups), "target": target, "seeds": seeds}
    ends = {"fewest": Value(*min(rows)), "most": Value(*max(rows))}
    return ends | {name: exactly(count) for name, count in counts.items()}


def read_batch_sizes(outputs: Sequence[Output]) -> dict[str, Value]:
    rows = find(r"^ +([\d,]+)  momentum .* ([\d.]+) \[([\d.]+), ([\d.]+)\], p = ([\d.e-]+)$", outputs[0])
    found = {size: Value(ratio, low, high) for size, ratio, low, high, p_value in rows if p_value < 0.05}
    if set(found) != {512, 4096}:
        raise ValueError(f"got differences at the batch sizes {sorted(found)}, expected 512 and 4096")
    return {"at 512": found[512], "at 4096": found[4096]}


def read_sweep(outputs: Sequence[Output]) -> dict[str, Value]:
    numbers = r"([\d.]+) points \[([\d.]+), ([\d.]+)\]"
    [(difference, low, high)] = find(rf"^128 units beat 32 by {numbers}\.$", outputs[0])
    return {"difference": Value(difference, low, high), "low": Value(low), "high": Value(high)}


def read_rejection(outputs: Sequence[Output]) -> dict[str, Value]:
    rows = {
        "digits": "MNIST's test digits",
        "letters": "letters",
        "noise": "noise",
        "blurred": "noise, blurred",
    }
    accepted = {
        name: find(rf"^{row} +[\d,]+ +([\d.]+)% +[\d.]+%$", outputs[0])[0][0] for name, row in rows.items()
    }
    refused = {"digits": near(round(100 - accepted.pop("digits"), 1), 0.5)}
    return refused | {name: near(share, 3) for name, share in accepted.items()}


def read_gradients(outputs: Sequence[Output]) -> dict[str, Value]:
    ratio = r"([\d.]+) \[[\d.]+, [\d.]+\] +"
    lines = re.findall(rf"^(\S.{{13}}) *[\d.]+  {ratio}{ratio}{ratio}", outputs[0].text, re.MULTILINE)
    rows = {name: [*map(float, ratios)] for name, *ratios in lines}  # of a program's rows the last one counts
    steps, _, tracings = zip(*rows.values(), strict=True)
    ends = {
        "step": min(steps),
        "step, most": max(steps),
        "tracing": min(tracings),
        "tracing, most": max(tracings),
    }
    return {name: factor(value, RATIO) for name, value in ends.items()}


def read_distributed(outputs: Sequence[Output]) -> dict[str, Value]:
    [(difference,)] = find(r"^largest difference: ([\d.e-]+) of", outputs[0])
    exponent = math.ceil(math.log10(difference))
    return {"exponent": Value(exponent, high=exponent)}


# --- the race ----------------------------------------------------------------------------------------

ENTRANTS = (
    "NumPy", "JAX", "JAX, compile cache", "JAX, one scan, compile cache", "Equinox", "Flax NNX", "Keras, JAX",
    "Keras, TensorFlow", "Keras, PyTorch", "PyTorch", "PyTorch, compiled", "tinygrad",
    "TensorFlow, the notes' loop",
)  # fmt: skip
OURS = JAXNAIVE, NO_CACHE = "jaxnaive", "jaxnaive, no compile cache"


def results(output: Output, entrants: Sequence[str]) -> dict[str, Any]:
    """All numbers of a race.

    Raises:
      ValueError: one of the entrants did not take part.
    """
    race = json.loads((output.folder / "runs/race-1/race.json").read_text())
    if absent := [name for name in entrants if "same recipe" not in race["entrants"].get(name, {})]:
        raise ValueError(f"got no result of {', '.join(absent)}; is the extra race installed?")
    return race


def read_race(outputs: Sequence[Output]) -> dict[str, Value]:
    race, one_core = results(outputs[0], (*ENTRANTS, *OURS)), results(outputs[1], ["NumPy"])
    rows, numpy = race["entrants"], one_core["entrants"]["NumPy"]
    whole = {name: row["same recipe"] for name, row in rows.items() if "same recipe" in row}
    ratios = {
        "no cache": whole[NO_CACHE]["ratio"],
        "book": rows["Keras, JAX"]["as the book"]["ratio"],
        "NumPy on one core, epoch": numpy["epoch ratio"],
        "NumPy on one core, whole": numpy["same recipe"]["ratio"],
    }
    for name in ENTRANTS:
        ratios[f"{name}, epoch"] = rows[name]["epoch ratio"]
        ratios[f"{name}, whole"] = whole[name]["ratio"]
        ratios[f"{name}, memory"] = whole[name]["megabytes"] / whole[JAXNAIVE]["megabytes"]
    saved = max(1 - rows[name]["own recipe"]["seconds"] / whole[name]["seconds"] for name in ENTRANTS)
    return {name: factor(ratio, RATIO) for name, ratio in ratios.items()} | {
        "limit": near(100 * race["fraction_of_limit"], 10),
        "rounds": exactly(whole[JAXNAIVE]["runs"]),
        "saved": Value(math.ceil(100 * saved), high=10),
        "import": Value(rows[JAXNAIVE]["import"]),
        "NumPy's import": Value(rows["NumPy"]["import"]),
        "whole": Value(whole[JAXNAIVE]["seconds"]),
    }


RACE = "experiments/race/race.py"
ONE_CORE = f"taskset -c 0 {RACE} --no-search --peers NumPy"
CLAIMS = dict(
    (
        lesson("tensors", read_tensors, "{bytes:,.0f}"),
        lesson("operations", read_operations, "{least:,.0f} {most:,.0f}"),
        lesson("geometry", read_geometry, "{linear:.2f} {relu:.2f}"),
        lesson("training", read_training, "{low:.1f} {high:.2f}"),
        lesson("optimizers", read_optimizers_lesson, ""),
        lesson("backpropagation", read_backpropagation, "{ratio:,.0f} {accuracy:.1f}"),
        lesson(
            "from_scratch",
            read_from_scratch,
            "{distance:.1f} {accuracy:.2f}",
            {"`experiments/export.py runs/mnist-1 --to onnx`": "20 20 {smaller:.0f} {normalised:.0f}"},
        ),
        lesson("bugs", read_bugs, "{costly:.0f} {all:.0f} {points:.0f}"),
    )
) | {
    "mnist": Claim(
        tuple(f"experiments/mnist.py --seed {seed}" for seed in range(5)),
        read_mnist,
        {
            "|`experiments/mnist.py`|": "{least:.3f} {most:.3f} 0 4 {seconds:.0f}",
            "{processor}": "{jax}",  # the machine of all measurements
        },
    ),
    "tuned": Claim(
        ("experiments/tuned.py",),
        read_tuned,
        {"|`experiments/tuned.py`|": "{mean:.4f} {sd:.4f} {seeds:.0f} {seconds:.0f}"},
    ),
    "optimizers": Claim(
        ("experiments/optimizers.py",),
        read_optimizers,
        {"|`experiments/optimizers.py`|": "{fewest:.1f} {most:.1f} {target:.0f} {seeds:.0f} {seconds:.0f}"},
    ),
    "batch_sizes": Claim(
        ("experiments/batch_sizes.py",),
        read_batch_sizes,
        {"|`experiments/batch_sizes.py`|": "512 {at 512:.2f} 4,096 {at 4096:.2f} 64"},
        warm=False,
    ),
    "sweep": Claim(
        ("experiments/sweep.py --hidden 32 128",),
        read_sweep,
        {
            "|`experiments/sweep.py --hidden 32 128`|": "128 32 {difference:.1f} {low:.1f} {high:.1f} "
            "{seconds:.0f}"
        },
    ),
    "rejection": Claim(
        ("experiments/rejection.py",),
        read_rejection,
        {
            "|`experiments/rejection.py`|": "{digits:.1f} {letters:.0f} {noise:.0f} {blurred:.0f} "
            "{seconds:.0f}"
        },
    ),
    "gradients": Claim(
        ("experiments/race/gradients.py",),
        read_gradients,
        {
            "|`experiments/race/gradients.py`|": "{step:.1f} {step, most:.1f} {tracing:.1f} "
            "{tracing, most:.1f} {seconds:.0f}"
        },
    ),
    "distributed": Claim(
        ("experiments/distributed.py",),
        read_distributed,
        {"`experiments/distributed.py`": "1e{exponent:.0f}"},
        warm=False,
    ),
    "race": Claim(
        (RACE, ONE_CORE),
        read_race,
        {
            f"`{RACE}`": "784 512 10 98 45 {saved:.0f} {rounds:.0f} {limit:.0f}",
            "**NumPy": "{NumPy's import:.1f} {import:.1f} {whole:.1f} {NumPy on one core, whole:.1f} "
            "{NumPy on one core, epoch:.1f} {no cache:.1f} {book:.1f}",
        }
        | {
            f"|`{name}`|": " ".join(f"{{{name}, {what}:.1f}}" for what in ("epoch", "whole", "memory"))
            for name in ENTRANTS
        },
        warm=False,
        figure="runs/race-1/race.png",
    ),
}
