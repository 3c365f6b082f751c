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
from vidal.types import BoolArray, ErrorEstimate, FloatArray, IntArray, ScoreArray
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
    kind = np.where(alarm <= CORRECT_UP_TO, CORRECT, UNSURE)
    if learned:
        kind = np.where(alarm >= ALARM_FROM, ALARM, kind)
    places = evidence.candidates
    likely = np.flatnonzero(missed >= MISS_FROM[learned])
    first = _likeliest(places.frame[likely], places.boxes[likely], missed[likely])
    likely = likely[first]
    score = places.column("score") * (places.column("is detection") > 0)
    return Verdicts(
        BY_EXPECTED,
        evidence.rows,
        kind.astype(np.int64),
        alarm.astype(np.float32),
        places.frame[likely],
        places.boxes[likely],
        places.labels[likely],
        score[likely],
        missed[likely].astype(np.float32),
    )


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
