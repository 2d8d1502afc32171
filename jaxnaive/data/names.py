"""Names that are nearly right."""

import difflib
from collections.abc import Sequence


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of an error about an unknown name: the nearest one, or nothing.

    >>> did_you_mean("minst", ["mnist", "digits"]), did_you_mean("x", ["mnist", "digits"])
    ("; did you mean 'mnist'?", '')
    """
    nearest = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
