"""EOAL: entropic open-set active learning, AAAI 2024."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.assemble import STRATEGIES
from vidal.errors import UsageError
from vidal.openset import eoal
from vidal.openset.eoal import (
    closed_set_entropy,
    distance_entropy,
    entropic_ova_loss,
    entropic_score,
    select_per_cluster,
    tuplet_loss,
)
from vidal.query.options import build

SEEDS = st.integers(0, 2**32 - 1)


def test_sure_heads_have_no_entropy_and_even_ones_all_of_it():
    found = closed_set_entropy(np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.5]]))
    np.testing.assert_allclose(found, [0, 1, 0.5])
    assert closed_set_entropy(np.zeros((0, 2))).tolist() == []


def test_equally_far_from_all_centres_is_1_and_on_one_far_from_others_is_0():
    centres = np.array([[3.0, 0], [-3, 0], [0, 900]])
    found = distance_entropy(np.array([[3000.0, 0]]), 1000 * centres)
    np.testing.assert_allclose(found, [0], atol=1e-12)
    np.testing.assert_allclose(distance_entropy(np.zeros((1, 2)), centres[:2]), [1])
    cold, warm = (distance_entropy(np.array([[1.0, 0]]), centres[:2], t) for t in (0.5, 5.0))
    assert cold < warm


def test_without_two_centres_distances_say_nothing():
    for count in (0, 1):
        assert distance_entropy(np.ones((2, 3)), np.ones((count, 3))).tolist() == [0, 0]


def test_many_items_are_compared_block_by_block(monkeypatch):
    rng = np.random.default_rng(0)
    features, centres = rng.normal(size=(25, 3)), rng.normal(size=(4, 3))
    whole = distance_entropy(features, centres)
    monkeypatch.setattr(eoal, "_BLOCK", 7)
    np.testing.assert_array_equal(distance_entropy(features, centres), whole)


@given(SEEDS, st.integers(0, 8), st.integers(1, 5))
def test_both_entropies_and_the_score_are_in_their_ranges(seed, n, k):
    rng = np.random.default_rng(seed)
    closed = closed_set_entropy(rng.integers(0, 2, (n, k)) * rng.random((n, k)))
    far = distance_entropy(rng.normal(0, 1e3, (n, 3)), rng.normal(0, 1e3, (k, 3)))
    for each in (closed, far):
        assert ((each >= 0) & (each <= 1)).all()
    score = entropic_score(closed, far)
    np.testing.assert_allclose(score, far - closed)


def test_the_one_vs_all_loss_by_hand():
    p = np.array([[0.8, 0.3], [0.5, 0.5], [0.1, 0.9]])
    known = (-math.log(0.8) - math.log(0.7) - math.log(0.9) - math.log(0.9)) / 2
    unknown = 2 * math.log(2)  # the same for both heads
    found = entropic_ova_loss(p, np.array([0, 2, 1]), alpha=0.6)
    assert found == pytest.approx(0.5 * 0.4 * known + 0.5 * 0.6 * unknown)
    first = entropic_ova_loss(p[[0, 2]], np.array([0, 1]), alpha=0.6, first_round=True)
    assert first == pytest.approx(0.5 * known)


def test_the_one_vs_all_loss_of_empty_parts_is_0_and_with_one_class_there_is_no_other():
    assert entropic_ova_loss(np.zeros((0, 3)), np.zeros(0, int)) == 0
    assert entropic_ova_loss(np.array([[0.5]]), np.array([1])) == pytest.approx(0.8 * math.log(2))
    found = entropic_ova_loss(np.array([[0.25]]), np.array([0]), first_round=True)
    assert found == pytest.approx(0.5 * math.log(4))
    assert math.isfinite(entropic_ova_loss(np.array([[0.0, 1.0]] * 2), np.array([0, 2])))


def test_the_tuplet_loss_is_a_softmax_over_distances_and_the_distance_itself():
    features, centres = np.array([[0.0, 0], [3, 4]]), np.array([[0.0, 0], [3, 4]])
    found = tuplet_loss(features, centres, np.array([0, 0]), beta=0.1)
    first, second = math.log(1 + math.exp(-5)), math.log(1 + math.exp(5)) + 0.5
    assert found == pytest.approx((first + second) / 2)
    assert tuplet_loss(np.zeros((0, 2)), centres, np.zeros(0, int)) == 0
    assert tuplet_loss(features[1:], centres[:1], np.array([0])) == pytest.approx(0.5)


def test_clusters_get_equal_shares_and_the_rest_goes_round():
    scores = np.array([5.0, 4, 3, 2, 1, 9, 8])
    clusters = np.array([7, 7, 7, 7, 7, 3, 3])
    assert select_per_cluster(scores, clusters, 4).tolist() == [0, 1, 5, 6]
    assert select_per_cluster(scores, clusters, 5).tolist() == [0, 1, 2, 5, 6]
    assert select_per_cluster(scores, clusters, 1).tolist() == [5]
    assert select_per_cluster(scores, clusters, 3).tolist() == [0, 5, 6]
    assert select_per_cluster(scores, clusters, 99).tolist() == list(range(7))
    assert select_per_cluster(scores, clusters, 0).tolist() == []
    assert select_per_cluster(np.zeros(0), np.zeros(0), 3).tolist() == []


@given(SEEDS, st.integers(0, 20), st.integers(1, 6), st.integers(0, 25))
def test_a_batch_is_exact_distinct_and_permuted_with_the_pool(seed, n, groups, budget):
    rng = np.random.default_rng(seed)
    scores, clusters = rng.normal(size=n), rng.integers(0, groups, n)
    found = select_per_cluster(scores, clusters, budget)
    assert len(found) == len(np.unique(found)) == min(budget, n)
    order = rng.permutation(n)
    again = select_per_cluster(scores[order], clusters[order], budget)
    np.testing.assert_array_equal(np.sort(order[again]), found)
    number = len(np.unique(clusters))
    for each in np.unique(clusters):
        mine = np.flatnonzero(clusters == each)
        assert np.isin(mine, found).sum() >= min(len(mine), budget // number)
        taken, left = scores[np.intersect1d(mine, found)], scores[np.setdiff1d(mine, found)]
        assert taken.min(initial=np.inf) >= left.max(initial=-np.inf)


def test_of_very_many_items_a_sample_is_clustered_and_the_others_join(monkeypatch):
    rng = np.random.default_rng(0)
    kinds = np.arange(300) % 3
    features = 6 * np.eye(3)[kinds] + rng.normal(0, 0.3, (300, 3))
    monkeypatch.setattr(eoal, "_SAMPLE", 60)
    levels = eoal._levels(features, rng)
    assert all(len(level) == 300 for level in levels)
    assert len(np.unique(levels[-1])) == 1
    finest = levels[0]
    pairs = np.unique(np.stack([finest, kinds], axis=1), axis=0)
    assert len(pairs) == len(np.unique(finest))


def test_options_that_cannot_be_meant_are_refused():
    for options in ({"temperature": 0}, {"width": 0}, {"beta": -1}, {"alpha": 2}, {"centres": -1}):
        with pytest.raises(UsageError):
            build(STRATEGIES["eoal"], options)
