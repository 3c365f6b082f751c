from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.evaluate.average_precision import (
    average_precision,
    coco_average_precisions,
    evaluate_detections,
    score_detections,
)
from vidal.evaluate.coco import coco_ap
from vidal.evaluate.intervals import bootstrap_interval
from vidal.types import Annotations, Detections

CLASSES = ("car", "person", "sign")


def a_clip(found, objects, *, frames=1, labelled=None) -> tuple[Detections, Annotations]:
    """Detections (frame, x1, y1, x2, y2, label, score), objects (..., label, ignore)."""
    found = np.array(sorted(found), dtype=np.float64).reshape(-1, 7)
    objects = np.array(sorted(objects), dtype=np.float64).reshape(-1, 7)
    n = len(found)
    return (
        Detections(
            classes=CLASSES,
            scanned=np.ones(frames, bool),
            frame=found[:, 0],
            boxes=found[:, 1:5],
            scores=found[:, 6],
            labels=found[:, 5],
            probs=np.full((n, 4), 0.25),
            features=np.zeros((n, 0)),
            embedding=np.zeros((frames, 0)),
        ),
        Annotations(
            classes=CLASSES,
            labelled=np.ones(frames, bool) if labelled is None else labelled,
            frame=objects[:, 0],
            boxes=objects[:, 1:5],
            labels=objects[:, 5],
            track=np.full(len(objects), -1),
            ignore=objects[:, 6],
        ),
    )


def test_perfect_detections_have_an_average_precision_of_one():
    assert average_precision(np.array([0.9, 0.8]), np.array([True, True]), 2) == 1.0


def test_all_point_11_point_and_101_point_values_differ_on_the_hand_example():
    # Sorted: hit, miss, hit, miss, hit; 4 objects. Recall 1/4 1/4 2/4 2/4 3/4,
    # precision 1, 1/2, 2/3, 1/2, 3/5; envelope 1, 2/3, 2/3, 3/5, 3/5.
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    hits = np.array([True, False, True, False, True])
    area = (1 + 2 / 3 + 3 / 5) / 4  # 0.5667
    eleven = (3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11  # recall 0, .1, .2; .3 to .5; .6, .7 -> 0.5636
    points = (26 * 1 + 25 * 2 / 3 + 25 * 3 / 5) / 101  # 0..25, 26..50, 51..75 % -> 0.5710
    assert average_precision(scores, hits, 4) == pytest.approx(area)
    assert average_precision(scores, hits, 4, interpolation="coco") == pytest.approx(points)
    assert len({round(area, 3), round(eleven, 3), round(points, 3)}) == 3


def test_a_duplicate_before_the_last_hit_lowers_the_average_precision():
    hits = np.array([True, False, True])
    assert average_precision(np.array([0.9, 0.8, 0.7]), hits, 2) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_no_detections_give_zero_and_no_objects_give_no_number():
    none = np.zeros(0)
    assert average_precision(none, none.astype(bool), 3) == 0.0
    assert math.isnan(average_precision(np.array([0.5]), np.array([False]), 0))


def test_more_hits_than_objects_are_refused():
    with pytest.raises(ValueError, match="more than the 1 objects"):
        average_precision(np.ones(2), np.ones(2, bool), 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20), st.integers(0, 5))
def test_average_precision_is_bounded_and_blind_to_trailing_false_positives(rows, extra):
    scores = np.array([s for s, _ in rows], dtype=float)
    hits = np.array([h for _, h in rows], dtype=bool)
    total = int(hits.sum()) + extra
    value = average_precision(scores, hits, total)
    if total == 0:
        assert math.isnan(value)
        return
    assert 0 <= value <= 1
    longer = average_precision(np.append(scores, -1), np.append(hits, False), total)
    assert longer == pytest.approx(value, abs=1e-12)


def test_report_keeps_the_two_average_precisions_apart():
    # Two cars; the second is found with a score of 0.4 only. A class without objects has no AP.
    clip = a_clip(
        [(0, 0, 0, 9, 9, 0, 0.9), (0, 20, 0, 29, 9, 0, 0.4), (0, 50, 0, 59, 9, 2, 0.04)],
        [(0, 0, 0, 9, 9, 0, 0), (0, 20, 0, 29, 9, 0, 0), (0, 70, 0, 79, 9, 1, 0)],
    )
    report = evaluate_detections([clip], classes=CLASSES)
    assert report.ap50[:2].tolist() == [1.0, 0.0]
    assert report.ap50_confident[:2].tolist() == [0.5, 0.0]
    assert math.isnan(report.ap50[2])
    assert (report.map50, report.map50_confident) == (0.5, 0.25)
    assert report.objects.tolist() == [2, 1, 0]
    assert report.true_positives.tolist() == [1, 0, 0]
    assert report.false_positives.tolist() == [0, 0, 0]
    assert report.as_dict()["classes"]["sign"]["ap50"] is None


