"""Compiled programs, kept for the next process: bounded, and made anew when one is damaged.

JAX writes and reads the files. It neither bounds them, nor replaces an entry that a kill has cut off.
"""

import contextlib
import hashlib
import logging
import os
import platform
import re
import warnings
from pathlib import Path
from typing import Any

import jax
import jaxlib

MAX_BYTES = 2**28  # a program is some 0.2 MB; those of all experiments are a tenth of this

logger = logging.getLogger("jaxnaive")


def use() -> None:
    """Keep compiled programs in ``~/.cache/jaxnaive`` (or under ``XDG_CACHE_HOME``).

    JAX's own settings take precedence: ``JAX_COMPILATION_CACHE_DIR`` is used as it is, and nothing is kept
    with ``JAX_ENABLE_COMPILATION_CACHE=0``.
    """
    if jax.config.jax_compilation_cache_dir is None:  # pyrefly: ignore[missing-attribute]
        cache_home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        # A program compiled for another processor would be rejected at best.
        folder = cache_home / "jaxnaive" / f"jaxlib-{jaxlib.__version__}-{_processor()}"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            prune(folder, MAX_BYTES)
            _empty_when_damaged(folder)
            jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def prune(folder: Path, max_bytes: int) -> None:
    """Remove the files that were not used for the longest time, until so many bytes are left."""
    found = [(path.stat(), path) for path in folder.iterdir()]
    total = sum(about.st_size for about, _ in found)
    for about, path in sorted(found, key=lambda entry: max(entry[0].st_atime, entry[0].st_mtime)):
        if total <= max_bytes:
            break
        path.unlink(missing_ok=True)  # another process may be doing the same
        total -= about.st_size


def _empty_when_damaged(folder: Path) -> None:
    # JAX warns of an entry that it cannot read, does not say which, and keeps it for ever.
    show = warnings.showwarning

    def showwarning(message: Warning | str, *place: Any, **more: Any) -> None:
        if "Error reading persistent compilation cache" not in str(message):
            show(message, *place, **more)
            return
        logger.warning("%s: a compiled program was damaged, all are made anew", folder)
        for path in folder.iterdir():
            path.unlink(missing_ok=True)

    warnings.showwarning = showwarning


def _processor() -> str:
    try:
        described = re.findall(r"^(?:model name|flags)\b.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        described = [platform.machine()]
    return hashlib.sha256("".join(sorted(set(described))).encode()).hexdigest()[:8]
