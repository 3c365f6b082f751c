"""Trackers bound to the frames of a clip."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.track import (
    FlowMeter,
    FlowOptions,
    FlowPropagator,
    PixelMotion,
    StillPropagator,
    TemplatePropagator,
    pixel_motion,
    propagate,
    record_motion,
)
from vidal.types import Detections, FloatArray, Frame, FrameRef

SIZE = (120, 160)
GROUND = cv2.normalize(
    cv2.GaussianBlur(np.random.default_rng(5).normal(size=(120, 240)).astype("f4"), (0, 0), 2),
    None,
    0,
    255,
    cv2.NORM_MINMAX,
).astype(np.uint8)


def frames(count: int, missing: tuple[int, ...] = ()) -> Iterator[Frame]:
    """The ground moves 3 px to the right a frame."""
    for index in range(count):
        if index not in missing:
            grey = GROUND[:, 60 - 3 * index : 220 - 3 * index]
            yield Frame(FrameRef("a", index), np.repeat(grey[..., None], 3, axis=2))


def table(rows: list[tuple[int, list[float]]], count: int, unscanned: tuple[int, ...] = ()):
    n = len(rows)
    scanned = np.ones(count, dtype=np.bool_)
    scanned[list(unscanned)] = False
    return Detections(
        classes=("car",),
        scanned=scanned,
        frame=np.array([frame for frame, _ in rows], dtype=np.int64),
        boxes=np.array([box for _, box in rows], dtype=np.float32).reshape(n, 4),
        scores=np.full(n, 0.9, dtype=np.float32),
        labels=np.zeros(n, dtype=np.int64),
        probs=np.tile(np.float32([0.9, 0.1]), (n, 1)),
        features=np.zeros((n, 0), dtype=np.float16),
        embedding=np.zeros((count, 0), dtype=np.float32),
    )


@dataclass(frozen=True, slots=True)
class Right:
    """A propagator without memory: one pixel to the right for every frame forward."""

    def step(self, before: Frame, after: Frame, boxes: FloatArray):
        shift = np.float32([1, 0, 1, 0]) * (after.ref.index - before.ref.index)
        return (boxes + shift).astype(np.float32), np.full(len(boxes), 0.5, dtype=np.float32)


def test_a_detection_is_tracked_both_ways_from_its_own_frame() -> None:
    detections = table([(3, [50, 40, 80, 70])], 7)
    motion = record_motion(detections, frames(7), TemplatePropagator(), window=2, size=SIZE)
    carried = propagate(detections, motion, window=2, size=SIZE)
    np.testing.assert_array_equal(carried.frame, [1, 2, 4, 5])
    np.testing.assert_allclose(carried.boxes[:, 0], [44, 47, 53, 56], atol=0.1)
    assert (carried.trust > 0.98).all()


def test_any_propagator_can_be_bound() -> None:
    detections = table([(1, [50, 40, 80, 70])], 3)
    motion = record_motion(detections, frames(3), Right(), window=3, size=SIZE)
    carried = propagate(detections, motion, window=3, size=SIZE)
    np.testing.assert_array_equal(carried.frame, [0, 2])
    np.testing.assert_array_equal(carried.boxes[:, 0], [49, 51])
    np.testing.assert_array_equal(carried.trust, [0.5, 0.5])


def test_flow_bound_to_frames_carries_boxes_as_flow_that_was_measured_first() -> None:
    rows = [(i, [40.0 + 3 * i, 30, 70.0 + 3 * i, 60]) for i in range(6)]
    detections = table(rows, 6)
    meter = FlowMeter(FlowOptions(), 6, SIZE)
    for frame in frames(6):
        meter.push(frame)
    motion = record_motion(detections, frames(6), FlowPropagator(), window=3, size=SIZE)
    one = propagate(detections, motion, window=3, size=SIZE)
    two = propagate(detections, meter.finish(), window=3, size=SIZE)
    for name in ("origin", "frame", "boxes", "trust"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_a_smaller_window_and_fewer_detections_are_known_too() -> None:
    rows = [(i, [40.0 + i, 30, 70, 60]) for i in range(5)]
    motion = record_motion(table(rows, 5), frames(5), Right(), window=3, size=SIZE)
    carried = propagate(table(rows[1:3], 5), motion, window=1, size=SIZE)
    np.testing.assert_array_equal(carried.frame, [0, 1, 2, 3])


def test_a_box_that_was_not_tracked_is_refused() -> None:
    motion = record_motion(table([(0, [9, 9, 30, 30])], 3), frames(3), Right(), window=3, size=SIZE)
    with pytest.raises(ValueError, match="not tracked"):
        propagate(table([(0, [9, 9, 31, 31])], 3), motion, window=3, size=SIZE)
    with pytest.raises(ValueError, match="not neighbours"):
        motion.step(np.array([0]), np.array([2]), np.float32([[9, 9, 30, 30]]))


@pytest.mark.parametrize("missing", [(), (2,), (0,), (3, 4)])
def test_tracks_end_at_frames_that_did_not_decode(missing: tuple[int, ...]) -> None:
    rows = [(i, [40.0, 30, 70, 60]) for i in range(6) if i not in missing]
    detections = table(rows, 6, missing)
    motion = record_motion(detections, frames(6, missing), Right(), window=3, size=SIZE)
    carried = propagate(detections, motion, window=3, size=SIZE)
    expected = propagate(detections, _Everywhere(), window=3, size=SIZE)
    np.testing.assert_array_equal(carried.frame, expected.frame)
    np.testing.assert_array_equal(carried.boxes, expected.boxes)


class _Everywhere:
    """``Right`` as a motion that needs no frames."""

    def step(self, before, after, boxes):
        shift = np.float32([1, 0, 1, 0]) * (after - before)[:, None]
        return (boxes + shift).astype(np.float32), np.full(len(boxes), 0.5, dtype=np.float32)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.integers(-20, 150), st.integers(-20, 110)), max_size=12
    ),
    st.integers(0, 4),
)
def test_the_recorded_steps_are_just_those_that_propagation_asks_for(
    places: list[tuple[int, int, int]], window: int
) -> None:
    rows = [(frame, [x, y, x + 20.0, y + 20.0]) for frame, x, y in sorted(places)]
    detections = table(rows, 8)
    motion = record_motion(detections, frames(8), Right(), window=window, size=SIZE, cuts=False)
    carried = propagate(detections, motion, window=window, size=SIZE)
    expected = propagate(detections, _Everywhere(), window=window, size=SIZE)
    for name in ("origin", "frame", "boxes", "trust"):
        np.testing.assert_array_equal(getattr(carried, name), getattr(expected, name))


def test_no_step_leads_across_a_cut() -> None:
    def cut() -> Iterator[Frame]:
        rng = np.random.default_rng(1)
        other = cv2.GaussianBlur(rng.normal(size=SIZE).astype("f4"), (0, 0), 3)
        other = cv2.normalize(other, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
        for frame in frames(6):
            image = frame.image if frame.ref.index < 3 else np.repeat(other[..., None], 3, axis=2)
            yield Frame(frame.ref, image)

    detections = table([(2, [50, 40, 80, 70]), (3, [50, 40, 80, 70])], 6)
    motion = record_motion(detections, cut(), StillPropagator(), window=3, size=SIZE)
    carried = propagate(detections, motion, window=3, size=SIZE)
    np.testing.assert_array_equal(carried.frame, [0, 1, 4, 5])


def test_no_more_frames_are_held_than_the_window_needs() -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def watched() -> Iterator[Frame]:
        nonlocal most
        for frame in frames(14):
            image = frame.image.copy()
            alive.append(weakref.ref(image))
            yield Frame(frame.ref, image)
            del image
            gc.collect()
            most = max(most, sum(each() is not None for each in alive))

    rows = [(i, [40.0, 30, 70, 60]) for i in range(14)]
    record_motion(table(rows, 14), watched(), TemplatePropagator(), window=3, size=SIZE)
    assert most <= 9


def test_steps_survive_a_store() -> None:
    detections = table([(1, [50, 40, 80, 70])], 3)
    motion = record_motion(detections, frames(3), Right(), window=3, size=SIZE)
    again = PixelMotion.from_arrays({k: v.copy() for k, v in motion.arrays().items()})
    for name, values in motion.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], values)


def test_frames_out_of_order_outside_the_clip_or_of_another_size_are_refused() -> None:
    detections = table([], 2)
    first, second = frames(2)
    with pytest.raises(ValueError, match="later"):
        record_motion(detections, [second, first], Right(), window=1, size=SIZE)
    with pytest.raises(ValueError, match="not in a clip"):
        record_motion(detections, frames(3), Right(), window=1, size=SIZE)
    with pytest.raises(ValueError, match="size"):
        record_motion(detections, [first], Right(), window=1, size=(10, 10))


def test_a_step_does_not_sort_all_steps_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    detections = table([(i, [50 + i, 40, 80 + i, 70]) for i in range(9)], 9)
    motion = record_motion(detections, frames(9), TemplatePropagator(), window=2, size=SIZE)
    seen = []
    names = pixel_motion.step_names
    monkeypatch.setattr(
        pixel_motion,
        "step_names",
        lambda *columns: (seen.append(len(columns[0])), names(*columns))[1],
    )
    before = np.array([4, 2])
    moved, trust = motion.step(before, before + 1, detections.boxes[before])
    assert (trust > 0).all()
    assert seen == [2]
    again = PixelMotion.from_arrays(motion.arrays())
    np.testing.assert_array_equal(
        again.step(before, before + 1, detections.boxes[before])[0], moved
    )
