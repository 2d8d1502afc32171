"""How a small network uncrumples two spirals: rows S41 and S42."""

import jax.numpy as jnp
import numpy as np

from experiments import manifold


def test_s41_s42_the_hidden_layers_uncrumple_what_no_line_separates(tmp_path, monkeypatch):
    monkeypatch.setattr(manifold, "EPOCHS", (0, 100))  # every one that is drawn takes half a second
    first, last = manifold.main(manifold.Options(out=tmp_path))
    assert first.epoch == 0 and max(first.separability) < 0.75
    assert last.separability[0] == first.separability[0]  # the input stays what it is
    assert last.separability[1] > 0.9 and min(last.separability[2:]) > 0.98
    assert (tmp_path / "manifold.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert (tmp_path / "manifold.gif").read_bytes().startswith(b"GIF89a")


def test_s42_the_linear_classifier_is_that_of_numpy():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 3)).astype(np.float32), rng.integers(0, 2, 200)
    weights = np.linalg.lstsq(np.column_stack([x, np.ones(200)]), 2 * y - 1, rcond=None)[0]
    expected = np.mean((np.column_stack([x, np.ones(200)]) @ weights > 0) == (y == 1))
    labels = jnp.asarray(y, jnp.int32)
    assert abs(manifold.linear_accuracy(jnp.asarray(x), labels, jnp.asarray(x), labels) - expected) < 0.006
