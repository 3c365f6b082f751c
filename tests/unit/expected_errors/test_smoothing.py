"""What is expected of a frame leans on its neighbours: by hand, and what must not change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.expected_errors.smoothing import FLICKER, blend

SEEN = np.ones(5, bool)


def counts(false, missed):
    """(F, 1, 2) of one class."""
    return np.stack([false, missed], axis=-1)[:, None].astype(np.float32)


def test_a_frame_is_mixed_with_the_gaussian_mean_of_its_neighbours():
    # Width 0.5: weights exp(-2) one frame away, exp(-8) two away; cut off after three widths.
    one, two = np.exp(-2.0), np.exp(-8.0)
    given = counts([0, 0, 4, 0, 0], [0, 0, 4, 0, 0])
    smooth = blend(given, SEEN, 0.5, 0.5)[:, 0, 1]
    ends, inner, full = 1 + one + two, 1 + 2 * one + two, 1 + 2 * one + 2 * two
    due = [4 * two / ends, 4 * one / inner, 4 / full, 4 * one / inner, 4 * two / ends]
    np.testing.assert_allclose(smooth, 0.5 * given[:, 0, 1] + 0.5 * np.array(due), rtol=1e-6)


def test_false_alarms_lean_on_their_neighbours_by_half_as_much():
    given = counts([0, 0, 4, 0, 0], [0, 0, 4, 0, 0])
    false, missed = blend(given, SEEN, 0.6, 1.0)[:, 0].T
    np.testing.assert_allclose(
        false - given[:, 0, 0], FLICKER * (missed - given[:, 0, 1]), rtol=1e-5
    )
    assert FLICKER == 0.5


def test_frames_without_anything_to_judge_neither_give_nor_take():
    seen = np.array([True, True, False, True, True])
    smooth = blend(counts([2, 2, 0, 2, 2], [1, 1, 0, 1, 1]), seen, 1.0, 2.0)
    np.testing.assert_allclose(smooth[:, 0, 0], [2, 2, 0, 2, 2], rtol=1e-6)
    np.testing.assert_allclose(smooth[:, 0, 1], [1, 1, 0, 1, 1], rtol=1e-6)


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0.2, 9))
@settings(max_examples=30, deadline=None)
def test_counts_stay_within_their_range_and_read_the_same_backwards(seed, weight, width):
    rng = np.random.default_rng(seed)
    frames = int(rng.integers(1, 40))
    given = rng.gamma(1, 2, (frames, 3, 2)).astype(np.float32)
    seen = rng.random(frames) < 0.8
    given[~seen] = 0
    smooth = blend(given, seen, weight, width)
    assert (smooth >= 0).all()
    assert (smooth.max(axis=0) <= given.max(axis=0) * (1 + 1e-5)).all()
    back = blend(given[::-1], seen[::-1], weight, width)[::-1]
    np.testing.assert_allclose(smooth, back, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("weight", "width"), [(0.0, 6.0), (0.5, 0.0)])
def test_without_weight_or_width_nothing_changes(weight, width):
    given = counts([1, 5, 0, 2, 0], [3, 0, 0, 1, 7])
    assert blend(given, SEEN, weight, width) is given
