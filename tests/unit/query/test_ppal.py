"""PPAL: weights by hand, matching distances against loops over detections."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.query import matching
from vidal.query.matching import Matching, Shown, k_medoids, spread_choice
from vidal.query.ppal import Ppal, binary_entropy, class_difficulty, difficulty_weights
from vidal.types import BACKGROUND, FrameSet, Items, Pool, Regions

NONE = np.zeros(0, np.int64)


def shown(seed, frames=6, detections=14, classes=2):
    rng = np.random.default_rng(seed)
    return Shown(
        np.sort(rng.integers(frames, size=detections)),
        rng.integers(classes, size=detections),
        rng.random(detections) + 0.05,
        rng.normal(size=(detections, 3)),
        frames,
    )


def one_way(a, b):
    """Detections (label, score, feature) of one frame to those of another."""
    total = 0.0
    for label, score, feature in a:
        cosines = [
            feature @ other / np.linalg.norm(feature) / np.linalg.norm(other)
            for name, _, other in b
            if name == label
        ]
        total += score * (1 - max(cosines, default=-1.0))
    return total / sum(score for _, score, _ in a)


def by_loops(given_):
    """(C, C) distances, detection by detection."""
    rows = list(zip(given_.labels, given_.scores, given_.features, strict=True))
    frames = [[rows[i] for i in np.flatnonzero(given_.frame == f)] for f in range(given_.frames)]
    table = np.zeros((given_.frames, given_.frames))
    for i, a in enumerate(frames):
        for j, b in enumerate(frames):
            if i != j and (a or b):
                table[i, j] = (one_way(a, b) + one_way(b, a)) / 2 if a and b else 2.0
    return table


def test_binary_entropy_is_highest_in_the_middle():
    np.testing.assert_allclose(binary_entropy(np.array([0.0, 0.5, 1.0])), [0, math.log(2), 0])


def test_a_class_is_hard_where_the_right_class_gets_little_or_the_object_is_missed():
    probs = np.array([[0.9, 0.1, 0.0], [0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.1, 0.2, 0.7]])
    answers = np.array([0, 0, 1, 3])
    found = class_difficulty(probs, answers, np.array([2, 2, 0]))
    np.testing.assert_allclose(found, [1 - 1.4 / 2, 1 - 0.4 / 2, 1.0])
    none = class_difficulty(probs[:0], NONE, np.zeros(3))
    np.testing.assert_array_equal(none, [0, 0, 0])


def test_weights_rise_from_one_to_one_and_beta():
    weights = difficulty_weights(np.array([0.0, 0.1, 0.5, 1.0]), alpha=0.3, beta=0.2)
    assert weights[0] == 1.0
    assert weights[3] == pytest.approx(1.2)
    assert weights[1] == pytest.approx(1 + 0.06 * math.log((math.exp(1 / 0.3) - 1) * 0.1 + 1))
    assert (np.diff(weights) > 0).all()
    for alpha, beta in ((0.0, 0.2), (-1.0, 0.2), (0.3, -0.1)):
        with pytest.raises(ValueError):
            difficulty_weights(weights, alpha, beta)


def test_distances_by_hand():
    one = Shown(
        np.array([0, 0, 1]),
        np.array([0, 1, 0]),
        np.array([0.5, 1.5, 1.0]),
        np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 3.0]]),
        3,
    )
    # 0 -> 1: (.5 * 1 + 1.5 * 2) / 2; 1 -> 0: 1; frame 2 shows nothing.
    there = (3.5 / 2 + 1.0) / 2
    expected = [[0, there, 2], [there, 0, 2], [2, 2, 0]]
    np.testing.assert_allclose(Matching(one).matrix(), expected, atol=1e-6)


@given(st.integers(0, 999), st.integers(0, 16), st.sampled_from([1, 20, 10**6]))
def test_distances_are_those_of_loops_however_many_are_held_at_once(seed, detections, held):
    given_ = shown(seed, detections=detections)
    values = matching._VALUES
    try:
        matching._VALUES = held
        table = Matching(given_).matrix()
    finally:
        matching._VALUES = values
    np.testing.assert_allclose(table, by_loops(given_), atol=1e-5)
    np.testing.assert_allclose(table, table.T, atol=1e-6)


def test_medoids_move_to_the_middle_of_their_cluster():
    at = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    table = np.abs(at[:, None] - at)
    assert sorted(k_medoids(table, np.array([0, 5])).tolist()) == [1, 4]


def test_medoids_stay_distinct_among_duplicates():
    found = k_medoids(np.zeros((4, 4)), np.array([2, 3, 1]))
    assert len(set(found.tolist())) == 3


@given(st.integers(0, 99), st.integers(0, 12))
def test_as_many_distinct_frames_as_asked(seed, budget):
    for largest in (matching.LARGEST, 0):
        given_ = shown(seed, frames=9)
        before = matching.LARGEST
        try:
            matching.LARGEST = largest
            chosen = spread_choice(given_, budget, np.random.default_rng(seed))
        finally:
            matching.LARGEST = before
        assert len(np.unique(chosen)) == len(chosen) == min(budget, 9)


def test_without_a_matrix_the_choice_is_farthest_first(monkeypatch):
    given_ = shown(3, frames=8, detections=30)
    table = Matching(given_).matrix()
    monkeypatch.setattr(matching, "LARGEST", 0)
    chosen = spread_choice(given_, 3, np.random.default_rng(0))
    first = int(np.random.default_rng(0).integers(8))
    second = int(np.argmax(np.where(np.arange(8) == first, -1, table[first])))
    least = np.minimum(table[first], table[second])
    least[[first, second]] = -1
    assert chosen.tolist() == sorted([first, second, int(np.argmax(least))])


def a_pool(scores, classes, features, *, answers=NONE, probs=None, objects=None):
    """One frame a clip, one detection a frame."""
    n, k = len(scores), 2
    dist = np.full((n, k + 1), 0.1)
    dist[np.arange(n), classes] = 0.8
    regions = Regions(
        np.arange(n),
        np.tile(np.array([0, 0, 9, 9], np.float32), (n, 1)),
        scores,
        classes,
        dist,
        np.asarray(features, np.float16),
    )
    clips = (*tuple(f"clip-{i}" for i in range(n)), "known")
    given_ = np.zeros((len(answers), k + 1)) if probs is None else np.array(probs)
    items = Items(np.zeros((len(answers), 2)), given_, answers)
    count = np.zeros((0, k), np.int64) if objects is None else np.array([objects])
    labelled = FrameSet(clips, np.full(len(count), n), np.arange(len(count)))
    frames = FrameSet(clips, np.arange(n), np.zeros(n, np.int64))
    return Pool(frames, ("car", "cyclist"), labelled, {}, regions, items, {"objects": count})


def test_classes_that_the_detector_finds_hard_weigh_more():
    scores, classes = np.array([0.5, 0.5]), np.array([0, 1])
    features = np.eye(2)
    plain = a_pool(scores, classes, features)
    np.testing.assert_allclose(Ppal().score(plain), [math.log(2)] * 2, rtol=1e-6)
    probs = [[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.2, 0.7, 0.1]]
    learned = a_pool(
        scores, classes, features, answers=np.array([0, 1, BACKGROUND]), probs=probs, objects=[1, 3]
    )
    np.testing.assert_allclose(Ppal().score(learned), math.log(2) * np.array([1.0, 1.2]), rtol=1e-6)
    words = Ppal().explain(learned, np.array([1])).words[0]
    assert "difficulty of cyclist: 1.00" in words


def test_candidates_are_the_most_unsure_frames_and_picks_are_spread_among_them():
    scores = np.array([0.5, 0.5, 0.52, 0.53, 0.99, 0.99])
    features = np.array([[1, 0], [1, 0.01], [0, 1], [0.01, 1], [-1, 0], [0, -1]])
    pool = a_pool(scores, np.zeros(6, np.int64), features)
    for seed in range(8):
        picks = Ppal(ratio=2).select(pool, 2, np.random.default_rng(seed))
        assert len(set(picks.tolist()) & {0, 1}) == 1
        assert len(set(picks.tolist()) & {2, 3}) == 1


def test_frames_without_detections_come_last():
    pool = a_pool(np.array([0.5]), np.array([0]), np.eye(1, 2))
    clips = pool.frames.clips
    wide = Pool(
        FrameSet(clips, np.array([0, 0]), np.array([0, 9])),
        pool.classes,
        FrameSet(clips, NONE, NONE),
        {},
        pool.regions,
        pool.items,
        {"objects": np.zeros((0, 2), np.int64)},
    )
    assert Ppal().select(wide, 2, np.random.default_rng(0)).tolist() == [0, 1]
    assert Ppal().explain(wide, np.array([1])).words == ("no detections",)
