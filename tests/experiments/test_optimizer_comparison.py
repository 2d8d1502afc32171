"""Optimizers compared with error bars: rows S57 and S58."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import optimizers as experiment
from jaxnaive import job

OPTIMIZERS = job.OPTIMIZERS
PNG = b"\x89PNG\r\n\x1a\n"


def test_s57_s58_optimizers_are_compared_with_error_bars(tmp_path, monkeypatch, capsys):
    assert list(OPTIMIZERS) == ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"]
    monkeypatch.setattr(job, "OPTIMIZERS", {name: OPTIMIZERS[name] for name in ("sgd", "momentum", "adam")})
    monkeypatch.setattr(experiment, "RATES", (0.03, 0.1))
    options = experiment.Options("digits", hidden=16, epochs=4, seeds=3, target=0.5, out=tmp_path / "out")
    result = experiment.main(options)
    assert list(result.rates) == ["sgd", "momentum", "adam"]
    assert np.mean(result.epochs["momentum"]) < np.mean(result.epochs["sgd"])
    assert re.search(r"adam .*\[0\.\d+, 0\.\d+\]", capsys.readouterr().out)
    for name in ("rates", "curves", "ranking"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_learning_rate_may_be_one_of_many_at_once(name):
    def follow(rate):
        optimizer = OPTIMIZERS[name](rate)
        return optimizer.update(jnp.ones(3), optimizer.init(jnp.ones(3)), jnp.ones(3))[0]

    rates = jnp.array(experiment.RATES)
    np.testing.assert_allclose(
        jax.vmap(follow)(rates), [follow(rate) for rate in experiment.RATES], rtol=1e-6
    )


def test_epochs_to_a_target_are_between_epochs_by_a_straight_line():
    curves = np.array([[0.5, 0.9, 0.95], [0.97, 0.98, 0.99], [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(experiment.epochs_to(curves, 0.92), [2.4, 1, np.inf])
