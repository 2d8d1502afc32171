"""SIGINT and SIGTERM wait until the work at hand is saved."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def deferred() -> Iterator[list[signal.Signals]]:
    """Inside the block SIGINT and SIGTERM are only noted, in the list that it is given, in their order.

    A second SIGINT raises ``KeyboardInterrupt`` at once. Python handles signals between its own instructions:
    one that comes while XLA computes is noted when the computation is over. A signal that was ignored stays
    ignored. In another thread than the main one, where Python handles no signals, they do what they did
    before.
    """
    received: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, frame: object) -> None:
        if number == signal.SIGINT and signal.SIGINT in received:
            raise KeyboardInterrupt
        received.append(signal.Signals(number))

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}
    for number in before:
        signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
