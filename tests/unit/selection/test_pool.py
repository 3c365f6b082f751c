"""From clips to one pool: positions, columns, and what is left out."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidal.selection.pool import PoolClip, build_pool
from vidal.types import Annotations, Clip, Detections, ErrorEstimate

CLASSES = ("car", "pedestrian")


def a_clip(name: str, frames: int) -> Clip:
    return Clip(name, Path(name), np.arange(frames), Fraction(1, 25), Fraction(25), (100, 100))


def detections(frames: int, rows: list[tuple[int, int, float]]) -> Detections:
    """Rows of (frame, label, score)."""
    frame = np.array([row[0] for row in rows], np.int64)
    label = np.array([row[1] for row in rows], np.int64)
    score = np.array([row[2] for row in rows], np.float32)
    probs = np.zeros((len(rows), 3), np.float32)
    probs[np.arange(len(rows)), label] = score
    probs[:, 2] = 1 - score
    return Detections(
        classes=CLASSES,
        scanned=np.ones(frames, bool),
        frame=frame,
        boxes=np.tile([0, 0, 10, 10], (len(rows), 1)),
        scores=score,
        labels=label,
        probs=probs,
        features=np.arange(len(rows) * 2).reshape(-1, 2),
        embedding=np.arange(frames, dtype=np.float32)[:, None],
    )


def estimate(rows, false, missed_frame, missed_label, missed) -> ErrorEstimate:
    return ErrorEstimate(
        rows=rows,
        false_positive=false,
        false_positive_confidence=np.ones(len(rows)),
        missed_frame=missed_frame,
        missed_boxes=np.tile([0, 0, 5, 5], (len(missed_frame), 1)),
        missed_label=missed_label,
        missed=missed,
        missed_confidence=np.ones(len(missed_frame)),
        energy=1.0,
        link_share=1.0,
    )


def test_a_pool_tells_the_times_of_its_frames_and_of_labelled_ones():
    clip = replace(a_clip("a", 4), pts=np.array([0, 512, 600, 9000]), time_base=Fraction(1, 12800))
    labelled = np.array([False, True, False, False])
    part = PoolClip(clip, ~labelled, labelled, None, None)
    pool = build_pool([part, a_part("b")], classes=CLASSES, needs=frozenset(), threshold=0.5)
    assert pool.frames.pts.tolist() == [0, 600, 9000, 0, 1, 2, 3]
    assert pool.labelled.pts.tolist() == [512]
    assert pool.frames.time_bases == (Fraction(1, 12800), Fraction(1, 25))


def a_part(name="a", frames=4, labelled=(), rows=(), verdicts=None) -> PoolClip:
    mask = np.zeros(frames, bool)
    mask[list(labelled)] = True
    return PoolClip(a_clip(name, frames), ~mask, mask, detections(frames, list(rows)), verdicts)


def test_labelled_frames_are_beside_the_pool_not_in_it():
    pool = build_pool(
        [a_part(labelled=(1,)), a_part("b", 2)],
        classes=CLASSES,
        needs=frozenset(),
        threshold=0.5,
    )
    assert [str(pool.frames.ref(i)) for i in range(len(pool))] == [
        "a@000000",
        "a@000002",
        "a@000003",
        "b@000000",
        "b@000001",
    ]
    assert [str(pool.labelled.ref(i)) for i in range(len(pool.labelled))] == ["a@000001"]
    assert pool.regions is None
    assert dict(pool.columns) == {}


def test_error_counts_fall_on_their_frame_and_class():
    rows = [(0, 0, 0.9), (2, 1, 0.8), (2, 1, 0.7), (3, 0, 0.1)]
    verdicts = estimate([0, 1, 2], [False, True, True], [0, 3], [1, 0], [True, False])
    pool = build_pool(
        [a_part(labelled=(1,), rows=rows, verdicts=verdicts)],
        classes=CLASSES,
        needs=frozenset({"errors"}),
        threshold=0.5,
    )
    errors = pool.column("errors")
    assert errors.shape == (3, 2, 2)
    assert errors[0].tolist() == [[0, 0], [0, 1]]
    assert errors[1].tolist() == [[0, 0], [2, 0]]
    assert errors[2].tolist() == [[0, 0], [0, 0]]


def test_regions_are_those_above_the_threshold_on_selectable_frames():
    rows = [(0, 0, 0.9), (1, 0, 0.9), (2, 1, 0.5), (3, 1, 0.51)]
    pool = build_pool(
        [a_part("z", 2, rows=[(1, 0, 0.6)]), a_part(labelled=(1,), rows=rows)],
        classes=CLASSES,
        needs=frozenset({"regions", "features"}),
        threshold=0.5,
    )
    regions = pool.regions
    assert regions is not None
    assert regions.pos.tolist() == [1, 2, 4]
    assert regions.labels.tolist() == [0, 0, 1]
    assert regions.features.tolist() == [[0, 1], [0, 1], [6, 7]]


def test_features_stay_out_unless_they_are_needed():
    pool = build_pool(
        [a_part(rows=[(0, 0, 0.9)])],
        classes=CLASSES,
        needs=frozenset({"regions"}),
        threshold=0.5,
    )
    assert pool.regions is not None
    assert pool.regions.features.shape == (1, 0)


def test_class_mass_sums_probabilities_of_detections_above_the_threshold():
    rows = [(0, 0, 0.9), (0, 0, 0.75), (0, 1, 0.25)]
    pool = build_pool(
        [a_part(frames=2, rows=rows)],
        classes=CLASSES,
        needs=frozenset({"class_mass", "embedding"}),
        threshold=0.5,
    )
    np.testing.assert_allclose(pool.column("class_mass"), [[1.65, 0], [0, 0]], rtol=1e-6)
    assert pool.column("embedding").tolist() == [[0.0], [1.0]]


def test_a_clip_without_detections_still_offers_its_frames():
    part = PoolClip(a_clip("a", 3), np.ones(3, bool), np.zeros(3, bool), None, None)
    pool = build_pool([part], classes=(), needs=frozenset(), threshold=0.5)
    assert len(pool) == 3


def truth_of(frames: int, rows: list[tuple[int, int]]) -> Annotations:
    """Objects (frame, label) where the detections of this file lie."""
    frame = np.array([row[0] for row in rows], np.int64)
    return Annotations(
        classes=CLASSES,
        labelled=np.ones(frames, bool),
        frame=frame,
        boxes=np.tile([0, 0, 10, 10], (len(rows), 1)),
        labels=np.array([row[1] for row in rows], np.int64),
        track=np.arange(len(rows)),
        ignore=np.zeros(len(rows), bool),
    )


def truth_pool(truth, needs=("truth_errors",)):
    # Frame 0: a car that is found. 1: a car called a pedestrian. 2: a detection of nothing.
    part = a_part(rows=[(0, 0, 0.9), (1, 1, 0.8), (2, 0, 0.7), (2, 1, 0.4)])
    return build_pool([part], classes=CLASSES, needs=frozenset(needs), threshold=0.5, truth=truth)


def test_true_errors_are_counted_by_frame_and_class_above_the_threshold():
    column = truth_pool({"a": truth_of(4, [(0, 0), (1, 0), (3, 1)])}).column("truth_errors")
    #                          (car fp, fn), (pedestrian fp, fn)
    assert column.tolist() == [
        [[0, 0], [0, 0]],
        [[0, 1], [1, 0]],
        [[1, 0], [0, 0]],
        [[0, 0], [0, 1]],
    ]


def test_without_truth_there_is_no_such_column_even_if_it_is_needed():
    assert "truth_errors" not in truth_pool(None).columns


def test_with_truth_there_is_no_such_column_unless_it_is_needed():
    truth = {"a": truth_of(4, [])}
    assert set(truth_pool(truth, needs=("errors",)).columns) == {"errors"}


def test_the_fixed_fusion_looks_at_weak_detections_above_the_floor_only() -> None:
    # One weak detection a frame; at a floor of 0.3 the first frame has no sign of an error left.
    part = a_part("a", 3, rows=[(0, 0, 0.2), (1, 0, 0.4), (2, 0, 0.45)])
    pools = [
        build_pool([part], classes=CLASSES, needs=frozenset({"expected"}), threshold=0.5, **floor)
        for floor in ({}, {"floor": 0.3})
    ]
    low, high = (pool.column("expected")[:, 0, 1] for pool in pools)
    assert (low > 0).tolist() == [True, True, True]
    assert (high > 0).tolist() == [False, True, True]


def counted(part: PoolClip, counts) -> PoolClip:
    return replace(part, detections=replace(part.detections, suppressed=counts))


def test_counts_and_votes_go_with_their_detections_on_both_sides():
    rows = [(0, 0, 0.9), (1, 1, 0.4), (1, 1, 0.8), (3, 0, 0.7)]
    needs = frozenset({"regions", "suppressed", "votes", "labelled"})
    votes = {"votes": np.arange(4, dtype=np.int16)[:, None]}
    truth = Annotations(
        CLASSES,
        np.array([False, False, False, True]),
        np.array([3]),
        np.array([[0, 0, 10, 10.0]]),
        np.array([0]),
        np.array([-1]),
        np.array([False]),
    )
    first = replace(
        counted(a_part("a", labelled=[3], rows=rows), [5, 6, 7, 8]),
        row_columns=votes,
        annotations=truth,
    )
    empty = a_part("b", frames=2)
    pool = build_pool([first, empty], classes=CLASSES, needs=needs, threshold=0.5)
    assert pool.regions.column("suppressed").tolist() == [5, 7]
    assert pool.regions.column("votes").tolist() == [[0], [2]]
    assert pool.items.column("suppressed").tolist() == [8]
    assert pool.items.column("labels").tolist() == [0]
    bare = build_pool([first], classes=CLASSES, needs=frozenset({"regions"}), threshold=0.5)
    assert dict(bare.regions.columns) == {}


def test_a_column_that_one_clip_lacks_is_no_column():
    rows = [(0, 0, 0.9)]
    parts = [counted(a_part("a", rows=rows), [4]), a_part("b", rows=rows)]
    needs = frozenset({"regions", "suppressed"})
    pool = build_pool(parts, classes=CLASSES, needs=needs, threshold=0.5)
    assert "suppressed" not in pool.regions.columns
