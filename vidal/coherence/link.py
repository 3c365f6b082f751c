"""Links: which detections of different frames are the same object, as the tracker sees it.

Zolfaghari Bengar et al. 2019, Section 3.1: two detections of one class are joined by one undirected
edge if either of them, carried to the frame of the other, overlaps it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vidal import boxes
from vidal.coherence.options import CoherenceOptions
from vidal.types import BoolArray, Carried, Detections, FloatArray, IntArray, Links


def link(
    detections: Detections, carried: Carried, options: CoherenceOptions, *, size: tuple[int, int]
) -> Links:
    """Join detections that a tracker carries onto each other.

    Args:
        detections: the N judged rows of one clip.
        carried: those rows carried to neighbouring frames; ``origin`` counts rows of
            ``detections``. Boxes carried farther than the window are left out.
        options: ``theta``, ``window``, ``same_class`` and ``link_mode`` are used.
        size: (H, W) of the frames; boxes are clipped to it before they are compared.

    Returns:
        The links, with the carried boxes inside the window. ``used`` marks a track whose detection
        is linked to a detection of the frame it was carried to, in either direction.
    """
    carried = _within(carried, detections, options.window)
    track, row, overlap = _overlaps(detections, carried, options, size)
    if options.link_mode == "one_to_one":
        chosen = _best_first(track, row, overlap, detections.frame[carried.origin[track]])
        track, row, overlap = track[chosen], row[chosen], overlap[chosen]
    origin = carried.origin[track]
    src, dst, affinity = _merge_directions(origin, row, overlap, len(detections))
    used = _linked_tracks(carried, detections, src, dst)
    return Links(src=src, dst=dst, affinity=affinity, carried=carried, used=used)


def _within(carried: Carried, detections: Detections, window: int) -> Carried:
    near = np.abs(carried.frame - detections.frame[carried.origin]) <= window
    if near.all():
        return carried
    columns = ("origin", "frame", "boxes", "trust")
    return replace(carried, **{name: getattr(carried, name)[near] for name in columns})


def _overlaps(
    detections: Detections, carried: Carried, options: CoherenceOptions, size: tuple[int, int]
) -> tuple[IntArray, IntArray, FloatArray]:
    """Carried row, detection row and IoU of every overlap above theta."""
    track, row, overlap = boxes.overlapping(
        (carried.frame, boxes.clip(carried.boxes, size)),
        (detections.frame, boxes.clip(detections.boxes, size)),
        options.theta,
    )
    if options.same_class:
        same = detections.labels[carried.origin[track]] == detections.labels[row]
        track, row, overlap = track[same], row[same], overlap[same]
    return track, row, overlap


def _merge_directions(
    first: IntArray, second: IntArray, overlap: FloatArray, rows: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """One edge a pair, with the larger overlap of its two directions, sorted by (src, dst)."""
    # Rows are sorted by frame and no link stays in a frame, so the smaller row is the earlier one.
    src, dst = np.minimum(first, second), np.maximum(first, second)
    pair, where = np.unique(src * np.int64(max(rows, 1)) + dst, return_inverse=True)
    affinity = np.zeros(len(pair), dtype=np.float32)
    np.maximum.at(affinity, where, overlap)
    return pair // max(rows, 1), pair % max(rows, 1), affinity


def _linked_tracks(
    carried: Carried, detections: Detections, src: IntArray, dst: IntArray
) -> BoolArray:
    frames = np.int64(detections.frames)
    linked = np.concatenate(
        [src * frames + detections.frame[dst], dst * frames + detections.frame[src]]
    )
    return np.isin(carried.origin * frames + carried.frame, linked)


def _best_first(
    track: IntArray, row: IntArray, overlap: FloatArray, origin_frame: IntArray
) -> IntArray:
    """The pairs a greedy assignment takes, the largest overlap first; each side once.

    A pair that is the best of its track *and* of its detection is taken by the greedy rule whatever
    comes before it, so all such pairs are taken at once and the rest is looked at again. Equal
    overlaps are taken in the order of the rows.
    """
    order = np.lexsort((row, track, -overlap))
    _, left = np.unique(track, return_inverse=True)
    # A detection may be linked once for every frame that tracks come from.
    _, right = np.unique(np.stack([origin_frame, row]), axis=1, return_inverse=True)
    right = right.reshape(-1)
    taken: list[IntArray] = []
    while len(order):
        best_left = np.zeros(len(order), dtype=np.bool_)
        best_right = np.zeros(len(order), dtype=np.bool_)
        best_left[np.unique(left[order], return_index=True)[1]] = True
        best_right[np.unique(right[order], return_index=True)[1]] = True
        chosen = order[best_left & best_right]
        taken.append(chosen)
        free = ~np.isin(left[order], left[chosen]) & ~np.isin(right[order], right[chosen])
        order = order[free]
    return np.sort(np.concatenate(taken)) if taken else order
