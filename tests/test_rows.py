"""Every row of the notes has a test that carries its number, and ``rows.md`` names all of them.

python tests/test_rows.py --write    # rewrites the page's last column from the names of the tests
"""

import re
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS / "rows.md"
ROWS = [*(f"S{number:02}" for number in range(1, 97)), *(f"B{number}" for number in range(1, 14))]
VERDICTS = ("right", "wrong", "a question: ", "bug: ")
COLUMNS = re.compile(r"^\| ([SB]\d+) \| (.*) \| (.*) \| (.*) \|$", re.MULTILINE)


def numbered_tests(folder: Path) -> dict[str, list[str]]:
    """For each row the tests with its number in their names, as ``file::name``."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE):
            for letter, number in re.findall(r"_([sb])(\d+)(?=_|$)", name):
                test = f"{path.relative_to(folder).as_posix()}::{name}"
                found.setdefault(f"{letter.upper()}{number}", []).append(test)
    return found


def with_tests(page: str, tests: dict[str, list[str]]) -> str:
    """The page with these tests in its last column."""

    def row(match: re.Match[str]) -> str:
        name, says, verdict, _ = match.groups()
        return f"| {name} | {says} | {verdict} | {'<br>'.join(f'`{test}`' for test in tests.get(name, []))} |"

    return COLUMNS.sub(row, page)


def check(page: str, tests: dict[str, list[str]]) -> None:
    """Every row is on the page once and in order, with a verdict, a test, and all of its tests."""
    rows = COLUMNS.findall(page)
    assert [name for name, *_ in rows] == ROWS
    assert page.count("\n| S") + page.count("\n| B") == len(ROWS)
    for name, says, verdict, _ in rows:
        assert says.endswith((".", "?")) and verdict.startswith(VERDICTS), name
    assert not set(ROWS) - set(tests), "rows without a test"
    assert not set(tests) - set(ROWS), "tests of rows that do not exist"
    assert with_tests(page, tests) == page, "run: python tests/test_rows.py --write"


def test_the_page_has_every_row_and_names_every_test_of_it():
    check(PAGE.read_text(), numbered_tests(TESTS))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(r"^\| S37 .*\n", "", id="no row"),
        pytest.param(r"^(\| S37 .*\n)", r"\1\1", id="a row twice"),
        pytest.param(r"^(\| S37 .*\n)(\| S38 .*\n)", r"\2\1", id="rows in another order"),
        pytest.param(r"^\| B9 ", "| B14 ", id="an unknown row"),
        pytest.param(r"^(\| S37 .* \|) .* \|$", r"\1", id="too few columns"),
        pytest.param(r"^(\| S37 .* \|) wrong", r"\1 ", id="no verdict"),
        pytest.param(r"^(\| S37 .*)_(\w+` \|\n)", r"\1_other_\2", id="a test under another name"),
        pytest.param(r"^(\| S36 .*`)<br>.* \|\n", r"\1 |\n", id="a test missing"),
    ],
)
def test_a_fault_of_the_page_is_found(old, new):
    page, count = re.subn(old, new, PAGE.read_text(), flags=re.MULTILINE)
    assert count == 1
    with pytest.raises(AssertionError):
        check(page, numbered_tests(TESTS))


def test_a_fault_of_the_tests_is_found(tmp_path):
    page, tests = PAGE.read_text(), numbered_tests(TESTS)
    for row in ROWS:
        with pytest.raises(AssertionError, match="without a test"):
            check(page, {name: found for name, found in tests.items() if name != row})
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "test_new.py").write_text("def test_s37_b3_new():\n    pass\n")
    new = numbered_tests(tmp_path)
    assert new == {row: ["core/test_new.py::test_s37_b3_new"] for row in ("S37", "B3")}
    with pytest.raises(AssertionError, match="--write"):
        check(page, tests | {"S37": tests["S37"] + new["S37"]})
    with pytest.raises(AssertionError, match="do not exist"):
        check(page, tests | {"S97": new["S37"]})


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_rows.py --write")
    PAGE.write_text(with_tests(PAGE.read_text(), numbered_tests(TESTS)))
