"""Python's search for garbage, of which a program that imports jax and ends soon is better spared.

What importing jax makes lives as long as the process. Yet the collector looks at all of it again whenever
many objects are new, such as in a trace, and at the end once more: 0.25 of the 2.4 seconds of a short run.
"""

import atexit
import gc


def spare() -> None:
    """Leave out of every search what there is now, and at the end of the process everything.

    Call it when all is imported. Only garbage in cycles is searched for; the rest is freed as ever.
    """
    gc.freeze()
    atexit.register(gc.freeze)
