"""Boxes that move linearly between key frames: fill them in, and find the fewest that say the same.

Shared by the formats in which people annotate key frames (CVAT for video, Label Studio video).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vidal.types import Annotations, BoolArray, IntArray, ScoreArray


def interpolate(
    knots: IntArray, boxes: ScoreArray, visible: BoolArray, *, step: int = 1
) -> tuple[IntArray, ScoreArray]:
    """Boxes on the knots and, after each visible one, linearly up to the next knot.

    Args:
        knots: (n,) strictly increasing frames, all on one grid of ``step``.
        boxes: (n, 4) float64 xyxy at the knots.
        visible: (n,) whether the object stays in view from this knot to the next.
        step: distance of neighbouring frames.

    Returns:
        (m,) frames and (m, 4) boxes: every knot, plus the frames strictly between a visible knot
        and its successor.
    """
    parts = [np.arange(a, b, step) for a, b in pairwise(knots)]
    parts = [part if seen else part[:1] for part, seen in zip(parts, visible[:-1], strict=True)]
    frames = np.concatenate([*parts, knots[-1:]]).astype(np.int64)
    columns = [np.interp(frames, knots, boxes[:, axis]) for axis in range(4)]
    return frames, np.stack(columns, axis=1)


def cut(knots: IntArray, visible: BoolArray, lost: Sequence[int]) -> BoolArray:
    """``visible``, but ending before each ``lost`` frame: a bad key frame is not bridged."""
    before = np.searchsorted(knots, np.array(lost, dtype=np.int64)) - 1
    result = visible.copy()
    result[before[before >= 0]] = False
    return result


def proper(box: Sequence[float]) -> bool:
    """Whether a box can be a key frame: finite, and neither inverted nor empty."""
    x1, y1, x2, y2 = box
    return bool(np.isfinite(box).all()) and x2 > x1 and y2 > y1


def key_positions(
    places: IntArray, boxes: NDArray[np.floating], *, tolerance: float
) -> NDArray[np.int64]:
    """Positions of the key frames of one unbroken run of boxes.

    The run is split at its worst box until linear interpolation between the kept ones is off by at
    most ``tolerance`` in every coordinate (Douglas and Peucker, 1973, with the error measured at
    equal frames). First and last box are always kept.

    Args:
        places: (n,) strictly increasing frames.
        boxes: (n, 4) xyxy.
        tolerance: pixels; 0 keeps every box that is not exactly on the line.
    """
    wide = boxes.astype(np.float64)
    keep = np.zeros(len(places), dtype=np.bool_)
    keep[[0, -1]] = True
    stack = [(0, len(places) - 1)]
    while stack:
        low, high = stack.pop()
        if high - low < 2:
            continue
        share = (places[low + 1 : high] - places[low]) / (places[high] - places[low])
        line = wide[low] + share[:, None] * (wide[high] - wide[low])
        error = np.abs(wide[low + 1 : high] - line).max(axis=1)
        worst = int(np.argmax(error))
        if error[worst] > tolerance:
            at = low + 1 + worst
            keep[at] = True
            stack += [(low, at), (at, high)]
    return np.flatnonzero(keep)


def runs(places: IntArray) -> list[slice]:
    """Unbroken stretches of strictly increasing whole numbers, as slices."""
    if not len(places):
        return []
    cuts = np.flatnonzero(np.diff(places) > 1) + 1
    edges = [0, *cuts.tolist(), len(places)]
    return [slice(a, b) for a, b in pairwise(edges)]


def tracks(table: Annotations) -> Iterator[tuple[int, IntArray]]:
    """(identity, rows in frame order): one a track, class and flag; one a box without a track.

    Raises:
        ValueError: a track twice in one frame.
    """
    order = np.lexsort((table.frame, table.ignore, table.labels, table.track))
    keys = np.stack([table.track, table.labels, table.ignore])[:, order]
    alone = keys[0] < 0
    cuts = np.flatnonzero((np.diff(keys, axis=1) != 0).any(axis=0) | alone[1:] | alone[:-1])
    for rows in np.split(order, cuts + 1) if len(order) else []:
        if (np.diff(table.frame[rows]) == 0).any():
            raise ValueError(f"track {table.track[rows[0]]} twice in one frame")
        yield int(table.track[rows[0]]), rows
