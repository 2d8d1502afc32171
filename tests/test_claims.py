"""Every number in the READMEs' text is measured, is counted here or by another test, or is a definition."""

import json
import math
import re
import string
from pathlib import Path

import pytest
from test_readme import PROJECT
from test_rows import ROWS

from experiments import claims
from experiments.measurements import CLAIMS, ENTRANTS, OURS, Claim, Output, Value, exactly, find, rounded
from experiments.race.search import GRID, TARGET
from jaxnaive import command
from jaxnaive.networks import handwriting

PAGES = {page: (claims.ROOT / page).read_text() for page in claims.PAGES}
STORED = claims.read()
PROCESSES = claims.ROOT / "tests" / "processes"
FAULTS = re.findall(r"^\| \d+ \| [ABC] \|", (PROCESSES / "faults.md").read_text(), re.MULTILINE)
[KILLS] = re.findall(r"kills=(\d+), within=0.25\)", (PROCESSES / "test_faults.py").read_text())
PYTHON = re.escape(PROJECT["requires-python"].removeprefix(">="))
IDEAS, BUGS = (len([row for row in ROWS if row[0] == letter]) for letter in "SB")
LINES = r"^\|\**(?:`\w+`[,、]? ?)+\**\|\d+\|"
EXPLAINED = (
    (LINES, "lines of code: test_readme counts them"),
    (rf"\b{IDEAS} ideas and {BUGS} bugs|{IDEAS} 个想法和 {BUGS} 个错误", "the rows of rows.md"),
    (rf"\blists {len(FAULTS)} faults|列出 {len(FAULTS)} 种故障", "the rows of faults.md"),
    (rf"\ba run {KILLS}\s+times|杀掉\s+{KILLS} 次", "the test that kills so often"),
    (r"\bthat writes 200 times|杀掉 200 次", "the tests that kill four things 50 times each"),
    (r"to 1e-5\)|多线程时相差不到 1e-5", "test_faults compares the runs so closely"),
    (rf"Python {PYTHON} or later|Python {PYTHON} 或更高版本", "requires-python"),
    (r"tested with 3\.11|用 3\.11 测试过", "the Python of CI"),
    (r"\bchapter 2\b|第 2 章", "the book's"),
    (r"\bHow good is 784-512-10\?|\|784-512-10 能有多好", "a network's layers"),
    (r"Exit status: 0, 1 for .*, 2 for .*, 130 after|退出码.0 成功.1 失败.2 选项有误.130 是", "defined"),
    (r"60,000 张图片", "MNIST's training images"),
    (r"Apache-2\.0", "the licence"),
)  # fmt: skip


