"""A choice on a grid: from inside it, and near-ties by all epochs."""

import itertools

import numpy as np
import pytest

from jaxnaive import grids

NOISE = np.array([-0.001, 0.0, 0.001, 0.0])  # of four runs


def measure(peak, seen):
    """Points are the better the closer they are to the peak, in logarithms; above 100 they diverge."""

    def of_points(points):
        seen.append(points)
        final = -np.abs(np.log(np.array(points) / peak))[:, None] + NOISE
        curves = np.stack([final - 1, final], axis=-1)
        return np.where(np.array(points)[:, None, None] > 100, np.nan, curves)

    return of_points


@pytest.mark.parametrize("peak", [0.0007, 0.05, 0.3, 2.0, 40.0])
def test_the_best_is_inside_also_where_the_grid_begins_elsewhere(peak):
    seen = []
    points, curves, best = grids.choose(measure(peak, seen), [0.01, 0.03, 0.1], 10**0.5)
    assert 0 < best < len(points) - 1 and points == sorted(points) and len(curves) == len(points)
    assert abs(np.log(points[best] / peak)) <= np.log(10) / 8 + 1e-9  # half the way to the next point
    assert sorted(itertools.chain(*seen)) == points  # each was measured once


def test_a_grid_is_made_wider_only_on_the_side_of_the_best():
    seen = []
    grids.choose(measure(0.9, seen), [0.01, 0.1, 1.0], 10.0)
    assert seen[1] == [10, 100] and len(seen) == 3
    seen = []
    grids.choose(measure(0.1, seen), [0.01, 0.1, 1.0], 10.0)
    np.testing.assert_allclose(seen[1], [10**-1.5, 10**-0.5])


def test_a_best_that_stays_at_an_edge_is_an_error():
    with pytest.raises(ValueError, match=r"the best of 1e-08 to 10 is at an edge: 1e-08"):
        grids.choose(measure(1e-20, []), [1.0, 10.0], 10.0)
    with pytest.raises(ValueError, match="all points have a run that diverged"):
        grids.choose(measure(1.0, []), [1000.0, 2000.0], 10.0)


def test_of_points_that_are_as_good_at_the_end_the_faster_one_is_chosen():
    finals = np.array([[0.970, 0.972, 0.971, 0.973], [0.971, 0.971, 0.973, 0.972], [0.95, 0.95, 0.95, 0.95]])
    slow, fast, bad = np.full((3, 4), 0.5)
    early = np.stack([slow, fast + 0.3, bad + 0.4])
    assert grids.best_of(np.stack([early, finals], axis=-1)) == 1
    assert grids.best_of(np.stack([early[[1, 0, 2]], finals], axis=-1)) == 0
    diverged = np.stack([early, finals], axis=-1)
    diverged[1, 2, 0] = np.nan
    assert grids.best_of(diverged) == 0


def test_a_near_tie_with_the_edge_makes_the_grid_wider_too():
    """The best of the points in between is so noisy that the smallest point, which is faster, is as good."""
    finals = {1.0: 0.90, 10.0: 0.95, 100.0: 0.80, 10**1.5: 0.96}

    def of_points(points):
        final = (
            np.array([finals.get(round(point, 9), finals.get(point, 0.5)) for point in points])[:, None]
            + NOISE
        )
        final[[abs(point - 10**1.5) < 1e-9 for point in points]] += [-0.3, 0.3, -0.3, 0.3]
        early = np.where(np.array(points) == 1, 0.9, 0.1)[:, None] + 0 * NOISE
        return np.stack([early, final], axis=-1)

    seen = []
    choice = grids.choose(
        lambda points: (seen.append(points), of_points(points))[1], [1.0, 10.0, 100.0], 10.0
    )
    np.testing.assert_allclose(seen[2], [0.1, 0.01])
    assert choice.points[choice.best] == 1 and choice.best > 0
