"""Motion without pixels: a clip's own detections tell how boxes move.

For detections that came as a file. Each detection is matched to the neighbouring frames by overlap,
its velocity is estimated from its matched neighbours under a constant-velocity model, and a box
moves as the detection does whose course it lies on. Measured on KITTI (10 frames a second,
detections of PointRCNN): see ``tools/bench_expected_errors.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidal import boxes as geometry
from vidal.types import Detections, FloatArray, IntArray

LEAST_IOU = 0.2
"""Overlap (strictly above) that matches detections of neighbouring frames."""
REACH = 3
"""Frames that the course of a detection is followed from it, each way."""
SMOOTHING = 2
"""How often a velocity is averaged with those of the same track one frame before and after."""
_LARGEST_GROWTH = 0.2
"""A box does not grow or shrink by more than this share (as a logarithm) a frame."""


@dataclass(frozen=True, slots=True, eq=False)
class KalmanMotion:
    """Constant velocity read off the detections of one clip. Implements ``Motion``.

    The velocity (centre, logarithm of width and height) of a detection is the mean of the steps to
    its matches one frame before and after, averaged along its track by ``SMOOTHING`` passes of the
    kernel 1-2-1: a fixed-interval smoother with constant gain, as the Kalman smoother of this model
    becomes away from the ends of a track. A detection without matches moves as the median of its
    frame does.

    Attributes:
        frame: (G,) int64, sorted: where a course passes.
        boxes: (G, 4) float32, there.
        velocity: (G, 4) float32: pixels and logarithms a frame.
        near: (G,) int64: frames between there and the detection.
    """

    frame: IntArray
    boxes: FloatArray
    velocity: FloatArray
    near: IntArray

    @classmethod
    def of(cls, detections: Detections) -> KalmanMotion:
        """The motion that the detections of a clip show, weak ones included."""
        velocity = _velocities(detections)
        offsets = np.arange(-REACH, REACH + 1)
        shift = np.repeat(offsets, len(detections))
        rows = np.tile(np.arange(len(detections)), len(offsets))
        frame = detections.frame[rows] + shift
        order = np.lexsort((rows, np.abs(shift), frame))
        rows, shift, frame = rows[order], shift[order], frame[order]
        along = _moved(detections.boxes[rows], velocity[rows] * shift[:, None].astype(np.float32))
        return cls(frame, along, velocity[rows], np.abs(shift))

    def step(
        self, before: IntArray, after: IntArray, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4), row i in frame ``before[i]`` -> the same in ``after[i]``, trust (N,).

        A box follows the course it overlaps most (of equal ones the nearest detection's) and stays
        where it is if there is none. Trust is always 1: nothing here can tell a lost box.
        """
        order = np.argsort(before, kind="stable")
        left, ghost, overlap = geometry.overlapping(
            (before[order], boxes[order]), (self.frame, self.boxes)
        )
        # A hundredth a frame settles near ties in favour of what was seen in this very frame.
        rank = overlap - np.float32(0.01) * self.near[ghost]
        best = geometry.best_of_each(order[left], rank, len(boxes))
        velocity = np.zeros((len(boxes), 4), dtype=np.float32)
        moving = np.flatnonzero(best >= 0)
        velocity[moving] = self.velocity[ghost[best[moving]]]
        direction = (after - before).astype(np.float32)[:, None]
        return _moved(boxes.astype(np.float32), velocity * direction), np.ones(
            len(boxes), dtype=np.float32
        )


def _velocities(detections: Detections) -> FloatArray:
    """(N, 4) smoothed velocities; a second matching follows the velocities of the first."""
    velocity = np.zeros((len(detections), 4), dtype=np.float32)
    for _ in range(2):
        first, second = _matches(detections, velocity)
        velocity = _smoothed(detections, first, second)
    return velocity


def _matches(detections: Detections, velocity: FloatArray) -> tuple[IntArray, IntArray]:
    """Pairs of rows of neighbouring frames that are each other's best overlap, of one class."""
    half = velocity * np.float32(0.5)
    first, second, overlap = geometry.overlapping(
        (detections.frame + 1, _moved(detections.boxes, half)),
        (detections.frame, _moved(detections.boxes, -half)),
        LEAST_IOU,
    )
    same = detections.labels[first] == detections.labels[second]
    first, second, overlap = first[same], second[same], overlap[same]
    forward = geometry.best_of_each(first, overlap, len(detections))
    backward = geometry.best_of_each(second, overlap, len(detections))
    pairs = np.arange(len(first))
    mutual = (forward[first] == pairs) & (backward[second] == pairs)
    return first[mutual], second[mutual]


def _smoothed(detections: Detections, first: IntArray, second: IntArray) -> FloatArray:
    count = len(detections)
    moves = _state(detections.boxes[second]) - _state(detections.boxes[first])
    total, steps = np.zeros((count, 4)), np.zeros(count)
    for rows in (first, second):
        total[rows] += moves
        steps[rows] += 1
    known = steps > 0
    velocity = total / np.maximum(steps, 1)[:, None]
    for _ in range(SMOOTHING):
        mixed, weight = 2 * velocity, np.full(count, 2.0)
        mixed[first] += velocity[second]
        mixed[second] += velocity[first]
        weight[first] += 1
        weight[second] += 1
        velocity = mixed / weight[:, None]
    _fill(velocity, known, detections.frame)
    velocity[:, 2:] = np.clip(velocity[:, 2:], -_LARGEST_GROWTH, _LARGEST_GROWTH)
    return velocity.astype(np.float32)


def _fill(velocity: np.ndarray, known: np.ndarray, frame: IntArray) -> None:
    """Give detections without a match the median shift of their frame, and no growth."""
    lone = np.flatnonzero(~known)
    frames, starts = np.unique(frame[known], return_index=True)
    if not len(lone) or not len(frames):
        return
    sizes = np.diff(np.append(starts, np.count_nonzero(known)))
    place = np.minimum(np.searchsorted(frames, frame[lone]), len(frames) - 1)
    same = frames[place] == frame[lone]
    for axis in (0, 1):
        values = velocity[known, axis]
        ordered = values[np.lexsort((values, frame[known]))]
        median = (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2]) / 2
        velocity[lone, axis] = np.where(same, median[place], 0)


def _state(boxes: FloatArray) -> FloatArray:
    """(N, 4) float64 centre and logarithm of the sides."""
    values = boxes.astype(np.float64)
    sides = values[:, 2:] - values[:, :2]
    return np.hstack([(values[:, :2] + values[:, 2:]) / 2, np.log(np.maximum(sides, 1e-3))])


def _moved(boxes: FloatArray, change: FloatArray) -> FloatArray:
    """(N, 4) float32 boxes after a change of centre and logarithmic sides."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + change[:, :2]
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * np.exp(np.clip(change[:, 2:], -1, 1))
    return np.hstack([centre - half, centre + half]).astype(np.float32)
