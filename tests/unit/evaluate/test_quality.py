from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from vidal.evaluate.matching import ClipMatch, match_clip
from vidal.evaluate.quality import (
    VerdictCounts,
    capture_curve,
    class_entropy,
    class_imbalance,
    correlate,
    false_positive_verdicts,
    missed_verdicts,
    nearest_pick_distance,
    rank_agreement,
    rank_correlation,
    stability,
)
from vidal.evaluate.true_errors import true_errors
from vidal.types import Annotations, Detections, ErrorEstimate

CLASSES = ("car", "person")


def a_match() -> ClipMatch:
    """Frame 0: a car found, a stray person; frame 1: nothing found of a car and a person;
    frame 2: a stray car in an ignore region; frame 3: a stray car, frame not labelled."""
    frame, labels = np.array([0, 0, 2, 3]), np.array([0, 1, 0, 0])
    found = np.array([[0, 0, 10, 10], [50, 50, 60, 60], [5, 5, 9, 9], [0, 0, 5, 5]])
    detections = Detections(
        classes=CLASSES,
        scanned=np.ones(4, bool),
        frame=frame,
        boxes=found,
        scores=np.full(4, 0.9),
        labels=labels,
        probs=np.full((4, 3), 1 / 3),
        features=np.zeros((4, 0)),
        embedding=np.zeros((4, 0)),
    )
    truth = Annotations(
        classes=CLASSES,
        labelled=np.array([True, True, True, False]),
        frame=np.array([0, 1, 1, 2]),
        boxes=np.array([[0, 0, 10, 10], [0, 0, 10, 10], [30, 30, 40, 40], [0, 0, 20, 20]]),
        labels=np.array([0, 0, 1, -1]),
        track=np.full(4, -1),
        ignore=np.array([False, False, False, True]),
    )
    return match_clip(detections, truth)


def an_estimate(*, false=(), missed=(), rows=(0, 1, 2, 3)) -> ErrorEstimate:
    """``false`` rows; ``missed`` rows of (frame, x1, y1, x2, y2, label, confidence)."""
    missed = np.array(missed, dtype=np.float64).reshape(-1, 7)
    m = len(missed)
    return ErrorEstimate(
        rows=np.array(rows, dtype=np.int64),
        false_positive=np.isin(rows, false),
        false_positive_confidence=np.zeros(len(rows)),
        missed_frame=missed[:, 0].astype(int),
        missed_boxes=missed[:, 1:5],
        missed_label=missed[:, 5].astype(int),
        missed=np.ones(m, bool),
        missed_confidence=missed[:, 6],
        energy=0.0,
        link_share=0.5,
    )


def test_true_errors_are_counted_by_frame_and_class():
    errors = true_errors(a_match())
    # Frame 0: one false person; frame 1: a missed car and a missed person.
    assert errors.per_frame.tolist() == [[1, 0], [0, 2], [0, 0], [0, 0]]
    assert errors.per_class[0].tolist() == [[0, 0], [1, 0]]
    assert errors.per_class[1].tolist() == [[0, 1], [0, 1]]
    assert errors.known.tolist() == [True, True, True, False]


def test_false_positive_verdicts_on_left_out_detections_do_not_count():
    # Row 1 is truly false, row 0 right; rows 2 and 3 are ignored.
    counts = false_positive_verdicts(an_estimate(false=(0, 1, 2, 3)), a_match())
    assert counts == VerdictCounts(given=2, due=1, right=1)
    assert (counts.precision, counts.recall) == (0.5, 1.0)


def test_verdicts_of_clips_add_up_and_have_no_ratio_where_nothing_was_given():
    total = sum([VerdictCounts(2, 1, 1), VerdictCounts(1, 3, 1)], VerdictCounts())
    assert total == VerdictCounts(3, 4, 2)
    assert math.isnan(VerdictCounts().precision)
    assert math.isnan(VerdictCounts().recall)


def test_each_missed_object_is_credited_once_to_the_surest_candidate():
    twice = an_estimate(missed=[(1, 0, 0, 10, 10, 0, 0.2), (1, 0, 0, 10, 9, 0, 0.8)])
    assert missed_verdicts(twice, a_match()) == VerdictCounts(given=2, due=2, right=1)


def test_missed_verdicts_need_the_class_unless_told_otherwise():
    wrong_class = an_estimate(missed=[(1, 30, 30, 40, 40, 0, 0.5)])
    assert missed_verdicts(wrong_class, a_match()).right == 0
    assert missed_verdicts(wrong_class, a_match(), same_class=False).right == 1


def test_missed_verdicts_need_an_iou_of_at_least_the_threshold():
    # 10 x 10 object, candidate 10 x 3 inside it: IoU 0.3 exactly, then 0.29.
    exact = an_estimate(missed=[(1, 0, 0, 10, 3, 0, 0.5)])
    below = an_estimate(missed=[(1, 0, 0, 10, 2.9, 0, 0.5)])
    assert missed_verdicts(exact, a_match()).right == 1
    assert missed_verdicts(below, a_match()).right == 0


def test_estimated_misses_in_ignore_regions_or_on_unlabelled_frames_do_not_count():
    aside = an_estimate(missed=[(2, 2, 2, 8, 8, 0, 0.9), (3, 0, 0, 9, 9, 0, 0.9)])
    assert missed_verdicts(aside, a_match()) == VerdictCounts(given=0, due=2, right=0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30))
