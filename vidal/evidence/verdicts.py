"""From estimates of errors to verdicts on single boxes: words that were measured on real video.

How often each word is right, and on what: docs/reasons.md, from ``tools/measure_words.py``. Before
there are labels no estimate knows a false alarm on another detector's video: of detections that
the shipped prior is surest about, between 7 and 97 in 100 are false, by the detector. So nothing is
called one before labels were learned from.
"""

from __future__ import annotations

import numpy as np

from vidal import boxes as geometry
from vidal.expected_errors import Evidence
from vidal.types import (
    BoolArray,
    Detections,
    ErrorEstimate,
    FloatArray,
    IntArray,
    ScoreArray,
)
from vidal.types.verdicts import ALARM, CORRECT, UNSURE, Verdicts

BY_CUT, BY_EXPECTED = "temporal coherence", "expected errors"
"""Estimates, in words."""
CORRECT_UP_TO = 0.3
"""Largest P(false alarm) of a detection that is called likely correct."""
ALARM_FROM = 0.9
"""Least P(false alarm) of a likely false alarm, learned from labels."""
MISS_FROM = {False: 0.5, True: 0.85}
"""Least P(missed object) of a likely miss: before labels were learned from, and after. The prior
is cautious about misses on other detectors' video; labels of other cameras are not."""
CUT_MISS_FROM = 0.8
"""Least confidence of temporal coherence in a likely miss: four of at most four neighbours, or five
of five or six, show the object. All that the cut calls missed was right in 38 to 98 of 100."""
SAME_PLACE = 0.5
"""IoU (strictly above) of places that are one: the likelier one is shown."""


def by_cut(estimate: ErrorEstimate) -> Verdicts:
    """Of temporal coherence: what neighbours do not confirm is unsure, not false.

    Of the places that it calls missed those that nearly all neighbours show; the others are faint.
    """
    sure = estimate.missed_confidence >= CUT_MISS_FROM
    gone = np.flatnonzero(estimate.missed & sure)
    return Verdicts(
        BY_CUT,
        estimate.rows,
        np.where(estimate.false_positive, UNSURE, CORRECT).astype(np.int64),
        estimate.false_positive_confidence,
        estimate.missed_frame[gone],
        estimate.missed_boxes[gone],
        estimate.missed_label[gone],
        np.zeros(len(gone), np.float32),
        estimate.missed_confidence[gone],
        estimate.missed_frame[estimate.missed & ~sure],
    )


def by_chances(
    evidence: Evidence, alarm: ScoreArray, missed: ScoreArray, *, learned: bool
) -> Verdicts:
    """Of expected errors.

    Args:
        evidence: of a clip.
        alarm: (N,) P(false alarm) of its detections.
        missed: (M,) P(missed object) of its candidates.
        learned: from labels of one's own; else from the shipped prior alone.
    """
    places = evidence.candidates
    likely = likely_misses(places.frame, places.boxes, missed, learned=learned)
    score = places.column("score") * (places.column("is detection") > 0)
    return Verdicts(
        BY_EXPECTED,
        evidence.rows,
        kinds_of(alarm, learned=learned),
        alarm.astype(np.float32),
        places.frame[likely],
        places.boxes[likely],
        places.labels[likely],
        score[likely],
        missed[likely].astype(np.float32),
    )


def kinds_of(alarm: ScoreArray, *, learned: bool) -> IntArray:
    """(N,) int64 what is said of detections, by P(false alarm); ``learned`` as above."""
    kind = np.where(alarm <= CORRECT_UP_TO, CORRECT, UNSURE)
    if learned:
        kind = np.where(alarm >= ALARM_FROM, ALARM, kind)
    return kind.astype(np.int64)


def likely_misses(
    frame: IntArray, boxes: FloatArray, missed: ScoreArray, *, learned: bool
) -> IntArray:
    """Numbers of the candidates that are likely misses, by (M,) P(missed object).

    Args:
        frame, boxes: (M,) and (M, 4) of the candidates.
        missed: their chances.
        learned: as above.
    """
    likely = np.flatnonzero(missed >= MISS_FROM[learned])
    first = _likeliest(frame[likely], boxes[likely], missed[likely])
    return likely[first]


def _likeliest(frame: IntArray, boxes: FloatArray, chance: ScoreArray) -> BoolArray:
    """(M,) bool: places that no likelier one of their frame overlaps (non-maximum suppression)."""
    left, right, _ = geometry.overlapping_within((frame, boxes), SAME_PLACE)
    order = np.argsort(-chance, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    kept = np.ones(len(frame), np.bool_)
    better = np.where(rank[left] < rank[right], left, right)
    worse = np.where(rank[left] < rank[right], right, left)
    for at in np.argsort(rank[better], kind="stable").tolist():
        if kept[better[at]]:
            kept[worse[at]] = False
    return kept


def count_verdicts(said: Verdicts, found: Detections) -> IntArray:
    """How many verdicts of each kind there are on every frame, by class.

    Args:
        said: of a clip, or of a window of it.
        found: its detections.

    Returns:
        (F, K, 3) int32: likely false alarms, unsure detections, likely misses.
    """
    shape = (found.frames, len(found.classes))
    alarm, unsure = (said.rows[said.kind == kind] for kind in (ALARM, UNSURE))
    places = (
        (found.frame[alarm], found.labels[alarm]),
        (found.frame[unsure], found.labels[unsure]),
        (said.missed_frame, said.missed_label),
    )
    counts = [_cells(frame, labels, shape) for frame, labels in places]
    return np.stack(counts, axis=-1)


def count_detections(found: Detections, threshold: float) -> IntArray:
    """(F, K) int32, detections with a higher score than the threshold on every frame, by class."""
    use = found.scores > threshold
    return _cells(found.frame[use], found.labels[use], (found.frames, len(found.classes)))


def _cells(frame: IntArray, label: IntArray, shape: tuple[int, int]) -> IntArray:
    counts = np.bincount(frame * shape[1] + label, minlength=shape[0] * shape[1])
    return counts.reshape(shape).astype(np.int32)
