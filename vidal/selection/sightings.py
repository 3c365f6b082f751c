"""In which neighbouring frames the object of a box is detected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidal import boxes as geometry
from vidal.protocols import Motion
from vidal.track import propagate
from vidal.types import Detections, FloatArray, IntArray

SAME_OBJECT = 0.5
"""IoU (strictly above) of a carried box and another that are one object."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where the object of a box is detected.

    Attributes:
        seen: neighbouring frames with a detection above the threshold that follows it, rising.
        looked: neighbouring frames that were looked at, rising.
    """

    seen: tuple[int, ...]
    looked: tuple[int, ...]


def sightings(
    found: Detections,
    motion: Motion,
    places: tuple[IntArray, FloatArray],
    rows: IntArray,
    *,
    threshold: float,
    window: int,
    size: tuple[int, int],
) -> list[Sighting]:
    """What the neighbouring frames show of some boxes of a clip.

    Detections are carried to the boxes' frames, and boxes that are detections to theirs; whether
    the class agrees plays no part.

    Args:
        found: the clip's detections.
        motion: of the clip.
        places: (B,) frame, sorted, and (B, 4) boxes.
        rows: (B,) their rows in ``found``; -1 = no detection.
        threshold: detections with a higher score are detected.
        window: frames each way.
        size: (H, W) of the frames.
    """
    place, row = joined(found, motion, places, rows, threshold=threshold, window=window, size=size)
    seen: list[set[int]] = [set() for _ in rows]
    for each, frame in zip(place.tolist(), found.frame[row].tolist(), strict=True):
        seen[each].add(frame)
    return [
        Sighting(tuple(sorted(met)), _looked(found, at, window))
        for met, at in zip(seen, places[0].tolist(), strict=True)
    ]


def joined(
    found: Detections,
    motion: Motion,
    places: tuple[IntArray, FloatArray],
    rows: IntArray,
    *,
    threshold: float,
    window: int,
    size: tuple[int, int],
) -> tuple[IntArray, IntArray]:
    """The detections on neighbouring frames that are the object of a box.

    Args:
        found, motion, places, rows, threshold, window, size: see ``sightings``.

    Returns:
        (P,) numbers of places, and (P,) rows of ``found`` on other frames than the place's.
    """
    frames = np.unique(places[0])
    near = np.zeros(found.frames, np.bool_)
    for shift in range(-window, window + 1):
        there = frames + shift
        near[there[(there >= 0) & (there < found.frames)]] = True
    use = np.flatnonzero((found.scores > threshold) & near[found.frame])
    table = found.keep(use)
    carried = propagate(table, motion, window=window, size=size)
    came = carried.frame, geometry.clip(carried.boxes, size)
    left, right, _ = geometry.overlapping(came, places, SAME_OBJECT)
    pairs = set(zip(right.tolist(), use[carried.origin[left]].tolist(), strict=True))
    left, right, _ = geometry.overlapping(came, (table.frame, table.boxes), SAME_OBJECT)
    place_of = {row: place for place, row in enumerate(rows.tolist()) if row >= 0}
    for row, there in zip(use[carried.origin[left]].tolist(), use[right].tolist(), strict=True):
        if row in place_of:
            pairs.add((place_of[row], there))
    table_of = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    other = found.frame[table_of[:, 1]] != places[0][table_of[:, 0]]
    return table_of[other, 0], table_of[other, 1]


def _looked(found: Detections, frame: int, window: int) -> tuple[int, ...]:
    near = range(max(0, frame - window), min(found.frames, frame + window + 1))
    return tuple(at for at in near if at != frame and found.scanned[at])


def spans(frames: Sequence[int]) -> str:
    """Rising numbers in words: ``46-48 and 50``."""
    parts: list[list[int]] = []
    for frame in frames:
        if parts and frame == parts[-1][-1] + 1:
            parts[-1].append(frame)
        else:
            parts.append([frame])
    said = [
        one
        for part in parts
        for one in ([f"{part[0]}-{part[-1]}"] if len(part) > 2 else map(str, part))
    ]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}" if said else ""
