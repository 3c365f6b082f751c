"""The whole way from detections and tracks to verdicts.

Numbers in the test docstrings are those of the properties that temporal coherence was specified by.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.coherence import CoherenceOptions, estimate, frame_counts, link, prepare
from vidal.errors import UnknownName, UsageError
from vidal.track import propagate
from vidal.types import Carried, Detections, ErrorEstimate, FloatArray, IntArray, Links

SIZE = (600, 800)
CLASSES = ("car", "person", "cyclist")
DEFAULTS = CoherenceOptions()


@dataclass(frozen=True)
class Drift:
    """Everything moves by the same (dx, dy) a frame."""

    by: tuple[float, float] = (0.0, 0.0)

    def step(
        self, before: IntArray, after: IntArray, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        shift = np.tile(np.array(self.by, dtype=np.float32), 2)
        steps = (after - before).astype(np.float32)[:, None]
        return boxes + shift * steps, np.ones(len(boxes), dtype=np.float32)


def table(rows: list[tuple[int, tuple[float, float], int]], frames: int) -> Detections:
    """Detections of 40 x 30 px from (frame, (x, y), label)."""
    rows = sorted(rows, key=lambda row: row[0])
    n = len(rows)
    corner = np.array([row[1] for row in rows], dtype=np.float32).reshape(n, 2)
    return Detections(
        classes=CLASSES,
        scanned=np.ones(frames, dtype=np.bool_),
        frame=np.array([row[0] for row in rows], dtype=np.int64),
        boxes=np.concatenate([corner, corner + np.float32([40, 30])], axis=1),
        scores=np.full(n, 0.9, dtype=np.float32),
        labels=np.array([row[2] for row in rows], dtype=np.int64),
        probs=np.zeros((n, 4), dtype=np.float32),
        features=np.zeros((n, 0), dtype=np.float16),
        embedding=np.zeros((frames, 0), dtype=np.float32),
    )


def track(frames: range, at: tuple[float, float], label: int = 0) -> list:
    return [(index, at, label) for index in frames]


def judge(
    detections: Detections, options: CoherenceOptions = DEFAULTS, motion: Drift | None = None
) -> ErrorEstimate:
    carried = propagate(detections, motion or Drift(), window=options.window, size=SIZE)
    return estimate(detections, carried, options, size=SIZE)


def counts(detections: Detections, errors: ErrorEstimate) -> FloatArray:
    return frame_counts(errors, detections.frame, detections.frames)


@st.composite
def scenes(draw: st.DrawFn) -> Detections:
    """Boxes on a coarse lattice of places, so that links, gaps, flips and ties are common."""
    frames = draw(st.integers(1, 9))
    places = st.sampled_from([(100.0, 100.0), (108.0, 104.0), (124.0, 100.0), (300.0, 200.0)])
    row = st.tuples(st.integers(0, frames - 1), places, st.integers(0, 1))
    return table(draw(st.lists(row, max_size=24, unique=True)), frames)


def verdicts(errors: ErrorEstimate) -> list[tuple]:
    """Candidates with their verdicts, in an order that does not depend on time."""
    columns = (errors.missed_frame, errors.missed_label, errors.missed)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return sorted(zip(rows, map(tuple, errors.missed_boxes.tolist()), strict=True))


@settings(max_examples=60, deadline=None)
@given(scenes(), st.sampled_from(["bottom", "top"]), st.sampled_from([True, False]))
def test_reversing_time_mirrors_the_verdicts(scene: Detections, tie: str, same: bool) -> None:
    """Property 9, with motion in one direction and back."""
    options = CoherenceOptions(tie=tie, same_class=same)  # type: ignore[arg-type]
    last = scene.frames - 1
    order = np.argsort(last - scene.frame, kind="stable")
    mirrored = replace(
        scene,
        frame=(last - scene.frame)[order],
        boxes=scene.boxes[order],
        labels=scene.labels[order],
    )
    forward = judge(scene, options, Drift((4.0, 0.0)))
    backward = judge(mirrored, options, Drift((-4.0, 0.0)))
    np.testing.assert_array_equal(forward.false_positive[order], backward.false_positive)
    assert forward.energy == backward.energy
    swapped = replace(backward, missed_frame=last - backward.missed_frame)
    assert verdicts(forward) == verdicts(swapped)


@settings(max_examples=60, deadline=None)
@given(scenes(), st.integers(0, 2**32 - 1))
def test_order_of_detections_within_a_frame_does_not_matter(scene: Detections, seed: int) -> None:
    """Property 8."""
    order = np.lexsort((np.random.default_rng(seed).random(len(scene)), scene.frame))
    mixed = replace(scene, boxes=scene.boxes[order], labels=scene.labels[order])
    one, two = judge(scene), judge(mixed)
    np.testing.assert_array_equal(one.false_positive[order], two.false_positive)
    assert verdicts(one) == verdicts(two)


@settings(max_examples=40, deadline=None)
@given(scenes())
def test_renaming_classes_changes_nothing(scene: Detections) -> None:
    """Property 19."""
    renamed = replace(scene, labels=np.array([2, 0, 1])[scene.labels])
    one, two = judge(scene), judge(renamed)
    np.testing.assert_array_equal(one.false_positive, two.false_positive)
    np.testing.assert_array_equal(counts(scene, one), counts(renamed, two))


@settings(max_examples=40, deadline=None)
@given(scenes(), st.sampled_from([2.0, 0.5]), st.sampled_from([(0.0, 0.0), (64.0, -32.0)]))
def test_moving_or_scaling_the_world_changes_nothing(
    scene: Detections, factor: float, shift: tuple[float, float]
) -> None:
    """Property 18, away from the borders; the numbers are exact in binary."""
    drift = Drift((2.0, 1.0))
    other = replace(scene, boxes=scene.boxes * np.float32(factor) + np.float32([*shift, *shift]))
    one = judge(scene, DEFAULTS, drift)
    size = int(SIZE[0] * factor), int(SIZE[1] * factor)
    motion = Drift((2.0 * factor, factor))
    two = estimate(other, propagate(other, motion, window=3, size=size), DEFAULTS, size=size)
    np.testing.assert_array_equal(one.false_positive, two.false_positive)
    np.testing.assert_array_equal(counts(scene, one), counts(other, two))


@settings(max_examples=40, deadline=None)
@given(scenes(), st.floats(0, 0.9), st.floats(0, 0.9))
def test_larger_theta_gives_a_subset_of_the_links(
    scene: Detections, one: float, two: float
) -> None:
    """Property 20, in both link modes."""
    carried = propagate(scene, Drift((3.0, 1.0)), window=3, size=SIZE)
    for mode in ("many", "one_to_one"):
        low, high = (
            link(scene, carried, CoherenceOptions(theta=theta, link_mode=mode), size=SIZE)  # type: ignore[arg-type]
            for theta in sorted((one, two))
        )
        assert pairs(high) <= pairs(low)


def pairs(links: Links) -> set[tuple[int, int]]:
    return set(zip(links.src.tolist(), links.dst.tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(scenes(), st.sampled_from(["bottom", "top"]), st.integers(1, 3))
def test_solvers_agree_on_whole_scenes(scene: Detections, tie: str, weight: int) -> None:
    """Property 23."""
    one, two = (
        judge(scene, CoherenceOptions(tie=tie, weight=weight, solver=solver))  # type: ignore[arg-type]
        for solver in ("maxflow", "scipy")
    )
    np.testing.assert_array_equal(one.false_positive, two.false_positive)
    np.testing.assert_array_equal(one.missed, two.missed)
    assert one.energy == two.energy


@settings(max_examples=40, deadline=None)
@given(scenes(), st.sampled_from(["bottom", "top"]))
def test_confidence_is_above_one_half_where_neighbours_decide_for_an_error(
    scene: Detections, tie: str
) -> None:
    errors = judge(scene, CoherenceOptions(tie=tie))  # type: ignore[arg-type]
    assert (errors.missed_confidence[errors.missed] >= 0.5).all()
    assert (errors.missed_confidence[~errors.missed] <= 0.5).all()
    assert (errors.false_positive_confidence[errors.false_positive] >= 0.5).all()
    assert (errors.false_positive_confidence[~errors.false_positive] <= 0.5).all()


def test_static_scene_seen_in_all_frames_has_no_error() -> None:
    """Property 14."""
    scene = table(track(range(9), (100, 100)) + track(range(9), (300, 200), 1), 9)
    errors = judge(scene)
    assert len(errors.missed) == 0
    assert errors.energy == 0
    assert errors.link_share == 1
    assert not counts(scene, errors).any()


@pytest.mark.parametrize("at", range(12))
def test_planted_single_detection_is_one_false_positive_in_its_frame(at: int) -> None:
    """Property 15."""
    scene = table([*track(range(12), (100, 100)), (at, (400, 300), 1)], 12)
    expected = np.zeros((12, 2))
    expected[at, 0] = 1
    np.testing.assert_array_equal(counts(scene, judge(scene)), expected)


def test_class_flip_in_a_long_track_is_one_false_positive_and_one_missed_object() -> None:
    rows = [(i, (100.0, 100.0), 1 if i == 6 else 0) for i in range(13)]
    scene = table(rows, 13)
    errors = judge(scene)
    assert np.flatnonzero(errors.false_positive).tolist() == [6]
    assert errors.missed_frame[errors.missed].tolist() == [6]
    assert errors.missed_label[errors.missed].tolist() == [0]
    agnostic = judge(scene, CoherenceOptions(same_class=False))
    assert not counts(scene, agnostic).any()
    assert agnostic.energy == 0


def test_change_is_felt_only_within_its_window_and_component() -> None:
    """Property 17: candidates of the change reach three frames, their tracks three more."""
    rows = track(range(30), (100, 100)) + track(range(30), (300, 200), 1)
    before = table(rows, 30)
    after = table([row for row in rows if row[0] != 15 or row[2] != 0], 30)
    change = counts(after, judge(after)) - counts(before, judge(before))
    assert np.flatnonzero(change.any(axis=1)).tolist() == [15]
    flicker = table([*rows, (15, (500, 400), 2)], 30)
    change = counts(flicker, judge(flicker)) - counts(before, judge(before))
    assert np.flatnonzero(change.any(axis=1)).tolist() == [15]
    errors = judge(flicker)
    assert set(errors.missed_frame.tolist()) == {12, 13, 14, 16, 17, 18}


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_clip_without_detections_scores_zero(frames: int) -> None:
    """Property 21."""
    scene = table([], frames)
    errors = judge(scene)
    assert errors.energy == 0
    assert errors.link_share == 1
    assert counts(scene, errors).shape == (frames, 2)
    assert not counts(scene, errors).any()


def test_threshold_of_one_judges_nothing() -> None:
    """Property 21."""
    scene = table(track(range(5), (100, 100)), 5)
    prepared = prepare(scene, CoherenceOptions(score_threshold=1.0))
    assert len(prepared.detections) == 0
    assert not counts(prepared.detections, judge(prepared.detections)).any()


def test_threshold_is_strict_and_rows_point_into_the_whole_table() -> None:
    scene = replace(table(track(range(3), (100, 100)), 3), scores=np.float32([0.5, 0.51, 0.9]))
    prepared = prepare(scene, DEFAULTS)
    assert prepared.rows.tolist() == [1, 2]
    assert prepared.detections.frame.tolist() == [1, 2]


def test_exact_duplicates_are_merged_into_the_best_scored_and_counted() -> None:
    scene = table([(0, (100, 100), 0), (0, (100.1, 100), 0), (0, (100, 100), 1)], 2)
    scene = replace(scene, scores=np.float32([0.7, 0.8, 0.6]))
    prepared = prepare(scene, DEFAULTS)
    assert prepared.merged == 1
    assert prepared.rows.tolist() == [1, 2]
    equal = prepare(replace(scene, scores=np.float32([0.7, 0.7, 0.6])), DEFAULTS)
    assert equal.rows.tolist() == [0, 2]


def test_frames_that_were_not_scanned_have_no_candidates_and_break_tracks() -> None:
    rows = [row for row in track(range(12), (100, 100)) if row[0] not in (5, 6)]
    scanned = np.ones(12, dtype=np.bool_)
    missed = judge(table(rows, 12))
    assert missed.missed_frame[missed.missed].tolist() == [5, 6]
    scanned[[5, 6]] = False
    errors = judge(replace(table(rows, 12), scanned=scanned))
    assert len(errors.missed) == 0
    assert not errors.false_positive.any()


def test_box_that_leaves_the_image_expects_nothing_outside() -> None:
    """At 30 px a frame a box of 40 px has 10 px left after one frame, and nothing after two."""
    scene = table([(0, (800 - 40, 100), 0)], 4)
    errors = judge(scene, DEFAULTS, Drift((30.0, 0.0)))
    assert errors.missed_frame.tolist() == [1]
    np.testing.assert_array_equal(errors.missed_boxes, [[790, 100, 800, 130]])


def test_duplicate_keeps_its_support_unless_links_are_one_to_one() -> None:
    """A shift by 8 of 40 px: IoU 2/3 with the object's tracks, so that many-to-many links it."""
    scene = table([*track(range(13), (100, 100)), (6, (108, 100), 0)], 13)
    assert not judge(scene).false_positive.any()
    errors = judge(scene, CoherenceOptions(link_mode="one_to_one"))
    assert np.flatnonzero(errors.false_positive).tolist() == [7]
    assert not errors.missed.any()


