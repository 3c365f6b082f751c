"""Which boxes belong together: overlaps within frames, links between frames, tracks along them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vidal import boxes as geometry
from vidal.types import BoolArray, Carried, Detections, FloatArray, IntArray

LINK_IOU = 0.3
"""Overlap (strictly above) of a carried box and a detection that links the two. Lower than the 0.5
of temporal coherence: the affinity itself is evidence, and the trees find their own threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class Meetings:
    """Nodes that meet in time, both ways round.

    Attributes:
        node: (E,) int64.
        other: (E,) int64: the node it meets; always a detection.
        offset: (E,) int64: frames from the node to the other; never 0.
        affinity: (E,) float32 in [0, 1].
    """

    node: IntArray
    other: IntArray
    offset: IntArray
    affinity: FloatArray


def overlapping(
    first: tuple[IntArray, FloatArray], second: tuple[IntArray, FloatArray], least: float
) -> tuple[IntArray, IntArray, FloatArray]:
    """Pairs of boxes of one frame whose IoU is above ``least``: positions and IoU.

    Args:
        first, second: frame (N,), sorted, and boxes (N, 4) of each side.
        least: in [0, 1).
    """
    left, right = geometry.pairs_in_groups(first[0], second[0])
    a, b = first[1].T, second[1].T
    # Most pairs do not even share a column of pixels: they leave before anything else is computed.
    width = np.minimum(a[2][left], b[2][right]) - np.maximum(a[0][left], b[0][right])
    touch = np.flatnonzero(width > 0)
    left, right, width = left[touch], right[touch], width[touch]
    height = np.minimum(a[3][left], b[3][right]) - np.maximum(a[1][left], b[1][right])
    touch = np.flatnonzero(height > 0)
    left, right, both = left[touch], right[touch], width[touch] * height[touch]
    area_a, area_b = geometry.area(first[1]), geometry.area(second[1])
    iou = both / (area_a[left] + area_b[right] - both)
    above = np.flatnonzero(iou > least)
    return left[above], right[above], iou[above].astype(np.float32)


def link_detections(detections: Detections, carried: Carried) -> tuple[Meetings, BoolArray]:
    """Detections that meet a detection of another frame where a tracker carries one of them.

    The class plays no part: whether linked detections agree on it is evidence.

    Returns:
        Every linked pair from both of its ends, with the larger affinity of the two directions;
        and (P,) bool: carried boxes that meet a detection.
    """
    track, row, iou = overlapping(
        (carried.frame, carried.boxes), (detections.frame, detections.boxes), LINK_IOU
    )
    origin = carried.origin[track]
    count = np.int64(max(len(detections), 1))
    pair = np.minimum(origin, row) * count + np.maximum(origin, row)
    order = np.lexsort((-iou, pair))
    pair, iou = pair[order], iou[order]
    new = np.ones(len(pair), dtype=np.bool_)
    new[1:] = pair[1:] != pair[:-1]
    low, high, affinity = pair[new] // count, pair[new] % count, iou[new]
    gap = detections.frame[high] - detections.frame[low]
    met = np.zeros(len(carried), dtype=np.bool_)
    met[track] = True
    meetings = Meetings(
        node=np.concatenate([low, high]),
        other=np.concatenate([high, low]),
        offset=np.concatenate([gap, -gap]),
        affinity=np.concatenate([affinity, affinity]),
    )
    return meetings, met


def best_by_offset(
    meetings: Meetings, nodes: int, window: int, among: BoolArray
) -> tuple[IntArray, FloatArray]:
    """The meeting of largest affinity of every node and offset; of equals the first.

    Args:
        meetings: of the nodes.
        nodes: how many there are.
        window: largest offset.
        among: (N,) bool, detections that count as the other.

    Returns:
        (nodes, 2 * window + 1) the other, -1 without one, and its affinity, 0 without one; column
        ``window + d`` is offset d.
    """
    width = 2 * window + 1
    use = np.flatnonzero(among[meetings.other])
    slot = meetings.node[use] * width + meetings.offset[use] + window
    best = geometry.best_of_each(slot, meetings.affinity[use], nodes * width)
    slots = np.flatnonzero(best >= 0)
    rows = use[best[slots]]
    other = np.full(nodes * width, -1, dtype=np.int64)
    affinity = np.zeros(nodes * width, dtype=np.float32)
    other[slots] = meetings.other[rows]
    affinity[slots] = meetings.affinity[rows]
    return other.reshape(nodes, width), affinity.reshape(nodes, width)


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
    graph = coo_array(
        (np.ones(len(linked), dtype=np.int8), (linked, follows[linked])), shape=(count, count)
    )
    return connected_components(graph, directed=False)[1].astype(np.int64) if count else rows
