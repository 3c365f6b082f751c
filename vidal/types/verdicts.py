"""What temporal coherence makes of a clip's detections."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vidal.types.arrays import BoolArray, FloatArray, IntArray, frozen, set_fields
from vidal.types.tables import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Carried(Rows):
    """Detections carried by a tracker to neighbouring frames.

    Attributes:
        origin: (P,) int64, row of the detection.
        frame: (P,) int64, sorted: the frame it was carried to.
        boxes: (P, 4) float32, where it is expected there, not clipped to the image.
        trust: (P,) float32 in [0, 1], the tracker's own confidence.
    """

    origin: IntArray
    frame: IntArray
    boxes: FloatArray
    trust: FloatArray

    def __post_init__(self) -> None:
        n = len(self.frame)
        set_fields(
            self,
            origin=frozen(self.origin, np.int64, (n,), "origin"),
            frame=frozen(self.frame, np.int64, (None,), "frame"),
            boxes=frozen(self.boxes, np.float32, (n, 4), "boxes"),
            trust=frozen(self.trust, np.float32, (n,), "trust"),
        )
        if n and (np.diff(self.frame) < 0).any():
            raise ValueError("frame: not sorted")


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Pairs of detections of different frames that a tracker joins.

    Attributes:
        src, dst: (E,) int64 rows of one ``Detections``, ``frame[src] < frame[dst]``, no pair twice.
        affinity: (E,) float32, the larger overlap of the two directions.
        carried: the boxes that linking was based on.
        used: (P,) bool, carried boxes that overlap a detection of their frame.
    """

    src: IntArray
    dst: IntArray
    affinity: FloatArray
    carried: Carried
    used: BoolArray

    def __post_init__(self) -> None:
        e = len(self.src)
        set_fields(
            self,
            src=frozen(self.src, np.int64, (None,), "src"),
            dst=frozen(self.dst, np.int64, (e,), "dst"),
            affinity=frozen(self.affinity, np.float32, (e,), "affinity"),
            used=frozen(self.used, np.bool_, (len(self.carried),), "used"),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ErrorEstimate:
    """Which detections of a clip are judged false, and where objects were missed.

    Attributes:
        rows: (N,) int64, the judged rows of the clip's ``Detections`` (those above the threshold).
        false_positive: (N,) bool verdict for each.
        false_positive_confidence: (N,) float32 in [0, 1], 1 = surely false.
        missed_frame: (M,) int64, sorted, of every candidate.
        missed_boxes: (M, 4) float32.
        missed_label: (M,) int64.
        missed: (M,) bool verdict for each candidate.
        missed_confidence: (M,) float32 in [0, 1], 1 = surely a missed object.
        energy: value of the minimised energy.
        link_share: share of judged detections with at least one link, in [0, 1]; 1 for none judged.
    """

    rows: IntArray
    false_positive: BoolArray
    false_positive_confidence: FloatArray
    missed_frame: IntArray
    missed_boxes: FloatArray
    missed_label: IntArray
    missed: BoolArray
    missed_confidence: FloatArray
    energy: float
    link_share: float

    def __post_init__(self) -> None:
        n, m = len(self.rows), len(self.missed_frame)
        set_fields(
            self,
            rows=frozen(self.rows, np.int64, (None,), "rows"),
            false_positive=frozen(self.false_positive, np.bool_, (n,), "false_positive"),
            false_positive_confidence=frozen(
                self.false_positive_confidence, np.float32, (n,), "false_positive_confidence"
            ),
            missed_frame=frozen(self.missed_frame, np.int64, (None,), "missed_frame"),
            missed_boxes=frozen(self.missed_boxes, np.float32, (m, 4), "missed_boxes"),
            missed_label=frozen(self.missed_label, np.int64, (m,), "missed_label"),
            missed=frozen(self.missed, np.bool_, (m,), "missed"),
            missed_confidence=frozen(self.missed_confidence, np.float32, (m,), "missed_confidence"),
        )


CORRECT, UNSURE, ALARM = range(3)
"""Verdicts on detections: likely correct, may be either, likely a false alarm."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What the estimate that puts frames in order says of single boxes, in words people can trust.

    Attributes:
        by: the estimate, in words.
        rows: (N,) int64, the judged rows of the clip's ``Detections``.
        kind: (N,) int64, one of the above.
        alarm: (N,) float32 in [0, 1], the chance or strength of evidence that it is false.
        missed_frame: (M,) int64, sorted, of the places where an object is likely missed.
        missed_boxes: (M, 4) float32.
        missed_label: (M,) int64.
        missed_score: (M,) float32 of the weak detection there; 0 where there is none.
        missed: (M,) float32 in [0, 1], the chance or strength of evidence of a missed object.
        faint: (L,) int64, frames of the places that the estimate counts as missed objects, but that
            too little speaks for to call them likely misses; one entry a place.
    """

    by: str
    rows: IntArray
    kind: IntArray
    alarm: FloatArray
    missed_frame: IntArray
    missed_boxes: FloatArray
    missed_label: IntArray
    missed_score: FloatArray
    missed: FloatArray
    faint: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        n, m = len(self.rows), len(self.missed_frame)
        set_fields(
            self,
            rows=frozen(self.rows, np.int64, (n,), "rows"),
            kind=frozen(self.kind, np.int64, (n,), "kind"),
            alarm=frozen(self.alarm, np.float32, (n,), "alarm"),
            missed_frame=frozen(self.missed_frame, np.int64, (m,), "missed_frame"),
            missed_boxes=frozen(self.missed_boxes, np.float32, (m, 4), "missed_boxes"),
            missed_label=frozen(self.missed_label, np.int64, (m,), "missed_label"),
            missed_score=frozen(self.missed_score, np.float32, (m,), "missed_score"),
            missed=frozen(self.missed, np.float32, (m,), "missed"),
            faint=frozen(self.faint, np.int64, (None,), "faint"),
        )

    @property
    def certainty(self) -> FloatArray:
        """(N,) float32 in [0, 1], of each verdict; of an unsure one that of the likelier side."""
        sure = np.where(self.kind == ALARM, self.alarm, 1 - self.alarm)
        either = np.maximum(self.alarm, 1 - self.alarm)
        return np.where(self.kind == UNSURE, either, sure).astype(np.float32)
