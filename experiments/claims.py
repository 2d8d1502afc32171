"""Measure every number of the READMEs with the command beside it, or say which of them no longer hold.

python experiments/claims.py
python experiments/claims.py tuned race
python experiments/claims.py --check
python experiments/claims.py --write

``experiments/figures/numbers.json`` keeps them, with the date and the machine; nothing else writes to it. A
check measures again: scores and ratios of times have to lie in the stored intervals, seconds are only shown.
``experiments/measurements.py`` says what is measured and how it is read, and where the READMEs show it.
"""

import datetime
import itertools
import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from experiments.measurements import CLAIMS, Claim, Output, Value
from jaxnaive import command
from jaxnaive.disk import files
from jaxnaive.runs import timings

ROOT = Path(__file__).parent.parent
NUMBERS = ROOT / "experiments" / "figures" / "numbers.json"
PAGES = ("README.md", "README.zh.md")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`|\]\([^)\n]*\)", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)*(?:e-?\d+)?")

Measured = dict[str, Any]
"""What is stored of a claim: its ``commands``, ``date``, ``machine`` and ``values``."""


@dataclass(frozen=True)
class Options:
    """Measure the numbers of the READMEs."""

    claims: Positional[tuple[str, ...]] = ()
    """names of those that are measured; default: all"""
    check: bool = False
    """compare with what is stored, and store nothing"""
    write: bool = False
    """measure nothing: put what is stored into the READMEs"""


def main(options: Options) -> list[str]:
    """Returns the names of the claims that were measured; raises if one fails, or does not hold."""
    with command.usage():
        check(options)
    if options.write:
        for page in PAGES:
            path = ROOT / page
            files.write(path, rewrite(path.read_text(), read()).encode())
        return []
    names = list(options.claims or CLAIMS)
    problems = []
    for place, name in enumerate(names, 1):
        print(f"[{place} of {len(names)}] {name}", flush=True)
        try:
            measured = measure(CLAIMS[name], warm_up=not options.check)
            found = compare(read()[name], measured) if options.check else []
        except (ValueError, LookupError, OSError) as error:
            found = [command.describe(error)]
        else:
            show(measured)
            if not options.check:
                files.write_json(NUMBERS, read() | {name: measured})
        for problem in found:
            print(f"  {problem}", flush=True)
        problems += [f"{name}: {problem}" for problem in found]
    if problems:
        raise command.MissedError("; ".join(problems))
    return names


def check(options: Options) -> None:
    """Raise ``ValueError`` at the first option with an impossible value."""
    if options.write and (options.check or options.claims):
        raise ValueError("write: got --check or names of claims beside it, expected it alone")
    for name in options.claims:
        if name not in CLAIMS:
            raise ValueError(f"claims: got {name!r}, expected one or more of {', '.join(CLAIMS)}")
    stored = read()
    for name in options.claims or CLAIMS:
        if options.check and name not in stored:
            raise ValueError(f"claims: {name!r} was never measured, so there is nothing to check")


def read() -> dict[str, Measured]:
    """What is stored, in the order of the claims; what is of no claim any more is left out."""
    stored = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}
    return {name: stored[name] for name in CLAIMS if name in stored}


# --- measuring ---------------------------------------------------------------------------------------


def measure(claim: Claim, warm_up: bool) -> Measured:
    """Run the commands of a claim, and read its numbers from what they leave.

    Args:
      claim: what to measure.
      warm_up: whether to run the first command once before, if the claim wants that.

    Raises:
      ValueError: a command does not print what is read.
      LookupError: what it leaves lacks something that is read.
      OSError: it does not leave the file that is read, or the figure.
    """
    with tempfile.TemporaryDirectory() as folder:
        if warm_up and claim.warm:
            run(claim.commands[0], Path(folder) / "warm-up")
        outputs = [run(line, Path(folder) / str(number)) for number, line in enumerate(claim.commands)]
        if claim.figure:
            figure = outputs[0].folder / claim.figure
            files.write(NUMBERS.parent / figure.name, figure.read_bytes())
        values = claim.read(outputs) | {"seconds": Value(outputs[0].seconds)}
    return {
        "commands": list(claim.commands),
        "date": datetime.date.today().isoformat(),
        "machine": {
            "processor": timings.processor(),
            "cores": os.cpu_count(),
            "jax": timings.versions()["jax"],
        },
        "values": {name: value._asdict() for name, value in values.items()},
    }


def run(line: str, folder: Path) -> Output:
    """Run a command of the READMEs in a new folder; what it prints to stderr is seen, such as a progress bar.

    One that misses its own bar, which is exit status 1, has printed its numbers all the same.
    """
    folder.mkdir()
    words = [
        [sys.executable, ROOT / word] if word.startswith("experiments/") else [word]
        for word in shlex.split(line)
    ]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    print(f"  {line}", flush=True)
    started = time.perf_counter()
    done = subprocess.run(
        list(itertools.chain(*words)),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    if done.returncode:
        print(f"  exit status {done.returncode}", flush=True)
    return Output(done.stdout, folder, time.perf_counter() - started)


def show(measured: Measured) -> None:
    """Print the numbers of a claim."""
    for name, value in measured["values"].items():
        low, high = (f"{value[end]:.10g}" if value[end] is not None else "" for end in ("low", "high"))
        print(f"  {name}: {value['value']:.10g}" + (f" ({low} to {high})" if low or high else ""))


def compare(stored: Measured, measured: Measured) -> list[str]:
    """The numbers of a claim that no longer hold, in words."""
    problems = []
    for name, old in stored["values"].items():
        low, high = old["low"], old["high"]
        new = measured["values"].get(name, {"value": math.nan})["value"]
        if not (-math.inf if low is None else low) <= new <= (math.inf if high is None else high):
            problems.append(f"{name} is {new:.10g}, not from {low} to {high}")
    return problems


# --- the pages ---------------------------------------------------------------------------------------


def figures(page: str) -> list[re.Match[str]]:
    """The numbers in the text of a page: none of those in its code and addresses."""
    return list(NUMBER.finditer(CODE.sub(lambda code: " " * len(code[0]), page)))


def places(page: str, stored: Mapping[str, Measured]) -> list[tuple[re.Match[str], str]]:
    """The numbers of a page that are measured, each with what it should be.

    Raises:
      ValueError: a text that stands before such numbers is not on the page, or more than once.
    """
    numbers = figures(page)
    found = []
    for name, measured in stored.items():
        values = {key: value["value"] for key, value in measured["values"].items()} | measured["machine"]
        for template, formats in CLAIMS[name].shown.items():
            before = template.format_map(values)
            if page.count(before) != 1:
                raise ValueError(
                    f"{name}: got {page.count(before)} times {before!r} in the page, expected once"
                )
            begin = page.index(before) + len(before)
            following = [number for number in numbers if number.start() >= begin]
            found += zip(following, formats.format_map(values).split(), strict=False)
    return found


def rewrite(page: str, stored: Mapping[str, Measured]) -> str:
    """The page with the stored numbers in the places of its own."""
    for number, text in sorted(places(page, stored), key=lambda place: -place[0].start()):
        page = page[: number.start()] + text + page[number.end() :]
    return page


if __name__ == "__main__":
    command.run(main, Options)
