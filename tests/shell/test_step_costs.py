"""What the four steps of the training loop cost: row S50."""

import re

import pytest

from jaxnaive.command import step_costs


def test_s50_the_four_steps_are_timed_one_by_one(monkeypatch):
    monkeypatch.setattr(step_costs, "LARGE", 512)  # the product of the real size takes most of the time
    monkeypatch.setattr(step_costs, "ROUNDS", 5)
    monkeypatch.setattr(step_costs, "CALLS", 10)
    costs = step_costs.measure(64)
    lines = step_costs.to_text(costs).splitlines()
    assert len(costs.seconds) == 4 and len(lines) == 7
    assert costs.seconds["2, 3 run forward, loss"] > 0 and costs.seconds["4a gradient"] > 0
    fractions = [int(re.findall(r"(-?\d+)%", line)[0]) for line in lines[2:6]]
    assert abs(sum(fractions) - 100) <= 2
    # 784 x 512 and 512 x 10 multiplications an example forward; both again, and 512 x 10, for the gradient
    products = sum(costs.least.values()) * costs.rate / 2 / 64
    assert products == pytest.approx(2 * 784 * 512 + 3 * 512 * 10)
    with pytest.raises(ValueError, match="batch size: got 0"):
        step_costs.measure(0)
