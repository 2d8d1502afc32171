"""The three regimes of gradient descent, the learning rate, the gradient of a run: rows S53 to S56."""

import pytest

from experiments import gradient_descent


def test_s53_s54_s55_s56_three_regimes_and_three_regions(tmp_path, capsys):
    options = gradient_descent.Options(dataset="digits", hidden=16, epochs=2, seeds=2, out=tmp_path)
    result = gradient_descent.main(options)
    true, mini, full = (result.regimes[name].mean for name in ("true", "mini-batch", "full batch"))
    assert true > mini > full  # 2,884 updates, 24, 2
    assert "full batch     1,442         2" in capsys.readouterr().out
    slow, good, diverged = (result.rates[name] for name in ("slow", "good", "diverged"))
    assert slow[0] < 2e-4 and diverged[1] == pytest.approx(10)
    assert slow[1] < good[0] <= good[1] < diverged[0]
    assert result.found_loss < 1.2 * result.best_loss  # by the gradient of a run, and by trying
    for name in ("learning_rates.png", "descent.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
