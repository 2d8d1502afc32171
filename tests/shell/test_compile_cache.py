"""Compiled programs on disk: found again, bounded, and made anew when one is damaged."""

import os
import subprocess
import sys

import pytest

from jaxnaive.command import compile_cache

PROGRAM = """
import logging, jax, jax.numpy as jnp
from jaxnaive import certificates, compile_cache
logging.basicConfig(format="%(message)s")
compile_cache.use()
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


def test_a_program_is_compiled_once_and_again_when_its_file_is_damaged(run, tmp_path):
    assert run() == ("1.0 0", "") and entries(tmp_path)
    assert run() == ("1.0 1", "")
    for path in entries(tmp_path):
        path.write_bytes(path.read_bytes()[:100])
    printed, told = run()
    assert printed == "1.0 0" and told.count("\n") == 1 and "was damaged, all are made anew" in told
    assert run() == ("1.0 1", "")


def test_it_can_be_switched_off(run, tmp_path):
    assert run(JAX_ENABLE_COMPILATION_CACHE="0") == ("1.0 0", "") and not entries(tmp_path)


def test_those_that_were_not_used_for_the_longest_time_are_removed(tmp_path):
    for name, used in (("old", 1), ("older", 0), ("new", 3), ("newer", 4)):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (used, used))
    compile_cache.prune(tmp_path, 250)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "newer"}
    compile_cache.prune(tmp_path, 250)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_no_obstacle(run, tmp_path):
    (tmp_path / "jaxnaive").write_text("a file in the way")
    assert run() == ("1.0 0", "")
