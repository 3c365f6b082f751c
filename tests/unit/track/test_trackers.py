"""Template matching and sparse flow on pictures that move by known amounts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.errors import UsageError
from vidal.track import SparseFlowPropagator, TemplatePropagator
from vidal.types import FloatArray, Frame, FrameRef

GROUND = cv2.GaussianBlur(
    np.random.default_rng(3).normal(size=(160, 200)).astype(np.float32), (0, 0), 2
)
GROUND = cv2.normalize(GROUND, None, 0, 255, cv2.NORM_MINMAX)
BOX = np.array([[70, 60, 110, 90]], dtype=np.float32)
TRACKERS = [TemplatePropagator(), SparseFlowPropagator()]


def view(index: int, dx: float = 0, dy: float = 0, grow: float = 1) -> Frame:
    """The ground, grown about the centre of ``BOX`` and moved."""
    x, y = 89.5, 74.5
    matrix = np.array([[grow, 0, x - grow * x + dx], [0, grow, y - grow * y + dy]])
    image = cv2.warpAffine(GROUND, matrix, (200, 160), borderMode=cv2.BORDER_REFLECT)
    return Frame(FrameRef("a", index), np.repeat(image.astype(np.uint8)[..., None], 3, axis=2))


def shifted(dx: float, dy: float) -> FloatArray:
    return BOX + np.array([dx, dy, dx, dy], dtype=np.float32)


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (5, -3), (-7, 2), (2.5, 1.25)])
def test_a_shift_is_recovered(tracker: TemplatePropagator, dx: float, dy: float) -> None:
    moved, trust = tracker.step(view(0), view(1, dx, dy), BOX)
    np.testing.assert_allclose(moved, shifted(dx, dy), atol=0.15)
    assert trust[0] > 0.9


@settings(max_examples=15, deadline=None)
@given(dx=st.integers(-9, 9), dy=st.integers(-9, 9), x=st.floats(0, 1), y=st.floats(0, 1))
def test_template_finds_whole_shifts_exactly_wherever_the_box_lies(
    dx: int, dy: int, x: float, y: float
) -> None:
    start = shifted(x, y)
    moved, trust = TemplatePropagator().step(view(0), view(1, dx, dy), start)
    np.testing.assert_allclose(moved - start, [[dx, dy, dx, dy]], atol=0.02)
    assert trust[0] > 0.99


def test_sparse_flow_grows_boxes_by_how_far_points_move_apart() -> None:
    moved, _ = SparseFlowPropagator().step(view(0), view(1, grow=1.1), BOX)
    np.testing.assert_allclose(moved, [[68, 58.5, 112, 91.5]], atol=0.4)
    kept, _ = SparseFlowPropagator(scale=False).step(view(0), view(1, grow=1.1), BOX)
    np.testing.assert_allclose(kept[:, 2:] - kept[:, :2], [[40, 30]], atol=1e-3)


def test_template_searches_further_across_more_frames() -> None:
    far = TemplatePropagator(margin=2, reach=4)
    near, _ = far.step(view(0), view(1, 10, 0), BOX)
    wide, _ = far.step(view(0), view(2, 10, 0), BOX)
    assert abs(near[0, 0] - 80) > 1
    assert abs(wide[0, 0] - 80) < 0.1


def test_a_target_is_remembered_from_where_it_began() -> None:
    session = TemplatePropagator().session()
    first, second = view(0), view(1, 3, 0)
    blank = Frame(FrameRef("a", 1), np.full_like(second.image, 128))
    targets = session.begin(first, BOX)
    _, trust = session.follow(targets, np.zeros(1, dtype=np.int64), first, blank, BOX)
    assert trust[0] == 0
    moved, trust = session.follow(targets, np.zeros(1, dtype=np.int64), blank, second, BOX)
    np.testing.assert_allclose(moved, shifted(3, 0), atol=0.1)
    assert trust[0] > 0.95


@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_target_that_has_gone_is_lost_and_stays_in_place(tracker: TemplatePropagator) -> None:
    blank = Frame(FrameRef("a", 1), np.full((160, 200, 3), 90, dtype=np.uint8))
    moved, trust = tracker.step(view(0), blank, BOX)
    np.testing.assert_array_equal(moved, BOX)
    assert trust[0] == 0


@pytest.mark.parametrize("tracker", TRACKERS)
def test_boxes_outside_the_image_and_empty_boxes_are_lost_not_wrong(
    tracker: TemplatePropagator,
) -> None:
    boxes = np.array([[300, 60, 340, 90], [50, 50, 50, 50], [190, 20, 230, 60]], np.float32)
    moved, trust = tracker.step(view(0), view(1, 2, 0), boxes)
    assert np.isfinite(moved).all()
    assert (trust[:1] == 0).all()
    assert ((trust >= 0) & (trust <= 1)).all()


@pytest.mark.parametrize("tracker", TRACKERS)
def test_frames_of_other_sizes_or_clips_are_refused(tracker: TemplatePropagator) -> None:
    small = Frame(FrameRef("a", 1), np.zeros((80, 200, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="size"):
        tracker.step(view(0), small, BOX)
    other = Frame(FrameRef("b", 1), view(1).image)
    with pytest.raises(ValueError, match="different clips"):
        tracker.step(view(0), other, BOX)


def test_options_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(UsageError, match="margin"):
        TemplatePropagator(margin=-1)
    with pytest.raises(UsageError, match="least"):
        TemplatePropagator(least=2)
    with pytest.raises(UsageError, match="grid"):
        SparseFlowPropagator(grid=1)
