"""Functions timed next to each other."""

import time

import pytest

from jaxnaive.command import benchmark


def test_functions_are_timed_in_turn_and_the_median_of_a_call_is_returned(monkeypatch):
    called, clock = [], [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def function(name, *seconds):
        rest = list(seconds)

        def call():
            called.append(name)
            clock[0] += rest.pop(0)

        return call

    a, b = function("a", 9.0, 1.0, 5.0, 2.0), function("b", *[9.0] * 2, *[0.5] * 6)
    assert benchmark.medians(a, b, rounds=3, calls=(1, 2)) == pytest.approx([2.0, 0.5])
    assert called == ["a", "b", "b"] * 4  # the first round is not counted
