"""What a query was worth: counts by hand on a clip of a few frames."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.campaign.accuracy import TRAINED_ON, refuse_leak
from vidal.errors import UsageError
from vidal.selection.quality import judge_query
from vidal.selection.result import ClipResult
from vidal.types import Annotations, Clip, Detections, ErrorEstimate, Explanation, FrameRef, Query

CLASSES = ("car", "pedestrian")
BOX = [0, 0, 10, 10]


def a_clip(name, frames=6):
    return Clip(name, Path(name), np.arange(frames), Fraction(1, 25), Fraction(25), (100, 100))


def found(rows, frames=6):
    """Detections (frame, label) with a score of 0.9, all at one place."""
    frame, label = np.array(rows, np.int64).reshape(-1, 2).T
    probs = np.zeros((len(rows), 3), np.float32)
    probs[np.arange(len(rows)), label] = 1
    return Detections(
        classes=CLASSES,
        scanned=np.ones(frames, bool),
        frame=frame,
        boxes=np.tile(BOX, (len(rows), 1)),
        scores=np.full(len(rows), 0.9),
        labels=label,
        probs=probs,
        features=np.zeros((len(rows), 0)),
        embedding=np.zeros((frames, 0)),
    )


def true(rows, frames=6):
    frame, label = np.array(rows, np.int64).reshape(-1, 2).T
    return Annotations(
        classes=CLASSES,
        labelled=np.ones(frames, bool),
        frame=frame,
        boxes=np.tile(BOX, (len(rows), 1)),
        labels=label,
        track=np.full(len(rows), -1),
        ignore=np.zeros(len(rows), bool),
    )


def verdicts(rows, false):
    return ErrorEstimate(
        rows=rows,
        false_positive=false,
        false_positive_confidence=np.ones(len(rows)),
        missed_frame=np.array([5]),
        missed_boxes=np.array([BOX]),
        missed_label=np.array([1]),
        missed=np.array([True]),
        missed_confidence=np.ones(1),
        energy=1.0,
        link_share=1.0,
    )


def a_query(*frames):
    refs = tuple(FrameRef("a", index) for index in frames)
    words = Explanation(("why",) * len(refs), {})
    return Query(1, refs, np.zeros(len(refs)), words, len(refs))


# Frames 0, 1: cars that are found. 2: a false car. 3: a false pedestrian. 4: nothing. 5: a miss.
DETECTIONS = found([(0, 0), (1, 0), (2, 0), (3, 1)])
TRUTH = {"a": true([(0, 0), (1, 0), (5, 1)])}


def judged(query, *, estimate=None, detections=DETECTIONS, scores=None, tags=None):
    part = ClipResult(
        a_clip("a"),
        detections,
        estimate,
        np.full(6, np.nan) if scores is None else np.array(scores, float),
        np.ones(6, bool),
        np.zeros(6, bool),
    )
    return judge_query(query, lambda _: part, TRUTH, threshold=0.5, tags=tags)


def test_true_errors_of_the_picked_frames_are_counted():
    picks = judged(a_query(2, 5, 0))
    assert (picks.frames, picks.false_positives, picks.misses) == (3, 1, 1)


def test_redundancy_is_the_distance_to_the_nearest_other_pick():
    assert judged(a_query(0, 1, 5)).redundancy == pytest.approx((1 + 1 + 4) / 3)


def test_balance_is_that_of_the_picked_objects():
    assert judged(a_query(0, 5)).balance == pytest.approx(1.0)
    assert judged(a_query(0, 1)).balance == 0.0


def test_estimates_are_judged_over_the_whole_pool():
    # Flagged: the false car (right) and one true car (wrong); the false pedestrian was not seen.
    picks = judged(a_query(0), estimate=verdicts(np.arange(4), [True, False, True, False]))
    assert (picks.fp_precision, picks.fp_recall) == (0.5, 0.5)
    assert (picks.fn_precision, picks.fn_recall) == (1.0, 1.0)
    assert picks.fn_spearman == pytest.approx(1.0)


def test_the_score_is_ranked_against_the_number_of_errors():
    assert judged(a_query(0), scores=[0, 0, 1, 1, 0, 1]).score_spearman == pytest.approx(1.0)
    assert judged(a_query(0), scores=[1, 1, 0, 0, 1, 0]).score_spearman == pytest.approx(-1.0)


def test_a_score_that_is_the_same_everywhere_has_told_nothing():
    assert judged(a_query(0), scores=[2, 2, 2, 2, 2, 2]).score_spearman == 0


def test_without_detections_errors_stay_unknown():
    picks = judged(a_query(0, 5), detections=None)
    assert picks.false_positives is None
    assert picks.misses is None
    assert picks.redundancy == 5


def test_a_clip_of_the_training_is_refused_by_name_even_if_it_was_renamed():
    notes = {TRAINED_ON: ["city-0001-0123abcd", "city-0002-99999999"]}
    with pytest.raises(UsageError, match="mine was trained on 1 of these clips: other-0123abcd"):
        refuse_leak(notes, [a_clip("other-0123abcd"), a_clip("city-0001-ffffffff")], "mine")


def test_clips_the_model_has_not_seen_pass():
    refuse_leak({TRAINED_ON: ["a-0123abcd"]}, [a_clip("b-ffffffff")], "mine")
    refuse_leak({}, [a_clip("b-ffffffff")], "mine")


def test_picked_frames_are_counted_by_the_conditions_of_their_clips():
    tags = {"a": ("night", "rain"), "b": ("fog",)}
    assert judged(a_query(0, 3, 5), tags=tags).conditions == {"fog": 0, "night": 3, "rain": 3}
    assert judged(a_query(), tags=tags).conditions == {"fog": 0, "night": 0, "rain": 0}
    assert judged(a_query(0)).conditions == {}
