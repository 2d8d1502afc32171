"""Movements of space, and the collapse of affine layers: rows S40 and S41, experiments/geometry.py."""

import re

from experiments import geometry


def test_s40_s41_affine_layers_learn_no_more_than_one_and_relu_makes_the_difference(tmp_path, capsys):
    options = geometry.Options(dataset="digits", hidden=(32, 32), seeds=2, out=tmp_path)
    one, three, relu = (accuracies.mean() for accuracies in geometry.main(options).values())
    assert three < one + 0.005 and relu > one
    printed = capsys.readouterr().out
    assert re.search(r"translation by \(1, 0\.5\) .* affine, not linear", printed)
    assert len(re.findall(r"  linear$", printed, re.MULTILINE)) == 3
    (difference,) = re.findall(r"logits differ by at most (\S+)", printed)
    assert float(difference) < 1e-4
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
