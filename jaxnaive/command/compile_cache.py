"""Compiled programs, kept for the next process: bounded, and emptied when one of them is damaged.

JAX writes and reads the files. It never replaces an entry that a kill has cut off, and warns of it in every
later process. Its own bound, ``jax_compilation_cache_max_size``, keeps a second file for each entry; where a
kill comes between the two, JAX caches nothing more in this folder.
"""

import hashlib
import logging
import os
import platform
import re
from pathlib import Path

import jax
import jaxlib

from jaxnaive.disk import files

MAX_BYTES = 2**28  # a program takes some 0.2 MB, and those of all experiments a tenth of this
DAMAGED = "Error reading persistent compilation cache"
UNWRITTEN = "Error writing persistent compilation cache"
NOT_KEPT = "compiled programs are not kept for the next time"

logger = logging.getLogger("jaxnaive")


def use() -> None:
    """Keep compiled programs in ``~/.cache/jaxnaive`` (or under ``XDG_CACHE_HOME``).

    JAX's own settings take precedence: ``JAX_COMPILATION_CACHE_DIR`` is used as it is, and nothing is kept
    with ``JAX_ENABLE_COMPILATION_CACHE=0``.
    """
    if jax.config.jax_compilation_cache_dir is None:  # pyrefly: ignore[missing-attribute]
        try:
            folder = _make_folder()
        except (OSError, RuntimeError) as error:  # the second is pathlib's where there is no home
            logger.warning("%s (%s)", NOT_KEPT, error)
            return
        _heed_warnings(folder)
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _make_folder() -> Path:
    """The folder of programs that were compiled for this processor: others would be rejected at best."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = cache_home / "jaxnaive" / f"jaxlib-{jaxlib.__version__}-{_processor()}"
    files.make_folder(folder)
    if sum(path.stat().st_size for path in folder.iterdir()) > MAX_BYTES:
        empty(folder)
    return folder


def empty(folder: Path) -> None:
    """Remove the files of a folder, also while another process does the same."""
    for path in folder.iterdir():
        path.unlink(missing_ok=True)


class _HeedWarnings(logging.Filter):
    """Acts on what JAX warns of, and says it in one line: JAX names no file, and repeats itself."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.said = False  # that programs are not kept

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if DAMAGED in message:
            logger.warning("%s: a compiled program was damaged, so all are compiled again", self.folder)
            empty(self.folder)
            return False
        if UNWRITTEN in message:
            if not self.said:
                logger.warning("%s (%s cannot be written to)", NOT_KEPT, self.folder)
            self.said = True
            return False
        return True


def _heed_warnings(folder: Path) -> None:
    logging.captureWarnings(True)  # JAX says it by a warning; the other warnings are logged as they are
    logging.getLogger("py.warnings").addFilter(_HeedWarnings(folder))


def _processor() -> str:
    try:
        described = re.findall(r"^(?:model name|flags)\b.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        described = [platform.machine()]
    return hashlib.sha256("".join(sorted(set(described))).encode()).hexdigest()[:8]
