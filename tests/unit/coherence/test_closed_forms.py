"""Situations whose solution is known: one object that stands still, a perfect tracker, window 3.

Property 13: runs, borders, gaps and flickers of every length, under both tie rules, at pairwise
weights 1 and 2, with and without clustering.
"""

from __future__ import annotations

import numpy as np
import pytest

from vidal.coherence import CoherenceOptions, estimate
from vidal.track import propagate
from vidal.types import Detections, ErrorEstimate, FloatArray, IntArray

SIZE = (300, 480)
BOX = (100.0, 100.0, 140.0, 130.0)


class Still:
    """A perfect tracker of an object that does not move."""

    def step(
        self, before: IntArray, after: IntArray, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        return boxes, np.ones(len(boxes), dtype=np.float32)


def errors(seen: list[int], frames: int, **options: object) -> ErrorEstimate:
    """The estimate for one object of a clip that is detected in the frames ``seen`` only."""
    n = len(seen)
    table = Detections(
        classes=("car",),
        scanned=np.ones(frames, dtype=np.bool_),
        frame=np.array(seen, dtype=np.int64),
        boxes=np.tile(np.array(BOX, dtype=np.float32), (n, 1)),
        scores=np.full(n, 0.9, dtype=np.float32),
        labels=np.zeros(n, dtype=np.int64),
        probs=np.zeros((n, 2), dtype=np.float32),
        features=np.zeros((n, 0), dtype=np.float16),
        embedding=np.zeros((frames, 0), dtype=np.float32),
    )
    chosen = CoherenceOptions(**options)  # type: ignore[arg-type]
    carried = propagate(table, Still(), window=chosen.window, size=SIZE)
    return estimate(table, carried, chosen, size=SIZE)


def outcome(seen: list[int], frames: int, **options: object) -> tuple[int, int, float]:
    """False positives, missed objects, energy."""
    found = errors(seen, frames, **options)
    return int(found.false_positive.sum()), int(found.missed.sum()), found.energy


def run(length: int) -> list[int]:
    return list(range(25, 25 + length))


def gap(length: int) -> list[int]:
    return [index for index in range(60) if not 25 <= index < 25 + length]


SETTINGS = [
    {"weight": weight, "clustering": clustering}
    for weight in (1, 2)
    for clustering in ("components", "none")
]


@pytest.mark.parametrize("options", SETTINGS, ids=str)
@pytest.mark.parametrize("tie", ["bottom", "top"])
def test_detection_of_a_one_frame_clip_is_right(options: dict[str, object], tie: str) -> None:
    assert outcome([0], 1, tie=tie, **options) == (0, 0, 0)


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_flicker_with_one_neighbour_is_a_tie(options: dict[str, object]) -> None:
    assert outcome([0], 2, tie="bottom", **options) == (1, 0, 1)
    assert outcome([0], 2, tie="top", **options) == (0, 1, 1)


@pytest.mark.parametrize("options", SETTINGS, ids=str)
@pytest.mark.parametrize("tie", ["bottom", "top"])
@pytest.mark.parametrize(("at", "frames"), [(1, 3), (0, 4), (1, 5), (2, 6), (3, 7)])
def test_flicker_with_two_to_six_neighbours_is_false(
    options: dict[str, object], tie: str, at: int, frames: int
) -> None:
    assert outcome([at], frames, tie=tie, **options) == (1, 0, 1)


@pytest.mark.parametrize("length", range(1, 15))
@pytest.mark.parametrize("weight", [1, 2])
def test_run_inside_a_clip_is_believed_from_seven_frames_on(length: int, weight: int) -> None:
    bottom = outcome(run(length), 60, weight=weight, tie="bottom")
    top = outcome(run(length), 60, weight=weight, tie="top")
    if length <= 5:
        assert bottom == top == (length, 0, length)
    elif length == 6:
        assert bottom == (6, 0, 6)
        assert top == (0, 6, 6)
    else:
        assert bottom == (0, 4 if weight == 1 else 6, 6)
        assert top == (0, 6, 6)


@pytest.mark.parametrize("length", range(1, 15))
@pytest.mark.parametrize("weight", [1, 2])
@pytest.mark.parametrize("end", ["start", "end"])
def test_run_at_a_border_is_believed_from_four_frames_on(
    length: int, weight: int, end: str
) -> None:
    seen = list(range(length)) if end == "start" else list(range(60 - length, 60))
    bottom = outcome(seen, 60, weight=weight, tie="bottom")
    top = outcome(seen, 60, weight=weight, tie="top")
    if length <= 2:
        assert bottom == top == (length, 0, length)
    elif length == 3:
        assert bottom == (3, 0, 3)
        assert top == (0, 3, 3)
    else:
        assert bottom == (0, 2 if weight == 1 else 3, 3)
        assert top == (0, 3, 3)


@pytest.mark.parametrize("length", range(1, 17))
@pytest.mark.parametrize("weight", [1, 2])
def test_run_without_clustering_is_believed_from_thirteen_frames_on(
    length: int, weight: int
) -> None:
    bottom = outcome(run(length), 60, weight=weight, clustering="none", tie="bottom")
    top = outcome(run(length), 60, weight=weight, clustering="none", tie="top")
    if length <= 11:
        assert bottom == top == (length, 0, length)
    elif length == 12:
        assert bottom == (12, 0, 12)
        assert top == (0, 12, 12)
    else:
        assert bottom == (0, 0 if weight == 1 else 12, 12)
        assert top == (0, 12, 12)


@pytest.mark.parametrize("length", range(1, 10))
@pytest.mark.parametrize("weight", [1, 2])
def test_border_run_without_clustering_is_believed_from_seven_frames_on(
    length: int, weight: int
) -> None:
    seen = list(range(length))
    bottom = outcome(seen, 60, weight=weight, clustering="none", tie="bottom")
    top = outcome(seen, 60, weight=weight, clustering="none", tie="top")
    assert bottom[0] == (length if length <= 6 else 0)
    assert top[0] == (length if length <= 5 else 0)


@pytest.mark.parametrize("options", SETTINGS, ids=str)
@pytest.mark.parametrize("tie", ["bottom", "top"])
@pytest.mark.parametrize("frames", [2, 3, 7, 40])
def test_track_over_the_whole_clip_has_no_error(
    options: dict[str, object], tie: str, frames: int
) -> None:
    assert outcome(list(range(frames)), frames, tie=tie, **options) == (0, 0, 0)


@pytest.mark.parametrize("length", range(1, 9))
def test_gap_in_a_long_track_is_filled_up_to_five_frames(length: int) -> None:
    for weight in (1, 2):
        bottom = outcome(gap(length), 60, weight=weight, tie="bottom")
        top = outcome(gap(length), 60, weight=weight, tie="top")
        if length <= 5:
            assert bottom[:2] == top[:2] == (0, length)
        else:
            assert bottom[:2] == (0, 4 if weight == 1 else 6)
            assert top[:2] == (0, 6)


@pytest.mark.parametrize(("length", "tracks"), [(1, 6), (2, 10), (3, 12), (4, 12)])
def test_gap_without_clustering_is_filled_by_duplicates_or_not_at_all(
    length: int, tracks: int
) -> None:
    assert outcome(gap(length), 60, clustering="none", tie="bottom")[:2] == (0, 0)
    assert outcome(gap(length), 60, clustering="none", tie="top")[:2] == (0, tracks)
    for tie in ("bottom", "top"):
        filled = outcome(gap(length), 60, clustering="none", weight=2, tie=tie)
        assert filled[:2] == (0, tracks)


@pytest.mark.parametrize("frames", [3, 4, 6, 9, 30])
def test_every_frame_deleted_from_a_full_track_is_one_missed_object(frames: int) -> None:
    """Property 16: exactly one false negative, in that frame, and no false positive."""
    for gone in range(frames):
        found = errors([index for index in range(frames) if index != gone], frames)
        assert not found.false_positive.any()
        assert found.missed_frame[found.missed].tolist() == [gone]
        np.testing.assert_array_equal(found.missed_boxes[found.missed], [BOX])
