"""Which examples are held out, and what classes weigh."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from jaxnaive import splits
from jaxnaive.batches import Examples

LABELS = np.repeat(np.arange(4, dtype=np.int32), [50, 30, 2, 1])


@pytest.mark.parametrize("order", ["sorted", "mixed"])
def test_each_class_gives_its_fraction_wherever_it_stands(order):
    labels = LABELS if order == "sorted" else np.random.default_rng(1).permutation(LABELS)
    kept, held_out = splits.split_indices(labels, 0.1)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(len(labels)))
    assert np.bincount(labels[held_out], minlength=4).tolist() == [5, 3, 1, 0]
    assert (np.diff(kept) > 0).all() and (np.diff(held_out) > 0).all()


def test_a_split_depends_on_its_seed_alone():
    first, again, other = (splits.split_indices(LABELS, 0.2, seed)[1].tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert splits.split_indices(LABELS, 0.0)[1].tolist() == []


def test_targets_are_drawn_whatever_they_are():
    kept, held_out = splits.split_indices(np.linspace(0, 1, 40, dtype=np.float32)[:, None], 0.25)
    assert (len(kept), len(held_out)) == (30, 10) and 5 < held_out.mean() < 35


def test_what_is_held_out_is_not_trained_on():
    examples = Examples(np.arange(83.0)[:, None], LABELS, np.arange(83, dtype=np.float32))
    train, held_out = splits.hold_out(examples)
    assert not set(train.images[:, 0]) & set(held_out.images[:, 0])
    for part in (train, held_out):
        np.testing.assert_array_equal(part.labels, LABELS[part.images[:, 0].astype(int)])
        np.testing.assert_array_equal(part.weight, part.images[:, 0])


def test_class_weights_are_those_of_scikit_learn():
    expected = compute_sample_weight("balanced", LABELS)
    np.testing.assert_allclose(splits.class_weights(LABELS, 4), expected, rtol=1e-6)
    assert splits.class_weights(LABELS, 6).mean() == pytest.approx(1)  # a class without examples has no say


@pytest.mark.parametrize("fraction", [-0.1, 1, 500])
def test_a_number_of_examples_is_no_fraction(as_a_user, fraction):
    with pytest.raises(ValueError, match=f"fraction: got {fraction}, expected at least 0 and less than 1"):
        splits.split_indices(LABELS, fraction)
