"""A progress bar whose reader is gone."""

import io
import sys
import threading

import pytest

from jaxnaive.runs import progress


class Broken(io.StringIO):
    """A stream of which the reader has gone."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self):
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("stream", [Broken(), None, "closed"])
def test_a_bar_that_cannot_be_written_is_left_out(monkeypatch, stream):
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.bar(3, "train", "epoch") as bar:
        for _ in range(3):
            bar.update()
            bar.refresh()
        assert bar.n == 3


def test_a_bar_counts_and_is_hidden_where_it_is_asked_to_be(monkeypatch):
    for hidden, is_shown in ((False, True), (True, False), (None, False)):  # this is no terminal
        shown = io.StringIO()
        monkeypatch.setattr(sys, "stderr", shown)
        with progress.bar(3, "train", "epoch", initial=1, hidden=hidden) as bar:
            bar.update(2)
        assert ("train: 100%" in shown.getvalue() and "3/3" in shown.getvalue()) == is_shown


def test_an_interrupt_in_the_middle_of_a_bar_does_not_stop_the_next_one(monkeypatch):
    class Interrupted(io.StringIO):
        def write(self, text):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            progress.bar(3, "train", "epoch")
    drawn = threading.Thread(target=lambda: progress.bar(3, "train", "epoch").close(), daemon=True)
    drawn.start()  # the lock is this thread's, which may take it again
    drawn.join(10)
    assert not drawn.is_alive()