def test_ignored_detections_do_not_lower_precision():
    clip = a_clip(
        [(0, 0, 0, 9, 9, 0, 0.5), (0, 22, 2, 28, 8, 0, 0.9)],
        [(0, 0, 0, 9, 9, 0, 0), (0, 20, 0, 40, 40, -1, 1)],
    )
    assert evaluate_detections([clip], classes=CLASSES).ap50[0] == 1.0


def test_clips_stream_and_may_be_resampled():
    good = a_clip([(0, 0, 0, 9, 9, 0, 0.9)], [(0, 0, 0, 9, 9, 0, 0)])
    bad = a_clip([(0, 50, 0, 59, 9, 0, 0.95)], [(0, 0, 0, 9, 9, 0, 0)])
    scored = score_detections(iter([good, bad]), classes=CLASSES)
    assert scored.average_precisions()[0] == pytest.approx(0.5 * 0.5)
    assert scored.average_precisions(clips=np.array([0, 0]))[0] == 1.0
    assert scored.average_precisions(clips=np.array([1]))[0] == 0.0
    interval = bootstrap_interval(
        2, lambda clips: scored.average_precisions(clips=clips)[0], np.random.default_rng(0)
    )
    assert (interval.low, interval.high) == (0.0, 1.0)
    assert interval.value == pytest.approx(0.25)


def test_other_classes_are_refused():
    clip = a_clip([], [])
    with pytest.raises(ValueError, match="clip 0"):
        evaluate_detections([clip], classes=("car",))


def a_random_case(rng: np.random.Generator) -> list[tuple[Detections, Annotations]]:
    """Two clips with noisy, duplicate and stray detections, ties in score, crowd regions."""
    clips = []
    for _ in range(2):
        objects, found = [], []
        for frame in range(3):
            for _ in range(rng.integers(0, 6)):
                x, y = rng.uniform(0, 60, 2)
                w, h = rng.uniform(5, 30, 2)
                label, crowd = rng.integers(0, 3), rng.random() < 0.15
                objects.append((frame, x, y, x + w, y + h, label, crowd))
                for _ in range(rng.integers(0, 4)):
                    a, b, c, d = np.array([x, y, x + w, y + h]) + rng.normal(0, 3, 4)
                    box = (min(a, c - 1), min(b, d - 1), c, d)
                    found.append((frame, *box, label, rng.integers(0, 12) / 11))
            for _ in range(rng.integers(0, 3)):
                x, y = rng.uniform(0, 60, 2)
                found.append((frame, x, y, x + 15, y + 12, rng.integers(0, 3), rng.random()))
        clips.append(a_clip(found, objects, frames=3))
    return clips


@pytest.mark.peers
def test_coco_average_precision_agrees_with_pycocotools_on_a_thousand_random_cases():
    pytest.importorskip("pycocotools")
    rng = np.random.default_rng(20)
    compared = 0
    for _ in range(1000):
        case = a_random_case(rng)
        mine = coco_average_precisions(case, classes=CLASSES)
        known = mine[:, ~np.isnan(mine[0])]
        theirs = coco_ap(case, classes=CLASSES)
        if not known.size:
            assert theirs["AP"] is None
            continue
        compared += 1
        assert known.mean() == pytest.approx(theirs["AP"], abs=1e-6)
        assert known[0].mean() == pytest.approx(theirs["AP50"], abs=1e-6)
        assert known[5].mean() == pytest.approx(theirs["AP75"], abs=1e-6)
    assert compared > 950


@pytest.mark.peers
def test_pycocotools_sees_only_frames_that_are_labelled(capsys):
    pytest.importorskip("pycocotools")
    clip = a_clip(
        [(0, 0, 0, 9, 9, 0, 0.9), (1, 0, 0, 9, 9, 0, 0.95)],
        [(0, 0, 0, 9, 9, 0, 0)],
        frames=2,
        labelled=[True, False],
    )
    numbers = coco_ap([clip], classes=CLASSES)
    assert numbers["AP50"] == pytest.approx(1.0)
    assert numbers["AP_large"] is None  # no object that large: None, not -1 or NaN
    assert capsys.readouterr().out == ""
