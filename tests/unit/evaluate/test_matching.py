from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal import boxes as box_math
from vidal.evaluate.matching import ClipMatch, assign, match_clip, overlaps
from vidal.types import Annotations, Detections

CLASSES = ("car", "person")


def detections(rows, *, frames=1, scanned=None) -> Detections:
    """Rows of (frame, x1, y1, x2, y2, label, score)."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    table = table[np.argsort(table[:, 0], kind="stable")]
    n = len(table)
    return Detections(
        classes=CLASSES,
        scanned=np.ones(frames, bool) if scanned is None else np.array(scanned),
        frame=table[:, 0],
        boxes=table[:, 1:5],
        scores=table[:, 6],
        labels=table[:, 5],
        probs=np.full((n, 3), 1 / 3),
        features=np.zeros((n, 0)),
        embedding=np.zeros((frames, 0)),
    )


def truth(rows, *, frames=1, labelled=None, ignore=()) -> Annotations:
    """Rows of (frame, x1, y1, x2, y2, label)."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    order = np.argsort(table[:, 0], kind="stable")
    table, n = table[order], len(table)
    regions = np.isin(np.arange(n), ignore)[order]
    return Annotations(
        classes=CLASSES,
        labelled=np.ones(frames, bool) if labelled is None else np.array(labelled),
        frame=table[:, 0],
        boxes=table[:, 1:5],
        labels=table[:, 5],
        track=np.full(n, -1),
        ignore=regions,
    )


def test_oracle_counts_a_duplicate_as_false_and_an_unmatched_object_as_missed():
    found = detections(
        [
            (0, 0, 0, 10, 10, 0, 0.9),  # on object 0
            (0, 1, 0, 11, 10, 0, 0.8),  # duplicate of it, IoU 9/11
            (0, 50, 50, 60, 60, 0, 0.7),  # on object 1, other class
        ]
    )
    match = match_clip(found, truth([(0, 0, 0, 10, 10, 0), (0, 50, 50, 60, 60, 1)]))
    assert match.true_positive.tolist() == [True, False, False]
    assert match.false_positive.tolist() == [False, True, True]
    assert match.matched.tolist() == [0, -1, -1]
    assert match.missed.tolist() == [False, True]


def test_iou_of_exactly_one_half_is_wrong_for_the_oracle_and_right_for_pascal_and_coco():
    # 10 x 10 against 10 x 5 inside it: 50 / 100.
    found, objects = detections([(0, 0, 0, 10, 5, 0, 0.9)]), truth([(0, 0, 0, 10, 10, 0)])
    verdicts = {
        rule: bool(match_clip(found, objects, rule=rule).true_positive[0])
        for rule in ("oracle", "pascal", "coco")
    }
    assert verdicts == {"oracle": False, "pascal": True, "coco": True}


def test_only_pascal_denies_the_second_best_object():
    # Both detections overlap object 0 most; the second also overlaps object 1 enough.
    objects = truth([(0, 0, 0, 10, 10, 0), (0, 4, 0, 14, 10, 0)])
    found = detections([(0, 0, 0, 10, 10, 0, 0.9), (0, 1, 0, 11, 10, 0, 0.8)])
    # Detection 1: IoU 9/11 with object 0, 7/13 with object 1.
    assert match_clip(found, objects, rule="oracle").matched.tolist() == [0, 1]
    assert match_clip(found, objects, rule="coco").matched.tolist() == [0, 1]
    assert match_clip(found, objects, rule="pascal").matched.tolist() == [0, -1]


def test_pascal_leaves_out_a_detection_whose_best_object_is_ignored():
    objects = truth([(0, 0, 0, 10, 10, 0), (0, 2, 0, 12, 10, 0)], ignore=[1])
    found = detections([(0, 2, 0, 12, 10, 0, 0.9)])
    pascal = match_clip(found, objects, rule="pascal")
    assert (pascal.ignored.tolist(), pascal.missed.tolist()) == ([True], [True, False])
    assert match_clip(found, objects, rule="oracle").matched.tolist() == [0]  # IoU 8/12


