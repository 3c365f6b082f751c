"""Constant velocity from a clip's own detections."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.boxes import best_of_each, iou_pairs
from vidal.protocols import Motion
from vidal.track import propagate
from vidal.track.kalman import KalmanMotion
from vidal.types import Detections

SIZE = (300, 600)


def table(frame, boxes, frames, labels=None):
    order = np.argsort(frame, kind="stable")
    n = len(frame)
    return Detections(
        classes=("car", "van"),
        scanned=np.ones(frames, bool),
        frame=np.asarray(frame)[order],
        boxes=np.asarray(boxes, np.float32).reshape(-1, 4)[order],
        scores=np.full(n, 0.9),
        labels=np.zeros(n) if labels is None else np.asarray(labels)[order],
        probs=np.zeros((n, 3)),
        features=np.zeros((n, 0)),
        embedding=np.zeros((frames, 0)),
    )


def course(frames, start=(50, 50, 90, 80), speed=(6, 2, 6, 2)):
    return np.array(start) + np.outer(np.arange(frames), speed)


def test_is_a_motion():
    assert isinstance(KalmanMotion.of(table([], [], 3)), Motion)


def test_a_steady_box_moves_as_it_does_both_ways():
    boxes = course(6)
    motion = KalmanMotion.of(table(np.arange(6), boxes, 6))
    ahead, trust = motion.step(np.arange(5), np.arange(1, 6), boxes[:5].astype(np.float32))
    back, _ = motion.step(np.arange(1, 6), np.arange(5), boxes[1:].astype(np.float32))
    np.testing.assert_allclose(ahead, boxes[1:], atol=0.01)
    np.testing.assert_allclose(back, boxes[:5], atol=0.01)
    assert trust.tolist() == [1] * 5


def test_a_growing_box_grows_on():
    sides = 40 * 1.1 ** np.arange(5)
    boxes = np.stack([100 - sides / 2, 100 - sides / 2, 100 + sides / 2, 100 + sides / 2], axis=1)
    motion = KalmanMotion.of(table(np.arange(4), boxes[:4], 5))
    moved, _ = motion.step(np.array([3]), np.array([4]), boxes[3:4].astype(np.float32))
    np.testing.assert_allclose(moved, boxes[4:], atol=0.1)


def test_the_course_leads_through_a_frame_without_the_detection():
    boxes = course(7)
    seen = np.array([0, 1, 2, 4, 5, 6])
    carried = propagate(
        table(seen, boxes[seen], 7), KalmanMotion.of(table(seen, boxes[seen], 7)), size=SIZE
    )
    there = carried.boxes[carried.frame == 3]
    assert len(there) == 6
    assert iou_pairs(there, np.repeat(boxes[3:4].astype(np.float32), 6, axis=0)).min() > 0.9


def test_every_box_follows_its_own_detection():
    first, second = course(5), course(5, (300, 60, 340, 90), (-5, 0, -5, 0))
    boxes = np.vstack([first, second])
    frame = np.tile(np.arange(5), 2)
    motion = KalmanMotion.of(table(frame, boxes, 5))
    moved, _ = motion.step(
        np.array([2, 2]), np.array([3, 3]), np.array([first[2], second[2]], np.float32)
    )
    np.testing.assert_allclose(moved, [first[3], second[3]], atol=0.01)


def test_a_detection_without_a_match_moves_as_the_rest_of_its_frame():
    boxes = np.vstack([course(3), [[400, 200, 420, 220]]])
    motion = KalmanMotion.of(table([0, 1, 2, 1], boxes, 3))
    moved, _ = motion.step(np.array([1]), np.array([2]), boxes[3:].astype(np.float32))
    np.testing.assert_allclose(moved, [[406, 202, 426, 222]], atol=0.01)


def test_detections_of_other_classes_are_not_matched():
    boxes = course(2)
    motion = KalmanMotion.of(table([0, 1], boxes, 2, labels=[0, 1]))
    moved, _ = motion.step(np.array([0]), np.array([1]), boxes[:1].astype(np.float32))
    np.testing.assert_allclose(moved, boxes[:1], atol=0.01)


@pytest.mark.parametrize("frames", [1, 3])
def test_without_detections_a_box_stays_where_it_is(frames):
    motion = KalmanMotion.of(table([], [], frames))
    box = np.array([[1, 2, 3, 4]], np.float32)
    moved, trust = motion.step(np.array([0]), np.array([1]), box)
    assert moved.tolist() == box.tolist()
    assert trust.tolist() == [1]
    assert motion.step(np.zeros(0, int), np.zeros(0, int), box[:0])[0].shape == (0, 4)


@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_the_best_of_each_key_is_the_first_of_the_largest(seed, count):
    rng = np.random.default_rng(seed)
    key, value = rng.integers(0, 6, count), rng.integers(0, 3, count).astype(np.float32)
    best = best_of_each(key, value, 6)
    for k in range(6):
        rows = np.flatnonzero(key == k)
        assert best[k] == (rows[np.argmax(value[rows])] if len(rows) else -1)
