"""The optical flow of one clip, and boxes that move with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vidal.track.medians import ranked
from vidal.track.options import Mode
from vidal.types import BoolArray, FloatArray, HalfArray, IntArray

GRID = 5
"""Samples a side in a box. 3, 5, 7 a side: IoU .7736, .7771, .7781 after three frames."""
CENTRAL = 0.5
"""Part of the box's width and height that its motion is read from: what lies further out is
often background, and the very centre of a wheel is."""
SPREAD = 0.8
"""Part of the box that its growth is read from: slopes need distance."""
LARGEST_GROWTH = 0.1
"""A box does not grow or shrink by more than this share a frame."""


@dataclass(frozen=True, slots=True, eq=False)
class FlowField:
    """Optical flow between neighbouring frames of one clip, in pixels of the frame.

    Implements ``vidal.protocols.Motion``.

    Attributes:
        forward: (F-1, h, w, 2) float16, from frame i to i+1; last axis (dx, dy).
        backward: (F-1, h, w, 2) float16, from frame i+1 to i, measured and not inverted.
        valid: (F-1,) bool; False where a frame is missing or a shot was cut.
        size: (H, W) of the frames.
        mode, scale: how boxes read it, see ``FlowOptions``.
    """

    forward: HalfArray
    backward: HalfArray
    valid: BoolArray
    size: tuple[int, int]
    mode: Mode = "robust"
    scale: bool = True

    def __post_init__(self) -> None:
        shape = self.forward.shape
        if len(shape) != 4 or shape[3] != 2 or 0 in shape[1:]:
            raise ValueError(f"forward: expected shape (F-1, h, w, 2), got {shape}")
        if self.backward.shape != shape:
            raise ValueError(f"backward: expected shape {shape}, got {self.backward.shape}")
        if self.valid.shape != shape[:1]:
            raise ValueError(f"valid: expected shape {shape[:1]}, got {self.valid.shape}")
        # Not checked for NaN as other tables are: a field may be large and memory-mapped, and a
        # flow that is not finite only ends the tracks that meet it.
        for name, dtype in (("forward", np.float16), ("backward", np.float16), ("valid", np.bool_)):
            array: NDArray[Any] = np.ascontiguousarray(getattr(self, name), dtype=dtype).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def frames(self) -> int:
        """Length of the clip."""
        return len(self.valid) + 1

    def reading(self, *, mode: Mode, scale: bool) -> Self:
        """The same flow, read in another way; nothing is copied."""
        return replace(self, mode=mode, scale=scale)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The field as named arrays, for a store; how boxes read it is not part of them."""
        size = np.array(self.size, dtype=np.int64)
        return {
            "forward": self.forward,
            "backward": self.backward,
            "valid": self.valid,
            "size": size,
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], *, mode: Mode = "robust", scale: bool = True
    ) -> Self:
        """The field that ``arrays()`` was taken from.

        Raises:
            KeyError: an array is missing.
            ValueError: shapes do not fit.
        """
        height, width = (int(value) for value in arrays["size"])
        return cls(
            forward=arrays["forward"],
            backward=arrays["backward"],
            valid=arrays["valid"],
            size=(height, width),
            mode=mode,
            scale=scale,
        )

    def step(
        self, before: IntArray, after: IntArray, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4), row i in frame ``before[i]`` -> the same in ``after[i]``, trust (N,).

        Trust is 1, or 0 (and the box where it was) without valid, finite flow.

        Raises:
            ValueError: frames that are not neighbours, or outside the clip.
        """
        pair = np.minimum(before, after)
        if len(pair) and (
            (np.abs(after - before) != 1).any() or pair.min() < 0 or pair.max() >= len(self.valid)
        ):
            raise ValueError("step: frames that are not neighbours within the clip")
        moved, trust = boxes.astype(np.float32), self.valid[pair].astype(np.float32)
        for flow, ahead in ((self.forward, True), (self.backward, False)):
            rows = np.flatnonzero(((after > before) == ahead) & (trust > 0))
            if len(rows):
                shift, growth = self._read(flow, pair[rows], moved[rows])
                known = np.isfinite(shift[:, 0]) & np.isfinite(shift[:, 1]) & np.isfinite(growth)
                trust[rows[~known]] = 0
                found = np.flatnonzero(known)
                rows = rows[found]
                moved[rows] = _move(moved[rows], shift[found], growth[found])
        return moved, trust

    def _read(
        self, flow: HalfArray, pair: IntArray, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Shift (N, 2) in pixels and growth (N,) of boxes."""
        shift = np.empty((len(boxes), 2), dtype=np.float32)
        growth = np.zeros(len(boxes), dtype=np.float32)
        for first in range(0, len(boxes), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            where = flow, self.size, pair[some], boxes[some].T.copy()
            if self.mode == "centre":
                shift[some] = _samples(*where, np.zeros(1, dtype=np.float32))[0]
                continue
            shift[some] = _half_median(_samples(*where, _ticks(CENTRAL)))
            if self.scale:
                growth[some] = _growth(_samples(*where, _ticks(SPREAD)), where[-1])
        return shift, growth


_AT_ONCE = 2048
"""Boxes that are read together: what they need stays in the processor's cache."""


def _growth(wide: HalfArray, boxes: FloatArray) -> FloatArray:
    """(N,) relative change of size: mean of the median slopes of dx along x, dy along y.

    Args:
        wide: (GRID * GRID, N, 2) flow over the ``SPREAD`` part of the boxes.
        boxes: (4, N).
    """
    ticks, half = _ticks(SPREAD), GRID // 2
    grid = np.arange(GRID * GRID).reshape(GRID, GRID)
    distance = np.tile(ticks[::-1][:half] - ticks[:half], GRID)
    slopes = np.empty((len(distance), 2, boxes.shape[1]), dtype=np.float32)
    known = wide.astype(np.float32)
    # Only what lies on two sides of the middle, along x for dx and along y for dy, is read.
    for axis, lines in enumerate((grid, grid.T)):
        low, high = lines[:, :half].ravel(), lines[:, ::-1][:, :half].ravel()
        for number, (far, near) in enumerate(zip(high.tolist(), low.tolist(), strict=True)):
            rise = np.subtract(known[far, :, axis], known[near, :, axis], out=slopes[number, axis])
            np.divide(rise, distance[number], out=rise)
    finite = np.isfinite(slopes).all(axis=0)
    middle = (len(distance) - 1) // 2, len(distance) // 2
    one, two = ranked(slopes, middle) if middle[0] < middle[1] else 2 * ranked(slopes, middle[:1])
    sides = boxes[2:] - boxes[:2]
    each = np.where(finite, (one + two) / 2, np.float32(np.nan)) / sides
    return np.clip((each[0] + each[1]) / 2, -LARGEST_GROWTH, LARGEST_GROWTH)


def _ticks(part: float) -> FloatArray:
    """(GRID,) offsets from the centre in box sides, over the central ``part``; exactly odd."""
    return (np.arange(GRID, dtype=np.float32) - GRID // 2) * np.float32(part / (GRID - 1))


def _samples(
    flow: HalfArray,
    size: tuple[int, int],
    pair: IntArray,
    boxes: FloatArray,
    ticks: FloatArray,
) -> HalfArray:
    """(T * T, N, 2) flow at a grid of points of every box (4, N), row by row.

    The nearest value is taken: at a quarter of the resolution interpolation mixes in the
    background (IoU .7743 against .7771 after three frames). Points outside the image are moved to
    its border.
    """
    _, height, width, _ = flow.shape
    corner, opposite = boxes[:2], boxes[2:]
    points = (opposite - corner)[:, None] * ticks[:, None]
    points += ((corner + opposite) / 2)[:, None]
    # Pixel i of the kept field covers [i, i + 1) of its own scale; boxes are in the same sense.
    points *= np.array([[[width / size[1]]], [[height / size[0]]]], dtype=np.float32)
    for axis, last in enumerate((width - 1, height - 1)):
        np.clip(points[axis], 0, np.float32(last), out=points[axis])
    column, row = points.astype(np.int64)  # rounds down: nothing is below 0
    place = ((pair * height + row) * width)[:, None] + column
    # Both halves of a value in one read.
    both = flow.view(np.uint32).reshape(-1).take(place.reshape(len(ticks) ** 2, -1))
    return both.view(np.float16).reshape(len(ticks) ** 2, -1, 2)


_INFINITE = 0x7C00
"""Bits of infinity in float16."""


def _half_median(values: HalfArray) -> FloatArray:
    """(N, 2) median of an odd number of values (P, N, 2); NaN where a value is not finite.

    The bits of float16 are compared as integers, which is several times as fast as to widen and
    sort numbers: those of negative ones, turned round, rise with the number.
    """
    keys = _sortable(values.view(np.int16))
    finite = (keys.min(axis=0) > -_INFINITE - 1) & (keys.max(axis=0) < _INFINITE)
    (middle,) = ranked(keys, (len(keys) // 2,))
    median = _sortable(middle).view(np.float16).astype(np.float32)
    return np.where(finite, median, np.float32(np.nan))


def _sortable(bits: NDArray[np.int16]) -> NDArray[np.int16]:
    """Bits of float16 as integers that rise with the number; applied twice, the bits again."""
    return bits ^ ((bits >> 15) & np.int16(0x7FFF))


def _move(boxes: FloatArray, shift: FloatArray, growth: FloatArray) -> FloatArray:
    """Boxes shifted and grown about their centres; without growth the shift is exact."""
    grow = (boxes[:, 2:] - boxes[:, :2]) * (growth[:, None] / 2)
    return (boxes + np.concatenate([shift - grow, shift + grow], axis=1)).astype(np.float32)
