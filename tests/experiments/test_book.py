"""The notes' own run, its log lines and its published losses: rows S91, S93 and S95."""

import numpy as np
import pytest

from experiments import book
from jaxnaive import command


def check_run(mnist, capsys, epochs):
    """Check what a run prints, and its losses. Returns its test accuracy."""
    loss, accuracy = book.run(0, mnist, show=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "Epoch 0",
        f"loss at batch 0: {loss[0, 0]:.2f}",
        f"loss at batch 100: {loss[0, 100]:.2f}",
    ]
    assert len(lines) == epochs * 6 + 1 and lines[-1] == f"accuracy: {accuracy:.2f}"
    book.check_losses("seed 0", loss[list(book.PUBLISHED), book.PRINTED])
    return accuracy


@pytest.mark.optimise
@pytest.mark.xdist_group("mnist")
def test_s91_s93_s95_the_first_two_epochs_are_the_published_ones(mnist, capsys, monkeypatch):
    monkeypatch.setattr(book, "EPOCHS", 2)
    monkeypatch.setattr(book, "PUBLISHED", {epoch: book.PUBLISHED[epoch] for epoch in (0, 1)})
    check_run(mnist, capsys, 2)


@pytest.mark.slow  # 20 seconds
@pytest.mark.optimise
@pytest.mark.xdist_group("mnist")
def test_s91_s93_s95_the_notes_run_prints_the_notes_lines_and_the_published_losses(mnist, capsys):
    assert abs(check_run(mnist, capsys, 10) - 0.82) <= 0.01


def test_s93_the_books_check_can_fail():
    published = np.array(list(book.PUBLISHED.values())).mean(axis=1)
    book.check_losses("published", published)
    published[2, 3] += 0.06
    with pytest.raises(
        command.MissedError, match=r"epoch 5, batch 300: got 0\.995, 0\.065 from a published loss"
    ):
        book.check_losses("published", published)
    published[2, 3] = np.nan
    with pytest.raises(command.MissedError):
        book.check_losses("published", published)
    with pytest.raises(command.MissedError):
        book.check_accuracy(np.full(8, 0.83))


def test_s93_the_books_main_checks_losses_and_accuracy(monkeypatch):
    loss = np.full((10, 469), 1.0)
    loss[list(book.PUBLISHED), book.PRINTED] = np.array(list(book.PUBLISHED.values())).mean(axis=1)
    runs = {"loss": loss, "accuracy": 0.815}
    monkeypatch.setattr(book.data, "load", lambda *_, **__: None)
    monkeypatch.setattr(book, "run", lambda seed, mnist, show: (runs["loss"], runs["accuracy"]))
    np.testing.assert_array_equal(book.main(book.Options()), np.full(8, 0.815))
    runs["accuracy"] = 0.79
    with pytest.raises(command.MissedError, match="expected a mean test accuracy"):
        book.main(book.Options())
    runs["accuracy"], runs["loss"] = 0.815, loss + 0.06
    with pytest.raises(command.MissedError, match="the run above: epoch"):
        book.main(book.Options())