def test_rank_correlation_equals_scipys(rows):
    first, second = np.array(rows).T
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(rank_correlation(first, second))
    else:
        expected = spearmanr(first, second).statistic
        assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-12)


def test_within_clip_correlation_is_blind_to_differences_between_clips():
    estimated = [np.array([2.0, 1.0]), np.array([12.0, 11.0]), np.array([0.0, 0.0])]
    true = [np.array([1, 2]), np.array([11, 12]), np.array([0, 0])]
    result = correlate(estimated, true)
    assert (result.within, result.clips) == (-1.0, 2)
    assert result.pooled > 0.7


def test_a_constant_estimate_counts_as_nothing_told_on_the_clips_that_all_are_compared_on():
    true = [np.array([0, 1, 2]), np.array([2, 1, 0]), np.array([1, 1, 1])]
    sharp = [np.array([0.0, 1.0, 2.0])] * 3
    blunt = [np.array([0.0, 1.0, 2.0]), np.zeros(3), np.zeros(3)]
    first, second, none = (correlate(each, true) for each in (sharp, blunt, [np.zeros(3)] * 3))
    assert (first.within, second.within, none.within) == (0.0, 0.5, 0.0)
    # The clips that count depend on the truth alone: the same for every estimate.
    assert first.clips == second.clips == none.clips == 2
    assert none.pooled == 0
    assert math.isnan(correlate(sharp[:1], true[2:]).pooled)
    assert math.isnan(correlate(sharp[:1], true[2:]).within)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=6))
def test_whether_there_is_an_agreement_depends_on_the_truth_alone(rows):
    mine, due = np.array(rows).T
    found = rank_agreement(mine, due)
    assert math.isnan(found) == (len(set(due)) == 1)
    if len(set(mine)) > 1 and len(set(due)) > 1:
        assert found == rank_correlation(mine, due)


def test_capture_is_the_share_of_random_and_of_the_oracle():
    # 10 frames, errors 4 and 3 side by side; two picks without and with a gap of one.
    true = [np.array([0, 0, 4, 3, 0, 0, 1, 0, 0, 2])]
    score = [np.array([0, 0, 9, 8, 0, 0, 7, 0, 0, 0])]
    near = capture_curve(score, true, np.random.default_rng(0), shares=(0.2,), gap=0)
    assert (near.captured[0], near.random[0], near.oracle[0]) == (7, 2, 7)
    apart = capture_curve(score, true, np.random.default_rng(0), shares=(0.2,), gap=1)
    assert (apart.captured[0], apart.oracle[0]) == (5, 6)
    assert apart.over_random[0] == 2.5
    assert apart.of_oracle[0] == pytest.approx(5 / 6)


def test_the_gap_does_not_reach_into_the_next_clip():
    score = [np.array([0.0, 5.0]), np.array([5.0, 0.0])]
    curve = capture_curve(score, score, np.random.default_rng(0), shares=(0.5, 1.0), gap=1)
    assert curve.captured.tolist() == [10, 10]
    assert curve.frames.tolist() == [2, 2]  # no third frame is far enough


def test_capture_without_errors_has_no_ratio_and_unequal_lengths_are_refused():
    zero = [np.zeros(5)]
    assert np.isnan(capture_curve(zero, zero, np.random.default_rng(0)).over_random).all()
    with pytest.raises(ValueError, match="other clips or frames"):
        capture_curve(zero, [np.zeros(4)], np.random.default_rng(0))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 4), st.integers(0, 99))
def test_no_captured_choice_beats_a_free_oracle(values, gap, seed):
    true = [np.array(values)]
    rng = np.random.default_rng(seed)
    shares = (0.1, 0.5)
    curve = capture_curve([rng.random(len(values))], true, rng, shares=shares, gap=gap)
    free = capture_curve(true, true, rng, shares=shares, gap=0)
    assert (curve.captured <= free.captured).all()
    assert (free.of_oracle[free.oracle > 0] == 1).all()


def test_redundancy_is_the_mean_distance_to_the_nearest_pick_of_the_same_clip():
    clip, index = np.array([0, 1, 0, 0, 2]), np.array([10, 11, 0, 13, 5])
    # Clip 0 has 0, 10, 13: distances 10, 3, 3; clips 1 and 2 have one pick each.
    assert nearest_pick_distance(clip, index) == pytest.approx(16 / 3)
    assert math.isnan(nearest_pick_distance(np.array([0, 1]), np.array([4, 5])))
    assert math.isnan(nearest_pick_distance(np.zeros(0, int), np.zeros(0, int)))


def test_imbalance_and_entropy_of_class_counts():
    assert class_imbalance(np.array([5, 5])) == 0
    assert class_imbalance(np.array([9, 0, 0])) == pytest.approx(1)
    # |6-3| + |3-3| + |0-3| = 6 of at most 2 * 9 * 2 / 3 = 12.
    assert class_imbalance(np.array([6, 3, 0])) == pytest.approx(0.5)
    assert class_entropy(np.array([5, 5])) == pytest.approx(1)
    assert class_entropy(np.array([9, 0, 0])) == 0
    assert math.isnan(class_imbalance(np.zeros(3, int)))
    assert math.isnan(class_entropy(np.array([4])))


def test_stability_rates_of_an_estimate():
    monitors = stability(an_estimate(false=(1,), missed=[(1, 0, 0, 9, 9, 0, 0.5)]))
    assert (monitors.flicker_rate, monitors.gap_rate, monitors.link_share) == (0.25, 0.2, 0.5)
    assert math.isnan(stability(an_estimate(rows=())).flicker_rate)