def test_greedy_clusters_take_the_first_track_and_ignore_the_class() -> None:
    rows = [(0, (100, 100), 0), (0, (102, 100), 1), (2, (104, 100), 0)]
    scene = table(rows, 3)
    carried = Carried(
        origin=np.array([0, 1, 2]),
        frame=np.array([1, 1, 1]),
        boxes=scene.boxes,
        trust=np.ones(3, dtype=np.float32),
    )
    greedy = CoherenceOptions(clustering="greedy", cluster_iou=0.75)
    errors = estimate(scene, carried, greedy, size=SIZE)
    np.testing.assert_array_equal(errors.missed_boxes, scene.boxes[:1])
    assert errors.missed_label.tolist() == [0]
    # 102 to 104 px would chain: with components by class 0 and 2 join (IoU 36/44), 1 is alone.
    errors = estimate(scene, carried, DEFAULTS, size=SIZE)
    np.testing.assert_array_equal(errors.missed_boxes, [[102, 100, 142, 130], [102, 100, 142, 130]])
    assert errors.missed_label.tolist() == [0, 1]
    errors = estimate(scene, carried, replace(DEFAULTS, clustering="none"), size=SIZE)
    assert len(errors.missed) == 3


def test_greedy_and_component_clusters_agree_where_overlap_is_transitive() -> None:
    rows = track(range(4), (100, 100)) + track(range(6, 9), (100, 100))
    scene = table([*rows, *track(range(9), (300, 200), 1)], 9)
    one, two = (
        judge(scene, CoherenceOptions(clustering=kind)) for kind in ("components", "greedy")
    )
    assert verdicts(one) == verdicts(two)


