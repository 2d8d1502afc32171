"""Arrays on disk that load at once: plain ``.npy`` files, memory-mapped, with a manifest of their hashes.

The arrays are in a folder that is put in place by one rename: it is whole or not there, and two processes may
write the same one at once. A folder whose hashes do not agree is named in a warning and removed.
"""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from jaxnaive.disk import files
from jaxnaive.disk.files import StrPath

FORMAT = 1
MANIFEST = "manifest.json"

logger = logging.getLogger("jaxnaive")


def write(folder: StrPath, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    """Store arrays under their names, along with anything JSON can hold.

    Raises:
      OSError: the folder cannot be written; nothing of it is left.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex}")
    temporary.mkdir()
    try:
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array)
            files.sync(temporary / f"{name}.npy")
        digests = {name: sha256(temporary / f"{name}.npy") for name in arrays}
        manifest = {"format": FORMAT, "about": about, "sha256": digests}
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        files.sync(temporary / MANIFEST)
        files.sync(temporary)
        if not folder.exists():  # or else another process was first, with the same arrays
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read(folder: StrPath, verify: bool = True) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """The arrays, memory-mapped and read-only, and their ``about``; ``None`` if they are missing or damaged.

    Args:
      folder: that :func:`write` wrote.
      verify: whether to compare their hashes, which reads all of them once.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise ValueError(f"{MANIFEST}: format {manifest['format']}, expected {FORMAT}")
        for name, digest in manifest["sha256"].items():
            if verify and sha256(folder / f"{name}.npy") != digest:
                raise ValueError(f"{name}.npy: the sha256 is not the one in {MANIFEST}")
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in manifest["sha256"]}
        return arrays, dict(manifest["about"])
    except PermissionError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("%s is damaged and will be made again (%s)", folder, error)
        remove(folder)
        return None


def remove(folder: StrPath) -> None:
    """Remove the folder, also while another process does the same."""
    folder = Path(folder)
    doomed = folder.with_name(f".{folder.name}.{uuid4().hex}")
    try:
        folder.rename(doomed)
    except OSError:
        return
    shutil.rmtree(doomed, ignore_errors=True)


def sha256(path: StrPath) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
