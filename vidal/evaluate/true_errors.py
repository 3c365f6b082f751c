"""The true errors of a detector: what estimates estimate, what the oracle scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidal.evaluate.matching import ClipMatch
from vidal.types import BoolArray, IntArray

FALSE_POSITIVE, FALSE_NEGATIVE = 0, 1
"""Columns of the counts."""


@dataclass(frozen=True, slots=True, eq=False)
class TrueErrors:
    """Error counts of one clip.

    Attributes:
        per_class: (F, K, 2) int64: false positives, false negatives; 0 where not ``known``.
        known: (F,) bool: labelled and scanned frames.
    """

    per_class: IntArray
    known: BoolArray

    @property
    def per_frame(self) -> IntArray:
        """(F, 2) int64: false positives, false negatives, over all classes."""
        return self.per_class.sum(axis=1)


def true_errors(match: ClipMatch) -> TrueErrors:
    """Count a clip's errors by frame and class; a false positive has the detection's class."""
    f, k = match.detections.frames, len(match.detections.classes)
    counts = np.zeros((f, k, 2), dtype=np.int64)
    for column, table, rows in (
        (FALSE_POSITIVE, match.detections, match.false_positive),
        (FALSE_NEGATIVE, match.truth, match.missed),
    ):
        cell = table.frame[rows] * k + table.labels[rows]
        counts[:, :, column] = np.bincount(cell, minlength=f * k).reshape(f, k)
    counts.flags.writeable = False
    return TrueErrors(per_class=counts, known=match.known)