def test_boxes_carried_beyond_the_window_are_left_out() -> None:
    scene = table([row for row in track(range(9), (100, 100)) if row[0] != 4], 9)
    wide = propagate(scene, Drift(), window=5, size=SIZE)
    narrow = propagate(scene, Drift(), window=2, size=SIZE)
    options = CoherenceOptions(window=2)
    one, two = (estimate(scene, carried, options, size=SIZE) for carried in (wide, narrow))
    assert verdicts(one) == verdicts(two)
    np.testing.assert_array_equal(one.false_positive, two.false_positive)
    assert link(scene, wide, options, size=SIZE).carried == narrow


def test_links_point_forward_once_with_the_larger_overlap() -> None:
    """Carried 0 -> 1 misses by 10 px (IoU 30/50), carried 1 -> 0 is exact."""
    scene = table([(0, (100, 100), 0), (1, (100, 100), 0)], 2)
    carried = Carried(
        origin=np.array([1, 0]),
        frame=np.array([0, 1]),
        boxes=scene.boxes + np.float32([[0] * 4, [10, 0, 10, 0]]),
        trust=np.ones(2, dtype=np.float32),
    )
    links = link(scene, carried, DEFAULTS, size=SIZE)
    assert (links.src.tolist(), links.dst.tolist()) == ([0], [1])
    assert links.affinity.tolist() == [1.0]
    assert links.used.all()
    # One direction above theta is enough, and then neither track is unmatched.
    links = link(scene, carried, CoherenceOptions(theta=0.7), size=SIZE)
    assert pairs(links) == {(0, 1)}
    assert links.used.all()
    # Theta is strict: an IoU of exactly 0.6 does not link at 0.6.
    one_way = Carried(*(getattr(carried, n)[1:] for n in ("origin", "frame", "boxes", "trust")))
    assert len(link(scene, one_way, CoherenceOptions(theta=0.6), size=SIZE).src) == 0


