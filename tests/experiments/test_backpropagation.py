"""Backpropagation, seen and compared: rows S51 and S62."""

import re

from experiments import backpropagation

PNG = b"\x89PNG\r\n\x1a\n"


def test_s51_s62_backpropagation_is_seen_and_saves_a_hundred_thousand_times(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(backpropagation, "ROUNDS", 5)
    monkeypatch.setattr(backpropagation, "PROBED", 50)
    options = backpropagation.Options(dataset="digits", hidden=32, statistics=True, out=tmp_path)
    result = backpropagation.main(options)
    assert result.gradient_difference < 1e-5 and result.curve_difference < 1e-4
    assert result.backward < 20 * result.forward and result.one_by_one > 100 * result.backward
    printed = capsys.readouterr().out
    assert re.search(r"w > mul > add > distance +2 \* 1 \* 1 = +2 +d loss / d w = 2", printed)
    assert re.search(r"b > add > distance +1 \* 1 = +1 +d loss / d b = 1", printed)
    assert "relu > dot_general, gradient" in printed
    for name in ("example.png", "network.png", "statistics.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)
    assert "<svg" in (tmp_path / "network.svg").read_text()
    assert "relu" in (tmp_path / "graph.mmd").read_text()
    assert "dot_general" in (tmp_path / "graph.txt").read_text()
