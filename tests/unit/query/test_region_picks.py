"""Frames of the regions that a rule picks."""

import numpy as np

from vidal.query.region_picks import frames_of_picks
from vidal.testing.strategies import a_pool, distances, generator


def picks(pool, order, budget, gap=0):
    asked = []

    def rule(count):
        asked.append(count)
        return np.asarray(order)[:count]

    return frames_of_picks(pool, rule, budget, generator(), gap), asked


def test_frames_come_in_the_order_of_the_regions_and_each_once():
    pool = a_pool((10,))  # three regions a frame
    chosen, asked = picks(pool, [29, 28, 0, 15, *range(1, 15), *range(16, 28)], 3)
    assert chosen.tolist() == [9, 0, 5]
    assert asked == [3, 6]  # three regions lay in two frames


def test_frames_near_a_pick_or_a_label_are_passed_over():
    pool = a_pool((10,), labelled=[(0, 9)])
    chosen, _ = picks(pool, np.arange(27)[::-1], 3, gap=2)
    assert chosen.tolist() == [6, 3, 0]
    assert distances(pool, chosen) > 2


def test_frames_without_regions_come_last():
    pool = a_pool((6,), regions_per_frame=0)
    assert sorted(picks(pool, [], 6)[0].tolist()) == list(range(6))


def test_no_more_than_the_budget_and_no_more_than_there_are():
    pool = a_pool((5,))
    order = np.arange(15)
    assert len(picks(pool, order, 0)[0]) == 0
    assert sorted(picks(pool, order, 99)[0].tolist()) == list(range(5))
