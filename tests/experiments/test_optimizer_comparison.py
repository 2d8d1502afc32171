"""Optimizers compared with error bars: rows S57 and S58."""

import contextlib
import io
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import optimizers as experiment
from jaxnaive import command, job

PNG = b"\x89PNG\r\n\x1a\n"


class Shown(NamedTuple):
    """What the experiment says and returns, with all its parts."""

    folder: Any
    printed: str
    result: experiment.Result


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The whole experiment with half of the optimizers and small networks of two hidden layers."""
    folder, printed = tmp_path_factory.mktemp("optimizers"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(experiment, "RATES", (0.03, 0.1))
        chosen = ("sgd", "momentum", "adam")
        options = experiment.Options(
            "digits", hidden=(16, 16), optimizer=chosen, epochs=4, seeds=3, target=0.5, out=folder
        )
        result = experiment.main(options)
    return Shown(folder, printed.getvalue(), result)


@pytest.mark.xdist_group("optimizers compared")
def test_s57_s58_optimizers_are_compared_with_error_bars(shown):
    assert list(experiment.Options().optimizer) == [
        "sgd",
        "momentum",
        "nesterov",
        "adagrad",
        "rmsprop",
        "adam",
    ]
    assert list(shown.result.rates) == ["sgd", "momentum", "adam"]
    assert np.mean(shown.result.epochs["momentum"]) < np.mean(shown.result.epochs["sgd"])
    assert "digits, 16 + 16 hidden units, 3 seeds" in shown.printed
    assert re.search(r"adam .*\[\d\.\d+, \d\.\d+\]", shown.printed)
    for name in ("rates", "curves", "ranking"):
        assert (shown.folder / f"{name}.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", job.OPTIMIZERS)
def test_a_learning_rate_may_be_one_of_many_at_once(name):
    def follow(rate):
        optimizer = job.OPTIMIZERS[name](rate)
        return optimizer.update(jnp.ones(3), optimizer.init(jnp.ones(3)), jnp.ones(3))[0]

    rates = jnp.array(experiment.RATES)
    np.testing.assert_allclose(
        jax.vmap(follow)(rates), [follow(rate) for rate in experiment.RATES], rtol=1e-6
    )


def test_epochs_to_a_target_are_between_epochs_by_a_straight_line():
    curves = np.array([[0.5, 0.9, 0.95], [0.97, 0.98, 0.99], [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(experiment.epochs_to(curves, 0.92), [2.4, 1, np.inf])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": (16, 0)}, "hidden units: got 0"),
        ({"optimizer": ("sgd",)}, "number of optimizers: got 1, expected 2"),
        ({"optimizer": ("sgd", "sgd")}, "number of optimizers: got 1, expected 2"),
        ({"optimizer": ("sgd", "sdg")}, "optimizer: got 'sdg', expected sgd, momentum"),
        ({"batch_size": 0}, "batch size: got 0"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(tmp_path, changes, message):
    with pytest.raises(command.UsageError, match=message):
        experiment.main(experiment.Options("digits", out=tmp_path, **changes))
    assert not list(tmp_path.glob("*"))
