"""The README's code runs, what it names exists, and what it counts is counted."""

import importlib
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from test_architecture import PACKAGE, SOURCES, code_lines

from jaxnaive import command as command_line

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines() if line.strip()]
COMMANDS = sorted(  # the experiments that are command lines, and the lessons
    str(path.relative_to(ROOT))
    for path in (ROOT / "experiments").rglob("*.py")
    if "    command.run(" in path.read_text() or path.parent.name == "lessons"
)


def test_there_is_code_in_the_readme():
    assert PYTHON and len(SHELL) >= 2


@pytest.mark.parametrize("code", PYTHON)
def test_python_blocks_run(code, digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    (tmp_path / "block.py").write_text(code)
    runpy.run_path(str(tmp_path / "block.py"))
    printed = capsys.readouterr().out
    for promised in re.findall(r"# prints (.*)$", code, re.MULTILINE):
        assert promised in printed


def test_commands_are_shell_and_what_the_pages_name_exists():
    for line in SHELL:
        subprocess.run(["bash", "-n", "-c", line], check=True)
    for text in (README, CHINESE, CONTRIBUTING):
        for path in re.findall(r"(?<![\w/])(?:experiments|jaxnaive|tests)/[\w/]+\.\w+", text):
            assert "NAME" in path or (ROOT / path).exists(), path
        for path in re.findall(r"\]\(([\w./]+)\)", text):
            assert (ROOT / path).exists(), path


def help_of(command, monkeypatch, capsys):
    """What a command prints with ``--help``, in this process."""
    module = importlib.import_module(command.removesuffix(".py").replace("/", "."))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", [command, "--help"])
    with pytest.raises(SystemExit) as exit:
        command_line.run(module.main, module.Options)
    assert not exit.value.code
    return capsys.readouterr().out


def test_every_experiment_is_in_the_readme_and_every_option_is_understood(monkeypatch, capsys):
    assert sorted(set(re.findall(r"experiments/[\w/]+\.py", README))) == COMMANDS
    for command, arguments in re.findall(r"(experiments/[\w/]+\.py)([^`\n&]*)", README):
        if options := re.findall(r"--[\w-]+", arguments):
            shown = help_of(command, monkeypatch, capsys)
            assert all(option in shown for option in options)


def test_a_command_line_runs_from_the_checkout():
    command = [sys.executable, ROOT / "experiments" / "race" / "race.py", "--help"]
    printed = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True).stdout
    assert "--rounds" in printed


def test_the_lines_of_the_core_are_as_many_as_the_readme_says():
    rows = [line.replace("*", "").split("|")[1:3] for line in README.splitlines() if line.startswith("|")]
    counted = {}
    for files, lines in rows:
        names = re.findall(r"`(\w+)`", files)
        if names and all((PACKAGE / f"{name}.py").exists() for name in names):
            counted |= dict.fromkeys(names)
            assert sum(len(code_lines(SOURCES[PACKAGE / f"{name}.py"])) for name in names) == int(lines), (
                names
            )
    assert {f"{name}.py" for name in counted} | {"__init__.py"} == {
        path.name for path in PACKAGE.glob("*.py")
    }


def test_the_chinese_one_has_the_same_code_pictures_commands_and_figures():
    def content(text):
        rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
        return {
            "code": sorted(re.findall(r"^```\w*\n.*?^```$", text, re.MULTILINE | re.DOTALL)),
            "pictures": sorted(re.findall(r"!\[[^]]+\]\((.*?)\)", text)),
            "commands": sorted(set(re.findall(r"`(experiments/[^`]*)`", text))),
            "figures": {
                re.findall(r"`(.*?)`", "|".join(row))[0]: sorted(
                    re.findall(r"\d[\d.,]*\d|\d", re.sub("`.*?`", "", " ".join(row)))
                )
                for row in rows
                if "`" in "".join(row) and re.search(r"\d", "".join(row))
            },
        }

    english, chinese = content(README), content(CHINESE)
    assert len(english["figures"]) > 10 and len(english["pictures"]) >= 4
    for kind in english:
        assert chinese[kind] == english[kind], kind


def test_the_chinese_one_answers_every_question_of_the_notes():
    for row in (
        "s44",
        "s68",
        "s69",
        "s75",
        "s76",
        "s83",
        "s86",
        "s58",
        "b3 or b4",
        "s29",
        "s37",
        "s71",
        "s52",
    ):
        assert f"`{row}`" in CHINESE or f'`"{row}"`' in CHINESE, row


def test_extras_that_are_named_exist():
    assert set(re.findall(r"\.\[(\w+)\]", README)) <= set(PROJECT["optional-dependencies"])


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: \W*([\d.]+)", citation, re.MULTILINE) == [PROJECT["version"]]


def test_it_is_short_enough_to_be_read():
    assert len(README.split()) < 1500
