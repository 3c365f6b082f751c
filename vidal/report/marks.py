"""What is drawn on a selected frame: its boxes, with what the estimate says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidal import boxes as box
from vidal.openset.known_only import LIKELY
from vidal.selection.result import ClipResult, SelectionResult
from vidal.types import (
    UNKNOWN,
    Clip,
    Detections,
    FloatArray,
    FrameRef,
    IntArray,
    ScoreArray,
    verdicts,
)
from vidal.types.verdicts import Verdicts

PLAIN, CORRECT, UNSURE, ALARM, MISS, LIKELY_UNKNOWN, UNKNOWN_OBJECT = range(7)
"""Kinds of marks: not judged, likely correct, a detection that may be either, likely false alarm,
likely miss; a detection that is likely an unknown object, and a box that annotators called one."""
DETECTED = (PLAIN, CORRECT, UNSURE, ALARM, LIKELY_UNKNOWN)
"""Kinds of detections."""

BY_UNKNOWN = "known only"
"""What tells likely unknown objects; other verdicts say themselves what gave them."""


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What is drawn on one selected frame.

    Attributes:
        kind: (n,) int64, one of the above.
        boxes: (n, 4) float32 xyxy, cut to the image, never empty.
        labels: (n,) int64; -1 = annotated as an unknown object.
        scores: (n,) float64 of the detector, of a likely miss that of a weak detection there; NaN
            where it found nothing.
        certainty: (n,) float64 in [0, 1], of the verdict that ``kind`` states; NaN for
            ``PLAIN`` and what annotators said.
        by: the estimate that gave the verdicts, in words; empty where there are none.
        outside: boxes that lie outside the image as a whole, left out of the rows.
    """

    kind: IntArray
    boxes: FloatArray
    labels: IntArray
    scores: ScoreArray
    certainty: ScoreArray
    outside: int = 0
    by: str = ""

    def __len__(self) -> int:
        return len(self.kind)


_NONE = np.zeros(0, np.int64)
_NO_MARKS = Marks(_NONE, np.zeros((0, 4), np.float32), _NONE, np.zeros(0), np.zeros(0))


def named(label: int, classes: tuple[str, ...]) -> str:
    """The class of a mark in words."""
    return "unknown object" if label == UNKNOWN else classes[label]


_KIND = {verdicts.CORRECT: CORRECT, verdicts.UNSURE: UNSURE, verdicts.ALARM: ALARM}


def _judged(
    found: Detections, said: Verdicts | None, threshold: float
) -> tuple[IntArray, IntArray, ScoreArray]:
    """Rows above the threshold, their kind, and the certainty of that verdict."""
    rows = np.flatnonzero(found.scores > threshold)
    kind = np.full(len(found), PLAIN, dtype=np.int64)
    certainty = np.full(len(found), np.nan)
    if said is not None:
        kind[said.rows] = np.array([_KIND[each] for each in sorted(_KIND)])[said.kind]
        certainty[said.rows] = said.certainty
    return rows, kind[rows], certainty[rows]


def marks_on(loaded: ClipResult, indices: Sequence[int], result: SelectionResult) -> list[Marks]:
    """The marks of some frames of a clip, in their order."""
    found, said = loaded.detections, loaded.verdicts
    if found is None:
        return [_NO_MARKS] * len(indices)
    rows, kind, certainty = _judged(found, said, result.threshold)
    for index in indices:
        likely = result.unknown.get(FrameRef(loaded.clip.id, index))
        if likely is None:
            continue
        here = np.flatnonzero(found.frame[rows] == index)[: len(likely)]
        use = here[likely[: len(here)] > LIKELY]
        kind[use], certainty[use] = (
            LIKELY_UNKNOWN,
            likely[: len(here)][likely[: len(here)] > LIKELY],
        )
    columns = [
        (found.frame[rows], kind, found.boxes[rows], found.labels[rows], found.scores[rows]),
    ]
    sure = [certainty]
    if said is not None:
        places = said.missed_frame, np.full(len(said.missed_frame), MISS)
        # The detector found nothing there, or less than it would say itself.
        weak = np.where(said.missed_score > 0, said.missed_score, np.nan).astype(np.float32)
        columns.append((*places, said.missed_boxes, said.missed_label, weak))
        sure.append(said.missed.astype(np.float64))
    for index in indices:
        boxes = result.called_unknown.get(FrameRef(loaded.clip.id, index))
        if boxes is not None:
            one = np.ones(len(boxes), np.int64)
            unscored = np.full(len(boxes), np.nan, np.float32)
            columns.append((index * one, UNKNOWN_OBJECT * one, boxes, UNKNOWN * one, unscored))
            sure.append(unscored.astype(np.float64))
    frame, *rest = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.argsort(frame, kind="stable")  # detections of a frame stay before its misses
    kinds, boxes, labels, scores = (column[order] for column in rest)
    surety = np.concatenate(sure)[order]
    ends = np.searchsorted(frame[order], np.add.outer([0, 1], indices))
    by = "" if said is None else said.by
    return [
        _marks_of(loaded.clip, kinds[at], boxes[at], labels[at], scores[at], surety[at], by)
        for at in (slice(first, last) for first, last in ends.T)
    ]


def _marks_of(
    clip: Clip,
    kinds: IntArray,
    boxes: FloatArray,
    labels: IntArray,
    scores: FloatArray,
    certainty: ScoreArray,
    by: str,
) -> Marks:
    """Of one frame: cut to the image, without what lies outside."""
    boxes = box.clip(boxes, clip.size)
    inside = box.area(boxes) > 0
    return Marks(
        kinds[inside],
        boxes[inside],
        labels[inside],
        scores[inside].astype(np.float64),
        certainty[inside],
        int(np.count_nonzero(~inside)),
        by,
    )
