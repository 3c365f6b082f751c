"""Detections of a whole clip as tracks, for tasks that show whole clips.

Links join detections of neighbouring frames, many to many; a track takes at most one of them before
and one after each detection: the nearest first, then the one that overlaps most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vidal import boxes as box
from vidal.exports.bundle import Boxes
from vidal.formats._notes import RowNote
from vidal.types import Annotations, BoolArray, Detections, IntArray, Links

_SAME = 0.51
"""Pixels between a proposal and the detection that it is."""


def identities(links: Links, frame: IntArray, keep: BoolArray) -> IntArray:
    """(N,) int64: which track each detection belongs to; -1 = none, where it is not kept.

    Args:
        links: pairs of rows.
        frame: (N,) of each row, sorted.
        keep: (N,) rows that belong to tracks.
    """
    gap = frame[links.dst] - frame[links.src]
    fine = keep[links.src] & keep[links.dst]
    order = np.lexsort((links.dst, links.src, -links.affinity, gap))
    before = np.full(len(frame), -1, np.int64)
    taken = np.zeros(len(frame), np.bool_)
    for edge in order[fine[order]].tolist():
        first, second = int(links.src[edge]), int(links.dst[edge])
        if not taken[first] and before[second] < 0:
            taken[first], before[second] = True, first
    track = np.full(len(frame), -1, np.int64)
    fresh = 0
    for row in np.flatnonzero(keep).tolist():  # a row's predecessor is of an earlier frame
        if before[row] >= 0:
            track[row] = track[before[row]]
        else:
            track[row], fresh = fresh, fresh + 1
    return track


def whole_clip(
    found: Detections,
    track: IntArray,
    picks: Mapping[int, Boxes],
    *,
    classes: tuple[str, ...],
    labels: Sequence[int],
    size: tuple[int, int],
) -> tuple[Annotations, list[RowNote]]:
    """Proposals on every frame of a clip: those of the picks, and the detections of the others.

    Args:
        found: detections of the clip.
        track: (N,) of each; -1 = not proposed.
        picks: frame -> what is proposed there, exactly so. Where that is a detection it is part of
            the detection's track.
        classes: of the table.
        labels: label of ``found`` -> label of the table; -1 = not proposed.
        size: (H, W); boxes are cut to it.

    Returns:
        The table, and one note a row.
    """
    boxes = box.clip(found.boxes, size)
    names = np.asarray([*labels, -1], np.int64)[found.labels]
    use = (track >= 0) & (names >= 0) & (box.area(boxes) > 0)
    use &= ~np.isin(found.frame, list(picks))
    rows: list[_Row] = [
        (
            int(found.frame[at]),
            boxes[at].tolist(),
            int(names[at]),
            int(track[at]),
            RowNote(score=float(found.scores[at])),
        )
        for at in np.flatnonzero(use).tolist()
    ]
    for index, given in picks.items():
        here = np.flatnonzero((found.frame == index) & (track >= 0))
        theirs = _tracks_of(given, boxes[here], names[here], track[here])
        said = given.notes or (RowNote(),) * len(given)
        columns = (given.boxes.tolist(), given.labels.tolist(), theirs, said)
        rows += [(index, *row) for row in zip(*columns, strict=True)]
    return _table(sorted(rows, key=lambda row: row[0]), found.frames, classes)


_Row = tuple[int, Sequence[float], int, int, RowNote]
"""Frame, corners, label, track, and what is said of it."""


def _table(
    rows: Sequence[_Row], frames: int, classes: tuple[str, ...]
) -> tuple[Annotations, list[RowNote]]:
    table = Annotations(
        classes=classes,
        labelled=np.ones(frames, np.bool_),
        frame=np.asarray([row[0] for row in rows], np.int64),
        boxes=np.asarray([row[1] for row in rows], np.float32).reshape(-1, 4),
        labels=np.asarray([row[2] for row in rows], np.int64),
        track=np.asarray([row[3] for row in rows], np.int64),
        ignore=np.zeros(len(rows), np.bool_),
    )
    return table, [row[4] for row in rows]


def _tracks_of(given: Boxes, boxes: np.ndarray, labels: IntArray, track: IntArray) -> list[int]:
    """The track of each proposal: that of the detection it is; -1 = it is none."""
    free = np.ones(len(track), np.bool_)
    found = []
    for corners, label in zip(given.boxes, given.labels.tolist(), strict=True):
        near = free & (labels == label)
        near &= (np.abs(boxes - corners) <= _SAME).all(axis=1)
        at = np.flatnonzero(near)
        found.append(int(track[at[0]]) if len(at) else -1)
        free[at[:1]] = False
    return found
