"""What the four steps of the training loop cost: row S50."""

import re

import pytest

from experiments import steps
from jaxnaive import command


def test_s50_the_four_steps_are_timed_one_by_one(capsys, monkeypatch):
    monkeypatch.setattr(steps, "LARGE", 512)  # the product of the real size takes most of the time
    monkeypatch.setattr(steps, "ROUNDS", 5)
    monkeypatch.setattr(steps, "CALLS", 10)
    costs = steps.main(steps.Options(batch_size=64))
    lines = capsys.readouterr().out.splitlines()
    assert len(costs.seconds) == 4 and len(lines) == 7
    assert costs.seconds["2, 3 run forward, loss"] > 0 and costs.seconds["4a gradient"] > 0
    fractions = [int(re.findall(r"(-?\d+)%", line)[0]) for line in lines[2:6]]
    assert abs(sum(fractions) - 100) <= 2
    # 784 x 512 and 512 x 10 multiplications an example forward; both again, and 512 x 10, for the gradient
    products = sum(costs.least.values()) * costs.rate / 2 / 64
    assert products == pytest.approx(2 * 784 * 512 + 3 * 512 * 10)
    with pytest.raises(command.UsageError, match="batch size: got 0"):
        steps.main(steps.Options(batch_size=0))
