"""Boxes that move linearly between key frames: fill them in, and find the fewest that say the same.

Shared by the formats in which people annotate key frames (CVAT for video, Label Studio video).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidal.errors import FormatError
from vidal.formats._rows import FAR
from vidal.types import Annotations, BoolArray, IntArray, ScoreArray

MOST = 3_000_000
"""Boxes that may be filled in for one clip, unless the file itself has a fiftieth of them."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What lies on and between the key frames of all tracks of a clip.

    Attributes:
        origin: (m,) int64, the key that each row lies on or after.
        frame: (m,) int64.
        values: (m, C) float64.
        gaps: (g,) keys after which frames stay open up to the next key of the track.
        first, last: (g,) the first and the last such frame.
    """

    origin: IntArray
    frame: IntArray
    values: ScoreArray
    gaps: IntArray
    first: IntArray
    last: IntArray


def fill(
    path: Path,
    track: IntArray,
    knots: IntArray,
    values: ScoreArray,
    *,
    shown: BoolArray,
    onward: BoolArray,
    good: BoolArray,
    plain: BoolArray,
    step: int = 1,
) -> Filled:
    """Rows on the knots that are shown and, after each, linearly up to the next of its track.

    Nothing is filled in where one of the two is not ``good`` or not ``plain``; where frames lie
    between them, these are the ``gaps``.

    Args:
        path: of the file, for the error.
        track: (n,) which object; sorted, and ``knots`` increasing within each.
        knots: (n,) frames, multiples of ``step`` apart.
        values: (n, C) float64 that move linearly.
        shown: (n,) whether the object is in view on this knot.
        onward: (n,) whether it stays in view up to the next one.
        good: (n,) whether the knot can be a key; others get no row.
        plain: (n,) whether the knot's values can be interpolated.
        step: distance of neighbouring frames.

    Raises:
        FormatError: more boxes than can be meant; see ``MOST``.
    """
    follows = np.zeros(len(knots), dtype=np.bool_)
    follows[:-1] = track[1:] == track[:-1]
    after = np.minimum(np.arange(len(knots)) + follows, max(len(knots) - 1, 0))
    steps = np.where(follows, (knots[after] - knots) // step, 1)
    bridged = onward & good & good[after] & plain & plain[after]
    counts = np.where(shown & good, np.where(bridged, steps, 1), 0)
    if (total := int(counts.sum())) > max(MOST, 50 * len(knots)):
        why = f"{total} boxes between {len(knots)} key frames, more than can be meant"
        raise FormatError(path, "", why, hint="Check the frame numbers and the length of the clip.")
    origin = np.repeat(np.arange(len(knots)), counts)
    place = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    share = place / steps[origin]
    filled = np.empty((total, values.shape[1]))
    for at, column in enumerate(values.T):
        rise = column[after] - column
        rise[~bridged] = 0
        filled[:, at] = column[origin] + share * rise[origin]
    gaps = np.flatnonzero(onward & ~bridged & (steps > 1))
    frame = knots[origin] + place * step
    return Filled(origin, frame, filled, gaps, knots[gaps] + step, knots[after[gaps]] - step)


def proper(boxes: ScoreArray) -> BoolArray:
    """(N,) whether boxes (N, 4) can be key frames: finite, neither inverted nor empty, near."""
    with np.errstate(invalid="ignore"):
        near = np.abs(boxes) < FAR  # False for NaN and infinity too
        fine = np.hstack([near, boxes[:, 2:] > boxes[:, :2]])
    return np.asarray(fine.all(axis=1))


def key_positions(
    places: IntArray,
    boxes: NDArray[np.floating],
    *,
    tolerance: float,
    fixed: BoolArray | None = None,
) -> NDArray[np.int64]:
    """Positions of the key frames of one unbroken run of boxes.

    The run is split at its worst box until linear interpolation between the kept ones is off by at
    most ``tolerance`` in every coordinate (Douglas and Peucker, 1973, with the error measured at
    equal frames). First and last box are always kept.

    Args:
        places: (n,) strictly increasing frames.
        boxes: (n, 4) xyxy.
        tolerance: pixels; 0 keeps every box that is not exactly on the line.
        fixed: (n,) bool, boxes that are key frames whatever the error; None = no others.
    """
    wide = boxes.astype(np.float64)
    keep = np.zeros(len(places), dtype=np.bool_) if fixed is None else fixed.copy()
    keep[[0, -1]] = True
    stack = list(pairwise(np.flatnonzero(keep).tolist()))
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
