"""What is like nothing that was trained on: the distance by hand, its limit, noise in the place of digits."""

import numpy as np
import pytest

from jaxnaive import rejection

RNG = np.random.default_rng(0)
LABELS = (np.arange(1200) % 3).astype(np.int32)
SHAPES = RNG.random((3, 8, 8))  # of three classes
IMAGES = (255 * np.clip(SHAPES[LABELS] + RNG.normal(0, 0.1, (1200, 8, 8)), 0, 1)).astype(np.uint8)


def by_hand(image, learned, k):
    """What the class's mean and axes leave of an image, by least squares."""
    cells = [np.sqrt(np.mean(image[y : y + 2, x : x + 2] / 255)) for y in (0, 2, 4, 6) for x in (0, 2, 4, 6)]
    away = np.array(cells) - learned.mean[k]
    axes = learned.axes[k].astype(float)
    return np.sum((away - axes @ np.linalg.lstsq(axes, away)[0]) ** 2)


@pytest.fixture
def learned(monkeypatch):
    monkeypatch.setattr(rejection, "AXES", 5)
    return rejection.learn(IMAGES, LABELS, 3)


def test_the_distance_is_what_mean_and_axes_of_the_class_leave(learned):
    for k in range(3):
        found = rejection.distances(learned, IMAGES[:4], np.full(4, k))
        expected = [by_hand(image, learned, k) for image in IMAGES[:4]]
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_axes_are_those_in_which_the_examples_of_a_class_differ_most(learned):
    of_class = IMAGES[LABELS == 1][::2][:150] / 255
    cells = np.sqrt(of_class.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16))
    some = cells[: len(cells)]
    assert learned.mean[1] == pytest.approx(some.mean(axis=0), abs=0.02)
    left = [np.sum(((some - some.mean(0)) @ axes) ** 2) for axes in (learned.axes[1], np.eye(16)[:, :5])]
    assert left[0] > 1.2 * left[1]


def test_as_many_are_refused_as_is_said_and_those_of_other_classes_too(learned):
    fresh = np.clip(SHAPES[LABELS] + np.random.default_rng(1).normal(0, 0.1, (1200, 8, 8)), 0, 1)
    as_floats = fresh.astype(np.float32)
    refused = rejection.is_unlike(learned, as_floats, LABELS)
    assert refused.mean() == pytest.approx(rejection.REFUSED, abs=0.02)
    assert rejection.is_unlike(learned, as_floats, (LABELS + 1) % 3).all()
    flat = np.round(255 * fresh).astype(np.uint8).reshape(1200, 64)
    agree = rejection.is_unlike(learned, flat, LABELS) == refused
    assert agree.mean() > 0.99


def test_the_limit_is_that_of_pictures_which_the_axes_have_not_seen(monkeypatch):
    monkeypatch.setattr(rejection, "AXES", 5)
    few = rejection.learn(IMAGES[:60], LABELS[:60], 3)  # so few that the axes fit them closely
    assert rejection.is_unlike(few, IMAGES[60:], LABELS[60:]).mean() < 0.1


def test_it_has_the_shapes_that_a_file_is_expected_to_have(learned):
    blank = rejection.blank(3, 64)
    assert [part.shape for part in blank] == [part.shape for part in learned]
    assert [part.dtype for part in blank] == [part.dtype for part in learned]


def test_a_class_with_one_example_or_none_does_no_harm():
    alone = rejection.learn(IMAGES[:1], np.zeros(1, np.int32), 2)
    assert not rejection.is_unlike(alone, IMAGES[:2], np.array([0, 1])).any() and np.isinf(alone.limit)
    few = rejection.learn(IMAGES, np.minimum(LABELS, 1), 3)
    assert all(np.isfinite(part).all() for part in few)


def test_paper_is_told_from_a_blackboard():
    assert not rejection.is_light(rejection.learn(IMAGES // 3, LABELS, 3))
    assert rejection.is_light(rejection.learn(255 - IMAGES // 3, LABELS, 3))


def test_of_mnists_test_images_few_are_refused_and_all_noise_is(mnist):
    learned = rejection.learn(mnist.train.images, mnist.train.labels, 10)
    test, labels = mnist.test.images[:4000], np.asarray(mnist.test.labels[:4000])
    assert 0.01 < rejection.is_unlike(learned, test, labels).mean() < 0.045
    noise = np.random.default_rng(0).integers(0, 256, (200, 28, 28), np.uint8)
    assert rejection.is_unlike(learned, noise, np.arange(200) % 10).all()
    assert rejection.is_unlike(learned, test, (labels + 1) % 10).mean() > 0.7
