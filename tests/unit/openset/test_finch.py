"""FINCH, CVPR 2019: clusters of first neighbours."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vidal.openset.finch import (
    clusters_of_number,
    finest_within,
    first_neighbour_clusters,
    means_of,
    partitions,
)

SEEDS = st.integers(0, 2**32 - 1)


def by_the_paper(features):
    """Components of: j is the first neighbour of i, i that of j, or both have the same."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    alike = (unit @ unit.T).round(12)
    np.fill_diagonal(alike, -np.inf)
    first = alike.argmax(axis=1)
    n = len(features)
    joined = np.zeros((n, n), bool)
    for i in range(n):
        for j in range(n):
            joined[i, j] = i != j and (first[i] == j or first[j] == i or first[i] == first[j])
    group = np.full(n, -1)
    for start in range(n):
        if group[start] < 0:
            group[start], queue = group.max() + 1, [start]
            while queue:
                for other in np.flatnonzero(joined[queue.pop()] & (group < 0)):
                    group[other] = group[start]
                    queue.append(other)
    return group


@given(SEEDS, st.integers(2, 20), st.integers(1, 4))
def test_the_finest_partition_is_the_one_of_the_paper(seed, n, width):
    features = np.random.default_rng(seed).normal(size=(n, width))
    np.testing.assert_array_equal(first_neighbour_clusters(features), by_the_paper(features))


def test_pairs_of_neighbours_are_clusters_numbered_by_their_first_item():
    angles = np.deg2rad([0, 90, 2, 93, 200])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert first_neighbour_clusters(points).tolist() == [0, 1, 0, 1, 1]
    assert first_neighbour_clusters(3 * points).tolist() == [0, 1, 0, 1, 1]


def test_no_one_and_equal_items():
    assert first_neighbour_clusters(np.zeros((0, 3))).tolist() == []
    assert first_neighbour_clusters(np.ones((1, 3))).tolist() == [0]
    assert first_neighbour_clusters(np.ones((5, 3), np.float32)).tolist() == [0] * 5
    assert first_neighbour_clusters(np.zeros((4, 2))).tolist() == [0] * 4
    assert [each.tolist() for each in partitions(np.zeros((0, 2)))] == [[]]


@given(SEEDS, st.integers(1, 40))
def test_partitions_are_nested_and_end_in_one_cluster(seed, n):
    levels = partitions(np.random.default_rng(seed).normal(size=(n, 3)))
    counts = [len(np.unique(level)) for level in levels]
    assert counts[-1] == 1
    assert counts == sorted(counts, reverse=True)
    for fine, coarse in pairwise(levels):
        assert len(np.unique(np.stack([fine, coarse], axis=1), axis=0)) == len(np.unique(fine))
    for most in range(1, n + 1):
        found = finest_within(levels, most)
        assert len(np.unique(found)) <= most


@given(SEEDS, st.integers(0, 30), st.integers(1, 12))
def test_a_number_of_clusters_is_met_or_as_many_as_there_are_distinct_items(seed, n, count):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 3))[rng.integers(0, max(1, n), n)]
    found = clusters_of_number(features, count)
    distinct = len(np.unique(features, axis=0))
    assert len(np.unique(found)) == min(count, distinct)
    if n:
        assert found.max() + 1 == min(count, distinct)


def test_a_number_of_clusters_finds_planted_directions():
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.arange(4), 25)
    features = 5 * np.eye(4)[kinds] + rng.normal(0, 0.4, (100, 4))
    found = clusters_of_number(features, 4)
    assert len(np.unique(np.stack([kinds, found], axis=1), axis=0)) == 4


def test_very_many_clusters_are_merged_without_comparing_all_pairs(monkeypatch):
    monkeypatch.setattr("vidal.openset.finch._PAIRS", 12)
    features = np.random.default_rng(0).normal(size=(200, 5))
    for count in (3, 11, 30):
        assert len(np.unique(clusters_of_number(features, count))) == count


def test_means_are_of_each_cluster():
    found = means_of(np.array([[1.0, 0], [3, 0], [0, 5]]), np.array([0, 0, 1]), 2)
    assert found.tolist() == [[2, 0], [0, 5]]
