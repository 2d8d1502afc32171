"""What a file or a folder is for, training or tests, as its name says."""

import re

SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
}


def split_of(name: str) -> str | None:
    """``train``, ``test`` or ``validation``, if a word of the name says so: ``seg_train`` is for training."""
    return next((SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLITS), None)
