"""Detections against ground truth: which are right, which are false, what was missed.

Three rules, all greedy in descending score within a frame and class:

- ``oracle``: a detection takes the free object it overlaps most, if IoU > threshold (the error
  count that temporal coherence is measured against, Zolfaghari Bengar et al. 2019, Section 4);
- ``pascal``: it looks at the object it overlaps most and at no other; right if IoU >= threshold
  and that object is free (Pascal VOC development kit, Everingham et al. 2010);
- ``coco``: it takes the free object it overlaps most, if IoU >= threshold; at most 100 detections
  a frame and class; an ignore region absorbs what lies in it by at least ``threshold`` of the
  detection's own area (Lin et al. 2014, evaluation as published with the data set).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidal.boxes import overlapping
from vidal.types import UNKNOWN, Annotations, BoolArray, Detections, FloatArray, IntArray, frozen

Rule = Literal["oracle", "pascal", "coco"]
UnknownObjects = Literal["false_positive", "ignore"]

COCO_DETECTIONS = 100
"""How many detections of a class and frame the COCO rule looks at."""

_COVERED = 0.5
"""Own area inside an ignore region above which a detection is left out (oracle, pascal)."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipMatch:
    """The verdict on every detection and every object of one clip.

    Every judged detection is exactly one of true positive, false positive, ignored; every counted
    object is either found or missed.

    Attributes:
        detections: the table of N rows that was judged.
        truth: the table of M rows it was judged by.
        judged: (N,) bool: above the score floor (and within the COCO limit).
        true_positive: (N,) bool.
        ignored: (N,) bool: judged, but neither right nor wrong: in an ignore region, or on a
            frame that is not labelled.
        matched: (N,) int64: row of the object that a true positive found, else -1.
        counted: (M,) bool: objects of the K classes, not ignored, on frames that were scanned.
        found: (M,) bool.
    """

    detections: Detections
    truth: Annotations
    judged: BoolArray
    true_positive: BoolArray
    ignored: BoolArray
    matched: IntArray
    counted: BoolArray
    found: BoolArray

    def __post_init__(self) -> None:
        for name in ("judged", "true_positive", "ignored", "matched", "counted", "found"):
            values = getattr(self, name)
            object.__setattr__(self, name, frozen(values, values.dtype, (None,), name))

    @property
    def false_positive(self) -> BoolArray:
        """(N,) bool: judged and wrong."""
        return self.judged & ~self.true_positive & ~self.ignored

    @property
    def missed(self) -> BoolArray:
        """(M,) bool: objects that no detection found (false negatives)."""
        return self.counted & ~self.found

    @property
    def known(self) -> BoolArray:
        """(F,) bool: frames whose errors are known, because they are labelled and scanned."""
        return self.truth.labelled & self.detections.scanned


def match_clip(
    detections: Detections,
    truth: Annotations,
    *,
    threshold: float = 0.5,
    rule: Rule = "oracle",
    score_floor: float | None = None,
    unknown: UnknownObjects = "false_positive",
) -> ClipMatch:
    """Judge one clip's detections by its annotations.

    An unmatched detection is ignored where an ignore region of its class, or of no class, covers
    more than half of it or overlaps it by ``threshold``.

    Args:
        detections: N rows.
        truth: M rows of the same classes and clip length.
        threshold: IoU, in [0, 1].
        rule: see the module.
        score_floor: only detections with a score strictly above it are judged; None = all.
        unknown: a detection on an object outside the K classes (label -1) is a false positive,
            or, with "ignore", left out.

    Raises:
        ValueError: the tables have other classes or another length.
    """
    if detections.classes != truth.classes or detections.frames != truth.frames:
        raise ValueError(
            f"detections of {detections.frames} frames, classes {detections.classes}; "
            f"truth of {truth.frames} frames, classes {truth.classes}"
        )
    regions = truth.ignore | ((truth.labels == UNKNOWN) & (unknown == "ignore"))
    counted = (truth.labels != UNKNOWN) & ~regions & detections.scanned[truth.frame]
    judged = _judged(detections, rule, score_floor)
    pairs = _touching(detections, truth, judged)
    chosen = _admissible(pairs, counted, threshold, rule)
    matched = assign(
        pairs.left[chosen],
        pairs.right[chosen],
        pairs.iou[chosen],
        priority=_priority(detections.scores),
        targets=len(truth),
        last_wins=rule == "coco",
    )
    true_positive = matched >= 0
    ignored = ~truth.labelled[detections.frame]
    ignored[_absorbed(pairs, regions, threshold, rule)] = True
    return ClipMatch(
        detections=detections,
        truth=truth,
        judged=judged,
        true_positive=true_positive,
        ignored=ignored & judged & ~true_positive,
        matched=matched,
        counted=counted,
        found=np.isin(np.arange(len(truth)), matched),
    )


