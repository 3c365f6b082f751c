"""What a model that was fitted to labels says of single boxes, counted while all rows are at hand.

What is said before there are labels stands in the summaries of frames; what a fitted model says
does not, and asking it of every row once more, for the report, would cost as much as the pool.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidal.evidence.verdicts import kinds_of, likely_misses
from vidal.types import BoolArray, FloatArray, IntArray, ScoreArray
from vidal.types.verdicts import ALARM, UNSURE

_MOST = np.iinfo(np.uint16).max


@dataclass(slots=True)
class Doubts:
    """Counts over the N frames of a run, K classes.

    Attributes:
        by_frame: (N, 3) uint16, likely false alarms, unsure detections and likely misses of every
            frame; None = nothing was counted.
        by_class: (K, 3) int64, the same of all frames that may be chosen, by class.
    """

    by_frame: NDArray[np.uint16] | None = None
    by_class: IntArray | None = None
    _pool: BoolArray | None = None

    def begin(self, pool: BoolArray, classes: int) -> None:
        """Nothing yet; ``pool``: (N,) bool, frames that may be chosen."""
        self._pool = pool
        self.by_frame = np.zeros((len(pool), 3), np.uint16)
        self.by_class = np.zeros((classes, 3), np.int64)

    def add(
        self,
        place: IntArray,
        detections: tuple[IntArray, IntArray, ScoreArray],
        candidates: tuple[IntArray, IntArray, ScoreArray, FloatArray],
        *,
        learned: bool,
    ) -> None:
        """Count B frames.

        Args:
            place: (B,) of the frames among all.
            detections: frame, counted in ``place``, label and P(false alarm) of each.
            candidates: frame, label and P(missed object) of each, and (M, 4) boxes.
            learned: as of ``by_chances``.
        """
        frame, label, alarm = detections
        at, missed_label, missed, boxes = candidates
        kind, likely = (
            kinds_of(alarm, learned=learned),
            likely_misses(at, boxes, missed, learned=learned),
        )
        for number, (where, labels) in enumerate(
            (
                (frame[kind == ALARM], label[kind == ALARM]),
                (frame[kind == UNSURE], label[kind == UNSURE]),
                (at[likely], missed_label[likely]),
            )
        ):
            self._count(place, where, labels, number)

    def _count(self, place: IntArray, frame: IntArray, label: IntArray, number: int) -> None:
        assert self.by_frame is not None
        assert self.by_class is not None
        assert self._pool is not None
        counts = np.bincount(frame, minlength=len(place))
        self.by_frame[place, number] = np.minimum(counts, _MOST)
        use = self._pool[place[frame]]
        self.by_class[:, number] += np.bincount(label[use], minlength=len(self.by_class))
