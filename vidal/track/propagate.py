"""Carry the detections of a clip to their neighbour frames.

Zolfaghari Bengar et al. 2019, Section 3.1: every detection is tracked forward and backward over a
window of frames; one array operation moves all tracks of a clip by one frame.
"""

from __future__ import annotations

import numpy as np

from vidal import boxes as geometry
from vidal.protocols import Motion
from vidal.types import BoolArray, Carried, Detections, FloatArray, IntArray

LEAST_VISIBLE = 0.25
"""A track ends once less than this share of its box lies inside the image."""

_Part = tuple[IntArray, IntArray, FloatArray, FloatArray]


def propagate(
    detections: Detections, motion: Motion, *, window: int = 3, size: tuple[int, int]
) -> Carried:
    """Carry every detection up to ``window`` frames forward and backward, in true frame index.

    A track ends at the ends of the clip, before a frame that was not scanned, where the motion
    has no trust in it, and once its box leaves the image, degenerates or is not finite.

    Args:
        detections: the N rows to carry.
        motion: the motion of their clip; called ``2 * window`` times at most.
        window: frames each way.
        size: (H, W) of the frames.

    Returns:
        One row for each detection and frame it reached, sorted by frame, then by detection.
        ``trust`` is the product of the steps'.
    """
    parts = [
        part
        for direction in (1, -1)
        for part in _carry(detections, motion, direction, window, size)
    ]
    if not parts:
        parts = [_start(detections, np.zeros(0, dtype=np.int64))]
    origin, frame, boxes, trust = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((origin, frame))
    return Carried(origin=origin[order], frame=frame[order], boxes=boxes[order], trust=trust[order])


def _start(detections: Detections, origin: IntArray) -> _Part:
    ones = np.ones(len(origin), dtype=np.float32)
    return origin, detections.frame[origin], detections.boxes[origin], ones


def _carry(
    detections: Detections, motion: Motion, direction: int, window: int, size: tuple[int, int]
) -> list[_Part]:
    """The tracks in one direction, one part a step."""
    parts: list[_Part] = []
    origin, frame, boxes, trust = _start(detections, np.arange(len(detections), dtype=np.int64))
    for _ in range(window):
        target = frame + direction
        inside = (target >= 0) & (target < detections.frames)
        reachable = inside & detections.scanned[np.where(inside, target, 0)]
        if not reachable.any():
            break
        origin, frame, target = origin[reachable], frame[reachable], target[reachable]
        boxes, sure = motion.step(frame, target, boxes[reachable])
        trust = (trust[reachable] * sure).astype(np.float32)
        alive = (sure > 0) & visible(boxes, size)
        origin, frame, boxes, trust = origin[alive], target[alive], boxes[alive], trust[alive]
        parts.append((origin, frame, boxes, trust))
    return parts


def visible(boxes: FloatArray, size: tuple[int, int]) -> BoolArray:
    """(N,) bool: boxes that are finite, not empty, and inside the image by the least share."""
    finite: BoolArray = np.logical_and.reduce(np.isfinite(boxes), axis=1)
    known = np.where(finite[:, None], boxes, np.float32(0))
    upright: BoolArray = np.logical_and.reduce(known[:, 2:] > known[:, :2], axis=1)
    inside = geometry.area(geometry.clip(known, size))
    return finite & upright & (inside >= LEAST_VISIBLE * geometry.area(known))
