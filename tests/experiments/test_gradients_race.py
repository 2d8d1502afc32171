"""The ten programs of the race of gradients: ours are JAX's, and one is raced from end to end."""

import json
from typing import Any

import jax
import pytest
from conftest import assert_trees_close

from experiments.race import gradients
from experiments.race.programs import PROGRAMS
from jaxnaive import backprop, command


@pytest.mark.parametrize("name", PROGRAMS)
def test_s61_the_gradient_of_each_program_is_that_of_jax(name):
    def compiled(side):
        function, args = PROGRAMS[name](True, side.grad)
        step: Any = jax.jit(side.value_and_grad(function)).lower(*args).compile()
        costs, memory = step.cost_analysis(), step.memory_analysis().temp_size_in_bytes
        return step(*args), (costs["flops"], costs["bytes accessed"], memory)

    (got, costs), (expected, costs_of_jax) = compiled(backprop), compiled(jax)
    assert_trees_close(got, expected, rtol=1e-4, atol=1e-6)
    # What the compiler counts is free of noise. To run the steps of a scan twice makes 1.5 times the flops.
    assert all(ours <= gradients.STEP_BAR * theirs for ours, theirs in zip(costs, costs_of_jax, strict=True))


def test_a_race_prints_its_table_and_writes_its_numbers(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gradients, "STEP_BAR", 1e3)  # a step of this size cannot be timed
    monkeypatch.setattr(gradients, "TRACING_BAR", 1e3)
    file = tmp_path / "gradients.json"
    rows = gradients.main(gradients.Options(("LSTM",), rounds=6, json=file, small=True))
    assert json.loads(file.read_text()) == {"LSTM": gradients._as_dict(rows["LSTM"])}
    assert rows["LSTM"].step.low <= rows["LSTM"].step.median <= rows["LSTM"].step.high
    assert capsys.readouterr().out.splitlines()[1].startswith("LSTM ")


def test_a_program_over_the_bar_is_raced_again_and_then_missed(capsys, monkeypatch):
    monkeypatch.setattr(gradients, "STEP_BAR", 0.0)
    with pytest.raises(command.MissedError, match=r"also with 4 times the rounds: MLP: step .* > 0"):
        gradients.main(gradients.Options(("MLP",), rounds=1, small=True))
    assert "once more, with 4 times the rounds" in capsys.readouterr().out


def test_an_unknown_program_is_refused():
    with pytest.raises(ValueError, match="programs: got 'GPT', expected one or more of 'MLP'"):
        gradients.check(gradients.Options(("GPT",)))


def test_a_ratio_is_the_median_with_an_interval():
    ratio = gradients.ratio([2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0], [2.0] * 7)
    assert ratio == (4, 1, 7)  # of 7 ratios the lowest and the highest hold the median with 98 %
