"""Boxes that read a flow field."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.protocols import Motion
from vidal.track import FlowField
from vidal.track.options import Mode
from vidal.types import FloatArray

SIZE = (240, 320)
MODES: tuple[Mode, Mode] = ("robust", "centre")


def field(forward: FloatArray, *, backward: FloatArray | None = None, **how: object) -> FlowField:
    """A field of 240 x 320 px kept at a quarter; backward is the opposite unless it is given."""
    other = -forward if backward is None else backward
    valid = np.ones(len(forward), dtype=np.bool_)
    flows = forward.astype(np.float16), other.astype(np.float16)
    return FlowField(*flows, valid=valid, size=SIZE, **how)  # type: ignore[arg-type]


def constant(u: float, v: float, frames: int = 5) -> FloatArray:
    return np.tile(np.float32([u, v]), (frames - 1, 60, 80, 1))


def one(*box: float) -> FloatArray:
    return np.array([box], dtype=np.float32)


def at(*frames: int) -> np.ndarray:
    return np.array(frames, dtype=np.int64)


quarters = st.integers(-40, 40).map(lambda value: value / 4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", [True, False])
@given(u=quarters, v=quarters, x=quarters, y=quarters)
def test_constant_flow_moves_a_box_exactly_and_back(
    mode: Mode, scale: bool, u: float, v: float, x: float, y: float
) -> None:
    """Property 24: box + t (u, v), without any rounding; forward then backward returns it."""
    motion = field(constant(u, v), mode=mode, scale=scale)
    start = one(100 + x, 80 + y, 117 + x, 97.5 + y)
    box = start
    for index in range(4):
        box, trust = motion.step(at(index), at(index + 1), box)
        assert trust.tolist() == [1]
    np.testing.assert_array_equal(box, start + 4 * np.float32([u, v, u, v]))
    for index in range(4, 0, -1):
        box, _ = motion.step(at(index), at(index - 1), box)
    np.testing.assert_array_equal(box, start)


def test_backward_flow_is_read_where_it_was_measured() -> None:
    motion = field(constant(3, 0), backward=constant(-1, 2))
    box, _ = motion.step(at(2), at(1), one(100, 100, 120, 120))
    assert box.tolist() == [[99, 102, 119, 122]]


def test_rows_of_different_frames_and_directions_are_moved_at_once() -> None:
    flow = constant(0, 0)
    flow[0, ..., 0], flow[1, ..., 0], flow[3, ..., 1] = 4, 8, 16
    box = one(100, 100, 120, 120)
    moved, trust = field(flow).step(at(0, 1, 2, 3), at(1, 2, 1, 4), np.repeat(box, 4, axis=0))
    shifts = np.float32([[4, 0, 4, 0], [8, 0, 8, 0], [-8, 0, -8, 0], [0, 16, 0, 16]])
    np.testing.assert_array_equal(moved, box + shifts)
    assert trust.tolist() == [1, 1, 1, 1]


def test_robust_mode_ignores_the_background_around_an_object() -> None:
    """The object fills the inner 60 % of the box; what surrounds it moves the other way."""
    flow = constant(-6, 0)
    flow[:, 29:37, 29:37] = (5, 1)
    motion = field(flow, mode="robust", scale=False)
    moved, _ = motion.step(at(0), at(1), one(108, 108, 156, 156))
    assert moved.tolist() == [[113, 109, 161, 157]]


def test_centre_mode_reads_the_centre_and_keeps_the_size() -> None:
    flow = constant(0, 0)
    flow[:, 30, 40] = (7, -3)
    moved, _ = field(flow, mode="centre").step(at(0), at(1), one(122, 112, 202, 132))
    assert moved.tolist() == [[129, 109, 209, 129]]


def test_expanding_flow_grows_a_box_only_where_scale_is_asked_for() -> None:
    """Flow away from (160, 120) by 4 % of the distance; values of a field are at pixel centres."""
    y, x = np.mgrid[:60, :80].astype(np.float32)
    flow = np.tile(np.stack([(4 * x + 2 - 160), (4 * y + 2 - 120)], axis=-1) * 0.04, (4, 1, 1, 1))
    box = one(110, 90, 210, 150)
    grown, _ = field(flow, scale=True).step(at(0), at(1), box)
    np.testing.assert_allclose(grown, one(108, 88.8, 212, 151.2), atol=0.15)
    kept, _ = field(flow, scale=False).step(at(0), at(1), box)
    np.testing.assert_allclose(kept, box, atol=0.15)
    np.testing.assert_array_equal(kept[:, 2:] - kept[:, :2], [[100, 60]])


@pytest.mark.parametrize("mode", MODES)
def test_points_outside_the_image_read_its_border(mode: Mode) -> None:
    flow = constant(0, 0)
    flow[:, :, 0] = (2, 0)
    moved, trust = field(flow, mode=mode).step(at(0), at(1), one(-90, 100, -50, 120))
    assert moved.tolist() == [[-88, 100, -48, 120]]
    assert trust.tolist() == [1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_flow_that_is_not_finite_is_not_trusted(mode: Mode, value: float) -> None:
    flow = constant(1, 1)
    flow[1, 30, 40, 1] = value
    box = one(142, 102, 182, 142)
    moved, trust = field(flow, mode=mode).step(at(0, 1), at(1, 2), np.repeat(box, 2, axis=0))
    assert trust.tolist() == [1, 0]
    np.testing.assert_array_equal(moved, np.concatenate([box + 1, box]))


def test_pair_without_valid_flow_is_not_trusted() -> None:
    whole = field(constant(5, 5))
    cut = FlowField(whole.forward, whole.backward, np.array([True, False, True, True]), SIZE)
    box = one(100, 100, 120, 120)
    moved, trust = cut.step(at(0, 1, 2), at(1, 2, 1), np.repeat(box, 3, axis=0))
    assert trust.tolist() == [1, 0, 0]
    np.testing.assert_array_equal(moved[1:], np.repeat(box, 2, axis=0))


@pytest.mark.parametrize("mode", MODES)
def test_scaling_image_boxes_and_flow_scales_the_motion(mode: Mode) -> None:
    """Property 18: the same kept field, for frames of twice the size."""
    rng = np.random.default_rng(3)
    flow = rng.integers(-40, 40, (4, 60, 80, 2)).astype(np.float32) / 4
    corner = rng.uniform(20, 180, (30, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(8, 50, (30, 2))], axis=1)
    boxes = boxes.astype(np.float32)
    small = field(flow, mode=mode)
    large = FlowField(small.forward * 2, small.backward * 2, small.valid, (480, 640), mode=mode)
    zeros = np.zeros(30, dtype=np.int64)
    moved, _ = small.step(zeros, zeros + 1, boxes)
    twice, _ = large.step(zeros, zeros + 1, boxes * 2)
    np.testing.assert_allclose(twice, moved * 2, rtol=1e-6)


def test_no_boxes_are_no_boxes() -> None:
    moved, trust = field(constant(1, 1)).step(at(), at(), np.zeros((0, 4), dtype=np.float32))
    assert moved.shape == (0, 4)
    assert trust.shape == (0,)


@pytest.mark.parametrize(("before", "after"), [(0, 2), (1, 1), (0, -1), (4, 5)])
def test_frames_that_are_not_neighbours_in_the_clip_are_refused(before: int, after: int) -> None:
    with pytest.raises(ValueError, match="not neighbours"):
        field(constant(1, 1)).step(at(before), at(after), one(10, 10, 20, 20))


def test_boxes_passed_in_are_left_as_they_are() -> None:
    boxes = one(100, 100, 120, 120)
    field(constant(5, 5)).step(at(0), at(1), boxes)
    assert boxes.tolist() == [[100, 100, 120, 120]]


def test_arrays_give_the_same_field_back() -> None:
    flow = np.random.default_rng(0).normal(size=(3, 60, 80, 2)).astype(np.float32)
    kept = field(flow, mode="centre", scale=False)
    again = FlowField.from_arrays(kept.arrays(), mode="centre", scale=False)
    assert again.size == kept.size
    assert again.mode == "centre"
    for name in ("forward", "backward", "valid"):
        np.testing.assert_array_equal(getattr(again, name), getattr(kept, name))
        assert not getattr(again, name).flags.writeable


def test_field_is_a_motion() -> None:
    assert isinstance(field(constant(0, 0)), Motion)


def test_reading_changes_how_boxes_move_and_copies_nothing() -> None:
    kept = field(constant(0, 0))
    other = kept.reading(mode="centre", scale=False)
    assert (other.mode, other.scale) == ("centre", False)
    assert np.shares_memory(other.forward, kept.forward)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 6, 8), (3, 6, 8), 3), "forward: expected shape"),
        (((3, 6, 8, 2), (2, 6, 8, 2), 3), "backward: expected shape"),
        (((3, 6, 8, 2), (3, 6, 8, 2), 2), "valid: expected shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(shapes: tuple, message: str) -> None:
    first, second = (np.zeros(shape, dtype=np.float16) for shape in shapes[:2])
    with pytest.raises(ValueError, match=message):
        FlowField(first, second, np.ones(shapes[2], dtype=np.bool_), SIZE)
