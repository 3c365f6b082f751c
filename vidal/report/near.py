"""What is on the frames beside a selected one, and which of it the tracker joins to that frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vidal import boxes as geometry
from vidal.evidence.linked import NearLinks
from vidal.selection.result import ClipResult
from vidal.types import Detections, FloatArray, IntArray, ScoreArray

REACH = 3
"""Frames that are shown before and after a selected one."""
_SAME_PLACE = 0.3
"""Overlap of a box, carried to the selected frame, with the likely miss that it points to."""


class Drawn(Protocol):
    """What of ``evidence.Marks`` is looked at."""

    @property
    def boxes(self) -> FloatArray: ...
    @property
    def labels(self) -> IntArray: ...
    @property
    def scores(self) -> ScoreArray: ...


@dataclass(frozen=True, slots=True, eq=False)
class Neighbour:
    """One frame beside a selected one.

    Attributes:
        index: of the frame.
        boxes: (n, 4) float32 xyxy, cut to the image, of its detections above the threshold.
        labels: (n,) int64.
        scores: (n,) float64.
        mark: (n,) int64, the row of the selected frame's ``Marks`` that the tracker joins each box
            to: a detection, or a likely miss that the box points to; -1 = to none.
    """

    index: int
    boxes: FloatArray
    labels: IntArray
    scores: ScoreArray
    mark: IntArray


def neighbours(
    loaded: ClipResult, index: int, marks: Drawn, links: NearLinks | None, threshold: float
) -> tuple[Neighbour, ...]:
    """The frames at most ``REACH`` away from a selected frame, itself left out.

    Args:
        loaded: the clip.
        index: the selected frame.
        marks: what is drawn on it.
        links: around it; None = not known, and no box is joined to it.
        threshold: detections with a higher score (strictly) are shown.
    """
    first, last = max(0, index - REACH), min(loaded.clip.frames - 1, index + REACH)
    others = [each for each in range(first, last + 1) if each != index]
    found = loaded.detections
    if found is None:
        empty = np.zeros(0, np.int64)
        return tuple(
            Neighbour(each, np.zeros((0, 4), np.float32), empty, np.zeros(0), empty)
            for each in others
        )
    mark = np.full(len(found), -1, np.int64)
    if links is not None:
        _join(mark, found, index, marks, links, loaded.clip.size, threshold)
    shown = []
    for each in others:
        span = found.on(each)
        rows = np.arange(span.start, span.stop)[found.scores[span] > threshold]
        boxes = geometry.clip(found.boxes[rows], loaded.clip.size)
        inside = geometry.area(boxes) > 0
        rows = rows[inside]
        scores = found.scores[rows].astype(np.float64)
        shown.append(Neighbour(each, boxes[inside], found.labels[rows], scores, mark[rows]))
    return tuple(shown)


def _join(
    mark: IntArray,
    found: Detections,
    index: int,
    marks: Drawn,
    near: NearLinks,
    size: tuple[int, int],
    threshold: float,
) -> None:
    """Write into ``mark`` which row of ``marks`` each detection of the clip is joined to."""
    drawn = {
        (*box.tolist(), int(label)): row
        for row, (box, label, score) in enumerate(
            zip(marks.boxes, marks.labels, marks.scores, strict=True)
        )
        if score > threshold
    }
    here = near.rows[found.frame[near.rows] == index]
    cut = geometry.clip(found.boxes[here], size)
    of_row = {
        int(row): drawn.get((*box.tolist(), int(found.labels[row])), -1)
        for row, box in zip(here, cut, strict=True)
    }
    for one, other in zip(near.rows[near.links.src], near.rows[near.links.dst], strict=True):
        for mine, theirs in ((int(one), int(other)), (int(other), int(one))):
            if of_row.get(mine, -1) >= 0:
                mark[theirs] = of_row[mine]
    _join_misses(mark, found, index, marks, near, size, threshold)


def _join_misses(
    mark: IntArray,
    found: Detections,
    index: int,
    marks: Drawn,
    near: NearLinks,
    size: tuple[int, int],
    threshold: float,
) -> None:
    """So of likely misses: the boxes whose tracks come to lie on one, and are linked to nothing."""
    carried = near.links.carried
    use = np.flatnonzero((carried.frame == index) & ~near.links.used)
    lost = np.flatnonzero(~(marks.scores > threshold))  # NaN, or a weak detection's
    if not len(use) or not len(lost):
        return
    overlap = geometry.iou(geometry.clip(carried.boxes[use], size), marks.boxes[lost])
    origin = near.rows[carried.origin[use]]
    same = found.labels[origin][:, None] == marks.labels[lost][None]
    overlap = np.where(same, overlap, 0.0)
    best = overlap.argmax(axis=1)
    hit = overlap.max(axis=1) >= _SAME_PLACE
    free = mark[origin] < 0
    mark[origin[hit & free]] = lost[best[hit & free]]
