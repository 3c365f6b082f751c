"""Detections carried to their neighbour frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from vidal.track import propagate
from vidal.types import Detections, FloatArray, IntArray

SIZE = (200, 300)


@dataclass
class Drift:
    """Moves everything by ``by`` a frame; remembers its calls; may lose or spoil boxes."""

    by: tuple[float, float] = (0.0, 0.0)
    sure: float = 1.0
    spoilt: tuple[float, ...] | None = None
    calls: list[int] = field(default_factory=list)

    def step(
        self, before: IntArray, after: IntArray, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        self.calls.append(len(boxes))
        shift = np.tile(np.float32(self.by), 2) * (after - before).astype(np.float32)[:, None]
        moved = boxes + shift
        if self.spoilt is not None:
            moved[:] = np.float32(self.spoilt)
        return moved, np.full(len(boxes), self.sure, dtype=np.float32)


def table(
    frame: list[int], frames: int, *, boxes: list | None = None, unseen: tuple[int, ...] = ()
) -> Detections:
    n = len(frame)
    scanned = np.ones(frames, dtype=np.bool_)
    scanned[list(unseen)] = False
    return Detections(
        classes=("car",),
        scanned=scanned,
        frame=np.array(frame, dtype=np.int64),
        boxes=np.float32(boxes or [[100, 50, 140, 80]] * n).reshape(n, 4),
        scores=np.full(n, 0.9),
        labels=np.zeros(n, dtype=np.int64),
        probs=np.zeros((n, 2)),
        features=np.zeros((n, 0)),
        embedding=np.zeros((frames, 0)),
    )


def test_detection_is_carried_both_ways_by_the_window() -> None:
    carried = propagate(table([4], 9), Drift((2, 1)), window=3, size=SIZE)
    assert carried.frame.tolist() == [1, 2, 3, 5, 6, 7]
    assert carried.boxes[:, 0].tolist() == [94, 96, 98, 102, 104, 106]
    assert carried.boxes[:, 1].tolist() == [47, 48, 49, 51, 52, 53]
    assert carried.origin.tolist() == [0] * 6
    assert carried.trust.tolist() == [1] * 6


def test_rows_are_sorted_by_frame_then_by_detection() -> None:
    carried = propagate(table([1, 1, 2], 4), Drift(), window=2, size=SIZE)
    assert carried.frame.tolist() == [0, 0, 0, 1, 2, 2, 3, 3, 3]
    assert carried.origin.tolist() == [0, 1, 2, 2, 0, 1, 0, 1, 2]


@pytest.mark.parametrize(("at", "reached"), [(0, [1, 2, 3]), (1, [0, 2, 3, 4]), (4, [1, 2, 3])])
def test_nothing_is_carried_beyond_the_ends_of_the_clip(at: int, reached: list[int]) -> None:
    carried = propagate(table([at], 5), Drift(), window=3, size=SIZE)
    assert carried.frame.tolist() == reached


def test_frame_that_was_not_scanned_ends_a_track() -> None:
    carried = propagate(table([4], 9, unseen=(2, 6)), Drift(), window=3, size=SIZE)
    assert carried.frame.tolist() == [3, 5]


def test_trust_multiplies_and_none_ends_a_track() -> None:
    carried = propagate(table([0], 5), Drift(sure=0.5), window=3, size=SIZE)
    assert carried.trust.tolist() == [0.5, 0.25, 0.125]
    assert len(propagate(table([2], 5), Drift(sure=0.0), window=3, size=SIZE)) == 0


def test_track_ends_once_less_than_a_quarter_of_the_box_is_visible() -> None:
    """40 px wide, 10 px a frame out of the image: a quarter after 3 frames, nothing after 4."""
    start = table([0], 9, boxes=[[300 - 40, 50, 300, 80]])
    carried = propagate(start, Drift((10, 0)), window=6, size=SIZE)
    assert carried.frame.tolist() == [1, 2, 3]
    assert carried.boxes[-1].tolist() == [290, 50, 330, 80]
    carried = propagate(start, Drift((11, 0)), window=6, size=SIZE)
    assert carried.frame.tolist() == [1, 2]


@pytest.mark.parametrize(
    "spoilt",
    [
        (np.nan, 0, 10, 10),
        (0, 0, np.inf, 10),
        (10, 10, 10, 20),
        (20, 10, 10, 20),
        (10, 20, 20, 10),
    ],
)
def test_box_that_is_not_finite_or_degenerate_ends_a_track(spoilt: tuple[float, ...]) -> None:
    assert len(propagate(table([2], 5), Drift(spoilt=spoilt), window=3, size=SIZE)) == 0


def test_motion_is_asked_twice_the_window_for_a_whole_clip() -> None:
    motion = Drift()
    propagate(table(sorted(list(range(40)) * 6), 40), motion, window=3, size=SIZE)
    assert motion.calls == [234, 228, 222] * 2


@pytest.mark.parametrize("frames", [0, 1, 5])
def test_nothing_to_carry_gives_an_empty_table(frames: int) -> None:
    carried = propagate(table([], frames), Drift(), window=3, size=SIZE)
    assert len(carried) == 0
    assert carried.boxes.shape == (0, 4)
