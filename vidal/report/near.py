"""What is on the frames beside a selected one, and which of it is the object of a box there.

By the rule of the sentences (``vidal.selection.sightings``), so that the strip shows what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vidal import boxes as geometry
from vidal.protocols import Motion
from vidal.selection.result import ClipResult
from vidal.selection.sightings import joined
from vidal.types import Detections, FloatArray, IntArray, ScoreArray

REACH = 3
"""Frames that are shown before and after a selected one."""


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
        looked: whether the detector looked at it.
        boxes: (n, 4) float32 xyxy, cut to the image, of its detections above the threshold.
        labels: (n,) int64.
        marks: for each box the rows of the selected frame's ``Marks`` that it is the object of, as
            the tracker sees it: of detections, of likely misses, or of none. The class plays no
            part, so that there may be several.
    """

    index: int
    looked: bool
    boxes: FloatArray
    labels: IntArray
    marks: tuple[tuple[int, ...], ...]


def neighbours(
    loaded: ClipResult, drawn: Mapping[int, Drawn], motion: Motion | None, threshold: float
) -> dict[int, tuple[Neighbour, ...]]:
    """The frames at most ``REACH`` away from selected frames of a clip, these left out.

    Args:
        loaded: the clip.
        drawn: selected frame -> what is drawn on it.
        motion: of the clip; None = not known, and no box is joined to another.
        threshold: detections with a higher score (strictly) are shown.
    """
    found = loaded.detections
    pairs = {} if found is None or motion is None else _pairs(loaded, drawn, motion, threshold)
    shown = {}
    for index in drawn:
        first, last = max(0, index - REACH), min(loaded.clip.frames - 1, index + REACH)
        others = [each for each in range(first, last + 1) if each != index]
        mine = pairs.get(index, {})
        shown[index] = tuple(_beside(loaded, each, mine, threshold) for each in others)
    return shown


def _beside(
    loaded: ClipResult, index: int, marks_of: Mapping[int, tuple[int, ...]], threshold: float
) -> Neighbour:
    """``marks_of``: row of the clip's detections -> rows of the selected frame's marks."""
    found = loaded.detections
    none = np.zeros(0, np.int64)
    if found is None or not found.scanned[index]:
        return Neighbour(index, False, np.zeros((0, 4), np.float32), none, ())
    span = found.on(index)
    rows = np.arange(span.start, span.stop)[found.scores[span] > threshold]
    boxes = geometry.clip(found.boxes[rows], loaded.clip.size)
    inside = geometry.area(boxes) > 0
    rows = rows[inside]
    marks = tuple(marks_of.get(row, ()) for row in rows.tolist())
    return Neighbour(index, True, boxes[inside], found.labels[rows], marks)


def _pairs(
    loaded: ClipResult, drawn: Mapping[int, Drawn], motion: Motion, threshold: float
) -> dict[int, dict[int, tuple[int, ...]]]:
    """Selected frame -> row of a detection beside it -> rows of the frame's marks."""
    found = loaded.detections
    assert found is not None
    frames, boxes, rows, marks = [], [], [], []
    for index in sorted(drawn):
        known = _sources(loaded, found, index, threshold)
        each = drawn[index]
        for mark, (box, label) in enumerate(zip(each.boxes, each.labels, strict=True)):
            row, raw = known.get((*box.tolist(), int(label)), (-1, box))
            frames.append(index)
            boxes.append(raw)
            rows.append(row)
            marks.append(mark)
    if not frames:
        return {}
    place, row = joined(
        found,
        motion,
        (np.array(frames, np.int64), np.array(boxes, np.float32)),
        np.array(rows, np.int64),
        threshold=threshold,
        window=REACH,
        size=loaded.clip.size,
    )
    pairs: dict[int, dict[int, tuple[int, ...]]] = {}
    for at, there in zip(place.tolist(), row.tolist(), strict=True):
        mine = pairs.setdefault(frames[at], {})
        mine[there] = (*mine.get(there, ()), marks[at])
    return pairs


def _sources(
    loaded: ClipResult, found: Detections, index: int, threshold: float
) -> dict[tuple[float, ...], tuple[int, FloatArray]]:
    """Box as drawn, and class -> (row of the detection, or -1; box before it was cut)."""
    size, said = loaded.clip.size, loaded.verdicts
    known: dict[tuple[float, ...], tuple[int, FloatArray]] = {}
    if said is not None:
        here = np.flatnonzero(said.missed_frame == index)
        cut = geometry.clip(said.missed_boxes[here], size)
        for at, box in zip(here, cut, strict=True):
            known[*box.tolist(), int(said.missed_label[at])] = -1, said.missed_boxes[at]
    span = found.on(index)
    rows = np.arange(span.start, span.stop)[found.scores[span] > threshold]
    for row, box in zip(rows.tolist(), geometry.clip(found.boxes[rows], size), strict=True):
        known[*box.tolist(), int(found.labels[row])] = row, found.boxes[row]
    return known