def assign(
    left: IntArray,
    right: IntArray,
    overlap: NDArray[np.float64],
    *,
    priority: IntArray,
    targets: int,
    last_wins: bool = False,
) -> IntArray:
    """One-to-one greedy assignment over a list of admissible pairs, without a loop over boxes.

    Equals: go through the left items in order of ``priority``; each takes its free right item of
    largest overlap. That order is the only stable matching when every right item prefers the
    smaller priority, so it is found by deferred acceptance (Gale and Shapley 1962) on whole
    arrays: all propose at once, each right item keeps its best proposer, the others try on.

    Args:
        left, right: (P,) int64, the pairs.
        overlap: (P,) float64, how much a left item prefers the pair.
        priority: (N,) int64, distinct; the smallest goes first.
        targets: number of right items.
        last_wins: of right items with equal overlap take the last, not the first.

    Returns:
        (N,) int64: the right item of each left item, or -1.
    """
    rank = priority[left]
    order = np.lexsort((-right if last_wins else right, -overlap, rank))
    rank, target = rank[order], right[order]
    holder = np.full(targets, len(priority), dtype=np.int64)
    while True:
        proposal = np.ones(len(rank), dtype=np.bool_)
        proposal[1:] = rank[1:] != rank[:-1]
        np.minimum.at(holder, target[proposal], rank[proposal])
        hopeless = rank > holder[target]
        if not hopeless.any():
            break
        rank, target = rank[~hopeless], target[~hopeless]
    result = np.full(len(priority), -1, dtype=np.int64)
    by_rank = np.empty(len(priority), dtype=np.int64)
    by_rank[priority] = np.arange(len(priority))
    result[by_rank[rank[proposal]]] = target[proposal]
    return result


def overlaps(
    first: FloatArray, second: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P,) IoU and (P,) share of the first box's area inside the second, row by row, in float64.

    Both are 0 where a box is empty. Double precision, because verdicts at exactly the threshold
    must not depend on rounding.
    """
    a, b = first.astype(np.float64), second.astype(np.float64)
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=1)
    own = np.prod(a[:, 2:] - a[:, :2], axis=1)
    union = own + np.prod(b[:, 2:] - b[:, :2], axis=1) - both
    iou = np.divide(both, union, out=np.zeros_like(both), where=both > 0)
    return iou, np.divide(both, own, out=np.zeros_like(both), where=both > 0)


class _Pairs(NamedTuple):
    """Detections and objects of one frame that touch."""

    left: IntArray
    right: IntArray
    iou: NDArray[np.float64]
    cover: NDArray[np.float64]
    label: IntArray
    wanted: IntArray


def _touching(detections: Detections, truth: Annotations, judged: BoolArray) -> _Pairs:
    sides = (detections.frame, detections.boxes), (truth.frame, truth.boxes)
    left, right, _ = overlapping(*sides)
    use = judged[left]
    left, right = left[use], right[use]
    iou, cover = overlaps(detections.boxes[left], truth.boxes[right])
    touch = iou > 0
    left, right = left[touch], right[touch]
    labels = detections.labels[left], truth.labels[right]
    return _Pairs(left, right, iou[touch], cover[touch], *labels)


def _judged(detections: Detections, rule: Rule, score_floor: float | None) -> BoolArray:
    judged = np.ones(len(detections), dtype=np.bool_)
    if score_floor is not None:
        judged = detections.scores > score_floor
    if rule == "coco":
        judged &= _rank_in_group(detections) < COCO_DETECTIONS
    return judged


def _close(pairs: _Pairs, threshold: float, rule: Rule) -> BoolArray:
    # An exact copy of an object is right at threshold 1, too.
    return pairs.iou > threshold if rule == "oracle" else pairs.iou >= min(threshold, 1 - 1e-10)


def _admissible(pairs: _Pairs, counted: BoolArray, threshold: float, rule: Rule) -> IntArray:
    """Which pairs may become a true positive."""
    same = pairs.label == pairs.wanted
    admitted = np.flatnonzero(counted[pairs.right] & same & _close(pairs, threshold, rule))
    if rule != "pascal":
        return admitted
    return np.intersect1d(admitted, _first_choice(pairs, np.flatnonzero(same)))


def _absorbed(pairs: _Pairs, regions: BoolArray, threshold: float, rule: Rule) -> IntArray:
    """Rows of detections that an ignore region takes, if they match nothing."""
    if rule == "coco":
        inside = pairs.cover >= min(threshold, 1 - 1e-10)
    else:
        inside = (pairs.cover > _COVERED) | _close(pairs, threshold, rule)
    concerned = (pairs.wanted == UNKNOWN) | (pairs.label == pairs.wanted)
    return pairs.left[regions[pairs.right] & concerned & inside]


def _first_choice(pairs: _Pairs, among: IntArray) -> IntArray:
    """For each detection the pair of largest IoU (the first of equals) among these."""
    left = pairs.left[among]
    order = among[np.lexsort((pairs.right[among], -pairs.iou[among], left))]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = np.diff(pairs.left[order]) != 0
    return order[first]


def _priority(scores: FloatArray) -> IntArray:
    """(N,) place of each row in descending score; equal scores keep their order."""
    place = np.empty(len(scores), dtype=np.int64)
    place[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return place


def _rank_in_group(detections: Detections) -> IntArray:
    """(N,) place of each row in descending score among its frame and class."""
    order = np.lexsort((-detections.scores, detections.labels, detections.frame))
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (np.diff(detections.frame[order]) != 0) | (np.diff(detections.labels[order]) != 0)
    start = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - start
    return rank
