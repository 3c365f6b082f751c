"""Annotations judge the evidence: which detections were false, which candidates missed objects."""

from __future__ import annotations

import numpy as np

from vidal.boxes import overlapping
from vidal.evaluate.matching import ClipMatch, assign, match_clip, overlaps
from vidal.expected_errors import Evidence, Examples, Judged, Misses, Rows
from vidal.types import UNKNOWN, Annotations, BoolArray, Detections, IntArray

MISS_IOU = 0.3
"""Overlap (at least) of a candidate with the missed object that it stands for. Less than the 0.5
that makes a detection right: a carried box need not fit to point out the frame."""
_COVERED = 0.5


def judge(
    evidence: Evidence,
    detections: Detections,
    truth: Annotations,
    *,
    threshold: float,
    clip: int = 0,
    random: BoolArray | None = None,
) -> Judged:
    """The judged rows of one clip: those on labelled frames and outside ignore regions.

    Args:
        evidence: of the clip, gathered with this threshold.
        detections: the table it was gathered from.
        truth: annotations of the same classes and length.
        threshold: detections with a higher score (strictly) are judged.
        clip: its number.
        random: (F,) bool, labelled frames that were drawn at random; None = all of them.

    Raises:
        ValueError: tables of other classes or length.
    """
    match = match_clip(detections, truth, score_floor=threshold)
    drawn = np.ones(evidence.frames, np.bool_) if random is None else random

    def examples(rows: Rows, use: BoolArray, error: BoolArray) -> Examples:
        frame = rows.frame[use]
        number = np.full(len(frame), clip, np.int64)
        return Examples(
            rows.evidence[use], error[use], number, frame, drawn[frame], rows.labels[use]
        )

    use = ~match.ignored[evidence.rows]
    error = match.false_positive[evidence.rows]
    hit, usable = judge_candidates(evidence.candidates, match)
    return Judged(
        evidence.columns,
        examples(evidence.detections, use, error),
        examples(evidence.candidates, usable, hit),
        int(np.count_nonzero(match.missed)),
        misses_of(match, evidence.candidates, hit, clip),
    )


def misses_of(match: ClipMatch, candidates: Rows, hit: BoolArray, clip: int) -> Misses:
    """The missed objects of every judged frame, and those that a candidate stands for.

    Args:
        match: of the clip.
        candidates: of the clip.
        hit: (R,) bool, candidates that stand for a missed object, one each.
        clip: its number.
    """
    known, classes = np.flatnonzero(match.known), len(match.detections.classes)

    def counts(frame: IntArray, labels: IntArray) -> IntArray:
        cell = frame * classes + labels
        size = match.detections.frames * classes
        return np.bincount(cell, minlength=size).reshape(-1, classes)[known].astype(np.int64)

    truth, missed = match.truth, match.missed
    return Misses(
        np.full(len(known), clip, np.int64),
        known,
        counts(truth.frame[missed], truth.labels[missed]),
        counts(candidates.frame[hit], candidates.labels[hit]),
    )


def judge_candidates(candidates: Rows, match: ClipMatch) -> tuple[BoolArray, BoolArray]:
    """Which candidates lie on a missed object, one each, and which count at all.

    A candidate takes the free missed object of its class that it overlaps most; the best-scored
    goes first. Those on frames without labels do not count, nor do those that take nothing and lie
    for more than half in an ignore region (of their class, or of none).
    """
    truth = match.truth
    left, right, _ = overlapping((candidates.frame, candidates.boxes), (truth.frame, truth.boxes))
    iou, cover = overlaps(candidates.boxes[left], truth.boxes[right])
    agrees = candidates.labels[left] == truth.labels[right]
    pairs = agrees & match.missed[right] & (iou >= MISS_IOU)
    strength = candidates.column("score") + 1e-3 * np.nan_to_num(candidates.column("any linked"))
    order = np.argsort(-strength, kind="stable")
    priority = np.empty(len(candidates), dtype=np.int64)
    priority[order] = np.arange(len(candidates))
    hit = assign(left[pairs], right[pairs], iou[pairs], priority=priority, targets=len(truth)) >= 0
    region = truth.ignore[right] & (cover > _COVERED) & (agrees | (truth.labels[right] == UNKNOWN))
    usable = match.known[candidates.frame].copy()
    inside = np.zeros(len(candidates), np.bool_)
    inside[left[region]] = True
    return hit, usable & (hit | ~inside)
