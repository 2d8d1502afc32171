"""The page of all lessons: what it is made of, what it refuses, and what stays when a lesson fails."""

import json
import sys

import pytest

from experiments import notes
from jaxnaive import command

pytest.importorskip("nbclient", reason="needs the extra notes")
pytest.importorskip("jupytext", reason="needs the extra notes")

LESSON = """# %% [markdown] lang="en"
# # A lesson

# %% [markdown] lang="zh"
# # 一课

# %%
print("six", 2 * 3)

# %%
RESULT
"""


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """Makes the lesson `tensors` a small one, whose last cell is the code that it is given."""
    monkeypatch.setattr(notes, "FOLDER", tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("JAXNAIVE_MANUAL_DIR", raising=False)
    return lambda code: (tmp_path / "tensors.py").write_text(LESSON.replace("RESULT", code))


def test_a_page_and_notebooks_in_either_language(lesson, tmp_path, capsys):
    lesson("7 * 8")
    out = tmp_path / "out"
    page = notes.main(notes.Options(only=("tensors",), out=out))
    assert page == out / "index.html" and f"saved {page}" in capsys.readouterr().out
    text = page.read_text()
    assert ">six 6</pre>" in text and ">56</pre>" in text and "一课" in text and "A lesson" in text
    for language, title in (("en", "# A lesson"), ("zh", "# 一课")):
        notebook = json.loads((out / language / "tensors.ipynb").read_text())
        cells = ["".join(cell["source"]) for cell in notebook["cells"]]
        assert cells == [title, 'print("six", 2 * 3)', "7 * 8"]
        assert notebook["cells"][1]["outputs"][0]["text"] == ["six 6\n"]


def test_a_cell_that_fails_is_named_and_the_page_that_was_there_stays(lesson, tmp_path):
    lesson("x = 1\nassert x == 2, 'x is 1'")
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("before")
    with pytest.raises(RuntimeError) as raised:
        notes.main(notes.Options(only=("tensors",), out=out))
    assert str(raised.value) == "lesson tensors, code cell 2 (x = 1): AssertionError: x is 1"
    assert (out / "index.html").read_text() == "before"
    assert not list(out.glob("*/*.ipynb"))


def test_a_lesson_whose_process_ends_is_named(lesson, tmp_path):
    lesson("import os; os._exit(3)")
    with pytest.raises(RuntimeError, match="lesson tensors: its process ended before its last cell"):
        notes.main(notes.Options(only=("tensors",), out=tmp_path / "out"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"only": ("tensor",)}, "only: got 'tensor'.*did you mean 'tensors'", id="lesson"),
        pytest.param({"language": "ZH"}, "language: got 'ZH'.*did you mean 'zh'", id="language"),
        pytest.param(
            {"language": "fr"}, "language: got 'fr', expected a language of en, zh$", id="no name near"
        ),
    ],
)
def test_a_wrong_option_is_refused_with_the_nearest_name(options, message, tmp_path):
    with pytest.raises(command.UsageError, match=message):
        notes.main(notes.Options(out=tmp_path / "out", **options))
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(command.UsageError, match="out: expected a folder, but there is a file"):
        notes.main(notes.Options(out=tmp_path / "out"))


def test_without_the_extra_it_says_what_to_install(lesson, tmp_path, monkeypatch):
    lesson("1")
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(ImportError, match=r"python -m pip install -e '\.\[notes\]'"):
        notes.main(notes.Options(only=("tensors",), out=tmp_path / "out"))
