"""Garbage in cycles is collected, but what was there before, and at the end of the process, is not."""

import subprocess
import sys

SCRIPT = """
import gc
from jaxnaive.command import garbage

class Cycle:
    def __init__(self, name):
        self.name, self.itself = name, self

    def __del__(self):
        print(self.name)

gc.collect()
Cycle("before")
{spare}
Cycle("since")
gc.collect()
Cycle("at the end")
"""


def collected(spare):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(spare=spare)], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_only_what_came_since_is_collected():
    assert sorted(collected("pass")) == ["at the end", "before", "since"]
    assert collected("garbage.freeze_imported_objects()") == ["since"]
