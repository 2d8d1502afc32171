"""When to say "not sure": a picture that is unlike all that a network was trained on.

A softmax has no word for it: its probabilities add up to 1 for a letter too. So each class is described by
its own training pictures, and a picture is compared with those of the class that the network says. They are
described by their mean ``m`` and by the few directions ``A`` in which they differ most from each other; what
is left of a picture when both are taken away is how far it is from them:

    distance(x) = |f(x) - m|^2 - |A^T (f(x) - m)|^2

``f`` is the square root of the means of 2 x 2 pixels: the root makes faint ink count. The distance beyond
which a picture is refused is chosen on training pictures that ``m`` and ``A`` were not computed from, so that
three in a hundred of them are. The network has no part in this, so it does no harm that it is surer of those
pictures than of others.

Source: S. Watanabe, P. F. Lambert, C. A. Kulikowski, J. L. Buxton, R. Walker, "Evaluation and selection of
variables in pattern recognition", 1967; E. Oja, "Subspace methods of pattern recognition", 1983.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int, Shaped

from jaxnaive.batches import AnyArray

AXES = 20  # directions of a class
REFUSED = 0.03  # of pictures like those of training
PASSES = 4  # of subspace iteration; eigh takes 0.02 s alone, and seconds where others use the cores too
PER_CLASS = 400  # training pictures that are looked at: with all of them the rates are the same
LIGHT = 0.5  # of the largest value: a background above it is paper, and below it a blackboard


class Rejection(NamedTuple):
    """What the training pictures of each class look like, and how far from them is too far."""

    mean: Float32[np.ndarray, "classes cells"]
    axes: Float32[np.ndarray, "classes cells axes"]
    limit: Float32[np.ndarray, ""]


def blank(classes: int, pixels: int) -> Rejection:
    """Zeros of the shapes that :func:`learn` gives for square pictures of so many pixels."""
    cells = _cells(np.zeros((1, pixels), np.float32)).shape[1]
    sizes = (classes, cells), (classes, cells, min(AXES, cells)), ()
    return Rejection(*(np.zeros(size, np.float32) for size in sizes))


def learn(
    images: Shaped[AnyArray, "examples ..."], labels: Int[AnyArray, " examples"], classes: int
) -> Rejection:
    """What is needed to tell whether a picture is like those of training.

    Args:
      images: square pictures, or rows of their pixels: uint8, or floats from 0 to 1.
      labels: of the classes, from 0.
      classes: how many there are.
    """
    known, places = np.asarray(labels), [np.flatnonzero(np.asarray(labels) == k) for k in range(classes)]
    some = [of_class[:: max(1, math.ceil(len(of_class) / PER_CLASS))] for of_class in places]
    described = [_described(_cells(images[of_class[::2]])) for of_class in some]
    mean, axes = (np.stack(parts) for parts in zip(*described, strict=True))
    others = np.sort(np.concatenate([of_class[1::2] for of_class in some]))
    learned = Rejection(mean, axes, np.full((), np.inf, np.float32))
    if not len(others):
        return learned
    found = distances(learned, images[others], known[others])
    return learned._replace(limit=np.asarray(np.quantile(found, 1 - REFUSED), np.float32))


def distances(
    rejection: Rejection, images: Shaped[AnyArray, "examples ..."], places: Int[AnyArray, " examples"]
) -> Float32[np.ndarray, " examples"]:
    """How far each picture is from the training pictures of a class, such as the one the network says."""
    cells, found = _cells(images), np.zeros(len(images), np.float32)
    for k in np.unique(places):
        away = cells[places == k] - rejection.mean[k]
        found[places == k] = (away**2).sum(axis=1) - ((away @ rejection.axes[k]) ** 2).sum(axis=1)
    return found


def is_unlike(
    rejection: Rejection, images: Shaped[AnyArray, "examples ..."], places: Int[AnyArray, " examples"]
) -> Bool[np.ndarray, " examples"]:
    """Whether each picture is too far from the training pictures of its class."""
    return distances(rejection, images, places) > rejection.limit


def is_light(rejection: Rejection) -> bool:
    """Whether the training pictures are dark on light, as their edges say; MNIST's are light on dark."""
    side = math.isqrt(rejection.mean.shape[1])
    edge = np.pad(np.zeros((side - 2, side - 2), bool), 1, constant_values=True).ravel()
    return bool(rejection.mean[:, edge].mean() > math.sqrt(LIGHT))


def _cells(images: AnyArray) -> Float32[np.ndarray, "examples cells"]:
    """Square roots of the means of 2 x 2 pixels."""
    array = np.asarray(images)
    half = math.isqrt(math.prod(array.shape[1:])) // 2
    values = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1)
    means = values.reshape(len(array), half, 2, half, 2).mean(axis=(2, 4))
    return np.sqrt(np.maximum(means, 0)).reshape(len(array), half * half)


def _described(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of some pictures, and about the directions in which they differ most."""
    mean = cells.mean(axis=0) if len(cells) else np.zeros(cells.shape[1], np.float32)
    away = cells - mean
    scatter, size = away.T @ away, cells.shape[1]
    axes = np.random.default_rng(0).normal(size=(size, min(AXES, size))).astype(np.float32)
    for _ in range(PASSES):
        axes, _ = np.linalg.qr(scatter @ axes)
    return mean, axes
