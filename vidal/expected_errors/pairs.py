"""Which boxes belong together: overlaps within frames, links between frames, tracks along them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vidal import boxes as geometry
from vidal.arrays import components
from vidal.types import BoolArray, Carried, Detections, FloatArray, IntArray

LINK_IOU = 0.3
"""Overlap (strictly above) of a carried box and a detection that links the two. Lower than the 0.5
of temporal coherence: the affinity itself is evidence, and the trees find their own threshold."""
_LAST = np.int64(2**31 - 1)
_AT_ONCE = 1 << 16
"""Meetings that are looked at in one go: they stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Meetings:
    """Nodes that meet in time. A clip has many, so the columns are narrow.

    Attributes:
        node: (E,) int32.
        other: (E,) int32: the node it meets; always a detection.
        offset: (E,) int16: frames from the node to the other; never 0.
        affinity: (E,) float32 in [0, 1].
    """

    node: NDArray[np.int32]
    other: NDArray[np.int32]
    offset: NDArray[np.int16]
    affinity: FloatArray

    @classmethod
    def of(cls, node: IntArray, other: IntArray, offset: IntArray, affinity: FloatArray) -> Self:
        """From columns of any width."""
        ends = node.astype(np.int32), other.astype(np.int32)
        return cls(*ends, offset.astype(np.int16), affinity)

    @classmethod
    def join(cls, parts: Iterable[Meetings]) -> Meetings:
        """All of several."""
        none = np.zeros(0, dtype=np.int64)
        every = [cls.of(none, none, none, none.astype(np.float32)), *parts]
        return cls(
            *(np.concatenate([getattr(each, f.name) for each in every]) for f in fields(cls))
        )


def link_detections(
    detections: Detections, carried: Carried, same: float = 0.5
) -> tuple[Meetings, BoolArray]:
    """Detections that meet a detection of another frame where a tracker carries one of them.

    The class plays no part: whether linked detections agree on it is evidence.

    Args:
        detections: the clip's table.
        carried: its rows carried to neighbouring frames.
        same: IoU (strictly above) of a carried box and a detection that are one object; at least
            ``LINK_IOU``.

    Returns:
        Every meeting from both of its ends, twice if either is carried onto the other; and (P,)
        bool: carried boxes whose object is detected in the frame they are carried to.
    """
    met = np.zeros(len(carried), dtype=np.bool_)
    gap = carried.frame - detections.frame[carried.origin]
    parts = []
    sides = (carried.frame, carried.boxes), (detections.frame, detections.boxes)
    for track, row, iou in geometry.overlapping_parts(*sides, LINK_IOU):
        met[track[iou > same]] = True
        one = Meetings.of(carried.origin[track], row, gap[track], iou)
        parts += [one, Meetings(one.other, one.node, -one.offset, iou)]
    return Meetings.join(parts), met


def best_by_offset(
    meetings: Meetings, nodes: int, window: int, among: BoolArray
) -> tuple[IntArray, FloatArray]:
    """The meeting of largest affinity of every node and offset; of equals that of the lowest other.

    Args:
        meetings: of the nodes.
        nodes: how many there are.
        window: largest offset.
        among: (N,) bool, detections that count as the other.

    Returns:
        (nodes, 2 * window + 1) the other, -1 without one, and its affinity, 0 without one; column
        ``window + d`` is offset d. Columns lie in one piece: what follows works column by column.
    """
    width = 2 * window + 1
    best = np.zeros(nodes * width, dtype=np.int64)
    for first in range(0, len(meetings.node), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        node, other, offset, affinity = (getattr(meetings, f.name)[part] for f in fields(Meetings))
        if not among.all():
            use = np.flatnonzero(among[other])
            node, other, offset, affinity = node[use], other[use], offset[use], affinity[use]
        # One number a meeting: the bits of a float that is not negative rise with it, and below
        # them lies what is larger the lower the other is. The largest is the best meeting.
        rank = affinity.view(np.int32).astype(np.int64) << 32 | (_LAST - other)
        np.maximum.at(best, (offset + np.int64(window)) * nodes + node, rank)
    affinity = (best >> 32).astype(np.int32).view(np.float32)
    other = np.where(best > 0, _LAST - (best & _LAST), -1)
    return other.reshape(width, nodes).T, affinity.reshape(width, nodes).T


def tracks(best: IntArray, window: int) -> IntArray:
    """(N,) number of the track of every detection.

    Two detections follow each other if each is the other's best at that offset; offset 1 goes
    first, then 2 between what is still open on both sides, and so on. So a track has at most one
    detection a frame and is the same read backwards.

    Args:
        best: (N, 2 * window + 1) as ``best_by_offset`` returns it for the N detections.
        window: largest offset.
    """
    count = len(best)
    rows = np.arange(count, dtype=np.int64)
    follows, followed = np.full(count, -1, dtype=np.int64), np.zeros(count, dtype=np.bool_)
    for offset in range(1, window + 1):
        after = best[:, window + offset]
        mutual = (after >= 0) & (best[np.maximum(after, 0), window - offset] == rows)
        mutual &= (follows < 0) & ~followed[np.maximum(after, 0)]
        follows[mutual] = after[mutual]
        followed[after[mutual]] = True
    linked = np.flatnonzero(follows >= 0)
    return components(count, linked, follows[linked]) if count else rows
