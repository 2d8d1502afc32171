"""The README's code runs, and what it names exists."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [
    line for language, code in BLOCKS if language == "sh" for line in code.splitlines() if line.strip()
]
EXPERIMENTS = sorted(set(re.findall(r"experiments/(\w+)\.py", README)))


def test_there_is_code_in_the_readme():
    assert PYTHON and len(COMMANDS) >= 2


@pytest.mark.parametrize("code", PYTHON)
def test_python_blocks_run(code, tmp_path, digits):
    environment = os.environ | {"TFDS_DATA_DIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for printed in re.findall(r"# prints (.*)$", code, re.MULTILINE):
        assert printed in result.stdout


def test_commands_are_shell_and_name_files_that_exist():
    for line in COMMANDS:
        subprocess.run(["bash", "-n", "-c", line], check=True)
    for path in re.findall(r"(?:experiments|jaxnaive|tests)/[\w/]+\.\w+", README):
        assert (ROOT / path).exists(), path


def test_every_experiment_is_in_the_readme_and_every_command_line_is_understood():
    assert sorted(path.stem for path in (ROOT / "experiments").glob("*.py")) == EXPERIMENTS
    options = {
        name: subprocess.run(
            [sys.executable, ROOT / "experiments" / f"{name}.py", "--help"],
            env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True, check=True,
        ).stdout
        for name in EXPERIMENTS
    }  # fmt: skip
    for name, arguments in re.findall(r"experiments/(\w+)\.py([^`\n&]*)", README):
        for option in re.findall(r"--[\w-]+", arguments):
            assert option in options[name]


def test_the_chinese_one_has_the_same_code_pictures_commands_and_figures():
    def content(text):
        rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
        return {
            "code": re.findall(r"^```\w*\n.*?^```$", text, re.MULTILINE | re.DOTALL),
            "pictures": sorted(re.findall(r"!\[[^]]+\]\((.*?)\)", text)),
            "commands": sorted(set(re.findall(r"`(experiments/[^`]*)`", text))),
            "figures": {
                (re.findall(r"`(.*?)`", first) or [first])[0]: sorted(
                    re.findall(r"\d[\d.,]*\d|\d", " ".join(rest))
                )
                for first, *rest in rows
                if re.search(r"\d", " ".join(rest))
            },
        }

    english, chinese = content(README), content(CHINESE)
    assert len(english["figures"]) > 10 and len(english["pictures"]) > 5
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
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"\.\[(\w+)\]", README)) <= set(extras)


def test_it_is_short_enough_to_be_read():
    assert len(README.split()) < 1500
