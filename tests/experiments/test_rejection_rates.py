"""How often a network is not sure: the table, and what it is drawn from."""

from dataclasses import replace

import numpy as np
import pytest

from experiments import rejection
from experiments.measurements import Output, read_rejection
from jaxnaive import command, networks, splits

pytestmark = pytest.mark.xdist_group("mnist")


@pytest.fixture
def few(monkeypatch, mnist, digits):
    """Some pictures of each kind."""
    some = {"FONTS": ("DejaVuSans", "cmr10"), "LETTERS": "AEKWahkx", "LIKE_DIGITS": "O", "SCRIBBLES": 10}
    for name, value in some.items():
        monkeypatch.setattr(rejection, name, value)
    known = {"mnist": (mnist, 5), "digits": (digits, 20)}
    small = {
        name: replace(full, test=splits.select(full.test, slice(0, None, n)))
        for name, (full, n) in known.items()
    }
    monkeypatch.setattr(rejection.data, "load", small.get)


def test_digits_are_accepted_and_letters_and_noise_are_not(few, mnist_run, capsys, tmp_path):
    rows = rejection.main(rejection.Options(run=mnist_run))
    printed = capsys.readouterr().out
    network = networks.load(mnist_run)
    digits, letters = rows["MNIST's test digits"], rows["letters"]
    assert digits.count == 2000 and 0.96 < digits.accepted < 0.985
    assert letters.count == 2 * 8 and letters.accepted < 0.4 < rows["digits in fonts"].accepted
    assert rows["noise"].accepted == rows["noise, blurred"].accepted == 0
    images = np.asarray(rejection.data.load("mnist").test.images[:500])
    assert rejection.measure(network, [*images, None]).accepted * 501 == (~network.is_unlike(images)).sum()
    values = read_rejection([Output(printed, tmp_path, 1.0)])
    assert values["digits"].value == pytest.approx(100 * (1 - digits.accepted), abs=0.06)
    assert values["letters"].value == pytest.approx(100 * letters.accepted, abs=0.06)


def test_rates_that_are_not_as_promised_are_an_error():
    good = {name: rejection.Row(1, 0.0, 1.0) for name in rejection.MOST_ACCEPTED}
    rejection.check(good | {"MNIST's test digits": rejection.Row(1, 0.98, 1.0)})
    with pytest.raises(command.MissedError, match=r"digits refused: got 5\.0%, expected 3% or less"):
        rejection.check(good | {"MNIST's test digits": rejection.Row(1, 0.95, 1.0)})
    bad = good | {"letters": rejection.Row(1, 0.6, 1.0), "MNIST's test digits": rejection.Row(1, 0.98, 1.0)}
    with pytest.raises(command.MissedError, match=r"letters accepted: got 60\.0%, expected 40% or less"):
        rejection.check(bad)


def test_a_network_for_something_else_than_digits_is_a_wrong_usage(mnist_run, monkeypatch):
    other = networks.load(mnist_run)
    classes = other.schema.outputs._replace(names=tuple("abcdefghij"))
    monkeypatch.setattr(
        networks, "load", lambda path: other._replace(schema=other.schema._replace(outputs=classes))
    )
    with pytest.raises(command.UsageError, match=r"run: got a network for a, b, .*, expected digits"):
        rejection.main(rejection.Options(run=mnist_run))
