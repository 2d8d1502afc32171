"""The lessons: each runs on the digits and says all in two languages; no row of the notes is left out."""

import re
from itertools import pairwise

import pytest
from test_rows import ROWS

from experiments import notes

CHINESE = re.compile(r"[\u4e00-\u9fff]")
LESSONS_ROWS = {  # as the notes have them; what a lesson shows besides is its own choice
    "tensors": range(1, 23),
    "operations": range(23, 34),
    "geometry": range(34, 43),
    "training": range(43, 57),
    "optimizers": range(57, 60),
    "backpropagation": range(60, 66),
    "from_scratch": range(66, 97),
}
SHORT = ("tensors",)  # the others take 9 to 32 s each, and are slow tests

pytest.importorskip("jupytext", reason="needs the extra notes")


def test_every_file_is_a_lesson_of_the_page():
    assert sorted(path.stem for path in notes.FOLDER.glob("*.py")) == sorted(notes.LESSONS)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SHORT else [pytest.mark.slow]) for name in notes.LESSONS]
)
def test_it_runs_as_a_script_on_the_digits(name, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("JAXNAIVE_MANUAL_DIR", raising=False)
    finished = call(f"lessons/{name}.py")
    assert finished.code == 0, finished.err
    pictures = sum("pictures.show(" in cell.source for cell in notes.read(name).cells)
    assert len(list((tmp_path / "runs" / "lessons").glob(f"{name}-*.png"))) >= pictures > 0


def rows_of(name):
    """Of each cell of code that has rows, the rows."""
    cells = notes.read(name).cells
    return [row for cell in cells if cell.cell_type == "code" for row in cell.metadata.get("tags", [])]


def test_every_row_stands_in_the_lesson_where_it_belongs():
    for name, numbers in LESSONS_ROWS.items():
        assert not {f"S{number:02}" for number in numbers} - set(rows_of(name)), name
    assert not {f"B{number}" for number in range(1, 14)} - set(rows_of("bugs"))
    assert not {row for name in notes.LESSONS for row in rows_of(name)} - set(ROWS)


@pytest.mark.parametrize("name", notes.LESSONS)
def test_it_says_the_same_in_both_languages(name):
    cells = notes.read(name).cells
    languages = [cell.metadata.get("lang") for cell in cells]
    assert languages[:2] == ["en", "zh"]
    for before, after in pairwise(languages):
        assert after == "zh" if before == "en" else after != "zh"  # in pairs, English first
    pairs = [
        (cells[place].source, cells[place + 1].source)
        for place, language in enumerate(languages)
        if language == "en"
    ]
    for english, chinese in pairs:
        assert not CHINESE.search(english) and CHINESE.search(chinese), english
        for pattern in (r"^#+(?= )", r"<details>", r"^\*\*\d+\.\*\*", r"```"):
            found = [re.findall(pattern, text, re.MULTILINE) for text in (english, chinese)]
            assert found[0] == found[1], (pattern, english)


@pytest.mark.parametrize("name", notes.LESSONS)
def test_it_has_a_title_exercises_with_answers_and_words_for_its_pictures(name):
    cells = notes.read(name).cells
    prose = [cell.source for cell in cells if cell.metadata.get("lang") == "en"]
    assert [text.startswith("# ") for text in prose] == [True] + [False] * (len(prose) - 1)
    exercises = len(re.findall(r"^\*\*\d+\.\*\*", "\n".join(prose), re.MULTILINE))
    assert exercises >= 3 and "\n".join(prose).count("<details>") == exercises
    for cell in cells:
        shows = "pictures.show(" in cell.source
        assert shows == ("alt" in cell.metadata) == ("alt_zh" in cell.metadata), cell.source
