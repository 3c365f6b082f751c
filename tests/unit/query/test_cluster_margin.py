from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.query import cluster_margin as module
from vidal.query.cluster_margin import average_linkage, cluster_margin
from vidal.query.farthest import Takes


def generator(seed=0):
    return np.random.default_rng(seed)


def test_the_smallest_cluster_comes_first_and_each_gives_one_in_turn():
    clusters = np.array([0, 0, 0, 1, 2, 2])
    picks = cluster_margin(clusters, np.ones(6), 6, generator())
    assert clusters[picks].tolist() == [1, 2, 0, 2, 0, 0]


def test_only_the_smallest_margins_are_candidates():
    clusters, scores = np.array([0, 0, 1, 2]), np.array([0.9, 0.8, 0.7, 0.1])
    for seed in range(10):
        picks = cluster_margin(clusters, scores, 2, generator(seed), candidates=3)
        assert picks[0] == 2
        assert picks[1] in (0, 1)


def test_when_candidates_run_out_the_next_smallest_margins_follow():
    picks = cluster_margin(
        np.zeros(5, int), np.array([5.0, 4, 3, 2, 1]), 5, generator(), candidates=2
    )
    assert [set(picks[a:b].tolist()) for a, b in ((0, 2), (2, 4), (4, 5))] == [{0, 1}, {2, 3}, {4}]


def test_one_cluster_draws_at_random_among_the_candidates():
    scores = np.array([1.0, 1.0, 1.0, 0.0])
    firsts = [
        int(cluster_margin(np.zeros(4), scores, 1, generator(seed), candidates=3)[0])
        for seed in range(300)
    ]
    assert min(np.bincount(firsts, minlength=4)[:3]) > 60
    assert 3 not in firsts


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(0, 35), st.integers(0, 9))
def test_no_cluster_gives_two_before_all_have_given_one(clusters, budget, seed):
    groups = np.array(clusters, np.int64)
    picks = cluster_margin(groups, np.ones(len(groups)), budget, generator(seed))
    assert len(np.unique(picks)) == len(picks) == min(budget, len(groups))
    given_ = np.bincount(groups[picks], minlength=5)
    sizes = np.bincount(groups, minlength=5)
    left = given_ < sizes
    # Who has more to give has given as much as anybody, but for the round at hand.
    assert not left.any() or given_[left].min() >= given_.max() - 1


def test_rows_that_a_pick_takes_away_are_not_chosen():
    takes = Takes(Takes.itself(6).own, np.repeat([[0, 3], [3, 6]], 3, axis=0))
    free = np.array([True, True, True, False, True, True])
    picks = cluster_margin(np.arange(6), np.ones(6), 6, generator(), takes=takes, free=free)
    assert sorted(picks // 3) == [0, 1]
    assert 3 not in picks


def test_other_numbers_of_clusters_are_refused():
    with pytest.raises(ValueError):
        cluster_margin(np.zeros(2), np.zeros(3), 1, generator())


def test_clusters_are_groups_of_near_points():
    points = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
    found = average_linkage(points, 3, generator())
    assert [a == b for a, b in pairwise(found.tolist())] == [True, False, True, False]
    assert average_linkage(points, 1, generator()).tolist() == [0] * 5
    assert average_linkage(points[:1], 3, generator()).tolist() == [0]
    assert average_linkage(points[:0], 3, generator()).shape == (0,)
    assert len(np.unique(average_linkage(np.ones((4, 2)), 3, generator()))) <= 3


def test_above_the_sample_others_join_the_nearest_mean(monkeypatch):
    monkeypatch.setattr(module, "_SAMPLE", 20)
    rng = generator(1)
    points = (np.arange(3) * 50.0)[rng.integers(3, size=200), None] + rng.normal(size=(200, 1))
    found = average_linkage(points.astype(np.float16), 3, rng)
    for group in range(3):
        assert np.ptp(points[found == group]) < 10
