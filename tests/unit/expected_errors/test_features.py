"""Evidence rows: hand-computed on tiny clips, equal to a plain loop, symmetric in time."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.boxes import iou
from vidal.expected_errors import ExpectedErrorsOptions, gather_evidence
from vidal.expected_errors.pairs import LINK_IOU, best_by_offset, link_detections, tracks
from vidal.track import propagate
from vidal.types import Detections, ErrorEstimate

SIZE = (100, 200)
OPTIONS = ExpectedErrorsOptions(threshold=0.5)


class Still:
    """A motion without motion."""

    def step(self, before, after, boxes):
        return boxes.copy(), np.ones(len(boxes), np.float32)


def table(rows, frames, classes=("car", "van"), scanned=None):
    """Detections from (frame, label, score, x, y, width, height)."""
    rows = np.array(rows, np.float64).reshape(-1, 7)
    label = rows[:, 1].astype(np.int64)
    probs = np.zeros((len(rows), len(classes) + 1))
    probs[np.arange(len(rows)), label] = rows[:, 2]
    probs[:, -1] = 1 - rows[:, 2]
    return Detections(
        classes=classes,
        scanned=np.ones(frames, bool) if scanned is None else scanned,
        frame=rows[:, 0],
        boxes=np.hstack([rows[:, 3:5], rows[:, 3:5] + rows[:, 5:7]]),
        scores=rows[:, 2],
        labels=label,
        probs=probs,
        features=np.zeros((len(rows), 0)),
        embedding=np.zeros((frames, 0)),
    )


def evidence_of(detections, verdicts=None, options=OPTIONS):
    carried = propagate(detections, Still(), window=options.window, size=SIZE)
    return gather_evidence(detections, carried, verdicts, options, size=SIZE)


def column(rows, name):
    return rows.column(name).tolist()


def approx(values):
    return pytest.approx(values, abs=1e-5, nan_ok=True)


def test_files_without_any_detection_name_no_class_and_give_no_rows():
    found = evidence_of(table([], 4, classes=()))
    assert (len(found.detections), len(found.candidates)) == (0, 0)


# A parked car: seen, seen, hardly seen, not seen, seen.
PARKED = [(0, 0, 0.9), (1, 0, 0.8), (2, 0, 0.2), (4, 0, 0.6)]
PARKED = [(f, k, s, 50, 40, 20, 10) for f, k, s in PARKED]


def test_detections_above_the_threshold_may_be_false_and_the_rest_are_candidates():
    evidence = evidence_of(table(PARKED, 5))
    assert evidence.rows.tolist() == [0, 1, 3]
    assert evidence.detections.frame.tolist() == [0, 1, 4]
    # The weak detection of frame 2, and the place where frame 3 should have the car.
    assert evidence.candidates.frame.tolist() == [2, 3]
    assert column(evidence.candidates, "is detection") == [1, 0]
    assert evidence.candidates.boxes.tolist() == [[50, 40, 70, 50]] * 2
    assert evidence.candidates.labels.tolist() == [0, 0]


def test_what_a_box_says_by_itself():
    evidence = evidence_of(table(PARKED, 5))
    detections, candidates = evidence.detections, evidence.candidates
    assert column(detections, "score") == approx([0.9, 0.8, 0.6])
    assert column(candidates, "score") == approx([0.2, 0.0])
    assert column(detections, "margin") == approx([0.8, 0.6, 0.2])
    assert column(detections, "entropy")[0] == approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1))
    assert column(detections, "height")[0] == approx(np.log(10 / 100))
    assert column(detections, "width")[0] == approx(np.log(20 / 200))
    assert column(detections, "aspect")[0] == approx(np.log(2))
    assert column(detections, "border x")[0] == approx(50 / 200)
    assert column(detections, "border y")[0] == approx(40 / 100)
    assert column(detections, "clip end") == [0, 1, 0]
    assert column(candidates, "clip end") == [2, 1]


def test_linked_detections_before_and_after():
    evidence = evidence_of(table(PARKED, 5))
    rows = evidence.detections
    # Frame 1: 0.9 before, 0.2 after. Frame 0 has nothing before it, frame 4 nothing after.
    assert column(rows, "any score 1 mean") == approx([0.8, 0.55, 0.0])
    assert column(rows, "any score 1 least") == approx([0.8, 0.2, 0.0])
    assert column(rows, "strong score 1 mean") == approx([0.8, 0.45, 0.0])
    assert column(rows, "strong score 1 least") == approx([0.8, 0.0, 0.0])
    assert column(rows, "any affinity 2 mean") == approx([1, 0, 1])
    # Frame 0 reaches frames 1, 2, 3; frame 1 reaches 0, 2, 3, 4; frame 4 reaches 1, 2, 3.
    assert column(rows, "any linked") == approx([2 / 3, 3 / 4, 2 / 3])
    assert column(rows, "strong linked") == approx([1 / 3, 2 / 4, 1 / 3])
    assert column(rows, "strong mean score") == approx([0.8 / 3, 1.5 / 4, 0.8 / 3])


def test_a_place_without_a_detection_has_the_links_of_the_track_that_expects_it():
    rows = evidence_of(table(PARKED, 5)).candidates
    assert column(rows, "any score 1 mean") == approx([(0.8 + 0) / 2, (0.2 + 0.6) / 2])
    assert column(rows, "strong score 1 mean") == approx([(0.8 + 0) / 2, (0 + 0.6) / 2])
    assert column(rows, "track seen") == [4, 4]


def test_the_track_bridges_the_gap():
    rows = evidence_of(table(PARKED, 5)).detections
    assert column(rows, "run") == [4, 4, 4]
    assert column(rows, "lesser run") == [0, 1, 0]
    assert column(rows, "track score") == approx([0.625] * 3)
    assert column(rows, "track dip") == approx([0.275, 0.175, -0.025])
    assert column(rows, "track strong") == approx([0.75] * 3)
    assert column(rows, "track spread") == approx([np.std([0.9, 0.8, 0.2, 0.6])] * 3)


def test_a_place_vanishes_only_where_a_detection_is_the_object_itself():
    # The car of frame 0 is carried to frame 1, where a box beside it overlaps it by 0.4.
    beside = [(0, 0, 0.9, 50, 40, 20, 10), (1, 0, 0.9, 50, 40 + 10 * 3 / 7, 20, 10)]
    first, second = (
        evidence_of(table(beside, 2), options=ExpectedErrorsOptions(version=version)).candidates
        for version in (1, 2)
    )
    assert len(first) == 0
    assert second.frame.tolist() == [0, 1]
    assert second.boxes[1].tolist() == [50, 40, 70, 50]
    # The two are linked all the same: how well they fit is evidence.
    rows = evidence_of(table(beside, 2)).detections
    assert column(rows, "any affinity 1 mean") == approx([0.4, 0.4])


def test_class_agreement_is_the_share_of_links_of_the_same_class():
    flip = [(0, 0, 0.9), (1, 1, 0.9), (2, 0, 0.9)]
    rows = evidence_of(table([(*row, 50, 40, 20, 10) for row in flip], 3)).detections
    assert column(rows, "class agreement") == approx([0.5, 0.0, 0.5])


def test_frames_that_were_not_scanned_are_unknown_and_not_empty():
    scanned = np.array([True, False, True])
    rows = evidence_of(
        table([(0, 0, 0.9, 50, 40, 20, 10), (2, 0, 0.9, 50, 40, 20, 10)], 3, scanned=scanned)
    ).detections
    # A track ends before a frame that was not scanned, so frame 2 is known and not linked.
    assert column(rows, "any affinity 1 mean") == approx([np.nan, np.nan])
    assert column(rows, "any affinity 2 mean") == approx([0, 0])


def test_overlap_and_crowding_in_the_same_frame():
    rows = [(0, 0, 0.9, 0, 0, 20, 10), (0, 1, 0.6, 10, 0, 20, 10), (0, 0, 0.3, 100, 50, 9, 9)]
    evidence = evidence_of(table(rows, 1))
    assert column(evidence.detections, "overlap") == approx([1 / 3, 1 / 3])
    assert column(evidence.detections, "overlap better") == approx([0, 1 / 3])
    assert column(evidence.detections, "frame strong") == [2, 2]
    assert column(evidence.detections, "frame weak") == approx([0.3, 0.3])
    assert column(evidence.candidates, "overlap") == [0]


def test_the_cut_judges_detections_by_row_and_candidates_by_place():
    detections = table(PARKED, 5)
    verdicts = ErrorEstimate(
        rows=[0, 1, 3],
        false_positive=[False, False, True],
        false_positive_confidence=[0.1, 0.2, 0.7],
        missed_frame=[3],
        missed_boxes=[[50, 40, 70, 50]],
        missed_label=[0],
        missed=[True],
        missed_confidence=[0.8],
        energy=1.0,
        link_share=1.0,
    )
    evidence = evidence_of(detections, verdicts)
    assert column(evidence.detections, "cut verdict") == [0, 0, 1]
    assert column(evidence.detections, "cut confidence") == approx([0.1, 0.2, 0.7])
    assert column(evidence.candidates, "cut verdict") == [0, 1]
    assert column(evidence.candidates, "cut confidence") == approx([0, 0.8])
    assert np.isnan(column(evidence_of(detections).detections, "cut verdict")).all()


@pytest.mark.parametrize("frames", [1, 4])
def test_a_clip_without_detections_has_no_rows(frames):
    evidence = evidence_of(table([], frames))
    assert len(evidence.detections) == len(evidence.candidates) == 0
    assert evidence.frames == frames
    assert evidence.detections.evidence.shape == (0, len(evidence.columns))


@st.composite
def clips(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames, n = draw(st.integers(1, 9)), draw(st.integers(0, 30))
    rows = np.stack(
        [
            rng.integers(0, frames, n),
            rng.integers(0, 2, n),
            rng.uniform(0.06, 0.99, n),
            rng.uniform(0, 40, n),
            rng.uniform(0, 30, n),
            rng.uniform(15, 40, n),
            rng.uniform(15, 40, n),
        ],
        axis=1,
    )
    return rows[np.argsort(rows[:, 0], kind="stable")], frames


@given(clips(), st.sampled_from([0.3, 0.5, 0.7]))
@settings(max_examples=40, deadline=None)
def test_links_and_tracks_equal_those_of_a_plain_loop(clip, same):
    detections = table(*clip)
    n, window = len(detections), 3
    carried = propagate(detections, Still(), window=window, size=SIZE)
    meetings, met = link_detections(detections, carried, same)
    other, affinity = best_by_offset(meetings, n, window, np.ones(n, bool))
    overlap = iou(detections.boxes, detections.boxes)
    gap = detections.frame[None, :] - detections.frame[:, None]
    best = np.full((n, 7), -1)
    for i in range(n):
        for d in (-3, -2, -1, 1, 2, 3):
            near = [j for j in range(n) if gap[i, j] == d and overlap[i, j] > LINK_IOU]
            if near:
                best[i, d + 3] = max(near, key=lambda j: overlap[i, j])
    np.testing.assert_array_equal(other, best)
    has = best >= 0
    rows = np.nonzero(has)[0]
    np.testing.assert_allclose(affinity[has], overlap[rows, best[has]], rtol=1e-5)
    assert met.sum() == sum(
        any(overlap[o, j] > same for j in range(n) if detections.frame[j] == f)
        for o, f in zip(carried.origin, carried.frame, strict=True)
    )
    np.testing.assert_array_equal(same_track(tracks(other, window)), same_track(plain_tracks(best)))


def plain_tracks(best):
    n = len(best)
    number, after, before = list(range(n)), {}, {}
    for d in (1, 2, 3):
        new = [
            (i, int(best[i, 3 + d]))
            for i in range(n)
            if best[i, 3 + d] >= 0 and best[best[i, 3 + d], 3 - d] == i
        ]
        new = [(i, j) for i, j in new if i not in after and j not in before]
        after.update(new)
        before.update({j: i for i, j in new})
    for i in range(n):
        root = i
        while root in before:
            root = before[root]
        number[i] = root
    return np.array(number, int)


def same_track(number):
    return number[:, None] == number[None, :]


def sorted_rows(rows):
    keys = np.hstack([rows.frame[:, None], rows.boxes, rows.labels[:, None]])
    order = np.lexsort(keys.T[::-1])
    return keys[order], rows.evidence[order]


def assert_same_rows(first, second):
    for mine, theirs in zip(sorted_rows(first), sorted_rows(second), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


@given(clips(), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_order_of_rows_in_a_frame_does_not_matter(clip, seed):
    rows, frames = clip
    shuffled = np.random.default_rng(seed).permutation(rows)
    shuffled = shuffled[np.argsort(shuffled[:, 0], kind="stable")]
    first, second = (evidence_of(table(each, frames)) for each in (rows, shuffled))
    assert_same_rows(first.detections, second.detections)
    assert_same_rows(first.candidates, second.candidates)


@given(clips())
@settings(max_examples=40, deadline=None)
def test_a_clip_read_backwards_has_the_same_evidence(clip):
    rows, frames = clip
    turned = rows.copy()
    turned[:, 0] = frames - 1 - turned[:, 0]
    turned = turned[np.argsort(turned[:, 0], kind="stable")]
    first, second = (evidence_of(table(each, frames)) for each in (rows, turned))
    for mine, theirs in (
        (first.detections, second.detections),
        (first.candidates, second.candidates),
    ):
        back = type(mine)(
            np.sort(frames - 1 - theirs.frame),
            theirs.boxes[np.argsort(frames - 1 - theirs.frame, kind="stable")],
            theirs.labels[np.argsort(frames - 1 - theirs.frame, kind="stable")],
            theirs.evidence[np.argsort(frames - 1 - theirs.frame, kind="stable")],
            theirs.columns,
        )
        assert_same_rows(mine, back)


@given(clips())
@settings(max_examples=40, deadline=None)
def test_shares_and_overlaps_lie_between_0_and_1(clip):
    evidence = evidence_of(table(*clip))
    for rows in (evidence.detections, evidence.candidates):
        for name in rows.columns:
            if "affinity" in name or "linked" in name or name in ("class agreement", "overlap"):
                values = rows.column(name)
                known = values[~np.isnan(values)]
                assert ((known >= 0) & (known <= 1 + 1e-6)).all(), name


def test_no_memory_is_taken_for_the_pairs_of_boxes_of_a_clip():
    rng = np.random.default_rng(0)
    frames, n = 100, 60
    rows = np.zeros((frames * n, 7))
    rows[:, 0] = np.repeat(np.arange(frames), n)
    rows[:, 2] = rng.uniform(0.06, 0.9, len(rows))
    rows[:, 3:5] = np.tile(rng.uniform(0, [160, 70], (n, 2)), (frames, 1))
    rows[:, 5:7] = np.tile(rng.uniform(5, 20, (n, 2)), (frames, 1))
    detections = table(rows, frames)
    carried = propagate(detections, Still(), window=3, size=SIZE)
    tracemalloc.start()
    evidence = gather_evidence(detections, carried, None, OPTIONS, size=SIZE)
    high = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(evidence.detections) + len(evidence.candidates) >= len(rows)
    # All pairs of a carried box and a box of its frame are 2.1 million: 68 MB at the worst moment.
    assert high < 30e6