def test_few_links_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    scene = table([(0, (100, 100), 0), (2, (300, 300), 0), (4, (500, 100), 0)], 6)
    with caplog.at_level(logging.WARNING):
        assert judge(scene).link_share == 0
    assert "only 0 % of 3 detections are linked" in caplog.text
    caplog.clear()
    judge(table(track(range(5), (100, 100)), 5))
    judge(table([(0, (100, 100), 0)], 1))
    assert not caplog.text


def test_nan_is_refused() -> None:
    scene = table(track(range(2), (100, 100)), 2)
    with pytest.raises(ValueError, match="boxes: holds NaN"):
        replace(scene, boxes=np.full((2, 4), np.nan, dtype=np.float32))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"tie": "middle"}, UnknownName, "unknown tie 'middle'"),
        ({"solver": "gurobi"}, UnknownName, "unknown solver"),
        ({"theta": 1.5}, UsageError, "theta 1.5 is not between 0 and 1"),
        ({"theta": float("nan")}, UsageError, "theta nan"),
        ({"window": 0}, UsageError, "window 0"),
        ({"weight": 0.5}, UsageError, "weight 0.5 is not a whole number"),
        ({"weight": -1}, UsageError, "weight -1"),
        ({"false_positive_cost": 0}, UsageError, "false_positive_cost 0"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    values: dict[str, object], error: type[UsageError], message: str
) -> None:
    with pytest.raises(error, match=message):
        CoherenceOptions(**values)  # type: ignore[arg-type]


def test_solver_is_no_part_of_the_key() -> None:
    assert CoherenceOptions(solver="scipy").key == CoherenceOptions(solver="maxflow").key
    assert CoherenceOptions(theta=0.4).key != DEFAULTS.key
