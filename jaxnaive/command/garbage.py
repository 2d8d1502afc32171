"""Freezes the objects that importing jax made, so that the garbage collector stops rescanning them."""

import atexit
import gc


def freeze_imported_objects() -> None:
    """Exempt from collection what there is now, and at the end of the process everything.

    Call it when all is imported. Those objects live as long as the process, yet the collector would scan them
    again whenever many objects are new, such as in a trace, and once more at the end: 0.25 of the 2.4 seconds
    of a short run. Only garbage in cycles is affected; all else is freed as usual.
    """
    gc.freeze()
    atexit.register(gc.freeze)
