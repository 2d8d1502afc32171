"""The end of a command line that is interrupted."""

import builtins
import logging
import os
from dataclasses import dataclass

import pytest

from jaxnaive import command
from jaxnaive.command import compile_cache, garbage


@dataclass(frozen=True)
class Options:
    """None."""


@pytest.fixture
def interrupt(monkeypatch):
    """Runs an experiment that is interrupted. Returns its exit status, and whether it ended the process."""
    for module, name in ((compile_cache, "use"), (garbage, "freeze_imported_objects")):
        monkeypatch.setattr(module, name, lambda: None)
    monkeypatch.setattr("sys.argv", ["experiment.py"])
    monkeypatch.setattr(os, "environ", dict(os.environ))

    def main(_):
        raise KeyboardInterrupt

    def exit_at_once(status):
        raise SystemExit(("at once", status))

    def interrupt():
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr(os, "_exit", exit_at_once)
            command.run(main, Options)
        return ended.value.code

    return interrupt


def test_a_script_that_is_interrupted_waits_for_no_thread(interrupt, capsys):
    assert interrupt() == ("at once", 130)
    assert capsys.readouterr().err == "jaxnaive: interrupted\n"
    assert not logging.getLogger("jaxnaive").handlers


def test_a_script_that_a_notebook_runs_does_not_end_the_notebook(interrupt, monkeypatch, capsys):
    monkeypatch.setattr(builtins, "get_ipython", lambda: None, raising=False)
    assert interrupt() == 130
    assert capsys.readouterr().err == "jaxnaive: interrupted\n"
