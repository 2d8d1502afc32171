"""Compiled programs on disk: found again, bounded, and made anew when one is damaged."""

import os
import subprocess
import sys

import jax
import pytest

from jaxnaive.command import compile_cache

PROGRAM = """
import logging, os, pathlib, jax, jax.numpy as jnp
from jaxnaive.command import compile_cache
logging.basicConfig(format="%(message)s")
compile_cache.MAX_BYTES = int(os.environ.get("MAX_BYTES", compile_cache.MAX_BYTES))
compile_cache.use()
if "SPOIL" in os.environ:  # as on a full disk, where programs cannot be written any more
    folder = pathlib.Path(jax.config.jax_compilation_cache_dir)
    jax.jit(lambda x: jnp.tan(x) + 1)(0.0)
    folder.rename(folder.with_name("away"))
    folder.touch()
    jax.jit(lambda x: jnp.cos(x) + 1)(0.0)
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name.endswith("/cache_hits")))
print(float(jax.jit(lambda x: jnp.sin(x) + 1)(0.0)), sum(hits))
"""


@pytest.fixture
def run(tmp_path):
    def run(**more):
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)} | more
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip(), done.stderr

    return run


def entries(tmp_path):
    return sorted(path for path in tmp_path.rglob("*") if path.is_file())


def test_a_program_is_compiled_once_and_again_when_its_file_is_damaged_or_all_are_too_large(run, tmp_path):
    assert run() == ("1.0 0", "") and entries(tmp_path)
    assert run() == ("1.0 1", "")
    for path in entries(tmp_path):
        path.write_bytes(path.read_bytes()[:100])
    printed, told = run()
    assert printed == "1.0 0" and told.count("\n") == 1 and "was damaged, so all are compiled again" in told
    (folder,) = {path.parent for path in entries(tmp_path)}
    (folder / "another").write_bytes(bytes(10_000))
    assert run(MAX_BYTES="10000000") == ("1.0 1", "") and (folder / "another").exists()
    assert run(MAX_BYTES="10000") == ("1.0 0", "") and not (folder / "another").exists()


def test_it_can_be_switched_off(run, tmp_path):
    assert run(JAX_ENABLE_COMPILATION_CACHE="0") == ("1.0 0", "") and not entries(tmp_path)


def test_a_folder_that_cannot_be_made_is_no_obstacle(run, tmp_path):
    (tmp_path / "jaxnaive").write_text("a file in the way")
    printed, told = run()
    assert printed == "1.0 0" and told.count("\n") == 1 and "not kept" in told and "a file in the way" in told


def test_programs_that_cannot_be_written_are_said_once(run):
    printed, told = run(SPOIL="1")
    assert printed == "1.0 0" and told.count("\n") == 1 and "not kept" in told


def test_without_a_home_compiled_programs_are_not_kept_which_is_said(no_home, monkeypatch, caplog):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    before = jax.config.jax_compilation_cache_dir  # pyrefly: ignore[missing-attribute]
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setattr(jax.config, "update", lambda *_: pytest.fail("a setting was changed"))
    compile_cache.use()
    monkeypatch.undo()
    jax.config.update("jax_compilation_cache_dir", before)
    [said] = caplog.messages
    assert "not kept" in said and "home" in said
