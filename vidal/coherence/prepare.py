"""Which detections are judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidal import boxes
from vidal.coherence.options import CoherenceOptions
from vidal.types import BoolArray, Detections, IntArray, frozen

DUPLICATE_IOU = 0.99
"""Two boxes of one class and frame that overlap more than this are one detection reported twice."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The detections that are judged.

    Attributes:
        detections: the table of the N judged rows.
        rows: (N,) int64, increasing: their rows in the table they were taken from.
        merged: how many exact duplicates were left out.
    """

    detections: Detections
    rows: IntArray
    merged: int

    def __post_init__(self) -> None:
        rows = frozen(self.rows, np.int64, (len(self.detections),), "rows")
        object.__setattr__(self, "rows", rows)


def prepare(detections: Detections, options: CoherenceOptions) -> Prepared:
    """Keep what scores above the threshold; of exact duplicates keep the best scored."""
    confident = np.flatnonzero(detections.scores > options.score_threshold)
    table = detections.keep(confident)
    repeated = _duplicates(table)
    if repeated.any():
        table = table.keep(~repeated)
    return Prepared(table, confident[~repeated], int(repeated.sum()))


def _duplicates(table: Detections) -> BoolArray:
    """(N,) bool: another row of the frame and class is the same box with a better score."""
    first, second, _ = boxes.overlapping_within((table.frame, table.boxes), DUPLICATE_IOU)
    same = table.labels[first] == table.labels[second]
    first, second = first[same], second[same]
    # Of equal scores the earlier row stays.
    worse = np.where(table.scores[first] < table.scores[second], first, second)
    repeated = np.zeros(len(table), dtype=np.bool_)
    repeated[worse] = True
    return repeated