@pytest.mark.parametrize(("label", "expected"), [(-1, True), (0, True), (1, False)])
def test_an_ignore_region_takes_unmatched_detections_of_its_class_or_of_any(label, expected):
    found = detections([(0, 10, 10, 20, 20, 0, 0.9)])
    match = match_clip(found, truth([(0, 0, 0, 100, 100, label)], ignore=[0]))
    assert match.ignored.tolist() == [expected]
    assert match.false_positive.tolist() == [not expected]
    assert not match.counted.any()


def test_a_detection_half_inside_an_ignore_region_is_still_false():
    region = truth([(0, 0, 0, 50, 50, -1)], ignore=[0])
    half = detections([(0, 45, 0, 55, 10, 0, 0.9)])
    assert match_clip(half, region).false_positive.tolist() == [True]


def test_an_unknown_object_makes_its_detection_false_or_ignored_and_is_never_missed():
    found, objects = detections([(0, 0, 0, 10, 10, 0, 0.9)]), truth([(0, 0, 0, 10, 10, -1)])
    assert match_clip(found, objects).false_positive.tolist() == [True]
    assert match_clip(found, objects, unknown="ignore").ignored.tolist() == [True]
    assert not match_clip(found, objects).counted.any()


def test_frames_without_labels_or_never_scanned_give_no_errors():
    found = detections([(1, 0, 0, 10, 10, 0, 0.9)], frames=3, scanned=[True, True, False])
    objects = truth([(0, 0, 0, 5, 5, 0), (2, 0, 0, 5, 5, 0)], frames=3, labelled=[1, 0, 1])
    match = match_clip(found, objects)
    assert match.ignored.tolist() == [True]
    assert match.missed.tolist() == [True, False]  # frame 2 was never looked at
    assert match.known.tolist() == [True, False, False]


def test_the_score_floor_is_strict():
    found = detections([(0, 0, 0, 10, 10, 0, 0.5), (0, 0, 0, 10, 10, 0, 0.51)])
    match = match_clip(found, truth([(0, 0, 0, 10, 10, 0)]), score_floor=0.5)
    assert match.judged.tolist() == [False, True]
    assert match.true_positive.tolist() == [False, True]


def test_coco_judges_a_hundred_detections_a_frame_and_class():
    rows = [(0, i, 0, i + 5, 5, 0, i / 200) for i in range(120)] + [(0, 0, 0, 5, 5, 1, 0.1)]
    match = match_clip(detections(rows), truth([]), rule="coco")
    assert np.flatnonzero(~match.judged).tolist() == list(range(20))


def test_tables_of_other_classes_or_lengths_are_refused():
    with pytest.raises(ValueError, match="2 frames"):
        match_clip(detections([], frames=2), truth([]))


def test_greedy_assignment_is_not_the_largest_one():
    # The surer left item 0 takes right item 0, although 1 would then have nothing.
    left, right = np.array([0, 0, 1]), np.array([0, 1, 0])
    result = assign(left, right, np.array([0.9, 0.8, 0.9]), priority=np.array([0, 1]), targets=2)
    assert result.tolist() == [0, -1]


boxes_on_a_grid = st.tuples(
    st.integers(0, 3), st.integers(0, 8), st.integers(0, 8), st.integers(1, 6), st.integers(1, 6)
)
detection_rows = st.lists(
    st.tuples(boxes_on_a_grid, st.integers(0, 1), st.integers(0, 10)), max_size=25
)
truth_rows = st.lists(st.tuples(boxes_on_a_grid, st.integers(-1, 1), st.booleans()), max_size=15)


def a_case(found, objects) -> tuple[Detections, Annotations]:
    rows = [(f, x, y, x + w, y + h, k, s / 10) for (f, x, y, w, h), k, s in found]
    lines = [(f, x, y, x + w, y + h, k) for (f, x, y, w, h), k, _ in objects]
    ignore = [i for i, (_, _, skip) in enumerate(objects) if skip]
    return detections(rows, frames=4), truth(lines, frames=4, ignore=ignore)


