"""Every row of the notes has a test that carries its number: `pytest -k s37` proves the sentence."""

import re
from pathlib import Path

NAMES = re.findall(
    r"^def (test_\w+)", "\n".join(p.read_text() for p in Path(__file__).parent.glob("*.py")), re.M
)


def numbers(letter):
    return {int(number) for name in NAMES for number in re.findall(rf"_{letter}(\d+)(?=_|$)", name)}


def test_rows_without_a_test():
    answered = {*range(1, 97)}
    assert not answered - numbers("s")


def test_bugs_without_a_test():
    assert not {*range(1, 14)} - numbers("b")