def problems(page, stored):
    """The numbers of a page that are not the measured ones, and those that nobody answers for."""
    measured = claims.places(page, stored)
    known = {number.start() for number, _ in measured}
    for pattern, _ in EXPLAINED:
        for match in re.finditer(pattern, page, re.MULTILINE):
            known |= set(range(*match.span()))
    wrong = [f"{number[0]}: measured is {text}" for number, text in measured if number[0] != text]
    return wrong + [
        f"{number[0]}: not explained, at {page[number.start() - 20 : number.end() + 20]!r}"
        for number in claims.figures(page)
        if number.start() not in known
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_number_is_measured_or_explained(page):
    assert problems(PAGES[page], STORED) == []


def test_each_explanation_is_needed():
    for pattern, reason in EXPLAINED:
        assert any(re.search(pattern, page, re.MULTILINE) for page in PAGES.values()), reason


@pytest.mark.parametrize("page", PAGES)
def test_a_number_that_is_changed_in_a_page_is_noticed(page):
    text = PAGES[page]
    lines = [range(*match.span()) for match in re.finditer(LINES, text, re.MULTILINE)]
    numbers = [n for n in claims.figures(text) if not any(n.start() in line for line in lines)]
    assert len(numbers) > 80
    for number in numbers:
        assert problems(text[: number.start()] + "7" + text[number.start() :], STORED), number


def test_a_number_that_is_changed_in_the_file_is_noticed():
    for name, claim in CLAIMS.items():
        formats = " ".join(claim.shown.values())
        for _, key, _, _ in string.Formatter().parse(formats):
            if key in STORED[name]["values"]:
                changed = json.loads(json.dumps(STORED))
                changed[name]["values"][key]["value"] *= 3
                changed[name]["values"][key]["value"] += 2
                for page in PAGES.values():
                    assert problems(page, changed), (name, key)


def test_what_is_stored_is_of_these_claims_commands_and_one_machine():
    assert {name: stored["commands"] for name, stored in STORED.items()} == {
        name: list(claim.commands) for name, claim in CLAIMS.items()
    }
    assert len({json.dumps(stored["machine"]) for stored in STORED.values()}) == 1
    assert json.loads(claims.NUMBERS.read_text()) == STORED


def test_each_command_of_the_tables_is_measured():
    commands = {command.split(" --seed")[0] for claim in CLAIMS.values() for command in claim.commands}
    for page in PAGES.values():
        in_tables = re.findall(r"^\|.*?`(experiments/[^`]*)`", page, re.MULTILINE)
        assert len(in_tables) > 10 and set(in_tables) <= commands


def test_the_pages_are_rewritten_with_what_is_stored():
    page = "|`a`|word 1.5 of 2,000 | `3` 4|\n5 |`b`| 6"
    claim = Claim(("a",), lambda outputs: {}, {"|`a`|": "{x:.2f} {y:,.0f} 4", "|`b`|": "{x:.0f}"})
    stored = {"n": {"values": {"x": {"value": 2.5}, "y": {"value": 31415.0}}, "machine": {}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CLAIMS, "n", claim)
        assert claims.rewrite(page, stored) == "|`a`|word 2.50 of 31,415 | `3` 4|\n5 |`b`| 2"
        with pytest.raises(ValueError, match="got 0 times"):
            claims.rewrite(page.replace("`b`", "b"), stored)


# --- measuring ---------------------------------------------------------------------------------------


@pytest.fixture
def one(tmp_path, monkeypatch):
    """A claim whose command prints what the test puts into ``printed``."""
    printed = tmp_path / "printed"
    monkeypatch.setattr(claims, "NUMBERS", tmp_path / "numbers.json")
    monkeypatch.setattr(
        claims, "run", lambda line, folder: Output(printed.read_text(), Path(folder), seconds=3.0)
    )

    def read(outputs):
        [[score, count]] = find(r"^score ([\d.]+) of (\d+)$", outputs[0])
        return {"score": Value(score, 0.4, 0.6), "count": exactly(count)}

    monkeypatch.setattr(claims, "CLAIMS", {"one": Claim(("experiments/one.py",), read, {})})
    return printed


def test_a_check_says_what_no_longer_holds(one):
    one.write_text("score 0.5 of 8\n")
    assert claims.main(claims.Options()) == ["one"]
    stored = json.loads(claims.NUMBERS.read_text())["one"]
    assert stored["values"]["score"] == {"value": 0.5, "low": 0.4, "high": 0.6}
    assert stored["values"]["seconds"] == {"value": 3.0, "low": None, "high": None}
    one.write_text("score 0.59 of 8\n")
    claims.main(claims.Options(check=True))
    one.write_text("score 0.61 of 9\n")
    with pytest.raises(command.MissedError, match=r"score is 0.61, not from 0.4 .* count is 9, not from 8"):
        claims.main(claims.Options(check=True))
    one.write_text("no score\n")
    with pytest.raises(command.MissedError, match="one: got no line that matches"):
        claims.main(claims.Options(check=True))
    with pytest.raises(command.MissedError, match="one: got no line that matches"):
        claims.main(claims.Options())
    assert json.loads(claims.NUMBERS.read_text())["one"] == stored


def test_wrong_options_are_refused(one):
    for options, message in (
        (claims.Options(("two",)), "claims: got 'two', expected one or more of one"),
        (claims.Options(check=True), "'one' was never measured"),
        (claims.Options(check=True, write=True), "expected it alone"),
    ):
        with pytest.raises(command.UsageError, match=message):
            claims.main(options)


def test_rounding_is_to_significant_digits():
    assert [rounded(x, 2) for x in (0.1234, 9.96, 1456, 15.4)] == [0.12, 10, 1500, 15]
    assert rounded(404_189, 1, math.floor) == 400_000


def test_the_constants_that_the_pages_repeat_are_those_of_the_code():
    race = [formats for anchor, formats in CLAIMS["race"].shown.items() if "race.py" in anchor]
    assert race[0].split()[3:5] == [f"{100 * TARGET:.0f}", f"{len(GRID)}"]
    assert f"{handwriting.BOX} {handwriting.BOX} " in "".join(CLAIMS["lessons/from_scratch"].shown.values())


def test_the_race_is_read_also_where_an_entrant_did_not_come_to_its_end(tmp_path):
    def output(folder, **epochs):
        whole = {"ratio": 2.0, "megabytes": 500.0, "runs": 5, "seconds": 3.0}
        tasks = {"same recipe": whole, "own recipe": whole}
        rows = {name: tasks | {"epoch ratio": ratio} for name, ratio in epochs.items()}
        rows |= {name: row | {"import": 0.1, "as the book": {"ratio": 5.6}} for name, row in rows.items()}
        (tmp_path / folder / "runs/race-1").mkdir(parents=True)
        file = tmp_path / folder / "runs/race-1/race.json"
        file.write_text(json.dumps({"fraction_of_limit": 0.8, "entrants": rows | {"failed": {}}}))
        return Output("", tmp_path / folder, 1.0)

    everyone = dict.fromkeys((*ENTRANTS, *OURS), 1.5)
    one_core = output("one core", NumPy=2.5)
    values = CLAIMS["race"].read([output("all", **everyone), one_core])
    assert values["PyTorch, epoch"] == (1.5, 1.2, 1.875)
    assert values["NumPy on one core, epoch"].value == 2.5 and values["Keras, JAX, memory"].value == 1
    del everyone["PyTorch"]
    with pytest.raises(ValueError, match="got no result of PyTorch; is the extra race installed"):
        CLAIMS["race"].read([output("fewer", **everyone), one_core])