@given(detection_rows, truth_rows, st.sampled_from(["oracle", "pascal", "coco"]))
def test_verdicts_partition_detections_and_objects(found, objects, rule):
    table, lines = a_case(found, objects)
    match = match_clip(table, lines, rule=rule, score_floor=0.3)
    verdicts = match.true_positive.astype(int) + match.false_positive + match.ignored
    assert (verdicts == match.judged).all()  # TP + FP + ignored = judged detections
    assert (match.found.astype(int) + match.missed == match.counted).all()  # TP + FN = objects
    assert match.true_positive.sum() == match.found.sum()
    hits = match.matched[match.true_positive]
    assert len(np.unique(hits)) == len(hits)
    assert (lines.labels[hits] == table.labels[match.true_positive]).all()
    assert (lines.frame[hits] == table.frame[match.true_positive]).all()


@given(detection_rows, truth_rows)
def test_oracle_matching_equals_the_loop_over_frames_and_classes(found, objects):
    table, lines = a_case(found, objects)
    expected = np.full(len(table), -1)
    for frame in range(4):
        for label in (0, 1):
            rows = np.flatnonzero((table.frame == frame) & (table.labels == label))
            goals = np.flatnonzero((lines.frame == frame) & (lines.labels == label) & ~lines.ignore)
            hit, _ = box_math.match(table.boxes[rows], table.scores[rows], lines.boxes[goals])
            expected[rows[hit >= 0]] = goals[hit[hit >= 0]]
    assert match_clip(table, lines).matched.tolist() == expected.tolist()


@given(detection_rows, truth_rows)
def test_pascal_matching_equals_the_textbook_loop(found, objects):
    table, lines = a_case(found, objects)
    expected = pascal_by_loop(table, lines)
    match = match_clip(table, lines, rule="pascal")
    assert match.matched.tolist() == expected


def pascal_by_loop(table: Detections, lines: Annotations) -> list[int]:
    result, used = [-1] * len(table), set()
    for row in np.argsort(-table.scores, kind="stable"):
        goals = np.flatnonzero(
            (lines.frame == table.frame[row]) & (lines.labels == table.labels[row])
        )
        if not len(goals):
            continue
        overlap = box_math.iou(
            table.boxes[[row]].astype(np.float64), lines.boxes[goals].astype(np.float64)
        )[0]
        best = goals[np.argmax(overlap)]
        if overlap.max() >= 0.5 and best not in used and not lines.ignore[best]:
            used.add(best)
            result[row] = int(best)
    return result


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_assignment_equals_the_sequential_loop(seed):
    rng = np.random.default_rng(seed)
    left, right = np.nonzero(rng.random((12, 8)) < 0.5)
    overlap = rng.integers(1, 5, len(left)) / 4
    priority = rng.permutation(12)
    expected, taken = np.full(12, -1), set()
    for item in np.argsort(priority):
        mine = [p for p in np.flatnonzero(left == item) if right[p] not in taken]
        if mine:
            best = max(mine, key=lambda p: (overlap[p], -right[p]))
            expected[item] = right[best]
            taken.add(right[best])
    assert assign(left, right, overlap, priority=priority, targets=8).tolist() == expected.tolist()


def test_a_match_cannot_be_written_to():
    match: ClipMatch = match_clip(detections([(0, 0, 0, 9, 9, 0, 0.9)]), truth([]))
    with pytest.raises(ValueError, match="read-only"):
        match.true_positive[0] = True


def test_empty_boxes_overlap_nothing():
    boxes = np.array([[5, 5, 5, 5], [5, 5, 5, 9], [0, 0, 10, 10]], np.float32)
    left, right = (each.reshape(-1) for each in np.mgrid[:3, :3])
    with np.errstate(all="raise"):
        iou, cover = overlaps(boxes[left], boxes[right])
    assert iou.tolist() == cover.tolist() == [0] * 8 + [1]
