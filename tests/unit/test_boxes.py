"""Pairs of overlapping boxes: equal to a look at all pairs, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal import boxes as geometry


@st.composite
def tables(draw):
    """Two tables of boxes of some frames, with equal, touching, empty and inverted boxes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames, stretch = draw(st.integers(1, 6)), draw(st.sampled_from([1, 1e-3, 1e5, 1e12]))
    whole = draw(st.booleans())
    result = []
    for _ in range(2):
        n = draw(st.integers(0, 40))
        corner, side = rng.uniform(-20, 60, (n, 2)), rng.uniform(-2, 40, (n, 2))
        if whole:
            corner, side = corner.round(-1), side.round(-1)
        boxes = (np.hstack([corner, corner + side]) * stretch).astype(np.float32)
        result.append((np.sort(rng.integers(-3, frames, n)), boxes))
    return result


def all_pairs(first, second, above):
    left, right = geometry.pairs_in_groups(first[0], second[0])
    iou = geometry.iou_pairs(first[1][left], second[1][right])
    return left[iou > above], right[iou > above], iou[iou > above]


def assert_same(mine, theirs):
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@given(tables(), st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.99]), st.sampled_from([1, 50, 1 << 16]))
@settings(max_examples=150, deadline=None)
def test_overlapping_pairs_are_those_of_a_look_at_all_pairs(sides, above, at_once):
    first, second = sides
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geometry, "_AT_ONCE", at_once)
        assert_same(geometry.overlapping(first, second, above), all_pairs(first, second, above))
        left, right, iou = all_pairs(first, first, above)
        once = left < right
        pairs = geometry.overlapping_within(first, above)
        assert_same(pairs, (left[once], right[once], iou[once]))


def test_frames_far_apart_are_kept_apart():
    boxes = np.float32([[0, 0, 1000, 10]])
    frames = np.array([0]), np.array([10**9])
    assert not len(geometry.overlapping((frames[0], boxes), (frames[1], boxes))[0])
    assert len(geometry.overlapping((frames[1], boxes), (frames[1], boxes))[0]) == 1


def peak(frames):
    """Bytes at the most while the pairs of 60 boxes a frame are looked at."""
    rng = np.random.default_rng(0)
    frame = np.repeat(np.arange(frames), 60)
    corner = rng.uniform(0, [440, 260], (len(frame), 2))
    table = frame, np.hstack([corner, corner + rng.uniform(10, 40, corner.shape)]).astype("f4")
    tracemalloc.start()
    for _ in geometry.overlapping_parts(table, table, 0.3):
        pass
    high = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return high


def test_pairs_of_a_long_clip_are_looked_at_a_few_frames_at_a_time():
    # All pairs of 400 frames take 23 MB for their two positions alone. What grows with the clip are
    # some columns for every box, 2.4 MB here.
    assert peak(400) < 12e6
    assert peak(800) - peak(400) < 5e6
